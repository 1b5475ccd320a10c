"""What a text repeats of itself: n-grams that stood in it before, and spans that stand back to back."""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.statistics.design import BoolArray, IntArray
from collapse_audit.probes.text.ngrams import gram_starts, ngrams, portions
from collapse_audit.probes.text.tokens import Tokens

_ORDER = 4
_TIMES = 3
LONGEST_SPAN = 100
"""Tokens of the longest span that is looked for; the search costs one pass over the tokens a span length."""


def repeated_grams(tokens: Tokens, order: int = _ORDER) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """n-grams that stood in their document before: how many, of how many, which, and whose.

    Shapes (D,), (D,), (R, order) token ids, (R,) documents; R repeats in all. seq-rep-n = repeats / n-grams.
    """
    grams_of = np.maximum(tokens.lengths - (order - 1), 0)
    spans, owners = [np.empty((0, order), dtype=np.int32)], [np.empty(0, dtype=np.int64)]
    for documents, portion in portions(tokens):
        grams, document = ngrams(portion, order)
        key = document * np.int64(grams.max(initial=0) + 1) + grams
        by_key = np.argsort(key, kind="stable")
        again = by_key[1:][key[by_key[1:]] == key[by_key[:-1]]]
        spans.append(portion.ids[gram_starts(portion, order)[again][:, None] + np.arange(order)])
        owners.append(document[again].astype(np.int64) + documents.start)
    owner = np.concatenate(owners)
    return np.bincount(owner, minlength=tokens.lengths.size), grams_of, np.concatenate(spans), owner


def looping(tokens: Tokens) -> BoolArray:
    """Whether a span of 1..100 tokens stands three times back to back; shape (D,)."""
    n = tokens.lengths.size
    document = np.repeat(np.arange(n, dtype=np.int32), tokens.lengths + 1)
    # One mark of its own after every document: a run of equal tokens then never crosses from one into the next.
    ids = np.empty(document.size, dtype=np.int32)
    ids[tokens.offsets[1:] + np.arange(n)] = -1 - np.arange(n)
    ids[np.arange(tokens.ids.size) + np.repeat(np.arange(n), tokens.lengths)] = tokens.ids
    found = np.zeros(n, dtype=np.bool_)
    longest = int(tokens.lengths.max(initial=0)) // _TIMES
    for span in range(1, min(longest, LONGEST_SPAN) + 1):
        found[document[_periodic(ids, span, (_TIMES - 1) * span)]] = True
    return found


def _periodic(ids: IntArray, span: int, length: int) -> IntArray:
    """Some position in every maximal run of at least ``length`` tokens that each equal the one ``span`` places on.

    Three copies of a span of s tokens are such a run of 2s. It holds a multiple of its length, so only one position in
    2s need be looked at, and the few that hold are followed to both sides.
    """
    seeds = np.arange(0, ids.size - span, length)
    seeds = seeds[ids[seeds] == ids[seeds + span]]
    reach = np.ones(seeds.size, dtype=np.int64)
    for direction in (-1, 1):
        going, position = np.arange(seeds.size), seeds
        for _ in range(length - 1):
            position = position + direction
            inside = (position >= 0) & (position < ids.size - span)
            going, position = going[inside], position[inside]
            same = ids[position] == ids[position + span]
            going, position = going[same], position[same]
            if not going.size:
                break
            reach[going] += 1
    return np.asarray(seeds[reach >= length])
