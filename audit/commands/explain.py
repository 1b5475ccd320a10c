"""What a probe is, for people: its page (``explain``, the docs) and the overview (``list``)."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from rich.table import Table

from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.probes.types import Probe


def page(probe: Probe) -> str:
    """The page of one probe: its docstring, then its gates, as plain text."""
    lines = [f"{probe.name} ({probe.code})", "", inspect.cleandoc(probe.doc) or "(no description)", ""]
    lines += ["Gates"]
    for gate in probe.gates:
        lines += [f"    {gate.statistic}: {_limit(gate)}", f"        {gate.because}"]
    if probe.source:
        lines += ["", "Source", f"    {probe.source}"]
    return "\n".join(lines) + "\n"


def overview(probes: Iterable[Probe]) -> Table:
    """All probes in a table: name, code, what they ask, what they need, gates."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("probe", "code", "needs", "fails where", "asks"):
        table.add_column(column, overflow="fold")
    for probe in probes:
        gates = "\n".join(f"{gate.statistic} {_limit(gate)}" for gate in probe.gates)
        asks = (inspect.cleandoc(probe.doc) or "-").splitlines()[0]
        table.add_row(probe.name, probe.code, ", ".join(sorted(probe.needs)), gates, asks)
    return table


def _limit(gate: Gate) -> str:
    sign = ">" if gate.worse == "higher" else "<"
    return f"{sign} {gate.margin:g} {gate.unit}"
