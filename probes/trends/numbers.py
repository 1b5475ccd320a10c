"""What is followed of numbers along generations: their mean, their variance, how many lie far out, and how far they lie
from the baseline's.

What is relabelled are the generations alone, so all that the baseline says (its deviation, its quantiles, its numbers)
stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.distances import quantiles, spread_of, wasserstein2_influence
from collapse_audit.probes.statistics.readings import NotMeasured
from collapse_audit.probes.trends.followed import Followed, ratio
from collapse_audit.probes.trends.succession import Succession

_OUTER = 0.05
_LEAST = 1e-12
"""Share of the baseline's variance that stands for none at all."""
_DEVIATIONS = "standard deviations"
_Measure = Callable[[Succession, FloatArray, float], Followed | NotMeasured]


def _of_numbers(statistic: str, measure: _Measure) -> Callable[[Succession], Iterator[Followed | NotMeasured]]:
    """Follows what ``measure`` makes of the D documents' numbers, shape (D, W), in deviations of the baseline."""

    def follow(line: Succession) -> Iterator[Followed | NotMeasured]:
        rows = [sample.numeric for sample in line.samples]
        if any(row is None for row in rows):
            yield NotMeasured(statistic=statistic, reason="the records hold no numbers (numeric)")
            return
        x = np.concatenate([row for row in rows if row is not None])[line.layout.kept]
        first = line.layout.column[line.layout.block] == 0
        scale = spread_of(x[first])
        if not scale:
            yield NotMeasured(statistic=statistic, reason="all numbers of the baseline are alike")
            return
        yield measure(line, x, scale)

    return follow


def _mean(line: Succession, x: FloatArray, scale: float) -> Followed | NotMeasured:
    if x.shape[1] > 1:
        return NotMeasured(statistic="mean", reason="several numbers a record have no one direction to move in")
    return ratio(
        line,
        line.layout.per_block(x[:, 0] / scale),
        line.layout.per_block(np.ones(len(x))),
        scale="linear",
        worse="either",
        statistic="mean",
        unit=_DEVIATIONS,
    )


def _variance(line: Succession, x: FloatArray, scale: float) -> Followed | NotMeasured:
    """Total variance, in that of the baseline; sums about the mean of all, so that nothing is lost to rounding."""
    layout = line.layout
    x = (x - x.mean(axis=0)) / scale
    parts = [*x.T, (x**2).sum(axis=1), np.ones(len(x))]
    columns = np.stack([layout.per_block(part) for part in parts], axis=1)
    sums = line.sums(columns)
    own = np.stack([layout.per_column(column) for column in columns.T], axis=1)

    def variance(of: FloatArray) -> FloatArray:
        mean = of[..., :-2] / of[..., -1:]
        return np.asarray(np.maximum(of[..., -2] / of[..., -1] - (mean**2).sum(axis=-1), 0.0))

    values = variance(own)
    if not (values[1:] > _LEAST).all():
        return NotMeasured(
            statistic="variance", reason="all numbers of a generation are alike: nothing is left to lose"
        )
    column = layout.column[layout.block]
    mean = own[:, :-2] / own[:, -1:]
    squares = ((x - mean[column]) ** 2).sum(axis=1)
    influence = layout.per_block((squares / values[column] - 1) / own[column, -1])
    return Followed(
        statistic="variance",
        unit="ratio",
        scale="log",
        worse="lower",
        values=np.log(values),
        replicates=np.log(np.maximum(variance(sums), _LEAST)),
        influence=influence,
    )


def _outer(line: Succession, x: FloatArray, scale: float) -> Followed | NotMeasured:  # noqa: ARG001
    """Share of numbers beyond the quantiles of half the baseline, and of the other half; the baseline's own are held
    against those of the half in which they are not, so that its share has the error that quantiles have."""
    layout, first = line.layout, line.layout.column[line.layout.block] == 0
    units = np.unique(layout.unit[layout.column == 0])
    half = np.zeros(int(layout.unit.max()) + 1, dtype=np.bool_)
    half[line.stream("outer", of_baseline=True).permutation(units)[: units.size // 2]] = True
    inside = half[layout.unit[layout.block]]
    beyond = [_beyond(x, x[first & (inside == which)]) for which in (True, False)]
    top = np.where(first, np.where(inside, beyond[1], beyond[0]), (beyond[0] + beyond[1]) / 2)
    return ratio(
        line,
        layout.per_block(top),
        layout.per_block(np.ones(len(x))),
        scale="log",
        worse="lower",
        statistic="outer",
        unit="share of numbers",
    )


def _beyond(x: FloatArray, known: FloatArray) -> FloatArray:
    """Which rows lie beyond the outer twentieth of ``known``: at both ends, or, of several numbers a record, by their
    distance from the mean in its deviations."""
    if x.shape[1] == 1:
        low, high = np.quantile(known, (_OUTER / 2, 1 - _OUTER / 2))
        return np.asarray((x[:, 0] < low) | (x[:, 0] > high), dtype=np.float64)
    spread = known.std(axis=0)
    far, limit = (
        np.square((each - known.mean(axis=0)) / np.where(spread > 0, spread, 1)).sum(1) for each in (x, known)
    )
    return np.asarray(far > np.quantile(limit, 1 - _OUTER), dtype=np.float64)


def _distance(line: Succession, x: FloatArray, scale: float) -> Followed | NotMeasured:
    """W2 to the baseline, in its deviations; chance adds alike to all generations, and nothing to their slope."""
    if x.shape[1] > 1:
        return NotMeasured(statistic="W2", reason="followed for one number a record")
    layout, laid = line.layout, x[:, 0] / scale
    column = layout.column[layout.block]
    known = np.sort(laid[column == 0])
    order = np.flatnonzero(column > 0)[np.argsort(laid[column > 0], kind="stable")]
    values, block = laid[order], layout.block[order]
    replicates = np.empty((len(line.relabellings), layout.columns - 1))
    for row, labels in enumerate(line.relabellings):
        where = labels[block]
        for g in range(1, layout.columns):
            replicates[row, g - 1] = _w2(values[where == g], known)
    influence = np.zeros(column.size)
    for g in range(1, layout.columns):
        both = np.flatnonzero((column == g) | (column == 0))
        mine = column[both] == g
        root = max(2 * replicates[0, g - 1], math.sqrt(_LEAST))
        influence[both[mine]] = wasserstein2_influence(laid[both], mine)[mine] / root
    return Followed(
        statistic="W2",
        unit=_DEVIATIONS,
        scale="linear",
        worse="higher",
        values=np.concatenate(([0.0], replicates[0])),
        replicates=replicates,
        influence=layout.per_block(influence),
        no_baseline="the baseline lies no way from itself",
    )


def _w2(ordered: FloatArray, known: FloatArray) -> float:
    count = max(ordered.size, known.size)
    return float(np.sqrt(np.mean((quantiles(ordered, count) - quantiles(known, count)) ** 2)))


mean: Callable[[Succession], Iterable[Followed | NotMeasured]] = _of_numbers("mean", _mean)
"""The mean, in standard deviations of the baseline."""
variance: Callable[[Succession], Iterable[Followed | NotMeasured]] = _of_numbers("variance", _variance)
"""The variance, in that of the baseline; of several numbers a record, of all together."""
outer: Callable[[Succession], Iterable[Followed | NotMeasured]] = _of_numbers("outer", _outer)
"""The share of numbers beyond the outer twentieth of the baseline's."""
w2: Callable[[Succession], Iterable[Followed | NotMeasured]] = _of_numbers("W2", _distance)
"""The Wasserstein-2 distance to the baseline's numbers."""
