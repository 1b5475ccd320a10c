"""What the pictures share: legends, styles of seeds and generations, ranges and ticks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collapse_audit.reports._format import inert
from collapse_audit.reports.pictures.drawing import DASHES, MARKERS, RAMP, SERIES, Panel, ticks

MOST_SEEDS = 6
"""Seeds that one panel tells apart, and that get a panel of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One entry of a legend."""

    label: str
    tone: str
    marker: str = ""
    dash: int = 0
    """Position in :data:`DASHES`; -1 for points that are not joined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Panels that belong together, and what they say. Text in it is inert."""

    slug: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    keys: tuple[Key, ...] = ()


def seeds_of(seeds: Iterable[str | None]) -> list[str | None]:
    return list(dict.fromkeys(seeds))[:MOST_SEEDS]


def seed_style(order: int) -> dict[str, Any]:
    return {"tone": SERIES[order], "marker": MARKERS[order], "dash": DASHES[order]}


def seed_keys(seeds: Sequence[str | None]) -> tuple[Key, ...]:
    if len(seeds) < 2:
        return ()
    return tuple(
        Key(label=f"seed {inert(seed)}", tone=SERIES[order], marker=MARKERS[order], dash=order)
        for order, seed in enumerate(seeds)
    )


def generation_keys(histogram: Mapping[str, Any]) -> tuple[Key, ...]:
    series = drawn_series(histogram)
    return tuple(
        Key(label=inert(each["name"]), tone=ramp(order, len(series)), dash=order % len(DASHES))
        for order, each in enumerate(series)
    )


def series_name(series: Mapping[str, Any]) -> str:
    return f"gen {series['generation']}" if "generation" in series else inert(series["name"], limit=10)


def ramp(order: int, count: int) -> str:
    return RAMP[round(order * (len(RAMP) - 1) / max(count - 1, 1))]


def evenly(values: Sequence[int], most: int) -> list[int]:
    """At most ``most`` of ``values``, evenly spread, with the first and the last."""
    if len(values) <= most:
        return list(values)
    return [values[round(step * (len(values) - 1) / (most - 1))] for step in range(most)]


def dodge(count: int) -> list[float]:
    """Small steps aside, so that the intervals of several seeds do not lie over each other."""
    return [0.09 * (order - (count - 1) / 2) for order in range(count)]


def of_seed(seed: object, several: bool) -> str:
    return "" if seed is None or not several else f", seed {inert(seed)}"


def spanned(values: Iterable[float]) -> tuple[float, float]:
    """What holds all ``values``, with a little air."""
    known = [float(value) for value in values]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    air = 0.07 * (high - low) or max(abs(high) * 0.1, 0.01)
    return low - air, high + air


def number_ticks(low: float, high: float, *, most: int = 5) -> dict[float, str]:
    marks = ticks(low, high, most=most)
    return {mark: _plain(mark, marks) for mark in marks}


def _plain(mark: float, marks: Sequence[float]) -> str:
    """As few decimals as tell the marks apart."""
    largest = max(map(abs, marks))
    if largest and not 1e-4 <= largest < 1e6:
        return f"{mark:.1e}"
    decimals = next((d for d in range(7) if all(abs(round(each, d) - each) < 1e-9 for each in marks)), 7)
    return f"{mark:,.{decimals}f}"


def over_generations(indices: Iterable[int]) -> dict[str, Any]:
    """The x axis of a panel over generations."""
    known = sorted(set(indices)) or [0]
    low, high = known[0], known[-1]
    marks = ticks(low, high, most=8, whole=True) if high - low > 8 else [float(k) for k in range(low, high + 1)]
    return {
        "x_range": (low - 0.4, high + 0.4),
        "x_ticks": {mark: f"{mark:.0f}" for mark in marks},
        "x_label": "generation",
    }


def drawn_series(histogram: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The series of a histogram that are drawn: at most as many as there are tones, evenly spread."""
    known = [series for series in histogram["series"] if "generation" in series]
    if len(known) > len(RAMP):
        step = (len(known) - 1) / (len(RAMP) - 1)
        known = [known[round(step * number_)] for number_ in range(len(RAMP))]
    return known or list(histogram["series"])[: len(RAMP)]
