"""Two measurements of the same items: enumeration, closed forms and scipy against the paired estimator."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from collapse_audit.errors import ProbeError
from collapse_audit.probes.statistics.paired import bounds, differences, flipped, paired
from collapse_audit.probes.statistics.readings import Estimate, Worse

FloatArray = npt.NDArray[np.float64]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def change(
    baseline: list[float] | FloatArray,
    generation: list[float] | FloatArray,
    *,
    worse: Worse = "higher",
    permutations: int = 4095,
    seed: int = 0,
    share: bool = False,
) -> Estimate:
    return paired(
        np.array(baseline, dtype=np.float64),
        np.array(generation, dtype=np.float64),
        worse=worse,
        permutations=permutations,
        rng=rng(seed),
        share=share,
    )


# The test


@pytest.mark.parametrize("worse", ["higher", "lower"])
def test_few_items_are_tested_with_every_flip_of_signs(worse: Worse) -> None:
    drawn = rng(3)
    before, after = drawn.normal(size=9), drawn.normal(size=9) + 0.4
    means = [np.mean(np.array(signs) * (after - before)) for signs in itertools.product((1, -1), repeat=9)]
    observed = np.mean(after - before)
    extreme = [mean >= observed - 1e-12 if worse == "higher" else mean <= observed + 1e-12 for mean in means]
    assert change(before, after, worse=worse).p_value == pytest.approx(np.mean(extreme), abs=1e-15)


@pytest.mark.parametrize(("worse", "alternative"), [("higher", "greater"), ("lower", "less")])
def test_the_p_value_is_scipys_for_paired_samples(worse: Worse, alternative: str) -> None:
    drawn = rng(4)
    before = drawn.integers(0, 4, size=11).astype(np.float64)
    after = before + drawn.integers(-1, 3, size=11)
    scipys = stats.permutation_test(
        (after, before),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
        alternative=alternative,
    )
    assert change(before, after, worse=worse).p_value == pytest.approx(scipys.pvalue, abs=1e-12)


@given(lost=st.integers(0, 9), won=st.integers(0, 3), same=st.integers(0, 30))
def test_right_and_wrong_answers_are_tested_as_mcnemar_does(lost: int, won: int, same: int) -> None:
    if lost + won + same == 0:
        return
    before = [1.0] * lost + [0.0] * won + [1.0] * same
    after = [0.0] * lost + [1.0] * won + [1.0] * same
    expected = stats.binom.cdf(won, lost + won, 0.5) if lost + won else 1.0
    assert change(before, after, worse="lower", share=True).p_value == pytest.approx(expected, abs=1e-12)


def test_many_items_are_tested_with_draws_near_the_exact_value() -> None:
    before = np.repeat([1.0, 0.0, 1.0], [30, 18, 152])
    after = np.repeat([0.0, 1.0, 1.0], [30, 18, 152])
    exact = stats.binom.cdf(18, 48, 0.5)
    drawn = change(before, after, worse="lower", permutations=9999).p_value
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact / 9999))


def test_columns_of_a_unit_are_flipped_together() -> None:
    changes = rng(5).normal(size=(40, 1))
    sums = flipped(np.hstack((changes, -2 * changes)), 99, rng())
    np.testing.assert_allclose(sums[:, 1], -2 * sums[:, 0])
    assert sums.shape == (100, 2)
    np.testing.assert_allclose(sums[0, 0], changes.sum())


def test_a_group_is_one_item_whose_values_are_summed() -> None:
    drawn = rng(6)
    before, after = drawn.normal(size=24), drawn.normal(size=24) + 0.2
    group = np.arange(24) // 2
    by_group = paired(before, after, worse="higher", permutations=4095, rng=rng(), group=group)
    summed = paired(
        before.reshape(12, 2).sum(axis=1),
        after.reshape(12, 2).sum(axis=1),
        weights=np.full(12, 2.0),
        worse="higher",
        permutations=4095,
        rng=rng(),
    )
    assert (by_group.value, by_group.low, by_group.high) == pytest.approx((summed.value, summed.low, summed.high))
    assert by_group.p_value == summed.p_value
    assert by_group.n_baseline == 24


# The value and its bounds


def test_the_value_is_a_difference_of_means_or_of_ratios_of_sums() -> None:
    before, after, words = np.array([2.0, 3.0, 10.0]), np.array([3.0, 3.5, 9.0]), np.array([1.0, 1.0, 4.0])
    assert change(before, after).value == pytest.approx(15.5 / 3 - 5.0)
    ratio = paired(before, after, weights=words, worse="higher", permutations=99, rng=rng())
    assert ratio.value == pytest.approx(15.5 / 6 - 15.0 / 6)


@pytest.mark.parametrize("skew", [0.3, 1.0])
def test_bounds_are_scipys_bca(skew: float) -> None:
    drawn = rng(7)
    change_of_each = drawn.lognormal(sigma=skew, size=80)
    scipys = stats.bootstrap(
        (change_of_each,), np.mean, confidence_level=0.9, n_resamples=20_000, method="BCa", rng=rng(8)
    ).confidence_interval
    found = change(np.zeros(80), change_of_each)
    assert (found.low, found.high) == pytest.approx((scipys.low, scipys.high), abs=0.15 * (scipys.high - scipys.low))


def test_bounds_of_a_ratio_are_those_of_scipys_paired_bootstrap() -> None:
    drawn = rng(9)
    words = drawn.integers(5, 60, size=120).astype(np.float64)
    loss = words * drawn.normal(0.1, 0.3, size=120)
    scipys = stats.bootstrap(
        (loss, words),
        lambda top, bottom, axis: top.sum(axis=axis) / bottom.sum(axis=axis),
        paired=True,
        vectorized=True,
        confidence_level=0.9,
        n_resamples=20_000,
        method="BCa",
        rng=rng(10),
    ).confidence_interval
    both = differences(np.zeros(120), loss, weights=words)
    low, high = bounds(both, rng=rng())
    assert (low, high) == pytest.approx((scipys.low, scipys.high), abs=0.15 * (scipys.high - scipys.low))


def test_no_difference_in_n_answers_still_allows_three_in_n() -> None:
    same = change([1.0] * 60, [1.0] * 60, share=True)
    reach = -math.log(0.05) / 60  # (1 - p)^n = .05, to first order
    assert (same.low, same.value, same.high) == pytest.approx((-reach, 0.0, reach))
    assert same.p_value == 1.0


def test_changes_all_alike_carry_no_bounds_where_the_range_is_unknown() -> None:
    same = change([1.0] * 60, [1.1] * 60)
    assert (same.low, same.high) == (-math.inf, math.inf)
    assert same.minimum_detectable is None


def test_fewer_than_ten_units_carry_no_bounds() -> None:
    few = change(rng().normal(size=9), rng(1).normal(size=9))
    assert (few.low, few.high, few.minimum_detectable) == (-math.inf, math.inf, None)


def test_the_smallest_detectable_change_and_the_n_that_settles_follow_from_the_paired_error() -> None:
    drawn = rng(11)
    before = drawn.normal(size=400)
    after = before + drawn.normal(0.02, 0.2, size=400)
    error = (after - before).std(ddof=1) / math.sqrt(400)
    found = change(before, after)
    reach = (stats.norm.ppf(0.95) + stats.norm.ppf(0.9)) * error
    assert found.minimum_detectable == pytest.approx(reach)
    assert found.n_needed is not None
    assert found.n_needed(0.05) == math.ceil(400 * (reach / (0.05 - found.value)) ** 2)
    assert change(before, after, worse="lower").minimum_detectable == pytest.approx(-reach)


@given(shift=st.floats(-3, 3), scale=st.floats(0.1, 10))
def test_bounds_move_and_scale_with_the_measurement(shift: float, scale: float) -> None:
    drawn = rng(12)
    before, after = drawn.normal(size=30), drawn.normal(size=30)
    one, other = change(before, after), change(scale * before, scale * after + shift)
    for name in ("value", "low", "high"):
        assert getattr(other, name) == pytest.approx(scale * getattr(one, name) + shift, rel=1e-9, abs=1e-9)


# What is refused, and what it costs


@pytest.mark.parametrize(
    ("first", "second", "weights", "match"),
    [
        ([1.0, 2.0], [1.0], None, "not one"),
        ([], [], None, "there are none"),
        ([1.0, math.nan], [1.0, 1.0], None, "not a finite number"),
        ([1.0, 1.0], [1.0, 1.0], [0.0, 0.0], "nor all zero"),
        ([1.0, 1.0], [1.0, 1.0], [1.0, -1.0], "must not be negative"),
    ],
)
def test_arrays_that_are_no_pairs_are_refused(
    first: list[float], second: list[float], weights: list[float] | None, match: str
) -> None:
    with pytest.raises(ProbeError, match=match):
        differences(np.array(first), np.array(second), weights=None if weights is None else np.array(weights))


def test_memory_does_not_grow_with_the_number_of_flips() -> None:
    before, after = rng().normal(size=5000), rng(1).normal(size=5000)
    tracemalloc.start()
    change(before, after, permutations=4000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 5000 * 4000 / 2  # half of the matrix of all signs, as float64
