"""Two recipes, with the seeds as the units: the damages that two audits found, compared by a t test over seeds.

Documents of different seeds are never pooled: seeds of one recipe differ by more than their documents do, and a test
that takes documents for its units calls that a difference.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtr, stdtrit

from collapse_audit.comparison.claims import Contrast, Held, from_scale, to_scale
from collapse_audit.probes.registry import Gates
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.estimates import Scale
from collapse_audit.probes.statistics.readings import LEVEL, Gate, Z
from collapse_audit.reports.document import AuditReport, Finding, Outcome

MIN_SEEDS = 3
"""Fewer seeds than this carry no claim about a recipe."""
ONLY_SEED = "only"
"""What the one seed of a lineage without seeds is called."""
_SAME_N = 0.10
"""Relative difference of numbers of documents that is tolerated where a gate depends on them."""
_ROUNDING = 1e-12

Key = tuple[str, str]
"""Probe and statistic."""


def over_seeds(
    a: AuditReport, b: AuditReport, generation: int, gates: Gates, defaults: Mapping[Key, float] | None = None
) -> tuple[Contrast, ...]:
    """A contrast of every gated statistic of ``generation``: difference, interval and p, not yet judged.

    Plain facts (findings without a p-value) are no damage on a scale and are left out. ``gates`` are those
    of the probes that both were audited with; ``defaults`` as in :func:`margin_on_scale`.
    """
    of_a, of_b = (_by_seed(report, generation) for report in (a, b))
    return tuple(
        _contrast(key, of_a.get(key, {}), of_b.get(key, {}), gates[key], defaults or {}) for key in {**of_a, **of_b}
    )


def _by_seed(report: AuditReport, generation: int) -> dict[Key, dict[str, Finding]]:
    sorted_out: dict[Key, dict[str, Finding]] = {}
    for finding in report.findings:
        fact = finding.value is not None and finding.p_value is None
        if finding.gating and finding.generation == generation and not fact:
            seed = ONLY_SEED if finding.seed is None else finding.seed
            sorted_out.setdefault((finding.probe, finding.statistic), {})[seed] = finding
    return sorted_out


def _contrast(
    key: Key, a: Mapping[str, Finding], b: Mapping[str, Finding], gate: Gate, defaults: Mapping[Key, float]
) -> Contrast:
    first = next(iter((*a.values(), *b.values())))
    scale: Scale = "log" if first.unit == "ratio" else "linear"
    blank = Contrast(
        level="recipe",
        units="seeds",
        probe=key[0],
        statistic=key[1],
        generation=first.generation,
        unit=first.unit,
        worse="higher" if first.worse == "higher" else "lower",
        scale=scale,
        margin=margin_on_scale(first, defaults),
        error=any(finding.outcome is Outcome.ERROR for finding in (*a.values(), *b.values())),
    )
    unfit = _unfit(gate, a, b, scale)
    return dataclasses.replace(blank, reason=unfit) if unfit else _compared(blank, a, b)


def margin_on_scale(finding: Finding, defaults: Mapping[Key, float]) -> float | None:
    """How far the margin lies from "no change", which is 0, or a ratio of 1 (then on logarithms).

    ``defaults`` holds the margins that stand in for automatic ones, where fail starts at "no change" itself: within
    that no two recipes ever are.
    """
    margin = defaults.get((finding.probe, finding.statistic), finding.margin)
    if margin is None:
        return None
    return abs(math.log(margin) if finding.unit == "ratio" else margin)


def _unfit(gate: Gate, a: Mapping[str, Finding], b: Mapping[str, Finding], scale: Scale) -> str:
    """Why the findings of the two lineages cannot be set against each other; "" where they can."""
    if not a or not b:
        return f"{'B' if a else 'A'} has no such finding"
    for name, side in (("A", a), ("B", b)):
        for finding in side.values():
            if finding.value is None:
                what = "an error" if finding.outcome is Outcome.ERROR else "not measured"
                return f"{what} in {name}: {finding.reason}"
    both = (*a.values(), *b.values())
    if gate.worst_of_many:
        return "its value is that of the worst category, another one in each seed, and has no mean"
    if any("one-sided" in finding.notes for finding in both):
        return "a generation is compared with texts that it descends from; texts held out would make it fair"
    counts = [finding.n_generation or 0 for finding in both]
    if gate.depends_on_n and max(counts) - min(counts) > _SAME_N * max(counts):
        return (
            f"it depends on the number of documents, which runs from {min(counts):,} to {max(counts):,}; "
            f"--set max_documents={min(counts)} makes it the same"
        )
    if scale == "log" and any((finding.value or 0.0) <= 0 for finding in both):
        return "a ratio of 0 has no logarithm"
    return ""


def _compared(blank: Contrast, a: Mapping[str, Finding], b: Mapping[str, Finding]) -> Contrast:
    scale = blank.scale
    values = [{seed: float(finding.value or 0.0) for seed, finding in side.items()} for side in (a, b)]
    x, y = ({seed: to_scale(value, scale) for seed, value in side.items()} for side in values)
    shared = [seed for seed in x if seed in y]
    if shared:
        n, how, have = len(shared), "paired by seed", f"{len(shared)} in common"
        mean, error, df = paired(np.array([x[seed] - y[seed] for seed in shared]))
        pairs = [(a[seed], b[seed]) for seed in shared]
    else:
        n, how, have = min(len(x), len(y)), "not paired: no seed in common", f"{len(x)} and {len(y)}"
        mean, error, df = unpaired(np.array(list(x.values())), np.array(list(y.values())))
        pairs = list(zip(a.values(), b.values(), strict=False))
    shown = dataclasses.replace(blank, a=values[0], b=values[1], n=n, difference=from_scale(mean, scale))
    nothing = dataclasses.replace(shown, outcome=Held.OPEN, b_may_be_worse=True)
    if n < MIN_SEEDS:
        reason = f"no claim about a recipe can rest on fewer than three seeds ({have})"
        return dataclasses.replace(nothing, reason=reason)
    if error <= _ROUNDING * max(1.0, *map(abs, (*x.values(), *y.values()))):
        # Seeds that do not differ at all tell nothing of their spread; the least is what the documents leave open.
        error = _of_documents(pairs, scale) / math.sqrt(n)
    if not math.isfinite(error):
        return dataclasses.replace(nothing, reason="the seeds show no spread, and their documents allow no interval")
    reach = float(stdtrit(df, (1 + LEVEL) / 2)) * error
    return dataclasses.replace(
        shown,
        low=from_scale(mean - reach, scale),
        high=from_scale(mean + reach, scale),
        p_value=min(1.0, 2 * float(stdtr(df, -abs(mean) / error))),
        reason=f"t test over {n} seeds, {how}",
    )


def paired(differences: FloatArray) -> tuple[float, float, float]:
    """Mean of differences of shape (S,), its standard error (0 for S = 1) and its degrees of freedom."""
    n = differences.size
    spread = float(differences.std(ddof=1)) if n > 1 else 0.0
    return float(differences.mean()), spread / math.sqrt(n), float(max(n - 1, 1))


def unpaired(x: FloatArray, y: FloatArray) -> tuple[float, float, float]:
    """Difference of means, its standard error and degrees of freedom (Welch 1947, doi 10.1093/biomet/34.1-2.28)."""
    parts = [float(side.var(ddof=1)) / side.size if side.size > 1 else 0.0 for side in (x, y)]
    whole = sum(parts)
    lost = sum(part**2 / max(side.size - 1, 1) for part, side in zip(parts, (x, y), strict=True))
    df = whole**2 / lost if lost > 0 else float(max(x.size + y.size - 2, 1))
    return float(x.mean() - y.mean()), math.sqrt(whole), df


def _of_documents(pairs: Sequence[tuple[Finding, Finding]], scale: Scale) -> float:
    """Root mean square error of a difference of two values, from the intervals that the audits gave them."""
    return math.sqrt(sum(_error(a, scale) ** 2 + _error(b, scale) ** 2 for a, b in pairs) / len(pairs))


def _error(finding: Finding, scale: Scale) -> float:
    interval = finding.interval
    if interval is None or interval.low is None or interval.high is None or (scale == "log" and interval.low <= 0):
        return math.inf
    width = to_scale(interval.high, scale) - to_scale(interval.low, scale)
    return width / (2 * Z) if width > 0 else math.inf
