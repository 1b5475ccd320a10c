"""Count tables (how often each type stands in each block) and what becomes of them under every relabelling.

Every type is counted on the generation's side under all relabellings at once (``bitwise``), and one count serves all
functionals; the complement is the baseline's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from collapse_audit.probes.statistics.bitwise import counted, packed, present, total
from collapse_audit.probes.statistics.design import FloatArray, IntArray

COARSE_BLOCKS = 5
"""A type seen in fewer blocks of the two corpora together goes into one ``<rare>`` bin."""
COMPARABLE = 0.5
"""Least share of the tokens that must be of types that can be compared, for the two sides to be called alike."""
_SHORT = 3.0
"""Below this mean number of tokens a block, texts are whole patterns, and each keeps a bin of its own."""
_CHUNK = 1 << 18
"""Cells of a dense product in memory at once (float32: 1 MiB, which the processor's cache holds)."""
_TILE = (128, 512)
"""Relabellings and blocks that are floats at once: half a mebibyte."""


@dataclass(frozen=True, kw_only=True)
class CountTable:
    """Counts of V types in K blocks. Types are ordered by falling block frequency."""

    counts: csr_array
    """Shape (V, K), float32 holding integers."""
    types: IntArray
    """Shape (V,): each row's type, as the caller coded it."""
    frequency: IntArray
    """Shape (V,): blocks that hold the type, both sides together; non-increasing."""
    lengths: FloatArray
    """Shape (K,): tokens a block."""

    @cached_property
    def coarse(self) -> int:
        """Number of leading rows that keep a bin of their own in divergences.

        All of them where texts are mere patterns: pooling rare types helps against sharpening and hurts against
        drift, and with one type a text nothing but the drift of rare types is left to see.
        """
        if self.lengths.mean() < _SHORT:
            return self.types.size
        return int(np.count_nonzero(self.frequency >= COARSE_BLOCKS))

    @cached_property
    def repeated(self) -> csr_array:
        """Shape (R, K): the leading rows, whose types stand in at least two blocks."""
        return self.counts[: np.count_nonzero(self.frequency >= 2)]

    @property
    def seen_apart(self) -> int:
        """Number of leading rows that have a bin of their own *and* stand in two blocks, so that they can differ."""
        return min(self.coarse, int(self.repeated.shape[0]))

    @cached_property
    def hapaxes(self) -> FloatArray:
        """Shape (K,): types that stand in this block and in no other."""
        lone = self.counts.indices[self.repeated.nnz :]
        return np.bincount(lone, minlength=self.lengths.size).astype(np.float64)

    @cached_property
    def squares(self) -> FloatArray:
        """Shape (K,): sum of the squared counts of a block's types, of those that stand in other blocks too."""
        squared = self.repeated.data.astype(np.float64) ** 2
        return np.bincount(self.repeated.indices, squared, self.lengths.size).astype(np.float64)

    def on(self, side: npt.NDArray[np.bool_]) -> FloatArray:
        """Counts of every type over the blocks where ``side`` is True; shape (V,)."""
        return np.asarray(self.counts @ side.astype(np.float64))

    def blocks_on(self, side: npt.NDArray[np.bool_]) -> IntArray:
        """Block frequency of every type over the blocks where ``side`` is True; shape (V,)."""
        present = csr_array(
            (np.ones_like(self.counts.data), self.counts.indices, self.counts.indptr), self.counts.shape
        )
        return np.asarray(present @ side.astype(np.float64)).astype(np.int64)


def count_table(block: IntArray, types: IntArray, n_blocks: int) -> CountTable:
    """Count ``types`` (shape (T,), codes 0, 1, 2, …) in the blocks they stand in (shape (T,))."""
    size = int(types.max(initial=-1)) + 1
    ones = np.ones(types.size, dtype=np.float32)
    counts = coo_array((ones, (types, block)), shape=(size, n_blocks)).tocsr()
    del ones
    frequency = np.diff(counts.indptr)
    order = np.argsort(-frequency, kind="stable")[: np.count_nonzero(frequency)]
    return CountTable(
        counts=counts[order],
        types=order,
        frequency=frequency[order],
        lengths=np.bincount(block, minlength=n_blocks).astype(np.float64),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Functionals of a table under every relabelling; column 0 is the observed labelling, row 0 the baseline's side."""

    distinct: FloatArray
    """Shape (2, B + 1): distinct types."""
    collisions: FloatArray
    """Shape (2, B + 1): probability that two tokens from two different blocks are the same type (unbiased for
    sum p^2 whatever n, and blind to repetition within a text)."""
    divergence: FloatArray
    """Shape (B + 1,): Jensen-Shannon divergence on the coarse vocabulary, nats."""


def sweep(table: CountTable, relabellings: npt.NDArray[np.uint8]) -> Swept:
    """Distinct types, collision probability and JS divergence for each row of ``relabellings`` (shape (B + 1, K))."""
    columns = np.stack((table.lengths, table.hapaxes, table.squares, table.lengths**2), axis=1)
    tokens, hapaxes, squares, squared_lengths = side_sums(columns, relabellings).transpose(2, 0, 1)
    # A type that stands in a single block is on one side or the other, so all of those together are linear.
    distinct, same = hapaxes.copy(), -squares
    sums = _Divergence(tokens, pooled=table.coarse <= table.repeated.shape[0])
    totals = np.asarray(table.repeated.sum(axis=1), dtype=np.float64)
    for part, generation in counted(table.repeated, packed(relabellings), len(relabellings)):
        whole, counts = totals[part], generation.astype(np.float64)
        baseline = whole[:, None] - counts
        distinct[1] += _rows_of(generation, generation.min(axis=1) == 0)
        distinct[0] += _rows_of(baseline, generation.max(axis=1) == whole)
        met = np.einsum("vb,vb->b", counts, counts)
        same += np.stack((met - 2 * (whole @ counts) + (whole**2).sum(), met))
        kept = max(table.coarse - part.start, 0)
        sums.add(baseline[:kept], counts[:kept])
    pairs = tokens**2 - squared_lengths
    collisions = np.divide(same, pairs, out=np.zeros_like(same), where=pairs > 0)
    return Swept(distinct=distinct, collisions=collisions, divergence=sums.divergence())


def _rows_of(counts: npt.NDArray[Any], may_lack: npt.NDArray[np.bool_]) -> IntArray:
    """How many types are there under each relabelling, of those that ``may_lack`` (v,) under one; counts (v, b)."""
    return np.asarray((counts[may_lack] != 0).sum(axis=0, dtype=np.int64) + np.count_nonzero(~may_lack))


def sweep_distinct(tables: Iterable[CountTable], relabellings: npt.NDArray[np.uint8]) -> FloatArray:
    """Distinct types of disjoint vocabularies together, under every relabelling; shape (2, B + 1).

    Needs no counts: a type is on the generation's side where any of its blocks is (or), and on the baseline's where
    not all of them are (not and).
    """
    bits, replicates = packed(relabellings), len(relabellings)
    distinct = np.zeros((2, replicates))
    hapaxes = np.zeros(relabellings.shape[1])
    for table in tables:
        hapaxes += table.hapaxes
        for sides in present(table.repeated, bits):
            distinct += np.stack([total(side, replicates) for side in sides])
    return distinct + side_sums(hapaxes[:, None], relabellings)[:, :, 0]


def products(table: CountTable, relabellings: npt.NDArray[np.uint8]) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
    """Both sides' counts of the repeated types under a slice of the relabellings, shape (2, R, b), slice by slice."""
    total = np.asarray(table.repeated.sum(axis=1), dtype=np.float32)[:, None]
    step = max(8, _CHUNK // max(*table.repeated.shape, 1))
    for start in range(0, len(relabellings), step):
        part = slice(start, start + step)
        generation = table.repeated @ relabellings[part].T.astype(np.float32)
        yield part, np.stack((total - generation, generation))


def side_sums(columns: FloatArray, relabellings: npt.NDArray[np.uint8]) -> FloatArray:
    """Sum per-block ``columns`` (shape (K, c)) on both sides under every relabelling; shape (2, B + 1, c)."""
    generation = np.zeros((len(relabellings), columns.shape[1]))
    rows, blocks = _TILE
    tile = np.empty(_TILE)  # written over: a thousand relabellings as floats are hundreds of megabytes
    for first in range(0, columns.shape[0], blocks):
        part = np.ascontiguousarray(columns[first : first + blocks])
        for start in range(0, len(relabellings), rows):
            sides = relabellings[start : start + rows, first : first + blocks]
            side = tile[: sides.shape[0], : sides.shape[1]]
            side[...] = sides
            generation[start : start + rows] += side @ part
    return np.stack((columns.sum(axis=0) - generation, generation))


def sparse_side_sums(columns: csr_array, relabellings: npt.NDArray[np.uint8]) -> Iterator[tuple[slice, FloatArray]]:
    """As :func:`side_sums` of the transposed ``columns`` (shape (c, K)), shape (2, b, c), a slice of the relabellings
    after the other: what is held at once is bounded however many columns there are."""
    total = np.asarray(columns.sum(axis=1), dtype=np.float64)
    step = max(1, _CHUNK // max(*columns.shape, 1))
    for start in range(0, len(relabellings), step):
        part = slice(start, start + step)
        generation = np.ascontiguousarray((columns @ relabellings[part].T.astype(np.float64)).T)
        yield part, np.stack((total - generation, generation))


class _Divergence:
    """Jensen-Shannon divergence of the shares of types (and of what is left, in one bin), from a few types at a time.

    Sums go on from where the last ones ended, so that how many types come at a time changes no digit.
    """

    def __init__(self, tokens: FloatArray, *, pooled: bool) -> None:
        self._tokens, self._any, self._pooled = np.maximum(tokens, 1.0), tokens > 0, pooled
        self._shares = np.zeros_like(tokens)
        self._entropies = np.zeros((3, tokens.shape[1]))

    def add(self, baseline: FloatArray, generation: FloatArray) -> None:
        """Counts of v types on both sides; shapes (v, b)."""
        p, q, scratch = np.empty((3, len(baseline) + 1, baseline.shape[1]))
        for shares, counts, tokens, held in zip(
            (p, q), (baseline, generation), self._tokens, self._shares, strict=True
        ):
            np.divide(counts, tokens, out=shares[1:])
            go_on(held, shares)
        for shares, held in zip((p, q), self._entropies[:2], strict=True):
            _add_plogp(held, shares, scratch)
        p += q
        p /= 2
        _add_plogp(self._entropies[2], p, scratch)

    def divergence(self) -> FloatArray:
        """Of all types that were added; shape (b,), nats."""
        of_types: FloatArray = (self._entropies[0] + self._entropies[1]) / 2 - self._entropies[2]
        rest: FloatArray = np.maximum(self._any - self._shares, 0.0)
        # Where types of several blocks are pooled, the rest is a bin. Otherwise it is types of a single block: each
        # stands on one side only, where p ln(p/m) = p ln 2.
        pooled = jensen_shannon(rest[:1], rest[1:]) if self._pooled else rest.sum(axis=0) * (np.log(2) / 2)
        return np.asarray(of_types + pooled)


def go_on(so_far: FloatArray, rows: FloatArray) -> None:
    """Add ``rows`` from the second on to ``so_far``, one after the other, so that no digit hangs on how many come at
    once; the first row is written over."""
    rows[0] = so_far
    rows.sum(axis=0, out=so_far)


def _add_plogp(so_far: FloatArray, p: FloatArray, scratch: FloatArray) -> None:
    """Add p ln p of ``p`` from the second row on; 0 ln 0 = 0. ``scratch``, of the shape of ``p``, is written over.

    scipy's ``entr`` gives the same terms one by one; numpy's logarithm takes several at a time.
    """
    np.maximum(p[1:], np.finfo(np.float64).tiny, out=scratch[1:])
    np.log(scratch[1:], out=scratch[1:])
    scratch[1:] *= p[1:]
    go_on(so_far, scratch)


def jensen_shannon(p: FloatArray, q: FloatArray) -> FloatArray:
    """Jensen-Shannon divergence along axis 0, nats (Lin 1991): entropy of the mean less mean of the entropies.

    Adds up over parts of the support, so ``p`` and ``q`` need not sum to 1 there; in [0, ln 2] where they do.
    """
    middle = (p + q) / 2
    return np.asarray((_plogp(p) + _plogp(q)) / 2 - _plogp(middle))


def _plogp(p: FloatArray) -> FloatArray:
    return np.asarray((np.log(np.maximum(p, np.finfo(np.float64).tiny)) * p).sum(axis=0))
