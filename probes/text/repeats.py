"""What a text repeats of itself: n-grams that stood in it before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collapse_audit.probes.statistics.design import FloatArray, IntArray
from collapse_audit.probes.text.ngrams import gram_starts, ngrams, portions
from collapse_audit.probes.text.tokens import Tokens

_ORDER = 4


@dataclass(frozen=True, slots=True)
class Repeats:
    """n-grams of D texts that stood in their text before, R in all."""

    times: IntArray
    """Shape (D,): how many."""
    grams: IntArray
    """Shape (D,): of how many."""
    spans: IntArray
    """Shape (R, n): their token ids."""
    owners: IntArray
    """Shape (R,): the text of each."""

    @property
    def share(self) -> FloatArray:
        """seq-rep-n of every text, 1 - unique n-grams/n-grams (Welleck et al. 2019, arXiv:1908.04319); shape (D,)."""
        return np.asarray(self.times / np.maximum(self.grams, 1))

    @property
    def counted(self) -> FloatArray:
        """1 where a text has any n-gram, and so a share; shape (D,)."""
        return (self.grams > 0).astype(np.float64)


def repeated_grams(tokens: Tokens, order: int = _ORDER) -> Repeats:
    """The n-grams that each text repeats within itself. seq-rep-n of a corpus is sum(share) / sum(counted)."""
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
    return Repeats(np.bincount(owner, minlength=tokens.lengths.size), grams_of, np.concatenate(spans), owner)
