"""Training data out of plain lists of texts, beside a reference and whatever else they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from builders import sample, spell

from collapse_audit.probes.pairs.training_data import NO_TEXTS, TrainingData
from collapse_audit.probes.text.phrases import built_in
from collapse_audit.probes.text.sample import Sample


def data(texts: Sample | Sequence[str], reference: Sample | Sequence[str] = (), **details: Any) -> TrainingData:
    """Training data beside a reference; none where there are no texts of people."""
    details.setdefault("phrases", built_in())
    return TrainingData(
        baseline=reference if isinstance(reference, Sample) else sample(reference) if reference else NO_TEXTS,
        generation=texts if isinstance(texts, Sample) else sample(texts),
        permutations=199,
        seed=0,
        **details,
    )


def drawn(count: int, seed: int, *, words: int = 2000, length: int = 20) -> list[str]:
    """Texts of words that are drawn independently: no two are alike."""
    return spell(np.random.default_rng(seed).integers(0, words, size=(count, length)))
