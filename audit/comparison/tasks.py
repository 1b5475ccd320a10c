"""Two lineages whose models answered the same tasks: which one lost more, with the tasks' documents as the units.

What a model lost on a document is what ``task-score`` counts: points of a metric, or nats of its surprise at people's
text. A document's loss in A and its loss in B are a pair, so each is its own control. Under "on every document the two
lineages lost alike" they may swap, which flips the sign of their difference: the p-value is exact for that. Bounds are
those of ``task-score``, a paired bootstrap over documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collapse_audit.probes.models.task_columns import ENOUGH, Column, columns_of
from collapse_audit.probes.models.task_likeness import incomparable, other_questions
from collapse_audit.probes.models.task_results import Evaluated, not_evaluated
from collapse_audit.probes.statistics.estimates import permutation_p
from collapse_audit.probes.statistics.paired import bounds, flipped


@dataclass(frozen=True, slots=True, kw_only=True)
class LostMore:
    """By how much more A lost than B, in one metric of one task."""

    statistic: str
    """The gate whose margin holds."""
    name: str
    """The task and its metric."""
    lost_a: float
    lost_b: float
    difference: float
    """``lost_a - lost_b``."""
    low: float
    """One-sided 95% bounds of ``difference``; infinite where there are none to be had."""
    high: float
    p_value: float
    """Two-sided, over flips of the documents' signs."""
    documents: int
    bounded: bool
    """Whether the bounds may show that a difference of the margin is not there: not where few long texts carry it."""


def lost_more(
    a: Evaluated | None, b: Evaluated | None, *, permutations: int, rng: np.random.Generator
) -> tuple[LostMore, ...] | str:
    """Every metric that both lineages pair, of models that were evaluated; else why nothing is compared, in words."""
    for name, evaluated in (("A", a), ("B", b)):
        if (why := not_evaluated(evaluated)) is not None:
            return f"{name}: {why.reason}"
    (before_a, after_a), (before_b, after_b) = a or (None, None), b or (None, None)
    if before_a is None or after_a is None or before_b is None or after_b is None:
        raise ValueError("evaluated, and nothing there")
    for name, before, after in (("A", before_a, after_a), ("B", before_b, after_b)):
        if differs := incomparable(before, after):
            return f"{name}: {differs}"
    if differs := other_questions(after_a, after_b):
        return f"A and B: {differs}"
    theirs = {column.name: column for column in columns_of(before_b, after_b)}
    mine = [column for column in columns_of(before_a, after_a) if _paired(column, theirs.get(column.name))]
    return tuple(_lost_more(column, theirs[column.name], permutations, rng) for column in mine)


def _paired(a: Column, b: Column | None) -> bool:
    """Whether B has the metric, too, of the same documents, and one of the two had something to lose."""
    return b is not None and a.units == b.units and (a.able or b.able)


def _lost_more(a: Column, b: Column, permutations: int, rng: np.random.Generator) -> LostMore:
    both = a.beyond(b.damage)
    low, high = bounds(both, rng=rng)
    # A document that was not seen may differ by a point in A and by one the other way in B.
    low, high = min(low, both.value - 2 * both.floor), max(high, both.value + 2 * both.floor)
    sums = np.abs(flipped(both.change[:, None], permutations, rng)[:, 0])
    task, _, _ = a.name.partition(" / ")
    return LostMore(
        statistic=a.statistic,
        name=a.name if a.points else task,
        lost_a=a.lost.value,
        lost_b=b.lost.value,
        difference=both.value,
        low=low,
        high=high,
        p_value=permutation_p(sums, worse="higher"),
        documents=a.damage.size,
        bounded=a.points or both.equal_units >= ENOUGH,
    )
