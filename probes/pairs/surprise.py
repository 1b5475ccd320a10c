"""How surprising a text's words are, where no model's likelihoods are at hand: to word counts of the baseline.

A unigram model is all that a few hundred texts can feed: with word pairs the same rare texts stand out less, because
most pairs of a text were never seen (docs/decisions/0020-rare-texts.md).
"""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.pairs.tail import partnered
from collapse_audit.probes.statistics.design import BoolArray, Design, FloatArray, IntArray
from collapse_audit.probes.text.tokens import Tokens

_FOLDS = 5
"""Parts of the baseline, each scored by the words of the other four."""
_DISCOUNT = 0.75
"""Taken off every count where no type stands once, or none twice, to estimate it from."""


def surprises(tokens: Tokens, counted: BoolArray) -> FloatArray:
    """-ln p of every token, nats, under the word counts of the ``counted`` documents (D,); shape (T,).

    Absolute discounting (Ney, Essen & Kneser 1994, doi 10.1006/csla.1994.1001): what is taken off the counts is spread
    evenly over all types, seen and unseen, and of unseen ones there are as many as Chao's estimate says (1984,
    www.jstor.org/stable/4615964). Every unseen word is equally surprising, however long or strange it is.
    """
    of_counted = np.repeat(counted, tokens.lengths)
    counts = np.bincount(tokens.ids[of_counted], minlength=len(tokens.vocabulary)).astype(np.float64)
    once, twice = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
    discount = once / (once + 2 * twice) if once and twice else _DISCOUNT
    types = np.count_nonzero(counts)
    unseen = max(once * (once - 1) / (2 * (twice + 1)), 1.0)
    probability = np.maximum(counts - discount, 0.0) + discount * types / (types + unseen)
    return np.asarray(-np.log(probability / counts.sum())[tokens.ids])


def cross_scored(tokens: Tokens, baseline: BoolArray, fold: IntArray) -> FloatArray:
    """-ln p of every token (T,) under the baseline's texts of all other folds; ``baseline``, ``fold``: shape (D,)."""
    of_token = np.repeat(fold, tokens.lengths)
    scored = np.empty(tokens.ids.size)
    for part in np.unique(fold):
        aside = of_token == part
        scored[aside] = surprises(tokens, baseline & (fold != part))[aside]
    return scored


def folds(design: Design, rng: np.random.Generator) -> IntArray:
    """A fold, 0 to 4, for each block (K,): as many of the baseline's units in each.

    A block of the generation has the fold of the unit that it stands aside with
    (:func:`~collapse_audit.probes.pairs.tail.partnered`), or any.
    """
    baseline = ~design.side
    key = design.stratum if design.paired else np.arange(design.side.size)
    unit = partnered(design.unit, key, baseline, rng)
    fold = rng.integers(_FOLDS, size=int(unit.max()) + 1)
    units = np.unique(design.unit[baseline])
    fold[units] = rng.permutation(units.size) % _FOLDS
    return fold[unit]


def standardised(scored: FloatArray, lengths: IntArray) -> FloatArray:
    """Mean surprise of each text, as spreads from the mean that texts of its length have around all texts' mean.

    ``scored``: of the tokens, shape (T,); ``lengths``: tokens of each document, shape (D,), all positive. The mean over
    n tokens varies by between + within / n (one-way random effects; moments as DerSimonian & Laird 1986,
    doi 10.1016/0197-2456(86)90046-2). Without this, short texts fill both ends of every histogram.
    """
    document = np.repeat(np.arange(lengths.size), lengths)
    mean = np.bincount(document, weights=scored, minlength=lengths.size) / lengths
    squares = np.bincount(document, weights=(scored - mean[document]) ** 2, minlength=lengths.size)
    within = float(squares.sum()) / max(int((lengths - 1).sum()), 1)
    middle = float(scored.mean())
    apart = float((lengths * (mean - middle) ** 2).sum())
    spread = scored.size - float(np.square(lengths, dtype=np.float64).sum()) / scored.size
    between = max((apart - (lengths.size - 1) * within) / spread, 0.0) if spread > 0 else 0.0
    error = np.sqrt(between + within / lengths)
    return np.divide(mean - middle, error, out=np.zeros_like(mean), where=error > 0)
