"""CA802: do the numbers vary as much as they did?"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import BoolArray, Design, FloatArray
from collapse_audit.probes.statistics.estimates import estimate, permutation_p, studentised
from collapse_audit.probes.statistics.readings import RULE_OF_THREE, Gate, NotMeasured, Reading
from collapse_audit.probes.statistics.tables import side_sums
from collapse_audit.probes.trends import numbers
from collapse_audit.probes.types import probe

_CELLS = 1 << 22
"""Entries of a table of relabellings and blocks that are held at once."""


@probe(
    name="numeric-spread",
    code="CA802",
    needs=("numeric",),
    gates=(
        Gate(
            statistic="variance",
            unit="ratio",
            worse="lower",
            margin=0.80,
            because="a fifth of the variance gone, a tenth of the standard deviation; in halves of 1,000 normal "
            "numbers the ratio varies by .09",
            part="bulk",
            late=0.50,
            trend="variance",
            held="the variance of the numbers",
            plain="variance of the numbers",
            says="the numbers of {generation} have {value} of the variance of those of {baseline}",
        ),
    ),
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y (Theorem 3.1); Chung & Romano 2013, "
    "doi 10.1214/13-AOS1090 (the test of a ratio)",
    since="0.2",
    followed=numbers.variance,
)
def numeric_spread(pair: Pair) -> Reading:
    """Do the numbers vary as much as they did?

    What it measures
        The variance of the generation's numbers beside the baseline's.

    Formula and unit
        Ratio of the variances, generation to baseline, each about the mean of its own side; of several numbers a
        record, the sums of their variances. The test relabels records, and divides the logarithm of the ratio by its
        standard error each time.

    Why it signals collapse
        It is the theorem's own statistic: with unbiased estimators the expected variance stays as it is, and nearly
        every path of it goes to zero, at about 1/(N - 1) of its logarithm a generation. Late collapse, in the words of
        the paper, is little variance: the stage is late where the ratio lies under .5, bound included.

    When it misleads
        A few numbers far out carry most of the variance of a heavy tail: losing them halves it while the bulk stands,
        and the interval is wide. ``numeric-tails`` counts how many there are. More variance does not gate.

    Needs
        ``numeric``: a number, or equally many numbers, in every record.
    """
    x = pair.numeric
    if isinstance(x, NotMeasured):
        return x
    design, side = pair.design, pair.design.side[pair.design.block]
    variances, errors = _under_relabelling(x - x.mean(axis=0), pair.relabellings, design)
    baseline, generation = float(variances[0, 0]), float(variances[1, 0])
    if not x[~side].var(axis=0).any():
        return NotMeasured(reason="all numbers of the baseline are alike", neutral=False)
    alike = not x[side].var(axis=0).any()
    changes = studentised(variances, errors, scale="log", paired=design.paired)
    error = math.inf if alike else design.standard_error(design.per_block(_influence(x, side)))
    return estimate(
        0.0 if alike else generation / baseline,
        error,
        scale="log",
        worse="lower",
        p_value=permutation_p(changes, worse="lower"),
        design=design,
        method="linearised ratio, normal" if not alike else "all alike: others are at most 3 of n (rule of three)",
        high=RULE_OF_THREE / max(design.units, 1) if alike else None,
        raw={"baseline": baseline, "generation": 0.0 if alike else generation},
    )


def _under_relabelling(
    x: FloatArray, relabellings: npt.NDArray[np.uint8], design: Design
) -> tuple[FloatArray, FloatArray]:
    """Total variance of either side and its standard error under every relabelling; each of shape (2, B + 1)."""
    width = x.shape[1]
    by_block = [design.per_block(column) for column in (*x.T, (x**2).sum(axis=1), np.ones(len(x)))]
    columns = np.stack(by_block, axis=1)
    sums = side_sums(columns, relabellings)
    count = sums[:, :, -1]
    mean = sums[:, :, :width] / count[:, :, None]
    variance = np.maximum(sums[:, :, width] / count - (mean**2).sum(axis=2), 0.0)
    # What a block adds to the sum of squares about the mean of its side, beyond its share of it.
    weights = np.concatenate(
        (-2 * mean, np.ones_like(mean[:, :, :1]), ((mean**2).sum(axis=2) - variance)[:, :, None]), 2
    )
    squares = np.empty_like(variance)
    step = max(1, _CELLS // len(columns))
    for start in range(0, len(relabellings), step):
        part = slice(start, start + step)
        for which in (0, 1):
            beyond = np.where(relabellings[part] == which, weights[which, part] @ columns.T, 0.0)
            squares[which, part] = (beyond**2).sum(axis=1)
    blocks = np.stack((len(columns) - relabellings.sum(axis=1), relabellings.sum(axis=1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return variance, np.asarray(np.sqrt(squares * blocks / np.maximum(blocks - 1, 1)) / count)


def _influence(x: FloatArray, side: BoolArray) -> FloatArray:
    """Of every record on the logarithm of the ratio, shape (D,)."""
    effect = np.empty(len(x))
    for which, sign in ((side, 1.0), (~side, -1.0)):
        squares = ((x[which] - x[which].mean(axis=0)) ** 2).sum(axis=1)
        effect[which] = sign * (squares / squares.mean() - 1) / len(squares)
    return effect
