"""One corpus in numbers, after section III of Bobrova et al.

Words and n-grams are shown only where at least five texts hold them, as in the audit's reports: a name that stands in
one text is nobody's business. Every part that cannot be measured says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_audit.lineages.description.sentiment import sentiment
from collapse_audit.lineages.description.source import Source
from collapse_audit.lineages.description.words import common_ngrams, topics
from collapse_audit.probes.text.eu_tirads import eu_tirads
from collapse_audit.probes.text.labels import AUTO_SHARE

FORMAT = 1
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BINS = 24
"""At most, and one number wide at least."""


def describe(source: Source, *, seed: int = 0) -> dict[str, Any]:
    """Everything of one corpus, as ``description.schema.json`` has it. ``seed``: of the topics."""
    texts = [text for text in source.texts if text.strip()]
    words = [len(text.split()) for text in texts]
    return {
        "name": source.name,
        "digest": source.digest,
        "records": len(source.texts),
        "unreadable": source.unreadable,
        "empty": len(source.texts) - len(texts),
        "distinct": len({" ".join(text.split()) for text in texts}),
        "missing": dict(source.missing),
        "length": {
            "characters": lengths([len(text) for text in texts]),
            "words": lengths(words),
        },
        "labels": label_counts(source),
        "ngrams": {str(order): common_ngrams(texts, order) for order in (1, 2, 3)},
        "topics": topics(texts, seed=seed),
        "sentiment": sentiment(texts),
    }


def lengths(values: Sequence[int]) -> dict[str, Any] | None:
    """Mean, standard deviation (of the population), quantiles, maximum, histogram; None of nothing."""
    if not values:
        return None
    array = np.asarray(values, np.float64)
    width = max(1, -(-(int(array.max()) + 1) // _BINS))  # whole numbers: else some bins would hold one more of them
    counts, edges = np.histogram(array, bins=np.arange(0, array.max() + 1 + width, width))
    return {
        "mean": float(array.mean()),
        "sd": float(array.std()),
        "max": int(array.max()),
        "quantiles": {f"{share:g}": float(np.quantile(array, share)) for share in _QUANTILES},
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def label_counts(source: Source) -> dict[str, Any]:
    """By the label field of records, as an audit does; else by EU-TIRADS in the texts where at least 5% name it; else
    by the label columns of a table, whose cells are as somebody wrote them; else by nothing."""
    named = [eu_tirads(text) for text in source.texts]
    if any(source.labels) and not source.cells:
        rule, carried = "field", [tuple(labels or ()) for labels in source.labels]
    elif sum(map(bool, named)) >= AUTO_SHARE * len(named):
        rule, carried = "eu-tirads", named
    elif any(source.labels):
        rule, carried = "field", [tuple(labels or ()) for labels in source.labels]
    else:
        return {"rule": "none", "reason": "no label field, and fewer than 5% of the texts name an EU-TIRADS category"}
    counts = Counter(label for labels in carried for label in labels)
    several = Counter(len(labels) for labels in carried)
    return {
        "rule": rule,
        "counts": dict(sorted(counts.items())),
        "occurrences": counts.total(),
        "labels_a_text": {str(number): count for number, count in sorted(several.items())},
        "without": several[0],
    }
