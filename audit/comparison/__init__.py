"""Two lineages, or two reports, set against each other."""
