"""What a text repeats of itself: n-grams that stood in it before."""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.statistics.design import IntArray
from collapse_audit.probes.text.ngrams import gram_starts, ngrams, portions
from collapse_audit.probes.text.tokens import Tokens

_ORDER = 4


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
