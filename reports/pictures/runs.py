"""How every statistic stood in one run after another, from the lines of a history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from collapse_audit.reports._format import inert, number
from collapse_audit.reports._margins import no_change
from collapse_audit.reports.document import AuditReport
from collapse_audit.reports.pictures.drawing import Line, Panel, Rule

_MOST = 60
"""Latest runs that are drawn."""
_HIGHEST = 3.0
"""Margins at which a line is cut off."""


class Past(Protocol):
    """One line of a history, as far as it is drawn; an absent number is None."""

    @property
    def look(self) -> str: ...
    @property
    def time(self) -> str: ...
    @property
    def lineage(self) -> str: ...
    @property
    def probe(self) -> str: ...
    @property
    def statistic(self) -> str: ...
    @property
    def gating(self) -> bool: ...
    @property
    def outcome(self) -> str: ...
    @property
    def waived(self) -> bool: ...
    @property
    def value(self) -> float | None: ...
    @property
    def worse(self) -> str: ...
    @property
    def margin(self) -> float | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One statistic over all runs; text in it is inert."""

    title: str
    panel: Panel
    outcomes: tuple[str, ...]
    """What the last few runs made of it, oldest first: the worst of their generations and seeds."""
    last: str
    change: str
    """From the run before, in margins; with its sign."""
    since: str
    """Time of the first run that is drawn."""
    runs: int


_WORST = ("fail", "error", "inconclusive", "changed", "waived", "pass", "not_measured")


def runs(report: AuditReport, past: Sequence[Past]) -> tuple[Run, ...]:
    """A line a gated statistic, over the runs of this lineage's name; none before there are two runs."""
    own = [line for line in past if line.lineage == report.lineage["name"] and line.gating]
    looks = list(dict.fromkeys(line.look for line in own))[-_MOST:]
    if len(looks) < 2:
        return ()
    groups: dict[tuple[str, str], dict[str, list[Past]]] = {}
    for line in own:
        if line.look in looks:
            groups.setdefault((line.probe, line.statistic), {}).setdefault(line.look, []).append(line)
    drawn = (_run(probe, statistic, group, looks) for (probe, statistic), group in groups.items())
    return tuple(run for run in drawn if run is not None)


def _run(probe: str, statistic: str, group: dict[str, list[Past]], looks: Sequence[str]) -> Run | None:
    points = [(order, most) for order, look in enumerate(looks) if (most := _standing(group.get(look, ()))) is not None]
    if not points:
        return None
    name = inert(probe if statistic in ("", probe) else f"{probe} / {statistic}")
    shown = [min(max(value, -1.0), _HIGHEST) for _, value in points]
    outcomes = tuple(_worst(group[look]) for look in looks if look in group)
    last = points[-1][1]
    change = f"{last - points[-2][1]:+.2f}" if len(points) > 1 else ""
    first = next(line.time for look in looks for line in group.get(look, ()))
    return Run(
        title=name,
        panel=Panel(
            title=f"{name}, run over run",
            about=f"{len(points)} runs, in margins: " + ", ".join(number(value) for _, value in points[-8:]),
            lines=(
                Line(x=[float(order) for order, _ in points], y=shown, tone="ink"),
                Line(x=[float(points[-1][0])], y=[shown[-1]], tone="ink", marker="o", dash=""),
            ),
            rules=(Rule(at=0.0, tone="rule"), Rule(at=1.0)),
            x_range=(-0.5, len(looks) - 0.5),
            y_range=(min(-0.2, *shown) - 0.1, max(1.2, *shown) + 0.1),
            x_ticks={},
            y_ticks={},
            width=220,
            height=48,
            left=4,
            right=6,
            top=4,
        ),
        outcomes=outcomes[-8:],
        last=f"{last:.2f}",
        change=change,
        since=inert(first),
        runs=len(points),
    )


def _standing(lines: Iterable[Past]) -> float | None:
    """The worst of a run, in margins: 0 is no change, 1 the margin."""
    placed = []
    for line in lines:
        if line.value is None or line.margin is None:
            continue
        zero = no_change(line.worse, line.margin)
        if line.margin != zero:
            placed.append((line.value - zero) / (line.margin - zero))
    return max(placed, default=None)


def _worst(lines: Iterable[Past]) -> str:
    present = {"waived" if line.waived else line.outcome for line in lines}
    return next((outcome for outcome in _WORST if outcome in present), "not_measured")
