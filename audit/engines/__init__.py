"""Where work on many files is done: in this process, or by the workers of a cluster."""
