"""A clinic's table of reports made into a reference: read, cleaned, labelled, split, every row accounted for."""
