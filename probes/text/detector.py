"""Which of two kinds a text is of, by the words and word pairs that it holds: a detector whose errors are known.

Naive Bayes on what stands in a text, learned from labelled texts, and cross-fitted: each labelled text is classified by
a detector that never saw it (or its copy, or its group), so the shares found are those of texts that are new. What a
single text is called is wrong as often as these say; the share of many is what can be estimated from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collapse_audit.probes.statistics.design import BoolArray, FloatArray, IntArray
from collapse_audit.probes.text.ngrams import recoded
from collapse_audit.probes.text.tokens import Tokens, folded_words

FOLDS = 5
_PRIOR = 0.5
"""Texts of either kind that a word stands in before any is looked at."""


@dataclass(frozen=True, slots=True)
class Held:
    """Which of F features stand in which of D texts, each pair once, both of shape (H,)."""

    document: IntArray
    feature: IntArray
    documents: int
    features: int


def held(tokens: Tokens) -> Held:
    """The words (case folded, numbers as their digits, no signs) and the pairs of neighbouring words of D texts."""
    code, words = folded_words(tokens.vocabulary)
    ids = code[tokens.ids]
    document = np.repeat(np.arange(tokens.lengths.size), tokens.lengths)[ids >= 0]
    ids, size = ids[ids >= 0], max(len(words), 1)
    within = np.flatnonzero(document[1:] == document[:-1])
    pairs = (ids[within] + 1) * size + ids[within + 1]
    codes = recoded(np.concatenate((ids, pairs)))
    total = int(codes.max(initial=-1)) + 1
    stands = np.unique(np.concatenate((document, document[within])) * max(total, 1) + codes)
    return Held(stands // max(total, 1), stands % max(total, 1), tokens.lengths.size, total)


def folds(keys: IntArray, rng: np.random.Generator) -> IntArray:
    """A fold for each of L texts, those of one key in the same; shape (L,)."""
    kinds, of = np.unique(keys, return_inverse=True)
    return np.asarray((rng.permutation(kinds.size) % FOLDS)[of])


def flagged(texts: Held, machine: BoolArray, fold: IntArray, copies: IntArray) -> FloatArray:
    """How many of the detectors call each of D texts a machine's, as a share; shape (D,).

    The first L of them are labelled: ``machine`` and ``fold`` are of shape (L,). ``copies``, shape (D,): the fold that
    holds the text or its copy, -1 where none does. Such a text is asked only of the detector that was not trained on
    that fold.
    """
    verdicts = np.stack(list(_detectors(texts, machine, fold)))
    own = verdicts[np.maximum(copies, 0), np.arange(texts.documents)]
    return np.where(copies >= 0, own, verdicts.mean(axis=0))


def _detectors(texts: Held, machine: BoolArray, fold: IntArray) -> Iterator[FloatArray]:
    """Of each fold's detector, trained on all others: 1 where it calls a text a machine's, else 0; shape (D,)."""
    labelled = machine.size
    known = texts.document < labelled
    document, feature = texts.document[known], texts.feature[known]
    for left_out in range(FOLDS):
        taught = fold != left_out
        counts = []
        for kind in (machine, ~machine):
            among = (taught & kind)[document]
            there = np.bincount(feature[among], minlength=texts.features)
            counts.append(np.log((there + _PRIOR) / (np.count_nonzero(taught & kind) + 2 * _PRIOR)))
        seen = np.bincount(feature[taught[document]], minlength=texts.features) > 0
        weight = np.where(seen, counts[0] - counts[1], 0.0)
        score = np.bincount(texts.document, weight[texts.feature], texts.documents)
        yield (score > 0).astype(np.float64)
