"""Distances between the two sides, which chance alone makes positive: corrected for it, tested, with an interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.statistics.design import BoolArray, Design, FloatArray
from collapse_audit.probes.statistics.estimates import estimate, permutation_p, settling_n
from collapse_audit.probes.statistics.readings import Z_POWER, Estimate, Z


def distance(
    replicates: FloatArray,
    error: float,
    design: Design,
    *,
    squared: bool = False,
    raw: dict[str, float],
    **details: Any,
) -> Estimate:
    """A distance from its value under every relabelling, shape (B + 1,), the observed first.

    The value is sqrt(max(0, d^2 - bias^2)), where the bias is the mean distance of relabelled sides (``squared``: the
    root of their mean square); the lower bound comes from it, the upper one from the uncorrected d. ``error``: the
    first-order standard error of d; where nothing moved it vanishes, and the spread of relabelled sides takes over.
    """
    observed, chance = float(replicates[0]), replicates[1:]
    bias = float(np.sqrt(np.mean(chance**2)) if squared else chance.mean())
    value = float(np.sqrt(max(observed**2 - bias**2, 0.0)))
    error = max(error, float(chance.std()))

    def needed(margin: float) -> float:
        def settled(times: float) -> bool:
            reach = (Z + Z_POWER) * error / np.sqrt(times)
            return bool(np.hypot(value, bias / np.sqrt(times)) + reach <= margin or value - reach > margin)

        return settling_n(min(map(design.documents, (False, True))), settled)

    return estimate(
        value,
        error,
        scale="linear",
        worse="higher",
        p_value=permutation_p(replicates, worse="higher"),
        design=design,
        method="influence function or permutation spread, normal",
        high=max(observed + Z * error, value),
        n_needed=needed,
        raw=raw,
        **details,
    )


def wasserstein2(x: FloatArray, relabellings: npt.NDArray[np.uint8], design: Design) -> FloatArray:
    """Squared W2 of the two sides in one dimension under every relabelling; ``x`` of shape (D,), gives (B + 1,).

    In one dimension the best plan pairs equal ranks: W2^2 is the mean squared difference of sorted values, sides of
    unequal size at the same quantiles (Villani 2009, 2.18).
    """
    order = np.argsort(x, kind="stable")
    values, block = x[order], design.block[order]
    squares = np.empty(len(relabellings))
    for row, labels in enumerate(relabellings):
        generation = labels[block].astype(np.bool_)
        sides = values[generation], values[~generation]
        count = max(map(len, sides))
        squares[row] = np.mean((quantiles(sides[0], count) - quantiles(sides[1], count)) ** 2)
    return squares


def wasserstein2_influence(x: FloatArray, side: BoolArray) -> FloatArray:
    """First-order effect of every value on the squared W2, shape (D,): Kantorovich's potentials, centred on each side.

    Their derivative is twice the way that mass at a value goes (del Barrio & Loubes 2019, doi 10.1214/18-AOP1275).
    """
    effect = np.empty_like(x)
    for which, other in ((side, ~side), (~side, side)):
        order = np.argsort(x[which], kind="stable")
        mine = x[which][order]
        way = mine - quantiles(np.sort(x[other]), mine.size)
        potential = np.concatenate(([0.0], np.cumsum((way[1:] + way[:-1]) * np.diff(mine))))
        placed = np.empty_like(potential)
        placed[order] = potential
        effect[which] = (placed - placed.mean()) / mine.size
    return effect


def quantiles(ordered: FloatArray, count: int) -> FloatArray:
    """Of ``ordered`` values at the middles of ``count`` equal shares."""
    if count == ordered.size:
        return ordered
    places = ((np.arange(count) + 0.5) / count * ordered.size).astype(np.int64)
    return ordered[places]


def spread_of(x: FloatArray) -> float:
    """The root of the total variance of rows of numbers, shape (n, W): the standard deviation where W = 1."""
    return float(np.sqrt(x.var(axis=0).sum()))
