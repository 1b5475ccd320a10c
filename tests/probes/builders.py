"""Samples and pairs out of plain lists: what the tests of the probes are made of.

Everything goes through :func:`read_sample`, as in an audit, so that no test sees a sample that a file could not give.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collapse_audit.lineages.corpora.corpus import RECORD_SCHEMA
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured, Reading
from collapse_audit.probes.text.labels import label_rule
from collapse_audit.probes.text.sample import Sample, read_sample
from collapse_audit.probes.text.tokens import WORDS, Tokenizer
from collapse_audit.probes.types import Probe

Nll = Sequence[float] | Sequence[float | None] | npt.NDArray[np.float64]


def batches(
    texts: Sequence[str],
    *,
    labels: Sequence[Sequence[str] | None] | None = None,
    prompts: Sequence[str | None] | None = None,
    groups: Sequence[str | None] | None = None,
    nll: Nll | None = None,
    embeddings: npt.NDArray[np.float64] | None = None,
    rows: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """The records, ``rows`` of them a batch (None: all in one), with the columns that a corpus file gives."""
    given: dict[str, Any] = {
        "text": texts,
        "labels": labels,
        "prompt": prompts,
        "group": groups,
        "nll": nll,
        "embedding": None if embeddings is None else embeddings.tolist(),
    }
    absent = [None] * len(texts)
    columns = [
        pa.array(absent if (values := given.get(field.name)) is None else values, field.type) for field in RECORD_SCHEMA
    ]
    table = pa.Table.from_arrays(columns, schema=RECORD_SCHEMA)
    yield from table.to_batches(max_chunksize=rows or max(len(texts), 1))


def sample(
    texts: Sequence[str],
    *,
    labels: Sequence[Sequence[str] | None] | None = None,
    prompts: Sequence[str | None] | None = None,
    groups: Sequence[str | None] | None = None,
    nll: Nll | None = None,
    embeddings: npt.NDArray[np.float64] | None = None,
    name: str = "sample",
    tokenizer: Tokenizer = WORDS,
    max_documents: int = 0,
    seed: int = 0,
    rows: int | None = None,
) -> Sample:
    """A sample of ``texts``; columns as for :func:`batches`. Its digest is a function of the texts."""
    return read_sample(
        batches(texts, labels=labels, prompts=prompts, groups=groups, nll=nll, embeddings=embeddings, rows=rows),
        name=name,
        digest=hashlib.sha256("\n".join(texts).encode()).hexdigest(),
        tokenizer=tokenizer,
        max_documents=max_documents,
        seed=seed,
    )


def pair(
    baseline: Sample | Sequence[str],
    generation: Sample | Sequence[str],
    *,
    permutations: int = 199,
    seed: int = 0,
    labels: str = "none",
    **details: Any,
) -> Pair:
    """A pair of samples, or of plain texts; ``labels`` is a label rule's name."""
    return Pair(
        baseline=baseline if isinstance(baseline, Sample) else sample(baseline, name="baseline"),
        generation=generation if isinstance(generation, Sample) else sample(generation, name="generation"),
        permutations=permutations,
        seed=seed,
        label_rule=label_rule(labels),
        **details,
    )


def readings(probe: Probe, comparison: Pair) -> dict[str, Reading]:
    """What the probe says of each of its statistics."""
    return dict(zip((gate.statistic for gate in probe.gates), probe(comparison), strict=True))


def estimate(probe: Probe, comparison: Pair, statistic: str | None = None) -> Estimate:
    """One estimate of a probe: the one named, or the first; fails the test if it was not measured."""
    found = readings(probe, comparison)[statistic or probe.gates[0].statistic]
    assert isinstance(found, Estimate), found
    return found


def estimates(probe: Probe, comparison: Pair) -> dict[str, Estimate]:
    """All estimates of a probe by statistic; fails the test if any was not measured."""
    found = readings(probe, comparison)
    assert all(isinstance(reading, Estimate) for reading in found.values()), found
    return {name: reading for name, reading in found.items() if isinstance(reading, Estimate)}


def reason(probe: Probe, comparison: Pair, statistic: str | None = None) -> str:
    """Why a statistic was not measured; fails the test if it was."""
    found = readings(probe, comparison)[statistic or probe.gates[0].statistic]
    assert isinstance(found, NotMeasured), found
    return found.reason


def words(count: int, prefix: str = "w") -> list[str]:
    """``count`` different words."""
    return [f"{prefix}{number}" for number in range(count)]


def spell(rows: Iterable[Iterable[int]], prefix: str = "w") -> list[str]:
    """Texts out of rows of word numbers."""
    return [" ".join(f"{prefix}{number}" for number in row) for row in rows]
