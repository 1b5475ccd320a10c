"""What of a generation stands in the texts that it was trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.probes.pairs.copying import copied
from collapse_audit.probes.text.sample import Sample
from collapse_audit.run.plan import Comparison


def copying(comparisons: Iterable[Comparison], samples: Mapping[Corpus, Sample]) -> list[dict[str, Any]]:
    """A row for every generation that was compared and whose training texts were read."""
    rows = []
    for comparison in comparisons:
        current = samples.get(comparison.current.corpus)
        training = None if comparison.predecessor is None else samples.get(comparison.predecessor.corpus)
        if current is not None and training is not None and current.numeric is None:
            about = {"seed": comparison.seed, "generation": comparison.generation, "training": training.name}
            rows.append(about | dataclasses.asdict(copied(current, training)))
    return rows
