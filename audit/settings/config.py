"""Settings: defaults, what a lineage says of its data, the user's own files, the command line. Nearest wins."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.readers.fields import Reading, reading_of
from collapse_audit.lineages.files.door import Refused, parse_toml, read_toml
from collapse_audit.lineages.files.paths import locate
from collapse_audit.lineages.files.schema import near
from collapse_audit.lineages.files.urls import redacted
from collapse_audit.lineages.model.lineage import Lineage
from collapse_audit.probes.pairs.units import UnitSetting
from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.probes.types import Probe
from collapse_audit.settings.merged import GateSettings, Merged
from collapse_audit.settings.schema import setting_names
from collapse_audit.verdicts.waivers import Waiver, of_lineage

Evidence = Literal["none", "terms", "texts"]
_FILE = "collapse-audit.toml"
OF_LINEAGE = ("labels", "tokens", "unit", "fields", "documents")
"""All that a lineage may set about its own audit: what its data are. A gate reads folders that strangers wrote."""
_OWN = "pass it with --config FILE, or in [tool.collapse-audit] of your pyproject.toml"


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
    embed: str = ""
    """A sentence-embedding model, for what texts mean: a folder, or an installed package that carries one."""
    solved_at: float | None = None
    """The score from which on an answer is right; left out: scores are 0 and 1."""
    margins: Literal["default", "auto"] = "default"
    """``auto``: every margin that no setting names is settled on the baseline's own text."""
    permutations: int = 999
    """At least; more are drawn where the family of tests needs them."""
    max_documents: int = 20_000
    """Documents of a corpus that are compared, drawn at random where there are more; 0 takes all."""
    unit: UnitSetting = "auto"
    """What is relabelled and resampled: ``group``, ``prompt``, ``run`` (of neighbouring records) or ``document``;
    ``auto`` takes the first that the records have, and runs only where neighbours depend on each other."""
    evidence: Evidence = "terms"
    """What reports may quote: nothing, terms that stand in at least 5 documents, or whole texts."""
    independent: bool = False
    """No corpus was trained on another."""
    allow_inconclusive: bool = False
    """Exit with 0 where the text cannot tell."""
    fail_on_change: bool | tuple[str, ...] = False
    """Of which probes a move beyond its margin ends the audit with 7: of none, of all (true), or of those named."""
    gate_trend: bool = False
    """Fail where damage grows along the generations of a seed and may have crossed a margin by the last of them. The
    trends of a seed are a family of their own, and spend ``alpha`` once more."""
    anytime: bool = False
    """Share ``alpha`` out over all audits that a history records, instead of spending it in each."""
    seed: int = 0
    """Of every random draw."""
    phrases: str = ""
    """A file of phrases that give a chat model away, one a line, in place of the built-in list; for training data."""
    documents: str = ""
    """What is a document of a plain text file: ``lines`` (as is the empty string), ``paragraphs`` or ``files``."""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Where records have their ``text``, ``prompt``, ``label`` and ``group``, or in place of a text their numbers,
    ``numeric``, and a text's ``embedding`` and ``score``: of several paths the first that is there."""
    gates: Mapping[tuple[str, str], GateSettings] = field(default_factory=dict)
    """Margins that are not the default, by (probe, statistic)."""
    disabled: frozenset[str] = frozenset()
    """Names of probes that are switched off."""
    waivers: tuple[Waiver, ...] = ()
    """Failures of this lineage that somebody accepts; of two that cover one finding, the later one counts."""

    @property
    def families(self) -> int:
        """Families of tests of a seed, each of which spends alpha: the findings, and the trends where they gate."""
        return 2 if self.gate_trend else 1

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
        gates = {(probe.name, gate.statistic): gate for probe in probes for gate in probe.gates}
        return {key: gate for key, gate in gates.items() if key in self.gates and self.gates[key].auto}

    def echo(self, probes: Iterable[Probe]) -> dict[str, Any]:
        """The settings in force, as every report shows them."""
        plain = {
            name: getattr(self, name)
            for name in ("alpha", "baseline", "labels", "tokens", "permutations", "max_documents", "unit", "evidence")
        }
        plain["baseline"] = redacted(self.baseline)
        plain |= {name: getattr(self, name) for name in ("independent", "allow_inconclusive", "gate_trend", "anytime")}
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
        plain |= {name: value for name in ("embed", "phrases", "documents") if (value := getattr(self, name))}
        plain |= {} if self.solved_at is None else {"solved_at": self.solved_at}
        plain |= {"fields": {name: list(paths) for name, paths in self.fields.items()}} if self.fields else {}
        waivers = [waiver.echo() for waiver in self.waivers]
        return {**plain, "margins": margins, "disabled": sorted(self.disabled), "waivers": waivers}


class Settings(TypedDict, total=False):
    """Every setting as a keyword of :func:`collapse_audit.audit`; what is left out, or None, is decided elsewhere."""

    alpha: float | None
    baseline: str | None
    labels: str | None
    tokens: str | None
    embed: str | None
    margins: str | None
    solved_at: float | None
    permutations: int | None
    max_documents: int | None
    evidence: Evidence | None
    independent: bool | None
    allow_inconclusive: bool | None
    gate_trend: bool | None
    anytime: bool | None
    fail_on_change: bool | Sequence[str] | None
    unit: str | None
    seed: int | None
    phrases: str | None
    documents: str | None
    text: str | Sequence[str] | None
    """The field that holds the text: a path, or several of which the first that is there counts."""
    prompt: str | Sequence[str] | None
    label: str | Sequence[str] | None
    group: str | Sequence[str] | None
    numeric: str | Sequence[str] | None
    """The field that holds a number, or a list of numbers, in place of a text."""
    embedding: str | Sequence[str] | None
    """The field that holds the sentence embedding of the text, a list of numbers."""
    score: str | Sequence[str] | None
    """The field that holds how right the text is as an answer: a number, or true or false."""


def load_config(
    lineage: Lineage,
    probes: Iterable[Probe],
    *,
    config_file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    sets: Iterable[str] = (),
    directory: Path | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> AuditConfig:
    """Merge all sources of settings for ``lineage``; every problem of all of them is reported together.

    ``overrides`` are settings of the command line (None means "not given"), ``sets`` its ``--set key=value`` strings,
    ``directory`` is where the search for a pyproject.toml starts (default: the working directory), ``defaults`` are
    settings that hold where nobody says otherwise, in place of the class's.
    """
    probes = tuple(probes)
    merged = Merged(probes)
    problems: list[str] = []
    sources: list[tuple[str, Any]] = [("the defaults", defaults)] if defaults else []
    for origin, table in _beside(lineage, problems):
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
        problems.extend(merged.add(origin, table))
    if problems:
        raise UsageError("\n".join(problems), slug="config")
    merged.settle_margins()
    return AuditConfig(
        **merged.plain,
        fields=merged.fields,
        gates=merged.gates,
        disabled=frozenset(merged.disabled),
        waivers=of_lineage(merged.waivers, lineage.root.name),
    )


def _beside(lineage: Lineage, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """The settings that lie in a lineage's folder, as (where, table); a file that cannot be opened is a problem."""
    tables = {
        "[audit] of lineage.toml": lineage.audit,
        "[labels] of lineage.toml": None if lineage.label_rule is None else {"labels": lineage.label_rule},
        "[fields] of lineage.toml": {"fields": lineage.fields} if lineage.fields else None,
    }
    yield from ((origin, table) for origin, table in tables.items() if table)
    file = locate(lineage.root, _FILE) if lineage.folder else None
    if isinstance(file, Path):
        yield str(file), _toml(file)
    elif file is not None and file.slug != "missing-file":
        problems.append(f"{_FILE}: found {file.found}; expected {file.expected}")


def _of_lineage(origin: str, table: Any, root: Path) -> tuple[Any, list[str]]:
    """What a lineage says of its own data (:data:`OF_LINEAGE`), and complaints about all else: it describes, and never
    decides its verdict, reads outside its folder, or has texts quoted."""
    if not isinstance(table, Mapping):
        return table, []
    allowed = {key: value for key, value in table.items() if key in OF_LINEAGE}
    known = {*setting_names(), "history"}
    problems = [
        f"{origin}: {key}: a lineage may describe its data ({', '.join(OF_LINEAGE)}), never decide its verdict; {_OWN}"
        for key in table
        if key not in OF_LINEAGE and key in known
    ]
    problems += [
        f"{origin}: unknown setting {key!r}{near(key, OF_LINEAGE)}"
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
        value = parse_toml(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    except Refused as refused:
        raise UsageError(f"--set {key.strip()}: {refused}") from None
    table: Any = value
    for part in reversed(path):
        table = {part: table}
    return table if len(path) == 1 or path[0] in setting_names() else {"probes": table}
