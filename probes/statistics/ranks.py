"""Ranks, and the weight of what stands highest among them: of the rarest texts, or of the longest."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammaln

from collapse_audit.probes.statistics.design import FloatArray, IntArray


def ranks(x: FloatArray) -> FloatArray:
    """1 for the smallest, ties at their mean; shape (D,)."""
    _, place, times = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(times) - (times - 1) / 2)[place])


def weights_of_highest(x: FloatArray, share: float) -> FloatArray:
    """max(0, ln(share/u)) of each value, where a share u of all (D,) is higher; the mean of all is ``share``.

    The scores of Savage 1956 (doi 10.1214/aoms/1177728170) beyond a quantile: what is highest counts for most, and a
    value just beyond the quantile for nothing, so that nothing hangs on where exactly it lies. Equal values have the
    mean of the weights of their places.
    """
    _, place, times = np.unique(x, return_inverse=True, return_counts=True)
    higher = 1.0 - (np.arange(x.size) + 0.5) / x.size
    by_place = np.maximum(np.log(share / higher), 0.0)
    sums = np.bincount(np.repeat(np.arange(times.size), times), by_place)
    return np.asarray((sums / times)[place])


def weights_of_counted(times: IntArray, share: float) -> FloatArray:
    """:func:`weights_of_highest` of each of L ascending values that occur ``times`` (shape (L,)) each; shape (L,).

    The j-th highest of n documents weighs ln(share n / (j - 1/2)), and those logarithms add up to ones of gamma
    functions.
    """
    n = int(times.sum())
    first = n - np.cumsum(times)  # documents that are higher
    last = np.minimum(first + times, math.floor(share * n + 0.5))  # lower ones weigh nothing
    first = np.minimum(first, last)
    sums = (last - first) * math.log(share * n) - (gammaln(last + 0.5) - gammaln(first + 0.5))
    return np.asarray(sums / times, dtype=np.float64)
