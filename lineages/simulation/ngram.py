"""A real n-gram language model: fit on text, sample text, score text. Small, exact, and quick enough to be retrained
generation after generation on its own output.

Interpolated: with ``c(h)`` words seen after the context ``h``, ``c(hw)`` of them ``w``, and ``h'`` the context without
its oldest word::

    P(w | h) = k(h) c(hw) / c(h) + (1 - k(h)) P(w | h'),        P(w) = c(w) / N

``k`` is how far the longest context is trusted: one number for every context (Jelinek-Mercer), or
``c(h) / (c(h) + t(h))`` with ``t(h)`` the number of different words after ``h`` (Witten & Bell, IEEE Trans. Inf. Theory
37(4), 1991, doi 10.1109/18.87000). One number leaves the expected shares of words as they were (exactly up to order 2,
nearly above), so that what recursion loses is lost to finite samples; Witten-Bell also favours frequent words, a little
more every generation. 1 is the pure n-gram, which never writes an n-gram that it has not read.
A context never read counts as the next shorter one. Documents begin in a context of begin marks and end with an end
mark, which the model learns like a word.

To draw a word from ``c(hw) / c(h)`` is to pick one of the places where ``h`` was read and copy the word that follows
there, so a sample costs a few array look-ups a word, for all documents at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation.words import Documents, IntArray, Vocabulary, decode, encode

FloatArray = npt.NDArray[np.float64]

DEFAULT_ORDER = 3
DEFAULT_TRUST = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """Contexts of one length j, numbered 0..C-1, and the words read after each."""

    contexts: IntArray
    """Shape (C,), sorted: (number of the context of the j - 1 newest words) * base + (the oldest word)."""
    start: IntArray
    """Shape (C + 1,): the words after context c are ``following[start[c]:start[c + 1]]``."""
    following: IntArray
    """Shape (places,): one word for each place read, sorted by context."""
    pairs: IntArray
    """Shape (P,), sorted: context * base + word, of every pair read."""
    pair_counts: IntArray
    trust: FloatArray
    """k of each context, shape (C,); 0..1."""


class NGramModel:
    """Made by :meth:`fit`; never changed afterwards."""

    def __init__(self, vocabulary: Vocabulary, levels: Sequence[_Level], unigrams: IntArray, longest: int) -> None:
        self.vocabulary = vocabulary
        self.most_words = max(1000, 10 * longest)
        """Where a sampled document is cut if no end mark came: about one in 20,000 where all were of one length."""
        self._levels = tuple(levels)
        self._unigrams = unigrams  # the word at every place read, end marks included
        self._counts = np.bincount(unigrams, minlength=self._base)

    @property
    def order(self) -> int:
        """Longest n-gram that the model knows."""
        return len(self._levels) + 1

    @property
    def _end(self) -> int:
        return len(self.vocabulary)

    @property
    def _base(self) -> int:
        """Words, end mark, begin mark, and one number for every word that was never read."""
        return len(self.vocabulary) + 3

    @classmethod
    def fit(
        cls, texts: Sequence[str], order: int = DEFAULT_ORDER, *, trust: float | None = DEFAULT_TRUST
    ) -> NGramModel:
        """Read ``texts`` (N documents). ``trust``: one k from 0 to 1 for every context; None is Witten-Bell.

        Raises UsageError for no text at all, an order below 1 or a trust outside 0..1.
        """
        if order < 1:
            raise UsageError(f"order {order}: an n-gram model needs an order of 1 or more")
        if trust is not None and not 0 <= trust <= 1:
            raise UsageError(f"trust {trust}: allowed is a number from 0 to 1, or none for Witten-Bell")
        if not texts:
            raise UsageError("an n-gram model needs at least one document to learn from")
        documents = encode(texts)
        vocabulary = documents.vocabulary
        tape, places = _tape(documents, order - 1)
        base = len(vocabulary) + 3
        words = tape[places]
        levels = []
        numbers = np.zeros(len(places), np.int64)
        for length in range(1, order):
            contexts, numbers = np.unique(numbers * base + tape[places - length], return_inverse=True)
            levels.append(_level(contexts, numbers, words, base, trust))
        return cls(vocabulary, levels, words, int(documents.lengths.max()))

    def sample(self, n: int, rng: np.random.Generator) -> list[str]:
        """Draw ``n`` documents."""
        ids, offsets = self.sample_ids(n, rng)
        return decode(self.vocabulary, ids, offsets)

    def sample_ids(self, n: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Draw ``n`` documents as word ids (T,) and offsets (n + 1,)."""
        depth = self.order - 1
        newest = np.full((n, depth), self._end + 1, np.int64)  # newest word first
        alive = np.arange(n)
        drawn: list[tuple[IntArray, IntArray]] = []
        for _ in range(self.most_words):
            word = self._draw(newest, rng)
            going = word != self._end
            alive, word, newest = alive[going], word[going], newest[going]
            if len(alive) == 0:
                break
            drawn.append((alive, word))
            newest = np.concatenate((word[:, None], newest[:, :-1]), axis=1) if depth else newest
        owners = np.concatenate([owner for owner, _ in drawn]) if drawn else np.zeros(0, np.int64)
        words = np.concatenate([word for _, word in drawn]) if drawn else np.zeros(0, np.int64)
        offsets = np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=n))))
        return words[np.argsort(owners, kind="stable")], offsets

    def _draw(self, newest: IntArray, rng: np.random.Generator) -> IntArray:
        """One word for each row of contexts, shape (rows,)."""
        word = self._unigrams[rng.integers(len(self._unigrams), size=len(newest))]
        for level, context in zip(self._levels, self._numbers(newest), strict=True):
            known = np.flatnonzero(context >= 0)
            context = context[known]
            kept = rng.random(len(known)) < level.trust[context]
            rows, context = known[kept], context[kept]
            begin, end = level.start[context], level.start[context + 1]
            word[rows] = level.following[rng.integers(begin, end)]
        return word

    def _numbers(self, newest: IntArray) -> list[IntArray]:
        """The number of each row's context at every level, -1 where it was never read."""
        numbers = []
        context = np.zeros(len(newest), np.int64)
        for length, level in enumerate(self._levels):
            context = np.where(context >= 0, _find(level.contexts, context * self._base + newest[:, length]), -1)
            numbers.append(context)
        return numbers

    def probabilities(self, context: Sequence[str] = ()) -> dict[str | None, float]:
        """P(next word | the document so far) of every word that the model knows; None is the end of the document."""
        places = {word: index for index, word in enumerate(self.vocabulary.words)}
        read = [places.get(word, self._end + 2) for word in context]
        depth = self.order - 1
        newest = np.array(([self._end + 1] * depth + read)[::-1][:depth], np.int64)
        candidates = np.arange(self._end + 1)
        rows = np.broadcast_to(newest, (len(candidates), depth))
        values = np.exp(self._log_probability(rows, candidates)).tolist()
        return dict(zip((*self.vocabulary.words, None), values, strict=True))

    def nll(self, texts: Sequence[str]) -> tuple[FloatArray, IntArray]:
        """Mean negative log-likelihood of each text, nats a word, and how many words; shapes (N,).

        The end mark counts as a word. Infinite for a text with a word that the model has never read.
        """
        documents = encode(texts)
        places = {word: index for index, word in enumerate(self.vocabulary.words)}
        own = np.array([places.get(word, self._end + 2) for word in documents.vocabulary.words], np.int64)
        translated = Documents(
            vocabulary=self.vocabulary, ids=own[documents.ids] if len(own) else documents.ids, offsets=documents.offsets
        )
        depth = self.order - 1
        tape, at = _tape(translated, depth)
        newest = tape[at[:, None] - np.arange(1, depth + 1)] if depth else np.zeros((len(at), 0), np.int64)
        if len(documents) == 0:
            return np.zeros(0), np.zeros(0, np.int64)
        firsts = documents.offsets[:-1] + np.arange(len(documents))
        total = np.add.reduceat(-self._log_probability(newest, tape[at]), firsts)
        return np.asarray(total / (documents.lengths + 1), np.float64), documents.lengths + 1

    def _log_probability(self, newest: IntArray, word: IntArray) -> FloatArray:
        """ln P(word | context) of each row, shape (rows,)."""
        probability = self._counts[word] / len(self._unigrams)
        for level, context in zip(self._levels, self._numbers(newest), strict=True):
            known = np.flatnonzero(context >= 0)
            context = context[known]
            pair = _find(level.pairs, context * self._base + word[known])
            seen = np.where(pair >= 0, level.pair_counts[pair], 0) / np.diff(level.start)[context]
            trust = level.trust[context]
            probability[known] = trust * seen + (1 - trust) * probability[known]
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(probability), np.float64)


def _tape(documents: Documents, depth: int) -> tuple[IntArray, IntArray]:
    """All documents on one tape, each as ``depth`` begin marks, its words, an end mark; and the places to predict."""
    end = len(documents.vocabulary)
    first = np.arange(len(documents)) * (depth + 1) + documents.offsets[:-1]  # where each document's begin marks start
    tape = np.full(len(documents.ids) + len(documents) * (depth + 1), end + 1, np.int64)
    document = np.repeat(np.arange(len(documents)), documents.lengths)
    tape[np.arange(len(documents.ids)) + document * (depth + 1) + depth] = documents.ids
    tape[first + depth + documents.lengths] = end
    begin = np.zeros(len(tape), bool)
    begin[(first[:, None] + np.arange(depth)).ravel()] = True
    return tape, np.flatnonzero(~begin)


def _level(contexts: IntArray, numbers: IntArray, words: IntArray, base: int, trust: float | None) -> _Level:
    pairs, pair_counts = np.unique(numbers * base + words, return_counts=True)
    counts = np.bincount(numbers, minlength=len(contexts))
    different = np.bincount(pairs // base, minlength=len(contexts))
    return _Level(
        contexts=contexts,
        start=np.concatenate(([0], np.cumsum(counts))),
        following=words[np.argsort(numbers, kind="stable")],
        pairs=pairs,
        pair_counts=pair_counts,
        trust=counts / (counts + different) if trust is None else np.full(len(contexts), float(trust)),
    )


def _find(keys: IntArray, wanted: IntArray) -> npt.NDArray[Any]:
    """Where each wanted key stands in the sorted ``keys``, -1 where it does not."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)
