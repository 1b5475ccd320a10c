"""A corpus as numbers of blocks of documents: what may be known of texts that stay where they are.

A block is a handful of independent documents in no order. Everything here is a number of a block, of a run of
neighbouring blocks, or of all blocks up to one; none of it depends on how a word is spelt. The same function makes the
sketch of a baseline, which is written into a reference pack, and that of the generation set beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from collapse_audit.probes.statistics.design import FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import jackknife
from collapse_audit.probes.statistics.lengths import MATERIAL
from collapse_audit.probes.text.ngrams import recoded, take, truncated
from collapse_audit.probes.text.repeats import repeated_grams
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import Tokens

UNCUT = 0
"""Stands among the cuts for the whole text."""
_LADDER = (1, *(factor << doubling for doubling in range(13) for factor in (2, 3)))
CUTS = tuple(step for step in _LADDER if step >= 8)
"""Lengths, in tokens, at which a baseline is sketched (8, 12, 16, 24, … 12,288): they do not depend on its texts."""
RUNS = 8
"""Runs of neighbouring blocks a side that a test asks for: 12,870 ways to relabel them, so p-values down to .0001."""
NLL_STEP = 0.05
"""Width of the bins of log-perplexity, nats a token: half of the default margin of the perplexity probe."""
_SHARES = 4
"""Decimals of a block's sum of shares of repeated 4-grams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Distinct types of one kind (words, pairs of words, whole texts) in K blocks."""

    distinct: IntArray
    """Shape (K,): in the first k + 1 blocks together."""
    spread: FloatArray
    """Shape (K,): of the documents of those blocks, the squared deviations of how many types only they hold, summed."""
    runs: tuple[IntArray, ...]
    """In each run of as many neighbouring blocks as :func:`run_lengths` says; none of whole texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collisions:
    """How often two tokens of two different documents are the same."""

    same: IntArray
    """Shape (K,): ordered pairs of equal tokens of two documents among the first k + 1 blocks."""
    variance: FloatArray
    """Shape (K,): jackknife variance, over documents, of the logarithm of their share of all pairs."""
    runs: tuple[IntArray, ...]
    """The pairs within each run, as above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What depends on word order or on vocabulary, of texts cut to one length."""

    length: int
    """Tokens that are kept of a text; ``UNCUT``: all."""
    tokens: IntArray
    """Shape (K,)."""
    repeated: FloatArray
    """Shape (K,): the share of repeated 4-grams (seq-rep-4), summed over the texts of at least 4 tokens."""
    words: Curve
    pairs: Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """K blocks of ``size`` documents."""

    size: int
    empty: IntArray
    """Shape (K,): texts of nothing but white space."""
    looping: IntArray
    """Shape (K,): texts with a span that stands three times back to back."""
    long_enough: IntArray
    """Shape (K,): texts of at least 4 tokens."""
    squared_lengths: IntArray
    """Shape (K,): sum of the squared numbers of tokens of a text."""
    at: tuple[Cut, ...]
    """By length; the whole texts last."""
    texts: Curve
    """Of whole texts, white space folded."""
    collisions: Collisions
    nll: IntArray | None
    """Shape (K, size): log-perplexities in steps of ``NLL_STEP``, sorted in every block."""

    @property
    def blocks(self) -> int:
        """K."""
        return int(self.empty.size)


def sketch(sample: Sample, rows: IntArray, *, size: int, cuts: Iterable[int]) -> Sketch:
    """Sketch the documents ``rows`` of ``sample``, ``size`` of them a block, with their texts cut to each of ``cuts``.

    ``rows`` must be in random order and a multiple of ``size``.
    """
    blocks = rows.size // size
    tokens = take(sample.tokens, rows)
    by_block = (blocks, size)
    return Sketch(
        size=size,
        empty=sample.empty[rows].reshape(by_block).sum(axis=1),
        looping=sample.loops[rows].reshape(by_block).sum(axis=1),
        long_enough=(tokens.lengths >= 4).reshape(by_block).sum(axis=1),
        squared_lengths=(tokens.lengths**2).reshape(by_block).sum(axis=1),
        at=tuple(_cut(tokens, length, blocks, size) for length in cuts),
        texts=curve(_codes(sample.folded)[rows], np.arange(rows.size), blocks, size, runs=()),
        collisions=_collisions(tokens, blocks, size),
        nll=None if sample.nll is None else np.sort(binned(sample.nll[rows]).reshape(by_block), axis=1),
    )


def cuts_of(lengths: IntArray) -> tuple[int, ...]:
    """The cuts that take more than a trifle of texts of these numbers of tokens, and the whole texts."""
    return (*(cut for cut in CUTS if np.minimum(lengths, cut).sum() < (1 - MATERIAL) * lengths.sum()), UNCUT)


def binned(nll: FloatArray) -> IntArray:
    """Log-perplexities in steps of ``NLL_STEP``."""
    return np.round(nll / NLL_STEP).astype(np.int64)


def _codes(texts: pa.Array) -> IntArray:
    return np.asarray(texts.dictionary_encode().indices.to_numpy().astype(np.int64))


def _cut(tokens: Tokens, length: int, blocks: int, size: int) -> Cut:
    tokens = tokens if length == UNCUT else truncated(tokens, length)
    by_block = (blocks, size)
    document = np.repeat(np.arange(tokens.lengths.size), tokens.lengths)
    within = np.flatnonzero(document[:-1] == document[1:])
    pairs = tokens.ids[within].astype(np.int64) * len(tokens.vocabulary) + tokens.ids[within + 1]
    return Cut(
        length=length,
        tokens=tokens.lengths.reshape(by_block).sum(axis=1),
        repeated=np.round(repeated_grams(tokens).share.reshape(by_block).sum(axis=1), _SHARES),
        words=curve(tokens.ids, document, blocks, size, runs=run_lengths(blocks)),
        pairs=curve(recoded(pairs), document[within], blocks, size, runs=run_lengths(blocks)),
    )


def curve(types: IntArray, document: IntArray, blocks: int, size: int, *, runs: Iterable[int]) -> Curve:
    """Distinct types as blocks are added, and in runs of these numbers of blocks.

    Given is every occurrence: its type, and its document; documents ascend.
    """
    order = np.argsort(types, kind="stable")
    types, document = types[order], document[order]
    new = np.ones(types.size, dtype=np.bool_)
    new[1:] = (types[1:] != types[:-1]) | (document[1:] != document[:-1])
    types, document = types[new], document[new]
    first = np.ones(types.size, dtype=np.bool_)
    first[1:] = types[1:] != types[:-1]
    # Where a type's first document is its only one, its second one never comes.
    ended = np.append(first[1:], True)[: types.size]
    second = np.where(ended, blocks * size, np.append(document[1:], 0)[: types.size])[first]
    came, shared = document[first] // size, second // size
    return Curve(
        distinct=np.cumsum(np.bincount(came, minlength=blocks)),
        spread=_spread(document[first], came, shared, blocks, size),
        runs=tuple(_distinct_in_runs(types, document // (size * length), blocks // length) for length in runs),
    )


def run_lengths(blocks: int) -> tuple[int, ...]:
    """1, 2, 3, 4, 6, 8, 12, … neighbouring blocks, as long as there are 8 such runs."""
    return tuple(step for step in _LADDER if step * RUNS <= blocks)


def _spread(owner: IntArray, came: IntArray, shared: IntArray, blocks: int, size: int) -> FloatArray:
    """Spread of how many types only one document holds, among the first 1, 2, … blocks.

    ``owner`` is the document that holds a type first, ``came`` its block, ``shared`` the block of the second document.
    """
    lone = np.zeros(blocks * size, dtype=np.int64)
    lasting = shared > came
    arrivals, departures = (_in_turn(at[lasting], owner[lasting], blocks) for at in (came, shared))
    spread = np.empty(blocks)
    for k, (arrived, left) in enumerate(zip(arrivals, departures, strict=True)):
        np.add.at(lone, arrived, 1)
        np.subtract.at(lone, left, 1)
        spread[k] = lone[: (k + 1) * size].var() * (k + 1) * size
    return spread


def _in_turn(block: IntArray, owner: IntArray, blocks: int) -> Iterator[IntArray]:
    """The owners whose types come (or cease to be theirs alone) in block 0, 1, …; shape (any,) each."""
    order = np.argsort(block, kind="stable")
    bounds = np.searchsorted(block[order], np.arange(blocks + 1))
    return (owner[order[start:end]] for start, end in pairwise(bounds))


def _distinct_in_runs(types: IntArray, run: IntArray, runs: int) -> IntArray:
    """Distinct types in each run; types are sorted, and so are the runs within a type."""
    new = np.ones(types.size, dtype=np.bool_)
    new[1:] = (types[1:] != types[:-1]) | (run[1:] != run[:-1])
    return np.bincount(run[new & (run < runs)], minlength=runs)


def _collisions(tokens: Tokens, blocks: int, size: int) -> Collisions:
    counts = document_counts(tokens)
    lengths = tokens.lengths.astype(np.float64)
    squares = np.asarray(counts.power(2).sum(axis=1))
    together = np.zeros(counts.shape[1])
    same, variance = np.zeros(blocks, dtype=np.int64), np.zeros(blocks)
    for k in range(blocks):
        end = (k + 1) * size
        together += np.asarray(counts[k * size : end].sum(axis=0))
        alike = float((together**2).sum() - squares[:end].sum())
        same[k] = round(alike)
        if alike > 0:
            variance[k] = _log_variance((counts @ together - squares)[:end], alike, lengths[:end])
    runs = tuple(_same_in_runs(counts, squares, blocks // length, size * length) for length in run_lengths(blocks))
    return Collisions(same=same, variance=variance, runs=runs)


def _log_variance(shared: FloatArray, same: float, lengths: FloatArray) -> float:
    """Jackknife variance of ln(same/pairs) over n documents; ``shared``: how many equal tokens of others each has."""
    n, total, squared = lengths.size, lengths.sum(), lengths**2
    share = same / (total**2 - squared.sum())
    pairs = (total - lengths) ** 2 - (squared.sum() - squared)
    influence = jackknife(share, (same - 2 * shared) / np.maximum(pairs, 1.0)) / share
    return float((influence**2).sum() * n / (n - 1))


def _same_in_runs(counts: csr_array, squares: FloatArray, runs: int, documents: int) -> IntArray:
    inside = runs * documents
    run = np.repeat(np.arange(runs), documents)
    gather = csr_array((np.ones(inside), (run, np.arange(inside))), shape=(runs, inside))
    together = np.asarray((gather @ counts[:inside]).power(2).sum(axis=1))
    return np.asarray(np.round(together - gather @ squares[:inside]), dtype=np.int64)


def document_counts(tokens: Tokens) -> csr_array:
    """How often each type stands in each document; shape (D, V)."""
    shape = (tokens.lengths.size, len(tokens.vocabulary))
    counts = csr_array((np.ones(tokens.ids.size), tokens.ids, tokens.offsets), shape=shape, copy=True)
    counts.sum_duplicates()
    return counts
