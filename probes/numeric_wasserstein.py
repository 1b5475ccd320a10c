"""CA804: how far must the numbers be carried to lie where they did?"""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.distances import distance, spread_of, wasserstein2, wasserstein2_influence
from collapse_audit.probes.statistics.readings import Gate, NotMeasured, Reading
from collapse_audit.probes.trends import numbers
from collapse_audit.probes.types import probe

_DIRECTIONS = 8
"""Lines on which records of several numbers are laid."""


@probe(
    name="numeric-wasserstein",
    code="CA804",
    needs=("numeric",),
    gates=(
        Gate(
            statistic="W2",
            unit="standard deviations",
            worse="higher",
            margin=0.25,
            because="numbers lie, in the root mean square, a quarter of the baseline's standard deviation away; so "
            "does a normal law with .75 of its own",
            kind="move",
            plain="how far the numbers lie from where they lay",
            says="the numbers of {generation} lie {value} from those of {baseline} (Wasserstein-2)",
        ),
    ),
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y (Theorem 3.1); Bonneel et al. 2015, "
    "doi 10.1007/s10851-014-0506-3 (on lines); del Barrio & Loubes 2019, doi 10.1214/18-AOP1275 (the interval)",
    since="0.2",
    followed=numbers.w2,
)
def numeric_wasserstein(pair: Pair) -> Reading:
    """How far must the numbers be carried to lie where they did?

    What it measures
        The Wasserstein-2 distance between the numbers of both sides, in which the theorem of the paper is stated.

    Formula and unit
        W2^2 = mean squared difference of sorted numbers, rank by rank, in standard deviations of the baseline (the
        root of its total variance). W numbers a record: W times the mean of W2^2 on 8 lines in random directions,
        which is |c|^2 for a shift by c. Sampling alone makes it positive, so the value is
        sqrt(max(0, W2^2 - E W2^2)), with E over relabelled records; the upper bound comes from the raw W2.

    Why it signals collapse
        E W2^2 of model k to model 0 grows without bound, as k var/N + 2 var (1 - c4^k), while the variance goes to
        zero: what is lost and what has wandered are both in it.

    When it misleads
        It does not tell a loss from a move, so beyond the margin it is ``changed``: ``numeric-spread``,
        ``numeric-tails`` and ``numeric-modes`` say what was lost.

    Needs
        ``numeric``: a number, or equally many numbers, in every record.
    """
    x = pair.numeric
    if isinstance(x, NotMeasured):
        return x
    design, side = pair.design, pair.design.side[pair.design.block]
    scale = spread_of(x[~side])
    if not scale:
        return NotMeasured(reason="all numbers of the baseline are alike", neutral=False)
    width = x.shape[1]
    lines = np.ones((1, 1))
    if width > 1:
        lines = pair.stream("numeric-wasserstein").normal(size=(width, _DIRECTIONS))
        lines /= np.sqrt((lines**2).sum(axis=0))
    laid = (x @ lines / scale).T
    squares = width * np.mean([wasserstein2(line, pair.relabellings, design) for line in laid], axis=0)
    effect = width * np.mean([wasserstein2_influence(line, side) for line in laid], axis=0)
    observed = float(np.sqrt(squares[0]))
    error = design.standard_error(design.per_block(effect / (2 * observed))) if observed else 0.0
    return distance(np.sqrt(squares), error, design, squared=True, raw={"w2": observed, "deviation_baseline": scale})
