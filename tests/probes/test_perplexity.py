"""CA401 against scipy's Wasserstein distance, numerical derivatives, and known shifts of known histograms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from builders import Nll, estimate, pair, reason, sample
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, rankdata, wasserstein_distance

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.perplexity import perplexity
from collapse_audit.probes.statistics.ranks import ranks
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured, Z


def scored(baseline: Nll, generation: Nll, **details: Any) -> Pair:
    sides = [sample([f"t{i}" for i in range(len(nll))], nll=nll) for nll in (baseline, generation)]
    return pair(*sides, **details)


def normal(n: int, seed: int, mean: float = 3.4, sd: float = 0.45) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(mean, sd, size=n)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0, 10), min_size=10, max_size=25),
    st.lists(st.floats(0, 10), min_size=10, max_size=25),
    st.integers(0, 99),
)
def test_the_distance_equals_scipys_under_every_relabelling(
    baseline: list[float], generation: list[float], seed: int
) -> None:
    comparison = scored(baseline, generation, permutations=9, seed=seed)
    x = np.concatenate((baseline, generation))[comparison.design.kept]
    values = np.array([wasserstein_distance(x[row == 1], x[row == 0]) for row in comparison.relabellings])
    found = estimate(perplexity, comparison)
    assert found.raw["w1"] == pytest.approx(values[0], abs=1e-9)
    corrected = math.sqrt(max(values[0] ** 2 - values[1:].mean() ** 2, 0.0))
    assert found.value == pytest.approx(corrected, abs=1e-6)
    assert found.p_value == pytest.approx(np.count_nonzero(values >= values[0] - 1e-9) / 10)


@pytest.mark.parametrize("paired", [False, True])
def test_the_error_is_the_linearised_one_by_numerical_derivative(paired: bool) -> None:
    """A clear change, so that the influence decides; scipy weighs each text by 1 + h."""
    baseline, generation = normal(60, 1), 0.8 * normal(60, 1) + normal(60, 2, mean=1.7, sd=0.6)
    h = 1e-6
    influence = np.empty(120)
    for k in range(120):
        weights = np.ones(120)
        weights[k] += h
        up = wasserstein_distance(generation, baseline, weights[60:], weights[:60])
        weights[k] -= 2 * h
        influence[k] = (up - wasserstein_distance(generation, baseline, weights[60:], weights[:60])) / (2 * h)
    # Two answers to a prompt are one unit: their influences add up, signs and all.
    units = [influence[:60] + influence[60:]] if paired else [influence[:60], influence[60:]]
    expected = math.sqrt(sum(60 / 59 * ((part - part.mean()) ** 2).sum() for part in units))
    prompts = [f"p{i}" for i in range(60)] if paired else None
    sides = [sample(["t"] * 60, nll=nll, prompts=prompts) for nll in (baseline, generation)]
    comparison = pair(*sides)
    drawn = comparison.relabellings[1:, comparison.design.block] == 1
    x = np.concatenate((baseline, generation))
    expected = max(expected, float(np.std([wasserstein_distance(x[row], x[~row]) for row in drawn])))
    found = estimate(perplexity, comparison)
    assert (found.value - found.low) / Z == pytest.approx(expected, rel=1e-4)
    assert found.high == pytest.approx(found.raw["w1"] + Z * expected, rel=1e-4)  # the upper bound from the raw W1


@pytest.mark.parametrize("shift", [-0.5, 0.3, 2.0])
def test_a_shift_is_as_far_as_it_is_whatever_its_direction(shift: float) -> None:
    x = normal(400, 3)
    found = estimate(perplexity, scored(x, x + shift))
    assert found.raw["w1"] == pytest.approx(abs(shift), rel=1e-9)
    assert found.raw["shift_mean"] == pytest.approx(shift, rel=1e-9)
    assert found.raw["shift_q50"] == pytest.approx(shift, rel=1e-9)
    assert found.low > 0.1
    assert found.p_value == 1 / 200


def test_nothing_moved_is_near_zero_and_never_negative() -> None:
    found = estimate(perplexity, scored(normal(300, 4), normal(300, 5)))
    assert 0 <= found.value <= found.raw["w1"] < found.high
    assert found.low < 0.10
    same = estimate(perplexity, scored(normal(300, 4), normal(300, 4)))
    assert (same.value, same.p_value) == (0.0, 1.0)


def test_two_tails_that_cancel_in_the_mean_are_seen() -> None:
    """The Nature picture: the bulk moves left, a few texts far right; the mean stays (3% of 1.617 = .97 of .05)."""
    n = 4000
    rng = np.random.default_rng(6)
    moved = normal(n, 7, mean=3.35)
    far = rng.random(n) < 0.03
    moved[far] += 1.667
    found = estimate(perplexity, scored(normal(n, 8), moved, permutations=999))
    assert abs(found.raw["shift_mean"]) < 0.03  # 2 sd of a mean difference here are .02
    assert found.p_value == 0.001
    assert found.raw["left_mass_gain"] > 0
    assert found.raw["right_mass_gain"] > 0
    assert found.raw["right_mass_p"] < 0.05


def test_the_signature_is_named_where_both_ends_have_gained() -> None:
    n = 4000
    rng = np.random.default_rng(6)
    base = normal(n, 8)
    both, left, right = normal(n, 7, mean=3.3), normal(n, 7, mean=3.3), normal(n, 7)
    for moved in (both, right):
        moved[rng.random(n) < 0.05] += 2.0
    for moved, expected in ((both, True), (left, False), (right, False), (normal(n, 9), False)):
        found = estimate(perplexity, scored(base, moved))
        assert ("nature-signature" in found.notes) is expected
        assert ("both ends of the histogram" in found.explanation) is expected
        assert found.raw["signature_p"] == max(found.raw["left_mass_p"], found.raw["right_mass_p"])


def test_mass_gains_are_shares_beyond_pooled_quantiles() -> None:
    baseline, generation = np.arange(100.0), np.arange(100.0) + 50
    x = np.concatenate((baseline, generation))
    raw = estimate(perplexity, scored(baseline, generation)).raw
    low, high = np.quantile(x, [0.25, 0.95])
    assert raw["left_mass_gain"] == pytest.approx(np.mean(generation <= low) - np.mean(baseline <= low))
    assert raw["right_mass_gain"] == pytest.approx(np.mean(generation > high) - np.mean(baseline > high))
    assert raw["left_mass_gain"] == pytest.approx(-0.5)
    assert raw["left_mass_p"] == 1.0


def test_the_test_is_exact_also_where_texts_lack_an_nll() -> None:
    """A value in twenty missing on both sides: P(p <= a) <= a over 150 pairs, limits at the .9999 quantile."""
    p_values = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        sides = [[None if i == seed % 20 else float(x) for i, x in enumerate(rng.normal(3, 1, 20))] for _ in range(2)]
        p_values.append(estimate(perplexity, scored(*sides, permutations=39, seed=seed)).p_value)
    drawn = np.array(p_values, dtype=np.float64)
    for level in (0.025, 0.05, 0.1, 0.25, 0.5):
        assert np.count_nonzero(drawn <= level + 1e-12) <= binom.isf(1e-4, 150, level)


def test_texts_without_an_nll_are_left_out_and_counted() -> None:
    values = normal(60, 9)
    with_gaps: list[float | None] = [None if i % 20 == 0 else float(x) for i, x in enumerate(values)]
    found = estimate(perplexity, scored(with_gaps, normal(60, 10)))
    assert found.n_baseline == 57
    assert found.n_generation == 60
    assert any("3 blocks without nll" in note for note in found.notes)
    expected = wasserstein_distance(normal(60, 10), [x for x in with_gaps if x is not None])
    assert found.raw["w1"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("how_many", [1, 2, 5])
def test_a_handful_of_scored_texts_says_nothing_of_the_others_and_passes_nothing(how_many: int) -> None:
    few: list[float | None] = [3.0 + 0.1 * i if i < how_many else None for i in range(20)]
    (found,) = perplexity(scored(few, few))
    assert isinstance(found, NotMeasured)
    assert not found.neutral


def test_what_is_not_scored_is_not_measured() -> None:
    bare = sample(["a"] * 12)
    with_nll = sample(["a"] * 12, nll=[1.0] * 12)
    assert reason(perplexity, pair(bare, bare)) == "the records carry no nll"
    for sides in ((bare, with_nll), (with_nll, bare)):
        (found,) = perplexity(pair(*sides))
        assert isinstance(found, NotMeasured)
        assert (found.reason, found.neutral) == ("the records of one side carry no nll", False)


def test_prompts_shared_by_both_sides_are_paired() -> None:
    """Prompts differ by far more than the generations: unpaired, a shift of .1 drowns in a spread of 2."""
    rng = np.random.default_rng(11)
    level = rng.normal(5, 2, size=80)
    prompts = [f"p{i}" for i in range(80)]
    baseline, generation = level + rng.normal(0, 0.05, 80), level + 0.1 + rng.normal(0, 0.05, 80)
    sides = [sample(["t"] * 80, nll=values, prompts=prompts) for values in (baseline, generation)]
    paired = estimate(perplexity, pair(*sides, permutations=999))
    assert paired.p_value == 0.001
    assert "paired" in paired.method
    alone = estimate(perplexity, scored(baseline, generation, permutations=999))
    assert alone.p_value is not None
    assert alone.p_value > 0.05


@pytest.mark.parametrize(("n", "shift"), [(80, 0.0), (150, 0.2)])
def test_n_needed_settles_it_where_the_estimate_was_right(n: int, shift: float) -> None:
    """The median promise of five comparisons whose estimate came out within .005 of the truth.

    The promise is 90%, by the normal law; W1 is skewed, so three of four are asked for: 60 comparisons, the lower
    .001 quantile of Binomial(60, .75). A quarter of that n settles significantly fewer than nine of ten.
    """

    def run(size: int, seed: int) -> Estimate:
        rng = np.random.default_rng(seed)
        sides = rng.normal(3.4, 0.45, size), rng.normal(3.4 + shift, 0.45, size)
        return estimate(perplexity, scored(*sides, seed=seed, permutations=99))

    right = (found for seed in range(1000) if abs((found := run(n, seed)).value - shift) < 0.005)
    promises = [found.n_needed(0.10) for _, found in zip(range(5), right, strict=False) if found.n_needed]
    promised = int(np.median(promises))

    def settled(size: int) -> int:
        return sum(found.high <= 0.10 or found.low > 0.10 for found in (run(size, 2000 + seed) for seed in range(60)))

    assert settled(promised) >= binom.ppf(0.001, 60, 0.75)
    assert settled(promised // 4) < binom.ppf(0.001, 60, 0.9)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_ranks_share_the_mean_where_values_tie(values: list[int]) -> None:
    assert ranks(np.array(values, dtype=np.float64)).tolist() == rankdata(values).tolist()
