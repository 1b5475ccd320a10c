"""Which of a model's texts the next generation learns from.

Two rules that people try against collapse, neither of which needs a classifier: no text twice, and only texts that
generation 0 finds neither too likely nor too unlikely. What is kept is kept as it was written.

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
from collapse_audit.probes.text.folding import fold

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


def selected(texts: Sequence[str], nll: Sequence[float | None], selection: Selection) -> BoolArray:
    """Which texts are kept, shape (n,).

    ``nll``: nats per token of each under generation 0; None where a text has no token to score, and such a text lies
    in no band. Of texts in the band that are equal to a reader (:mod:`collapse_audit.probes.text.folding`) the first is
    kept. The quantiles are those of all texts, copies included. Raises TrainingError where no text has a
    likelihood though a band is asked for.
    """
    keep = np.ones(len(texts), dtype=np.bool_)
    low, high = selection.perplexity
    if (low, high) != (0.0, 1.0):
        surprise = np.array([np.nan if value is None else value for value in nll], dtype=np.float64)
        if np.isnan(surprise).all():
            raise TrainingError("no text has a likelihood under generation 0 to be selected by", slug="selection")
        least, most = np.nanquantile(surprise, [low, high])
        keep &= (surprise >= least) & (surprise <= most)  # NaN is in neither
    if selection.drop_duplicates:
        within = np.flatnonzero(keep)
        same = fold(pa.array(texts, pa.large_string()).take(within)).dictionary_encode().indices
        keep[np.delete(within, np.unique(same, return_index=True)[1])] = False
    return keep
