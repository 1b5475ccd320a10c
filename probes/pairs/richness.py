"""How many distinct types each side has, at equal numbers of documents, with an interval and an exact test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.statistics.design import BoolArray, Design, FloatArray
from collapse_audit.probes.statistics.estimates import estimate, jackknife, permutation_p
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured
from collapse_audit.probes.statistics.tables import CountTable, sweep_distinct


class Compared(Protocol):
    """A pair, or a part of one."""

    @property
    def design(self) -> Design:
        """Who may swap places with whom; equally many documents a side."""

    @property
    def relabellings(self) -> npt.NDArray[np.uint8]:
        """Permutations of the sides, the observed one first; shape (B + 1, K)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Richness:
    """Distinct types of both sides."""

    distinct: FloatArray
    """Shape (2, B + 1): baseline's and generation's, under every relabelling, the observed one first."""
    lone: FloatArray
    """Shape (K,): types that stand in this block and in no other block of its side."""


def richness(tables: Iterable[CountTable], pair: Compared) -> Richness:
    """Count the distinct types of ``tables`` (disjoint parts of a vocabulary, seen once) on both sides of ``pair``."""
    lone = np.zeros(pair.design.side.size)

    def passing() -> Iterator[CountTable]:
        for table in tables:
            np.add(lone, lone_types(table, pair.design.side), out=lone)
            yield table

    return Richness(distinct=sweep_distinct(passing(), pair.relabellings), lone=lone)


def distinct_ratio(
    pair: Compared, types: Richness, *, what: str, statistic: str = "", **details: Any
) -> Estimate | NotMeasured:
    """Ratio of distinct types, generation to baseline.

    Both sides have equally many blocks, so no rarefaction is left to do. The error is the block jackknife of ln S:
    dropping a block loses the types that stand nowhere else on its side.
    """
    if types.distinct[0, 0] == 0:
        return NotMeasured(statistic=statistic, reason=f"the baseline holds no {what}")
    floored = np.maximum(types.distinct, 0.5)  # a side that lost every type: ln must stay finite, the verdict is clear
    ratios = np.log(floored[1]) - np.log(floored[0])
    return estimate(
        math.exp(ratios[0]),
        pair.design.standard_error(_log_influence(types, pair.design.side)),
        scale="log",
        worse="lower",
        p_value=permutation_p(ratios, worse="lower"),
        design=pair.design,
        method="block jackknife of ln distinct, normal",
        statistic=statistic,
        **details,
    )


def _log_influence(types: Richness, side: BoolArray) -> FloatArray:
    """Influence of every block on ln(distinct of generation) - ln(distinct of baseline); shape (K,)."""
    influence = np.zeros(side.size)
    for which, sign, observed in ((~side, -1.0, types.distinct[0, 0]), (side, 1.0, types.distinct[1, 0])):
        distinct = max(float(observed), 0.5)
        influence[which] = sign * jackknife(distinct, distinct - types.lone[which]) / distinct
    return influence


def lone_types(table: CountTable, side: BoolArray) -> FloatArray:
    """Types that stand in a block and in no other block of its side; shape (K,)."""
    block = table.counts.indices
    row = np.repeat(np.arange(table.types.size, dtype=np.int32), np.diff(table.counts.indptr))
    lone = np.zeros(side.size)
    for which in (side, ~side):
        only_here = (table.blocks_on(which) == 1)[row] & which[block]
        lone += np.bincount(block[only_here], minlength=side.size)
    return lone
