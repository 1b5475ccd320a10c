"""Who may swap places with whom: the exchangeable blocks and strata of a comparison, and its permutations.

Documents are resampled, never tokens: tokens of one text depend on each other, and a token-level test of two halves
of the same corpus rejects in more than half of all cases.

* Without keys, every document is a block and all blocks lie in one stratum.
* ``group`` (patient, source): a group's documents move together; a group present on both sides is a stratum of two
  blocks, so that its two halves are swapped with each other.
* ``prompt``: answers to a prompt that both sides answered are swapped within that prompt (paired, more powerful).
  A prompt on one side only is a cluster, as a group is, and so are a side's answers to a prompt where they are seen to
  depend on each other.
* Runs of neighbouring records and clusters (:mod:`collapse_audit.probes.pairs.units`) are keys like groups.

Both sides keep equally many blocks in every stratum, drawn at random, because divergences and distinct counts have no
protection against unequal n.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.statistics.relabelling import permuted_within

IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

Kind = Literal["document", "group", "prompt", "run", "cluster"]

MIN_UNITS = 10
"""Fewer units a side than this carry no interval: the central limit theorem is not to be had for ten texts."""
_FIXED_STRATUM = 5
"""Answers a side from which a prompt is a fixed stratum of its own rather than one draw of a pair."""


class Sized(Protocol):
    """How many documents are compared, and what was resampled of them."""

    @property
    def described(self) -> str:
        """What was resampled, for the report."""

    @property
    def too_few(self) -> str:
        """Why no interval exists, or an empty text."""

    @property
    def units(self) -> int:
        """Independent units on the smaller side."""

    def documents(self, side: bool) -> int:
        """How many documents a side holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Independent units that are not documents."""

    count: int
    """On the smaller side."""
    name: str
    """``runs of 64 neighbouring records``."""
    inferred: bool
    """Whether the files showed them, and nobody named them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The exchange structure of a comparison: D documents in K blocks, baseline documents first."""

    kind: Kind
    kept: IntArray
    """Shape (D,): rows of (baseline documents, then generation documents) that take part."""
    block: IntArray
    """Shape (D,): the block that a document moves with."""
    side: BoolArray
    """Shape (K,): True where the block is the generation's."""
    stratum: IntArray
    """Shape (K,): blocks of the same stratum may swap sides."""
    unit: IntArray
    """Shape (K,): the independent unit of a block, for standard errors: a pair is one unit."""
    cell: IntArray
    """Shape (units,): units of the same cell share an expectation, so influence is centred within it."""
    strata: str = "paired where both sides share them"
    """What strata are, in words."""
    blocks: str | None = None
    """What blocks are, in words, where the kind does not say it."""
    least: int = MIN_UNITS
    """Units a side without which there is no interval."""

    @property
    def paired(self) -> bool:
        """Whether keys that both sides share are strata of their own."""
        return bool(np.unique(self.stratum).size > 1)

    @property
    def described(self) -> str:
        """What was resampled, for the report."""
        blocks = self.blocks or f"{self.kind}s"
        return f"{blocks}, {self.strata}" if self.paired else blocks

    @property
    def dependent(self) -> Units | None:
        """What n counts where documents are not the independent units; None where they are."""
        if self.kind == "document" or (self.kind == "prompt" and self.blocks is None):
            return None  # answers are swapped one by one within their prompt
        return Units(count=self.units, name=self.blocks or f"{self.kind}s", inferred=self.kind in ("run", "cluster"))

    @property
    def too_few(self) -> str:
        """Why no interval exists, where that is because of the units that were found; else an empty text."""
        if self.units >= self.least or self.least == MIN_UNITS:
            return ""
        return f"{self.units} {self.blocks} a side are too few: sample independent records, or give --group FIELD"

    @property
    def units(self) -> int:
        """Independent units (documents, groups or prompts) on the smaller side; a pair counts on both."""
        return min(np.unique(self.unit[self.side == side]).size for side in (False, True))

    def documents(self, side: bool) -> int:
        """How many documents a side holds."""
        return int(np.count_nonzero(self.side[self.block] == side))

    def per_block(self, values: FloatArray) -> FloatArray:
        """Sum per-document values, shape (D,), over blocks: shape (K,)."""
        return np.bincount(self.block, weights=values, minlength=self.side.size).astype(np.float64)

    def standard_error(self, influence: FloatArray) -> float:
        """Standard error of an estimate from its influence values.

        ``influence`` has shape (K,), in units of the estimate: the estimate moves by about ``influence[k]`` when
        block k is added once more. Infinite where a side has fewer than ``least`` units.
        """
        if self.units < self.least:
            return np.inf
        per_unit = np.bincount(self.unit, weights=influence, minlength=self.cell.size)
        size = np.bincount(self.cell)
        mean = np.bincount(self.cell, weights=per_unit) / size
        mean[size == 1] = 0.0  # a lone unit has no spread of its own: count all of its influence
        squares = np.bincount(self.cell, weights=(per_unit - mean[self.cell]) ** 2)
        return float(np.sqrt(np.sum(squares * size / np.maximum(size - 1, 1))))

    def relabellings(self, count: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Draw ``count`` permutations of the sides; row 0 is the observed one. Shape (count + 1, K), 1 = generation.

        Within each stratum the number of blocks on either side is kept.
        """
        return permuted_within(self.side.astype(np.uint8), self.stratum, count, rng)

    def restricted(self, keep: BoolArray) -> Design:
        """The design of the blocks where ``keep`` (shape (K,)) is True."""
        documents = keep[self.block]
        units, unit = np.unique(self.unit[keep], return_inverse=True)
        return dataclasses.replace(
            self,
            kept=self.kept[documents],
            block=(np.cumsum(keep) - 1)[self.block[documents]],
            side=self.side[keep],
            stratum=np.unique(self.stratum[keep], return_inverse=True)[1],
            unit=unit,
            cell=np.unique(self.cell[units], return_inverse=True)[1],
        )


def thinned(design: Design, documents: int, rng: np.random.Generator) -> Design:
    """A random part of a design, of about ``documents`` documents a side, with equally many blocks a side in every
    stratum; all of it where it has no more."""
    share = documents / max(design.documents(False), 1)
    if share >= 1:
        return design
    here = np.bincount(design.stratum[design.side], minlength=int(design.stratum.max()) + 1)
    most = np.floor(share * here + rng.random(here.size)).astype(np.int64)
    keep = _rank(design.stratum, design.side, rng) < most[design.stratum]
    return equal_documents(design.restricted(keep), rng)


def by_document(n_baseline: int, n_generation: int, rng: np.random.Generator) -> Design:
    """Every document stands for itself; the larger side is subsampled to the smaller."""
    n = min(n_baseline, n_generation)
    baseline = np.sort(rng.permutation(n_baseline)[:n])
    generation = np.sort(rng.permutation(n_generation)[:n]) + n_baseline
    side = np.repeat([False, True], n)
    return Design(
        kind="document",
        kept=np.concatenate((baseline, generation)),
        block=np.arange(2 * n, dtype=np.int32),
        side=side,
        stratum=np.zeros(2 * n, dtype=np.int64),
        unit=np.arange(2 * n),
        cell=side.astype(np.int64),
    )


def by_key(
    baseline: IntArray,
    generation: IntArray,
    kind: Kind,
    rng: np.random.Generator,
    *,
    swapped: bool | None = None,
    **words: Any,
) -> Design:
    """Blocks and strata from the documents' keys (integers that mean the same on both sides), shapes (n,) and (m,).

    ``swapped``: whether the documents of a shared key change sides one by one (prompts, unless told otherwise), or all
    of a side's together. ``words`` are further fields of the design.
    """
    swapped = kind == "prompt" if swapped is None else swapped
    key = np.concatenate((baseline, generation))
    on_generation = np.repeat([False, True], (baseline.size, generation.size))
    shared = np.isin(key, np.intersect1d(baseline, generation))
    # A block is one document where answers to a shared prompt are swapped one by one, else a whole (side, key).
    alone = np.where(shared & swapped, np.arange(key.size), -1)
    first, block = np.unique(np.stack((key, on_generation, alone)), axis=1, return_index=True, return_inverse=True)[1:]
    key, side, shared = key[first], on_generation[first], shared[first]
    # Stratum 0 holds whatever only one side has; every shared key is a stratum of its own.
    stratum = np.unique(np.concatenate(([-1], np.where(shared, key, -1))), return_inverse=True)[1][1:]
    unit, cell = _units(key, side, shared, many_answers=swapped)
    full = Design(
        kind=kind,
        kept=np.arange(block.size),
        block=block.ravel(),
        side=side,
        stratum=stratum,
        unit=unit,
        cell=cell,
        **words,
    )
    return equal_documents(full.restricted(equal_blocks(stratum, side, rng)), rng)


def equal_blocks(stratum: IntArray, side: BoolArray, rng: np.random.Generator) -> BoolArray:
    """Choose equally many blocks on each side of every stratum, at random; shape (K,)."""
    sizes = np.bincount(2 * stratum + side, minlength=2 * (stratum.max() + 1))
    return _rank(stratum, side, rng) < np.minimum(sizes[0::2], sizes[1::2])[stratum]


def _rank(stratum: IntArray, side: BoolArray, rng: np.random.Generator) -> IntArray:
    """A random rank of every block among those of its side and stratum, from 0; shape (K,)."""
    order = np.lexsort((rng.random(stratum.size), side, stratum))
    cell = 2 * stratum + side
    sizes = np.bincount(cell)
    rank = np.empty_like(stratum)
    rank[order] = np.arange(stratum.size) - (np.cumsum(sizes) - sizes)[cell[order]]
    return rank


def equal_documents(design: Design, rng: np.random.Generator) -> Design:
    """Cut blocks so that both sides hold equally many documents: the largest block of a stratum's one side is matched
    with the largest of its other side, and so on, and both are cut at random to the smaller."""
    size = np.bincount(design.block)
    order = np.lexsort((-size, design.side, design.stratum))
    baseline, generation = order[~design.side[order]], order[design.side[order]]
    quota = np.empty_like(size)
    quota[baseline] = quota[generation] = np.minimum(size[baseline], size[generation])
    shuffled = np.lexsort((rng.random(design.block.size), design.block))
    rank = np.empty_like(shuffled)
    rank[shuffled] = np.arange(shuffled.size) - np.repeat(np.cumsum(size) - size, size)
    keep = rank < quota[design.block]
    return dataclasses.replace(design, kept=design.kept[keep], block=design.block[keep])


def _units(key: IntArray, side: BoolArray, shared: BoolArray, *, many_answers: bool) -> tuple[IntArray, IntArray]:
    """Independent units and their cells: a shared key is one unit (a pair), and all pairs are one cell.

    Where a shared prompt has many answers a side, the answers are the units and the prompt's two sides are the
    cells: the prompts are then fixed, and each carries its own spread.
    """
    dense = np.unique(key, return_inverse=True)[1]
    scarce = np.minimum(*(np.bincount(dense, weights=side == which)[dense] for which in (False, True)))
    fixed = shared & many_answers & (scarce >= _FIXED_STRATUM)
    paired = shared & ~fixed
    unit_label = np.where(paired, dense, key.size + np.arange(key.size))
    cell_label = np.where(paired, 0, np.where(fixed, 3 + 2 * dense + side, 1 + side))
    first, unit = np.unique(unit_label, return_index=True, return_inverse=True)[1:]
    return unit, np.unique(cell_label[first], return_inverse=True)[1]
