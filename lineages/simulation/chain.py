"""A unigram or bigram model of text that can be sharpened or cut off: what temperature and top-p do, truth known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation.words import IntArray, Vocabulary, decode, encode

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordChain:
    """Which word follows, with which probability.

    Order 1: one row, the shares of words. Order 2: row 0 for the first word of a document, a row for each word that was
    ever followed by another; a word that never was is followed as if a document began.
    """

    vocabulary: Vocabulary
    order: int
    lengths: IntArray
    """Words a document in the source: sampled documents take theirs from here, whatever is done to the rows."""
    row_of: IntArray
    """The row after each word, shape (V,)."""
    start: IntArray
    """Shape (rows + 1,): row r is ``words[start[r]:start[r + 1]]`` with its ``probability``; no row is empty."""
    words: IntArray
    probability: FloatArray
    """Sums to 1 in every row."""

    @classmethod
    def fit(cls, texts: Sequence[str], *, order: int = 1) -> WordChain:
        """Count words (order 1) or pairs of neighbours (order 2). Raises UsageError where there is no word at all."""
        if order not in (1, 2):
            raise UsageError(f"order {order}; allowed are 1 (words) and 2 (pairs of words)")
        documents = encode(texts)
        ids, size = documents.ids, len(documents.vocabulary)
        if len(ids) == 0:
            raise UsageError("the source has no word to learn from")
        row_of = np.zeros(size, np.int64)
        rows = np.zeros(len(ids), np.int64)
        if order == 2:
            inside = np.ones(len(ids), bool)
            inside[documents.offsets[:-1][documents.lengths > 0]] = False
            followed = np.flatnonzero(inside)
            before = ids[followed - 1]
            row_of[np.unique(before)] = 1 + np.arange(len(np.unique(before)))
            rows[followed] = row_of[before]
        pairs, counts = np.unique(rows * size + ids, return_counts=True)
        start = np.searchsorted(pairs, np.arange(rows.max() + 2) * size)
        return cls(
            vocabulary=documents.vocabulary,
            order=order,
            lengths=documents.lengths,
            row_of=row_of,
            start=start,
            words=pairs % size,
            probability=_normalised(counts.astype(np.float64), start),
        )

    def sharpened(self, gamma: float) -> WordChain:
        """Every row p becomes p^gamma, normalised: temperature 1 / gamma."""
        if not 0 < gamma < np.inf:
            raise UsageError(f"gamma {gamma:g}; allowed is a number above 0 (1 changes nothing)")
        row = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        # In log space and relative to the row's largest, so that a large gamma leaves that one and not 0 / 0.
        largest = np.maximum.reduceat(self.probability, self.start[:-1])
        weights = np.exp(gamma * np.log(self.probability / largest[row]))
        return replace(self, probability=_normalised(weights, self.start))

    def truncated(self, mass: float) -> WordChain:
        """Every row keeps the smallest set of its most probable words that holds ``mass``, normalised (top-p)."""
        if not 0 < mass <= 1:
            raise UsageError(f"top-p {mass:g}; allowed is a number above 0 and at most 1 (1 changes nothing)")
        row = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        order = np.lexsort((self.words, -self.probability, row))
        sorted_p = self.probability[order]
        total = np.cumsum(sorted_p)
        before_row = np.concatenate(([0.0], total))[self.start[:-1]]
        above = total - sorted_p - before_row[row]  # what more probable words of the row hold
        kept = order[(above < mass - 1e-9) | (mass == 1)]  # 1e-9: sums over many rows are rounded
        kept.sort()
        start = np.concatenate(([0], np.cumsum(np.bincount(row[kept], minlength=len(self.start) - 1))))
        return replace(
            self, start=start, words=self.words[kept], probability=_normalised(self.probability[kept], start)
        )

    def shares(self) -> FloatArray:
        """The probability of each word in row 0, shape (V,): of order 1, the model itself."""
        shares = np.zeros(len(self.vocabulary))
        shares[self.words[: self.start[1]]] = self.probability[: self.start[1]]
        return shares

    def sample(self, n: int, rng: np.random.Generator) -> list[str]:
        """``n`` documents, each as long as one of the source (drawn without replacement where there are enough)."""
        lengths = rng.choice(self.lengths, size=n, replace=n > len(self.lengths))
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        cumulative = np.cumsum(self.probability)
        if self.order == 1:
            ids = self._draw(np.zeros(offsets[-1], np.int64), cumulative, rng)
            return decode(self.vocabulary, ids, offsets)
        ids = np.zeros(offsets[-1], np.int64)
        rows = np.zeros(n, np.int64)
        for step in range(int(lengths.max(initial=0))):
            alive = np.flatnonzero(lengths > step)
            word = self._draw(rows[alive], cumulative, rng)
            ids[offsets[alive] + step] = word
            rows[alive] = self.row_of[word]
        return decode(self.vocabulary, ids, offsets)

    def _draw(self, rows: IntArray, cumulative: FloatArray, rng: np.random.Generator) -> IntArray:
        """One word from each of ``rows``. ``cumulative``: over all rows on end, each of them one wide."""
        begin, last = self.start[rows], self.start[rows + 1] - 1
        low = np.concatenate(([0.0], cumulative))[begin]
        target = low + rng.random(len(rows)) * (cumulative[last] - low)
        at = np.searchsorted(cumulative, target, side="right")
        return self.words[np.clip(at, begin, last)]


def _normalised(weights: FloatArray, start: IntArray) -> FloatArray:
    total = np.add.reduceat(weights, start[:-1])
    return np.asarray(weights / np.repeat(total, np.diff(start)), np.float64)


def kept_mass(before: WordChain, after: WordChain) -> float:
    """Of order 1: the share of ``before`` on the words that ``after`` still has; 1 where nothing was cut off."""
    return float(before.shares()[after.shares() > 0].sum())


def entropy(p: FloatArray) -> float:
    """-sum p ln p, nats; zeros count as nothing."""
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def sharpening_kl(p: FloatArray, gamma: float) -> float:
    """KL(p || q), nats, for q proportional to p^gamma: (gamma - 1) H(p) + ln sum p^gamma."""
    return float((gamma - 1) * entropy(p) + logsumexp(gamma * np.log(p[p > 0])))
