"""Helpers of this folder are imported by their bare names."""
