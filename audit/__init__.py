"""collapse-audit: an evaluation harness and pytest-style audit for model collapse."""

__version__ = "0.1.0"
