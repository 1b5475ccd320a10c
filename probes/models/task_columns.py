"""What each document of a task lost, a metric a column; tasks of a group are one column, as the harness pools them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from collapse_audit.probes.models.task_results import Scores, TaskResult, TaskResults
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.paired import Differences, differences

DROP = 0.05
"""Points: a baseline that scores less has nothing to lose."""
ENOUGH = 200
"""Texts that count alike (``Differences.equal_units``) from which on a loss has an upper bound: below, the bootstrap's
is missed far more often than it says where few long or much damaged texts carry the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One metric of one task, or of a group of tasks: what each of n documents lost."""

    name: str
    units: tuple[str, ...]
    """What each document is flipped and resampled with."""
    damage: FloatArray
    """Shape (n,): positive where the generation is worse; times its weight, where there are weights."""
    weights: FloatArray | None
    """Shape (n,): words of a text, or how much a document counts where tasks of a group count alike; None: alike."""
    baseline: float
    """The baseline's score, or its loss."""
    sign: float
    """1 where more is worse."""
    points: bool
    parts: tuple[Column, ...] = ()
    """Of a group: its tasks."""

    @property
    def statistic(self) -> str:
        """The gate of ``task-score`` that judges it."""
        return "drop" if self.points else "loss"

    @property
    def able(self) -> bool:
        """Whether there is anything to lose: a task that the baseline cannot do loses nothing."""
        reached = self.baseline if self.sign < 0 else 1 - self.baseline
        return not self.points or reached >= DROP

    @property
    def lost(self) -> Differences:
        """What every unit lost, documents of a unit together."""
        return self.beyond(np.zeros_like(self.damage))

    def beyond(self, other: FloatArray) -> Differences:
        """What every unit lost more than ``other``, which another generation lost of the same documents; shape (n,)."""
        units = np.unique(np.array(self.units), return_inverse=True)[1]
        return differences(other, self.damage, weights=self.weights, group=units, share=self.points)


def columns_of(before: TaskResults, after: TaskResults) -> list[Column]:
    """Every metric that both sides pair: of a group where the harness prints the group's, else of the task."""
    alone = dict(_columns(before, after))
    pooled = []
    for group in before.groups:
        parts = [column for task in group.tasks if (column := alone.get((task, group.metric))) is not None]
        if len(parts) > 1:
            pooled.append(_pooled(f"{group.name} / {group.metric}", parts, by_size=group.by_size))
            for task in group.tasks:
                alone.pop((task, group.metric), None)
    return [*pooled, *alone.values()]


def _columns(before: TaskResults, after: TaskResults) -> Iterator[tuple[tuple[str, str], Column]]:
    for task_name, task in before.tasks.items():
        other = after.tasks[task_name]
        theirs = {scores.name: scores for scores in other.scores}
        for scores in task.scores:  # both sides have it, or nothing is compared
            yield (task_name, scores.name), _column(task, scores, theirs[scores.name])
        if task.loss is not None and other.loss is not None:
            yield (task_name, task.loss.name), _column(task, task.loss, other.loss)


def _column(task: TaskResult, before: Scores, after: Scores) -> Column:
    points = before.weights is None
    sign = -1.0 if points and before.higher_is_better else 1.0
    first, second = (before.values, after.values) if points else (-before.values, -after.values)
    total = first.size if before.weights is None else before.weights.sum()
    return Column(
        name=f"{task.name} / {before.name}",
        units=task.units,
        damage=sign * (second - first),
        weights=before.weights,
        baseline=float(first.sum() / total),
        sign=sign,
        points=points,
    )


def _pooled(name: str, parts: Sequence[Column], *, by_size: bool) -> Column:
    """The tasks of a group as one: every document counts alike, or (mean over tasks) every task does.

    The weight of a document of task t of T is then n / (T n_t), n documents in all, so that weights average 1.
    """
    sizes = np.array([part.damage.size for part in parts], dtype=np.float64)
    each = np.ones(len(parts)) if by_size else sizes.sum() / (len(parts) * sizes)
    weights = np.repeat(each, sizes.astype(np.int64))
    damage = np.concatenate([part.damage for part in parts])
    share = sizes * each / sizes.sum()
    return Column(
        name=name,
        units=tuple(unit for part in parts for unit in _own_units(part)),
        damage=damage * weights,
        weights=None if by_size else weights,
        baseline=float(share @ [part.baseline for part in parts]),
        sign=parts[0].sign,
        points=True,
        parts=tuple(parts),
    )


def _own_units(part: Column) -> list[str]:
    """A document without a patient or record is its task's own: the fifth of one task is not the fifth of another."""
    return [f"{part.name} {unit}" if unit.startswith("document ") else unit for unit in part.units]
