"""Texts of equal length beside each other, for numbers that are means over a text's tokens.

The spread of a mean over n tokens falls with n, and the first tokens of a text are harder to foresee than the rest. So
shorter texts fake both tails of a histogram of means. Where lengths differ between the sides, both are therefore cut
into strata of equal length that hold equally many of each side, and sides are permuted within strata.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from collapse_audit.probes.statistics.design import Design, FloatArray, IntArray, equal_blocks, equal_documents
from collapse_audit.probes.statistics.lengths import MATERIAL, SIGNIFICANT

_RATIO = 1.2
"""Of the longest to the shortest length that count as equal: finer strata leave more texts without a counterpart."""


def lengths_differ(baseline: FloatArray, generation: FloatArray) -> bool:
    """Whether means over tokens are to be compared within lengths only; tokens a text, shapes (n,) and (m,).

    So where mean lengths differ, or the means of 1 / length (to which the variance of a mean is proportional), by more
    than three standard errors and 2%: as :func:`collapse_audit.probes.statistics.lengths.matched_length` does.
    """
    if min(baseline.size, generation.size) < 2:
        return False
    return any(
        _apart(how(baseline), how(generation)) for how in (np.asarray, lambda length: 1.0 / np.maximum(length, 1.0))
    )


def _apart(baseline: FloatArray, generation: FloatArray) -> bool:
    means = float(baseline.mean()), float(generation.mean())
    error = np.sqrt(baseline.var(ddof=1) / baseline.size + generation.var(ddof=1) / generation.size)
    apart = abs(means[0] - means[1])
    return bool(apart > SIGNIFICANT * error and apart > MATERIAL * max(means))


def by_length(design: Design, lengths: FloatArray, rng: np.random.Generator) -> Design | None:
    """The design within strata of equal length; None where no length occurs on both sides.

    ``lengths``: tokens of each of the D documents of ``design``, shape (D,). What one side holds of a key (a prompt, a
    group) moves together, at its mean length. Pairs are given up: the two answers to a prompt seldom are equally long.
    That is on the safe side, as answers to one prompt resemble each other.
    """
    key = 2 * design.unit[design.block] + design.side[design.block]
    first, block = np.unique(key, return_index=True, return_inverse=True)[1:]
    side = design.side[design.block[first]]
    length = np.bincount(block, weights=lengths) / np.bincount(block)
    stratum = _strata(length)
    number = np.arange(side.size)
    full = dataclasses.replace(
        design,
        block=block,
        side=side,
        stratum=stratum,
        unit=number,
        cell=2 * stratum + side.astype(np.int64),
        strata="swapped among equal lengths",
    )
    keep = equal_blocks(stratum, side, rng)
    return equal_documents(full.restricted(keep), rng) if keep.any() else None


def _strata(length: FloatArray) -> IntArray:
    """Number of the stratum of each block: lengths within a fifth of each other; 0 to 8 tokens stand alone."""
    step = np.floor(np.log(np.maximum(length, 1.0)) / np.log(_RATIO) + 1e-9)
    return np.unique(np.where(length < 1.0, -1.0, step), return_inverse=True)[1]
