"""What a calibration prints: the answer first, in words and counts that fit 80 columns."""

from __future__ import annotations

import math
from typing import Any

import pytest
from scipy.stats import binomtest

from collapse_audit.calibration.bench import NULL
from collapse_audit.calibration.report import Calibration
from collapse_audit.calibration.settled import Trial
from collapse_audit.calibration.text import render
from collapse_audit.probes.statistics.readings import Estimate, Gate

LOOPING = Gate(statistic="looping", unit="share of documents", worse="higher", margin=0.05, because="")
TYPES = Gate(statistic="distinct-types", unit="ratio", worse="lower", margin=0.9, because="")
GATES = {("repetition", "looping"): LOOPING, ("tail-coverage", "distinct-types"): TYPES}


def reading(value: float, error: float, p: float) -> Estimate:
    return Estimate(
        value=value,
        low=value - 1.645 * error,
        high=value + 1.645 * error,
        method="",
        p_value=p,
        n_baseline=100,
        n_generation=100,
    )


def calibration(nulls: int, loops: int, missed: int = 0, **details: Any) -> Calibration:
    """Healthy pairs, pairs that loop and of them some where it is not seen."""
    healthy = {
        ("repetition", "looping"): reading(0.0, 0.005, 0.5),
        ("tail-coverage", "distinct-types"): reading(1.0, 0.01, 0.5),
    }
    looped = healthy | {("repetition", "looping"): reading(0.2, 0.005, 0.001)}
    trials = [Trial(scenario=NULL, index=k, readings=healthy) for k in range(nulls)]
    trials += [Trial(scenario="loop", index=k, readings=looped if k >= missed else healthy) for k in range(loops)]
    usual: dict[str, Any] = {
        "lineage": "runs/latest",
        "baseline": "generation 0",
        "documents": 400,
        "n": 200,
        "audited": 400,
        "seed": 0,
        "alpha": 0.05,
        "permutations": 99,
        "one_sided": False,
        "false_alarms": 0.05,
        "scenarios": {NULL: "nothing planted", "loop": "10% of texts loop"},
        "planned": loops,
        "gates": GATES,
        "trials": tuple(trials),
    }
    return Calibration(**(usual | details))


def flat(page: str) -> str:
    return " ".join(page.split())


def test_false_alarms_come_first_with_what_they_leave_possible() -> None:
    """None of 200: the exact bound is 1 - (alpha / 2)^(1 / 200), 1.8%."""
    page = render(calibration(200, 50), width=80)
    assert pytest.approx(0.0183, abs=1e-4) == 1 - 0.025 ** (1 / 200)
    assert (
        "False alarms: of 200 pairs of healthy halves the gate failed 0, so with 95% confidence it fails at most 1.8% "
        "of such pairs. It passed 200." in flat(page)
    )
    assert page.index("False alarms") < page.index("Damage") < page.index("Margins")
    assert "tell little" not in page


def test_few_pairs_are_said_to_tell_little_and_what_gives_more() -> None:
    page = flat(render(calibration(4, 1), width=80))
    assert "at most 60% of such pairs" in page
    assert "So few pairs tell little: --minutes and --trials give more." in page
    assert "1 of 1 [3-100%]" in page
    assert "a of b [c-d%]: a of b trials failed, and with 95% confidence the rate is c to d percent (exact)" in page


def test_a_damage_is_shown_with_what_finds_it_in_half_of_the_trials() -> None:
    exact = binomtest(30, 50).proportion_ci(0.95, method="exact")
    page = flat(render(calibration(200, 50, missed=20), width=120))
    assert f"loop 30 of 50 [{100 * exact.low:.0f}-{100 * exact.high:.0f}%]" in page
    assert "looping" in page.split("loop 30 of 50")[1].split("a of b")[0]
    seldom = flat(render(calibration(200, 50, missed=26), width=120))
    assert "looping" not in seldom.split("loop 24 of 50")[1].split("a of b")[0]


def test_margins_carry_their_units() -> None:
    lines = render(calibration(200, 50), width=80).splitlines()
    (looping,) = (line.split() for line in lines if line.startswith("repetition / looping"))
    (types,) = (line.split() for line in lines if line.startswith("tail-coverage / distinct-types"))
    assert (looping[3], types[3]) == ("5%", "0.9")
    assert looping[4].endswith("%")
    assert not types[4].endswith("%")


def test_an_unsettled_margin_is_a_dash() -> None:
    unbounded = {
        ("repetition", "looping"): Estimate(
            value=0.0, low=-math.inf, high=math.inf, method="", p_value=0.5, n_baseline=9, n_generation=9
        )
    }
    trials = tuple(Trial(scenario=NULL, index=k, readings=unbounded) for k in range(8))
    page = render(calibration(0, 0, trials=trials), width=80)
    (line,) = (line.split() for line in page.splitlines() if line.startswith("repetition / looping"))
    assert line[3:] == ["5%", "-", "-"]
    assert page.splitlines()[-1].startswith("400 documents support margins of their own for 0 of 1 findings")


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_but_the_last_is_wider_than_the_terminal(width: int, verbose: bool) -> None:
    *body, _ = render(calibration(200, 50), width=width, verbose=verbose).splitlines()
    assert max(map(len, body)) <= width


def test_the_rates_of_every_finding_are_for_those_who_ask() -> None:
    found = calibration(200, 50)
    assert "whole gate" not in render(found, width=80)
    page = flat(render(found, width=80, verbose=True))
    assert "whole gate: pass 200 of 200 [98-100%]; at those for 200: 200 of 200 [98-100%]" in page
