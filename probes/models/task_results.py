"""What an evaluation harness measured on one model: scores of the same documents, task by task. Data, no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from collapse_audit.probes.statistics.design import FloatArray, IntArray
from collapse_audit.probes.statistics.readings import NotMeasured


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One metric, one value a document of the task, in the order of the documents."""

    name: str
    """As lm-eval calls it, with the filter where there is one: ``exact_match (strict-match)``."""
    values: FloatArray
    """Shape (n,): points in [0, 1]; for a loss, the log-likelihood of the whole document in nats."""
    weights: FloatArray | None = None
    """Shape (n,): words of each document, for a loss; None for points."""
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """One task on one model: n documents in the order of their numbers."""

    name: str
    version: str
    settings: Mapping[str, str]
    """What else decides the numbers, as text: few-shot examples, generation settings, filters, and as far as the
    results say them: base models, number formats, quantizations."""
    values: Mapping[str, float]
    """Every aggregated number as the harness printed it."""
    documents: IntArray
    """Shape (n,): the harness's ``doc_id``, increasing."""
    hashes: tuple[str, ...] = ()
    """Of each document's content, its prompt and its target: equal where the question is the same. Length n."""
    units: tuple[str, ...] = ()
    """What each document is resampled with: its group, its record, or itself. Length n."""
    scores: tuple[Scores, ...] = ()
    loss: Scores | None = None
    unpaired: Mapping[str, str] = field(default_factory=dict)
    """Metrics of the samples that cannot be paired by document, each with the reason."""
    answers: str | None = None
    """Digest of every log-likelihood, or of every generated answer: no two models share it. None where they may."""
    pretrained: str = ""
    """The model that lm-eval was told to load; empty where the results do not say."""
    adapter: str = ""
    """The adapter that lm-eval was told to load on it; empty where there was none, or the results do not say."""
    missing: str = ""
    """Why there is nothing to pair, if so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGroup:
    """Tasks of which a harness prints one number: MMLU's subjects."""

    name: str
    key: str
    """The metric and its filter, as lm-eval joins them: ``acc,none``."""
    tasks: tuple[str, ...]
    """At least two."""
    by_size: bool
    """Whether every document counts alike; else every task does."""

    @property
    def metric(self) -> str:
        """As :class:`Scores` calls it."""
        name, _, chosen = self.key.partition(",")
        return name if chosen == "none" else f"{name} ({chosen})"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResults:
    """Everything that was measured on one model."""

    where: str
    """The file, as a user would name it."""
    tasks: Mapping[str, TaskResult]
    doubt: str = ""
    """Why these may not be of this generation's model; empty where nothing says so."""
    harness: str = ""
    """Its version."""
    groups: tuple[TaskGroup, ...] = ()
    """Each pair of a task and a metric in at most one."""


ONE_MODEL = "one model, or one use_cache, evaluated twice"

Evaluated = tuple[TaskResults | None, TaskResults | None]
"""What was measured on the baseline's model and on the generation's."""


def not_evaluated(tasks: Evaluated | None) -> NotMeasured | None:
    """What to say where a side, or both, were not evaluated. ``tasks`` is None where the baseline is no generation."""
    if tasks is None:
        return NotMeasured(reason="scores are compared with those of an earlier generation, and the baseline is none")
    if None not in tasks:
        return None
    if tasks == (None, None):
        return NotMeasured(reason="no lm-eval results (collapse-lineage evaluate makes them)")
    side = "baseline" if tasks[0] is None else "generation"
    reason = f"the {side} has no lm-eval results, and the other side has: evaluate both, or neither"
    return NotMeasured(reason=reason, neutral=False)
