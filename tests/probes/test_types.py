"""What a probe may hand back: an estimate that a report can carry, one a gate, or the reason why there is none."""

from __future__ import annotations

import math
from typing import Any

import pytest
from builders import pair

from collapse_audit.errors import ProbeError
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured
from collapse_audit.probes.types import Probe, probe

# What no report may carry


@pytest.mark.parametrize(
    "broken",
    [
        {"value": math.nan},
        {"value": math.inf},
        {"low": math.nan},
        {"high": math.nan},
        {"low": 2.0, "high": 1.0},
        {"p_value": 0.0},
        {"p_value": 1.5},
        {"p_value": math.nan},
    ],
)
def test_an_estimate_that_no_report_may_carry_is_refused(broken: dict[str, float]) -> None:
    sound: dict[str, Any] = {
        "value": 1.0,
        "low": 0.5,
        "high": 1.5,
        "method": "m",
        "p_value": 0.5,
        "n_baseline": 1,
        "n_generation": 1,
    }
    Estimate(**sound)
    with pytest.raises(ProbeError):
        Estimate(**{**sound, **broken})


# What a probe hands back

TWO = (
    Gate(statistic="a", unit="u", worse="higher", margin=1.0, because="b"),
    Gate(statistic="b", unit="u", worse="higher", margin=1.0, because="b"),
)


def returning(result: object) -> Probe:
    @probe(name="mine", gates=TWO)
    def mine(_pair: Pair) -> Any:
        return result

    return mine


def nothing(statistic: str) -> NotMeasured:
    return NotMeasured(reason="r", statistic=statistic)


def test_readings_come_in_the_order_of_the_gates() -> None:
    readings = returning([nothing("b"), nothing("a")])(pair(["a"], ["b"]))
    assert [reading.statistic for reading in readings] == ["a", "b"]


@pytest.mark.parametrize(
    "result",
    [
        [],
        [nothing("a")],
        nothing("a"),
        [nothing("a"), nothing("a")],
        [nothing("a"), nothing("b"), nothing("c")],
        [nothing("a"), nothing("c")],
        None,
        3.5,
        [1.0, 2.0],
        "ab",
    ],
)
def test_a_probe_that_returns_anything_but_one_reading_a_gate_is_a_probe_error(result: object) -> None:
    with pytest.raises(ProbeError, match="probe mine returned"):
        returning(result)(pair(["a"], ["b"]))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"worse": "sideways"}, 'worse must be "higher" or "lower"'),
        ({"margin": float("nan")}, "margin must be a finite number"),
        ({"margin": float("inf")}, "margin must be a finite number"),
    ],
)
def test_a_gate_that_no_verdict_could_use_is_refused(changed: dict[str, object], message: str) -> None:
    sound = {"statistic": "s", "unit": "u", "worse": "higher", "margin": 1.0, "because": "b"}
    with pytest.raises(ProbeError, match=message):
        Gate(**{**sound, **changed})  # type: ignore[arg-type]
