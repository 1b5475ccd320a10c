"""A reference pack: what a corpus may say of itself elsewhere, so that new generations can be compared with it.

Two parts. A :class:`~collapse_audit.probes.packs.sketch.Sketch` of all its blocks, in which no word is spelt; and how
often *common* words and labels stand in the blocks that are compared. Which words are common is decided by the other
half of the documents, set aside for nothing else: a vocabulary chosen by the very texts that are compared holds words
that are frequent there by luck, and "no change" is then rejected far too often.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from collapse_audit.errors import UsageError
from collapse_audit.probes.packs.sketch import Sketch, cuts_of, document_counts, sketch
from collapse_audit.probes.statistics.design import MIN_UNITS, BoolArray, IntArray
from collapse_audit.probes.text.labels import LabelRule, Labels
from collapse_audit.probes.text.ngrams import take
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import Tokens

COMMON = 5
"""Documents in which a word or label must stand to be named."""
LEAST_SIZE, SIZE = 5, 10
"""Fewest documents a block, and how many there are unless said otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLabels:
    """Labels of N documents; L labels are named in C compared blocks."""

    rule: str
    """See :func:`rule_key`."""
    names: tuple[str, ...]
    """Labels that at least 5 of the documents set aside carry, sorted."""
    carriers: IntArray
    """Shape (C, L + 2): documents of a block that carry each of ``names``, that carry another, and that carry none."""
    totals: Mapping[str, int]
    """Of all N documents, how many carry a category, for categories that at least 5 carry."""
    scarce: int
    """Categories that 1 to 4 of the N documents carry: too few to be named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """N documents in K blocks, the first C of which are compared word by word; V common words."""

    sketch: Sketch
    """Of all K blocks."""
    words: tuple[str, ...]
    """The common words, sorted: each stands in at least 5 of the documents set aside."""
    aside: IntArray
    """Shape (V,): how often the documents set aside hold each of them."""
    aside_tokens: int
    """Tokens of the documents set aside, rare ones included."""
    counts: csr_array
    """Shape (C, V): how often each compared block holds each common word."""
    labels: PackedLabels | None
    held_out: bool
    """Whether nothing was trained on these texts."""
    tokens: str
    """See :func:`tokens_key`."""

    @property
    def compared(self) -> int:
        """C."""
        return int(self.counts.shape[0])

    @property
    def documents(self) -> int:
        """N."""
        return self.sketch.blocks * self.sketch.size

    @property
    def named_share(self) -> float:
        """Share of the compared tokens that are common words."""
        return float(self.counts.sum() / max(self.sketch.at[-1].tokens[: self.compared].sum(), 1))


class Shuffle(Protocol):
    """What puts documents into blocks: a generator of random numbers, or the order of a private key."""

    def permutation(self, count: int, /) -> IntArray:
        """The numbers below ``count`` in that order."""


def make_pack(
    sample: Sample,
    rng: np.random.Generator | Shuffle,
    *,
    tokens: str,
    held_out: bool,
    rule: LabelRule | None = None,
    size: int = SIZE,
) -> Pack:
    """Pack ``sample``, cut by the tokeniser called ``tokens``, in blocks of ``size`` documents that ``rng`` draws.

    Whoever knows the state of ``rng`` and the order of the file knows who is in which block. Raises UsageError where
    there are too few documents.
    """
    if size < LEAST_SIZE:
        raise UsageError(
            f"blocks of {size} documents; allowed: at least {LEAST_SIZE}, so that none stands for one text"
        )
    rows = independent(sample, rng)
    blocks = rows.size // size
    if blocks < 2 * MIN_UNITS:
        raise UsageError(
            f"{rows.size} independent documents are too few for a pack: it needs {2 * MIN_UNITS} blocks of {size}, "
            f"{2 * MIN_UNITS * size} documents"
        )
    rows = rows[: blocks * size]
    if sample.nll is not None and np.isnan(sample.nll[rows]).any():
        sample = dataclasses.replace(sample, nll=None)  # those that have one are no random sample of all
    chosen = take(sample.tokens, rows)
    compared = blocks - blocks // 2
    present, common = _common(chosen, compared * size)
    return Pack(
        sketch=sketch(sample, rows, size=size, cuts=cuts_of(chosen.lengths)),
        words=tuple(chosen.vocabulary.take(pa.array(common)).to_pylist()),
        aside=np.asarray(present[compared * size :].sum(axis=0))[common].astype(np.int64),
        aside_tokens=int(chosen.lengths[compared * size :].sum()),
        counts=summed(present[: compared * size, common], size),
        labels=None if rule is None else _labels(sample.labels(rule), rule, rows, compared, size),
        held_out=held_out,
        tokens=tokens_key(tokens),
    )


def independent(sample: Sample, rng: np.random.Generator | Shuffle) -> IntArray:
    """Documents of ``sample`` in random order: all of them, or one of each group (or else prompt) where there are such.

    A block then holds as many independent documents as its size says, and "in 5 documents" means 5 patients.
    """
    order = np.asarray(rng.permutation(len(sample)))
    for keys in (sample.groups, sample.prompts):
        if keys is not None and len(keys.drop_null().unique()) >= 2:
            codes = keys.dictionary_encode().indices.fill_null(-1).to_numpy().astype(np.int64)
            alone = codes < 0  # a document without a key stands for itself
            codes[alone] = codes.size + np.flatnonzero(alone)
            return np.asarray(order[np.sort(np.unique(codes[order], return_index=True)[1])])
    return order


def _common(tokens: Tokens, aside: int) -> tuple[csr_array, IntArray]:
    """Counts of all types in all documents, and the common types in the order of their spelling.

    ``aside`` is the first document that is set aside: from there on, a common type stands in at least 5.
    """
    counts = document_counts(tokens)
    frequency = np.bincount(counts[aside:].indices, minlength=counts.shape[1])
    common = np.flatnonzero(frequency >= COMMON)
    spelt = tokens.vocabulary.take(pa.array(common))
    return counts, common[pc.sort_indices(spelt).to_numpy()]


def summed(counts: csr_array, size: int) -> csr_array:
    """Rows added up, ``size`` at a time."""
    rows = counts.shape[0]
    block = np.arange(rows) // size
    gather = csr_array((np.ones(rows), (block, np.arange(rows))), shape=(rows // size, rows))
    together = csr_array(gather @ counts)
    together.sort_indices()
    return together


def _labels(labels: Labels, rule: LabelRule, rows: IntArray, compared: int, size: int) -> PackedLabels | None:
    carried = labels.carried[rows]
    if not carried.nnz:
        return None
    counted = carried.sum(axis=0)
    named = np.flatnonzero(carried[compared * size :].sum(axis=0) >= COMMON)
    categories = {name: int(n) for name, n in zip(labels.names, counted, strict=True) if name in labels.categories}
    return PackedLabels(
        rule=rule_key(rule),
        names=tuple(labels.names[k] for k in named),
        carriers=kinds(carried[: compared * size], named).reshape(compared, size, -1).sum(axis=1),
        totals={name: n for name, n in categories.items() if n >= COMMON},
        scarce=sum(1 for n in categories.values() if 0 < n < COMMON),
    )


def kinds(carried: csr_array, named: IntArray) -> BoolArray:
    """Who carries each of the ``named`` labels, who any other, and who none; shape (documents, named + 2)."""
    these, all_of = carried[:, named].toarray() > 0, np.diff(carried.indptr)
    return np.column_stack((these, all_of > these.sum(axis=1), all_of == 0))


def rule_key(rule: LabelRule) -> str:
    """A rule as a pack names it: ``field``, ``eu-tirads``, or ``regex`` with a digest, for a pattern may say a lot."""
    kind, colon, pattern = rule.name.partition(":")
    return kind if not colon else f"{kind} (sha256 {hashlib.sha256(pattern.encode()).hexdigest()[:12]})"


def tokens_key(name: str) -> str:
    """A tokeniser as a pack names it: ``words``, or ``hf`` with its digest and without the name of its file."""
    kind, colon, file = name.partition(":")
    return kind if not colon else f"{kind} ({file.rpartition(' (')[2]}"
