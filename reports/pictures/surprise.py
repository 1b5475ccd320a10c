"""How surprising texts are by word counts of the baseline: a histogram of both sides that needs no likelihoods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeGuard

from collapse_audit.reports._format import inert
from collapse_audit.reports.document import AuditReport, Finding
from collapse_audit.reports.pictures.common import MOST_SEEDS, Key, Picture, evenly, number_ticks, of_seed, seeds_of
from collapse_audit.reports.pictures.drawing import DASHES, RAMP, Line, Panel, Rule

_TONES = {"baseline": RAMP[0], "generation": RAMP[-1]}
_CUTS = ("25%", "90%")
"""Of the baseline's texts, those left of each line."""


def surprise(report: AuditReport) -> Picture | None:
    found = [f for f in report.findings if f.gating and _drawable(f.raw.get("surprise"))]
    shown = _chosen(found)
    several = len({f.seed for f in found}) > 1
    if not shown:
        return None
    left_out = len(found) - len(shown)
    return Picture(
        slug="surprise",
        title="How rare the words of a text are, counted in the baseline",
        caption=(
            "Collapse empties the right end, where texts have the rarest words, and piles texts up on the left. The "
            "lines are the baseline's 25% and 90% quantile. Density of texts; 0 is the mean of both sides, 1 a spread "
            "of texts of one length." + (f" {left_out} comparisons are left out." if left_out else "")
        ),
        panels=tuple(_panel(each, several=several) for each in shown),
        keys=tuple(Key(label=name, tone=tone, dash=dash) for dash, (name, tone) in enumerate(_TONES.items())),
    )


def _drawable(histogram: Any) -> bool:
    """Whether it is a histogram of both sides: ``raw`` may hold anything."""
    if not isinstance(histogram, Mapping):
        return False
    edges, sides = histogram.get("edges"), [histogram.get(name) for name in _TONES]
    if not _numbers(edges) or len(edges) < 2 or any(right <= left for left, right in pairwise(edges)):
        return False
    shares = [side.get("shares") if isinstance(side, Mapping) else None for side in sides]
    return _numbers(histogram.get("cuts")) and all(_numbers(each) and len(each) == len(edges) - 1 for each in shares)


def _numbers(values: Any) -> TypeGuard[Sequence[float]]:
    return isinstance(values, list | tuple) and all(isinstance(value, int | float) for value in values)


def _chosen(found: list[Finding]) -> list[Finding]:
    """Of one seed evenly many generations, the first and the last among them; of several the last of each."""
    seeds = seeds_of(f.seed for f in found)
    if len(seeds) <= 1:
        return [found[place] for place in evenly(range(len(found)), MOST_SEEDS)]
    return [max((f for f in found if f.seed == seed), key=lambda f: f.generation) for seed in seeds]


def _panel(finding: Finding, *, several: bool) -> Panel:
    histogram: Mapping[str, Any] = finding.raw["surprise"]
    edges = histogram["edges"]
    wide = [right - left for left, right in pairwise(edges)]
    lines = tuple(
        Line(
            x=edges,
            y=[share / width for share, width in zip(histogram[name]["shares"], wide, strict=True)],
            steps=True,
            tone=tone,
            dash=DASHES[dash],
        )
        for dash, (name, tone) in enumerate(_TONES.items())
    )
    top = max((value for line in lines for value in line.y), default=1.0) * 1.12 or 1.0
    who = finding.judged or f"generation {finding.generation}"
    return Panel(
        title=inert(f"{who} beside {finding.baseline}") + of_seed(finding.seed, several),
        unit="density",
        about=f"{inert(finding.baseline)} and {inert(who)}, in {len(edges) - 1} bins: {inert(finding.sentence)}",
        lines=lines,
        rules=tuple(
            Rule(at=at, axis="x", tone="soft", label=label)
            for at, label in zip(histogram["cuts"], _CUTS, strict=False)
            if edges[0] < at < edges[-1]
        ),
        x_label="surprise (spreads from the mean)",
        x_range=(edges[0], edges[-1]),
        x_ticks=number_ticks(edges[0], edges[-1]),
        y_range=(0.0, top),
        y_ticks=number_ticks(0.0, top, most=4),
    )
