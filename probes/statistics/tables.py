"""Count tables (how often each type stands in each block) and what becomes of them under every relabelling.

One sparse matrix product serves all replicates and all functionals: the table, types by blocks, times the 0/1
relabellings, blocks by replicates, is every count on the generation's side; the complement is the baseline's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from collapse_audit.probes.statistics.design import FloatArray, IntArray

COARSE_BLOCKS = 5
"""A type seen in fewer blocks of the two corpora together goes into one ``<rare>`` bin."""
COMPARABLE = 0.5
"""Least share of the tokens that must be of types that can be compared, for the two sides to be called alike."""
_SHORT = 3.0
"""Below this mean number of tokens a block, texts are whole patterns, and each keeps a bin of its own."""
_CHUNK = 1 << 18
"""Cells of a dense product in memory at once (float32: 1 MiB, which the processor's cache holds)."""


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
    distinct, same = np.empty_like(tokens), np.empty_like(tokens)
    divergence = np.empty(len(relabellings))
    pooled = table.coarse <= table.repeated.shape[0]
    for part, counts in products(table, relabellings):
        # A type that stands in a single block is on one side or the other, so all of those together are linear.
        distinct[:, part] = (counts != 0).sum(axis=1, dtype=np.int32) + hapaxes[:, part]
        same[:, part] = np.einsum("svb,svb->sb", counts, counts, dtype=np.float64) - squares[:, part]
        divergence[part] = _divergence(counts[:, : table.coarse], tokens[:, part], pooled=pooled)
    pairs = tokens**2 - squared_lengths
    collisions = np.divide(same, pairs, out=np.zeros_like(same), where=pairs > 0)
    return Swept(distinct=distinct, collisions=collisions, divergence=divergence)


def sweep_distinct(tables: Iterable[CountTable], relabellings: npt.NDArray[np.uint8]) -> FloatArray:
    """Distinct types of disjoint vocabularies together, under every relabelling; shape (2, B + 1).

    Needs no counts, so one bit a block and replicate does, 64 to a word: a type is on the generation's side where any
    of its blocks is (or), and on the baseline's where not all of them are (not and).
    """
    replicates = len(relabellings)
    padded = np.zeros((relabellings.shape[1], replicates + -replicates % 64), dtype=np.uint8)
    padded[:, :replicates] = relabellings.T
    bits = np.packbits(padded, axis=1).view(np.uint64)
    distinct = np.zeros((2, replicates))
    hapaxes = np.zeros(relabellings.shape[1])
    for table in tables:
        hapaxes += table.hapaxes
        for held, starts in _portions(table.repeated, bits, size=max(1, _CHUNK // replicates)):
            on_generation, on_baseline = np.bitwise_or.reduceat(held, starts), ~np.bitwise_and.reduceat(held, starts)
            for side, present in enumerate((on_baseline, on_generation)):
                each = np.unpackbits(present.view(np.uint8), axis=1, count=replicates)
                distinct[side] += each.sum(axis=0, dtype=np.int32)
    return distinct + side_sums(hapaxes[:, None], relabellings)[:, :, 0]


def _portions(
    repeated: csr_array, bits: npt.NDArray[np.uint64], *, size: int
) -> Iterator[tuple[npt.NDArray[np.uint64], IntArray]]:
    """The bits of the blocks that hold each of ``size`` types, and where each type's blocks start."""
    for first in range(0, repeated.shape[0], size):
        bounds = repeated.indptr[first : first + size + 1]
        yield bits[repeated.indices[bounds[0] : bounds[-1]]], bounds[:-1] - bounds[0]


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
    generation = np.concatenate(
        [relabellings[start : start + 64].astype(np.float64) @ columns for start in range(0, len(relabellings), 64)]
    )
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


def _divergence(counts: npt.NDArray[np.float32], tokens: FloatArray, *, pooled: bool) -> FloatArray:
    shares: FloatArray = counts / np.maximum(tokens, 1.0)[:, None]
    rest: FloatArray = np.maximum((tokens > 0) - shares.sum(axis=1), 0.0)
    if pooled:
        return jensen_shannon(shares[0], shares[1]) + jensen_shannon(rest[:1], rest[1:])
    # The rest are types of a single block: each stands on one side only, where p ln(p/m) = p ln 2.
    lone: FloatArray = rest.sum(axis=0) * (np.log(2) / 2)
    return jensen_shannon(shares[0], shares[1]) + lone


def jensen_shannon(p: FloatArray, q: FloatArray) -> FloatArray:
    """Jensen-Shannon divergence along axis 0, nats (Lin 1991): entropy of the mean less mean of the entropies.

    Adds up over parts of the support, so ``p`` and ``q`` need not sum to 1 there; in [0, ln 2] where they do.
    """
    held = np.add(p, q)
    held /= 2
    scratch = np.empty_like(held)
    return np.asarray((_plogp(p, scratch) + _plogp(q, scratch)) / 2 - _plogp(held, scratch))


def _plogp(p: FloatArray, scratch: FloatArray) -> FloatArray:
    """Sum of p ln p along axis 0, where 0 ln 0 = 0; ``scratch``, of the shape of ``p``, is written over.

    scipy's ``entr`` gives the same terms one by one; numpy's logarithm takes several at a time.
    """
    np.maximum(p, np.finfo(np.float64).tiny, out=scratch)
    np.log(scratch, out=scratch)
    scratch *= p
    return np.asarray(scratch.sum(axis=0))
