"""Four corpora that answered the same prompts: baseline and generation k of two lineages, matched answer by answer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa

from collapse_audit.probes.statistics.design import MIN_UNITS, BoolArray, FloatArray, IntArray
from collapse_audit.probes.statistics.lengths import matched_length
from collapse_audit.probes.text.folding import visible
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.ngrams import truncated
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import Tokenizer, Tokens

Four = tuple[Sample, Sample, Sample, Sample]
"""Baseline and generation k of A, baseline and generation k of B: everywhere in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quartet:
    """The answers that are compared: D of them, to U prompts that all four corpora answered."""

    samples: Four
    kind: Literal["prompts", "groups"]
    """What the units are."""
    rows: tuple[IntArray, ...]
    """Rows of each sample that take part; each of shape (D / 4,)."""
    unit: IntArray
    """Shape (D,): the prompt of each answer."""
    corpus: IntArray
    """Shape (D,): 0 to 3, the sample it stands in."""
    units: int

    def column(self, columns: Sequence[pa.Array]) -> pa.Array:
        """Values of the answers that take part, shape (D,); ``columns`` holds an array for each sample."""
        kept = [column.take(pa.array(rows)) for column, rows in zip(columns, self.rows, strict=True)]
        return pa.concat_arrays(kept)

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum per-answer ``values`` over prompts and corpora: (D,) to (U, 4)."""
        place = 4 * self.unit + self.corpus
        return np.bincount(place, weights=values, minlength=4 * self.units).reshape(-1, 4).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers of a quartet, D of them, as a probe compares them."""

    four: Quartet
    tokenizer: Tokenizer
    rng: np.random.Generator
    label_rule: LabelRule | None = None
    fair: bool = True
    """Whether no generation descends from its baseline's very texts."""
    same_scorer: bool = True
    """Whether the nll of both lineages comes from the same generation 0."""

    @cached_property
    def baseline(self) -> BoolArray:
        """Whether an answer is a baseline's; shape (D,)."""
        return np.asarray(self.four.corpus % 2 == 0)

    @cached_property
    def texts(self) -> pa.Array:
        """Shape (D,)."""
        return self.four.column([sample.texts for sample in self.four.samples])

    @cached_property
    def folded(self) -> pa.Array:
        """The texts with white space folded; shape (D,)."""
        return self.four.column([sample.folded for sample in self.four.samples])

    @cached_property
    def loops(self) -> BoolArray:
        """Whether a text loops; shape (D,)."""
        loops = [sample.loops[rows] for sample, rows in zip(self.four.samples, self.four.rows, strict=True)]
        return np.concatenate(loops).astype(np.bool_)

    @cached_property
    def tokens(self) -> Tokens:
        """Tokens of the answers, in one vocabulary."""
        return self.tokenizer(visible(self.texts))

    @cached_property
    def matched(self) -> Tokens:
        """The tokens, cut to a common length where the corpora's lengths differ.

        Lengths decide whether, and where, texts are cut: where A and B answer alike no cut is made but by rare chance.
        """
        lengths = [self.tokens.lengths[self.four.corpus == corpus] for corpus in range(4)]
        cuts = [matched_length(*two) for two in itertools.combinations(lengths, 2)]
        known = [cut for cut in cuts if cut is not None]
        return truncated(self.tokens, min(known)) if known else self.tokens

    def everywhere(self, values: FloatArray) -> bool:
        """Whether every corpus has a sum of ``values`` (shape (D,)) above 0: else there is no mean to compare."""
        return bool(self.four.sums(values).sum(axis=0).all())


def quartet(samples: Four) -> Quartet | str:
    """Match the four corpora by group where all have groups, else by prompt; or say why that is not possible.

    Where a prompt has several answers, each corpus keeps as many as the one that has fewest, the first in its file.
    """
    kinds: tuple[Literal["prompts", "groups"], ...] = ("groups", "prompts")
    keyed = [(kind, [getattr(sample, kind) for sample in samples]) for kind in kinds]
    shared = [(kind, keys) for kind, keys in keyed if all(column is not None for column in keys)]
    if not shared:
        return "the records carry no prompts, so no answers can be matched"
    kind, keys = shared[0]
    coded = pa.concat_arrays(keys).dictionary_encode().indices.fill_null(-1).to_numpy()
    codes = np.split(coded.astype(np.int64), np.cumsum([len(sample) for sample in samples])[:-1])
    known = int(coded.max(initial=-1)) + 1
    counts = np.stack([np.bincount(code[code >= 0], minlength=known) for code in codes])
    quota = counts.min(axis=0)
    units = int(np.count_nonzero(quota))
    if units < MIN_UNITS:
        return f"{units} {kind} are answered in all four corpora; at least {MIN_UNITS} are needed"
    rows = tuple(np.flatnonzero((code >= 0) & (_rank(code) < quota[code])) for code in codes)
    dense = np.cumsum(quota > 0) - 1
    return Quartet(
        samples=samples,
        kind=kind,
        rows=rows,
        unit=np.concatenate([dense[code[kept]] for code, kept in zip(codes, rows, strict=True)]),
        corpus=np.repeat(np.arange(4), [kept.size for kept in rows]),
        units=units,
    )


def _rank(codes: IntArray) -> IntArray:
    """How many of the same code stand before each; shape as ``codes``."""
    order = np.argsort(codes, kind="stable")
    first = np.searchsorted(codes[order], codes[order], side="left")
    rank = np.empty_like(codes)
    rank[order] = np.arange(codes.size) - first
    return rank
