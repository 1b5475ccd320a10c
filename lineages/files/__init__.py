"""What every file of a lineage has in common: its name, its digest, its problems."""
