"""What a calibration found: as numbers and as settings. Nothing is measured here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tomli_w

from collapse_audit.calibration.bench import NULL, NULL_HALF
from collapse_audit.calibration.settled import (
    WHOLE,
    Gates,
    Key,
    Rate,
    Settled,
    Tally,
    Trial,
    rounded,
    settled,
    tallies,
    usable,
    with_margin,
)
from collapse_audit.reports.document import Outcome

FORMAT_VERSION = 1
SHOWN = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)

Tallies = Mapping[tuple[str, Key], Tally]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Trials on one baseline, and what they were for."""

    lineage: str
    baseline: str
    documents: int
    n: int
    """Documents a side of every trial."""
    audited: int
    """Documents a side that an audit compares: what margins are proposed for."""
    seed: int
    alpha: float
    permutations: int
    one_sided: bool
    false_alarms: float
    scenarios: Mapping[str, str]
    planned: int
    gates: Gates
    """As they are in force."""
    trials: tuple[Trial, ...]

    def of(self, scenario: str) -> list[Trial]:
        """The trials of one scenario."""
        return [trial for trial in self.trials if trial.scenario == scenario]

    @property
    def shown(self) -> list[str]:
        """Scenarios whose rates are told: at n documents a side, and tried."""
        return [name for name in self.scenarios if name != NULL_HALF and self.of(name)]

    @cached_property
    def findings(self) -> list[Key]:
        """What at least one trial measured, in the order of the probes."""
        measured = {key for trial in self.trials for key in trial.readings}
        return [key for key in self.gates if key in measured]

    @cached_property
    def at_n(self) -> dict[Key, Settled]:
        """Margins for trials of this n: what the rates at settled margins are judged by."""
        return self._usable(1.0)

    @cached_property
    def proposed(self) -> dict[Key, Settled]:
        """Margins for the n of an audit."""
        return self._usable(self.audited / self.n)

    def _usable(self, times: float) -> dict[Key, Settled]:
        if not self.of(NULL):
            return {}
        margins = settled(self.of(NULL), self.of(NULL_HALF), self.gates, false_alarms=self.false_alarms, times=times)
        return {key: setting for key, setting in margins.items() if usable(setting.margin, self.gates[key])}

    @cached_property
    def in_force(self) -> Tallies:
        """Rates at the margins in force."""
        return tallies(self.trials, self.gates, alpha=self.alpha)

    @cached_property
    def at_settled(self) -> Tallies:
        """Rates at the margins that n settles; a finding without one keeps its own."""
        gates = dict(self.gates)
        for key, setting in self.at_n.items():
            gates[key] = with_margin(gates[key], rounded(setting.margin, gates[key]))
        return tallies(self.trials, gates, alpha=self.alpha)


# ------------------------------------------------------------------------------------------------------------ numbers


def numbers(calibration: Calibration) -> dict[str, Any]:
    """Everything as JSON values: counts, rates and their exact intervals, at the margins in force and settled."""
    return {
        "format_version": FORMAT_VERSION,
        "lineage": calibration.lineage,
        "baseline": calibration.baseline,
        "documents": calibration.documents,
        "n": calibration.n,
        "n_audited": calibration.audited,
        "seed": calibration.seed,
        "alpha": calibration.alpha,
        "permutations": calibration.permutations,
        "one_sided": calibration.one_sided,
        "false_alarms": calibration.false_alarms,
        "scenarios": {
            name: {"planted": words, "trials": len(calibration.of(name))}
            for name, words in calibration.scenarios.items()
        },
        "findings": [_finding(calibration, key) for key in calibration.findings],
        "gate": {name: _rates(calibration, rates, WHOLE) for name, rates in _both(calibration)},
    }


def _both(calibration: Calibration) -> tuple[tuple[str, Tallies], ...]:
    return ("in_force", calibration.in_force), ("settled", calibration.at_settled)


def _finding(calibration: Calibration, key: Key) -> dict[str, Any]:
    gate = calibration.gates[key]
    row = {
        "probe": key[0],
        "statistic": key[1],
        "unit": gate.unit,
        "worse": gate.worse,
        "margin": gate.margin,
        "rates": {name: _rates(calibration, rates, key) for name, rates in _both(calibration)},
    }
    for name, which in (("settled", calibration.at_n), ("proposed", calibration.proposed)):
        if key in which:
            setting = which[key]
            row[name] = {
                "margin": rounded(setting.margin, gate),
                **({"found_from": setting.found_from} if math.isfinite(setting.found_from) else {}),
                **({} if setting.exponent is None else {"exponent": setting.exponent}),
            }
    return row


def _rates(calibration: Calibration, rates: Tallies, key: Key) -> dict[str, Any]:
    return {
        name: {outcome.value: _rate(rates[name, key].rate(outcome)) for outcome in SHOWN}
        for name in calibration.scenarios
        if (name, key) in rates
    }


def _rate(rate: Rate) -> dict[str, float | int]:
    low, high = rate.interval
    return {"count": rate.count, "trials": rate.trials, "rate": rate.value, "low": low, "high": high}


# ----------------------------------------------------------------------------------------------------------- settings


def settings(calibration: Calibration) -> str:
    """The proposed margins as a file of settings, for ``--config FILE``."""
    reason = (
        f"calibrated: within it, {1 - calibration.false_alarms:.0%} of healthy generations of "
        f"{calibration.audited:,} documents pass all findings "
        f"({len(calibration.of(NULL))} pairs of {calibration.n:,}, seed {calibration.seed})"
    )
    probes: dict[str, dict[str, Any]] = {}
    for (probe, statistic), proposal in calibration.proposed.items():
        margin = rounded(proposal.margin, calibration.gates[probe, statistic])
        probes.setdefault(probe, {})[statistic] = {"margin": margin, "reason": reason}
    return "# Made by collapse-audit calibrate.\n" + tomli_w.dumps({"probes": probes})
