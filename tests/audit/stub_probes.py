"""Probes that hand back what was made up, so that every adjusted p-value has a hand-worked answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from collapse_audit import audit
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import Estimate, Gate, Reading
from collapse_audit.probes.types import Probe
from collapse_audit.reports.document import AuditReport, Finding

FINE = Estimate(value=0.0, low=-0.1, high=0.1, method="made up", p_value=0.9, n_baseline=9, n_generation=9)
BAD = replace(FINE, value=3.0, low=2.9, high=3.1, p_value=0.001)


def stub(
    name: str,
    measure: Callable[[Pair], Any],
    *,
    gates: int = 1,
    needs: frozenset[Any] = frozenset({"text"}),
) -> Probe:
    """A probe with gates g0, g1, … of margin 1, damage upwards."""
    return Probe(
        name=name,
        code=f"X-{name}",
        needs=needs,
        gates=tuple(
            Gate(statistic=f"g{number}", unit="u", worse="higher", margin=1.0, because="a test")
            for number in range(gates)
        ),
        source="",
        since="",
        doc="",
        measure=measure,
    )


def constant(name: str, reading: Reading, **details: Any) -> Probe:
    return stub(name, lambda _: reading, **details)


def explodes(_: Pair) -> Reading:
    """A measure that crashes."""
    raise ZeroDivisionError("no such luck")


def run(root: Path, *probes: Probe, **arguments: Any) -> AuditReport:
    """Audit with these probes only."""
    names = " or ".join(probe.name for probe in probes)
    return audit(root, probes=probes, **{"select": f"({names})"} | arguments)


def by_place(report: AuditReport) -> dict[tuple[int, str], Finding]:
    """The findings of probes with a single statistic."""
    return {(finding.generation, finding.probe): finding for finding in report.findings}
