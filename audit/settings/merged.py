"""What each setting may hold, and settings as they pile up, source by source: the nearest wins."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from collapse_audit.lineages.corpora.readers.fields import FIELDS
from collapse_audit.probes.pairs.units import UNITS
from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.probes.types import Probe, leading_gate
from collapse_audit.verdicts.waivers import Waiver, read_waivers


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What a user says of one gate: another margin, and why."""

    margin: float
    reason: str
    origin: str
    pass_margin: float | None = None
    """Where pass starts, if that is not where fail ends."""
    auto: bool = False
    """``margin = "auto"``: to be settled on the baseline's own text; ``margin`` holds where that is not possible."""


def _whole(least: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"a whole number of at least {least}")
        return value

    return check


def _alpha(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError("a number between 0 and 1")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a string")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _probes(value: Any) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) or not isinstance(value, Iterable) or not all(isinstance(name, str) for name in value):
        raise ValueError("true (all probes), false, or a list of names of probes")
    return tuple(value)


def _documents(value: Any) -> str:
    if value not in ("", "lines", "paragraphs", "files"):
        raise ValueError('"lines", "paragraphs" or "files"')
    return str(value)


def _evidence(value: Any) -> str:
    if value not in ("none", "terms", "texts"):
        raise ValueError('"none", "terms" or "texts"')
    return str(value)


def _unit(value: Any) -> str:
    if value not in UNITS:
        raise ValueError(", ".join(f'"{unit}"' for unit in UNITS[:-1]) + f' or "{UNITS[-1]}"')
    return str(value)


CHECKS: dict[str, Callable[[Any], Any]] = {
    "alpha": _alpha,
    "baseline": _text,
    "labels": _text,
    "tokens": _text,
    "permutations": _whole(999),
    "max_documents": _whole(0),
    "unit": _unit,
    "evidence": _evidence,
    "independent": _flag,
    "allow_inconclusive": _flag,
    "anytime": _flag,
    "fail_on_change": _probes,
    "seed": _whole(0),
    "documents": _documents,
}


class Merged:
    """Settings as they pile up, source by source."""

    def __init__(self, probes: tuple[Probe, ...]) -> None:
        self.probes = {probe.name: probe for probe in probes}
        self.plain: dict[str, Any] = {}
        self.gates: dict[tuple[str, str], GateSettings] = {}
        self.disabled: set[str] = set()
        self.waivers: list[Waiver] = []
        self.fields: dict[str, tuple[str, ...]] = {}

    def add(self, origin: str, table: Mapping[str, Any]) -> list[str]:
        problems = []
        for key, value in table.items():
            if key == "probes":
                problems.extend(self._probes(origin, value))
            elif key == "fields":
                problems.extend(self._fields(origin, value))
            elif key == "waivers":
                waivers, wrong = read_waivers(value, origin, self.probes.values())
                self.waivers.extend(waivers)
                problems.extend(wrong)
            elif key in CHECKS:
                try:
                    self.plain[key] = CHECKS[key](value)
                except ValueError as allowed:
                    problems.append(f"{origin}: {key} = {value!r}; allowed: {allowed}")
                else:
                    problems.extend(self._unknown(origin) if key == "fail_on_change" else ())
            else:
                known = [*CHECKS, "fields", "probes", "waivers"]
                problems.append(f"{origin}: unknown setting {key!r}{near(key, known)}")
        return problems

    def _fields(self, origin: str, table: Any) -> list[str]:
        """Where records have what: each a path, or a list of paths."""
        if not isinstance(table, Mapping):
            return [f"{origin}: fields = {table!r}; allowed: a table with {', '.join(FIELDS)}"]
        problems = []
        for name, value in table.items():
            paths = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
            if name not in FIELDS:
                problems.append(f"{origin}: fields: unknown {name!r}{near(name, FIELDS)}")
            elif not paths or not all(isinstance(path, str) and path for path in paths):
                problems.append(
                    f"{origin}: fields.{name} = {value!r}; allowed: the path of a field, or a list of paths"
                )
            else:
                self.fields[name] = paths
        return problems

    def _unknown(self, origin: str) -> Iterable[str]:
        """Probes by name or code -> by name; a complaint for each that there is not."""
        asked = self.plain["fail_on_change"]
        if isinstance(asked, bool):
            return
        known = {name.lower(): probe.name for probe in self.probes.values() for name in (probe.name, probe.code)}
        self.plain["fail_on_change"] = tuple(dict.fromkeys(known[n.lower()] for n in asked if n.lower() in known))
        for name in asked:
            if name.lower() not in known:
                yield f"{origin}: fail_on_change: no probe is called {name!r}{near(name, self.probes)}"

    def _probes(self, origin: str, tables: Any) -> list[str]:
        if not isinstance(tables, Mapping):
            return [f"{origin}: probes = {tables!r}; allowed: a table of probes, such as [probes.tail-mass]"]
        problems = []
        for name, table in tables.items():
            if name not in self.probes:
                problems.append(f"{origin}: no probe is called {name!r}{near(name, self.probes)}")
            elif not isinstance(table, Mapping):
                problems.append(f"{origin}: probes.{name} = {table!r}; allowed: a table")
            else:
                problems.extend(self._probe(origin, self.probes[name], table))
        return problems

    def _probe(self, origin: str, probe: Probe, table: Mapping[str, Any]) -> list[str]:
        problems = []
        statistics = {gate.statistic: gate for gate in probe.gates}
        here = {key: value for key, value in table.items() if key in ("margin", "reason")}
        leading = leading_gate(probe)
        if here and leading is not None:
            problems.extend(self._gate(origin, probe, leading, here))
        elif here:
            problems.append(
                f"{origin}: probes.{probe.name} has several statistics; set the margin of one of them: "
                + ", ".join(f"{probe.name}.{statistic}.margin" for statistic in statistics)
            )
        for key, value in table.items():
            if key in here:
                continue
            if key == "enabled" and isinstance(value, bool):
                (self.disabled.discard if value else self.disabled.add)(probe.name)
            elif key == "enabled":
                problems.append(f"{origin}: probes.{probe.name}.enabled = {value!r}; allowed: true or false")
            elif key in statistics and isinstance(value, Mapping):
                problems.extend(self._gate(origin, probe, statistics[key], value))
            else:
                known = ["margin", "reason", "enabled", *statistics]
                problems.append(f"{origin}: probes.{probe.name}: unknown setting {key!r}{near(key, known)}")
        return problems

    def _gate(self, origin: str, probe: Probe, gate: Gate, table: Mapping[str, Any]) -> list[str]:
        place = f"{origin}: probes.{probe.name}.{gate.statistic}"
        unknown = [key for key in table if key not in ("margin", "reason")]
        if unknown:
            return [f"{place}: unknown setting {unknown[0]!r}; allowed: margin, reason"]
        margin = table.get("margin", gate.margin)
        if margin == "auto" and gate.pass_margin is None:
            self.gates[probe.name, gate.statistic] = GateSettings(
                margin=gate.margin,
                reason=f"the default, where this text settles none ({origin})",
                origin=origin,
                auto=True,
            )
            return []
        low, high, allowed = range_of(gate)
        if isinstance(margin, bool) or not isinstance(margin, int | float) or not low < margin < high:
            also = "" if gate.pass_margin is not None else ", or auto"
            return [f"{place}.margin = {margin!r}; allowed: {allowed} ({gate.unit}){also}"]
        reason = table.get("reason", f"set by {origin}")
        if not isinstance(reason, str):
            return [f"{place}.reason = {reason!r}; allowed: a string"]
        self.gates[probe.name, gate.statistic] = GateSettings(margin=float(margin), reason=reason, origin=origin)
        return []


def range_of(gate: Gate) -> tuple[float, float, str]:
    """Between which bounds a margin of ``gate`` makes sense, and the same in words."""
    if gate.worse == "lower" and gate.unit == "ratio":
        return 0, 1, "a ratio between 0 and 1"
    if gate.worse == "higher" and gate.unit.startswith("share"):
        return 0, 1, "a share between 0 and 1"
    if gate.margin < 0:  # of a difference whose damage is a fall
        return -math.inf, 0, "a number under 0"
    return 0, math.inf, "a number over 0"


def near(word: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; allowed: {', '.join(known)}"
