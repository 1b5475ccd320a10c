"""Texts that get stuck: a span of tokens, or of characters inside a word, that stands back to back again and again.

Both are found exactly. A span of s places that is repeated is a run of places that each equal the one s places on, and
a run of at least L of them holds a multiple of L. So only one place in L need be looked at for a span, and because L
grows with the span, all spans together cost n (1 + 1/2 + 1/3 + …) looks: no pass over the text a span.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.text.tokens import IntArray, Tokens

BoolArray = npt.NDArray[np.bool_]

TIMES: Final = 3
"""Copies of a span that make a loop."""
LONGEST_SPAN: Final = 100
"""Tokens of the longest span that is looked for."""
LONGEST_STRING: Final = 500
"""Characters of the longest span that is looked for."""
COVERED: Final = 48
"""Characters that a loop of characters covers at least: laughter ("hahaha") and screams ("nooooo") are shorter."""
COVERED_WITHOUT_LETTERS: Final = 400
"""The same where the span holds no letter: rulers, leaders and zeros fill a line or two of healthy text."""
_PORTION: Final = 1 << 22
"""Characters or tokens that are looked through at a time."""
_SIGNS: Final = 8
"""Places that a run of one sign counts for, however long it is, so that a ruler or a leader is no part of a loop."""
_WINDOW: Final = 4
"""Characters that are compared at a time."""
_FEW: Final = 32
"""Candidates that are followed one by one; more of them are followed together."""


def loops(tokens: Tokens, texts: pa.LargeStringArray) -> BoolArray:
    """Whether a text gets stuck in a loop, of tokens or of characters; shape (N,).

    ``texts``: the same documents, folded.
    """
    return token_loops(tokens) | character_loops(texts)


def token_loops(tokens: Tokens) -> BoolArray:
    """Whether a span of 1..100 tokens stands three times back to back; shape (N,)."""
    looping = np.zeros(tokens.lengths.size, dtype=np.bool_)
    longest = min(int(tokens.lengths.max(initial=0)) // TIMES, LONGEST_SPAN)
    for first, end in _portions(tokens.lengths):
        bounds = tokens.offsets[first : end + 1]
        places, document = apart(tokens.ids[bounds[0] : bounds[-1]], np.diff(bounds))
        portion = np.zeros(end - first, dtype=np.bool_)
        for span in range(1, longest + 1):
            if portion.all():
                break
            portion[document[repeats(places, document, portion, span, (TIMES - 1) * span)]] = True
        looping[first:end] = portion
    return looping


def character_loops(texts: pa.LargeStringArray) -> BoolArray:
    """Whether a span of 1..500 characters stands three times back to back and covers 48 characters; shape (N,).

    Of spans without a letter, 400 characters. A longer run of one sign counts for 8.
    """
    lengths = np.asarray(pc.utf8_length(texts)).astype(np.int64)
    looping = np.zeros(len(texts), dtype=np.bool_)
    for first, end in _portions(lengths):
        letters = "".join(texts.slice(first, end - first).to_pylist())
        codes = np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), dtype=np.int32)
        looping[first:end] = _stuck(*apart(codes, lengths[first:end]), end - first)
    return looping


def _stuck(codes: IntArray, document: IntArray, documents: int) -> BoolArray:
    stuck = np.zeros(documents, dtype=np.bool_)
    codes, document, dull = _squeezed(codes, document)
    stuck[dull] = True
    sizes = np.bincount(document, minlength=documents)
    keys, letters = _keys(codes), None
    for span in range(1, LONGEST_STRING + 1):
        if sizes[stuck].sum() * 4 > codes.size:  # what is found need not be looked at again
            left = ~stuck[document]
            codes, document = codes[left], document[left]
            keys, letters = _keys(codes), None
            sizes[stuck] = 0
        if codes.size <= TIMES * span:
            break
        length = max((TIMES - 1) * span, COVERED - span)
        at = repeats(codes, document, stuck, span, length, keys=keys, window=_WINDOW)
        if at.size:
            letters = _letters_before(codes) if letters is None else letters
            spoken = letters[at + span] > letters[at]
            stuck[document[at[spoken]]] = True
            mute = at[~spoken & ~stuck[document[at]]]
            long = max((TIMES - 1) * span, COVERED_WITHOUT_LETTERS - span)
            stuck[document[mute[_reach(codes, mute, span, long) >= long]]] = True
    return stuck


def _squeezed(codes: IntArray, document: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Runs of one sign (no letter) as at most 8 of it, and the documents that hold a run of 400.

    Rulers and leaders would otherwise be followed anew for every span that is shorter than they are.
    """
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))[: codes.size]
    lengths = np.diff(np.append(starts, codes.size))
    long = np.flatnonzero(lengths > _SIGNS)
    long = long[[not chr(code).isalpha() for code in codes[starts[long]].tolist()]] if long.size else long
    dull = document[starts[long[lengths[long] >= COVERED_WITHOUT_LETTERS]]]
    if not long.size:
        return codes, document, dull
    surplus = lengths[long] - _SIGNS
    begin = np.repeat(starts[long] + _SIGNS - (np.cumsum(surplus) - surplus), surplus)
    keep = np.ones(codes.size, dtype=np.bool_)
    keep[begin + np.arange(begin.size)] = False
    return codes[keep], document[keep], dull


def _keys(codes: IntArray) -> IntArray:
    """Equal where the next four characters are; shape (T - 3,)."""
    keys = np.zeros(max(codes.size - _WINDOW + 1, 0), dtype=np.int64)
    for step in range(_WINDOW):
        keys |= (codes[step : step + keys.size] & 0xFFFF).astype(np.int64) << 16 * step
    return keys


def _letters_before(codes: IntArray) -> IntArray:
    """How many letters stand before every place, and in all; shape (T + 1,)."""
    present = np.zeros(0x110000, dtype=np.bool_)
    present[codes[codes >= 0]] = True
    present[[code for code in np.flatnonzero(present).tolist() if not chr(code).isalpha()]] = False
    before = np.zeros(codes.size + 1, dtype=np.int32)
    np.cumsum(present[np.maximum(codes, 0)] & (codes >= 0), out=before[1:])
    return before


def apart(ids: IntArray, lengths: IntArray) -> tuple[IntArray, IntArray]:
    """Places of all documents one after the other and the document of each, with a mark of its own after every one.

    A run of equal places then never crosses from one document into the next. Shapes (T + N,) each.
    """
    n = lengths.size
    document = np.repeat(np.arange(n, dtype=np.int32), lengths + 1)
    places = np.empty(document.size, dtype=np.int32)
    places[np.cumsum(lengths) + np.arange(n)] = -1 - np.arange(n)
    places[np.arange(ids.size) + np.repeat(np.arange(n), lengths)] = ids
    return places, document


def repeats(
    places: IntArray,
    document: IntArray,
    looping: BoolArray,
    span: int,
    length: int,
    *,
    keys: IntArray | None = None,
    window: int = 1,
) -> IntArray:
    """Some place in every run of at least ``length`` places that each equal the one ``span`` on; ascending.

    Documents that are ``found`` already are passed over; ``document`` and ``found`` as in :func:`apart`. ``keys`` are
    equal wherever ``window`` places in a row are, so that few places that are equal by chance need be followed.
    """
    if places.size <= span:
        return np.empty(0, dtype=np.int64)
    keys, step = places if keys is None else keys, length - window + 1
    seeds = np.flatnonzero(keys[: max(keys.size - span, 0) : step] == keys[span::step]) * step
    seeds = seeds[~looping[document[seeds]]]
    return np.asarray(seeds[_reach(places, seeds, span, length) >= length])


def _reach(places: IntArray, seeds: IntArray, span: int, length: int) -> IntArray:
    """How far the run around every seed goes, itself included; ``length`` or more where it is that long."""
    reach = np.ones(seeds.size, dtype=np.int64)
    last = places.size - span
    for direction in (-1, 1):
        going, position = np.flatnonzero(reach < length), seeds[reach < length]
        for step in range(1, length):
            if going.size <= _FEW:
                for run, place in zip(going.tolist(), position.tolist(), strict=True):
                    reach[run] += _stretch(places, place, span, direction, length - step)
                break
            position = position + direction
            inside = (position >= 0) & (position < last)
            going, position = going[inside], position[inside]
            same = places[position] == places[position + span]
            going, position = going[same], position[same]
            reach[going] += 1
    return reach


def _stretch(places: IntArray, place: int, span: int, direction: int, most: int) -> int:
    """Places beyond ``place`` in that direction, up to ``most``, that equal the one ``span`` on, without a gap."""
    if direction > 0:
        here = places[place + 1 : min(place + 1 + most, places.size - span)]
        same = here == places[place + 1 + span : place + 1 + span + here.size]
    else:
        start = max(place - most, 0)
        same = (places[start:place] == places[start + span : place + span])[::-1]
    return same.size if same.all() else int(same.argmin())


def _portions(lengths: IntArray) -> Iterator[tuple[int, int]]:
    """First and last document (exclusive) of consecutive portions of about ``_PORTION`` places."""
    total = np.cumsum(lengths)
    first = 0
    while first < lengths.size:
        before = int(total[first - 1]) if first else 0
        end = max(int(np.searchsorted(total, before + _PORTION, side="right")), first + 1)
        yield first, end
        first = end
