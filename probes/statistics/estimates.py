"""From a value, its influence and its replicates to an estimate: the statistics that all probes share.

Every interval is two-sided at 90%, so that each end is the one-sided 95% bound that the verdict uses. Every p-value is
a permutation p-value in the direction of damage: exact, because blocks of documents are exchangeable under "no change".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.statistics.design import Design, FloatArray, Sized
from collapse_audit.probes.statistics.readings import RULE_OF_THREE, Z_POWER, Estimate, NotMeasured, Reading, Worse, Z
from collapse_audit.probes.statistics.tables import side_sums

Scale = Literal["linear", "log"]

_TIE = 1e-10
"""Relative slack within which a replicate counts as equal to the observed value: rounding must not make a test."""
_ROUNDING = 1e-12
"""Relative change that sums in another order may make."""


def permutation_p(replicates: FloatArray, *, worse: Worse) -> float:
    """p = (1 + #{T_b at least as bad as T_0}) / (B + 1); ``replicates`` has shape (B + 1,), the observed first."""
    damage = replicates if worse == "higher" else -replicates
    observed = damage[0]
    slack = _TIE * max(1.0, abs(observed)) if np.isfinite(observed) else 0.0
    return float(np.count_nonzero(damage >= observed - slack) / damage.size)


def estimate(
    value: float,
    error: float,
    *,
    scale: Scale,
    worse: Worse,
    p_value: float,
    design: Sized,
    method: str,
    high: float | None = None,
    n_needed: Callable[[float], float] | None = None,
    deciding: float = 0.0,
    **details: Any,
) -> Estimate:
    """An estimate with a normal interval on ``scale``.

    ``value`` is in the reader's unit; ``error`` is its standard error on ``scale`` (of ln value where that is "log").
    ``high`` and ``n_needed`` replace the upper bound and the n that would settle it where a probe has better ones.
    ``deciding`` is the standard error behind the test, where that is larger than the interval's: power hangs on it.
    """
    n_baseline, n_generation = design.documents(False), design.documents(True)
    low, upper = _interval(value, error, scale)
    hardest = max(error, deciding)
    reach = (Z + Z_POWER) * hardest
    if design.too_few:
        details.setdefault("explanation", design.too_few)
    detectable = reach if scale == "linear" else exponential(reach if worse == "higher" else -reach)
    return Estimate(
        value=value,
        low=low,
        high=upper if high is None else high,
        method=f"{method}; {design.described}",
        p_value=p_value,
        n_baseline=n_baseline,
        n_generation=n_generation,
        minimum_detectable=(-detectable if scale == "linear" and worse == "lower" else detectable)
        if math.isfinite(reach)
        else None,
        n_needed=n_needed or needed(value, hardest, scale=scale, n=min(n_baseline, n_generation)),
        **details,
    )


def needed(value: float, error: float, *, scale: Scale, n: int) -> Callable[[float], float]:
    """Documents a side that settle ``value`` against a margin with 90% power, standard errors falling as 1/sqrt(n)."""

    def against(margin: float) -> float:
        apart: float = margin - value if scale == "linear" else math.log(margin) - math.log(max(value, 1e-300))
        if apart == 0 or not math.isfinite(error):
            return math.inf
        return float(math.ceil(max(n, 1) * ((Z + Z_POWER) * error / apart) ** 2))

    return against


def settling_n(n: int, settled: Callable[[float], bool]) -> float:
    """The smallest number of documents a side, n times a factor, for which ``settled(factor)`` holds; inf if none."""
    for factor in np.geomspace(1.0, 1e4, 600):
        if settled(float(factor)):
            return float(math.ceil(n * factor))
    return math.inf


def _interval(value: float, error: float, scale: Scale) -> tuple[float, float]:
    if not math.isfinite(error):
        return (0.0 if scale == "log" else -math.inf), math.inf
    if scale == "linear":
        return value - Z * error, value + Z * error
    return value * math.exp(-Z * error), value * exponential(Z * error)


def exponential(value: float) -> float:
    """e to the ``value``, and no more than a number holds: an interval may reach further than any ratio can."""
    return math.exp(min(value, 700.0))


def ratio_of_sums(
    top: FloatArray,
    bottom: FloatArray,
    *,
    design: Design,
    relabellings: npt.NDArray[np.uint8] | None = None,
    scale: Scale,
    worse: Worse,
    share: bool = False,
    p_value: float | None = None,
    statistic: str = "",
    **details: Any,
) -> Reading:
    """Compare sum(top)/sum(bottom) of the two sides: their difference ("linear") or their ratio ("log").

    ``top`` and ``bottom`` are per-block sums, shape (K,); with ``bottom`` = documents this compares means. The test
    is a studentised permutation (Chung & Romano 2013, doi 10.1214/13-AOS1090): plain permutation of such a ratio
    rejects up to 14% of equal pairs whose spread and n differ. The interval is the linearised one, blocks as units.
    ``share`` says that per-document values lie in [0, 1]; the error is then never below what "0 of n" allows (rule of
    three). ``p_value``: where the caller has tested already, in place of ``relabellings``.
    """
    if scale == "log":
        if not top[~design.side].any():
            return NotMeasured(statistic=statistic, reason="it is zero in the baseline, so no ratio to it exists")
        top = _never_nothing(top, design.side)
    if p_value is None:
        assert relabellings is not None
        changes = studentised_changes(top, bottom, design=design, relabellings=relabellings, scale=scale)
        p_value = permutation_p(changes, worse=worse)
    baseline, generation = (top[side].sum() / bottom[side].sum() for side in (~design.side, design.side))
    error = ratio_error(top, bottom, design=design, scale=scale)
    if share:
        error = max(error, rule_of_three(design))
    if error == 0:
        error = math.inf  # all scores alike, and nothing known of their range: no interval is to be had
    return estimate(
        float(generation / baseline if scale == "log" else generation - baseline),
        error,
        scale=scale,
        worse=worse,
        p_value=p_value,
        design=design,
        method="linearised ratio, normal",
        statistic=statistic,
        **details,
    )


def ratio_error(top: FloatArray, bottom: FloatArray, *, design: Design, scale: Scale) -> float:
    """Linearised standard error of the change of sum(top)/sum(bottom), blocks as units; both sides hold ``top``."""
    return design.standard_error(ratio_influence(top, bottom, design.side, scale))


def _never_nothing(top: FloatArray, side: npt.NDArray[np.bool_]) -> FloatArray:
    """Half an occurrence where the generation has none: ln 0 has no interval; this one ends near 3 expected ones."""
    if top[side].any():
        return top
    floored = top.copy()
    floored[np.flatnonzero(side)[0]] = top[top > 0].min() / 2
    return floored


def studentised_changes(
    top: FloatArray,
    bottom: FloatArray,
    *,
    design: Design,
    relabellings: npt.NDArray[np.uint8],
    scale: Scale,
) -> FloatArray:
    """Change of sum(top)/sum(bottom) over its standard error under every relabelling; shape (B + 1,).

    In a paired design the spread of the differences is the same under every swap of signs, so nothing is divided.
    """
    return studentised(*_sides(top, bottom, relabellings), scale=scale, paired=design.paired)


def studentised(ratios: FloatArray, errors: FloatArray, *, scale: Scale, paired: bool = False) -> FloatArray:
    """Change from the first row to the second over its standard error; ``ratios`` and ``errors`` have shape (2, B + 1).

    ``paired``: the spread is the same under every relabelling, and is not divided by.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if scale == "log":
            ratios, errors = np.log(ratios), errors / ratios
        change = ratios[1] - ratios[0]
        # Where all values are alike, change and spread are what the sums rounded to, which hangs on the processor.
        size = 1.0 if scale == "log" else np.abs(ratios).max(axis=0)
        change = np.where(np.abs(change) <= _ROUNDING * size, 0.0, change)
        spread = np.ones_like(change) if paired else np.hypot(*errors)
        # A side with nothing has an infinite change and no spread: the change alone is what counts.
        usual = np.isfinite(change) & (change != 0)
        # No number at all (a side of one block has no spread) is no evidence.
        scaled = np.where(usual, change / spread, change)
        return np.asarray(np.nan_to_num(scaled, nan=0.0, posinf=np.inf, neginf=-np.inf), dtype=np.float64)


def effective_size(weights: FloatArray) -> float:
    """Units of equal weight that carry as much as these: (sum w)^2 / sum w^2 (Kish 1965, Survey Sampling, 11.7)."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


def rule_of_three(design: Sized) -> float:
    """Standard error below which no difference of two shares is claimed: a share of 0 of n may still be 3/n."""
    return RULE_OF_THREE * math.sqrt(2) / (Z * max(design.units, 1))


def _sides(top: FloatArray, bottom: FloatArray, relabellings: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Ratio and its standard error on both sides under every relabelling; each of shape (2, B + 1)."""
    columns = np.stack((top, bottom, top**2, top * bottom, bottom**2, np.ones_like(top)), axis=1)
    t, b, tt, tb, bb, n = side_sums(columns, relabellings).transpose(2, 0, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = t / b
        variance = np.maximum(tt - 2 * ratio * tb + ratio**2 * bb, 0.0) / b**2 * n / (n - 1)
    return ratio, np.sqrt(variance)


def ratio_influence(top: FloatArray, bottom: FloatArray, side: npt.NDArray[np.bool_], scale: Scale) -> FloatArray:
    """Influence of every block on the change of sum(top)/sum(bottom); shape (K,). Both sides hold ``bottom``, and on
    the scale "log" ``top``."""
    influence = np.empty_like(top)
    for which, sign in ((side, 1.0), (~side, -1.0)):
        ratio = top[which].sum() / bottom[which].sum()
        influence[which] = sign * (top[which] - ratio * bottom[which]) / bottom[which].sum()
        if scale == "log":
            influence[which] /= ratio
    return influence


def jackknife(full: float, without: FloatArray) -> FloatArray:
    """Influence values of a statistic of n blocks from its n leave-one-out values, shape (n,), centred.

    Their squares, summed and scaled as :meth:`Design.standard_error` does, give the jackknife variance, which never
    underestimates in expectation (Efron & Stein 1981, doi 10.1214/aos/1176345462).
    """
    n = without.size
    values = (full - without) * (n - 1) / n
    return np.asarray(values - values.mean())
