"""Lineages whose truth is known: drawn, trained on real text, or real text with damage of a stated size in it."""
