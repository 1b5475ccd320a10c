"""Which of two models lost more of the tasks that both were evaluated on: enumeration and hand-made sums as oracles."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.comparison.claims import Held
from collapse_audit.comparison.compare import compare
from collapse_audit.comparison.contrast import Contrasted
from collapse_audit.comparison.tasks import LostMore, lost_more
from collapse_audit.comparison.text import contrast_text
from collapse_audit.probes.models.task_columns import ENOUGH
from collapse_audit.probes.models.task_results import TaskResults
from tests.evaluation.lm_eval_files import lineage as lineage_on_disk
from tests.evaluation.lm_eval_files import losses
from tests.evaluation.scored_tasks import evaluated, task

Both = tuple[TaskResults, TaskResults]


def lineage(before: Sequence[float], after: Sequence[float], words: Sequence[float] | None = None, **more: Any) -> Both:
    """A model before and after, on a task with points, or with ``words`` on one that measures surprise."""
    if words is None:
        return evaluated(task(before, **more)), evaluated(task(after, **more))
    return evaluated(task(loss=(before, words), **more)), evaluated(task(loss=(after, words), **more))


def compared(a: Both, b: Both, *, permutations: int = 4095) -> tuple[LostMore, ...]:
    found = lost_more(a, b, permutations=permutations, rng=np.random.default_rng(0))
    assert not isinstance(found, str), found
    return found


def refused(a: Any, b: Any) -> str:
    found = lost_more(a, b, permutations=99, rng=np.random.default_rng(0))
    assert isinstance(found, str)
    return found


def test_the_difference_is_that_of_the_two_losses_in_nats_per_word() -> None:
    """A: (10 + 4) / 40 = 0.35 nats a word more; B: (2 + 2) / 40 = 0.1; A less B: 0.25."""
    words = [19.0, 5.0, *[2.0] * 8]
    still = [-1.0] * 8
    (one,) = compared(
        lineage([-30.0, -9.0, *still], [-40.0, -13.0, *still], words),
        lineage([-31.0, -9.0, *still], [-33.0, -11.0, *still], words),
    )
    assert (one.statistic, one.name, one.documents) == ("loss", "quiz", 10)
    assert [one.lost_a, one.lost_b, one.difference] == pytest.approx([0.35, 0.1, 0.25])


def test_points_are_lost_where_the_score_falls() -> None:
    """A falls from 8 to 4 of 10, B from 8 to 7: A lost 0.4, B 0.1."""
    right = [1.0] * 8 + [0.0] * 2
    (one,) = compared(lineage(right, [1.0] * 4 + [0.0] * 6), lineage(right, [1.0] * 7 + [0.0] * 3))
    assert (one.statistic, one.name) == ("drop", "quiz / acc")
    assert [one.lost_a, one.lost_b, one.difference] == pytest.approx([0.4, 0.1, 0.3])


def test_few_documents_are_tested_with_every_swap_of_the_two() -> None:
    draw = np.random.default_rng(5)
    before, a, b = -draw.uniform(20, 30, size=(3, 9))
    words = draw.integers(5, 20, size=9).astype(float)
    (one,) = compared(lineage(before, a, words), lineage(before, b, words))
    lost_a, lost_b = before - a, before - b
    swapped = [
        abs(sum(x - y if keep else y - x for keep, x, y in zip(kept, lost_a, lost_b, strict=True)))
        for kept in itertools.product((True, False), repeat=9)
    ]
    observed = abs((lost_a - lost_b).sum())
    assert one.p_value == pytest.approx(np.mean(np.array(swapped) >= observed - 1e-9), abs=1e-15)


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 1.0])] * 4), min_size=12, max_size=40).filter(any))
def test_the_other_way_round_the_difference_changes_its_sign_and_the_p_value_stays(
    rows: list[tuple[float, ...]],
) -> None:
    before_a, after_a, before_b, after_b = (list(column) for column in zip(*rows, strict=True))
    a, b = lineage(before_a, after_a), lineage(before_b, after_b)
    if sum(before_a) == 0 == sum(before_b) or before_a == after_a or before_b == after_b:
        return  # nothing to lose, or one model evaluated twice
    (one,), (other,) = compared(a, b), compared(b, a)
    assert one.difference == pytest.approx(-other.difference)
    assert one.p_value == pytest.approx(other.p_value)
    assert one.low <= one.difference <= one.high


def test_a_true_difference_lies_within_the_bounds_about_as_often_as_they_say() -> None:
    """A loses 0.3 nats of each word more than B, give or take: 400 texts, 200 trials; each bound is missed in 5%."""
    draw = np.random.default_rng(11)
    missed = np.zeros(2)
    trials = 200
    for _ in range(trials):
        words = draw.integers(20, 60, size=400).astype(float)
        before = -4.0 * words
        a = before - words * draw.normal(0.5, 0.4, size=400)
        b = before - words * draw.normal(0.2, 0.4, size=400)
        (one,) = compared(lineage(before, a, words), lineage(before, b, words), permutations=19)
        missed += [one.low > 0.3, one.high < 0.3]
    assert (missed / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)).all(), missed
    assert (missed > 0).all()


def test_two_that_lost_alike_differ_by_nothing_and_p_is_one() -> None:
    right = [1.0, 0.0] * 10
    lost = [1.0, 0.0, *[0.0] * 18]
    (one,) = compared(lineage(right, lost), lineage(right, lost))
    assert (one.difference, one.p_value) == (0.0, 1.0)
    # None of 20 documents differs, so three may (log(20) / 20 of them), by a point in each of the two lineages.
    assert [one.low, one.high] == pytest.approx([-2 * np.log(20) / 20, 2 * np.log(20) / 20])


def test_few_long_texts_show_no_bound() -> None:
    words = [1000.0, *[10.0] * (2 * ENOUGH)]
    even = [10.0] * ENOUGH
    draw = np.random.default_rng(2)

    def pair(counts: list[float]) -> Both:
        before = -3 * np.array(counts)
        return lineage(before, before - draw.uniform(0, 9, size=before.size), counts)

    assert not compared(pair(words), pair(words), permutations=19)[0].bounded
    assert compared(pair(even), pair(even), permutations=19)[0].bounded


def test_a_metric_that_neither_could_lose_is_left_out() -> None:
    poor = [1.0, *[0.0] * 39]
    worse = [0.0] * 40
    assert compared(lineage(poor, worse), lineage(poor, worse)) == ()


def test_what_cannot_be_compared_says_why() -> None:
    right, fallen = [1.0] * 12, [0.0] * 12
    whole = lineage(right, fallen)
    assert (
        refused(whole, None) == "B: scores are compared with those of an earlier generation, and the baseline is none"
    )
    assert refused((whole[0], None), whole).startswith("A: the generation has no lm-eval results")
    other = lineage(right, fallen, hashes=tuple(f"other{i}" for i in range(12)))
    assert refused(whole, other) == (
        "A and B: quiz: 12 of 12 documents, prompts or targets are not the same on both sides"
    )
    newer = lineage(right, fallen, version="2.0")
    assert refused(whole, newer) == "A and B: quiz was evaluated in version 1.0 and in version 2.0"
    assert refused(whole, lineage(right, fallen, name="essay")) == "A and B: they were evaluated on no task in common"
    assert refused(whole, lineage(right[:9], fallen[:9])) == (
        "A and B: quiz was evaluated on 12 and on 9 documents (--limit)"
    )


def test_two_lineages_on_disk_are_compared_by_their_models_where_they_share_no_prompts(tmp_path: Path) -> None:
    words = [20.0] * (ENOUGH + 40)
    before = np.random.default_rng(1).normal(-80, 5, size=len(words))
    folders = {}
    for name, lost, kinds in (("a", 8.0, 3), ("b", 2.0, 2)):  # 8 and 0, 1 or 2 nats more; 2 and 0 or 1
        after = before - lost - np.arange(len(words)) % kinds
        rows = [losses("books", levels, words) for levels in (before, after)]
        folders[name] = lineage_on_disk(tmp_path / name, [{"books": each} for each in rows])
    with (folders["b"] / "gen_1" / "texts.txt").open("a") as texts:
        texts.write("one text more, so that the two are not the same\n")
    found = compare(folders["a"], folders["b"])
    assert isinstance(found, Contrasted)
    (one,) = [each for each in found.documents if each.units == "documents of tasks"]
    assert (one.name, one.n, one.outcome) == ("task-score / loss (books)", len(words), Held.B)
    assert one.difference == pytest.approx(((8 + 1) - (2 + 0.5)) / 20)
    assert one.p_adjusted == pytest.approx(1 / 1000)  # of 999 swaps none is as far out
    said = contrast_text(found, width=100, color=False)
    assert "THESE MODELS: generation 1" in said
    assert "B changed less in task-score / loss (books)" in said
