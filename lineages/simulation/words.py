"""Texts as word ids and back, so that the audit's tokeniser finds the very words that were written.

Words are those of ``collapse_audit.probes.text.tokens``. Writing them out, a space is left out where the source mostly
leaves it out between these two ("word," and "(word"), and only where the tokeniser still sees two words: what a model
draws is what is counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.text.tokens import WORDS

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_GAP = "\0"  # stands where the source has white space; a record never holds it, and to the tokeniser it is a symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """V words and how each is written next to others."""

    words: tuple[str, ...]
    symbol: BoolArray
    """Shape (V,): a run of punctuation or other symbols."""
    unspaced: BoolArray
    """Shape (V,): a character of a script that is written without spaces."""
    clings: BoolArray
    """Shape (V,): it joins the character or symbol before it: a lone accent, a lone vowel sign."""
    no_space_before: BoolArray
    """Shape (V,): most often no white space stands before it inside a document."""
    no_space_after: BoolArray
    pairs: IntArray
    """Shape (P,), sorted: first * V + second, of all neighbours in the source."""
    no_space_between: BoolArray
    """Shape (P,): most often no white space stands between them."""

    def __len__(self) -> int:
        return len(self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """N documents of words: document d is ``ids[offsets[d]:offsets[d + 1]]``."""

    vocabulary: Vocabulary
    ids: IntArray
    """Shape (T,), 0..V-1."""
    offsets: IntArray
    """Shape (N + 1,)."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> IntArray:
        """Words a document, shape (N,)."""
        return np.diff(self.offsets)


def encode(texts: Sequence[str]) -> Documents:
    """Cut ``texts`` into words."""
    spaced = pc.replace_substring_regex(pa.array(texts, pa.large_string()), r"[\s\p{Z}\x00]+", f" {_GAP} ")
    tokens = WORDS(spaced)
    words: list[str] = tokens.vocabulary.to_pylist()
    gap_id = words.index(_GAP) if _GAP in words else len(words)

    is_word = tokens.ids != gap_id
    after_gap = np.concatenate(([False], ~is_word[:-1]))[is_word]
    ids = (tokens.ids[is_word] - (tokens.ids[is_word] > gap_id)).astype(np.int64)
    offsets = np.concatenate(([0], np.cumsum(is_word)))[tokens.offsets].astype(np.int64)
    words = [word for word in words if word != _GAP]
    return Documents(vocabulary=_vocabulary(words, ids, offsets, after_gap), ids=ids, offsets=offsets)


def _vocabulary(words: Sequence[str], ids: IntArray, offsets: IntArray, after_gap: BoolArray) -> Vocabulary:
    inside = np.ones(len(ids), bool)  # words with a word before them in their document
    inside[offsets[:-1][offsets[:-1] < offsets[1:]]] = False
    second = np.flatnonzero(inside)
    glued = ~after_gap[second]
    pairs, pair = np.unique(ids[second - 1] * len(words) + ids[second], return_inverse=True)
    # Asking the tokeniser itself: "中中" is two words, "aa" and "!!" are one; "a!" and "中!" are two.
    unspaced, apart, after_symbol, after_unspaced = (_kept_apart(before, words) for before in (words, "a", "!", "中"))
    symbol = apart & ~unspaced
    return Vocabulary(
        words=tuple(words),
        symbol=symbol,
        unspaced=unspaced,
        clings=~after_unspaced | ~after_symbol & ~symbol,
        no_space_before=_mostly(ids[second], glued, len(words)),
        no_space_after=_mostly(ids[second - 1], glued, len(words)),
        pairs=pairs,
        no_space_between=_mostly(pair, glued, len(pairs)),
    )


def _kept_apart(before: Sequence[str] | str, words: Sequence[str]) -> BoolArray:
    """Whether ``before`` and each word, written without a space, are cut into just these two; shape (V,)."""
    first = [before] * len(words) if isinstance(before, str) else list(before)
    cut = WORDS(pa.array([first_word + word for first_word, word in zip(first, words, strict=True)], pa.large_string()))
    if not words:
        return np.zeros(0, bool)
    head = cut.vocabulary.take(pa.array(cut.ids[cut.offsets[:-1]]))
    whole = np.asarray(pc.equal(head, pa.array(first, pa.large_string())), dtype=np.bool_)
    return np.asarray(whole & (cut.lengths == 2), dtype=np.bool_)


def _mostly(ids: IntArray, flags: BoolArray, size: int) -> BoolArray:
    """For each id: is the flag set in more than half of its places? Shape (size,)."""
    return 2 * np.bincount(ids[flags], minlength=size) > np.bincount(ids, minlength=size)


def decode(vocabulary: Vocabulary, ids: IntArray, offsets: IntArray) -> list[str]:
    """Write documents out, N strings. :func:`encode` cuts them into the same words again, control characters aside."""
    glued = np.zeros(len(ids), bool)
    if len(ids):
        glued[1:] = _glued(vocabulary, ids[:-1], ids[1:])
        glued[offsets[:-1][offsets[:-1] < offsets[1:]]] = True  # no space before the first word
    forms = [*vocabulary.words, *(f" {word}" for word in vocabulary.words)]
    pieces = [forms[index] for index in (ids + len(vocabulary) * ~glued).tolist()]
    return ["".join(pieces[begin:end]) for begin, end in itertools.pairwise(offsets)]


def _glued(vocabulary: Vocabulary, left: IntArray, right: IntArray) -> BoolArray:
    """Which neighbours are written without a space, shape of ``left``."""
    symbol, unspaced = vocabulary.symbol, vocabulary.unspaced
    # Of a pair that the source does not have, the symbol decides ("(" or ","), else the second word.
    usual = np.where(symbol[left], vocabulary.no_space_after[left], vocabulary.no_space_before[right])
    if len(vocabulary.pairs):
        keys = left * len(vocabulary) + right
        at = np.minimum(np.searchsorted(vocabulary.pairs, keys), len(vocabulary.pairs) - 1)
        usual = np.where(vocabulary.pairs[at] == keys, vocabulary.no_space_between[at], usual)
    # Only a symbol beside a word, or two characters of an unspaced script, stay two words without a space.
    may = (symbol[left] != symbol[right]) | (unspaced[left] & unspaced[right])
    return np.asarray(may & ~vocabulary.clings[right] & usual, bool)
