"""Whether a model does the thyroid task: reads the description, and writes a conclusion that follows from it.

Held-out prompts only. The grammar says what each description describes, so that every answer can be marked.

=============  ======================================================================================================
side           of the conclusions of a report with a single nodule in one lobe that name a side: named is that one only
labels         of the conclusions that name EU-TIRADS categories: they are those of the report's nodules
descriptions   of all conclusions: it holds a word that the grammar writes in descriptions and never in a conclusion
=============  ======================================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.paper_measured import Measured, markdown, people_of, rows_of, spread
from collapse_audit.probes.text.eu_tirads import eu_tirads
from collapse_audit.probes.text.sample import Sample

_SIDES: Mapping[str, re.Pattern[str]] = {
    "one_right": re.compile(r"\b(?:с?прав)", re.IGNORECASE),
    "one_left": re.compile(r"\b(?:с?лев)", re.IGNORECASE),
}
_LETTERS = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Task:
    """Shares in percent; NaN where there is nothing to take a share of."""

    side: float
    labels: float
    descriptions: float


def mark(answers: Sequence[str], cases: Sequence[Mapping[str, Any]], words: Mapping[str, Any]) -> Task:
    """Mark each answer by the case that its prompt describes; ``words``: all that a conclusion of the grammar may hold
    (``expected_counts`` of ``truth.json``)."""
    described = _only_in_descriptions([str(case["prompt"]) for case in cases], words)
    sides, labels, descriptions = [], [], []
    for answer, case in zip(answers, cases, strict=True):
        named = {extent for extent, pattern in _SIDES.items() if pattern.search(answer)}
        if case["extent"] in _SIDES and named:
            sides.append(named == {case["extent"]})
        categories = [label for label in eu_tirads(answer) if label[-1].isdigit()]
        if categories:
            expected = {f"EU-TIRADS {category}" for category in case["categories"] or [1]}
            labels.append(set(categories) == expected)
        descriptions.append(not described.isdisjoint(_words(answer)))
    return Task(side=_percent(sides), labels=_percent(labels), descriptions=_percent(descriptions))


def _only_in_descriptions(prompts: Sequence[str], words: Mapping[str, Any]) -> set[str]:
    return set().union(*map(_words, prompts)) - set().union(*map(_words, words))


def _words(text: str) -> set[str]:
    """Words of three letters or more, in lower case: signs and numbers stand in both parts of a report."""
    return set(_LETTERS.findall(text.lower()))


def _percent(marks: Sequence[bool]) -> float:
    return 100 * float(np.mean(marks)) if marks else float("nan")


def task_table(runs: Sequence[Measured]) -> str:
    """Side, labels and descriptions by generation; people's own conclusions in the first row."""
    runs = [run for run in runs if run.cases and "expected_counts" in run.truth]
    marks: dict[int, Task] = {}

    def marked(run: Measured, sample: Sample) -> Task:
        if id(sample) not in marks:
            assert sample.prompts is not None
            cases = [run.cases[prompt] for prompt in sample.prompts.to_pylist()]
            marks[id(sample)] = mark(sample.texts.to_pylist(), cases, run.truth["expected_counts"])
        return marks[id(sample)]

    def ours(run: Measured, k: int) -> Sequence[str]:
        tasks = [marked(run, sample) for sample in run.samples[k].values()]
        return tuple(spread([getattr(task, name) for task in tasks], 1) for name in Task.__slots__)

    def people(sample: Sample) -> Sequence[str]:
        run = next(run for run in runs if run.human is not None and run.human.digest == sample.digest)
        task = marked(run, sample)
        return tuple(f"{getattr(task, name):.1f}" for name in Task.__slots__)

    header = ("side right, %", "labels right, %", "descriptions, %", "n", "seeds")
    return markdown(("lineage", "model", *header), [*people_of(runs, people), *rows_of(runs, ours)])
