"""What is said of a whole lineage rather than of one finding. None of it gates."""
