"""Intervals, exact p-values and sample sizes: what all probes share, against hand derivations and simulation."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from collapse_audit.probes.statistics.design import Design, by_document, by_key
from collapse_audit.probes.statistics.estimates import (
    estimate,
    jackknife,
    needed,
    permutation_p,
    ratio_of_sums,
    rule_of_three,
    studentised,
)
from collapse_audit.probes.statistics.readings import LEVEL, Z_POWER, Estimate, NotMeasured, Z

FloatArray = npt.NDArray[np.float64]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def compared(
    top: FloatArray, bottom: FloatArray, *, design: Design, relabellings: npt.NDArray[np.uint8], **details: Any
) -> Estimate:
    """ratio_of_sums where it measures."""
    found = ratio_of_sums(top, bottom, design=design, relabellings=relabellings, **details)
    assert isinstance(found, Estimate), found
    return found


def ratio(top: FloatArray, bottom: FloatArray, *, permutations: int = 99, seed: int = 0, **details: Any) -> Estimate:
    """ratio_of_sums of documents, first half baseline."""
    design = by_document(top.size // 2, top.size // 2, rng())
    return compared(top, bottom, design=design, relabellings=design.relabellings(permutations, rng(seed)), **details)


def test_the_constants_are_the_normal_quantiles_they_say_they_are() -> None:
    assert pytest.approx(norm.ppf(0.95), abs=1e-15) == Z
    assert pytest.approx(norm.ppf(0.90), abs=1e-15) == Z_POWER
    assert pytest.approx(1 - 2 * 0.05) == LEVEL


# p-values


@pytest.mark.parametrize(
    ("replicates", "higher", "lower"),
    [
        ([3.0, 1.0, 2.0, 2.5], 1 / 4, 1.0),
        ([1.0, 1.0, 1.0, 1.0], 1.0, 1.0),
        ([1.0, 2.0, 1.0, 0.0], 3 / 4, 3 / 4),
        ([0.0], 1.0, 1.0),
        ([math.inf, math.inf, 1.0], 2 / 3, 1.0),
        ([-math.inf, 0.0, 1.0], 1.0, 1 / 3),
    ],
)
def test_the_p_value_counts_replicates_at_least_as_bad_the_observed_one_among_them(
    replicates: list[float], higher: float, lower: float
) -> None:
    assert permutation_p(np.array(replicates), worse="higher") == higher
    assert permutation_p(np.array(replicates), worse="lower") == lower


def test_rounding_does_not_break_ties() -> None:
    replicates = np.array([0.1 + 0.2, 0.3, 0.3 - 1e-15])
    assert permutation_p(replicates, worse="higher") == 1.0
    assert permutation_p(replicates, worse="lower") == 1.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_the_two_tails_together_cover_everything(values: list[float]) -> None:
    replicates = np.array(values)
    both = permutation_p(replicates, worse="higher") + permutation_p(replicates, worse="lower")
    assert both >= 1.0
    for tail in ("higher", "lower"):
        p = permutation_p(replicates, worse=tail)
        assert round(p * replicates.size) == pytest.approx(p * replicates.size)
        assert 1 / replicates.size <= p <= 1.0


@pytest.mark.parametrize(("scale", "worse"), [("linear", "higher"), ("log", "lower")])
def test_the_studentised_test_is_exact_for_exchangeable_documents(scale: Any, worse: Any) -> None:
    """P(p <= k/(B+1)) <= k/(B+1): 800 pairs of lognormal scores and random lengths, B = 39; binomial limits at 1e-4."""
    p_values = []
    for seed in range(800):
        generator = rng(seed)
        lengths = generator.integers(1, 30, size=24).astype(np.float64)
        p_values.append(
            ratio(
                lengths * generator.lognormal(0, 1, 24),
                lengths,
                permutations=39,
                seed=10_000 + seed,
                scale=scale,
                worse=worse,
            ).p_value
        )
    drawn = np.array(p_values, dtype=np.float64)
    for level in (0.025, 0.05, 0.1, 0.25, 0.5):
        hits = int(np.count_nonzero(drawn <= level + 1e-12))
        assert hits <= binom.isf(1e-4, 800, level)
        assert hits >= binom.ppf(1e-4, 800, level)  # continuous scores: exact, so not conservative either


def test_studentising_protects_against_unequal_spread_where_plain_permutation_fails() -> None:
    """Negative control: 60 calm baseline texts, 20 wild ones of equal mean; blocks of unequal number.

    Nominal .05. A plain permutation of the difference rejects far more often (Chung & Romano 2013); the studentised
    one is asymptotically valid. R = 400: limits .05 + 4.5 sqrt(.05 .95/400) = .099 above, and for the control the
    lower limit of a rate of .12.
    """
    design = by_document(80, 80, rng())
    keep = np.concatenate((np.ones(60, bool), np.zeros(20, bool), np.ones(20, bool), np.zeros(60, bool)))
    unequal = design.restricted(keep)
    studentised = plain = 0
    for seed in range(400):
        generator = rng(seed)
        values = np.concatenate((generator.normal(0, 1, 60), generator.normal(0, 4, 20)))
        labels = unequal.relabellings(99, rng(5000 + seed))
        found = compared(values, np.ones(80), design=unequal, relabellings=labels, scale="linear", worse="higher")
        assert found.p_value is not None
        studentised += found.p_value <= 0.05
        differences = labels @ values / 20 - (1 - labels) @ values / 60
        plain += permutation_p(differences, worse="higher") <= 0.05
    assert studentised / 400 < 0.099
    assert plain / 400 > 0.099


# Ratios of sums


def test_the_difference_of_means_is_its_textbook_interval() -> None:
    scores = rng(1).normal(3, 2, size=60)
    found = ratio(scores, np.ones(60), scale="linear", worse="higher")
    baseline, generation = scores[:30], scores[30:]
    difference = generation.mean() - baseline.mean()
    error = math.sqrt(baseline.var(ddof=1) / 30 + generation.var(ddof=1) / 30)
    assert found.value == pytest.approx(difference, rel=1e-12)
    assert found.low == pytest.approx(difference - norm.ppf(0.95) * error, rel=1e-12)
    assert found.high == pytest.approx(difference + norm.ppf(0.95) * error, rel=1e-12)
    assert (found.n_baseline, found.n_generation) == (30, 30)


def test_the_ratio_of_ratios_is_its_linearised_interval() -> None:
    """By hand: m = sum t/sum l; Var(ln m) = n/(n-1) sum (t - m l)^2/(sum t)^2 (delta method, one side)."""
    generator = rng(2)
    lengths = generator.integers(5, 50, size=80).astype(np.float64)
    tails = generator.binomial(lengths.astype(int), 0.2).astype(np.float64)
    found = ratio(tails, lengths, scale="log", worse="lower")
    logs, variances = [], []
    for side in (slice(0, 40), slice(40, 80)):
        t, b = tails[side], lengths[side]
        m = t.sum() / b.sum()
        logs.append(math.log(m))
        variances.append(40 / 39 * ((t - m * b) ** 2).sum() / t.sum() ** 2)
    error = math.sqrt(sum(variances))
    assert found.value == pytest.approx(math.exp(logs[1] - logs[0]), rel=1e-12)
    assert found.low == pytest.approx(math.exp(logs[1] - logs[0] - norm.ppf(0.95) * error), rel=1e-12)
    assert found.high == pytest.approx(math.exp(logs[1] - logs[0] + norm.ppf(0.95) * error), rel=1e-12)


def test_the_studentised_statistic_is_the_change_over_its_two_sample_error() -> None:
    """The p-value equals that of a loop over the same relabellings with Welch's t."""
    scores = rng(3).exponential(1, size=24)
    design = by_document(12, 12, rng())
    labels = design.relabellings(60, rng(4))

    def welch(row: npt.NDArray[np.uint8]) -> float:
        g, b = scores[row == 1], scores[row == 0]
        # The one-side variance divides by n-1 about the mean; the factor common to all rows cancels in the order.
        return float((g.mean() - b.mean()) / math.sqrt(g.var(ddof=1) / 12 + b.var(ddof=1) / 12))

    observed, *rest = [welch(row) for row in labels]
    expected = (1 + sum(value >= observed - 1e-12 for value in rest)) / 61
    found = compared(scores, np.ones(24), design=design, relabellings=labels, scale="linear", worse="higher")
    assert found.p_value == pytest.approx(expected)


def test_sides_of_unequal_number_are_studentised_each_with_its_own_n_less_one() -> None:
    """Welch's t of 4 against 14 texts: leaving the n/(n-1) out would weigh the small side too little."""
    design = by_document(14, 14, rng()).restricted(np.repeat([True, False, True], [4, 10, 14]))
    labels = design.relabellings(400, rng(8))
    for seed in range(5):
        scores = rng(seed).exponential(1, size=18)
        welch = []
        for row in labels:
            g, b = scores[row == 1], scores[row == 0]
            welch.append((g.mean() - b.mean()) / math.sqrt(g.var(ddof=1) / 14 + b.var(ddof=1) / 4))
        found = compared(scores, np.ones(18), design=design, relabellings=labels, scale="linear", worse="higher")
        assert found.p_value == pytest.approx(np.mean(np.array(welch) >= welch[0] - 1e-12))


def test_paired_differences_are_compared_as_they_are() -> None:
    """Ten pairs, all worse by about the same: of 2^10 sign flips only the observed one is as bad."""
    keys = np.arange(10)
    design = by_key(keys, keys, "prompt", rng())
    base = rng(5).normal(0, 10, size=10)
    documents = np.concatenate((base, base + 1 + 0.01 * rng(6).normal(size=10)))
    labels = design.relabellings(4000, rng(7))
    found = compared(
        design.per_block(documents), np.ones(20), design=design, relabellings=labels, scale="linear", worse="higher"
    )
    # 4,000 draws of the 1/1024 relabelling: Poisson(3.9); at most 18 in all but one of 10^7 seeds.
    assert found.p_value is not None
    assert found.p_value <= 19 / 4001
    assert found.value == pytest.approx(1.0, abs=0.02)
    assert found.low > 0.9  # unpaired, the spread of 10 would drown a change of 1


def test_constant_scores_have_no_change_and_p_one() -> None:
    for constant in (0.0, 0.1, 1.0, 1e6 / 3):
        found = ratio(np.full(40, constant), np.ones(40), scale="linear", worse="higher")
        assert found.value == pytest.approx(0.0, abs=1e-9)
        assert found.p_value == 1.0


def test_a_side_that_lost_everything_is_the_worst_there_is() -> None:
    """Positive baseline scores, none in the generation: no relabelling but the observed is as bad.

    ln 0 has no interval, so half an occurrence stands in: .5 of 20.
    """
    found = ratio(np.repeat([1.0, 0.0], 20), np.ones(40), permutations=999, scale="log", worse="lower")
    assert found.value == pytest.approx(0.5 / 20)
    assert found.p_value == 0.001
    # With "0 of 20" up to 3 of 20 are possible (rule of three); half an occurrence must not claim less than 2.
    assert 2 / 20 < found.high < 0.8


def test_a_ratio_to_nothing_is_not_measured() -> None:
    design = by_document(20, 20, rng())
    found = ratio_of_sums(
        np.repeat([0.0, 1.0], 20),
        np.ones(40),
        design=design,
        relabellings=design.relabellings(19, rng()),
        scale="log",
        worse="lower",
        statistic="mine",
    )
    assert isinstance(found, NotMeasured)
    assert found.statistic == "mine"
    assert "zero in the baseline" in found.reason


def test_the_test_stays_exact_where_a_side_may_hold_nothing() -> None:
    """Four positive scores among 24 texts: the generation holds none of them in C(20,12)/C(24,12) = .0466 of cases.

    P(p <= a) <= a all the same; R = 1,000 pairs, B = 199, limits at the binomial .9999 quantiles.
    """
    drawn = []
    for seed in range(1000):
        scores = rng(seed).permutation(np.repeat([1.0, 0.0], [4, 20]))
        design = by_document(12, 12, rng())
        labels = design.relabellings(199, rng(20_000 + seed))
        found = ratio_of_sums(scores, np.ones(24), design=design, relabellings=labels, scale="log", worse="lower")
        drawn.append(found.p_value if isinstance(found, Estimate) and found.p_value is not None else 1.0)
    p_values = np.array(drawn)
    for level in (0.02, 0.035, 0.05, 0.1, 0.3):
        assert np.count_nonzero(p_values <= level) <= binom.isf(1e-4, 1000, level)
    assert np.count_nonzero(p_values <= 0.1) >= binom.ppf(1e-4, 1000, 0.0466)  # nothing is the worst there is


# Floors and sample sizes


def test_the_rule_of_three_bounds_what_none_of_n_allows() -> None:
    """Zero of n on both sides: the upper bound is ln(20)/n sqrt(2), near the exact 1 - .05^(1/n) of one side."""
    for n in (20, 100, 1000):
        found = ratio(np.zeros(2 * n), np.ones(2 * n), scale="linear", worse="higher", share=True)
        assert found.value == 0.0
        assert found.high == pytest.approx(math.log(20) / n * math.sqrt(2), rel=1e-12)
        assert found.high >= 1 - 0.05 ** (1 / n)
        assert found.p_value == 1.0


def test_the_floor_of_shares_is_not_applied_to_other_scores() -> None:
    found = ratio(np.arange(40.0) * 1e-9, np.ones(40), scale="linear", worse="higher")
    assert found.high - found.low < 1e-7


def test_scores_that_are_all_alike_have_no_interval_because_nothing_is_known_of_their_range() -> None:
    found = ratio(np.full(40, 7.0), np.ones(40), scale="linear", worse="higher")
    assert (found.value, found.low, found.high) == (0.0, -math.inf, math.inf)


def test_fewer_than_ten_units_have_no_interval_but_a_test() -> None:
    found = ratio(np.arange(10.0), np.ones(10), scale="linear", worse="higher")
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert found.minimum_detectable is None
    assert found.n_needed is not None
    assert math.isinf(found.n_needed(0.1))
    assert found.p_value is not None
    shrunk = ratio(np.arange(1.0, 11.0), np.ones(10), scale="log", worse="lower")
    assert (shrunk.low, shrunk.high) == (0.0, math.inf)
    assert rule_of_three(by_document(5, 5, rng())) > 0.5


@pytest.mark.parametrize(
    ("scale", "worse", "sign"),
    [("linear", "higher", 1), ("linear", "lower", -1), ("log", "higher", 1), ("log", "lower", -1)],
)
def test_the_smallest_detectable_change_is_that_of_a_one_sided_test_with_90_percent_power(
    scale: Any, worse: Any, sign: int
) -> None:
    found = estimate(1.0, 0.1, scale=scale, worse=worse, p_value=1.0, design=by_document(20, 20, rng()), method="m")
    # Reject where T > z(.95) SE; P(reject | change d) = Phi(d/SE - z(.95)) = .9 at d = (z(.95) + z(.9)) SE.
    reach = sign * (norm.ppf(0.95) + norm.ppf(0.90)) * 0.1
    assert found.minimum_detectable == pytest.approx(reach if scale == "linear" else math.exp(reach), rel=1e-12)
    assert norm.cdf(abs(reach) / 0.1 - norm.ppf(0.95)) == pytest.approx(0.9)


@pytest.mark.parametrize(("value", "margin"), [(0.0, 0.3), (0.5, 0.3), (-0.2, 0.05)])
def test_n_needed_settles_a_mean_difference_in_nine_of_ten_cases(value: float, margin: float) -> None:
    """Normal scores of sd 1. At the n that 50 documents ask for, 600 comparisons: settled (a bound beyond the margin
    or within it) in .90 of cases; Binomial(600, .9) has sd 7.3, limits 4.5 sd. A quarter of that n must not do.
    """
    error = math.sqrt(2 / 50)
    n = int(needed(value, error, scale="linear", n=50)(margin))
    assert n == math.ceil(50 * ((norm.ppf(0.95) + norm.ppf(0.9)) * error / (margin - value)) ** 2)

    def settled(size: int) -> int:
        generator = rng(size)
        means = generator.normal(value, math.sqrt(2 / size), size=600)
        reach = norm.ppf(0.95) * math.sqrt(2 / size)
        return int(np.count_nonzero((means + reach <= margin) | (means - reach > margin)))

    assert abs(settled(n) - 540) < 4.5 * 7.4
    assert settled(n // 4) < 540 - 4.5 * 7.4


def test_n_needed_on_the_log_scale_and_where_nothing_settles() -> None:
    assert needed(1.0, 0.1, scale="log", n=100)(0.8) == math.ceil(
        100 * ((norm.ppf(0.95) + norm.ppf(0.9)) * 0.1 / math.log(0.8)) ** 2
    )
    assert math.isinf(needed(0.8, 0.1, scale="log", n=100)(0.8))
    assert math.isinf(needed(0.05, 0.1, scale="linear", n=100)(0.05))
    assert math.isinf(needed(0.1, math.inf, scale="linear", n=5)(0.05))
    assert math.isfinite(needed(0.0, 0.1, scale="log", n=100)(0.8))


# Jackknife


def test_the_jackknife_of_a_mean_is_its_classical_standard_error() -> None:
    values = rng(9).gamma(1.5, size=25)
    without = (values.sum() - values) / 24
    influence = np.zeros(50)
    influence[25:] = jackknife(values.mean(), without)
    design = by_document(25, 25, rng())
    assert design.standard_error(influence) == pytest.approx(values.std(ddof=1) / 5, rel=1e-12)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_jackknife_influence_gives_the_jackknife_variance_by_definition(values: list[float]) -> None:
    """(n-1)/n sum (theta_(i) - mean)^2, for an arbitrary statistic's leave-one-out values."""
    without = np.array(values)
    n = without.size
    expected = (n - 1) / n * ((without - without.mean()) ** 2).sum()
    influence = jackknife(1.0, without)
    assert influence.sum() == pytest.approx(0.0, abs=1e-9)
    assert (influence**2).sum() * n / (n - 1) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_design_says_what_was_resampled() -> None:
    design: Design = by_document(12, 12, rng())
    assert (
        estimate(0.0, 0.1, scale="linear", worse="higher", p_value=1.0, design=design, method="how").method
        == "how; documents"
    )


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_what_sums_round_to_is_no_change_where_all_values_are_alike(scale: Literal["log", "linear"]) -> None:
    """Two sides of one mean, apart by a last digit and with a spread of rounding: t would be any number."""
    ratios = np.array([[20.0, 20.0], [20.0, np.nextafter(20.0, 21)]])
    errors = np.full((2, 2), 1e-16)
    assert studentised(ratios, errors, scale=scale).tolist() == [0.0, 0.0]
