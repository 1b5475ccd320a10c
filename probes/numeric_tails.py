"""CA803: are there still numbers as far out as there were?"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import BoolArray, Design, FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import estimate, permutation_p
from collapse_audit.probes.statistics.readings import Gate, NotMeasured, Reading, Z
from collapse_audit.probes.trends import numbers
from collapse_audit.probes.types import probe

_OUTER = 0.05
"""Share of the baseline's numbers that lie beyond its quantiles, at all ends together."""
_NONE = math.log(-2 * math.log(0.05)) / Z
"""Standard error of the logarithm of half a number where there is none: it then ends at 3 (rule of three)."""
_CELLS = 1 << 22
"""Entries of a table of relabellings and numbers that are held at once."""


@probe(
    name="numeric-tails",
    code="CA803",
    needs=("numeric",),
    gates=(
        Gate(
            statistic="outer",
            unit="ratio",
            worse="lower",
            margin=0.50,
            because="half of the outer numbers gone, as of a normal law with seven eighths of its standard deviation; "
            "1,000 numbers a side tell .50 from 1 with 90% power",
            part="tail",
            trend="outer",
            held="the outer numbers",
            plain="numbers as far out as the baseline's outer twentieth",
            says="{generation} holds {value} of the outer numbers of {baseline}",
        ),
    ),
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y (early collapse: the tails go first)",
    since="0.2",
    followed=numbers.outer,
)
def numeric_tails(pair: Pair) -> Reading:
    """Are there still numbers as far out as there were?

    What it measures
        How many of the generation's numbers lie where the outer numbers of the baseline do.

    Formula and unit
        Ratio of the shares, generation to baseline, of numbers at or beyond the baseline's 2.5% quantile at either
        end: the outermost values that hold at most 2.5% of its numbers. Where a record holds several numbers there is
        one end, of 5%: the distance from the mean of both sides together, each number in their standard deviations. The
        quantiles are taken anew under every relabelling, which keeps the test exact; the interval counts their error.

    Why it signals collapse
        Early collapse, in the words of the paper, is the loss of the tails: what is drawn rarely is drawn from no
        sample at all, and the next model does not know that it was there.

    When it misleads
        A mean that moves takes one end away and adds to the other: the two together hardly change until the move is
        large, which ``numeric-mean`` tells. Of few values (states, whole numbers) an end exists only where its
        outermost one holds at most 2.5%.

    Needs
        ``numeric``: a number, or equally many numbers, in every record.
    """
    x = pair.numeric
    if isinstance(x, NotMeasured):
        return x
    design, side = pair.design, pair.design.side[pair.design.block]
    ends = [x[:, 0], -x[:, 0]] if x.shape[1] == 1 else [-_distances(x)]
    outer = _OUTER / len(ends)
    shares = np.sum([_shares(end, outer, pair.relabellings, design) for end in ends], axis=0)
    if not shares[0, 0]:
        held = f"holds at most {outer:.1%} of the baseline's numbers"
        return NotMeasured(reason=f"at no end is there a value that {held}")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(shares[0] > 0, shares[1] / shares[0], 1.0)
    least = max(float(shares[1, 0]), 0.5 / np.count_nonzero(side))
    effect = np.sum([_influence(end, outer, side) for end in ends], axis=0) / least
    error = design.standard_error(design.per_block(effect))
    if not shares[1, 0]:
        error = max(error, _NONE)
    return estimate(
        float(least / shares[0, 0]),
        error,
        scale="log",
        worse="lower",
        p_value=permutation_p(ratios, worse="lower"),
        design=design,
        method="linearised ratio with the quantiles' own error, normal",
        raw={"baseline": float(shares[0, 0]), "generation": float(shares[1, 0]), "ends": len(ends)},
    )


def _distances(x: FloatArray) -> FloatArray:
    """Of every record from the common mean, in common standard deviations; the same under every relabelling."""
    spread = x.std(axis=0)
    return np.asarray(np.sqrt((((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)) ** 2).sum(axis=1)))


def _shares(x: FloatArray, outer: float, relabellings: npt.NDArray[np.uint8], design: Design) -> FloatArray:
    """Of both sides' numbers those at or below the baseline's quantile; (2, B + 1), 0 where the baseline has none."""
    order = np.argsort(x, kind="stable")
    last = _last_of_equals(x[order])
    block, below = design.block[order], last + 1
    found = np.zeros((2, len(relabellings)))
    step = max(1, _CELLS // x.size)
    for start in range(0, len(relabellings), step):
        labels = relabellings[start : start + step][:, block]
        generation = np.cumsum(labels, axis=1, dtype=np.int64)
        sizes = x.size - generation[:, -1], generation[:, -1]
        theirs, mine = below - generation[:, last], generation[:, last]
        allowed = np.where(theirs <= outer * sizes[0][:, None], theirs, 0).max(axis=1)
        place = (theirs < allowed[:, None]).sum(axis=1)
        rows = np.arange(len(labels))
        found[0, start : start + step] = allowed / sizes[0]
        found[1, start : start + step] = np.where(allowed > 0, mine[rows, place], 0) / sizes[1]
    return found


def _last_of_equals(ordered: FloatArray) -> IntArray:
    """Where each of the distinct values stands for the last time."""
    return np.flatnonzero(np.append(np.diff(ordered) > 0, True))


def _influence(x: FloatArray, outer: float, side: BoolArray) -> FloatArray:
    """Of every record on the generation's share beyond the baseline's quantile, shape (D,): of the generation's own,
    and of the baseline's through the quantile, by the generation's density there in units of the baseline's."""
    theirs, mine = np.sort(x[~side]), np.sort(x[side])
    at = [_quantile(theirs, part * outer) for part in (0.5, 1.0, 1.5)]
    effect = np.zeros_like(x)
    if not math.isfinite(at[1]):
        return effect  # no end of so few numbers
    near = [np.searchsorted(which, at, side="right") / which.size for which in (theirs, mine)]
    between = near[0][2] - near[0][0]
    density = (near[1][2] - near[1][0]) / between if between > 0 else 1.0
    beyond = (x <= at[1]).astype(np.float64)
    effect[side] = (beyond[side] - beyond[side].mean()) / mine.size
    effect[~side] = -density * (beyond[~side] - beyond[~side].mean()) / theirs.size
    return effect


def _quantile(ordered: FloatArray, share: float) -> float:
    """The largest value at or below which at most ``share`` of the values lie; -inf where there is none."""
    last = _last_of_equals(ordered)
    fitting = last[last + 1 <= share * ordered.size]
    return float(ordered[fitting[-1]]) if fitting.size else -math.inf
