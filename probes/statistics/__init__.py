"""Designs, count tables, estimates, intervals and exact tests: numbers only, no text."""
