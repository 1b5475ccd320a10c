"""CA801: has the mean of the numbers moved?"""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.distances import distance, spread_of
from collapse_audit.probes.statistics.readings import Gate, NotMeasured, Reading
from collapse_audit.probes.statistics.tables import side_sums
from collapse_audit.probes.trends import numbers
from collapse_audit.probes.types import probe


@probe(
    name="numeric-mean",
    code="CA801",
    needs=("numeric",),
    gates=(
        Gate(
            statistic="shift",
            unit="standard deviations",
            worse="higher",
            margin=0.25,
            because="a quarter of the baseline's standard deviation; two normal laws so far apart still share 90% of "
            "their mass",
            kind="move",
            plain="where the numbers lie",
            says="the mean of the numbers of {generation} lies {value} from that of {baseline}",
        ),
    ),
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y (Theorem 3.1: the mean of a Gaussian wanders)",
    since="0.2",
    followed=numbers.mean,
)
def numeric_mean(pair: Pair) -> Reading:
    """Has the mean of the numbers moved?

    What it measures
        How far the mean of the generation's numbers lies from the baseline's.

    Formula and unit
        |mean(generation) - mean(baseline)|, in standard deviations of the baseline: the root of its total variance,
        where a record holds several numbers. Sampling alone makes it positive, so the value is
        sqrt(max(0, d^2 - E d^2)), with E over relabelled records; the upper bound comes from the raw d.

    Why it signals collapse
        A model that is fitted to what the one before drew inherits the error of its mean: it wanders, by var/N a
        generation, and never comes back by itself.

    When it misleads
        A mean that moves is another distribution and no loss: beyond the margin it is ``changed``.

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
    ones = np.ones(len(x))
    columns = np.stack([design.per_block(column) for column in (*(x - x.mean(axis=0)).T, ones)], axis=1)
    sums = side_sums(columns, pair.relabellings)
    means = sums[:, :, :-1] / sums[:, :, -1:]
    shifts = np.sqrt(((means[1] - means[0]) ** 2).sum(axis=1)) / scale
    error = design.standard_error(design.per_block(_influence(x, side, scale)))
    raw = {"raw": float(shifts[0]), "deviation_baseline": scale, "deviation_generation": spread_of(x[side])}
    if x.shape[1] == 1:
        raw |= {"baseline": float(x[~side].mean()), "generation": float(x[side].mean())}
    return distance(shifts, error, design, squared=True, raw=raw)


def _influence(x: FloatArray, side: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], scale: float) -> FloatArray:
    """Of every record on the shift, shape (D,): on the mean of its side, and the baseline's on the scale as well."""
    apart = x[side].mean(axis=0) - x[~side].mean(axis=0)
    size = float(np.sqrt((apart**2).sum()))
    effect = np.zeros(len(x))
    if not size:
        return effect
    for which, sign in ((side, 1.0), (~side, -1.0)):
        own = x[which] - x[which].mean(axis=0)
        effect[which] = sign * (own @ apart) / size / scale / len(own)
    squares = ((x[~side] - x[~side].mean(axis=0)) ** 2).sum(axis=1)
    effect[~side] -= size / scale * (squares / scale**2 - 1) / 2 / len(squares)
    return effect
