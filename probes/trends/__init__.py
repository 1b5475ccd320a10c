"""What changes along the generations of a seed."""
