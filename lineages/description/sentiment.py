"""Sentiment by VADER where it means anything: in English.

VADER adds up scores of words that stand in its lexicon (Hutto and Gilbert 2014), and its lexicon is English. Of a
Russian text it knows no word, so its score there says nothing of the text; Bobrova et al. report a mean of .235 for
Russian reports and do not say what was scored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

_LEAST_LATIN = 0.5
_LEAST_KNOWN = 0.01
_WORD = re.compile(r"[^\W\d_]+")


def sentiment(texts: Sequence[str]) -> dict[str, Any]:
    """Mean compound score (-1 to 1) and shares of positive and negative texts by VADER's own limits of .05."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    words = [word.lower() for text in texts for word in _WORD.findall(text)]
    letters = [letter for word in words for letter in word]
    if not letters:
        return {"reason": "no word"}
    latin = sum("LATIN" in unicodedata.name(letter, "") for letter in letters) / len(letters)
    known = sum(word in analyzer.lexicon for word in words) / len(words)
    counts = {"latin_letters": latin, "words_in_lexicon": known}
    if latin < _LEAST_LATIN:
        return {
            **counts,
            "reason": f"not meaningful for this language: VADER's lexicon is English, and knows {known:.2%}",
        }
    if known < _LEAST_KNOWN:
        return {**counts, "reason": f"VADER's lexicon knows only {known:.2%} of the words"}
    scores = np.array([analyzer.polarity_scores(text)["compound"] for text in texts])
    shares = {"positive": float(np.mean(scores >= 0.05)), "negative": float(np.mean(scores <= -0.05))}
    return {**counts, "method": "VADER", "mean": float(scores.mean()), **shares}
