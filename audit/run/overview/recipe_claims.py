"""What several seeds say of a recipe: the seed is the unit, never the document.

Whether *this* model has collapsed is settled by its documents. Whether the *recipe* makes models collapse is another
question: documents of several seeds pooled would answer it wrongly, because models of different seeds differ by more
than their documents do (at a between-seed spread of a tenth of a document's, a pooled test of five seeds rejects 37
of 100 recipes that change nothing). So each seed gives one number, and a t interval over the seeds judges the recipe.
It never gates.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.estimates import exponential
from collapse_audit.probes.statistics.readings import LEVEL, Estimate, Gate, Z
from collapse_audit.reports.document import Finding, Interval, Outcome
from collapse_audit.verdicts.family import judge_family
from collapse_audit.verdicts.rule import Judgement

MIN_SEEDS = 3
"""Fewer runs than these carry no claim about what made them."""
_MOST_SEEDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeClaim:
    """One statistic of one generation over all seeds."""

    probe: str
    statistic: str
    unit: str
    worse: str
    margin: float
    generation: int
    seeds: tuple[Mapping[str, Any], ...]
    """``seed``, ``value`` and, where bounded, ``low`` and ``high`` of each seed's own finding."""
    n_seeds: int
    outcome: Outcome
    value: float | None = None
    """Mean over seeds; of ratios the geometric one."""
    interval: Interval | None = None
    between_seeds: float | None = None
    """Standard deviation between seeds beyond what their documents explain; of ratios, of their logarithm."""
    p_value: float | None = None
    p_adjusted: float | None = None
    n_needed: int | None = None
    """Seeds that would settle it, were they to differ as these do."""
    reason: str


def recipe_claims(
    findings: Iterable[Finding], gate_of: Callable[[Finding], Gate], *, alpha: float
) -> tuple[RecipeClaim, ...]:
    """A claim for every gated statistic and generation that at least two seeds measured.

    ``gate_of`` gives the gate in force for a finding. Holm's correction is over the statistics of a generation: each
    generation is a claim of its own ("after k rounds"). One seed alone says nothing of a recipe, and no claim is made.
    """
    findings = tuple(findings)
    # A copy of another run, or a run that wrote nothing new, is no further run.
    no_run = {(f.seed, f.generation) for f in findings if f.outcome is Outcome.FAIL and gate_of(f).checks_run}
    groups: dict[tuple[str, str, int], list[Finding]] = {}
    for finding in findings:
        usable = finding.gating and finding.value is not None and (finding.seed, finding.generation) not in no_run
        gate = gate_of(finding)
        # A trend has Page's test over the seeds.
        if usable and not (gate.worst_of_many or gate.checks_run or gate.along):
            groups.setdefault((finding.probe, finding.statistic, finding.generation), []).append(finding)
    groups = {key: group for key, group in groups.items() if len({finding.seed for finding in group}) > 1}
    gates = {key: _gate(group, gate_of(group[0])) for key, group in groups.items()}
    estimates = {key: _over_seeds(group, gates[key]) for key, group in groups.items()}
    judged: dict[tuple[str, str, int], Judgement] = {}
    for generation in {key[2] for key in groups}:
        family = {key: estimate for key, estimate in estimates.items() if key[2] == generation and estimate is not None}
        judged |= judge_family(family, gates, alpha=alpha, unit="seeds")
    return tuple(_claim(group, gates[key], estimates[key], judged.get(key)) for key, group in groups.items())


def _gate(group: Sequence[Finding], gate: Gate) -> Gate:
    """The margins in force, which an automatic one settles for each seed: the strictest of those that pass. A move is
    a loss where it was one in every seed."""
    margins = [finding.margin for finding in group if finding.margin is not None]
    passes = [finding.margin if finding.pass_margin is None else finding.pass_margin for finding in group]
    strictest = min if gate.worse == "higher" else max
    known = [margin for margin in passes if margin is not None]
    return dataclasses.replace(
        gate,
        margin=strictest(margins, default=gate.margin),
        kind="loss" if all(finding.kind == "loss" for finding in group) else gate.kind,
        pass_margin=strictest(known) if known else gate.pass_margin,
    )


def _over_seeds(group: Sequence[Finding], gate: Gate) -> Estimate | None:
    """Mean over seeds with Student's t interval and its one-sided p-value; None where there are too few seeds."""
    theta, log = _thetas(group, gate)
    seeds = theta.size
    spread = float(theta.std(ddof=1))
    if spread == 0 and not theta.any():
        spread = _own_error(group, log=log)
    if seeds < MIN_SEEDS or spread == 0 or _one_sided(group):
        return None
    mean, error = float(theta.mean()), spread / math.sqrt(seeds)
    reach = float(stdtrit(seeds - 1, (1 + LEVEL) / 2)) * error
    damage = mean if gate.worse == "higher" else -mean
    back = exponential if log else float
    return Estimate(
        value=back(mean),
        low=back(mean - reach),
        high=back(mean + reach),
        method=f"Student's t over {seeds} seeds" + (", of the logarithm" if log else ""),
        p_value=max(float(stdtr(seeds - 1, -damage / error)), math.ulp(0.0)),
        n_baseline=seeds,
        n_generation=seeds,
        n_needed=lambda margin: _seeds_needed(mean, math.log(margin) if log else margin, spread, seeds),
    )


def _one_sided(group: Sequence[Finding]) -> bool:
    """Whether any seed was compared with what its models were trained on: a bias that all seeds share."""
    return any("one-sided" in finding.notes for finding in group)


def _own_error(group: Sequence[Finding], *, log: bool) -> float:
    """Root mean square of the seeds' own standard errors; 0 where a seed has none. Where nothing
    changed in any (no duplicates, say), that is still known no better than the documents tell."""
    errors = _errors(group, log=log)
    return 0.0 if errors is None else float(np.sqrt(np.mean(errors**2)))


def _errors(group: Sequence[Finding], *, log: bool) -> FloatArray | None:
    """Standard error of every seed from its own interval, shape (S,); None where an interval is open."""
    bounds = [(f.interval.low, f.interval.high) for f in group if f.interval is not None]
    closed = [(low, high) for low, high in bounds if low is not None and high is not None and (low > 0 or not log)]
    if len(closed) < len(group):
        return None
    ends = np.log(closed) if log else np.array(closed)
    return np.asarray((ends[:, 1] - ends[:, 0]) / (2 * Z))


def _thetas(group: Sequence[Finding], gate: Gate) -> tuple[FloatArray, bool]:
    """The seeds' values, shape (S,), and whether they were put on the log scale, on which ratios have a mean."""
    values = np.array([finding.value for finding in group], dtype=np.float64)
    log = gate.unit == "ratio" and bool((values > 0).all())
    return (np.log(values) if log else values), log


def _seeds_needed(mean: float, margin: float, spread: float, seeds: int) -> float:
    """The fewest seeds whose t interval would end short of the margin; inf where not even a thousand would do."""
    counts = np.arange(seeds + 1, _MOST_SEEDS)
    enough = stdtrit(counts - 1, (1 + LEVEL) / 2) * spread / np.sqrt(counts) < abs(margin - mean)
    return float(counts[enough.argmax()]) if enough.any() else math.inf


def _claim(group: Sequence[Finding], gate: Gate, estimate: Estimate | None, judged: Judgement | None) -> RecipeClaim:
    first = group[0]
    common: dict[str, Any] = {
        "probe": first.probe,
        "statistic": first.statistic,
        "unit": gate.unit,
        "worse": gate.worse,
        "margin": gate.margin,
        "generation": first.generation,
        "seeds": tuple(_dot(finding) for finding in group),
        "n_seeds": len(group),
    }
    if estimate is None or judged is None:
        few = len(group) < MIN_SEEDS
        if few:
            why = f"{len(group)} seeds carry no claim about a recipe; at least {MIN_SEEDS} do"
        elif _one_sided(group):
            why = "the models were trained on their baseline's texts, a bias that all seeds share; hold texts out"
        else:
            why = "all seeds agree to the last digit: they are no independent runs, or there is nothing to measure"
        needed = MIN_SEEDS if few else None
        return RecipeClaim(outcome=Outcome.INCONCLUSIVE, reason=why, n_needed=needed, **common)
    return RecipeClaim(
        outcome=judged.outcome,
        value=estimate.value,
        interval=Interval(low=estimate.low, high=estimate.high, level=LEVEL, method=estimate.method),
        between_seeds=_between(group, gate),
        p_value=estimate.p_value,
        p_adjusted=judged.p_adjusted,
        n_needed=judged.n_needed,
        reason=judged.reason,
        **common,
    )


def _between(group: Sequence[Finding], gate: Gate) -> float | None:
    """sqrt(var(theta) - mean SE^2), not below 0; None where a seed's own interval is open."""
    theta, log = _thetas(group, gate)
    errors = _errors(group, log=log)
    return None if errors is None else math.sqrt(max(0.0, float(theta.var(ddof=1) - np.mean(errors**2))))


def _dot(finding: Finding) -> dict[str, Any]:
    low, high = (None, None) if finding.interval is None else (finding.interval.low, finding.interval.high)
    return {"seed": finding.seed, "value": finding.value, "low": low, "high": high}
