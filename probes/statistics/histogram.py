"""Histograms that can be drawn over each other: the same bins for all, and what lies outside of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from collapse_audit.probes.statistics.design import FloatArray

_ALIKE = 1e-9
"""Relative range within which values count as equal: bins narrower than rounding have no order."""
_REACH = (0.001, 0.999)
"""Pooled quantiles between which the bins lie; what is beyond is counted as below and above."""
_FEWEST, _MOST = 10, 100


def edges(first: FloatArray, pooled: FloatArray) -> FloatArray:
    """Edges of equal bins, shape (K + 1,), 10 <= K <= 100: as wide as Freedman & Diaconis would cut ``first`` (1981,
    doi 10.1007/BF01025868), from one extreme quantile of ``pooled`` to the other."""
    low, high = np.quantile(pooled, _REACH)
    if high - low <= _ALIKE * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    quartiles = np.quantile(first, [0.25, 0.75])
    width = 2.0 * (quartiles[1] - quartiles[0]) / first.size ** (1 / 3)
    count = _FEWEST if width <= 0 else int(np.clip(np.ceil((high - low) / width), _FEWEST, _MOST))
    return np.linspace(low, high, count + 1)


def shares(values: FloatArray, cuts: FloatArray) -> dict[str, Any]:
    """``n``, and the shares of the values in each bin, below all and above all."""
    inside = np.histogram(values, bins=cuts)[0]
    n = values.size
    return {
        "n": n,
        "below": np.count_nonzero(values < cuts[0]) / n,
        "above": np.count_nonzero(values > cuts[-1]) / n,
        "shares": (inside / n).tolist(),
    }
