"""Waivers: a known failure that somebody accepts, under their name, for a reason, until a day. They never hide one."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from collapse_audit.probes.types import Probe
from collapse_audit.reports.document import Finding, Outcome

WAIVED = "waived"
"""Note of a finding that a waiver in force keeps from deciding."""
EXPIRED = "waiver-expired"
"""Note of a finding that counts again."""
_REQUIRED = ("probe", "owner", "reason", "expires")
_KEYS = ("probe", "statistic", "generation", "seed", "lineage", "owner", "reason", "expires")
_ACCEPTABLE = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.CHANGED)
"""What a waiver accepts. Inconclusive is less evidence of the same damage: were it not covered, a waived finding that
gets better would break a build that it did not break before. A change breaks one where it is asked to. An error is a
defect, and nobody's to accept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Findings that are known to fail, and who accepts that until when. What is None narrows nothing."""

    probe: str
    """Name of the probe."""
    statistic: str | None = None
    generations: tuple[int, ...] | None = None
    seed: str | None = None
    lineage: str | None = None
    """Name of the lineage's folder."""
    owner: str
    reason: str
    expires: date
    """The last day on which it holds."""
    origin: str
    """Which settings it stands in."""

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is one of those meant. (For which lineage is settled by :func:`of_lineage`.)"""
        return (
            finding.gating
            and finding.probe == self.probe
            and self.statistic in (None, finding.statistic)
            and (self.generations is None or finding.generation in self.generations)
            and self.seed in (None, finding.seed)
        )

    def expired(self, today: date) -> bool:
        """Whether its last day lies behind."""
        return today > self.expires

    @property
    def scope(self) -> str:
        """What it covers: ``repetition/looping, generations 2, 3, seed 1``."""
        parts = [self.probe if self.statistic is None else f"{self.probe}/{self.statistic}"]
        if self.generations is not None:
            numbers = ", ".join(map(str, self.generations))
            parts.append(f"generation{'s' if len(self.generations) > 1 else ''} {numbers}")
        if self.seed is not None:
            parts.append(f"seed {self.seed}")
        if self.lineage is not None:
            parts.append(f"lineage {self.lineage}")
        return ", ".join(parts)

    def echo(self) -> dict[str, Any]:
        """As reports show it, by the names of the settings and in JSON's own types; what is None is left out."""
        values = dataclasses.asdict(self) | {"expires": self.expires.isoformat()}
        values["generation"] = values.pop("generations")
        return {key: value for key, value in values.items() if value is not None}


# ------------------------------------------------------------------------------------------------------------- reading


def read_waivers(table: Any, origin: str, probes: Iterable[Probe]) -> tuple[tuple[Waiver, ...], list[str]]:
    """The ``[[waivers]]`` of one source of settings, and everything that is wrong with them, a line each.

    ``table`` is the setting's value as TOML gives it, ``origin`` what messages call the source.
    """
    if not isinstance(table, list | tuple):
        return (), [f"{origin}: waivers = {table!r}; allowed: a list of tables, each starting with [[waivers]]"]
    known = tuple(probes)
    waivers: list[Waiver] = []
    problems: list[str] = []
    for number, entry in enumerate(table, start=1):
        place = f"{origin}: waiver {number}"
        if not isinstance(entry, Mapping):
            problems.append(f"{place} = {entry!r}; allowed: a table with {', '.join(_REQUIRED)}")
            continue
        values, wrong = _values(entry, known)
        problems.extend(f"{place}: {complaint}" for complaint in wrong)
        if not wrong:
            waivers.append(Waiver(**values, origin=origin))
    return tuple(waivers), problems


def _values(entry: Mapping[str, Any], probes: tuple[Probe, ...]) -> tuple[dict[str, Any], list[str]]:
    problems = [f"unknown setting {key!r}{_near(str(key), _KEYS)}" for key in entry if key not in _KEYS]
    problems += [f"has no {key}; every waiver needs {', '.join(_REQUIRED)}" for key in _REQUIRED if key not in entry]
    values: dict[str, Any] = {}
    for key in _KEYS:
        if key not in entry or key == "statistic":
            continue
        try:
            field, value = _VALUES[key](entry[key], probes)
            values[field] = value
        except ValueError as allowed:
            problems.append(f"{key} = {_shown(entry[key])}{allowed}")
    probe = next((probe for probe in probes if probe.name == values.get("probe")), None)
    if "statistic" in entry and probe is not None:
        statistics = [gate.statistic for gate in probe.gates]
        values["statistic"] = entry["statistic"]
        if entry["statistic"] not in statistics:
            hint = _near(str(entry["statistic"]), statistics)
            problems.append(f"statistic = {_shown(entry['statistic'])}: {probe.name} has none of that name{hint}")
    return values, problems


def _probe(value: Any, probes: tuple[Probe, ...]) -> tuple[str, str]:
    asked = value.lower() if isinstance(value, str) else None
    for probe in probes:
        if asked in (probe.name.lower(), probe.code.lower()):
            return "probe", probe.name
    raise ValueError(f": no probe is called that{_near(str(value), [probe.name for probe in probes])}")


def _generations(value: Any, _: tuple[Probe, ...]) -> tuple[str, tuple[int, ...]]:
    numbers = value if isinstance(value, list | tuple) else [value]
    if not numbers or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers):
        raise ValueError("; allowed: a number from 0, or a list of them")
    return "generations", tuple(sorted(set(numbers)))


def _seed(value: Any, _: tuple[Probe, ...]) -> tuple[str, str]:
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise ValueError("; allowed: a seed of the lineage, as its folder or manifest has it")
    return "seed", str(value)


def _expires(value: Any, _: tuple[Probe, ...]) -> tuple[str, date]:
    # A datetime is a date too, and would leave open which hour of that day is the last.
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("; allowed: a date without quotes, such as 2027-01-31: the last day on which it holds")
    return "expires", value


def _words(field: str, meaning: str) -> Callable[[Any, tuple[Probe, ...]], tuple[str, Any]]:
    def check(value: Any, _: tuple[Probe, ...]) -> tuple[str, str]:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"; allowed: {meaning}")
        return field, value.strip()

    return check


_VALUES: dict[str, Callable[[Any, tuple[Probe, ...]], tuple[str, Any]]] = {
    "probe": _probe,
    "generation": _generations,
    "seed": _seed,
    "lineage": _words("lineage", "the name of the lineage's folder"),
    "owner": _words("owner", "who answers for it"),
    "reason": _words("reason", "why the failure is accepted"),
    "expires": _expires,
}


def _shown(value: Any) -> str:
    """As TOML writes it, dates included."""
    return value.isoformat() if isinstance(value, date) else repr(value)


def _near(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; allowed: {', '.join(known)}"


def of_lineage(waivers: Iterable[Waiver], folder: str) -> tuple[Waiver, ...]:
    """Those that may apply to the lineage in a folder of that name.

    The folder's name is the auditing side's to give. The name in a manifest is not: with it a lineage could claim a
    waiver that was written for another.
    """
    return tuple(waiver for waiver in waivers if waiver.lineage in (None, folder))


# ------------------------------------------------------------------------------------------------------------ applying


def apply_waivers(
    findings: Iterable[Finding], waivers: Sequence[Waiver], today: date
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Mark the findings that a waiver covers, and say what every waiver came to, a line each.

    A gating finding that is ``fail``, ``inconclusive`` or ``changed`` and covered by a waiver in force carries it in
    ``waiver``, with the note ``waived``; where only expired ones cover it, it counts, and its reason says whose they
    were. The outcome itself stays what it is. Findings that have been marked before stay as they are, so doing it twice
    is doing it once. Where several cover a finding, the last one counts: the nearest source of settings.
    """
    marked = tuple(_marked(finding, waivers, today) for finding in findings)
    return marked, tuple(_note(waiver, marked, waivers, today) for waiver in waivers)


def _deciding(finding: Finding, waivers: Sequence[Waiver], today: date) -> Waiver | None:
    """The waiver that speaks for the finding: the last in force, or else the last to have expired."""
    covering = [waiver for waiver in waivers if waiver.covers(finding)] if finding.outcome in _ACCEPTABLE else []
    in_force = [waiver for waiver in covering if not waiver.expired(today)]
    if in_force:
        return in_force[-1]
    return max(covering, key=lambda waiver: waiver.expires, default=None)


def _marked(finding: Finding, waivers: Sequence[Waiver], today: date) -> Finding:
    waiver = _deciding(finding, waivers, today)
    if waiver is None or finding.waiver is not None or EXPIRED in finding.notes:
        return finding
    if waiver.expired(today):
        told = f"its waiver expired after {waiver.expires}, owner {waiver.owner}"
        return dataclasses.replace(finding, notes=(*finding.notes, EXPIRED), reason=f"{finding.reason}; {told}")
    told = f"waived until {waiver.expires} by {waiver.owner}: {waiver.reason}"
    return dataclasses.replace(
        finding, notes=(*finding.notes, WAIVED), waiver=waiver.echo(), reason=f"{finding.reason}; {told}"
    )


def _note(waiver: Waiver, findings: Sequence[Finding], waivers: Sequence[Waiver], today: date) -> str:
    covered = [finding for finding in findings if waiver.covers(finding)]
    spoken_for = [finding for finding in covered if _deciding(finding, waivers, today) is waiver]
    about = f"waiver of {waiver.scope} (owner {waiver.owner}, {waiver.origin})"
    if waiver.expired(today):
        then = _count(spoken_for, "counts again", "count again") if spoken_for else "nothing that it covers fails"
        return f"{about} expired after {waiver.expires}: {then}; renew it or remove it"
    if not covered:
        return f"{about} matches no finding of this run"
    if not spoken_for:
        return f"{about} holds until {waiver.expires}: nothing that it covers fails"
    return f"{about} holds until {waiver.expires}: {_count(spoken_for, 'is', 'are')} waived; {waiver.reason}"


def _count(findings: Sequence[Finding], one: str, several: str) -> str:
    return f"1 finding {one}" if len(findings) == 1 else f"{len(findings)} findings {several}"
