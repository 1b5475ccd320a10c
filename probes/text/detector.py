"""Which of two kinds a text is of, by the words and word pairs that it holds: a detector whose errors are known.

Naive Bayes on what stands in a text, learned from labelled texts, and cross-fitted: each labelled text is classified by
a detector that never saw it (or its copy, or its group), so the shares found are those of texts that are new. What a
single text is called is wrong as often as these say; the share of many is what can be estimated from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collapse_audit.probes.statistics.design import BoolArray, FloatArray, IntArray
from collapse_audit.probes.text.ngrams import portions, take
from collapse_audit.probes.text.tokens import Tokens, folded_words

FOLDS = 5
_PRIOR = 0.5
"""Texts of either kind that a word stands in before any is looked at."""


def folds(keys: IntArray, rng: np.random.Generator) -> IntArray:
    """A fold for each of L texts, those of one key in the same; shape (L,)."""
    kinds, of = np.unique(keys, return_inverse=True)
    return np.asarray((rng.permutation(kinds.size) % FOLDS)[of])


@dataclass(frozen=True, slots=True)
class Scores:
    """What the detectors of the folds read off D texts, each of shape (FOLDS, D)."""

    odds: FloatArray
    """Logarithm of how much more likely a machine's text is than a human one."""
    unknown: FloatArray
    """Share of the features that no text held of which the detector learned."""
    held: FloatArray
    """How many features a text holds, the same for each detector."""

    def flagged(self, copies: IntArray) -> FloatArray:
        """How many of the detectors call each of D texts a machine's, as a share; shape (D,).

        ``copies``, shape (D,): the fold that holds the text or its copy, -1 where none does. Such a text is asked only
        of the detector that was not trained on that fold.
        """
        verdicts = (self.odds > 0).astype(np.float64)
        own = verdicts[np.maximum(copies, 0), np.arange(copies.size)]
        return np.where(copies >= 0, own, verdicts.mean(axis=0))

    def readings(self, fold: IntArray) -> FloatArray:
        """Odds, share of unknown features and number of features of D texts, by the detector of the ``fold`` of each;
        shape (D, 3).

        One detector a text: the mean of several would vary less than what a labelled text, which has one, is told by.
        """
        row = np.arange(fold.size)
        return np.stack((self.odds[fold, row], self.unknown[fold, row], self.held), axis=1)


def scored(tokens: Tokens, machine: BoolArray, fold: IntArray) -> Scores:
    """What detectors that learn from the first L of D texts read off all of them; each leaves one fold out.

    A text is the set of its words (case folded, numbers as their digits, no signs) and of its pairs of neighbouring
    words. Only what stands in a labelled text is known, so all texts are read one portion at a time. ``machine`` and
    ``fold`` are of shape (L,).
    """
    code, words = folded_words(tokens.vocabulary)
    size, texts = max(len(words), 1), tokens.lengths.size
    document, feature = _held(take(tokens, np.arange(machine.size)), code, size)
    known, feature = np.unique(feature, return_inverse=True)
    learned = [_learned(document, feature, machine, fold != left_out, known.size) for left_out in range(FOLDS)]
    odds, unknown, held = np.zeros((FOLDS, texts)), np.zeros((FOLDS, texts)), np.zeros(texts)
    for rows, part in portions(tokens):
        document, feature = _held(part, code, size)
        held[rows] = np.bincount(document, minlength=part.lengths.size)
        at = np.minimum(np.searchsorted(known, feature), max(known.size - 1, 0))
        there = known[at] == feature if known.size else np.zeros(feature.size, dtype=np.bool_)
        document, at = document[there], at[there]
        for row, (weight, seen) in enumerate(learned):
            odds[row, rows] = np.bincount(document, weight[at], part.lengths.size)
            unknown[row, rows] = held[rows] - np.bincount(document, seen[at], part.lengths.size)
    return Scores(odds, unknown / np.maximum(held, 1), held)


def _held(tokens: Tokens, code: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """Which of the words (below ``size``) and word pairs stand in which texts, each once; both of shape (H,)."""
    ids = code[tokens.ids]
    document = np.repeat(np.arange(tokens.lengths.size), tokens.lengths)[ids >= 0]
    ids = ids[ids >= 0].astype(np.int64)
    within = np.flatnonzero(document[1:] == document[:-1])
    features = np.concatenate((ids, (ids[within] + 1) * size + ids[within + 1]))
    documents = np.concatenate((document, document[within]))
    order = np.lexsort((features, documents))
    features, documents = features[order], documents[order]
    new = np.ones(features.size, dtype=np.bool_)
    new[1:] = (features[1:] != features[:-1]) | (documents[1:] != documents[:-1])
    return documents[new], features[new]


def _learned(
    document: IntArray, feature: IntArray, machine: BoolArray, taught: BoolArray, features: int
) -> tuple[FloatArray, BoolArray]:
    """The log odds of each of F features, and whether it was seen at all in the ``taught`` ones of L texts."""
    counts = []
    for kind in (machine, ~machine):
        there = np.bincount(feature[(taught & kind)[document]], minlength=features)
        counts.append(np.log((there + _PRIOR) / (np.count_nonzero(taught & kind) + 2 * _PRIOR)))
    seen = np.bincount(feature[taught[document]], minlength=features) > 0
    return np.where(seen, counts[0] - counts[1], 0.0), seen
