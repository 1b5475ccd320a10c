"""Shares that are counted rather than estimated: facts of a file, unless only a part of it was read."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv

from collapse_audit.probes.statistics.all_documents import unique_share
from collapse_audit.probes.statistics.design import IntArray

_ALPHA = 0.05


def bounds(hits: int, n: int, *, complete: bool = False) -> tuple[float, float]:
    """One-sided 95% bounds of a share of which ``hits`` of ``n`` were seen; the share itself where all were looked at.

    Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404: each bound holds in at least 95% of samples whatever the share.
    (0, 1) where n is 0.

    >>> bounds(3, 10, complete=True)
    (0.3, 0.3)
    >>> low, high = bounds(0, 59)
    >>> round(low, 4), round(high, 4)  # 1 - .05 ** (1 / 59)
    (0.0, 0.0495)
    """
    if n == 0:
        return 0.0, 1.0
    if complete:
        return hits / n, hits / n
    low = float(betaincinv(hits, n - hits + 1, _ALPHA)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - _ALPHA)) if hits < n else 1.0
    return low, high


def beyond_chance(share: float, by_chance: float) -> float:
    """The least share x of a mixture of which ``share`` matched, where what is not of it matches ``by_chance``.

    share = x + (1 - x) by_chance, so x = (share - by_chance) / (1 - by_chance), kept in [0, 1].

    >>> round(beyond_chance(0.55, 0.1), 12)
    0.5
    """
    if by_chance >= 1:
        return 0.0
    return min(max((share - by_chance) / (1 - by_chance), 0.0), 1.0)


def repeated_among(counts: IntArray, n: int) -> float:
    """Expected share of ``n`` texts, drawn from all without replacement, that repeat another of them.

    ``counts``, shape (U,): how often each of U texts stands there. 1 - sum(1 - C(N - c, n)/C(N, n))/n, N all texts
    (Hurlbert 1971, doi 10.2307/1934145).

    >>> round(repeated_among(np.array([2, 1]), 2), 12)  # of the three pairs of {a, a, b} one is two copies
    0.166666666667
    >>> repeated_among(np.array([3, 1]), 4)  # all of them: 2 of 4 are more
    0.5
    """
    if n < 1 or counts.max(initial=0) < 2:
        return 0.0
    times, texts = (each.astype(np.float64) for each in np.unique(counts[counts > 0], return_counts=True))
    return max(1.0 - unique_share(times, texts, m=n), 0.0)
