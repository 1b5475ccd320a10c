"""Do records depend on each other? Uniform p-values, variance ratios by hand, and what each guard is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from collapse_audit.probes.statistics.dependence import (
    LEVEL,
    LIKELY,
    SHUFFLES,
    Neighbours,
    clumps,
    neighbours,
    within_prompts,
)


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(list(seed))


def columns(values: np.ndarray) -> dict[str, np.ndarray]:
    return {"one": values.reshape(len(values), -1).astype(np.float32)}


def walk(count: int, memory: float, chance: np.random.Generator) -> np.ndarray:
    """An autoregressive series: correlation ``memory ** lag``."""
    noise, out = chance.normal(size=count), np.zeros(count)
    for step in range(1, count):
        out[step] = memory * out[step - 1] + np.sqrt(1 - memory**2) * noise[step]
    return out


def test_the_level_can_be_reached_by_the_fixed_number_of_shuffles() -> None:
    assert 1 / (SHUFFLES + 1) <= LEVEL


def test_p_is_uniform_where_the_order_is_chance() -> None:
    """Skewed values, two views of different width: 300 files, and Kolmogorov-Smirnov against the uniform grid."""
    found = []
    for repeat in range(300):
        chance = rng(1, repeat)
        views = {"a": chance.exponential(size=(60, 1)) ** 3, "b": chance.normal(size=(60, 4))}
        found.append(neighbours({k: v.astype(np.float32) for k, v in views.items()}, chance, shuffles=19).p_value)
    assert kstest(np.array(found) - rng(2).random(300) / 20, "uniform").pvalue > 0.001
    assert sum(p <= 0.05 for p in found) <= 30  # 15 expected; the 99.99% quantile of a binomial


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(20, 70))
def test_p_counts_shuffles_and_is_never_nothing(seed: int, count: int) -> None:
    found = neighbours(columns(rng(seed).normal(size=(count, 2))), rng(seed, 1), shuffles=19)
    assert round(20 * found.p_value, 9) in range(1, 21)
    assert found.inflation >= 1
    assert found.run >= 1
    assert found.records == count


def test_the_variance_ratio_of_equal_pairs_is_two() -> None:
    """Every value twice in a row: a run of 2 has 4 times a record's variance instead of 2 (finite file: times 1.0)."""
    values = np.repeat(rng(3).normal(size=400), 2)
    found = neighbours(columns(values), rng(4))
    assert found.dependent
    assert found.inflation == pytest.approx(2.0, abs=0.35)


def test_runs_are_long_beside_the_memory_of_the_file() -> None:
    """Correlation .9 ** lag: what two neighbouring runs of m share is .9 m (1 - .9^m)^2/(...) and small from m = 50."""
    found = neighbours(columns(walk(8000, 0.9, rng(5))), rng(6))
    assert found.dependent
    assert 32 <= found.run <= 512
    # The variance ratio of an endless run: (1 + .9) / (1 - .9) = 19.
    assert 10 < found.inflation < 30


def test_a_shuffled_file_is_not_dependent() -> None:
    values = rng(8).permutation(walk(2000, 0.9, rng(7)))
    assert not neighbours(columns(values), rng(9)).dependent


def test_what_is_significant_but_small_is_not_dependent() -> None:
    """Correlation .1 of neighbours alone: variance ratio 1.2, beyond chance in 20,000 records, and no matter."""
    values = walk(20_000, 0.1, rng(10))
    found = neighbours(columns(values), rng(11))
    assert found.p_value <= LEVEL
    assert 1 < found.inflation < 1.5
    assert not found.dependent


def test_one_change_of_level_in_a_file_is_seen_among_views_that_say_nothing() -> None:
    """Two thirds of a file are of one source, the rest of another: their means differ by a standard deviation.

    Over runs of 32 of 500 the variance ratio is about 1 + 31 * (2/9) = 8. Of 40 files at least 38 are seen likely
    and 35 clearly; of 40 without a change no more than the binomial's .9999 quantile at the two levels.
    """
    seen = {1.0: [0, 0], 0.0: [0, 0]}
    for step, counts in seen.items():
        for repeat in range(40):
            chance = rng(16, repeat)
            level = chance.normal(size=500) + step * (np.arange(500) < 333)
            views = {"told": level[:, None], **{f"mute {k}": chance.normal(size=(500, 8)) for k in range(3)}}
            found = neighbours({name: view.astype(np.float32) for name, view in views.items()}, chance)
            counts[0] += found.likely
            counts[1] += found.dependent
    assert seen[1.0][0] >= 38
    assert seen[1.0][1] >= 35
    assert seen[0.0][0] <= binom.isf(1e-4, 40, LIKELY)
    assert seen[0.0][1] <= binom.isf(1e-4, 40, LEVEL)


@pytest.mark.parametrize("values", [np.zeros(100), np.arange(10.0)])
def test_a_constant_or_a_short_file_says_nothing(values: np.ndarray) -> None:
    found = neighbours(columns(values), rng(12))
    assert found == Neighbours(p_value=1.0, inflation=1.0, run=1, records=values.size)


def answered(prompts: int, answers: int, draft: tuple[float, float], shift: float, *seed: int) -> tuple:
    """Answers = prompt + draft of (prompt, side) + noise, of variances 1, ``draft`` and 1; side 1 is moved by shift."""
    chance = rng(*seed)
    prompt = np.tile(np.repeat(np.arange(prompts), answers), 2)
    side = np.repeat([0, 1], prompts * answers)
    own = chance.normal(size=(prompts, 2)) * np.sqrt(draft)
    values = chance.normal(size=prompts)[prompt] + own[prompt, side] + chance.normal(size=prompt.size) + shift * side
    return columns(values), prompt, side


def test_answers_that_are_independent_given_the_prompt_are_no_unit() -> None:
    """p is uniform, whatever the spread between prompts: at most 30 of 300 at .05 (15 expected)."""
    low = 0
    for repeat in range(300):
        low += within_prompts(*answered(15, 5, (0, 0), 0.0, 13, repeat), rng(repeat), shuffles=19).p_value <= 0.05
    assert 3 <= low <= 30


def test_answers_that_share_a_draft_are_dependent_and_by_how_much() -> None:
    """Within variance 1 + 1, correlation 1/2, 10 answers: 1 + 9/2 = 5.5."""
    found = within_prompts(*answered(100, 10, (1, 1), 0.0, 14), rng(15))
    assert found.dependent
    assert found.inflation == pytest.approx(5.5, abs=1.2)


def test_a_change_that_all_prompts_share_is_no_dependence() -> None:
    assert not within_prompts(*answered(40, 10, (0, 0), 3.0, 16), rng(17)).dependent


def test_drafts_on_one_side_alone_are_damage_and_no_unit() -> None:
    assert not within_prompts(*answered(40, 10, (0, 2), 0.0, 18), rng(19)).dependent
    assert not within_prompts(*answered(40, 10, (2, 0), 0.0, 18), rng(19)).dependent


def test_values_of_a_side_alone_make_clumps() -> None:
    """20 values five times each, other ones on each side: 4 partners a record."""
    code = np.concatenate((np.repeat(np.arange(20), 5), np.repeat(np.arange(20, 40), 5)))
    found = clumps(code, np.repeat([0, 1], 100), rng(20))
    assert found.dependent
    assert found.inflation == pytest.approx(5.0)


def test_popular_values_of_one_population_make_none() -> None:
    code = rng(21).choice(20, size=200, p=np.arange(1, 21) / 210)
    assert not clumps(code, np.repeat([0, 1], 100), rng(22)).dependent


def test_copies_on_one_side_alone_make_none() -> None:
    code = np.concatenate((np.arange(100), np.repeat(np.arange(100, 120), 5)))
    assert not clumps(code, np.repeat([0, 1], 100), rng(23)).dependent
