"""Every gated statistic by generation, and every estimate against its margin."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from collapse_audit.reports._format import inert, number, title
from collapse_audit.reports._margins import no_change, standing
from collapse_audit.reports.document import AuditReport, Finding
from collapse_audit.reports.pictures.common import (
    Picture,
    dodge,
    number_ticks,
    of_seed,
    over_generations,
    seed_keys,
    seed_style,
    seeds_of,
    spanned,
)
from collapse_audit.reports.pictures.drawing import Line, Panel, Rule, ticks

_ROWS = 96
"""Rows of one forest plot."""
_BEFORE, _BEYOND = -1.0, 4.0
"""Margins between which a forest plot lies; what is farther out is marked with an arrow."""
_LEFT, _LETTER, _LONGEST = 150, 5.4, 40
"""Pixels left of a forest plot at least; pixels a letter of a name takes; letters of a name that are kept."""


def statistics(report: AuditReport) -> Picture | None:
    groups: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.gating and finding.value is not None and finding.margin is not None:
            groups.setdefault(title(finding), []).append(finding)
    seeds = seeds_of(finding.seed for group in groups.values() for finding in group)
    return Picture(
        slug="statistics",
        title="Every gated statistic by generation",
        caption=(
            "Points are estimates, bars their intervals: each end is the one-sided bound that the verdict uses. "
            "The dashed line is the margin, and the shaded side lies beyond it. A thin line marks no change."
        ),
        panels=tuple(statistic_panel(name, group, seeds) for name, group in groups.items()),
        keys=seed_keys(seeds),
    )


def statistic_panel(name: str, group: Sequence[Finding], seeds: Sequence[str | None]) -> Panel:
    """Estimates of one statistic by generation with their intervals, and its margin; a line each of ``seeds``."""
    first = group[0]
    margin = float(first.margin or 0.0)
    zero = no_change(first.worse, margin)
    spread = dodge(len(seeds))
    lines = []
    for number_, seed in enumerate(seeds):
        own = sorted((f for f in group if f.seed == seed), key=lambda finding: finding.generation)
        ends = [_ends(finding) for finding in own]
        lines.append(
            Line(
                x=[finding.generation + spread[number_] for finding in own],
                y=[float(finding.value or 0.0) for finding in own],
                low=[low for low, _ in ends],
                high=[high for _, high in ends],
                **seed_style(number_),
            )
        )
    margins = {float(f.margin or 0.0) for f in group}
    y_range = spanned([*(v for line in lines for v in (*line.low, *line.high, *line.y)), zero, *margins])
    alike = len(margins) == 1
    return Panel(
        title=name,
        unit=inert(first.unit),
        about=_description(name, group, margin if alike else None),
        lines=tuple(lines),
        rules=(
            Rule(at=zero, tone="soft"),
            *((Rule(at=margin, label="margin"),) if alike else ()),
        ),
        beyond=(margin, "higher" if first.worse == "higher" else "lower", "y") if alike else None,
        y_range=y_range,
        y_ticks=number_ticks(*y_range),
        **over_generations(f.generation for f in group),
    )


def _ends(finding: Finding) -> tuple[float, float]:
    value = float(finding.value or 0.0)
    interval = finding.interval
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return value if low is None else float(low), value if high is None else float(high)


def _description(name: str, group: Sequence[Finding], margin: float | None) -> str:
    values = [float(finding.value or 0.0) for finding in group]
    span = f"{number(min(values))} to {number(max(values))}"
    limit = "" if margin is None else f"; margin {number(margin)}, {group[0].worse} is worse"
    return f"{name} in {len(group)} comparisons: from {span} {inert(group[0].unit)}{limit}"


def forest(report: AuditReport) -> Picture | None:
    gated = [finding for finding in report.findings if finding.gating and standing(finding) is not None]
    seeds = seeds_of(finding.seed for finding in gated)
    shown = _few_generations(gated, seeds)
    least = min((end for f in gated if f.generation in shown for end in _clipped(f)), default=0.0)
    panels = tuple(
        _forest_panel(
            [f for f in gated if f.seed == seed and f.generation in shown], seed, least, several=len(seeds) > 1
        )
        for seed in seeds
    )
    left_out = len({finding.generation for finding in gated}) - len(shown)
    return Picture(
        slug="forest",
        title="Every estimate against its margin",
        caption=(
            "All on one scale: 0 is no change, 1 the margin, beyond 1 damage that matters. A line a generation, the "
            "first on top. A cross fails, a circle passes, a plus has moved, a diamond is inconclusive, a square is "
            "waived; an arrow lies beyond the edge."
            + (f" {left_out} generations between are left out; the table of all findings has them." if left_out else "")
        ),
        panels=tuple(panel for panel in panels if panel.lines),
    )


def _few_generations(gated: Sequence[Finding], seeds: Sequence[str | None]) -> set[int]:
    """As many generations, evenly spread with the first and the last, as the rows of a panel allow."""
    known = sorted({finding.generation for finding in gated})
    per = max((sum(1 for f in gated if f.seed == seed) for seed in seeds), default=0) / max(len(known), 1)
    most = max(2, int(_ROWS // max(per, 1)))
    if len(known) <= most:
        return set(known)
    return {known[round(step * (len(known) - 1) / (most - 1))] for step in range(most)}


_FOREST = (
    ("fail", "X", "fail"),
    ("pass", "o", "pass"),
    ("changed", "P", "unsure"),
    ("inconclusive", "D", "unsure"),
    ("waived", "s", "soft"),
)


def _forest_panel(group: Sequence[Finding], seed: str | None, least: float, *, several: bool) -> Panel:
    names = list(dict.fromkeys(title(finding) for finding in group))
    places: list[tuple[float, Finding]] = []
    labels: dict[float, str] = {}
    at = 0.0
    for name in names:
        own = sorted((f for f in group if title(f) == name), key=lambda finding: finding.generation)
        middle = at - (len(own) - 1) / 2
        labels[middle] = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        places += [(at - step, finding) for step, finding in enumerate(own)]
        at -= len(own) + 0.8
    x_range = (min(-0.5, math.floor(least * 2) / 2), _BEYOND)
    left = max(_LEFT, round(12 + _LETTER * max(map(len, labels.values()), default=0)))
    return Panel(
        title=f"Estimates against margins{of_seed(seed, several)}",
        unit="margins",
        about=f"{len(places)} estimates{of_seed(seed, several)} in margins: 0 is no change, 1 the margin. The table of "
        "every finding has the same numbers",
        lines=tuple(_forest_lines(places)),
        rules=(Rule(at=0.0, axis="x", tone="soft"), Rule(at=1.0, axis="x", label="margin")),
        beyond=(1.0, "higher", "x"),
        x_range=x_range,
        y_range=(at + 0.2, 2.4),
        x_ticks={tick: number(tick) for tick in ticks(*x_range, most=6, whole=True)},
        y_ticks=labels,
        x_label="margins of damage",
        width=230 + left,
        height=max(140, round(60 + 7.5 * -at)),
        left=left,
        grid=False,
    )


def _clipped(finding: Finding) -> tuple[float, float, float]:
    """Value and ends within what a forest plot shows."""
    value, low, high = standing(finding) or (0.0, None, None)
    ends = (value, _BEFORE if low is None else low, _BEYOND if high is None else high)
    return tuple(min(max(each, _BEFORE), _BEYOND) for each in ends)  # type: ignore[return-value]


def _forest_lines(places: Sequence[tuple[float, Finding]]) -> Iterable[Line]:
    for outcome, marker, tone in _FOREST:
        own = [(at, _clipped(f), standing(f)) for at, f in places if _mark(f) == outcome]
        placed = [(at, clip, ends[0]) for at, clip, ends in own if ends is not None]
        before = [(at, clip) for at, clip, value in placed if value < _BEFORE]
        inside = [(at, clip) for at, clip, value in placed if _BEFORE <= value < _BEYOND]
        beyond = [(at, clip) for at, clip, value in placed if value >= _BEYOND]
        for group, shape in ((before, "<"), (inside, marker), (beyond, ">")):
            if group:
                yield Line(
                    x=[clip[0] for _, clip in group],
                    y=[at for at, _ in group],
                    low=[clip[1] for _, clip in group],
                    high=[clip[2] for _, clip in group],
                    across=True,
                    tone=tone,
                    marker=shape,
                    dash="",
                )


def _mark(finding: Finding) -> str:
    return "waived" if finding.waiver is not None else finding.outcome.value
