"""The samples of a line of generations set side by side: who may swap places with whom over all of them at once.

What a pair is for two samples, this is for the baseline's and those of generations 1..G. "Nothing changes along the
generations" says that documents are exchangeable among the generations, so blocks of them are permuted over columns
1..G; the baseline, column 0, stays where it is.

* Without keys, every document is a block and all blocks lie in one stratum.
* Answers to a prompt that several generations answered are permuted within that prompt, and so are the parts of a group
  (patient, source) that several generations hold: each such key is a stratum of its own.
* Where answers to a prompt, or records that stand next to each other, are seen to depend on each other, all of a
  generation's answers to a prompt, or runs of records, are the blocks (:mod:`collapse_audit.probes.pairs.units`).
* A key of one generation alone is a cluster, which moves as a whole among the others of its kind.

Every generation keeps equally many blocks, drawn at random, and of a shared prompt equally many answers.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_array, diags_array

from collapse_audit.probes.pairs.units import Unit, UnitSetting, choose, joined
from collapse_audit.probes.statistics.design import MIN_UNITS, BoolArray, FloatArray, IntArray, Kind
from collapse_audit.probes.statistics.lengths import matched_length
from collapse_audit.probes.statistics.relabelling import permuted_within
from collapse_audit.probes.statistics.tables import CountTable, count_table, products, side_sums
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.ngrams import take, truncated
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import Tokens

MOST = 2_000
"""Blocks of a generation that take part. Costs grow with them, and intervals are far narrower than any margin here."""
_MANY_ANSWERS = 5
"""Answers a generation from which a prompt is fixed and its answers are the independent units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """D documents in K blocks of C columns: column 0 is the baseline, column g the g-th generation."""

    kind: Kind
    kept: IntArray
    """Shape (D,): the documents that take part, as rows of all samples one after the other."""
    block: IntArray
    """Shape (D,): the block that a document moves with."""
    column: IntArray
    """Shape (K,)."""
    stratum: IntArray
    """Shape (K,): blocks of the same stratum may swap columns; stratum 0 is the baseline, which stays."""
    key: IntArray
    """Shape (K,): the group or prompt of a block, or the document itself; the same in all columns."""
    unit: IntArray
    """Shape (K,): the independent unit of a block; one key in several columns is one unit."""
    cell: IntArray
    """Shape (units,): units of the same cell stand in the same columns and share an expectation."""
    described: str = "documents"
    """What is permuted."""
    least: int = MIN_UNITS
    """Units of a column without which there is no interval."""

    @property
    def columns(self) -> int:
        """C: the generations, and one for the baseline."""
        return int(self.column.max()) + 1

    @property
    def documents(self) -> IntArray:
        """Documents of every column; shape (C,)."""
        return np.bincount(self.column[self.block], minlength=self.columns)

    @property
    def units(self) -> IntArray:
        """Independent units of every column; shape (C,)."""
        return np.array([np.unique(self.unit[self.column == column]).size for column in range(self.columns)])

    def per_block(self, values: FloatArray) -> FloatArray:
        """Sum per-document values, shape (D,), over blocks: shape (K,)."""
        return np.bincount(self.block, weights=values, minlength=self.column.size).astype(np.float64)

    def per_column(self, values: FloatArray) -> FloatArray:
        """Sum per-block values, shape (K,), over columns: shape (C,)."""
        return np.bincount(self.column, weights=values, minlength=self.columns).astype(np.float64)

    def covariance(self, influence: FloatArray) -> FloatArray:
        """Covariance of the C columns' estimates, shape (C, C), from the influence of every block on its column's own.

        Units are independent; a unit that stands in several columns makes them covary.
        """
        sums = np.zeros((self.cell.size, self.columns))
        np.add.at(sums, (self.unit, self.column), influence)
        size = np.bincount(self.cell)
        mean = np.zeros((size.size, self.columns))
        np.add.at(mean, self.cell, sums)
        mean[size > 1] /= size[size > 1, None]
        mean[size == 1] = 0.0  # a lone unit has no spread of its own: count all of its influence
        centred = sums - mean[self.cell]
        return np.asarray(centred.T @ (centred * (size / np.maximum(size - 1, 1))[self.cell, None]))

    def scatter(self, influence: FloatArray) -> FloatArray:
        """Variance of each column's estimate were it made of a single block of its own; shape (C,)."""
        blocks = self.per_column(np.ones_like(influence))
        squares = self.per_column((influence - (self.per_column(influence) / blocks)[self.column]) ** 2)
        return np.asarray(squares * blocks**2 / np.maximum(blocks - 1, 1))

    def relabellings(self, count: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Draw ``count`` permutations of the columns within strata; row 0 is the observed one. Shape (count + 1, K)."""
        return permuted_within(self.column.astype(np.uint8), self.stratum, count, rng)


@dataclass(frozen=True, kw_only=True)
class Succession:
    """The baseline's sample and those of the generations after it, in order."""

    baseline: Sample
    generations: tuple[Sample, ...]
    permutations: int
    seed: int
    label_rule: LabelRule | None = None
    trained_on_baseline: bool = False
    """Whether the generations descend from a model trained on these very baseline texts."""
    unit: UnitSetting = "auto"

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The baseline's, then the generations'."""
        return (self.baseline, *self.generations)

    def stream(self, purpose: str, *, of_baseline: bool = False) -> np.random.Generator:
        """The only source of chance: the user's seed, what the samples hold, and the purpose.

        ``of_baseline``: what is drawn is the baseline's alone, and must not depend on what it is compared with.
        """
        digests = [sample.digest for sample in ((self.baseline,) if of_baseline else self.samples)]
        key = "|".join([str(self.seed), *digests, f"trend: {purpose}"])
        return np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))

    @cached_property
    def layout(self) -> Layout:
        """Blocks, columns, strata and units."""
        return layout(self.samples, self.stream("layout"), choose(self.samples, self.unit, self.seed))

    @cached_property
    def relabellings(self) -> npt.NDArray[np.uint8]:
        """The column of every block, the observed first; shape (B + 1, K)."""
        return self.layout.relabellings(self.permutations, self.stream("relabellings"))

    def holds(self, generation: int) -> npt.NDArray[np.uint8]:
        """Whether the g-th generation holds a block, under every relabelling; shape (B + 1, K)."""
        return np.asarray(self.relabellings == generation).view(np.uint8)

    def sums(self, columns: FloatArray) -> FloatArray:
        """Sum per-block ``columns``, shape (K, c), over each generation under every relabelling: (B + 1, G, c)."""
        generations = range(1, self.layout.columns)
        return np.stack([side_sums(columns, self.holds(generation))[1] for generation in generations], axis=1)

    @cached_property
    def tokens(self) -> Tokens:
        """Tokens of the D documents in one vocabulary, cut to a common length where the generations' lengths differ."""
        tokens = joined(self.samples)
        tokens = take(tokens, self.layout.kept)
        column = self.layout.column[self.layout.block]
        by_length = sorted((tokens.lengths[column == g] for g in range(1, self.layout.columns)), key=np.mean)
        cut = matched_length(by_length[-1], by_length[0])
        return tokens if cut is None else truncated(tokens, cut)

    @property
    def texts(self) -> pa.Array:
        """The texts that take part; shape (D,)."""
        return pa.concat_arrays([sample.texts for sample in self.samples]).take(pa.array(self.layout.kept))

    @cached_property
    def words(self) -> CountTable:
        """Counts of token types in blocks."""
        owner = np.repeat(self.layout.block, self.tokens.lengths)
        return count_table(owner, self.tokens.ids, self.layout.column.size)

    @cached_property
    def swept(self) -> Swept:
        """Distinct types and meetings of every generation under every relabelling: one product serves them all."""
        table = self.words
        shares = dataclasses.replace(table, counts=scaled(table, np.float32))
        held = (table.lengths > 0).astype(np.float64)
        squares = np.asarray(scaled(table, np.float64).power(2).sum(axis=0), dtype=np.float64)
        columns = np.stack((squares, shares.squares, held, table.hapaxes, np.ones_like(held)), axis=1)
        within, own, full, distinct, blocks = self.sums(columns).transpose(2, 0, 1).copy()
        meetings = np.empty_like(within)
        for g in range(1, self.layout.columns):
            for part, counts in products(shares, self.holds(g)):
                meetings[part, g - 1] = np.einsum("vb,vb->b", counts[1], counts[1], dtype=np.float64)
                distinct[part, g - 1] += np.count_nonzero(counts[1], axis=0)
        return Swept(
            squares=squares,
            held=held,
            within=within,
            full=full,
            blocks=blocks,
            distinct=distinct,
            meetings=np.maximum(meetings - own, 0.0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What the shares of types in blocks say of each generation under every relabelling.

    With s_a the shares of the types in block a, two blocks meet in s_a.s_b.
    """

    squares: FloatArray
    """Shape (K,): s_a.s_a."""
    held: FloatArray
    """Shape (K,): 1 where a block holds any token."""
    within: FloatArray
    """Shape (B + 1, G), as all that follow: the sum of s_a.s_a over a generation's blocks."""
    full: FloatArray
    """Blocks that hold any token."""
    blocks: FloatArray
    distinct: FloatArray
    """Distinct types."""
    meetings: FloatArray
    """Sum of s_a.s_b over ordered pairs of different blocks."""


def scaled(table: CountTable, kind: type[np.floating[Any]]) -> csr_array:
    """Shares of the types in every block, shape (V, K)."""
    return csr_array(table.counts.astype(kind) @ diags_array((1 / np.maximum(table.lengths, 1.0)).astype(kind)))


def layout(samples: Sequence[Sample], rng: np.random.Generator, chosen: Unit) -> Layout:
    """Lay out the baseline's sample and the generations' in ``chosen`` units; at most ``MOST`` blocks a generation."""
    size, keys = sum(len(sample) for sample in samples), chosen.keys
    key = np.arange(size) if keys is None else np.unique(np.concatenate(keys), return_inverse=True)[1].astype(np.int64)
    column = np.repeat(np.arange(len(samples)), [len(sample) for sample in samples])
    written = np.zeros((int(key.max()) + 1, len(samples)), dtype=np.bool_)
    written[key, column] = True
    shared = np.count_nonzero(written[:, 1:], axis=1) > 1
    # A block is one document where answers to a shared prompt are permuted one by one, else a whole (column, key).
    alone = np.where(shared[key] & chosen.swapped, np.arange(key.size), -1)
    first, block = np.unique(np.stack((column, key, alone)), axis=1, return_index=True, return_inverse=True)[1:]
    key, column, block = key[first], column[first], block.ravel()
    # Stratum 0 is the baseline, 1 holds the clusters, and every key of several generations is one of its own.
    label = np.where(column == 0, 0, np.where(shared[key], 2 + key, 1))
    stratum = np.searchsorted(np.union1d(label, [0, 1]), label)
    keep = _equal(key, column, rng)
    unit, cell = _units(key[keep], column[keep], answers=shared[key[keep]] & chosen.swapped)
    return Layout(
        kind=chosen.kind,
        kept=np.flatnonzero(keep[block]),
        block=(np.cumsum(keep) - 1)[block[keep[block]]],
        column=column[keep],
        stratum=stratum[keep],
        key=key[keep],
        unit=unit,
        cell=cell,
        described=chosen.described or f"{chosen.kind}s",
        least=chosen.least,
    )


def _equal(key: IntArray, column: IntArray, rng: np.random.Generator) -> BoolArray:
    """Choose the blocks that take part: equally many of every generation, and of the same keys where that can be."""
    counts = np.zeros((int(key.max()) + 1, int(column.max()) + 1), dtype=np.int64)
    np.add.at(counts, (key, column), 1)
    answered = np.where(counts[:, 1:] > 0, counts[:, 1:], key.size).min(axis=1)
    chance = rng.random(key.size)
    keep: BoolArray = np.asarray(_rank(key * counts.shape[1] + column, chance) < answered[key])
    n = min(MOST, *np.bincount(column[keep], minlength=counts.shape[1])[1:].tolist())
    # One number a key: the first keys of every column are then the same.
    first = rng.random(len(counts))[key]
    keep[keep] = _rank(column[keep], first[keep]) < n
    return keep


def _rank(group: IntArray, value: FloatArray) -> IntArray:
    """Rank of ``value`` within its group, from 0; ties in order."""
    order = np.lexsort((value, group))
    sizes = np.bincount(group)
    rank = np.empty_like(group)
    rank[order] = np.arange(group.size) - (np.cumsum(sizes) - sizes)[group[order]]
    return rank


def _units(key: IntArray, column: IntArray, *, answers: BoolArray) -> tuple[IntArray, IntArray]:
    """Independent units and their cells. A key is one unit in all of its columns.

    Where the generations have many answers to a prompt, the answers are the units, and prompt and column are the cell:
    the prompts are then fixed, and each carries its own spread.
    """
    counts = np.zeros((int(key.max()) + 1, int(column.max()) + 1), dtype=np.int64)
    np.add.at(counts, (key, column), 1)
    fixed = answers & (np.where(counts[:, 1:] > 0, counts[:, 1:], key.size).min(axis=1)[key] >= _MANY_ANSWERS)
    unit = np.unique(np.where(fixed, len(counts) + np.arange(key.size), key), return_inverse=True)[1]
    described = np.full((int(unit.max()) + 1, counts.shape[1] + 1), -1, dtype=np.int64)
    described[unit, column] = 1
    described[unit[fixed], -1] = key[fixed]
    return unit, np.unique(described, axis=0, return_inverse=True)[1].ravel()
