"""Rates of trials with exact intervals, and the smallest margins that null pairs settle."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from collapse_audit.calibration.bench import NULL, NULL_HALF
from collapse_audit.calibration.settled import (
    WHOLE,
    Key,
    Rate,
    Trial,
    _settled,
    _undamaged,
    outcomes,
    rounded,
    settled,
    tallies,
    usable,
    with_margin,
)
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured
from collapse_audit.reports.document import Outcome


def settled_margin(readings: Sequence[Estimate], gate: Gate, *, rate: float) -> float:
    return _undamaged(_settled(readings, gate, rate)[0], gate)


Z95 = float(norm.ppf(0.95))
RISE = Gate(statistic="rise", unit="share of documents", worse="higher", margin=0.05, because="")
RATIO = Gate(statistic="ratio", unit="ratio", worse="lower", margin=0.8, because="")
FALL = Gate(statistic="fall", unit="points", worse="lower", margin=-0.05, because="")
COVERAGE = Gate(statistic="kept", unit="ratio", worse="lower", margin=0.5, pass_margin=0.25, because="")


def around(value: float, error: float, gate: Gate, p_value: float = 0.5) -> Estimate:
    """An estimate with its normal 90% interval, on the logarithm where the gate is a ratio's."""
    low, high = (
        (value * math.exp(-Z95 * error), value * math.exp(Z95 * error))
        if gate.unit == "ratio"
        else (value - Z95 * error, value + Z95 * error)
    )
    return Estimate(value=value, low=low, high=high, method="", p_value=p_value, n_baseline=9, n_generation=9)


@given(trials=st.integers(1, 300), data=st.data())
def test_intervals_are_the_exact_ones(trials: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, trials))
    expected = binomtest(count, trials).proportion_ci(0.95, method="exact")
    assert Rate(count=count, trials=trials).interval == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_whole_gate_is_the_worst_finding() -> None:
    """Holm over two: p = .01 doubles to .02; the other may stay .5. An input on one side only is inconclusive."""
    gates: dict[Key, Gate] = {("a", "rise"): RISE, ("b", "ratio"): RATIO}
    bad, good = around(0.3, 0.02, RISE, p_value=0.01), around(1.0, 0.02, RATIO)
    missing = NotMeasured(reason="", neutral=False)
    cases: list[tuple[dict[Key, Any], Outcome]] = [
        ({("a", "rise"): bad, ("b", "ratio"): good}, Outcome.FAIL),
        ({("a", "rise"): around(0.3, 0.02, RISE, p_value=0.03), ("b", "ratio"): good}, Outcome.INCONCLUSIVE),
        ({("a", "rise"): missing, ("b", "ratio"): good}, Outcome.INCONCLUSIVE),
        ({("b", "ratio"): good}, Outcome.PASS),
        ({}, Outcome.NOT_MEASURED),
    ]
    trials = [Trial(scenario="x", index=index, readings=readings) for index, (readings, _) in enumerate(cases)]
    assert [outcomes(one, gates, alpha=0.05)[WHOLE] for one in trials] == [outcome for _, outcome in cases]
    counted = tallies(trials, gates, alpha=0.05)["x", WHOLE]
    assert counted.rate(Outcome.INCONCLUSIVE) == Rate(count=2, trials=5)


@pytest.mark.parametrize("gate", [RISE, RATIO, FALL])
@pytest.mark.parametrize("pairs", [1, 4])
def test_a_margin_is_the_mean_bound_and_what_the_next_pair_may_differ(gate: Gate, pairs: int) -> None:
    """With T = 0 and standard error s: 1.645 s + z s sqrt(1 + 1/K), on the logarithm for a ratio."""
    error, none = 0.02, 1.0 if gate is RATIO else 0.0
    readings = [around(none, error, gate)] * pairs
    reach = Z95 * error + norm.ppf(0.9) * error * math.sqrt(1 + 1 / pairs)
    expected = {RISE: reach, RATIO: math.exp(-reach), FALL: -reach}[gate]
    assert settled_margin(readings, gate, rate=0.9) == pytest.approx(expected)


def test_the_next_null_pair_passes_at_the_stated_rate_and_never_fails() -> None:
    """20,000 times: K null readings with T ~ N(0, s), and one more. A prediction bound is exact for every K. To fail,
    T must exceed 3.3 s and more; in 20,000 pairs that happens to 10 or fewer (probability under .0005 each)."""
    rng, error, repeats = np.random.default_rng(4), 0.03, 20_000
    for pairs, rate in ((1, 0.95), (4, 0.95), (8, 0.90)):
        margins = [
            settled_margin([around(math.exp(t), error, RATIO) for t in row], RATIO, rate=rate)
            for row in rng.normal(0, error, (2_000, pairs))
        ]
        after = rng.normal(0, error, (2_000, repeats // 2_000))
        passed = np.exp(after - Z95 * error) >= np.array(margins)[:, None]
        failed = np.exp(after + Z95 * error) < np.array(margins)[:, None]
        assert abs(passed.mean() - rate) < 4 * math.sqrt(rate * (1 - rate) / 2_000)
        assert failed.mean() <= 0.0005


def test_an_unbounded_reading_settles_nothing() -> None:
    lost = Estimate(value=0.0, low=0.0, high=0.4, method="", p_value=0.1, n_baseline=9, n_generation=9)
    open_ended = Estimate(value=0.1, low=-math.inf, high=math.inf, method="", p_value=0.1, n_baseline=9, n_generation=9)
    assert settled_margin([around(1.0, 0.1, RATIO), lost], RATIO, rate=0.95) == 0.0
    assert settled_margin([open_ended], RISE, rate=0.95) == math.inf
    assert not usable(0.0, RATIO)
    assert not usable(math.inf, RISE)


def null_trials(readings: Iterable[Sequence[Estimate]], keys: Sequence[Key], scenario: str = NULL) -> list[Trial]:
    return [
        Trial(scenario=scenario, index=index, readings=dict(zip(keys, row, strict=True)))
        for index, row in enumerate(readings)
    ]


def test_findings_share_the_false_alarms() -> None:
    keys: list[Key] = [("a", "rise"), ("b", "ratio")]
    trials = null_trials([[around(0.0, 0.02, RISE), around(1.0, 0.02, RATIO)]] * 5, keys)
    found = settled(trials, [], dict(zip(keys, (RISE, RATIO), strict=True)), false_alarms=0.10)
    alone = settled_margin([around(0.0, 0.02, RISE)] * 5, RISE, rate=0.95)
    assert found["a", "rise"].margin == pytest.approx(alone)
    assert found["b", "ratio"].margin == pytest.approx(math.exp(-alone))
    # Found with 90% power: beyond the margin by 1.645 for the bound and 1.2816 for the power.
    assert found["a", "rise"].found_from == pytest.approx(alone + (Z95 + norm.ppf(0.9)) * 0.02)


@pytest.mark.parametrize(
    ("smaller", "exponent"), [(0.02 * 2**0.5, 0.5), (0.02 * 2**0.3, 0.3), (0.04, 0.5), (0.015, 0.0), (math.inf, 0.0)]
)
def test_margins_are_carried_over_to_more_documents(smaller: float, exponent: float) -> None:
    """Errors at n/2 and n give the power of n; never faster than n^-1/2, never growing."""
    keys: list[Key] = [("a", "rise")]
    before = (
        around(0.0, smaller, RISE)
        if math.isfinite(smaller)
        else Estimate(value=0, low=-math.inf, high=math.inf, method="", p_value=1.0, n_baseline=9, n_generation=9)
    )
    trials, halves = null_trials([[around(0.0, 0.02, RISE)]] * 3, keys), null_trials([[before]] * 3, keys, NULL_HALF)
    here = settled(trials, halves, {keys[0]: RISE}, false_alarms=0.05)[keys[0]]
    there = settled(trials, halves, {keys[0]: RISE}, false_alarms=0.05, times=3.0)[keys[0]]
    assert here.exponent is None
    assert there.exponent == pytest.approx(exponent)
    assert there.margin == pytest.approx(here.margin * 3.0**-exponent)
    assert there.found_from == pytest.approx(here.found_from * 3.0**-exponent)


def test_a_gate_with_limits_of_its_own_is_loosened_but_never_made_stricter() -> None:
    """Coverage passes from .25 and fails under .5: margins keep that proportion."""
    keys: list[Key] = [("a", "kept")]
    narrow = settled(null_trials([[around(1.0, 0.05, COVERAGE)]] * 9, keys), [], {keys[0]: COVERAGE}, false_alarms=0.05)
    assert narrow[keys[0]].margin == pytest.approx(0.5)
    wide = settled(null_trials([[around(1.0, 0.7, COVERAGE)]] * 9, keys), [], {keys[0]: COVERAGE}, false_alarms=0.05)
    passing = settled_margin([around(1.0, 0.7, COVERAGE)] * 9, COVERAGE, rate=0.95)
    assert passing < 0.25
    assert with_margin(COVERAGE, wide[keys[0]].margin).pass_margin == pytest.approx(passing)


def test_what_some_trials_could_not_measure_and_what_has_no_test_is_left_out() -> None:
    keys: list[Key] = [("a", "rise"), ("b", "ratio"), ("c", "fact")]
    fact = Estimate(value=0.0, low=0.0, high=0.1, method="", p_value=None, n_baseline=9, n_generation=9)
    rows = null_trials([[around(0, 0.1, RISE), around(1, 0.1, RATIO), fact]] * 2, keys)
    rows.append(Trial(scenario=NULL, index=2, readings={keys[0]: around(0, 0.1, RISE), keys[2]: fact}))
    assert set(settled(rows, [], {keys[0]: RISE, keys[1]: RATIO, keys[2]: RISE}, false_alarms=0.05)) == {keys[0]}


@given(value=st.floats(1e-4, 0.999))
def test_rounding_goes_towards_damage_and_not_far(value: float) -> None:
    assert value <= rounded(value, RISE) * (1 + 1e-9) <= value * 1.0101
    assert value * 0.9899 <= rounded(value, RATIO) <= value * (1 + 1e-9)
    assert -value * 1.0101 <= rounded(-value, FALL) <= -value * (1 - 1e-9)
    assert rounded(rounded(value, RISE), RISE) == rounded(value, RISE)


def test_a_trial_comes_back_from_json_as_it_was() -> None:
    readings = {
        ("a", "rise"): around(0.1, 0.02, RISE),
        ("b", "ratio"): Estimate(
            value=0.0, low=0.0, high=math.inf, method="", p_value=None, n_baseline=0, n_generation=0, can_fail=False
        ),
        ("c", "x"): NotMeasured(reason="gone", neutral=False),
    }
    written = json.dumps(Trial(scenario="loop", index=7, readings=readings).to_json(), allow_nan=False)
    back = Trial.from_json(json.loads(written))
    assert (back.scenario, back.index) == ("loop", 7)
    assert json.dumps(back.to_json()) == written
    for key in (("a", "rise"), ("b", "ratio")):
        one, other = back.readings[key], readings[key]
        assert isinstance(one, Estimate)
        assert isinstance(other, Estimate)
        assert [one.value, one.low, one.high, one.p_value, one.can_fail] == [
            other.value,
            other.low,
            other.high,
            other.p_value,
            other.can_fail,
        ]
    assert isinstance(back.readings["c", "x"], NotMeasured)
    assert not back.readings["c", "x"].neutral
