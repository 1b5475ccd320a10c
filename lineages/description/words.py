"""Frequent n-grams, and topics: scikit-learn's CountVectorizer and LatentDirichletAllocation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

FEWEST_TEXTS = 5
"""Texts that hold a word before it is shown."""
_SHOWN = 20
_TOPICS, _TOPIC_WORDS, _ROUNDS = 5, 8, 20
_WORD = r"(?u)[^\W\d_]+(?:-[^\W\d_]+)*"
_RUSSIAN = (
    "в во на с со к ко о об от по за из у и а но или не ни до для при без над под между как что это то же бы ли он она "
    "оно они его её ее их мы вы я был была было были быть есть том так также"
)
"""Words of Russian that hold a sentence together and say nothing of its subject."""


def common_ngrams(texts: Sequence[str], order: int) -> list[dict[str, Any]]:
    """The most frequent n-grams that at least five texts hold: how often in all, and in how many texts.

    Words of grammar are left out of single words, and kept in longer ones.
    """
    counts, names = _counted(texts, (order, order), stop=order == 1)
    if counts is None:
        return []
    totals = np.asarray(counts.sum(axis=0)).ravel()
    holding = np.asarray((counts > 0).sum(axis=0)).ravel()
    order_of = np.lexsort((names, -totals))[:_SHOWN]
    return [{"words": str(names[at]), "count": int(totals[at]), "texts": int(holding[at])} for at in order_of]


def topics(texts: Sequence[str], *, seed: int) -> dict[str, Any]:
    """Five topics by latent Dirichlet allocation: the words of each, and its share of an average text."""
    counts, names = _counted(texts, (1, 1), stop=True)
    if counts is None or len(names) < _TOPICS * 2 or counts.shape[0] < _TOPICS * 10:
        few = f"{len(texts)} texts with {0 if counts is None else len(names)} words that five of them hold"
        return {"reason": f"{few}; topics need {_TOPICS * 10} and {_TOPICS * 2}"}
    from sklearn.decomposition import LatentDirichletAllocation

    model = LatentDirichletAllocation(n_components=_TOPICS, max_iter=_ROUNDS, random_state=seed)
    shares = model.fit_transform(counts).mean(axis=0)
    described = [
        {
            "share": float(shares[topic]),
            "words": [str(names[at]) for at in np.argsort(-model.components_[topic], kind="stable")[:_TOPIC_WORDS]],
        }
        for topic in np.argsort(-shares, kind="stable")
    ]
    return {"method": "latent Dirichlet allocation (scikit-learn)", "topics": described}


def _counted(texts: Sequence[str], orders: tuple[int, int], *, stop: bool) -> tuple[Any, Any]:
    """Counts, shape (texts, n-grams), sparse, and the n-grams; (None, None) where five texts hold none."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

    ignored = sorted(ENGLISH_STOP_WORDS.union(_RUSSIAN.split())) if stop else None
    vectorizer = CountVectorizer(ngram_range=orders, token_pattern=_WORD, stop_words=ignored, min_df=FEWEST_TEXTS)
    if len(texts) < FEWEST_TEXTS:
        return None, None
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:  # nothing is left of the vocabulary
        return None, None
    return counts, vectorizer.get_feature_names_out()
