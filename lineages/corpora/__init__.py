"""Corpora: files of records, read in bounded memory."""
