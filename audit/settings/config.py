"""Settings: defaults, what a lineage says of its data, the user's own files, the command line. Nearest wins."""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.readers.fields import FIELDS, Reading, reading_of
from collapse_audit.lineages.files.door import Refused, read_toml
from collapse_audit.lineages.files.paths import locate
from collapse_audit.lineages.model.lineage import Lineage
from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.probes.types import Probe
from collapse_audit.verdicts.waivers import Waiver, of_lineage, read_waivers

Evidence = Literal["none", "terms", "texts"]
_FILE = "collapse-audit.toml"
OF_LINEAGE = ("labels", "tokens", "unit", "fields", "documents")
"""All that a lineage may set about its own audit: what its data are. A gate reads folders that strangers wrote."""
_OWN = "pass it with --config FILE, or in [tool.collapse-audit] of your pyproject.toml"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """Everything that decides an audit besides the lineage itself."""

    alpha: float = 0.05
    """Family-wise false-alarm rate of a run, per seed."""
    baseline: str = "generation-0"
    """``generation-0``, ``reference``, ``previous`` or the path of a corpus."""
    labels: str = "auto"
    """``auto``, ``eu-tirads``, ``field``, ``regex:PATTERN`` or ``none``."""
    tokens: str = "words"
    """``words``, or ``hf:FILE``: a Hugging Face tokenizer.json."""
    permutations: int = 999
    """At least; more are drawn where the family of tests needs them."""
    max_documents: int = 20_000
    """Documents of a corpus that are compared, drawn at random where there are more; 0 takes all."""
    evidence: Evidence = "terms"
    """What reports may quote: nothing, terms that stand in at least 5 documents, or whole texts."""
    independent: bool = False
    """No corpus was trained on another."""
    allow_inconclusive: bool = False
    """Exit with 0 where the text cannot tell."""
    fail_on_change: bool | tuple[str, ...] = False
    """Of which probes a move beyond its margin ends the audit with 7: of none, of all (true), or of those named."""
    anytime: bool = False
    """Share ``alpha`` out over all audits that a history records, instead of spending it in each."""
    seed: int = 0
    """Of every random draw."""
    documents: str = ""
    """What is a document of a plain text file: ``lines`` (as is the empty string), ``paragraphs`` or ``files``."""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Where records have their ``text``, ``prompt``, ``label`` and ``group``: of several paths the first that is there.
    """
    gates: Mapping[tuple[str, str], GateSettings] = field(default_factory=dict)
    """Margins that are not the default, by (probe, statistic)."""
    disabled: frozenset[str] = frozenset()
    """Names of probes that are switched off."""
    waivers: tuple[Waiver, ...] = ()
    """Failures of this lineage that somebody accepts; of two that cover one finding, the later one counts."""

    @property
    def reading(self) -> Reading:
        """How corpora are to be read."""
        return reading_of(self.fields, self.documents)

    def gate(self, probe: Probe, gate: Gate) -> Gate:
        """The gate with the margin in force."""
        changed = self.gates.get((probe.name, gate.statistic))
        if changed is None:
            return gate
        near = changed.pass_margin
        if near is None and gate.pass_margin is not None:
            # Where pass starts keeps its proportion to where fail ends.
            near = gate.pass_margin * changed.margin / gate.margin
        return dataclasses.replace(gate, margin=changed.margin, pass_margin=near, because=changed.reason)

    def automatic(self, probes: Iterable[Probe]) -> dict[tuple[str, str], Gate]:
        """The gates whose margin is to be settled on the baseline's own text."""
        found = {(probe.name, gate.statistic): gate for probe in probes for gate in probe.gates}
        return {key: gate for key, gate in found.items() if key in self.gates and self.gates[key].auto}

    def echo(self, probes: Iterable[Probe]) -> dict[str, Any]:
        """The settings in force, as every report shows them."""
        plain = {
            name: getattr(self, name)
            for name in ("alpha", "baseline", "labels", "tokens", "permutations", "max_documents", "evidence")
        }
        plain |= {name: getattr(self, name) for name in ("independent", "allow_inconclusive", "anytime")}
        asked = self.fail_on_change
        plain["fail_on_change"] = asked if isinstance(asked, bool) else list(asked)
        margins = {}
        for probe in probes:
            for gate in probe.gates:
                now = self.gate(probe, gate)
                changed = self.gates.get((probe.name, gate.statistic))
                margins[f"{probe.name}/{gate.statistic}"] = {
                    "margin": "auto" if changed and changed.auto else now.margin,
                    "unit": now.unit,
                    "reason": now.because,
                    "origin": changed.origin if changed else "default",
                }
        plain |= {"documents": self.documents} if self.documents else {}
        plain |= {"fields": {name: list(paths) for name, paths in self.fields.items()}} if self.fields else {}
        waivers = [waiver.echo() for waiver in self.waivers]
        return {**plain, "margins": margins, "disabled": sorted(self.disabled), "waivers": waivers}


class Settings(TypedDict, total=False):
    """Every setting as a keyword of :func:`collapse_audit.audit`; what is left out, or None, is decided elsewhere."""

    alpha: float | None
    baseline: str | None
    labels: str | None
    tokens: str | None
    permutations: int | None
    max_documents: int | None
    evidence: Evidence | None
    independent: bool | None
    allow_inconclusive: bool | None
    anytime: bool | None
    fail_on_change: bool | Sequence[str] | None
    seed: int | None
    documents: str | None
    text: str | Sequence[str] | None
    """The field that holds the text: a path, or several of which the first that is there counts."""
    prompt: str | Sequence[str] | None
    label: str | Sequence[str] | None
    group: str | Sequence[str] | None


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


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "alpha": _alpha,
    "baseline": _text,
    "labels": _text,
    "tokens": _text,
    "permutations": _whole(999),
    "max_documents": _whole(0),
    "evidence": _evidence,
    "independent": _flag,
    "allow_inconclusive": _flag,
    "anytime": _flag,
    "fail_on_change": _probes,
    "seed": _whole(0),
    "documents": _documents,
}


def load_config(
    lineage: Lineage,
    probes: Iterable[Probe],
    *,
    config_file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    sets: Iterable[str] = (),
    directory: Path | None = None,
) -> AuditConfig:
    """Merge all sources of settings for ``lineage``; every problem of all of them is reported together.

    ``overrides`` are settings of the command line (None means "not given"), ``sets`` its ``--set key=value`` strings,
    ``directory`` is where the search for a pyproject.toml starts (default: the working directory).
    """
    probes = tuple(probes)
    merged, problems = _Merged(probes), []
    sources: list[tuple[str, Any]] = []
    theirs: list[tuple[str, Any]] = []
    if lineage.audit:
        theirs.append(("[audit] of lineage.toml", lineage.audit))
    if lineage.label_rule is not None:
        theirs.append(("[labels] of lineage.toml", {"labels": lineage.label_rule}))
    if lineage.fields:
        theirs.append(("[fields] of lineage.toml", {"fields": lineage.fields}))
    beside = locate(lineage.root, _FILE) if lineage.folder else None
    if isinstance(beside, Path):
        theirs.append((str(beside), _toml(beside)))
    elif beside is not None and beside.slug != "missing-file":
        problems.append(f"{_FILE}: found {beside.found}; expected {beside.expected}")
    for origin, table in theirs:
        allowed, refused = _of_lineage(origin, table, lineage.root)
        problems.extend(refused)
        sources.append((origin, allowed))
    sources.extend(_pyproject(directory or Path.cwd()))
    if config_file is not None:
        sources.append((str(config_file), _toml(config_file)))
    sources.extend(("--set " + item, _set(item)) for item in sets)
    if overrides:
        sources.append(("the command line", {k: v for k, v in overrides.items() if v is not None}))
    for origin, table in sources:
        if isinstance(table, Mapping):
            problems.extend(merged.add(origin, table))
        else:
            problems.append(f"{origin}: {table!r}; allowed: a table of settings")
    if problems:
        raise UsageError("\n".join(problems), slug="config")
    return AuditConfig(
        **merged.plain,
        fields=merged.fields,
        gates=merged.gates,
        disabled=frozenset(merged.disabled),
        waivers=of_lineage(merged.waivers, lineage.root.name),
    )


def _of_lineage(origin: str, table: Any, root: Path) -> tuple[Any, list[str]]:
    """What a lineage says of its own data (:data:`OF_LINEAGE`), and complaints about all else: it describes, and never
    decides its verdict, reads outside its folder, or has texts quoted."""
    if not isinstance(table, Mapping):
        return table, []
    allowed = {key: value for key, value in table.items() if key in OF_LINEAGE}
    known = {*_CHECKS, "probes", "waivers", "history"}
    problems = [
        f"{origin}: {key}: a lineage may describe its data ({', '.join(OF_LINEAGE)}), never decide its verdict; {_OWN}"
        for key in table
        if key not in OF_LINEAGE and key in known
    ]
    problems += [
        f"{origin}: unknown setting {key!r}{_near(key, OF_LINEAGE)}"
        for key in table
        if key not in OF_LINEAGE and key not in known
    ]
    if allowed.get("labels") == "none":
        problems.append(f'{origin}: labels = "none" would switch off what looks at labels; {_OWN}')
    tokens = allowed.get("tokens")
    if isinstance(tokens, str) and tokens.startswith("hf:"):
        file = locate(root, tokens.removeprefix("hf:"))
        if isinstance(file, Path):
            allowed["tokens"] = f"hf:{file}"
        else:
            problems.append(f"{origin}: tokens: found {file.found}; expected {file.expected}")
    return allowed, problems


class _Merged:
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
            elif key in _CHECKS:
                try:
                    self.plain[key] = _CHECKS[key](value)
                except ValueError as allowed:
                    problems.append(f"{origin}: {key} = {value!r}; allowed: {allowed}")
                else:
                    problems.extend(self._unknown(origin) if key == "fail_on_change" else ())
            else:
                known = [*_CHECKS, "fields", "probes", "waivers"]
                problems.append(f"{origin}: unknown setting {key!r}{_near(key, known)}")
        return problems

    def _fields(self, origin: str, table: Any) -> list[str]:
        """Where records have what: each a path, or a list of paths."""
        if not isinstance(table, Mapping):
            return [f"{origin}: fields = {table!r}; allowed: a table with {', '.join(FIELDS)}"]
        problems = []
        for name, value in table.items():
            paths = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
            if name not in FIELDS:
                problems.append(f"{origin}: fields: unknown {name!r}{_near(name, FIELDS)}")
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
                yield f"{origin}: fail_on_change: no probe is called {name!r}{_near(name, self.probes)}"

    def _probes(self, origin: str, tables: Any) -> list[str]:
        if not isinstance(tables, Mapping):
            return [f"{origin}: probes = {tables!r}; allowed: a table of probes, such as [probes.tail-mass]"]
        problems = []
        for name, table in tables.items():
            if name not in self.probes:
                problems.append(f"{origin}: no probe is called {name!r}{_near(name, self.probes)}")
            elif not isinstance(table, Mapping):
                problems.append(f"{origin}: probes.{name} = {table!r}; allowed: a table")
            else:
                problems.extend(self._probe(origin, self.probes[name], table))
        return problems

    def _probe(self, origin: str, probe: Probe, table: Mapping[str, Any]) -> list[str]:
        problems = []
        statistics = {gate.statistic: gate for gate in probe.gates}
        here = {key: value for key, value in table.items() if key in ("margin", "reason")}
        if here and len(statistics) == 1:
            problems.extend(self._gate(origin, probe, probe.gates[0], here))
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
                problems.append(f"{origin}: probes.{probe.name}: unknown setting {key!r}{_near(key, known)}")
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
        low, high, allowed = _range(gate)
        if isinstance(margin, bool) or not isinstance(margin, int | float) or not low < margin < high:
            also = "" if gate.pass_margin is not None else ", or auto"
            return [f"{place}.margin = {margin!r}; allowed: {allowed} ({gate.unit}){also}"]
        reason = table.get("reason", f"set by {origin}")
        if not isinstance(reason, str):
            return [f"{place}.reason = {reason!r}; allowed: a string"]
        self.gates[probe.name, gate.statistic] = GateSettings(margin=float(margin), reason=reason, origin=origin)
        return []


def _range(gate: Gate) -> tuple[float, float, str]:
    """Between which bounds a margin of ``gate`` makes sense, and the same in words."""
    if gate.worse == "lower" and gate.unit == "ratio":
        return 0, 1, "a ratio between 0 and 1"
    if gate.worse == "higher" and gate.unit.startswith("share"):
        return 0, 1, "a share between 0 and 1"
    if gate.margin < 0:  # of a difference whose damage is a fall
        return -math.inf, 0, "a number under 0"
    return 0, math.inf, "a number over 0"


def _near(word: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; allowed: {', '.join(known)}"


def _toml(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except FileNotFoundError:
        raise UsageError(f"--config {path}: no such file") from None
    except (Refused, tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: not readable as TOML: {error}", slug="config") from None


def _pyproject(directory: Path) -> Iterable[tuple[str, Any]]:
    """``[tool.collapse-audit]`` of the nearest pyproject.toml, in ``directory`` or above it."""
    for folder in (directory, *directory.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            tool = _toml(file).get("tool", {})
            if isinstance(tool, Mapping) and "collapse-audit" in tool:
                yield f"[tool.collapse-audit] of {file}", tool["collapse-audit"]
            return


def _set(item: str) -> dict[str, Any]:
    """``--set token-divergence.margin=0.02`` or ``--set alpha=0.01`` as a nested table."""
    key, equals, text = item.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise UsageError(f"--set {item!r}: expected NAME=VALUE, such as token-divergence.margin=0.02 or alpha=0.01")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    table: Any = value
    for part in reversed(path):
        table = {part: table}
    return table if len(path) == 1 or path[0] == "probes" else {"probes": table}
