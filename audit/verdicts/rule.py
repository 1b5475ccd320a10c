"""The one rule: when an estimate is a fail, when it is a pass, and when nobody can tell. Pure functions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collapse_audit.probes.statistics.readings import Estimate, Gate, Kind
from collapse_audit.reports.document import Outcome, about, enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the rule says of one estimate, and why."""

    outcome: Outcome
    reason: str
    notes: tuple[str, ...] = ()
    n_needed: int | None = None
    kind: Kind = "loss"
    p_adjusted: float | None = None
    """Corrected for the family of tests; None for a plain fact and for context."""


def judge(
    estimate: Estimate, gate: Gate, *, p_adjusted: float | None, alpha: float, unit: str = "documents a side"
) -> Judgement:
    """Judge one estimate, whose n counts ``unit``.

    * fail: "no change" is rejected (Holm-adjusted p <= alpha) and the one-sided 95% bound lies beyond the margin; of a
      move, which only says that two distributions differ, the same is called changed;
    * pass: the one-sided 95% bound on the other side lies within the margin, so a change of its size would have shown;
    * inconclusive: anything else, with the n that would settle it.

    A significant change within the margin passes with the note ``shift``. A plain fact has no p-value (None): its
    bounds decide alone. Of a trend (``gate.along``) the p-value says that damage grows along the generations, and the
    bounds where its line stands at the last of them: it fails where growth is established and the line does not end
    within the margin by its bound, which is where a forecast's interval reaches into the generations that are there.
    """
    kind = gate.kind if estimate.kind is None else estimate.kind
    judgement = _ruled(estimate, gate, kind, p_adjusted, alpha, unit)
    return dataclasses.replace(judgement, kind=kind, p_adjusted=p_adjusted)


def _ruled(estimate: Estimate, gate: Gate, kind: Kind, p_adjusted: float | None, alpha: float, unit: str) -> Judgement:
    significant = p_adjusted is None or p_adjusted <= alpha
    fail_at, pass_at = gate.margin, gate.margin if gate.pass_margin is None else gate.pass_margin
    if gate.worse == "higher":
        beyond, within, bound, far = estimate.low > fail_at, estimate.high <= pass_at, estimate.low, estimate.high
    else:
        beyond, within, bound, far = estimate.high < fail_at, estimate.low >= pass_at, estimate.high, estimate.low
    if gate.along and significant and not within:
        grows = f"damage grows along the generations, p = {_short(p_adjusted or 0.0)} after Holm"
        return _judged(
            Outcome.FAIL,
            f"{grows}, and the 95% bound {_short(far)} of its line at the last of them lies "
            f"beyond the margin {_short(pass_at)}",
            estimate,
        )
    if beyond and significant and estimate.can_fail:
        chance = "" if p_adjusted is None else f", p = {_short(p_adjusted)} after Holm"
        outcome = Outcome.FAIL if kind == "loss" else Outcome.CHANGED
        return _judged(
            outcome, f"the 95% bound {_short(bound)} lies beyond the margin {_short(fail_at)}{chance}", estimate
        )
    if within:
        moved = p_adjusted is not None and significant
        size = "a real change, but smaller than the margin" if moved else f"{_limit(gate)} would have been seen"
        return _judged(
            Outcome.PASS,
            f"{size}: the 95% bound {_short(far)} lies within {_short(pass_at)}",
            estimate,
            notes=("shift",) if moved else (),
        )
    return _inconclusive(estimate, beyond, significant, fail_at=fail_at, pass_at=pass_at, unit=unit)


def _limit(gate: Gate) -> str:
    """The change that a pass excludes."""
    if gate.pass_margin is None or gate.pass_margin == gate.margin:
        return "a change of the margin"
    return f"a change {'to' if gate.unit == 'ratio' else 'of'} {_short(gate.pass_margin)}"


def _inconclusive(
    estimate: Estimate, beyond: bool, significant: bool, *, fail_at: float, pass_at: float, unit: str
) -> Judgement:
    if beyond and not estimate.can_fail:
        return _judged(
            Outcome.INCONCLUSIVE, "the change lies beyond the margin, but not in a fair comparison", estimate
        )
    if beyond and not significant:
        why = "the change lies beyond the margin, but chance is not excluded after correction for all tests"
    else:
        why = (
            f"the interval [{_short(estimate.low)}, {_short(estimate.high)}] holds the margin "
            f"{_short(fail_at if estimate.can_fail else pass_at)}"
        )
    n_needed = _documents_needed(estimate, fail_at)
    remedy = f"no number of {unit} can be promised to settle it"
    if n_needed:
        remedy = f"{about(enough(n_needed))} {unit} would settle it"
    return _judged(Outcome.INCONCLUSIVE, f"{why}; {remedy}", estimate, n_needed=n_needed)


def _documents_needed(estimate: Estimate, margin: float) -> int | None:
    """Documents a side that would settle the estimate; None where no number can be promised."""
    if estimate.n_needed is None:
        return None
    try:
        needed = estimate.n_needed(margin)
    except ArithmeticError:  # an estimate that lies as good as on the margin
        return None
    if not math.isfinite(needed):
        return None
    # At least one more than there are: what is inconclusive now is not settled by fewer.
    return max(int(needed), min(estimate.n_baseline, estimate.n_generation) + 1)


def _judged(
    outcome: Outcome, reason: str, estimate: Estimate, *, notes: tuple[str, ...] = (), n_needed: int | None = None
) -> Judgement:
    sentence = f"{reason}; {estimate.explanation}" if estimate.explanation else reason
    return Judgement(outcome=outcome, reason=sentence, notes=(*notes, *estimate.notes), n_needed=n_needed)


def _short(value: float) -> str:
    return "unbounded" if math.isinf(value) else f"{value:.4g}"


def holm(p_values: Sequence[float], *, family: int | None = None) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979, www.jstor.org/stable/4615733).

    ``family`` is the number of tests planned, where not all of them are in ``p_values`` (a run stopped at the first
    failure): the missing ones count as if they came last, which can only make the others larger.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = max(family or 0, p.size) - np.arange(p.size)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * steps), 1.0)
    return [float(value) for value in adjusted]
