"""Two corpora compared by counts over all of their documents: no document is held, and none is left out.

Documents are the units. The estimates are those of :mod:`~collapse_audit.probes.statistics.estimates` where every
document is a block: a relabelling of documents is drawn as how many documents of each value fall to either side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln

from collapse_audit.probes.statistics.design import MIN_UNITS, FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import (
    Scale,
    estimate,
    permutation_p,
    rule_of_three,
    studentised,
)
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured, Reading, Worse

_LEAST = 1e-300
_CELLS = 1 << 22
"""Of relabellings times values that are held at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllDocuments:
    """The exchange structure of two whole corpora: any document may stand on either side."""

    baseline: int
    generation: int
    least: int = MIN_UNITS
    too_few: str = ""
    described: str = "all documents counted"

    @property
    def units(self) -> int:
        """Documents on the smaller side."""
        return min(self.baseline, self.generation)

    def documents(self, side: bool) -> int:
        """Documents of the generation (True) or the baseline."""
        return self.generation if side else self.baseline


def compare_means(
    values: FloatArray,
    counts: IntArray,
    *,
    permutations: int,
    rng: np.random.Generator,
    scale: Scale,
    worse: Worse,
    share: bool = False,
    statistic: str = "",
    **details: Any,
) -> Reading:
    """Difference ("linear") or ratio ("log") of the mean value of a document, generation to baseline.

    ``values``, shape (L,), and how often each occurs on both sides: ``counts``, shape (2, L), the baseline's first. The
    test is the studentised permutation of documents, the interval the linearised one; ``share``: values lie in [0, 1].
    """
    design = AllDocuments(baseline=int(counts[0].sum()), generation=int(counts[1].sum()))
    if scale == "log":
        if not (values * counts[0]).any():
            return NotMeasured(statistic=statistic, reason="it is zero in the baseline, so no ratio to it exists")
        values, counts = _never_nothing(values, counts)
    moments = _moments(values, counts, permutations, rng)
    ratios, errors = _means(*moments)
    p_value = permutation_p(studentised(ratios, errors, scale=scale), worse=worse)
    before, after = ratios[:, 0]
    error = float(np.hypot(*(errors[:, 0] / (ratios[:, 0] if scale == "log" else 1.0))))
    if design.units < design.least:
        error = math.inf
    if share:
        error = max(error, rule_of_three(design))
    return estimate(
        float(after / before if scale == "log" else after - before),
        error or math.inf,  # all documents alike, and nothing known of their range: no interval is to be had
        scale=scale,
        worse=worse,
        p_value=p_value,
        design=design,
        method="linearised ratio, normal",
        statistic=statistic,
        **details,
    )


def _never_nothing(values: FloatArray, counts: IntArray) -> tuple[FloatArray, IntArray]:
    """Half an occurrence where the generation has none, as documents one by one are given it."""
    if (values * counts[1]).any():
        return values, counts
    half = values[values > 0].min() / 2
    moved = np.zeros((2, 1), dtype=np.int64)
    moved[1] = 1
    fewer = counts.copy()
    fewer[1, np.flatnonzero(counts[1])[0]] -= 1
    return np.append(values, half), np.concatenate((fewer, moved), axis=1)


def _moments(
    values: FloatArray, counts: IntArray, permutations: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sums of 1, of the value and of its square on both sides, under every relabelling; each of shape (2, B + 1)."""
    total, n = counts.sum(axis=0), int(counts[1].sum())
    columns = np.stack((np.ones_like(values), values, values**2), axis=1)
    generation = [counts[1:] @ columns]
    step = max(1, _CELLS // values.size)
    for start in range(0, permutations, step):
        size = min(step, permutations - start)
        drawn = rng.multivariate_hypergeometric(total, n, size=size, method="marginals")
        generation.append(drawn @ columns)
    after = np.concatenate(generation)
    both = np.stack((total @ columns - after, after))
    return both[..., 0], both[..., 1], both[..., 2]


def _means(n: FloatArray, sums: FloatArray, squares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means and their standard errors; each of shape (2, B + 1)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums / n
        variance = np.maximum(squares - n * mean**2, 0.0) / n**2 * n / (n - 1)
    return mean, np.sqrt(variance)


def compare_copies(
    before: tuple[FloatArray, FloatArray], after: tuple[FloatArray, FloatArray], **details: Any
) -> Estimate:
    """Rise of the share of documents that are copies of another, among equally many documents of both sides.

    Of each side: how often texts occur (1, 2, …), and how many texts occur so often; shapes (J,). A share among m of n
    documents is its mean over all such choices (Hurlbert 1971, doi 10.2307/1934145). Another text in place of one moves
    it by at most 1/n, so under "no change" it rises by t with probability at most exp(-2 t^2 / (1/n + 1/n'))
    (McDiarmid 1989, doi 10.1017/CBO9781107359949.008).
    """
    sizes = [float((times * texts).sum()) for times, texts in (before, after)]
    design = AllDocuments(baseline=int(sizes[0]), generation=int(sizes[1]))
    unique = [unique_share(*side, m=min(sizes)) for side in (before, after)]
    error = math.hypot(*(jackknife_error(*side, m=min(sizes)) for side in (before, after)))
    rise = unique[0] - unique[1]
    return estimate(
        rise,
        max(error, rule_of_three(design)) if design.units >= design.least else math.inf,
        scale="linear",
        worse="higher",
        p_value=max(math.exp(-2 * max(rise, 0.0) ** 2 / sum(1 / n for n in sizes)), _LEAST),
        design=design,
        method="document jackknife of distinct texts, normal; test by bounded differences",
        raw={"unique_share_baseline": unique[0], "unique_share_generation": unique[1]},
        **details,
    )


def unique_share(times: FloatArray, texts: FloatArray, *, m: float) -> float:
    """Distinct texts among m documents over m, in the mean over all choices of m of them."""
    n = float((times * texts).sum())
    return float((texts * (1 - _all_left_out(times, n, m))).sum() / m)


def _all_left_out(times: FloatArray, n: float, m: float) -> FloatArray:
    """Chance that a text that stands in ``times`` of n documents is in none of m of them: C(n - times, m) / C(n, m)."""
    possible = np.minimum(times, n - m)
    chance = np.exp(gammaln(n - possible + 1) - gammaln(n - possible - m + 1) - gammaln(n + 1) + gammaln(n - m + 1))
    return np.where(times > n - m, 0.0, chance)


def jackknife_error(times: FloatArray, texts: FloatArray, *, m: float) -> float:
    """Standard error of :func:`unique_share`, every document left out in turn."""
    n = float((times * texts).sum())
    if n < 2:
        return math.inf
    m = min(m, n - 1)
    missed = _all_left_out(np.concatenate((times, times - 1)), n - 1, m)
    without = (missed[: times.size] - missed[times.size :]) / m  # less than where nothing is left out, up to a constant
    weights = times * texts
    mean = (weights * without).sum() / n
    return math.sqrt(float((weights * (without - mean) ** 2).sum()) * (n - 1) / n)
