"""Runs of tokens: documents cut, chosen or taken in portions, and their n-grams as integers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.statistics.design import IntArray
from collapse_audit.probes.text.tokens import Tokens

_Code = TypeVar("_Code", bound=np.integer[Any])


def truncated(tokens: Tokens, length: int) -> Tokens:
    """The first ``length`` tokens of every document."""
    lengths = tokens.lengths
    position = np.arange(tokens.ids.size) - np.repeat(tokens.offsets[:-1], lengths)
    cut = np.minimum(lengths, length)
    return Tokens(tokens.ids[position < length], np.concatenate(([0], np.cumsum(cut))), tokens.vocabulary)


def take(tokens: Tokens, documents: IntArray) -> Tokens:
    """The given documents, in the given order."""
    lengths = tokens.lengths[documents]
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    index = np.arange(offsets[-1]) + np.repeat(tokens.offsets[documents] - offsets[:-1], lengths)
    return Tokens(tokens.ids[index], offsets, tokens.vocabulary)


def portions(tokens: Tokens, size: int = 1 << 18) -> Iterator[tuple[slice, Tokens]]:
    """Consecutive documents of about ``size`` tokens together: work on them one portion at a time to bound memory."""
    ends = np.searchsorted(tokens.offsets, np.arange(size, tokens.offsets[-1] + size, size), side="left")
    first = 0
    for end in np.unique(np.minimum(ends, tokens.lengths.size)):
        offsets = tokens.offsets[first : end + 1]
        ids = tokens.ids[offsets[0] : offsets[-1]]
        yield slice(first, int(end)), Tokens(ids, offsets - offsets[0], tokens.vocabulary)
        first = int(end)
    if first < tokens.lengths.size:  # empty documents at the end
        none = np.zeros(tokens.lengths.size - first + 1, dtype=np.int64)
        yield slice(first, tokens.lengths.size), Tokens(tokens.ids[:0], none, tokens.vocabulary)


def ngrams(tokens: Tokens, order: int) -> tuple[IntArray, IntArray]:
    """All n-grams of ``order`` as integers (equal iff the n-grams are), and the documents they stand in.

    In the order of the text: :func:`gram_starts` tells at which tokens.
    """
    document = np.repeat(np.arange(tokens.lengths.size, dtype=np.int32), tokens.lengths)
    grams, base, largest = tokens.ids, max(len(tokens.vocabulary), 2), len(tokens.vocabulary)
    for step in range(1, order):
        if largest > np.iinfo(np.int64).max // base:
            grams = recoded(grams)
            largest = grams.size
        grams = grams[:-1].astype(np.int64) * base + tokens.ids[step:]
        largest *= base
    inside = document[: grams.size] == document[order - 1 :]
    grams = grams[inside]
    return recoded(grams), document[: inside.size][inside]


def gram_starts(tokens: Tokens, order: int) -> IntArray:
    """Positions in ``tokens.ids`` at which the n-grams of :func:`ngrams` begin."""
    document = np.repeat(np.arange(tokens.lengths.size, dtype=np.int32), tokens.lengths)
    return np.flatnonzero(document[: max(document.size - order + 1, 0)] == document[order - 1 :])


def distinct(codes: npt.NDArray[_Code]) -> npt.NDArray[_Code]:
    """The different codes, ascending: np.unique by sorting, since hashing millions of codes takes 20 times as long."""
    codes = np.sort(codes)
    first: npt.NDArray[_Code] = codes[np.append(True, codes[1:] != codes[:-1])[: codes.size]]
    return first


def recoded(codes: IntArray) -> IntArray:
    """The same codes as 0, 1, 2, … in their order, int32 (np.unique's inverse, in half of its memory)."""
    order = np.argsort(codes)
    codes = codes[order]
    rank = np.empty(codes.size, dtype=np.int32)
    rank[:1] = 0
    np.cumsum(codes[1:] != codes[:-1], dtype=np.int32, out=rank[1:])
    recoded = np.empty_like(rank)
    recoded[order] = rank
    return recoded
