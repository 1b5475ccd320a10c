"""Two measurements of the same items: the change of their mean, or of a ratio of sums, its test and its bounds.

The items (documents of a task, human contexts, reference texts) are the same on both sides, so each is its own
control. Under "no change" the two measurements of an item may swap places, which flips the sign of its difference:
the test draws from all such flips, or walks through all of them where they are few, and is exact (Fisher 1935, The
Design of Experiments, ch. 3; Phipson & Smyth 2010, doi 10.2202/1544-6115.1585). Bounds come from resampling items,
corrected for bias and skewness (BCa: Efron 1987, doi 10.1080/01621459.1987.10478410).

Items of one ``group`` (a patient, a source) are flipped and resampled together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from collapse_audit.errors import ProbeError
from collapse_audit.probes.statistics.design import MIN_UNITS, FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import effective_size, needed, permutation_p
from collapse_audit.probes.statistics.readings import RULE_OF_THREE, Z_POWER, Estimate, Worse, Z

RESAMPLES = 1999
"""Bootstrap resamples behind a bound."""
_LEVEL = 0.05
_PORTION = 1 << 21
"""Entries of the largest matrix held at once (16 MiB of float64)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What the second measurement adds to the first, summed over each of U units (items, or groups of them)."""

    change: FloatArray
    """Shape (U,): sums of (second - first)."""
    weight: FloatArray
    """Shape (U,): what the sums are divided by: the number of items, of words, of bytes. The same on both sides."""
    share: bool = False
    """Whether an item's values lie in [0, 1], so that "no difference in n items" still allows one in n/3."""

    @property
    def value(self) -> float:
        """The change of the mean, or of the ratio of sums."""
        return float(self.change.sum() / self.weight.sum())

    @property
    def influence(self) -> FloatArray:
        """How much each unit moves :attr:`value`; shape (U,), sums to zero."""
        return np.asarray((self.change - self.value * self.weight) / self.weight.sum())

    @property
    def error(self) -> float:
        """Standard error of :attr:`value`, units independent; infinite for fewer than ``MIN_UNITS``."""
        units = self.change.size
        if units < MIN_UNITS:
            return math.inf
        spread = 0.0 if self.alike else float(np.sqrt(np.square(self.influence).sum() * units / (units - 1)))
        # Changes all alike, and nothing known of their range: no interval is to be had.
        return max(spread, self.floor / Z) or math.inf

    @property
    def alike(self) -> bool:
        """Whether every unit changed by the same amount, rounding aside: resampling then shows no spread."""
        rounding = 1e-12 * float(np.abs(self.change).sum() / self.weight.sum())
        return bool((np.abs(self.influence) <= rounding).all())

    @property
    def equal_units(self) -> float:
        """Units of equal weight that carry as much as these."""
        return effective_size(self.weight) * (1 + 1e-9)  # rounding aside

    @property
    def floor(self) -> float:
        """Reach below which no bound of a share is claimed: 0 of n may still be 3 of n (rule of three)."""
        if not self.share:
            return 0.0
        largest = float(self.weight.max() / self.weight.sum())  # of a group: what one unseen unit could bring
        return RULE_OF_THREE * largest


def differences(
    first: FloatArray,
    second: FloatArray,
    *,
    weights: FloatArray | None = None,
    group: IntArray | None = None,
    share: bool = False,
) -> Differences:
    """The differences of two measurements of the same n items, in the same order; arrays of shape (n,).

    With ``weights`` (words or bytes of each item) the measurements are sums over the item, and the value compared is
    sum(measurement) / sum(weights). ``group`` holds integers: items of one group are one unit. Raises ProbeError.
    """
    weights = np.ones_like(first) if weights is None else weights
    if not first.shape == second.shape == weights.shape or first.ndim != 1:
        raise ProbeError(f"paired items: shapes {first.shape}, {second.shape} and {weights.shape} are not one (n,)")
    if not first.size:
        raise ProbeError("paired items: there are none")
    if not (np.isfinite(first).all() and np.isfinite(second).all() and np.isfinite(weights).all()):
        raise ProbeError("paired items: a value is not a finite number")
    if (weights < 0).any() or not weights.any():
        raise ProbeError("paired items: weights must not be negative, nor all zero")
    change = second - first
    if group is not None:
        units = np.unique(group, return_inverse=True)[1]
        change, weights = (np.bincount(units, weights=each).astype(np.float64) for each in (change, weights))
    return Differences(change=change, weight=weights, share=share)


def paired(
    baseline: FloatArray,
    generation: FloatArray,
    *,
    worse: Worse,
    permutations: int,
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    group: IntArray | None = None,
    share: bool = False,
    **details: Any,
) -> Estimate:
    """The change from ``baseline`` to ``generation``, measured on the same n items; arrays of shape (n,).

    The value is mean(generation) - mean(baseline), or with ``weights`` sum(generation) / sum(weights) less
    sum(baseline) / sum(weights), in the unit of the measurements. ``share``: the values lie in [0, 1]. ``details`` are
    further fields of the Estimate. Raises ProbeError where the arrays do not fit together.
    """
    both = differences(baseline, generation, weights=weights, group=group, share=share)
    low, high = bounds(both, rng=rng)
    reach = (Z + Z_POWER) * both.error
    detectable = reach if worse == "higher" else -reach
    return Estimate(
        value=both.value,
        low=low,
        high=high,
        method=f"paired bootstrap, BCa; {'items' if group is None else 'groups'}",
        p_value=permutation_p(flipped(both.change[:, None], permutations, rng)[:, 0], worse=worse),
        n_baseline=baseline.size,
        n_generation=generation.size,
        minimum_detectable=detectable if math.isfinite(reach) else None,
        n_needed=needed(both.value, both.error, scale="linear", n=baseline.size),
        **details,
    )


def flipped(changes: FloatArray, permutations: int, rng: np.random.Generator) -> FloatArray:
    """Sums of ``changes``, shape (U, J), under flips of the units' signs; row 0 is the observed one.

    The J columns of a unit are flipped together, so whatever ties them to each other stays. All flips are walked
    through where they are no more than ``permutations`` + 1, else ``permutations`` are drawn. Shape (B + 1, J).
    """
    moved = changes[(changes != 0).any(axis=1)]  # the others are the same under either sign
    count = permutations + 1
    if moved.shape[0] < count.bit_length() and 1 << moved.shape[0] <= count:
        code = np.arange(1 << moved.shape[0])[:, None] >> np.arange(moved.shape[0])
        return np.asarray((1.0 - 2.0 * (code & 1)) @ moved)
    sums = np.empty((count, moved.shape[1]))
    sums[0] = moved.sum(axis=0)
    for rows in _portions(permutations, moved.shape[0]):
        signs = 2.0 * rng.integers(0, 2, size=(rows.stop - rows.start, moved.shape[0]), dtype=np.int8) - 1.0
        sums[1 + rows.start : 1 + rows.stop] = signs @ moved
    return sums


def bounds(both: Differences, *, rng: np.random.Generator, level: float = _LEVEL) -> tuple[float, float]:
    """One-sided lower and upper bound, each missed with probability about ``level``; infinite where there is none."""
    value, units = both.value, both.change.size
    if units < MIN_UNITS or not math.isfinite(both.error):
        return -math.inf, math.inf
    if both.alike:
        return value - both.floor, value + both.floor
    influence = both.influence
    drawn = _resampled(both, rng)
    below = (np.count_nonzero(drawn < value) + 0.5 * np.count_nonzero(drawn == value)) / drawn.size
    bias = ndtri(min(max(below, 1 / (drawn.size + 1)), 1 - 1 / (drawn.size + 1)))
    skewness = float((influence**3).sum() / (6 * np.square(influence).sum() ** 1.5))
    shifted = bias + np.array([-1.0, 1.0]) * -ndtri(level)
    low, high = np.quantile(drawn, ndtr(bias + shifted / (1 - skewness * shifted)))
    return min(float(low), value - both.floor), max(float(high), value + both.floor)


def _resampled(both: Differences, rng: np.random.Generator) -> FloatArray:
    """The value in ``RESAMPLES`` samples of the units, drawn with replacement."""
    units = both.change.size
    drawn = np.empty(RESAMPLES)
    for rows in _portions(RESAMPLES, units):
        chosen = rng.integers(0, units, size=(rows.stop - rows.start, units), dtype=np.int32)
        drawn[rows] = both.change[chosen].sum(axis=1) / both.weight[chosen].sum(axis=1)
    return drawn


def _portions(rows: int, columns: int) -> Iterator[slice]:
    """Slices of ``rows`` such that none times ``columns`` is more than is held at once."""
    size = max(1, _PORTION // max(columns, 1))
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))
