"""What each cure holds, and at what cost: lineages of one base that differ in one thing each, beside one another.

A figure is the last generation's against generation 0 of the same seed. Its interval is over seeds, the units of a
claim about a recipe (``seeds``): a t interval at 95%, two-sided, on logarithms for ratios.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import stdtrit

from collapse_audit.comparison.claims import from_scale, to_scale
from collapse_audit.probes.registry import Gates
from collapse_audit.probes.statistics.estimates import Scale
from collapse_audit.reports.document import AuditReport, Outcome

HUMAN_TEXT = "human text"
"""The column of how much worse than generation 0 the last model predicts people's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of a cure, by seed, and over seeds."""

    name: str
    unit: str
    scale: Scale
    by_seed: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Over seeds; the geometric one of ratios."""
        return from_scale(float(np.mean(self._values)), self.scale)

    @property
    def interval(self) -> tuple[float, float] | None:
        """At 95%, over seeds; None of a single seed, which shows no spread."""
        values, n = self._values, len(self.by_seed)
        if n < 2:
            return None
        reach = float(stdtrit(n - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(n)
        centre = float(np.mean(values))
        return from_scale(centre - reach, self.scale), from_scale(centre + reach, self.scale)

    @property
    def _values(self) -> list[float]:
        return [to_scale(value, self.scale) for value in self.by_seed.values()]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        interval = self.interval
        return {
            "name": self.name,
            "unit": self.unit,
            "mean": self.mean,
            **({} if interval is None else {"low": interval[0], "high": interval[1]}),
            "by_seed": dict(self.by_seed),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one cure held."""

    name: str
    says: str
    verdict: str
    """Of the whole audit."""
    failed: Mapping[str, int]
    """Findings of the last generation by outcome."""
    first: int | None
    """The first generation with a failed finding; None where there is none."""
    human_share: float
    """Of what a later generation is trained on, the mean over generations and seeds."""
    models: int
    """Trained a generation: the exchange of texts takes a second one, and twice the compute."""
    figures: tuple[Figure, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "says": self.says,
            "verdict": self.verdict,
            "last_generation": dict(self.failed),
            "first_failed_generation": self.first,
            "human_share": self.human_share,
            "models": self.models,
            "figures": [figure.as_json() for figure in self.figures],
        }


def held(
    name: str,
    says: str,
    report: AuditReport,
    gates: Gates,
    *,
    human_share: float,
    human_text: Mapping[str, float],
    models: int,
) -> Held:
    """The row of one cure, from the audit of its lineage.

    ``human_text``: by seed, how many nats a token worse than generation 0 the last model predicts people's held-out
    text. The other figures are the statistics that a recipe may hold (``Gate.held``), where the audit measured them.
    """
    last = max((f.generation for f in report.findings if f.gating), default=0)
    own = [f for f in report.findings if f.gating and f.generation == last]
    figures = [Figure(name=HUMAN_TEXT, unit="nats a token", scale="linear", by_seed=human_text)] if human_text else []
    for key, gate in gates.items():
        values = {f.seed or "0": f.value for f in own if (f.probe, f.statistic) == key and f.value is not None}
        if not gate.held or not values or gate.worst_of_many:
            continue
        scale: Scale = "log" if gate.unit == "ratio" and min(values.values()) > 0 else "linear"
        figures.append(Figure(name=gate.held, unit=gate.unit, scale=scale, by_seed=values))
    broken = [f.generation for f in report.findings if f.gating and f.outcome is Outcome.FAIL]
    return Held(
        name=name,
        says=says,
        verdict=report.verdict.value,
        failed=Counter(f.outcome.value for f in own),
        first=min(broken, default=None),
        human_share=human_share,
        models=models,
        figures=tuple(figures),
    )


def columns(rows: Sequence[Held]) -> list[str]:
    """Names of the figures, in the order in which they first come."""
    return list(dict.fromkeys(figure.name for row in rows for figure in row.figures))


def cells(row: Held, names: Iterable[str]) -> list[str]:
    """The row as text: verdict, first generation that failed, its cost in human text and models, then its figures."""
    figures = {figure.name: figure for figure in row.figures}
    first = "–" if row.first is None else str(row.first)
    cost = (f"{row.human_share:.0%}", str(row.models))
    return [row.name, row.verdict, first, *cost, *(_cell(figures.get(name)) for name in names)]


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return shown(figure.mean, figure.interval)


def shown(mean: float, interval: tuple[float, float] | None) -> str:
    """A figure as text: ``0.89 (0.78 to 1.03)``."""
    return f"{mean:.2f}" + ("" if interval is None else f" ({interval[0]:.2f} to {interval[1]:.2f})")
