"""Claims about recipes: Student's t against scipy's own, and the rate at which they are wrong."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.reports.document import Finding, Interval, Outcome
from collapse_audit.run.overview.recipe_claims import RecipeClaim, recipe_claims

Z = 1.6448536269514722
RATIO = Gate(statistic="s", unit="ratio", worse="lower", margin=0.8, because="a test")
SHARE = Gate(statistic="s", unit="share", worse="higher", margin=0.05, because="a test")


def of_seed(seed: int, value: float | None, gate: Gate, error: float = 0.01, **details: object) -> Finding:
    bounds = None
    if value is not None:
        log = gate.unit == "ratio"
        ends = (
            (value * math.exp(-Z * error), value * math.exp(Z * error))
            if log
            else (value - Z * error, value + Z * error)
        )
        bounds = Interval(low=ends[0], high=ends[1], level=0.9, method="by hand")
    fields: dict[str, object] = {
        "probe": "p",
        "code": "CA000",
        "statistic": "s",
        "seed": str(seed),
        "generation": 1,
        "baseline": "generation 0",
        "gating": True,
        "outcome": Outcome.PASS,
        "value": value,
        "unit": gate.unit,
        "worse": gate.worse,
        "interval": bounds,
        "reason": "",
        **details,
    }
    return Finding(**fields)  # type: ignore[arg-type]


def claims(values: Sequence[float | None], gate: Gate, **details: object) -> tuple[RecipeClaim, ...]:
    findings = [of_seed(seed, value, gate, **details) for seed, value in enumerate(values)]  # type: ignore[arg-type]
    return recipe_claims(findings, lambda _: gate, alpha=0.05)


def claim(values: Sequence[float | None], gate: Gate, **details: object) -> RecipeClaim:
    (only,) = claims(values, gate, **details)
    return only


spread_out = st.lists(st.floats(0.05, 3), min_size=3, max_size=8, unique=True).filter(lambda v: np.ptp(v) > 1e-3)


@given(spread_out)
def test_a_share_has_scipys_t_interval_and_one_sided_p(values: list[float]) -> None:
    made = claim(values, SHARE)
    expected = stats.ttest_1samp(values, 0.0, alternative="greater")
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert made.interval is not None
    assert (made.value, made.interval.low, made.interval.high) == pytest.approx((np.mean(values), low, high))
    assert made.p_value == pytest.approx(expected.pvalue)


@given(spread_out)
def test_a_ratio_is_judged_by_its_logarithm(values: list[float]) -> None:
    made = claim(values, RATIO)
    low, high = stats.ttest_1samp(np.log(values), 0.0).confidence_interval(0.9)
    assert made.interval is not None
    assert made.value == pytest.approx(stats.gmean(values))
    assert (made.interval.low, made.interval.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert made.p_value == pytest.approx(stats.ttest_1samp(np.log(values), 0.0, alternative="less").pvalue)


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.50, 0.52, 0.51], Outcome.FAIL),
        ([0.97, 0.99, 0.98], Outcome.PASS),
        ([0.30, 0.95, 0.70], Outcome.INCONCLUSIVE),
    ],
)
def test_the_one_rule_judges_a_recipe_too(values: list[float], outcome: Outcome) -> None:
    assert claim(values, RATIO).outcome is outcome


def test_two_seeds_carry_no_claim_and_one_is_not_even_shown() -> None:
    made = claim([0.1, 0.1001], RATIO)
    assert (made.outcome, made.value, made.n_needed) == (Outcome.INCONCLUSIVE, None, 3)
    assert [dot["value"] for dot in made.seeds] == [0.1, 0.1001]
    assert claims([0.1], RATIO) == ()


def test_seeds_that_agree_to_the_last_digit_are_not_believed() -> None:
    made = claim([0.1, 0.1, 0.1], RATIO)
    assert made.outcome is Outcome.INCONCLUSIVE
    assert "last digit" in made.reason


def test_seeds_in_which_nothing_changed_are_known_as_well_as_their_documents_tell() -> None:
    """No duplicates in any seed: t of 3 seeds times the root mean square of their own errors, over the root of 3."""
    made = claim([0.0, 0.0, 0.0], SHARE, error=0.01)
    assert made.outcome is Outcome.PASS
    assert made.interval is not None
    assert made.interval.high == pytest.approx(stats.t.ppf(0.95, 2) * 0.01 / math.sqrt(3))


def test_a_bias_that_all_seeds_share_is_no_claim() -> None:
    """Trained on the baseline's own texts: each seed's finding is one-sided, and their mean is no fairer."""
    made = claim([0.50, 0.52, 0.51], RATIO, notes=("one-sided",))
    assert made.outcome is Outcome.INCONCLUSIVE
    assert "trained on their baseline's texts" in made.reason


def test_a_copy_of_another_run_is_no_run() -> None:
    findings = [of_seed(seed, value, RATIO) for seed, value in enumerate([0.50, 0.52, 0.51, 0.51])]
    integrity = of_seed(3, 1.0, SHARE, probe="integrity", statistic="unchanged", outcome=Outcome.FAIL)
    run = dataclasses.replace(SHARE, checks_run=True)
    (made,) = recipe_claims([*findings, integrity], lambda f: run if f is integrity else RATIO, alpha=0.05)
    assert [dot["seed"] for dot in made.seeds] == ["0", "1", "2"]


def test_margins_that_seeds_settled_for_themselves_are_those_of_the_claim() -> None:
    """Automatic margins: fail at any change, pass at the strictest of the seeds' own."""
    findings = [
        of_seed(seed, value, RATIO, margin=1.0, pass_margin=settled)
        for seed, (value, settled) in enumerate([(0.97, 0.90), (0.98, 0.92), (0.975, 0.91)])
    ]
    (made,) = recipe_claims(findings, lambda _: RATIO, alpha=0.05)
    assert made.margin == 1.0
    assert made.outcome is Outcome.FAIL  # surely below 1, by t over three seeds
    healthy = [
        of_seed(seed, value, RATIO, margin=1.0, pass_margin=0.92) for seed, value in enumerate([0.99, 1.02, 1.0])
    ]
    assert recipe_claims(healthy, lambda _: RATIO, alpha=0.05)[0].outcome is Outcome.PASS


def test_what_was_not_measured_or_does_not_gate_is_no_seed() -> None:
    findings = [of_seed(seed, 0.5 + seed / 100, RATIO) for seed in range(2)]
    findings += [of_seed(2, None, RATIO), of_seed(3, 0.5, RATIO, gating=False)]
    (made,) = recipe_claims(findings, lambda _: RATIO, alpha=0.05)
    assert made.n_seeds == 2


def test_holm_is_over_the_statistics_of_one_generation() -> None:
    findings = [
        of_seed(seed, value, RATIO, statistic=statistic, generation=generation)
        for generation in (1, 2)
        for statistic, values in (("a", [0.5, 0.6, 0.7]), ("b", [0.6, 0.7, 0.9]))
        for seed, value in enumerate(values)
    ]
    made = {(one.statistic, one.generation): one for one in recipe_claims(findings, lambda _: RATIO, alpha=0.05)}
    small, large = (
        stats.ttest_1samp(np.log(v), 0, alternative="less").pvalue for v in ([0.5, 0.6, 0.7], [0.6, 0.7, 0.9])
    )
    assert small < large
    for generation in (1, 2):
        assert made["a", generation].p_adjusted == pytest.approx(2 * small)
        assert made["b", generation].p_adjusted == pytest.approx(max(large, 2 * small))


def test_the_spread_between_seeds_is_what_documents_do_not_explain() -> None:
    values = [0.10, 0.14, 0.18]  # variance .0016
    assert claim(values, SHARE, error=0.03).between_seeds == pytest.approx(math.sqrt(0.0016 - 0.0009))
    assert claim(values, SHARE, error=0.05).between_seeds == 0.0
    open_ended = [of_seed(seed, value, SHARE) for seed, value in enumerate(values)]
    open_ended[0] = of_seed(0, 0.10, SHARE, interval=Interval(low=0.0, high=None, level=0.9, method=""))
    assert recipe_claims(open_ended, lambda _: SHARE, alpha=0.05)[0].between_seeds is None


def test_the_seeds_that_would_settle_it_do() -> None:
    values = [0.030, 0.055, 0.020]
    made = claim(values, SHARE)
    assert made.outcome is Outcome.INCONCLUSIVE
    assert made.n_needed is not None
    mean, spread = np.mean(values), np.std(values, ddof=1)

    def reach(seeds: int) -> float:
        return float(stats.t.ppf(0.95, seeds - 1) * spread / math.sqrt(seeds))

    assert mean + reach(made.n_needed) < 0.05 <= mean + reach(made.n_needed - 1)


def test_a_recipe_that_changes_nothing_is_seldom_accused_however_far_seeds_lie_apart() -> None:
    """Seeds differ, documents hardly do: pooled documents would be sure of every one of these recipes."""
    rng = np.random.default_rng(0)
    trials, seeds = 2000, 5
    effects = rng.normal(0.0, 0.05, size=(trials, seeds))
    p = np.array([claim(row.tolist(), SHARE, error=0.001).p_value for row in effects])
    # Binomial 99.9% limits of a rate of .05 in 2,000 trials: 69 to 133.
    assert stats.binom.ppf(0.0005, trials, 0.05) <= np.count_nonzero(p <= 0.05) <= stats.binom.ppf(0.9995, trials, 0.05)
