"""Samples of numbers: through the same check of records as a file's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_audit.lineages.corpora.readers.columns import to_batch
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.text.sample import Sample, read_sample
from collapse_audit.probes.text.tokens import WORDS


def numbers(x: Any, *, groups: Sequence[str] | None = None, name: str = "") -> Sample:
    """A sample of N records, of a number each where ``x`` has shape (N,), else of a list."""
    values = np.asarray(x, dtype=np.float64).tolist()
    keys = groups if groups is not None else [None] * len(values)
    records = [{"numeric": value, "group": key} for value, key in zip(values, keys, strict=True)]
    digest = hashlib.sha256(f"{name}{values}".encode()).hexdigest()
    batches = [to_batch(records)]
    return read_sample(batches, name=name or "numbers", digest=digest, tokenizer=WORDS, max_documents=0, seed=0)


def pair(before: Any, after: Any, *, permutations: int = 199, seed: int = 0, **details: Any) -> Pair:
    """A pair of samples, or of plain numbers."""
    sides = [
        each if isinstance(each, Sample) else numbers(each, name=name)
        for name, each in (("baseline", before), ("generation", after))
    ]
    return Pair(baseline=sides[0], generation=sides[1], permutations=permutations, seed=seed, **details)
