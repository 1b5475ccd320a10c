"""How many distinct types each side has, at equal numbers of documents, with an interval and an exact test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.statistics.design import BoolArray, Design, FloatArray
from collapse_audit.probes.statistics.estimates import estimate, jackknife, permutation_p, ratio_influence
from collapse_audit.probes.statistics.lengths import MEASURABLE
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured
from collapse_audit.probes.statistics.tables import CountTable, side_sums, sweep_distinct
from collapse_audit.probes.text.tokens import Tokens


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
    single: FloatArray
    """Shape (K,): types that stand in this block and in no other of either side."""
    types: int
    """Of both sides together."""


def richness(tables: Iterable[CountTable], pair: Compared) -> Richness:
    """Count the distinct types of ``tables`` (disjoint parts of a vocabulary, seen once) on both sides of ``pair``."""
    lone, single = np.zeros((2, pair.design.side.size))
    types = 0

    def passing() -> Iterator[CountTable]:
        nonlocal types
        for table in tables:
            np.add(lone, lone_types(table, pair.design.side), out=lone)
            np.add(single, table.hapaxes, out=single)
            types += table.types.size
            yield table

    distinct = sweep_distinct(passing(), pair.relabellings)
    return Richness(distinct=distinct, lone=lone, single=single, types=types)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How much is written in the texts of every block."""

    tokens: FloatArray
    """Shape (K,): occurrences."""
    texts: FloatArray
    """Shape (K,)."""


def lengths_of(tokens: Tokens, design: Design, *, gram: int = 1) -> Lengths:
    """Of every block the occurrences of ``gram`` tokens in a row, and the texts.

    Texts of fewer than 4 tokens count on neither hand: a side that writes nothing in some of its texts has lost what
    they held, and is not forgiven it.
    """
    written = tokens.lengths >= MEASURABLE
    return Lengths(
        tokens=design.per_block(np.where(written, tokens.lengths - (gram - 1), 0).astype(np.float64)),
        texts=design.per_block(written.astype(np.float64)),
    )


def distinct_ratio(
    pair: Compared,
    types: Richness,
    *,
    what: str,
    statistic: str = "",
    lengths: Lengths | None = None,
    raw: Mapping[str, Any] = MappingProxyType({}),
    **details: Any,
) -> Estimate | NotMeasured:
    """Ratio of distinct types, generation to baseline; with ``lengths`` in texts of one mean length.

    Both sides have equally many blocks, so no rarefaction is left to do. The error is the block jackknife of ln S:
    dropping a block loses the types that stand nowhere else on its side.

    Of two halves of one corpus one holds longer texts by chance, and with them more types: that is most of the noise of
    S. How much ln S grows with ln mean length is told by least squares over the blocks of both sides together, so that
    swapping stays exact, and what the lengths explain is taken off: a regression estimator (Cochran 1977, Sampling
    Techniques, ch. 7). It corrects what chance leaves; who writes shorter texts is cut to one length before.
    """
    if types.distinct[0, 0] == 0:
        return NotMeasured(statistic=statistic, reason=f"the baseline holds no {what}")
    floored = np.maximum(types.distinct, 0.5)  # a side that lost every type: ln must stay finite, the verdict is clear
    ratios = np.log(floored[1]) - np.log(floored[0])
    influence = _log_influence(types, pair.design.side)
    method = "block jackknife of ln distinct, normal"
    if lengths is not None:
        longer, slope = _longer(lengths, pair.relabellings), _slope(types, lengths)
        ratios -= slope * longer
        influence -= slope * _longer_influence(lengths, pair.design.side)
        raw = {**raw, "mean_length_ratio": math.exp(longer[0]), "slope": slope}
        method = "block jackknife of ln distinct less what length explains, normal"
    return estimate(
        math.exp(ratios[0]),
        pair.design.standard_error(influence),
        scale="log",
        worse="lower",
        p_value=permutation_p(ratios, worse="lower"),
        design=pair.design,
        method=method,
        statistic=statistic,
        raw=dict(raw),
        **details,
    )


def _slope(types: Richness, lengths: Lengths) -> float:
    """d ln S/d ln L, by least squares over blocks: how many types of its own a block holds for every token more, times
    the tokens a type. From 0 to 1: types do not grow faster than tokens."""
    tokens = lengths.tokens.sum()
    longer = lengths.tokens - tokens / max(lengths.texts.sum(), 1.0) * lengths.texts
    spread = float((longer**2).sum())
    if spread == 0:
        return 0.0
    return float(np.clip((types.single * longer).sum() / spread * tokens / max(types.types, 1), 0.0, 1.0))


def _longer(lengths: Lengths, relabellings: npt.NDArray[np.uint8]) -> FloatArray:
    """ln of the generation's mean length over the baseline's under every relabelling, shape (B + 1,); 0 where a side
    holds no text to tell it."""
    sums = side_sums(np.stack((lengths.tokens, lengths.texts), axis=1), relabellings)
    told = (sums > 0).all(axis=(0, 2))
    baseline, generation = (np.where(told, side[:, 0] / np.maximum(side[:, 1], 1.0), 1.0) for side in sums)
    return np.asarray(np.log(generation) - np.log(baseline))


def _longer_influence(lengths: Lengths, side: BoolArray) -> FloatArray:
    if not all(lengths.tokens[which].any() for which in (side, ~side)):
        return np.zeros(side.size)
    return ratio_influence(lengths.tokens, lengths.texts, side, "log")


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
