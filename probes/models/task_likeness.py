"""Whether two evaluations asked the same questions in the same way, so that their scores may be set side by side."""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.models.task_results import ONE_MODEL, TaskResult, TaskResults


def incomparable(before: TaskResults, after: TaskResults) -> str:
    """What makes two evaluations different ones, in words; empty where nothing does."""
    for here, there, side in ((before, after, "generation"), (after, before, "baseline")):
        alone = sorted(here.tasks.keys() - there.tasks.keys())
        if alone:
            return f"the task {', '.join(alone)} was not evaluated on the {side}; evaluate both alike"
    doubt = before.doubt or after.doubt
    if doubt:
        return doubt
    return next(filter(None, (_differs(task, after.tasks[name]) for name, task in before.tasks.items())), "")


def other_questions(first: TaskResults, second: TaskResults) -> str:
    """Why the tasks of both did not ask the same questions, in words; empty where they did. Models may differ."""
    shared = [(task, second.tasks[name]) for name, task in first.tasks.items() if name in second.tasks]
    if not shared:
        return "they were evaluated on no task in common"
    return next(filter(None, (_other_version(*both) or _other_questions(*both) for both in shared)), "")


def _differs(before: TaskResult, after: TaskResult) -> str:
    name = before.name
    if version := _other_version(before, after):
        return version
    for what in sorted(before.settings.keys() & after.settings.keys()):
        old, new = before.settings[what], after.settings[what]
        if old != new:
            return f"{name}: the {what} differ ({old} and {new}); evaluate both alike"
    if bool(before.adapter) != bool(after.adapter) and before.pretrained == after.pretrained:
        side = "generation" if before.adapter else "baseline"
        return (
            f"{name}: the {side} was evaluated without an adapter (pretrained={after.pretrained}), the other side with "
            f"peft={before.adapter or after.adapter}; evaluate both alike"
        )
    missing = before.missing or after.missing
    if missing:
        return missing
    if questions := _other_questions(before, after):
        return questions
    if before.answers is not None and before.answers == after.answers:
        return f"{name}: every answer is the same to the last digit: {ONE_MODEL}"
    return _one_sided(before, after)


def _other_version(first: TaskResult, second: TaskResult) -> str:
    if first.version == second.version:
        return ""
    return f"{first.name} was evaluated in version {first.version} and in version {second.version}"


def _other_questions(first: TaskResult, second: TaskResult) -> str:
    name = first.name
    if first.documents.size != second.documents.size:
        return f"{name} was evaluated on {first.documents.size} and on {second.documents.size} documents (--limit)"
    if not np.array_equal(first.documents, second.documents):
        return f"{name} was evaluated on different documents"
    changed = sum(old != new for old, new in zip(first.hashes, second.hashes, strict=True))
    if changed:
        return f"{name}: {changed} of {len(first.hashes)} documents, prompts or targets are not the same on both sides"
    return ""


def _one_sided(before: TaskResult, after: TaskResult) -> str:
    """A metric that one side pairs and the other cannot, in words."""
    for here, there, side in ((before, after, "generation"), (after, before, "baseline")):
        for metric in sorted(_paired(here) - _paired(there)):
            why = there.unpaired.get(_printed(metric), "it is not there")
            return f"{here.name} / {metric} of the {side} cannot be paired: {why}"
    return ""


def _paired(task: TaskResult) -> set[str]:
    return {scores.name for scores in (*task.scores, *(() if task.loss is None else (task.loss,)))}


def _printed(metric: str) -> str:
    """A metric as lm-eval prints it: the loss is the logarithm of one."""
    return "word_perplexity" if metric == "nats per word" else metric
