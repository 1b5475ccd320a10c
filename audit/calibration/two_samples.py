"""One comparison of two lists of texts in memory: for calibration, notebooks and tests. The same path as an audit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collapse_audit.lineages.corpora.readers.columns import to_batch
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate, Gate, Reading
from collapse_audit.probes.text.labels import LabelRule, label_rule
from collapse_audit.probes.text.sample import Sample, read_sample
from collapse_audit.probes.text.tokens import WORDS, Tokenizer
from collapse_audit.probes.types import Probe
from collapse_audit.settings.config import AuditConfig
from collapse_audit.verdicts.family import judge_family
from collapse_audit.verdicts.rule import Judgement

_TYPES = {
    "text": pa.string(),
    "prompt": pa.string(),
    "labels": pa.list_(pa.string()),
    "group": pa.string(),
    "nll": pa.float64(),
    "n_tokens": pa.int64(),
}


def sample_of(
    texts: Sequence[str],
    *,
    labels: Sequence[Sequence[str]] | None = None,
    nll: Sequence[float] | None = None,
    n_tokens: Sequence[int] | None = None,
    prompts: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    name: str = "memory",
    tokenizer: Tokenizer = WORDS,
) -> Sample:
    """A sample of N texts and, where given, N labels (lists of strings), likelihoods, prompts and groups."""
    columns = {"text": texts, "prompt": prompts, "labels": labels, "group": groups, "nll": nll, "n_tokens": n_tokens}
    arrays = [
        pa.nulls(len(texts), kind) if columns[key] is None else pa.array(columns[key], kind)
        for key, kind in _TYPES.items()
    ]
    digest = hashlib.sha256(name.encode())
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    batch = pa.RecordBatch.from_arrays(arrays, names=list(_TYPES))
    return read_sample([batch], name=name, digest=digest.hexdigest(), tokenizer=tokenizer, max_documents=0, seed=0)


def numbers_of(numbers: npt.ArrayLike, *, name: str = "memory") -> Sample:
    """A sample of N records of a number each, shape (N,), or of W, shape (N, W)."""
    rows = np.asarray(numbers, dtype=np.float64)
    batch = to_batch([{"numeric": row} for row in rows.tolist()])
    digest = hashlib.sha256(name.encode() + rows.astype("<f8").tobytes()).hexdigest()
    return read_sample([batch], name=name, digest=digest, tokenizer=WORDS, max_documents=0, seed=0)


def trial(
    baseline: Sample,
    generation: Sample,
    *,
    probes: Iterable[Probe] = BUILTIN,
    config: AuditConfig | None = None,
    labels: LabelRule | None = None,
    trained_on_baseline: bool = False,
    training: Sample | None = None,
) -> dict[tuple[str, str], tuple[Reading, Judgement | None]]:
    """Measure and judge one pair as a family of its own: (probe, statistic) to (reading, judgement).

    The judgement is None where there was nothing to measure. ``labels`` defaults to the records' own field;
    ``training`` is what the generation was trained on, where it is known.
    """
    config = config or AuditConfig()
    if labels is None and baseline.label_field is not None:
        labels = label_rule("field")
    pair = Pair(
        baseline=baseline,
        generation=generation,
        permutations=config.permutations,
        seed=config.seed,
        label_rule=labels,
        trained_on_baseline=trained_on_baseline,
        training=training,
        others=(baseline,),
        evidence="none",
        unit=config.unit,
    )
    readings: dict[tuple[str, str], Reading] = {}
    gates: dict[tuple[str, str], Gate] = {}
    for probe in probes:
        for gate, reading in zip(probe.gates, probe(pair), strict=True):
            readings[probe.name, gate.statistic] = reading
            gates[probe.name, gate.statistic] = config.gate(probe, gate)
    estimates = {key: measured for key, measured in readings.items() if isinstance(measured, Estimate)}
    judged = judge_family(estimates, gates, alpha=config.alpha)
    return {key: (reading, judged.get(key)) for key, reading in readings.items()}
