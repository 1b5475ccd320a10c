"""Texts in memory, in columns: tokens, labels, and the samples that hold them."""
