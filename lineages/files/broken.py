"""What stands where something could not be read: what was found there, and what was expected."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Stands for a record that could not be parsed, or for a file that a name does not lead to."""

    found: str
    expected: str
    slug: str
