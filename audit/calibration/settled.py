"""Trials judged after the fact, their rates with exact intervals, and the smallest margins that they can settle.

Pure functions of readings: what the text was, and what was planted in it, is the business of calibration.py.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri

from collapse_audit.probes.statistics.readings import Z_POWER, Estimate, Gate, NotMeasured, Reading, Z
from collapse_audit.reports.document import Outcome, worst
from collapse_audit.verdicts.family import judge_family

FloatArray = npt.NDArray[np.float64]
Key = tuple[str, str]
"""Probe and statistic."""
Gates = Mapping[Key, Gate]

WHOLE: Key = ("", "")
"""Stands for all findings of a trial together."""
_LEVEL = 0.95
_FASTEST = 0.5
"""Errors of means fall as n^-0.5. What seems to fall faster is a floor or a bias that ends somewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One pair of samples, measured. What had no input is not in ``readings``."""

    scenario: str
    index: int
    readings: Mapping[Key, Reading]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        readings = [[*key, _reading_to_json(reading)] for key, reading in self.readings.items()]
        return {"scenario": self.scenario, "index": self.index, "readings": readings}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        """The inverse of :meth:`to_json`; raises KeyError, TypeError or ValueError for anything else."""
        readings = {(str(p), str(s)): _reading_from_json(value) for p, s, value in data["readings"]}
        return cls(scenario=str(data["scenario"]), index=int(data["index"]), readings=readings)


def _reading_to_json(reading: Reading) -> dict[str, Any] | None:
    if isinstance(reading, NotMeasured):
        return None
    low, high = (bound if math.isfinite(bound) else None for bound in (reading.low, reading.high))
    can_fail = reading.can_fail
    return {"value": reading.value, "low": low, "high": high, "p_value": reading.p_value, "can_fail": can_fail}


def _reading_from_json(data: Mapping[str, Any] | None) -> Reading:
    if data is None:
        return NotMeasured(reason="one side has the input and the other has not", neutral=False)
    return Estimate(
        value=float(data["value"]),
        low=-math.inf if data["low"] is None else float(data["low"]),
        high=math.inf if data["high"] is None else float(data["high"]),
        method="",
        p_value=None if data["p_value"] is None else float(data["p_value"]),
        n_baseline=0,
        n_generation=0,
        can_fail=bool(data["can_fail"]),
    )


# ------------------------------------------------------------------------------------------------------------- rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """``count`` of ``trials``, with the exact two-sided 95% interval."""

    count: int
    trials: int

    @property
    def value(self) -> float:
        """The share itself; 0 of no trial."""
        return self.count / max(self.trials, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404."""
        k, n, tail = self.count, self.trials, (1 - _LEVEL) / 2
        low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
        high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
        return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How often one finding, or the whole gate, came out as what."""

    counts: Mapping[Outcome, int]

    def rate(self, outcome: Outcome) -> Rate:
        """How often it came out as ``outcome``."""
        return Rate(count=self.counts.get(outcome, 0), trials=sum(self.counts.values()))


def tallies(trials: Iterable[Trial], gates: Gates, *, alpha: float) -> dict[tuple[str, Key], Tally]:
    """Outcomes by scenario and finding (:data:`WHOLE` for the gate), had ``gates`` been in force."""
    counts: dict[tuple[str, Key], Counter[Outcome]] = {}
    for trial in trials:
        for key, outcome in outcomes(trial, gates, alpha=alpha).items():
            counts.setdefault((trial.scenario, key), Counter())[outcome] += 1
    return {place: Tally(counts=counter) for place, counter in counts.items()}


def outcomes(trial: Trial, gates: Gates, *, alpha: float) -> dict[Key, Outcome]:
    """Judge a trial as an audit of this one generation: Holm over its findings, then the one rule; and the worst."""
    estimates = {key: reading for key, reading in trial.readings.items() if isinstance(reading, Estimate)}
    judged = judge_family(estimates, gates, alpha=alpha)
    outcomes_by_key = {key: judged[key].outcome if key in judged else Outcome.INCONCLUSIVE for key in trial.readings}
    return {**outcomes_by_key, WHOLE: worst(outcomes_by_key.values())}


# ----------------------------------------------------------------------------------------------------------- margins


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The smallest margin that a number of documents can settle."""

    margin: float
    """In the gate's unit; no number of the gate's range where none can be settled."""
    found_from: float
    """The change that fails against this margin with 90% power."""
    exponent: float | None
    """The error falls as n to this power (negated), where the margin was carried over to another n."""


def _settled(readings: Sequence[Estimate], gate: Gate, rate: float) -> tuple[float, float]:
    """The smallest margin within which a further null pair passes with probability ``rate``, and the standard error.

    Both on the damage scale.

    On that scale (ln of a ratio, else the value itself; damage upwards) a null pair's passing bound is U, about
    normal with standard error s. The mean of K observed ones and the next one differ by a normal with variance
    s^2 (1 + 1/K), so U < mean(U_k) + z_rate s sqrt(1 + 1/K) with probability ``rate``: a prediction bound. s is the
    standard error that the readings state themselves, from their failing bounds. With U = T + 1.645 s and T centred at
    0 this is (1.645 + z_rate sqrt(1 + 1/K)) s. A pair fails only if T > margin + 1.645 s, far beyond chance, and only
    if "no change" is rejected as well. Both are infinite where a reading is unbounded.
    """
    bounds, errors = _bounds(readings, gate), _errors(readings, gate)
    if not (np.isfinite(bounds).all() and np.isfinite(errors).all()):
        return math.inf, math.inf
    error = float(np.sqrt(np.mean(errors**2)))
    return float(bounds.mean() + ndtri(rate) * math.sqrt(1 + 1 / len(readings)) * error), error


def settled(
    nulls: Iterable[Trial], halves: Iterable[Trial], gates: Gates, *, false_alarms: float, times: float = 1.0
) -> dict[Key, Settled]:
    """Margins at which at most a share ``false_alarms`` of null pairs does not pass, all findings together.

    ``nulls``: null trials of n documents a side, ``halves``: of n/2. Each of m findings may keep 1/m of the false
    alarms (Bonferroni). ``times``: the margins are for ``times`` n documents: carried over along the power of n with
    which the standard errors fell from n/2 to n, but no faster than those of means. A finding without a test, and one
    that some trials could not measure, has no margin here.
    """
    measured, smaller = _by_finding(nulls), _by_finding(halves)
    rate = 1 - false_alarms / max(len(measured), 1)
    return {
        key: _carried_over(readings, smaller.get(key, []), gates[key], rate, times)
        for key, readings in measured.items()
    }


def _carried_over(
    readings: Sequence[Estimate], smaller: Sequence[Estimate], gate: Gate, rate: float, times: float
) -> Settled:
    reach, error = _settled(readings, gate, rate)
    exponent = None
    if times != 1.0:
        exponent = _exponent(_errors(smaller, gate), error)
        reach, error = (x * times**-exponent for x in (reach, error))
    fail_at = reach
    if gate.pass_margin:
        # Pass is settled, and fail keeps its distance from it. Such a probe counts by limits of its own, so it is never
        # made stricter than they are.
        reach = max(reach, _damage(gate.pass_margin, gate))
        apart = gate.margin / gate.pass_margin
        fail_at = reach + _damage(apart, gate) if _is_ratio(gate) else reach * apart
    return Settled(
        margin=_undamaged(fail_at, gate),
        found_from=_undamaged(fail_at + (Z + Z_POWER) * error, gate),
        exponent=exponent,
    )


def _by_finding(trials: Iterable[Trial]) -> dict[Key, list[Estimate]]:
    """The tested estimates of every finding that all trials could measure."""
    trials = list(trials)
    estimates: dict[Key, list[Estimate]] = {}
    for trial in trials:
        for key, reading in trial.readings.items():
            if isinstance(reading, Estimate) and reading.p_value is not None:
                estimates.setdefault(key, []).append(reading)
    return {key: readings for key, readings in estimates.items() if len(readings) == len(trials)}


def _exponent(smaller: FloatArray, error: float) -> float:
    """a in error ~ n^-a, from errors at n/2 and the one at n; within [0, 1/2], and 0 where it cannot be told."""
    before = float(np.sqrt(np.mean(smaller**2))) if smaller.size else math.inf
    if not (math.isfinite(before) and math.isfinite(error) and before > 0 and error > 0):
        return 0.0
    return min(max(math.log2(before / error), 0.0), _FASTEST)


def _bounds(readings: Sequence[Estimate], gate: Gate) -> FloatArray:
    """The bounds that decide on pass, on the damage scale; shape (K,)."""
    return np.array([_damage(r.high if gate.worse == "higher" else r.low, gate) for r in readings])


def _errors(readings: Sequence[Estimate], gate: Gate) -> FloatArray:
    """Standard errors, from the side of the interval that decides on fail; shape (K,)."""
    ends = [(r.value, r.low if gate.worse == "higher" else r.high) for r in readings]
    return np.array([_damage(value, gate) - _damage(end, gate) for value, end in ends]) / Z


def _is_ratio(gate: Gate) -> bool:
    """Whether no change is 1 and errors are those of the logarithm."""
    return gate.unit == "ratio" or (gate.worse == "lower" and gate.margin > 0)


def _damage(value: float, gate: Gate) -> float:
    """``value`` on a scale on which 0 is no change and more is worse."""
    if _is_ratio(gate):
        value = math.log(value) if value > 0 else -math.inf
    return value if gate.worse == "higher" else -value


def _undamaged(damage: float, gate: Gate) -> float:
    """The inverse of :func:`_damage`."""
    value = damage if gate.worse == "higher" else -damage
    return math.exp(min(value, 700.0)) if _is_ratio(gate) else value


def with_margin(gate: Gate, margin: float) -> Gate:
    """``gate`` with another margin; where pass starts keeps its proportion to it, as in settings."""
    near = None if gate.pass_margin is None else gate.pass_margin * margin / gate.margin
    return dataclasses.replace(gate, margin=margin, pass_margin=near)


def unchanged(gate: Gate) -> float:
    """The value of a statistic in which nothing has changed."""
    return 1.0 if _is_ratio(gate) else 0.0


def usable(margin: float, gate: Gate) -> bool:
    """Whether ``margin`` is one that settings may hold: finite, on the side of damage, and no whole share or ratio."""
    if gate.worse == "lower":
        return 0 < margin < 1 if _is_ratio(gate) else margin < 0 and math.isfinite(margin)
    return 0 < margin < (1 if gate.unit.startswith("share") else math.inf)


def rounded(margin: float, gate: Gate) -> float:
    """``margin`` to three significant digits, towards more damage: no promise is made that n cannot keep."""
    step = 10.0 ** (math.floor(math.log10(abs(margin))) - 2)
    steps = round(margin / step, 6)  # a whole number of steps stays one
    return float(f"{(math.ceil(steps) if gate.worse == 'higher' else math.floor(steps)) * step:.3g}")
