"""Facts about a generation that no text tells: of its adapter, of what it was trained on, of how it was decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that a lineage claims, or that must hold of any model, and whether it does."""

    kind: str
    """What was looked at, such as ``adapter-distinct``; permanent."""
    ok: bool | None
    """None where it could not be told, and the sentence says why."""
    sentence: str
    """What was found, with names of files and numbers; no text of a corpus."""
    noted: bool = False
    """Nothing is broken, but a reader of the verdict should know."""
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def status(self) -> str:
        """In a word, for reports."""
        return {True: "noted" if self.noted else "holds", False: "broken", None: "unknown"}[self.ok]
