"""Waivers: a known failure that somebody accepts, under their name, for a reason, until a day. They never hide one."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from collapse_audit.lineages.files.problems import shorten
from collapse_audit.lineages.files.schema import Misfit, Schema, near
from collapse_audit.probes.types import Probe
from collapse_audit.reports.document import Finding, Outcome

WAIVED = "waived"
"""Note of a finding that a waiver in force keeps from deciding."""
EXPIRED = "waiver-expired"
"""Note of a finding that counts again."""
SCHEMA = Schema.file("collapse_audit.verdicts", "waivers.schema.json", whole="waivers")
_REQUIRED = ("probe", "owner", "reason", "expires")
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
    misfits = list(SCHEMA.misfits(table))
    if any(not misfit.path for misfit in misfits):
        return (), [f"{origin}: waivers = {shorten(table)}; allowed: {misfits[0].allowed}"]
    known = tuple(probes)
    waivers: list[Waiver] = []
    problems: list[str] = []
    for number, entry in enumerate(table):
        place = f"{origin}: waiver {number + 1}"
        wrong = [misfit for misfit in misfits if misfit.path[0] == number]
        unfit = {misfit.path[1] for misfit in wrong if len(misfit.path) > 1}
        complaints = [_in_words(misfit, place) for misfit in wrong]
        if isinstance(entry, Mapping):
            complaints += [f"{place}: {words}" for words in _unknown_names(entry, known, unfit)]
        if not complaints:
            waivers.append(Waiver(**_values(entry, known), origin=origin))
        problems += complaints
    return tuple(waivers), problems


def _in_words(misfit: Misfit, place: str) -> str:
    if misfit.kind == "missing":
        return f"{place}: has no {misfit.value}; every waiver needs {', '.join(_REQUIRED)}"
    return misfit.of_setting(place, below=1)


def _named(entry: Mapping[str, Any], probes: Iterable[Probe]) -> Probe | None:
    asked = entry["probe"].lower()
    return next((probe for probe in probes if asked in (probe.name.lower(), probe.code.lower())), None)


def _unknown_names(entry: Mapping[str, Any], probes: Iterable[Probe], unfit: Container[Any]) -> Iterator[str]:
    """What no schema can say: whether there is such a probe, and such a statistic of it. ``unfit``: keys whose values
    do not fit the schema."""
    if "probe" not in entry or "probe" in unfit:
        return
    probe = _named(entry, probes)
    if probe is None:
        hint = near(entry["probe"], [probe.name for probe in probes])
        yield f"probe = {shorten(entry['probe'])}: no probe is called that{hint}"
    elif "statistic" in entry and "statistic" not in unfit:
        statistics = [gate.statistic for gate in probe.gates]
        statistics += [gate.of_trend().statistic for gate in probe.gates if gate.trend]
        if entry["statistic"] not in statistics:
            hint = near(entry["statistic"], statistics)
            yield f"statistic = {shorten(entry['statistic'])}: {probe.name} has none of that name{hint}"


def _values(entry: Mapping[str, Any], probes: Iterable[Probe]) -> dict[str, Any]:
    """The fields of a waiver in which nothing is wrong."""
    probe = _named(entry, probes)
    assert probe is not None
    values = {key: value.strip() if isinstance(value, str) else value for key, value in entry.items()}
    values |= {"probe": probe.name} | ({"seed": str(entry["seed"])} if "seed" in entry else {})
    if "generation" in values:
        numbers = values.pop("generation")
        values["generations"] = tuple(sorted({numbers} if isinstance(numbers, int) else set(numbers)))
    return values


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
        note = f"its waiver expired after {waiver.expires}, owner {waiver.owner}"
        return dataclasses.replace(finding, notes=(*finding.notes, EXPIRED), reason=f"{finding.reason}; {note}")
    note = f"waived until {waiver.expires} by {waiver.owner}: {waiver.reason}"
    return dataclasses.replace(
        finding, notes=(*finding.notes, WAIVED), waiver=waiver.echo(), reason=f"{finding.reason}; {note}"
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


def _count(findings: Sequence[Finding], singular: str, several: str) -> str:
    return f"1 finding {singular}" if len(findings) == 1 else f"{len(findings)} findings {several}"
