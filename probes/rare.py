"""The rare tail of a vocabulary: where it begins, when unseen words must not count as it, and what is left of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.design import BoolArray, Design, FloatArray, IntArray
from collapse_audit.probes.estimates import ratio_of_sums, studentised_changes
from collapse_audit.probes.pair import CURE
from collapse_audit.probes.tables import CountTable, side_sums
from collapse_audit.probes.types import NotMeasured, Reading

HEAD = 0.90
"""Share of the tokens that the most frequent types hold together; the tail is everything else."""
JUNK = 1.25
"""From this ratio of novel mass on, there are so many unseen types that they must not count as tail."""


def head(counts: FloatArray | IntArray, rng: np.random.Generator) -> BoolArray:
    """The smallest set of most frequent types that holds 90% of the tokens; shape (V,).

    Ties are broken at random: any order in which the table holds its types knows of the texts that are compared.
    """
    return leading(counts, np.lexsort((rng.random(counts.size), -counts)), counts.sum()) & (counts > 0)


def leading(counts: FloatArray | IntArray, order: IntArray, tokens: float) -> BoolArray:
    """The first types in ``order`` that hold 90% of ``tokens`` together, or all of them; shape (V,)."""
    first = np.zeros(counts.size, dtype=np.bool_)
    first[order] = np.cumsum(counts[order]) - counts[order] < HEAD * tokens
    return first


def occurrences(table: CountTable, types: BoolArray) -> FloatArray:
    """Tokens of the given types in every block; shape (K,)."""
    return np.asarray(table.counts.T @ types.astype(np.float64))


def tail_ratio(
    everything: FloatArray,
    novel: FloatArray,
    tokens: FloatArray,
    *,
    design: Design,
    drawn: npt.NDArray[np.uint8],
    one_sided: str | None,
    raw: Mapping[str, Any],
    notes: tuple[str, ...] = (),
) -> Reading:
    """Share of ``everything`` outside the head in ``tokens``, generation over baseline; per-block sums, shape (K,).

    ``novel``: those of it that whatever defined the tail does not hold. Where there are too many, they do not count.
    """
    known = everything - novel
    junk = _junk(novel, tokens, drawn)
    # Whether unseen types count is decided anew under every relabelling: the test stays exact.
    changes = [
        studentised_changes(top, tokens, design=design, relabellings=drawn, scale="log") for top in (everything, known)
    ]
    top = known if junk[0] else everything
    if not top[~design.side].any():
        return NotMeasured(reason="the baseline has no rare tail: its most frequent types hold all of its tokens")
    shares = {
        f"{name}_mass_{which}": float(mass[on].sum() / tokens[on].sum())
        for name, mass in (("tail", top), ("novel", novel))
        for which, on in (("baseline", ~design.side), ("generation", design.side))
    }
    return ratio_of_sums(
        top,
        tokens,
        design=design,
        relabellings=drawn,
        studentised=np.where(junk, changes[1], changes[0]),
        scale="log",
        worse="lower",
        can_fail=one_sided is None,
        raw={**shares, **raw},
        notes=(*(("one-sided",) if one_sided else ()), *(("unseen-types-left-out",) if junk[0] else ()), *notes),
        explanation=f"may pass but not fail, because {one_sided}; {CURE}" if one_sided else "",
    )


def _junk(novel: FloatArray, tokens: FloatArray, drawn: npt.NDArray[np.uint8]) -> BoolArray:
    """Under every relabelling: does the generation write so many unseen types that they must not count as tail?"""
    baseline, generation = side_sums(np.stack((novel, tokens), axis=1), drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(generation[:, 0] / generation[:, 1] > JUNK * baseline[:, 0] / baseline[:, 1])
