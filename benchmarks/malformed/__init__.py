"""Malformed lineages and files of every kind that an audit reads, made one by one, and what must become of each."""
