"""Which of a model's texts the next generation learns from.

Three rules that people try against collapse, none of which needs a classifier: no text twice, only texts that
generation 0 finds neither too likely nor too unlikely, and only texts whose sentences are not too even in length (what
practitioners call burstiness). What is kept is kept as it was written.

>>> selected(["a", "b", "a", "c"], [1.0, 9.0, 1.0, 2.0], Selection(drop_duplicates=True, perplexity=(0.0, 0.9)))
array([ True, False, False,  True])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.recipe import Selection
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.text.folding import fold, visible
from collapse_audit.probes.text.sentences import sentence_changes
from collapse_audit.probes.text.tokens import WORDS

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


def selected(texts: Sequence[str], nll: Sequence[float | None], selection: Selection) -> BoolArray:
    """Which texts are kept, shape (n,).

    ``nll``: nats per token of each under generation 0; None where a text has no token to score, and such a text lies
    in no band of perplexity. A text of one sentence has no burstiness, and is kept whatever the band. Of texts in the
    bands that are equal to a reader (:mod:`collapse_audit.probes.text.folding`) the first is kept. The quantiles are
    those of all texts that have the measure, copies included. Raises TrainingError where no text has a likelihood
    though a band of perplexity is asked for.
    """
    keep = np.ones(len(texts), dtype=np.bool_)
    low, high = selection.perplexity
    if (low, high) != (0.0, 1.0):
        surprise = np.array([np.nan if value is None else value for value in nll], dtype=np.float64)
        if np.isnan(surprise).all():
            raise TrainingError("no text has a likelihood under generation 0 to be selected by", slug="selection")
        least, most = np.nanquantile(surprise, [low, high])
        keep &= (surprise >= least) & (surprise <= most)  # NaN is in neither
    if selection.burstiness != (0.0, 1.0):
        changes = burstiness(texts)
        if not np.isnan(changes).all():
            least, most = np.nanquantile(changes, selection.burstiness)
            keep &= ~((changes < least) | (changes > most))  # NaN is kept
    if selection.drop_duplicates:
        within = np.flatnonzero(keep)
        same = fold(pa.array(texts, pa.large_string()).take(within)).dictionary_encode().indices
        keep[np.delete(within, np.unique(same, return_index=True)[1])] = False
    return keep


def burstiness(texts: Sequence[str]) -> FloatArray:
    """Mean abs(ln(words of a sentence/words of the one before)) within each text, shape (n,); NaN of one sentence."""
    change, neighbours = sentence_changes(WORDS(visible(pa.array(texts, pa.large_string()))))
    with np.errstate(invalid="ignore"):
        return change / neighbours
