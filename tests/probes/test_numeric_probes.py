"""CA801 to CA805: each value against a hand count, a closed form or SciPy, and the laws that all five obey."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from builders import estimate, readings
from builders import pair as pair_of_texts
from number_builders import numbers, pair
from scipy.stats import fisher_exact, norm

from collapse_audit.probes.numeric_mean import numeric_mean
from collapse_audit.probes.numeric_modes import numeric_modes
from collapse_audit.probes.numeric_spread import numeric_spread
from collapse_audit.probes.numeric_tails import numeric_tails
from collapse_audit.probes.numeric_wasserstein import numeric_wasserstein
from collapse_audit.probes.registry import NUMERIC
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured
from collapse_audit.probes.types import Probe
from collapse_audit.verdicts.rule import judge

FloatArray = npt.NDArray[np.float64]
every_probe = pytest.mark.parametrize("built", NUMERIC, ids=lambda built: built.name)


def normal(n: int, seed: int, *, deviation: float = 1.0, width: int = 1) -> FloatArray:
    x = np.random.default_rng(seed).normal(0, deviation, (n, width))
    return x[:, 0] if width == 1 else x


def found(built: Probe, before: Any, after: Any, **details: Any) -> Estimate:
    return estimate(built, pair(before, after, **details))


# Oracles


def test_the_shift_is_the_difference_of_means_in_deviations_of_the_baseline() -> None:
    """Means 4.5 and 7.5, deviation sqrt((10^2 - 1) / 12): by hand."""
    before = np.tile(np.arange(10.0), 20)
    reading = found(numeric_mean, before, before + 3)
    assert reading.raw["raw"] == pytest.approx(3 / math.sqrt(99 / 12))
    assert (reading.raw["baseline"], reading.raw["generation"]) == (4.5, 7.5)
    assert reading.low < reading.value < reading.raw["raw"]  # less what chance alone gives


def test_the_shift_of_several_numbers_is_the_length_of_the_difference() -> None:
    before = normal(300, 1, width=3)
    reading = found(numeric_mean, before, before + np.array([0.3, 0.4, 0.0]))
    assert reading.raw["raw"] == pytest.approx(0.5 / math.sqrt(before.var(axis=0).sum()))


def test_the_variance_ratio_is_numpys_about_the_mean_of_each_side() -> None:
    before, after = normal(300, 1), 5 + 0.5 * normal(300, 2)
    assert found(numeric_spread, before, after).value == pytest.approx(after.var() / before.var())


def test_numbers_that_are_all_alike_have_no_variance_and_at_most_three_of_n_differ() -> None:
    reading = found(numeric_spread, normal(300, 1), np.full(300, 2.0), permutations=999)
    assert (reading.value, reading.low, reading.p_value) == (0.0, 0.0, 0.001)
    assert reading.high == pytest.approx(-math.log(0.05) / 300)


def test_a_baseline_that_is_all_alike_leaves_everything_open() -> None:
    for built in (numeric_mean, numeric_spread, numeric_wasserstein):
        (reading,) = built(pair(np.full(60, 2.0), normal(60, 1)))
        assert isinstance(reading, NotMeasured)
        assert not reading.neutral


def test_the_outer_numbers_are_those_at_or_beyond_the_baselines_quantiles() -> None:
    """Of 0 to 199 the five lowest and the five highest are outer; the generation holds four that are."""
    before = np.arange(200.0)
    after = np.concatenate((np.full(196, 100.0), [0, 4, 195, 300]))
    reading = found(numeric_tails, before, after)
    assert (reading.raw["baseline"], reading.raw["generation"]) == (0.05, 0.02)
    assert reading.value == pytest.approx(0.4)


def test_where_no_outer_number_is_left_the_bound_is_three_of_n() -> None:
    reading = found(numeric_tails, normal(1000, 1), 0.1 * normal(1000, 2))
    assert reading.raw["generation"] == 0
    assert reading.high == pytest.approx(-math.log(0.05) / 1000 / reading.raw["baseline"])


def test_values_too_few_to_have_an_end_are_left_to_the_groups() -> None:
    (reading,) = numeric_tails(pair(np.tile([1.0, 2.0, 3.0], 50), np.tile([1.0, 2.0, 3.0], 50)))
    assert isinstance(reading, NotMeasured)
    assert reading.neutral
    assert reading.reason == "at no end is there a value that holds at most 2.5% of the baseline's numbers"


def test_w2_is_that_of_sorted_numbers_and_a_shift_is_its_own_size() -> None:
    before, after = normal(400, 1), normal(400, 2, deviation=0.5)
    root = math.sqrt(np.mean((np.sort(before) - np.sort(after)) ** 2)) / before.std()
    assert found(numeric_wasserstein, before, after).raw["w2"] == pytest.approx(root)
    assert found(numeric_wasserstein, before, before + 0.7).raw["w2"] == pytest.approx(0.7 / before.std())


def test_w2_of_normal_laws_has_a_closed_form_in_any_dimension() -> None:
    """W2^2 = |difference of means|^2 + W (difference of deviations)^2 for equal deviations in W directions."""
    for width in (1, 4):
        before, after = normal(4000, 3, width=width), normal(4000, 4, deviation=0.6, width=width)
        expected = 0.4 * math.sqrt(width) / math.sqrt(width)
        assert found(numeric_wasserstein, before, after, permutations=39).value == pytest.approx(expected, abs=0.03)


def test_of_few_values_each_is_a_group_and_fishers_test_is_scipys() -> None:
    before = np.repeat([1.0, 2.0, 3.0], (100, 60, 40))
    after = np.repeat([1.0, 2.0, 3.0], (130, 65, 5))
    reading = found(numeric_modes, before, after, unit="document")  # they stand in order
    assert reading.value == pytest.approx(5 / 40)
    assert reading.raw == {"groups": 3, "groups_depleted": 1, "share_that_came_anew": 0.0}
    fisher = fisher_exact([[5, 195], [40, 160]], alternative="less").pvalue
    assert reading.p_value == pytest.approx(3 * fisher)
    worst = reading.evidence[0]
    assert (worst["term"], worst["baseline_count"], worst["generation_count"]) == ("around 3", 40, 5)


def test_a_mode_that_is_gone_is_found_among_several_numbers() -> None:
    rng = np.random.default_rng(5)
    centres = np.array([[0, 0, 8.0], [8, 0, 0], [0, 8, 0]])
    before, after = (
        centres[rng.choice(3, 600, p=shares)] + rng.normal(size=(600, 3)) for shares in ([0.4, 0.4, 0.2], [0.5, 0.5, 0])
    )
    reading = found(numeric_modes, before, after)
    assert reading.value == 0
    assert reading.high < 0.5
    assert reading.kind is None


def test_groups_that_only_moved_are_no_loss() -> None:
    reading = found(numeric_modes, normal(600, 1), normal(600, 2) + 20)
    assert reading.kind == "move"
    assert "came anew" in reading.explanation


# Laws


@every_probe
@pytest.mark.parametrize("width", [1, 3])
def test_an_estimate_lies_in_its_interval_and_its_p_value_on_the_grid(built: Probe, width: int) -> None:
    reading = found(built, normal(200, 1, width=width), normal(200, 2, deviation=0.7, width=width))
    assert reading.low <= reading.value <= reading.high
    if built is not numeric_modes:
        steps = reading.p_value * 200  # type: ignore[operator]
        assert steps == pytest.approx(round(steps))
    assert reading.n_needed is not None
    assert reading.n_needed(built.gates[0].margin) >= 0


@every_probe
@pytest.mark.parametrize("width", [1, 3])
def test_nothing_fails_where_nothing_changed(built: Probe, width: int) -> None:
    sides = normal(400, 7, width=width), normal(400, 8, width=width)
    (gate,) = built.gates
    for after in (sides[0], sides[1]):  # the very same numbers, too
        reading = found(built, sides[0], after, permutations=999)
        assert judge(reading, gate, p_adjusted=reading.p_value, alpha=0.001).outcome.value not in ("fail", "changed")


@every_probe
def test_more_damage_is_never_better(built: Probe) -> None:
    """Standard deviations of 1, .6 and .2."""
    (gate,) = built.gates
    values = [found(built, normal(500, 9), normal(500, 10, deviation=d) + 1 - d).value for d in (1.0, 0.6, 0.2)]
    worse = values if gate.worse == "higher" else [-value for value in values]
    assert worse[0] <= worse[1] <= worse[2]
    assert worse[0] < worse[2]


@every_probe
def test_another_unit_of_measurement_changes_nothing(built: Probe) -> None:
    sides = normal(300, 11), normal(300, 12, deviation=0.8)
    one = found(built, numbers(sides[0], name="b"), numbers(sides[1], name="g"))
    other = [
        dataclasses.replace(numbers(32 + 1.8 * side), digest=numbers(side, name=name).digest)
        for side, name in zip(sides, "bg", strict=True)
    ]
    two = found(built, *other)
    for field in ("value", "low", "high", "p_value"):
        assert getattr(two, field) == pytest.approx(getattr(one, field), rel=1e-6, abs=1e-9)


@every_probe
def test_records_of_a_group_move_together(built: Probe) -> None:
    """Numbers of a group lie close together and are worth one: the interval is wider than of as many alone."""
    drawn = np.repeat(normal(100, 13), 5) + 0.01 * normal(500, 14)
    groups = [f"g{k // 5}" for k in range(250)]
    sides = [
        numbers(part, groups=[f"{name}{group}" for group in groups], name=name)
        for part, name in ((drawn[:250], "b"), (drawn[250:], "g"))
    ]
    grouped = found(built, *sides)
    alone = found(built, *(dataclasses.replace(side, groups=None) for side in sides), unit="document")
    assert (grouped.n_baseline, alone.n_baseline) == ((50, 250) if built is numeric_modes else (250, 250))
    if built is not numeric_modes:
        assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


@every_probe
def test_texts_are_none_of_its_business(built: Probe) -> None:
    (reading,) = readings(built, pair_of_texts(["1.5"] * 30, ["2.5"] * 30)).values()
    assert isinstance(reading, NotMeasured)
    assert reading.neutral


@every_probe
def test_records_of_another_width_leave_it_open(built: Probe) -> None:
    (reading,) = built(pair(normal(50, 1), normal(50, 2, width=2)))
    assert isinstance(reading, NotMeasured)
    assert not reading.neutral
    assert "holds 1 numbers, one of the generation 2" in reading.reason


def test_the_margin_of_the_tails_is_where_its_reason_says() -> None:
    """A normal law with .875 of its deviation keeps half of what lies beyond 1.96: 2 Phi(-1.96 / .875) = .025."""
    assert 2 * norm.cdf(norm.ppf(0.025) / 0.875) == pytest.approx(0.025, abs=0.0002)


def test_the_margin_of_the_mean_is_where_its_reason_says() -> None:
    """Overlap of two normal laws d apart: 2 Phi(-d / 2)."""
    assert 2 * norm.cdf(-0.125) == pytest.approx(0.90, abs=0.001)
