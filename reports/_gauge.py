"""The small gauges of the page: an interval against its margin, in pixels."""

from __future__ import annotations

from dataclasses import dataclass

from collapse_audit.reports._format import Shown
from collapse_audit.reports._margins import standing
from collapse_audit.reports.document import Finding

_EDGE = 4.0
"""Margins at which the small gauges end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """An interval against its margin, in pixels of a strip 150 wide: no change at 30, the margin at 60."""

    low: float
    high: float
    value: float
    beyond: bool
    """Whether the value lies beyond the strip's right end."""
    before: bool
    """Whether it lies beyond the left one."""
    words: str


def gauge(finding: Finding, numbers: Shown) -> Gauge | None:
    """The gauge of a finding; None where nothing of it can be drawn."""
    placed = standing(finding)
    if placed is None:
        return None
    value, low, high = placed
    words = f"{numbers.value}, interval {numbers.interval or 'not known'}, margin {numbers.margin}"
    return Gauge(
        low=_pixel(-1.0 if low is None else low),
        high=_pixel(_EDGE if high is None else high),
        value=_pixel(value),
        beyond=value >= _EDGE,
        before=value < -1.0,
        words=words,
    )


def _pixel(margins: float) -> float:
    return round(30 + 30 * min(max(margins, -1.0), _EDGE), 1)
