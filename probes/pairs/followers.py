"""Which documents follow one another among the holders of enough word pairs: whom to compare, out of all.

There are more word pairs than tokens, and hardly two documents follow one another twice by chance, so neither all pairs
nor all who follow are ever held at once. Word pairs are gone through in portions, each with all holders of its pairs,
two times: first whoever follow are only counted, many of them by one number; then those are counted by name whose
number is large enough. A number is never less than what it counts, so nobody is missed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.statistics.design import IntArray
from collapse_audit.probes.text.ngrams import distinct, recoded
from collapse_audit.probes.text.tokens import Tokens

GAPS = (1, 2)
"""How far apart the words of a pair stand; with 2, a slot of one word leaves a pair across it."""
LAGS = (1, 2)
"""Places between documents that follow one another: the second bridges one whose slots happen to differ too much."""
FIRST_LOOK = 0.1
"""Share of its word pairs for which two documents must follow one another to be compared."""
_PORTION = 1 << 21
"""Word pairs that are gone through at a time, about."""
_MOST_PARTS = 2**16 - 2
_KEPT = 4
"""Portions that are held: 64 MiB."""
_NUMBERS = 24
"""Bits of the numbers by which is counted: 16 million of them, 64 MiB."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: products with it spread over their upper bits (Knuth)."""


def followers(tokens: Tokens, portion: int = _PORTION) -> tuple[IntArray, IntArray]:
    """Pairs of documents, the former first, that follow one another among the holders of enough word pairs."""
    documents = max(tokens.lengths.size, 1)
    parts = min(max(len(GAPS) * tokens.ids.size // portion, 1), _MOST_PARTS)
    # Three numbers a word pair are enough to tell; fewer bits, where the texts are few, than the most.
    bits = min(max(int(6 * tokens.ids.size).bit_length(), 4), _NUMBERS)
    counters, held = np.zeros(1 << bits, dtype=np.uint32), np.zeros(documents, dtype=np.int64)
    everybody = _Holders(tokens, parts)
    for holder, pair in everybody:
        held += np.bincount(holder, minlength=documents)
        np.add.at(counters, _number(_following(holder, pair, documents), bits), np.uint32(1))
    found: list[IntArray] = [np.zeros(0, dtype=np.int64)]
    times: list[IntArray] = [np.zeros(0, dtype=np.int64)]
    for holder, pair in everybody:
        follows = _following(holder, pair, documents)
        follows = follows[counters[_number(follows, bits)] >= _enough(follows, documents, held)]
        named, count = _counted(follows, np.ones(follows.size, dtype=np.int64))
        found.append(named)
        times.append(count)
    named, count = _counted(np.concatenate(found), np.concatenate(times))
    named = named[count >= _enough(named, documents, held)]
    return named // documents, named % documents


class _Holders:
    """Which documents hold which word pairs, each once, by pair and then by document; all pairs, in ``parts``.

    Gone through twice, and made once where they are few enough to be held.
    """

    def __init__(self, tokens: Tokens, parts: int) -> None:
        self._tokens, self._parts = tokens, parts
        self._bits = np.uint64(max(int(tokens.lengths.size), 1).bit_length())
        self._made: list[npt.NDArray[np.uint64]] = []

    def __iter__(self) -> Iterator[tuple[IntArray, IntArray]]:
        low = np.uint64((1 << int(self._bits)) - 1)
        for keys in self._made or self._keys():
            yield (keys & low).view(np.int64), (keys >> self._bits).view(np.int64)

    def _keys(self) -> Iterator[npt.NDArray[np.uint64]]:
        """A word pair in the upper bits, a document in the lower ones; ascending."""
        tokens, base = self._tokens, max(len(self._tokens.vocabulary), 1)
        room = (len(GAPS) * base * base).bit_length() + int(self._bits) <= 64
        document = np.repeat(np.arange(tokens.lengths.size, dtype=np.int32), tokens.lengths)
        where = [_parts(tokens.ids, document, gap, self._parts) for gap in GAPS]
        for part in range(self._parts):
            codes, holders = [], []
            for row, gap in enumerate(GAPS):
                start = np.flatnonzero(where[row] == part)
                codes.append((row * base + tokens.ids[start].astype(np.int64)) * base + tokens.ids[start + gap])
                holders.append(document[start])
            keys = np.concatenate(codes)
            keys = (keys if room else recoded(keys)).astype(np.uint64) << self._bits
            keys |= np.concatenate(holders).astype(np.uint64)
            keys = distinct(keys)
            if self._parts <= _KEPT:
                self._made.append(keys)
            yield keys


def _parts(ids: IntArray, document: IntArray, gap: int, parts: int) -> npt.NDArray[np.uint16]:
    """To which part the pair of each token and the one ``gap`` further belongs: any function that spreads pairs.

    ``parts`` where that token is of another document. Shape (tokens - gap,), made a piece at a time.
    """
    where = np.empty(max(ids.size - gap, 0), dtype=np.uint16)
    for first in range(0, where.size, _PORTION):
        here = slice(first, min(first + _PORTION, where.size))
        there = slice(here.start + gap, here.stop + gap)
        mixed = (ids[here].astype(np.uint64) * _ODD + ids[there].astype(np.uint64)) * _ODD
        spread = (mixed >> np.uint64(32)) % np.uint64(parts)
        where[here] = np.where(document[here] == document[there], spread, parts)
    return where


def _following(holder: IntArray, pair: IntArray, documents: int) -> IntArray:
    """Who follow one another among the holders of one pair, as one number each: former * documents + latter."""
    found = []
    for lag in LAGS:
        same = np.flatnonzero(pair[:-lag] == pair[lag:])
        found.append(holder[same] * documents + holder[same + lag])
    return np.concatenate(found)


def _number(follows: IntArray, bits: int) -> IntArray:
    """The number of ``bits`` bits by which two who follow are counted, shared with others."""
    return ((follows.astype(np.uint64) * _ODD) >> np.uint64(64 - bits)).astype(np.int64)


def _enough(follows: IntArray, documents: int, held: IntArray) -> npt.NDArray[np.float64]:
    """How often two must follow one another to be compared."""
    shorter = np.minimum(held[follows // documents], held[follows % documents])
    return np.maximum(FIRST_LOOK * shorter, 2)


def _counted(names: IntArray, times: IntArray) -> tuple[IntArray, IntArray]:
    """Each name once, ascending, and its ``times`` together."""
    order = np.argsort(names, kind="stable")
    ascending = names[order]
    begins = np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1])[: ascending.size])
    if not begins.size:
        return ascending, times
    return ascending[begins], np.add.reduceat(times[order], begins)
