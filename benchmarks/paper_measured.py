"""The lineages that stand for the two papers, measured once for all tables of docs/papers.md; how a table is written.

Everything is measured on held-out samples, which nothing was trained on. A cell is the mean over the seeds that are
there and, of several, the least and the greatest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit import audit, load_lineage
from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.files.opening import open_bytes, read_some, split_packing
from collapse_audit.lineages.measured.lm_eval_results import read_results
from collapse_audit.probes.text.sample import Sample, read_sample
from collapse_audit.probes.text.tokens import WORDS
from collapse_audit.reports.document import AuditReport, Finding

TASKS = ("collapse_reference_perplexity", "collapse_answer_perplexity")
"""How well people's held-out text is predicted: by itself, or given the prompt that it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One lineage: its audit and its held-out samples."""

    name: str
    report: AuditReport | None
    """None where no generation is there yet."""
    samples: Mapping[int, Mapping[str, Sample]]
    """Generation to seed to held-out sample."""
    human: Sample | None
    """The held-out part of the reference."""
    truth: Mapping[str, Any]
    """``truth.json``; empty where there is none."""
    human_text: Mapping[int, Mapping[str, Mapping[str, float]]]
    """Generation to seed to how well its model predicts people's held-out text (lm-eval); of those evaluated."""
    cases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Prompt to the record of the held-out reference that it stands in, with all its keys."""

    def findings(self, generation: int, probe: str) -> list[Finding]:
        """What the probe measured in a generation after 0, against generation 0; one finding a seed and statistic."""
        findings = () if self.report is None else self.report.findings
        return [f for f in findings if f.value is not None and (f.generation, f.probe) == (generation, probe)]


def measure(folder: Path) -> Measured:
    """Read and audit one lineage. Raises UsageError for a generation without held-out texts, InputError."""
    lineage = load_lineage(folder, unfinished=True)
    samples: dict[int, dict[str, Sample]] = {}
    predicted: dict[int, dict[str, Mapping[str, float]]] = {}
    for entry in sorted(lineage.generations, key=lambda e: e.index):
        if entry.holdout is None:
            raise UsageError(f"{folder}: {entry.texts.shown} has no held-out texts beside it; the tables need them")
        samples.setdefault(entry.index, {})[entry.seed or "0"] = read_corpus(entry.holdout)
        evaluated = read_results(entry)
        found = next((evaluated.tasks[task] for task in TASKS if task in evaluated.tasks), None) if evaluated else None
        if found is not None:
            predicted.setdefault(entry.index, {})[entry.seed or "0"] = found.values
    truth = folder / "truth.json"
    return Measured(
        name=folder.name,
        report=audit(folder) if samples else None,
        samples=samples,
        human=None if lineage.reference_holdout is None else read_corpus(lineage.reference_holdout),
        truth=json.loads(truth.read_text("utf-8")) if truth.is_file() else {},
        human_text=predicted,
        cases={} if lineage.reference_holdout is None else _cases(lineage.reference_holdout),
    )


def _cases(corpus: Corpus) -> dict[str, Mapping[str, Any]]:
    packing = split_packing(corpus.path.name)[1]
    with open_bytes(corpus.path, packing=packing) as file:
        records = [json.loads(line) for line in read_some(file, -1, packing=packing).split(b"\n") if line]
    return {record["prompt"]: record for record in records if "prompt" in record}


def read_corpus(corpus: Corpus) -> Sample:
    """All its texts, in words."""
    about = {"name": corpus.shown, "digest": corpus.digest}
    return read_sample(corpus.batches(), **about, tokenizer=WORDS, max_documents=0, seed=0)


def spread(values: Sequence[float], digits: int) -> str:
    """The mean and, of several, the range: ``0.52 (0.48 to 0.57)``."""
    if not values:
        return "–"
    mean, low, high = (f"{value:.{digits}f}" for value in (float(np.mean(values)), min(values), max(values)))
    return mean if len(values) == 1 else f"{mean} ({low} to {high})"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table: the first column left, the others right."""
    lines = [header, [":--", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


Cells = Callable[[Measured, int], Sequence[str]]


def rows_of(runs: Sequence[Measured], cells: Cells, *, from_one: bool = True) -> list[list[str]]:
    """A row a generation: lineage, generation (counted from M1, or from 0), the cells, n, number of seeds."""
    rows = []
    for run in runs:
        for k, by_seed in run.samples.items():
            n = ", ".join(str(n) for n in sorted({len(sample) for sample in by_seed.values()}))
            rows.append([run.name, f"M{k + 1}" if from_one else str(k), *cells(run, k), n, str(len(by_seed))])
    return rows


def people_of(runs: Sequence[Measured], cells: Callable[[Sample], Sequence[str]]) -> list[list[str]]:
    """A row for the held-out reference (for each, if the lineages have different ones)."""
    samples = {run.human.digest: run.human for run in runs if run.human is not None}.values()
    return [["people, held out", "–", *cells(sample), str(len(sample)), "–"] for sample in samples]
