"""The order in which people count: ``seed_2`` before ``seed_10``."""

from __future__ import annotations

import re


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that compares runs of digits as numbers. Different names have different keys."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)
