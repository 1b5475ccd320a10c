"""Settings as they pile up, source by source: the nearest wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from collapse_audit.errors import UsageError
from collapse_audit.lineages.files.schema import Misfit, near
from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.probes.text.labels import label_rule
from collapse_audit.probes.types import Probe, leading_gate
from collapse_audit.settings.schema import AUTO, checker
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


class Merged:
    """Settings as they pile up, source by source."""

    def __init__(self, probes: tuple[Probe, ...]) -> None:
        self.probes = {probe.name: probe for probe in probes}
        self.plain: dict[str, Any] = {}
        self.gates: dict[tuple[str, str], GateSettings] = {}
        self.disabled: set[str] = set()
        self.waivers: list[Waiver] = []
        self.fields: dict[str, tuple[str, ...]] = {}
        self._schema = checker(probes)

    def add(self, origin: str, table: Any) -> list[str]:
        """Lay the settings of one source over what is there. Returns everything that is wrong with them, a line each;
        settings that are wrong are left out."""
        misfits = list(self._schema.misfits(table)) if table != {} else []
        if any(not misfit.path for misfit in misfits):
            return [f"{origin}: {table!r}; allowed: {misfits[0].allowed}"]
        problems = []
        for key, value in table.items():
            wrong = [misfit for misfit in misfits if misfit.path[0] == key]
            problems += [self._in_words(misfit, origin) for misfit in wrong] or self._adopt(origin, key, value)
        return problems

    def settle_margins(self) -> None:
        """Under ``margins = "auto"`` every margin that a text can settle and nobody has named is automatic."""
        if self.plain.get("margins") != AUTO:
            return
        for probe in self.probes.values():
            for gate in probe.gates:
                if gate.may_be_automatic and (probe.name, gate.statistic) not in self.gates:
                    self._gate('margins = "auto"', probe, gate, {"margin": AUTO})

    def _in_words(self, misfit: Misfit, origin: str) -> str:
        if misfit.kind == "unknown" and misfit.path[:-1] == ("probes",):
            return _no_probe(origin, str(misfit.path[-1]), self.probes)
        return misfit.of_setting(origin)

    def _adopt(self, origin: str, key: str, value: Any) -> list[str]:
        """A setting that fits the schema."""
        if key == "waivers":
            waivers, problems = read_waivers(value, origin, self.probes.values())
            self.waivers.extend(waivers)
            return problems
        if key == "probes":
            for name, table in value.items():
                self._probe(origin, self.probes[name], table)
        elif key == "fields":
            self.fields |= {name: (path,) if isinstance(path, str) else tuple(path) for name, path in value.items()}
        elif key == "fail_on_change" and not isinstance(value, bool):
            return self._fail_on_change(origin, value)
        elif key == "labels":
            return self._labels(origin, value)
        else:
            self.plain[key] = float(value) if key in ("alpha", "solved_at") else value
        return []

    def _labels(self, origin: str, rule: str) -> list[str]:
        """A rule that is none is a mistake of the source that brings it, whichever source wins in the end."""
        if rule != "auto":
            try:
                label_rule(rule)
            except UsageError as error:
                return [f"{origin}: {error}"]
        self.plain["labels"] = rule
        return []

    def _fail_on_change(self, origin: str, asked: Iterable[str]) -> list[str]:
        """Probes by name or code -> by name; a complaint for each that there is not."""
        known = {name.lower(): probe.name for probe in self.probes.values() for name in (probe.name, probe.code)}
        self.plain["fail_on_change"] = tuple(dict.fromkeys(known[n.lower()] for n in asked if n.lower() in known))
        return [
            _no_probe(f"{origin}: fail_on_change", name, self.probes) for name in asked if name.lower() not in known
        ]

    def _probe(self, origin: str, probe: Probe, table: Mapping[str, Any]) -> None:
        if "enabled" in table:
            (self.disabled.discard if table["enabled"] else self.disabled.add)(probe.name)
        leading = leading_gate(probe)
        own = {key: table[key] for key in ("margin", "reason") if key in table}
        if own and leading is not None:
            self._gate(origin, probe, leading, own)
        for gate in probe.gates:
            if gate.statistic in table:
                self._gate(origin, probe, gate, table[gate.statistic])

    def _gate(self, origin: str, probe: Probe, gate: Gate, table: Mapping[str, Any]) -> None:
        margin = table.get("margin", gate.margin)
        auto = margin == AUTO
        if auto:
            reason = f"the default, where this text settles none ({origin})"
        else:
            reason = table.get("reason", f"set by {origin}")
        self.gates[probe.name, gate.statistic] = GateSettings(
            margin=gate.margin if auto else float(margin), reason=reason, origin=origin, auto=auto
        )


def _no_probe(place: str, name: str, known: Iterable[str]) -> str:
    return f"{place}: no probe is called {name!r}{near(name, known)}"
