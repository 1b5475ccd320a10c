"""A baseline as numbers of blocks of documents: how it is made, and how the probes read it."""
