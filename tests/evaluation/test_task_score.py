"""CA601 against enumeration, McNemar's test and closed forms; what it leaves out, and what it refuses to compare."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scored_tasks import GATES, compared, evaluated, task

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.models.task_results import TaskGroup, TaskResults
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured
from collapse_audit.probes.task_score import task_score
from collapse_audit.verdicts.rule import judge


def estimate(before: TaskResults, after: TaskResults, statistic: str = "drop", **details: Any) -> Estimate:
    found = compared(before, after, **details)[statistic]
    assert isinstance(found, Estimate), found
    return found


def refused(before: TaskResults | None, after: TaskResults | None) -> NotMeasured:
    found = compared(before, after)
    assert all(isinstance(reading, NotMeasured) for reading in found.values())
    first = found["drop"]
    assert isinstance(first, NotMeasured)
    return first


RIGHT = np.repeat([1.0, 0.0], [70, 30])


def flipped(values: np.ndarray, places: Sequence[int]) -> list[float]:
    other = values.copy()
    other[list(places)] = 1 - other[list(places)]
    return [float(value) for value in other]


# One metric


def test_a_drop_is_a_difference_of_shares_with_mcnemars_exact_test() -> None:
    found = estimate(evaluated(task(RIGHT)), evaluated(task(flipped(RIGHT, [*range(9), 70, 71]))))
    assert found.value == pytest.approx(7 / 100)
    assert found.p_value == pytest.approx(stats.binom.cdf(2, 11, 0.5))
    assert (found.n_baseline, found.n_generation) == (100, 100)
    assert found.raw["baseline"] == pytest.approx(0.70)
    assert found.raw["generation"] == pytest.approx(0.63)


def test_a_metric_that_should_be_low_drops_when_it_rises() -> None:
    low, high = [0.1] * 40, [0.1] * 30 + [0.5] * 10
    found = estimate(evaluated(task(low, higher_is_better=False)), evaluated(task(high, higher_is_better=False)))
    assert found.value == pytest.approx(0.1)
    assert found.raw["generation"] == pytest.approx(found.raw["baseline"] + 0.1)


def test_a_loss_is_the_logarithm_of_the_ratio_of_word_perplexities() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(3, 40, size=50).astype(float)
    before, after = -words * rng.normal(2.0, 0.2, 50), -words * rng.normal(2.2, 0.2, 50)
    sides = evaluated(task(loss=(before, words))), evaluated(task(loss=(after, words)))
    found = estimate(*sides, "loss")
    ratio = math.exp(-after.sum() / words.sum()) / math.exp(-before.sum() / words.sum())
    assert found.value == pytest.approx(math.log(ratio))
    assert isinstance(compared(*sides)["drop"], NotMeasured)


@settings(max_examples=15)
@given(lost=st.integers(0, 20), won=st.integers(0, 20))
def test_exchanging_the_sides_turns_the_change_round(lost: int, won: int) -> None:
    places = [*range(lost), *range(70, 70 + won)]
    one = estimate(evaluated(task(RIGHT)), evaluated(task(flipped(RIGHT, places))), permutations=99)
    other = estimate(evaluated(task(flipped(RIGHT, places))), evaluated(task(RIGHT)), permutations=99)
    assert one.value == pytest.approx(-other.value) == pytest.approx((lost - won) / 100)


@settings(max_examples=15)
@given(lost=st.integers(0, 60))
def test_more_damage_never_helps(lost: int) -> None:
    less, more = (
        estimate(evaluated(task(RIGHT)), evaluated(task(flipped(RIGHT, range(k)))), permutations=199)
        for k in (lost, lost + 5)
    )
    assert less.value < more.value
    assert less.p_value is not None
    assert more.p_value is not None
    assert more.p_value <= less.p_value + 0.02


def test_a_lost_task_fails_and_a_kept_one_passes() -> None:
    kept = flipped(np.repeat([1.0, 0.0], [280, 120]), [0, 281])
    before = evaluated(task(np.repeat([1.0, 0.0], [280, 120])))
    found = estimate(before, evaluated(task(kept)))
    assert judge(found, GATES["drop"], p_adjusted=found.p_value, alpha=0.05).outcome.value == "pass"
    found = estimate(before, evaluated(task([*[0.0] * 80, *[1.0] * 200, *[0.0] * 120])))
    assert judge(found, GATES["drop"], p_adjusted=found.p_value, alpha=0.05).outcome.value == "fail"


# Several metrics


def test_of_several_metrics_the_worst_is_reported_and_all_flips_are_shared() -> None:
    """The largest standardised sum under every one of the 2^10 flips, by enumeration."""
    rng = np.random.default_rng(1)
    one, other = (rng.random(10) for _ in range(2))
    worse = {"acc": np.clip(one - 0.15, 0, 1), "f": np.clip(other + rng.normal(0, 0.2, 10), 0, 1)}
    found = estimate(evaluated(task({"acc": one, "f": other})), evaluated(task(worse)))
    damage = np.stack((one - worse["acc"], other - worse["f"]), axis=1)
    spread = np.sqrt((damage**2).sum(axis=0))
    largest = [(np.array(signs) @ damage / spread).max() for signs in itertools.product((1, -1), repeat=10)]
    assert found.p_value == pytest.approx(np.mean(np.array(largest) >= largest[0] - 1e-12))
    assert found.value == pytest.approx(damage.mean(axis=0).max())
    assert found.raw["worst"] == "quiz / acc"


def test_tasks_of_the_same_records_are_flipped_together_and_others_by_their_place() -> None:
    """Two copies of one task add nothing: the test is that of one."""
    after = flipped(RIGHT, range(8))
    alone = estimate(evaluated(task(RIGHT)), evaluated(task(after)))
    copies = [evaluated(*(task(values, name=name) for name in "ab")) for values in (RIGHT, after)]
    twice = estimate(*copies)
    assert twice.p_value == alone.p_value
    assert twice.low <= alone.low  # simultaneous: each at half the level
    assert twice.high >= alone.value


def test_pass_needs_every_metric_within_the_margin_and_fail_one_beyond() -> None:
    n = 1000
    base = np.repeat([1.0, 0.0], [700, 300])
    kept = task(flipped(base, [0, 701]), name="kept")
    lost = task([*[0.0] * 120, *base[120:]], name="lost")
    before = evaluated(task(base, name="kept"), task(base, name="lost"))
    found = estimate(before, evaluated(kept, lost), permutations=999)
    assert judge(found, GATES["drop"], p_adjusted=found.p_value, alpha=0.05).outcome.value == "fail"
    assert found.value == pytest.approx(120 / n)
    assert [item["metric"] for item in found.evidence] == ["kept / acc", "lost / acc"]


def test_a_patient_is_one_unit_whatever_the_number_of_his_documents() -> None:
    patients = [f"group {i // 10}" for i in range(100)]
    after = flipped(RIGHT, range(10))  # one patient lost
    found = estimate(evaluated(task(RIGHT, units=patients)), evaluated(task(after, units=patients)))
    assert found.p_value == pytest.approx(1 / 2)  # one patient's sign


# What is left out, and what is refused


def test_a_task_that_the_baseline_cannot_do_has_nothing_to_lose() -> None:
    hopeless = [task([1.0] * k + [0.0] * (100 - k), name="hard") for k in (2, 0)]
    found = compared(evaluated(hopeless[0]), evaluated(hopeless[1]))["drop"]
    assert isinstance(found, NotMeasured)
    assert not found.neutral
    assert "hard / acc: the baseline scores so little" in found.reason
    beside = estimate(evaluated(task(RIGHT), hopeless[0]), evaluated(task(flipped(RIGHT, [1])), hopeless[1]))
    assert beside.raw["worst"] == "quiz / acc"
    assert any("hard / acc" in note for note in beside.notes)


def test_without_results_it_is_not_measured_and_with_those_of_one_side_it_is_open() -> None:
    assert refused(None, None).neutral
    one = evaluated(task(RIGHT))
    for before, after, side in ((one, None, "generation"), (None, one, "baseline")):
        found = refused(before, after)
        assert not found.neutral
        assert f"the {side} has no lm-eval results" in found.reason


def test_without_a_generation_as_baseline_it_is_not_measured() -> None:
    texts = sample_of(["a b c"] * 3)
    for reading in task_score(Pair(baseline=texts, generation=texts, permutations=99, seed=0)):
        assert isinstance(reading, NotMeasured)
        assert reading.neutral
        assert "earlier generation" in reading.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": "2.0"}, "quiz was evaluated in version 1.0 and in version 2.0"),
        ({"settings": {"few-shot examples": "5"}}, "quiz: the few-shot examples differ (0 and 5)"),
        ({"missing": "no samples"}, "no samples"),
        ({"documents": np.arange(1, 101)}, "quiz was evaluated on different documents"),
        ({"hashes": ("x", *(f"quiz{i}" for i in range(1, 100)))}, "quiz: 1 of 100 documents, prompts or targets"),
    ],
)
def test_two_evaluations_that_differ_are_not_compared(changes: dict[str, Any], reason: str) -> None:
    before, after = task(RIGHT), dataclasses.replace(task(flipped(RIGHT, [3])), **changes)
    found = refused(evaluated(before), evaluated(after))
    assert reason in found.reason
    assert not found.neutral


def test_another_limit_another_task_set_and_another_number_format_are_named() -> None:
    before = evaluated(task(RIGHT))
    assert "100 and on 99 documents (--limit)" in refused(before, evaluated(task(RIGHT[:99]))).reason
    more = evaluated(task(RIGHT), task(RIGHT, name="extra"))
    assert "the task extra was not evaluated on the baseline" in refused(before, more).reason
    assert "the task extra was not evaluated on the generation" in refused(more, before).reason
    loaded = [evaluated(task(RIGHT, settings={"quantizations": one})) for one in ("nf4", "none")]
    assert "quiz: the quantizations differ (nf4 and none)" in refused(*loaded).reason


def test_the_same_likelihoods_to_the_last_digit_are_no_second_model() -> None:
    same = [evaluated(task(RIGHT, answers="sha256:0")) for _ in range(2)]
    found = refused(*same)
    assert "one model, or one use_cache" in found.reason
    assert not found.neutral


def test_what_only_one_side_says_of_the_loaded_model_is_no_difference() -> None:
    sides = evaluated(task(RIGHT, settings={"number formats": "float16"})), evaluated(task(flipped(RIGHT, [3])))
    assert estimate(*sides).value == pytest.approx(0.01)


def test_results_in_doubt_are_not_compared_whichever_side_they_are_of() -> None:
    for sides in ((True, False), (False, True)):
        found = refused(*(evaluated(task(RIGHT), doubt="they are of another" if one else "") for one in sides))
        assert found.reason == "they are of another"
        assert not found.neutral


def test_an_adapter_on_one_side_alone_is_not_compared_unless_the_other_model_is_another_one() -> None:
    base = task(RIGHT, pretrained="base")
    adapted = task(flipped(RIGHT, [3]), pretrained="base", adapter="gen_1/adapter")
    found = refused(evaluated(adapted), evaluated(base))
    assert "quiz: the generation was evaluated without an adapter (pretrained=base)" in found.reason
    assert not found.neutral
    assert "the baseline was evaluated without" in refused(evaluated(base), evaluated(adapted)).reason
    merged = task(RIGHT, pretrained="gen_0/merged")
    assert estimate(evaluated(merged), evaluated(adapted)).value == pytest.approx(0.01)


def test_a_metric_that_one_side_cannot_pair_is_named_though_others_could_be_judged() -> None:
    both = {"acc": RIGHT, "f": RIGHT}
    why = "99 of 100 documents have it"
    found = refused(evaluated(task(both)), evaluated(task(flipped(RIGHT, [3]), unpaired={"f": why})))
    assert found.reason == f"quiz / f of the generation cannot be paired: {why}"
    assert not found.neutral
    found = refused(evaluated(task(flipped(RIGHT, [3]))), evaluated(task(both)))
    assert found.reason == "quiz / f of the baseline cannot be paired: it is not there"


def test_where_no_metric_can_be_judged_each_is_named_and_the_finding_is_open() -> None:
    sides = [evaluated(task({"acc": RIGHT}, scores=(), unpaired={"acc": "a reason"})) for _ in range(2)]
    found = compared(*sides)
    drop, loss = found["drop"], found["loss"]
    assert isinstance(drop, NotMeasured)
    assert isinstance(loss, NotMeasured)
    assert drop.reason == "no task tells a drop (quiz / acc: a reason)"
    assert not drop.neutral
    assert loss.neutral  # nobody asked for one


# Losses of few texts


def _losses(words: np.ndarray) -> Estimate:
    rng = np.random.default_rng(3)
    before = -2.0 * words
    sides = [
        evaluated(task(loss=(each.tolist(), words.tolist())))
        for each in (before, before * rng.normal(1, 0.01, words.size))
    ]
    return estimate(*sides, "loss")


@pytest.mark.parametrize(("texts", "bounded"), [(199, False), (200, True)])
def test_a_loss_of_fewer_than_200_texts_has_no_upper_bound_and_cannot_pass(texts: int, bounded: bool) -> None:
    found = _losses(np.full(texts, 10.0))
    assert math.isfinite(found.high) == bounded
    assert math.isfinite(found.low)
    outcome = judge(found, GATES["loss"], p_adjusted=found.p_value, alpha=0.05).outcome.value
    assert outcome == ("pass" if bounded else "inconclusive")


def test_texts_count_by_their_words_as_kish_says() -> None:
    """400 texts, 40 of them ten times as long: (360 + 400)^2 / (360 + 40 * 100) = 132.5 that count alike."""
    found = _losses(np.repeat([1.0, 10.0], [360, 40]))
    assert found.high == math.inf
    assert found.notes == ("quiz / nats per word rests on 132 texts that count alike; 200 bound it above",)
    assert found.n_needed is not None
    assert found.n_needed(0.10) == math.ceil(400 * 200 / (760**2 / 4360))


# Groups of tasks


def subjects(sizes: Sequence[int], right: float, lost: float, seed: int) -> tuple[list[Any], list[Any]]:
    """Tasks of these sizes: answered right with chance ``right``; 4% of all answers change either way, and ``lost``
    of the right ones are lost besides."""
    rng = np.random.default_rng(seed)
    sides: tuple[list[Any], list[Any]] = ([], [])
    for number, size in enumerate(sizes):
        before = (rng.random(size) < right).astype(float)
        after = np.where(rng.random(size) < 0.04, 1 - before, before)
        after[(rng.random(size) < lost / right) & (before == 1)] = 0
        for side, values in zip(sides, (before, after), strict=True):
            side.append(task(values, name=f"mmlu_{number}"))
    return sides


def mmlu(tasks: list[Any], *, by_size: bool = True) -> TaskResults:
    names = tuple(one.name for one in tasks)
    return evaluated(*tasks, groups=(TaskGroup(name="mmlu", key="acc,none", tasks=names, by_size=by_size),))


def outcome(found: Estimate) -> str:
    # In a family of 65 tests: what an audit of five generations counts.
    adjusted = None if found.p_value is None else min(1.0, 65 * found.p_value)
    return judge(found, GATES["drop"], p_adjusted=adjusted, alpha=0.05).outcome.value


MMLU = (100, 135, 152, 265, 144, 100, 100, 100, 173, 102, 100, 235, 114, 145, 378, 126, 100, 310, 203, 100, 165, 198)
MMLU += (193, 390, 270, 238, 151, 545, 216, 204, 237, 223, 131, 121, 108, 163, 112, 103, 234, 100, 783, 346, 895, 306)
MMLU += (311, 324, 282, 1534, 272, 612, 110, 245, 201, 100, 166, 171, 100)
"""Documents of the 57 test sets of MMLU (Hendrycks et al. 2021), 14,042 in all."""


def test_eight_points_lost_in_each_of_57_subjects_of_100_documents_are_lost() -> None:
    """Pooled, 5,700 documents bound a drop of eight points to within one; the largest of 57 would settle nothing."""
    before, after = subjects([100] * 57, 0.6, 0.08, seed=1)
    found = estimate(mmlu(before), mmlu(after))
    lost = [float((b.scores[0].values - a.scores[0].values).mean()) for b, a in zip(before, after, strict=True)]
    assert found.value == pytest.approx(np.mean(lost))
    assert found.value == pytest.approx(0.08, abs=0.02)
    assert outcome(found) == "fail"
    assert (found.raw["worst"], found.n_baseline) == ("mmlu / acc", 5700)
    parts = [row for row in found.evidence if row.get("part_of") == "mmlu / acc"]
    assert len(parts) == 57
    assert [row["baseline"] - row["generation"] for row in parts] == pytest.approx(sorted(lost, reverse=True))


def test_nothing_lost_in_57_subjects_of_mmlus_sizes_passes() -> None:
    assert (len(MMLU), sum(MMLU)) == (57, 14_042)
    found = estimate(*map(mmlu, subjects(MMLU, 0.6, 0.0, seed=2)))
    assert outcome(found) == "pass"
    apart = estimate(*(evaluated(*side) for side in subjects(MMLU, 0.6, 0.0, seed=2)), permutations=99)
    assert outcome(apart) == "inconclusive"  # each by itself, as it was


def test_a_mean_over_tasks_counts_a_small_task_as_much_as_a_large_one() -> None:
    """(10 + 40) / 100 / 2 = .25 over tasks; (10 + 4) / 110 over documents."""
    before = [task([1.0] * 100, name="a"), task([1.0] * 10, name="b")]
    after = [task([0.0] * 10 + [1.0] * 90, name="a"), task([0.0] * 4 + [1.0] * 6, name="b")]
    for by_size, lost in ((False, 0.25), (True, 14 / 110)):
        found = estimate(mmlu(before, by_size=by_size), mmlu(after, by_size=by_size))
        assert found.value == pytest.approx(lost)
        assert found.raw["baseline"] == 1.0
        assert found.raw["generation"] == pytest.approx(1 - lost)


def test_documents_of_two_subjects_are_units_of_their_own_and_one_patient_is_one() -> None:
    """Four answers lost, one in each of four subjects: of 2^4 flips one is as bad. Of one patient's, one of two."""
    after = [0.0, *[1.0] * 9]
    for units, chance in ((None, 1 / 16), (["group p"] * 10, 1 / 2)):
        before, later = (
            [task(values, name=f"mmlu_{k}", units=units) for k in range(4)] for values in ([1.0] * 10, after)
        )
        assert estimate(mmlu(before), mmlu(later)).p_value == pytest.approx(chance)


# The format of answers


def test_where_the_strict_filter_falls_and_the_flexible_one_holds_the_format_changed() -> None:
    held, fell = flipped(RIGHT, [3, 80]), flipped(RIGHT, range(30))
    names = ("exact_match (strict-match)", "exact_match (flexible-extract)")
    before = evaluated(task(dict.fromkeys(names, np.tile(RIGHT, 4)), name="gsm8k"))
    after = evaluated(task(dict(zip(names, (np.tile(fell, 4), np.tile(held, 4)), strict=True)), name="gsm8k"))
    found = estimate(before, after)
    assert "format-changed" in found.notes
    told = f"gsm8k / {names[1]} holds where gsm8k / {names[0]} falls: the format of the answers changed"
    assert told in found.explanation
    both = evaluated(task(dict.fromkeys(names, np.tile(fell, 4)), name="gsm8k"))
    assert "format-changed" not in estimate(before, both).notes
