"""Numbers followed along generations: slopes of lineages that are known, influence by leaving out, and exact chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from number_builders import numbers
from scipy.stats import norm

from collapse_audit.probes.registry import NUMERIC, follows_of
from collapse_audit.probes.statistics.readings import NotMeasured
from collapse_audit.probes.trends import numbers as followed
from collapse_audit.probes.trends.succession import Succession
from collapse_audit.probes.trends.trend import Trend, trends

Array = npt.NDArray[np.float64]


def line(columns: Sequence[Array], permutations: int = 199) -> Succession:
    baseline, *others = (numbers(column, name=f"gen_{k}") for k, column in enumerate(columns))
    return Succession(baseline=baseline, generations=tuple(others), permutations=permutations, seed=0)


def found(columns: Sequence[Array], permutations: int = 199) -> dict[str, Trend]:
    baseline, *others = (numbers(column, name=f"gen_{k}") for k, column in enumerate(columns))
    all_of_them = trends(
        others,
        range(1, len(columns)),
        definer=baseline,
        permutations=permutations,
        seed=0,
        margins={"variance": 0.8, "outer": 0.5},
        follow=follows_of(NUMERIC),
    )
    return {each.statistic: each for each in all_of_them if isinstance(each, Trend)}


def normal(n: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=n)


def test_numbers_that_shrink_by_a_factor_lose_its_square_of_their_variance() -> None:
    """Variance .81^k: the slope of its logarithm is 2 ln .9. Far numbers: those beyond 1.96/.9^k, by Gauss."""
    x = np.random.default_rng(0).permutation(norm.ppf((np.arange(800) + 0.5) / 800))
    trend = found([x * 0.9**k for k in range(5)])
    assert trend["variance"].slope == pytest.approx(2 * np.log(0.9))
    assert trend["variance"].baseline == pytest.approx(1)
    assert trend["variance"].values == pytest.approx([0.81**k for k in range(1, 5)])
    assert trend["variance"].established
    expected = [2 * norm.sf(1.96 / 0.9**k) for k in range(1, 5)]
    assert trend["outer"].values == pytest.approx(expected, abs=0.01)
    assert trend["outer"].slope < 0
    assert trend["mean"].slope == pytest.approx(0, abs=1e-6)
    # Equal ranks are (1 - .9^k) x apart: W2 in the baseline's deviation is 1 - .9^k.
    assert trend["W2"].values == pytest.approx([1 - 0.9**k for k in range(1, 5)])


def test_numbers_that_move_evenly_have_that_speed() -> None:
    x = 3 * normal(600)
    trend = found([x + 0.6 * k for k in range(4)])
    speed = 0.6 / x.std()
    assert (trend["mean"].slope, trend["W2"].slope) == (pytest.approx(speed, abs=1e-6), pytest.approx(speed, abs=1e-6))
    assert trend["mean"].established
    assert trend["W2"].established
    assert trend["variance"].slope == pytest.approx(0, abs=1e-6)


def test_several_numbers_a_record_are_followed_together() -> None:
    x = np.random.default_rng(1).normal(size=(500, 3))
    trend = found([x * 0.8**k for k in range(4)])
    assert set(trend) == {"variance", "outer"}
    assert trend["variance"].slope == pytest.approx(2 * np.log(0.8))
    assert trend["outer"].established


@pytest.mark.parametrize("follow", [followed.mean, followed.variance, followed.w2])
def test_influence_is_what_leaving_a_record_out_does(follow: object) -> None:
    columns = [normal(300, seed) * scale for seed, scale in ((1, 1.0), (2, 0.7), (3, 0.6), (4, 0.5))]
    (whole,) = follow(line(columns, permutations=1))  # type: ignore[operator]
    layout = line(columns, permutations=1).layout
    errors = np.sqrt(np.diag(layout.covariance(whole.influence)))
    rng, drawn = np.random.default_rng(5), []
    for _ in range(200):
        again = [rng.choice(column, size=column.size) for column in columns[1:]]
        (one,) = follow(line([columns[0], *again], permutations=1))  # type: ignore[operator]
        drawn.append(one.values[1:])
    # The spread of 200 bootstrap draws is known to about 5%.
    assert errors[1:] == pytest.approx(np.std(drawn, axis=0), rel=0.25)


def test_where_nothing_changes_a_trend_is_found_no_more_often_than_alpha() -> None:
    """60 lineages of one law: at most 9 p-values of .05 or less in 99.9% of cases (binomial), of each statistic."""
    below: dict[str, int] = {}
    for seed in range(60):
        trend = found([normal(60, 100 * seed + k) for k in range(4)], permutations=99)
        for name, each in trend.items():
            below[name] = below.get(name, 0) + (each.p_value <= 0.05)
    assert set(below) == {"mean", "variance", "outer", "W2"}
    assert max(below.values()) <= 9


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ([np.ones(40)] + [normal(40, k) for k in range(3)], "all numbers of the baseline are alike"),
        ([normal(40)] + [np.ones(40)] * 3, "all numbers of a generation are alike"),
    ],
)
def test_numbers_without_variance_are_said_to_have_none(columns: list[Array], reason: str) -> None:
    (one,) = followed.variance(line(columns))
    assert isinstance(one, NotMeasured)
    assert reason in one.reason
