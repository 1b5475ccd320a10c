"""A new report against an old one: what got worse, what got better, what came and went, and whether like is compared
with like. Nothing is measured here; two stored documents are read side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from collapse_audit.errors import UsageError
from collapse_audit.reports._format import inert, settings
from collapse_audit.reports.adding_up import fail_on_change, unwanted
from collapse_audit.reports.document import AuditReport, Finding, Outcome, counted
from collapse_audit.reports.plain import called, place
from collapse_audit.verdicts.exit_codes import ExitCode

Key = tuple[str, str, str, int]
"""Code and statistic, which are permanent, seed ("" for none) and generation."""

_HARMLESS = frozenset({"evidence", "allow_inconclusive", "gate_trend", "permutations"})
"""Settings that move no estimate and no margin."""
_MEASURED = (Outcome.PASS, Outcome.FAIL, Outcome.CHANGED, Outcome.INCONCLUSIVE)


class Kind(StrEnum):
    """What became of a finding."""

    WORSE = "worse"
    """Its outcome, as it counts, changed for the worse: it newly fails, errs, is inconclusive, or is not measured any
    more, or the waiver that covered it has gone."""
    MOVED_WORSE = "moved-worse"
    """Same outcome, and the value lies beyond the old interval on the side of damage."""
    CHANGED = "changed"
    """It moved beyond its margin, which it had not; nothing was lost by that."""
    BETTER = "better"
    MOVED_BETTER = "moved-better"
    NEW = "new"
    """In the new report only (and not failing: then it is worse)."""
    GONE = "gone"
    """In the old report only, because the generation or the probe was not audited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One finding that is not as it was."""

    kind: Kind
    old: Finding | None
    new: Finding | None
    unwanted: bool = False
    """A move that the new report's settings (``fail_on_change``) ask to fail."""

    @property
    def finding(self) -> Finding:
        """The newer of the two, for its names."""
        finding = self.new or self.old
        if finding is None:
            raise ValueError("a change of nothing")
        return finding

    @property
    def exit_code(self) -> ExitCode:
        """What this change alone would exit with."""
        if self.kind is Kind.CHANGED and self.unwanted:
            return ExitCode.CHANGED
        if self.kind is not Kind.WORSE:
            return ExitCode.PASS
        outcome = Outcome.NOT_MEASURED if self.new is None else counted(self.new)
        return {Outcome.FAIL: ExitCode.COLLAPSE, Outcome.ERROR: ExitCode.INTERNAL_ERROR}.get(
            outcome, ExitCode.INCONCLUSIVE
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything that a comparison of two reports found."""

    old: AuditReport
    new: AuditReport
    changes: tuple[Change, ...]
    unlike: tuple[str, ...]
    """Why like is not compared with like; empty where it is."""
    notes: tuple[str, ...]
    compared: int
    """Gating findings that stand in both reports."""
    exit_code: int
    summary: str

    def summarised(self, old_path: str, new_path: str) -> dict[str, Any]:
        """Everything found, without the reports themselves: what ``--json`` writes."""
        return {
            "old": _about(self.old, old_path),
            "new": _about(self.new, new_path),
            "like_for_like": not self.unlike,
            "unlike": list(self.unlike),
            "changes": [
                {
                    "kind": change.kind.value,
                    "probe": change.finding.probe,
                    "code": change.finding.code,
                    "statistic": change.finding.statistic,
                    "seed": change.finding.seed,
                    "generation": change.finding.generation,
                    "unit": change.finding.unit,
                    "worse": change.finding.worse,
                    "old": _numbers(change.old),
                    "new": _numbers(change.new),
                }
                for change in self.changes
            ],
            "compared": self.compared,
            "notes": list(self.notes),
            "exit_code": self.exit_code,
            "summary": self.summary,
        }


def _about(report: AuditReport, path: str) -> dict[str, Any]:
    names = {key: report.lineage[key] for key in ("name", "digest")}
    return {"path": path, **names, "verdict": report.verdict.value, "summary": report.summary}


def _numbers(finding: Finding | None) -> dict[str, Any] | None:
    if finding is None:
        return None
    interval = finding.interval
    return {
        "outcome": finding.outcome.value,
        "waiver": finding.waiver,
        "value": finding.value,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "margin": finding.margin,
        "p_adjusted": finding.p_adjusted,
        "reason": finding.reason,
    }


def difference(old: AuditReport, new: AuditReport, *, generation: str | None = None) -> Difference:
    """Compare the gating findings of two reports, or those of one ``generation`` ("last": the new report's last).

    Raises UsageError where neither report has that generation.
    """
    keep = _generation(old, new, generation)
    before, after = (_gating(report, keep) for report in (old, new))
    audited = {(f.seed, f.generation) for f in after.values()}
    asked = fail_on_change(new.config)
    changes = [
        dataclasses.replace(change, unwanted=change.new is not None and unwanted(change.new, asked))
        for key in {**before, **after}
        for change in _change(before.get(key), after.get(key), audited)
    ]
    both = [key for key in before if key in after]
    code, summary = _verdict(changes, compared=len(both), total=len({**before, **after}))
    return Difference(
        old=old,
        new=new,
        changes=tuple(changes),
        unlike=tuple(_unlike(old, new, before, after)),
        notes=(*_notes(old, new, changes, len(both)), *_waived(after.values())),
        compared=len(both),
        exit_code=int(code),
        summary=f"{summary} [exit {int(code)}]",
    )


def _generation(old: AuditReport, new: AuditReport, asked: str | None) -> int | None:
    if asked is None:
        return None
    of_new = sorted({finding.generation for finding in new.findings if finding.gating})
    have = sorted({*of_new, *(finding.generation for finding in old.findings if finding.gating)})
    if asked == "last" and of_new:
        return of_new[-1]
    if not asked.isdecimal() or int(asked) not in have:
        listed = ", ".join(map(str, have)) or "none"
        raise UsageError(f"--generation {asked}: expected last, or a generation of the reports: {listed}")
    return int(asked)


def _gating(report: AuditReport, generation: int | None) -> dict[Key, Finding]:
    return {
        (finding.code, finding.statistic, finding.seed or "", finding.generation): finding
        for finding in report.findings
        if finding.gating and generation in (None, finding.generation)
    }


# ------------------------------------------------------------------------------------------------------- one finding


def _change(old: Finding | None, new: Finding | None, audited: set[tuple[str | None, int]]) -> Iterator[Change]:
    kind = _kind(old, new, audited)
    if kind is not None:
        yield Change(kind=kind, old=old, new=new)


def _kind(old: Finding | None, new: Finding | None, audited: set[tuple[str | None, int]]) -> Kind | None:
    was, now = (Outcome.NOT_MEASURED if each is None else counted(each) for each in (old, new))
    if was is now is Outcome.NOT_MEASURED:
        return None
    if new is None:
        # A generation that was not audited again says nothing; a finding lost from one that was may hide a failure.
        lost = old is not None and was in _MEASURED and (old.seed, old.generation) in audited
        return Kind.WORSE if lost else Kind.GONE
    if old is None or was is Outcome.NOT_MEASURED:
        return Kind.WORSE if now in (Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE) else _arrived(now)
    if was is now:
        return _moved(old, new)
    worse = {
        Outcome.FAIL: True,
        Outcome.ERROR: True,
        Outcome.NOT_MEASURED: True,
        Outcome.INCONCLUSIVE: was in (Outcome.PASS, Outcome.CHANGED),
        Outcome.PASS: False,
    }
    if now is Outcome.CHANGED:
        return Kind.CHANGED if was is Outcome.PASS else Kind.BETTER
    return Kind.WORSE if worse[now] else Kind.BETTER


def _arrived(now: Outcome) -> Kind:
    """What became of a finding that the old report has not, and that is no worse."""
    return Kind.CHANGED if now is Outcome.CHANGED else Kind.NEW


def _moved(old: Finding, new: Finding) -> Kind | None:
    """Whether the new value lies beyond the old interval, and on which side. Plain facts (no p-value) are not asked."""
    if old.interval is None or old.p_value is None or new.value is None:
        return None
    above = old.interval.high is not None and new.value > old.interval.high
    below = old.interval.low is not None and new.value < old.interval.low
    if not (above or below):
        return None
    return Kind.MOVED_WORSE if above == (new.worse == "higher") else Kind.MOVED_BETTER


# ------------------------------------------------------------------------------------------------------ like for like


def _unlike(
    old: AuditReport, new: AuditReport, before: Mapping[Key, Finding], after: Mapping[Key, Finding]
) -> Iterator[str]:
    for key in ("name", "scheme", "tokens", "labels"):
        yield from _differences(
            f"lineage {key}" if key in ("name", "scheme") else key, *(r.lineage.get(key) for r in (old, new))
        )
    yield from _differences("version of collapse-audit", old.tool["version"], new.tool["version"])
    yield from _differences("seed of the audit", old.seed, new.seed)
    both = [(before[key], after[key]) for key in before if key in after]
    flat = [_settings(report) for report in (old, new)]
    for name in {**flat[0], **flat[1]}:
        yield from _differences(name, flat[0].get(name), flat[1].get(name))
    yield from _margins(old, new, both)
    mentioned = {key: None for a, b in both for key in _differences("compared with", a.baseline, b.baseline)}
    yield from mentioned
    yield from _sizes(both)
    yield from _baselines(both)


def _sizes(both: list[tuple[Finding, Finding]]) -> Iterator[str]:
    """Documents of the baseline, where their number changed; as a finding may use a part of them, the most of all."""
    most: dict[tuple[str | None, int], tuple[int, int]] = {}
    for old, new in both:
        before, after = most.get((new.seed, new.generation), (0, 0))
        most[new.seed, new.generation] = max(before, old.n_baseline or 0), max(after, new.n_baseline or 0)
    sizes = dict.fromkeys(pair for pair in most.values() if pair[0] != pair[1] and all(pair))
    for before, after in sizes:
        yield from _differences("documents of the baseline", f"{before:,}", f"{after:,}")


def _differences(what: str, old: Any, new: Any) -> Iterator[str]:
    if old != new:
        shown = [inert("none" if value is None else value) for value in (old, new)]
        yield f"{inert(what)}: {shown[0]} -> {shown[1]}"


def _settings(report: AuditReport) -> dict[str, str]:
    """Settings in force but for the margins, flat."""
    return settings({key: value for key, value in report.config.items() if key not in _HARMLESS | {"margins"}})


def _margins(old: AuditReport, new: AuditReport, both: list[tuple[Finding, Finding]]) -> Iterator[str]:
    """Margins that differ: by the findings, as automatic ones are settled anew in every audit, else by the settings."""
    asked = [_asked_margins(report) for report in (old, new)]
    measured: dict[str, dict[tuple[float | None, float | None], None]] = {}
    for pair in both:
        if all(finding.value is not None for finding in pair):
            measured.setdefault(_gate(pair[0]), {})[pair[0].margin, pair[1].margin] = None
    for name in {**asked[0], **asked[1], **measured}:
        settings_ = asked[0].get(name), asked[1].get(name)
        for margins in measured.get(name, {settings_: None}):
            if margins[0] != margins[1]:
                automatic = (
                    f"{margin:g} (auto)" if given == "auto" and isinstance(margin, float) else margin
                    for margin, given in zip(margins, settings_, strict=True)
                )
                yield from _differences(f"margin of {name}", *automatic)


def _asked_margins(report: AuditReport) -> dict[str, Any]:
    """The margins that the settings name, a number or "auto", by probe/statistic."""
    margins = report.config.get("margins")
    if not isinstance(margins, Mapping):
        return {}
    return {
        name: about["margin"] for name, about in margins.items() if isinstance(about, Mapping) and "margin" in about
    }


def _gate(finding: Finding) -> str:
    """What the settings call the gate of a finding."""
    return f"{finding.probe}/{finding.statistic}"


def _baselines(both: list[tuple[Finding, Finding]]) -> Iterator[str]:
    """The baseline's own texts. Reports keep no digest of them, but the effective number of their tokens rests on every
    token there is: where it differs, so do the texts."""
    key = "effective_tokens_baseline"
    for old, new in both:
        values = old.raw.get(key), new.raw.get(key)
        if None not in values and values[0] != values[1] and old.n_baseline == new.n_baseline:
            where = inert(place(new))
            yield f"other baseline texts, first in {where}: their effective number of tokens is not the same"
            return


def _notes(old: AuditReport, new: AuditReport, changes: list[Change], compared: int) -> Iterator[str]:
    if old.lineage["digest"] == new.lineage["digest"]:
        yield "both reports are of the very same files: only the audit can differ"
    if old.lineage["name"] != new.lineage["name"]:
        yield "the reports are of two lineages; which of them holds better is asked of their folders, not of reports"
    asked = [_asked_margins(report) for report in (old, new)]
    automatic = [name for name, margin in asked[0].items() if margin == asked[1].get(name) == "auto"]
    if automatic:
        yield (
            "margin = auto settles in each audit anew how large a change passes, and reports do not keep that size, so "
            f"it may not be the same in both ({', '.join(automatic)})"
        )
    moved = [change for change in changes if change.kind in (Kind.MOVED_WORSE, Kind.MOVED_BETTER)]
    if moved:
        yield (
            f"{len(moved)} of {compared} values lie beyond their old interval with the same outcome; between two "
            "independent samples of the same model chance alone puts about one value in four there"
        )


def _waived(findings: Iterable[Finding]) -> Iterator[str]:
    """What the new report would have said without its waivers, a line for everyone who waives."""
    by: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.waiver is not None:
            by.setdefault(waived_by(finding.waiver), []).append(finding)
    for who, group in by.items():
        names = ", ".join(dict.fromkeys(map(called, group)))
        yield f"{len(group)} in the new report {who}: counted as passed, as its audit did ({names})"


def waived_by(waiver: Mapping[str, Any]) -> str:
    """``waived by OWNER until DAY``."""
    return f"waived by {waiver['owner']} until {waiver['expires']}"


# ------------------------------------------------------------------------------------------------------------ verdict


def _verdict(changes: list[Change], *, compared: int, total: int) -> tuple[ExitCode, str]:
    """The first of collapse, error, inconclusive, nothing compared, changed, nothing worse; and the last line."""
    codes = [change.exit_code for change in changes]
    said = {
        ExitCode.COLLAPSE: ("worse", "newly failed"),
        ExitCode.INTERNAL_ERROR: ("error", "could not be measured this time"),
        ExitCode.INCONCLUSIVE: ("inconclusive", "are not settled this time"),
        ExitCode.CHANGED: ("changed", "moved beyond the margin, which is asked to fail"),
    }
    better = sum(change.kind is Kind.BETTER for change in changes)
    beside = f", {better} got better" if better else ""
    for code, (word, what) in said.items():
        if code in codes:
            first = changes[codes.index(code)].finding
            where = inert(f"{called(first)} in {place(first)}")
            return code, f"{word}: {codes.count(code)} of {total} findings {what}, first {where}{beside}"
    if not compared:
        return ExitCode.NOTHING_MEASURED, "nothing compared: the reports have no finding in common"
    moved = sum(change.kind is Kind.MOVED_WORSE for change in changes)
    drifted = f", {moved} moved for the worse within their outcome" if moved else ""
    changed = sum(change.kind is Kind.CHANGED for change in changes)
    other = f", {changed} moved without loss" if changed else ""
    return ExitCode.PASS, f"no worse: 0 of {compared} findings changed for the worse{beside}{other}{drifted}"
