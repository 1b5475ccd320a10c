"""What each setting may hold: ``settings.schema.json``, and in it a table for each probe, made from its gates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from collapse_audit.lineages.files.schema import Schema, read_schema
from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.probes.types import Probe, leading_gate

EDITOR_SCHEMA = files("collapse_audit.settings").joinpath("collapse-audit.schema.json")
"""The same for editors, with the docs of each setting: ``docs/editors.py`` makes it."""
AUTO = "auto"
"""A margin that is to be settled on the baseline's own text."""


def settings_schema(probes: Iterable[Probe]) -> dict[str, Any]:
    """The schema of a table of settings, where these are the probes."""
    schema = read_schema("collapse_audit.settings", "settings.schema.json")
    tables = {probe.name: _probe(probe) for probe in probes}
    schema["properties"]["probes"] |= {"additionalProperties": False, "properties": tables}
    return schema


def checker(probes: Iterable[Probe]) -> Schema:
    """Holds tables of settings against :func:`settings_schema`."""
    probes = tuple(probes)
    return Schema(lambda: settings_schema(probes), whole="settings")


@cache
def setting_names() -> tuple[str, ...]:
    """Every setting, in the order of the schema."""
    return tuple(settings_schema(())["properties"])


def _probe(probe: Probe) -> dict[str, Any]:
    """``[probes.NAME]``: a margin where the name alone means one gate, and a table for each statistic."""
    statistics = {gate.statistic: _table(gate_settings(gate)) for gate in probe.gates}
    leading = leading_gate(probe)
    if leading is not None:
        own = gate_settings(leading)
    else:
        own = {key: _of_one_statistic(probe, key) for key in ("margin", "reason")}
    switch = {"type": "boolean", "description": "true or false"}
    return _table({**own, "enabled": switch, **statistics})


def _of_one_statistic(probe: Probe, key: str) -> dict[str, Any]:
    several = ", ".join(f"{probe.name}.{gate.statistic}.{key}" for gate in probe.gates)
    return {"not": {}, "description": f"the {key} of one of its statistics: {several}"}


def gate_settings(gate: Gate) -> dict[str, Any]:
    """``margin`` and ``reason`` of a gate."""
    low, high = _bounds(gate)
    number: dict[str, Any] = {"type": "number"}
    number |= {"exclusiveMinimum": low} if math.isfinite(low) else {}
    number |= {"exclusiveMaximum": high} if math.isfinite(high) else {}
    allowed = f"{_in_words(low, high, gate.unit)} ({gate.unit})"
    if gate.may_be_automatic:
        margin = {"anyOf": [number, {"const": AUTO}], "description": f"{allowed}, or {AUTO}"}
    else:
        margin = {**number, "description": allowed}
    return {"margin": margin, "reason": {"type": "string", "description": "a string"}}


def _table(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "description": "a table", "additionalProperties": False, "properties": properties}


def _bounds(gate: Gate) -> tuple[float, float]:
    """Between which numbers a margin makes sense."""
    share = gate.unit.startswith("share") and gate.margin > 0
    if (gate.unit == "ratio" and gate.worse == "lower") or share:
        return 0, 1
    return (-math.inf, 0) if gate.margin < 0 else (0, math.inf)  # under 0: of a difference whose damage is a fall


def _in_words(low: float, high: float, unit: str) -> str:
    if high == 1:
        return f"a {'ratio' if unit == 'ratio' else 'share'} between 0 and 1"
    return "a number over 0" if low == 0 else "a number under 0"
