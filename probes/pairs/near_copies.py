"""Which texts are copies of one another up to slots: templates whose names, places and objects change.

Two texts are near-copies if most words of both stand in word pairs (neighbours, or with one word between) that the
other holds too, no run of words outside of them is longer than a slot, and neither is more than eight times as long as
the other. A shared prompt, opening or licence leaves a long run that is not shared, and is none.

Looked for in both sides together, so relabelling them changes nothing, and in linear time: texts are put in the order
of their letters, and only those that follow one another among the holders of a word pair are compared. A template's
texts do so for each of its fixed word pairs, however many they are; texts that share common phrases seldom do it twice.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array

from collapse_audit.probes.pairs.followers import GAPS, followers
from collapse_audit.probes.statistics.design import IntArray
from collapse_audit.probes.text.ngrams import distinct, recoded, take
from collapse_audit.probes.text.tokens import Tokens

COVERED = 0.6
"""Share of the words of both texts that must stand in shared word pairs."""
SLOT = 6
"""Words of the longest run that may differ: longer ones are text of their own."""
FEWEST = 12
"""Words that must stand in shared word pairs: a sentence of fewer is a phrase that people share too."""
LONGER = 8
"""Times as long as the other that a near-copy may be. Slots are short, so only what repeats itself is longer; and one
text of megabytes beside hundreds of short ones would be compared with each of them."""
_PORTION = 1 << 19
"""Words that are compared at a time."""
_FIXED = 0.6
"""Share of a template's texts that hold a word of it; what fewer hold is in a slot."""
_LOOKED_AT = 200
"""Texts that a template is told from."""
_LONGEST = 24
"""Words of a template that are shown."""
_FEWEST_SHOWN = 5
"""Different texts without which nothing of a template is shown."""
_OPEN = "___"


def clusters(tokens: Tokens, code: IntArray, texts: pa.Array) -> IntArray:
    """The cluster of near-copies of each of D documents: 0, 1, 2, …, shape (D,).

    ``code``, shape (D,): the text of each document, into the U ``texts``; documents of one text are one cluster.
    """
    first = np.unique(code, return_index=True)[1]
    held = np.asarray(code[first])
    order = np.asarray(pc.sort_indices(texts.take(pa.array(held))))
    different = take(tokens, first[order])
    left, other = _near(different)
    count = held.size
    together = np.arange(count)
    if left.size:
        from scipy.sparse.csgraph import connected_components  # brings half of scipy along

        edges = coo_array((np.ones(left.size, dtype=np.bool_), (left, other)), shape=(count, count))
        together = connected_components(edges, directed=False)[1]
    of_text = np.empty(int(code.max(initial=-1)) + 1, dtype=np.int64)
    of_text[held[order]] = together
    return np.asarray(of_text[code])


def template(tokens: Tokens, documents: IntArray, texts: IntArray) -> str | None:
    """The words that most of a cluster's ``documents`` hold, ``___`` for those that change; None where fewer than 5 of
    them differ: then there is no slot, and what is left would be somebody's text.

    ``texts``: the text of each, so that copies count once.
    """
    different = documents[np.unique(texts, return_index=True)[1]]
    if different.size < _FEWEST_SHOWN:
        return None
    members = take(tokens, different[np.linspace(0, different.size - 1, min(different.size, _LOOKED_AT)).astype(int)])
    document = np.repeat(np.arange(members.lengths.size), members.lengths)
    kinds, of_word = np.unique(members.ids, return_inverse=True)
    standing = np.unique(document * kinds.size + of_word) % max(kinds.size, 1)
    holders = np.bincount(standing, minlength=kinds.size)[of_word]
    fixed = holders >= max(_FIXED * members.lengths.size, _FEWEST_SHOWN)
    best = int(np.argmax(np.bincount(document, fixed, members.lengths.size) / np.maximum(members.lengths, 1)))
    own = slice(members.offsets[best], members.offsets[best + 1])
    shown: list[str] = []
    for word, stays in zip(members.ids[own], fixed[own], strict=True):
        if stays:
            shown.append(str(members.vocabulary[int(word)].as_py()))
        elif shown[-1:] != [_OPEN]:
            shown.append(_OPEN)
    if not fixed[own].any():
        return None
    return " ".join(shown[:_LONGEST] + ["…"] * (len(shown) > _LONGEST))


def _near(tokens: Tokens) -> tuple[IntArray, IntArray]:
    """Near-copies among N different texts in the order of their letters, as edges enough to connect them."""
    left, other = followers(tokens)
    lengths = tokens.lengths
    comparable = np.maximum(lengths[left], lengths[other]) <= LONGER * np.minimum(lengths[left], lengths[other])
    left, other = left[comparable], other[comparable]
    near = np.zeros(left.size, dtype=np.bool_)
    for part in _portions(lengths[left] + lengths[other]):
        documents, place = np.unique(np.concatenate((left[part], other[part])), return_inverse=True)
        here, there = np.split(place, 2)
        near[part] = _alike(take(tokens, documents), here, there)
    return left[near], other[near]


def _alike(tokens: Tokens, left: IntArray, other: IntArray) -> npt.NDArray[np.bool_]:
    """Which pairs of documents are near-copies of each other."""
    pairs, document, place = _word_pairs(tokens)
    size = int(pairs.max(initial=0)) + 1
    keys = distinct(document.astype(np.int64) * size + pairs)
    near = _covered(tokens, (pairs, document, place), keys, size, left, other)
    return near & _covered(tokens, (pairs, document, place), keys, size, other, left)


def _word_pairs(tokens: Tokens) -> tuple[IntArray, IntArray, IntArray]:
    """Word pairs as integers, the document of each, and how many words the pair reaches; in the documents' order."""
    document = np.repeat(np.arange(tokens.lengths.size, dtype=np.int32), tokens.lengths)
    base = max(len(tokens.vocabulary), 1)
    codes, starts = [], []
    for row, gap in enumerate(GAPS):
        start = np.flatnonzero(document[: max(document.size - gap, 0)] == document[gap:])
        codes.append((row * base + tokens.ids[start].astype(np.int64)) * base + tokens.ids[start + gap])
        starts.append(start * len(GAPS) + row)
    start = np.concatenate(starts)
    order = np.argsort(start, kind="stable")
    return recoded(np.concatenate(codes))[order], document[start[order] // len(GAPS)], start[order]


def _covered(
    tokens: Tokens,
    word_pairs: tuple[IntArray, IntArray, IntArray],
    keys: IntArray,
    size: int,
    left: IntArray,
    other: IntArray,
) -> npt.NDArray[np.bool_]:
    """Whether most words of ``left`` stand in word pairs of ``other``, and no run outside is longer than a slot."""
    pairs, document, place = word_pairs
    bounds = np.searchsorted(document, np.arange(tokens.lengths.size + 1))
    lengths = np.diff(bounds)[left]
    entry = _ranges(bounds[left], lengths)
    row = np.repeat(np.arange(left.size), lengths)
    wanted = other[row] * size + pairs[entry]
    at = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    shared = keys[at] == wanted
    words = tokens.lengths[left]
    starts = np.cumsum(words) - words
    covered = np.zeros(int(words.sum()), dtype=np.bool_)
    position = place[entry[shared]] // len(GAPS) - tokens.offsets[left][row[shared]] + starts[row[shared]]
    covered[position] = True
    covered[position + np.array(GAPS)[place[entry[shared]] % len(GAPS)]] = True
    text = np.repeat(np.arange(left.size), words)
    enough = np.bincount(text, covered, left.size) >= np.maximum(COVERED * words, FEWEST)
    return np.asarray(enough & (_longest_run(~covered, text, left.size) <= SLOT))


def _longest_run(marked: npt.NDArray[np.bool_], text: IntArray, texts: int) -> IntArray:
    """Length of the longest run of marked words in each text, shape (texts,)."""
    longest = np.zeros(texts, dtype=np.int64)
    if not marked.size:
        return longest
    begins = marked & np.concatenate(([True], ~marked[:-1] | (text[1:] != text[:-1])))
    run = np.cumsum(begins)[marked] - 1
    length = np.bincount(run)
    np.maximum.at(longest, text[begins], length)
    return longest


def _ranges(starts: IntArray, lengths: IntArray) -> IntArray:
    """start, start + 1, … of each range, one after the other."""
    ends = np.cumsum(lengths)
    return np.asarray(np.arange(ends[-1] if ends.size else 0) + np.repeat(starts - (ends - lengths), lengths))


def _portions(sizes: IntArray) -> Iterator[slice]:
    """Consecutive rows of about ``_PORTION`` entries together."""
    ends = np.cumsum(sizes)
    first = 0
    while first < sizes.size:
        last = int(np.searchsorted(ends, (ends[first - 1] if first else 0) + _PORTION, side="right"))
        yield slice(first, max(last, first + 1))
        first = max(last, first + 1)
