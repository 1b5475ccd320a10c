"""CA704: do the training texts hold phrases that give a chat model away?"""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.pairs.training_data import TrainingData
from collapse_audit.probes.statistics.counted import bounds
from collapse_audit.probes.statistics.design import BoolArray
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading
from collapse_audit.probes.text.phrases import holding
from collapse_audit.probes.types import data_probe

_SHOWN = 10
_FEWEST = 5
"""Texts without which a phrase of a user's list is not shown: it may be somebody's."""


@data_probe(
    name="tell-tale",
    code="CA704",
    needs=("text",),
    gates=(
        Gate(
            statistic="tell-tale",
            unit="share of documents",
            worse="higher",
            margin=0.01,
            because="one training text in a hundred; of 18,365 texts of people (stories, questions, abstracts, "
            "paragraphs, docstrings, sentences of three languages, reports) none holds one of the built-in phrases",
            plain="tell-tale phrases",
            says="the share of training texts with a phrase that gives a chat model away lies {value} above that of "
            "people's",
        ),
    ),
    source="Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404",
    since="0.2",
)
def tell_tale(data: TrainingData) -> Reading:
    """Do the training texts hold phrases that give a chat model away?

    What it measures
        The share of texts with a phrase such as "as an AI language model" or "как языковая модель": answers of a chat
        model that went into the data as they were.

    Formula and unit
        Texts that hold at least one phrase of the list, whole words, case folded, over all texts; less the share of the
        reference's that do (with its 95% bounds). Without a reference people's texts are taken to hold none. The list
        is built in, Russian and English, or your own: ``--phrases FILE``, one a line.

    Why it signals collapse
        Refusals and disclaimers are what a model writes when it writes as nobody; a model that is trained on them
        refuses where it should answer. Where they were not taken out, nobody has looked at the texts.

    When it misleads
        Few texts of a model hold such a phrase: that none is found says nothing of who wrote the rest. Texts about
        chat models quote them.

    Needs
        Text.
    """
    if not data.phrases:
        return NotMeasured(reason="the list of phrases is empty")
    n, known = len(data.generation), len(data.baseline)
    by_phrase = holding(data.generation.texts, data.phrases)
    hits = int(_any(by_phrase, n).sum())
    theirs = int(_any(holding(data.baseline.texts, data.phrases), known).sum())
    low, high = bounds(hits, n, complete=data.generation.n_read == n)
    least, most = bounds(theirs, known) if theirs else (0.0, 0.0)
    counts = sorted(((int(on.sum()), phrase) for phrase, on in by_phrase.items()), reverse=True)
    shown = [(count, phrase) for count, phrase in counts if count >= _FEWEST or (count and data.evidence == "texts")]
    return Estimate(
        value=hits / n - (theirs / known if theirs else 0.0),
        low=low - most,
        high=high - least,
        method="counted over all texts",
        p_value=None,
        n_baseline=known,
        n_generation=n,
        raw={"texts": hits, "share": hits / n, **({"share_of_reference": theirs / known} if theirs else {})},
        evidence=()
        if data.evidence == "none"
        else tuple({"kind": "term", "term": phrase, "texts": count} for count, phrase in shown[:_SHOWN]),
        notes=("range",) if theirs else (),
        explanation=f"so do {theirs / known:.1%} of the reference's, which are taken off" if theirs else "",
    )


def _any(holders: dict[str, BoolArray], n: int) -> BoolArray:
    return np.logical_or.reduce(list(holders.values())) if n else np.zeros(0, dtype=np.bool_)
