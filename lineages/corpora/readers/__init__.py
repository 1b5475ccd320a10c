"""Corpus files to record batches, in bounded memory, with every problem named."""
