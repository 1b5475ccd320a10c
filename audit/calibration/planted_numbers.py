"""Damage that is planted in numbers: what models do to them, at a stated strength.

The same three mechanisms as in words. Drawn from p^gamma, a normal law keeps its mean and 1/gamma of its variance; what
is left of other laws, whose power is not known, is brought as near to their mean. Drawn from the most probable ones,
numbers come from around the mean. A model of few numbers is those numbers, drawn again and again.
"""

from __future__ import annotations

import math

import numpy as np

from collapse_audit.probes.statistics.design import FloatArray, IntArray

SHARPENED, CUT, DRIFTED = "sharpen-numbers", "top-p-numbers", "resampled-numbers"


def described(gamma: float, top_p: float, seen: int) -> dict[str, str]:
    """Name of the damage to what it is in words."""
    nearer = f"{math.sqrt(gamma):.3g} times as near to their mean"
    return {
        SHARPENED: f"numbers {nearer}, a normal law's p^{gamma:g}",
        CUT: f"the outer {1 - top_p:.0%} of numbers drawn anew from the others",
        DRIFTED: f"numbers drawn again and again from {seen:,} of them",
    }


def sharpened(x: FloatArray, gamma: float) -> FloatArray:
    """(n, W) numbers, as near to their mean as a normal law's to the power ``gamma``.

    >>> sharpened(np.array([[0.0], [2.0]]), 4.0).ravel().tolist()
    [0.5, 1.5]
    """
    mean = x.mean(axis=0)
    return np.asarray(mean + (x - mean) / math.sqrt(gamma))


def cut(x: FloatArray, top_p: float, rng: np.random.Generator) -> IntArray:
    """Rows of n records: those nearest to the mean (in standard deviations), others in place of the ones farther out.

    >>> sorted(set(cut(np.array([[0.0], [1.0], [-1.0], [9.0]]), 0.75, np.random.default_rng(0)).tolist()))
    [0, 1, 2]
    """
    spread = x.std(axis=0)
    far = np.square((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)).sum(axis=1)
    rows = np.arange(len(x))
    kept = max(round(top_p * len(x)), 1)
    order = np.argsort(far, kind="stable")
    rows[order[kept:]] = order[rng.integers(0, kept, size=len(x) - kept)]
    return rows


def drifted(n: int, seen: int, rng: np.random.Generator) -> IntArray:
    """Rows of n records drawn from the first ``seen`` of a random order."""
    return np.asarray(rng.permutation(n)[rng.integers(0, min(max(seen, 1), n), size=n)])
