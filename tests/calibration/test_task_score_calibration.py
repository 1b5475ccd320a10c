"""The task-score probe: how often a model that lost nothing is called collapsed, and one that lost a task is found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.verdicts.rule import judge
from tests.calibration.conftest import at_least, at_most
from tests.evaluation.scored_tasks import GATES, compared, evaluated, task

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]


def judged(n: int, tasks: int, lost: float, repeat: int) -> tuple[str, float]:
    """Outcome and p of ``tasks`` tasks of n questions, 75% answered at first; each model also flips 4% at random.

    Of the first task, ``lost`` more of all answers go from right to wrong.
    """
    rng = np.random.default_rng([91, n, tasks, repeat])
    before, after = [], []
    for number in range(tasks):
        right = (rng.random(n) < 0.75).astype(np.float64)
        chance, down = rng.random(n), 0.04 + (lost if number == 0 else 0.0)
        changed = np.where(right == 1, chance >= down / 0.75, chance < 0.04 / 0.25).astype(np.float64)
        before.append(task(right.tolist(), name=f"task {number}"))
        after.append(task(changed.tolist(), name=f"task {number}"))
    found = compared(evaluated(*before), evaluated(*after), permutations=499)["drop"]
    assert isinstance(found, Estimate)
    assert found.p_value is not None
    return judge(found, GATES["drop"], p_adjusted=found.p_value, alpha=0.05).outcome.value, found.p_value


@pytest.mark.parametrize(("n", "tasks"), [(200, 1), (200, 4)])
def test_a_model_that_lost_nothing_is_seldom_significant_and_hardly_ever_called_collapsed(
    repeats: Repeats, n: int, tasks: int
) -> None:
    count = repeats(600)
    found = [judged(n, tasks, 0.0, repeat) for repeat in range(count)]
    assert sum(p <= 0.05 for _, p in found) <= at_most(count, 0.05)
    assert sum(outcome == "fail" for outcome, _ in found) <= at_most(count, 0.01)


def test_a_drop_of_just_the_margin_fails_or_passes_at_most_as_often_as_its_bounds_are_missed(repeats: Repeats) -> None:
    count = repeats(400)
    found = [judged(400, 1, 0.05, repeat)[0] for repeat in range(count)]
    for outcome in ("fail", "pass"):
        assert found.count(outcome) <= at_most(count, 0.07)


def test_one_lost_task_of_three_is_found(repeats: Repeats) -> None:
    count = repeats(200)
    found = [judged(400, 3, 0.15, repeat)[0] for repeat in range(count)]
    assert found.count("fail") >= at_least(count, 0.95)
