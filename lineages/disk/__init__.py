"""Lineages in folders: found, read, checked and written."""
