"""Lineages on disk: reading and checking them, and making ones whose truth is known."""
