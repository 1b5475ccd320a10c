"""Estimates on one scale, how many margins of damage; and the one rule for which of several comparisons is shown."""

from __future__ import annotations

import math
from collections.abc import Iterable

from collapse_audit.reports.document import Finding


def standing(finding: Finding) -> tuple[float, float | None, float | None] | None:
    """Value and interval in margins: 0 is no change, 1 the margin. None where there is no value or no margin."""
    if finding.value is None or finding.margin is None:
        return None
    zero = no_change(finding.worse, finding.margin)
    scale = finding.margin - zero
    if scale == 0:
        return None
    interval = finding.interval
    ends = () if interval is None else (interval.low, interval.high)
    placed = [None if end is None else (end - zero) / scale for end in ends] or [None, None]
    if scale < 0:
        placed.reverse()
    return (finding.value - zero) / scale, placed[0], placed[1]


def no_change(worse: str, margin: float) -> float:
    """What "no change" looks like: 1 for a ratio or a retained share, where less is worse, else 0."""
    return 1.0 if worse == "lower" and 0 < margin < 1 else 0.0


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """``findings`` by their damage, the worst first: every format shows the first of them where it shows but one.

    A label that no text has any more comes first, then the estimates that lie the most margins from no change, then
    what has no estimate; of equals the one that comes first in the report.
    """
    return sorted(findings, key=_damage, reverse=True)


def _damage(finding: Finding) -> tuple[bool, float]:
    placed = standing(finding)
    gone = any(entry.get("kind") == "label" and entry.get("generation_count") == 0 for entry in finding.evidence)
    return gone, -math.inf if placed is None else placed[0]
