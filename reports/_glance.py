"""What every format says first: the verdict and why, in sentences, and one line a symptom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collapse_audit.reports._format import degenerate, inert, shown, title
from collapse_audit.reports._margins import worst_first
from collapse_audit.reports.document import (
    FINER_NOTE,
    UNIT_NOTE,
    AuditReport,
    Finding,
    Outcome,
    Verdict,
    counted,
    worst,
)
from collapse_audit.reports.plain import judged

VERDICTS = {
    Verdict.PASS: "No collapse found",
    Verdict.COLLAPSE: "Collapse",
    Verdict.CHANGED: "Changed, and nothing lost",
    Verdict.INCONCLUSIVE: "Inconclusive: no collapse found, and not everything could be told",
    Verdict.ERROR: "Error: not everything could be measured",
    Verdict.NOT_MEASURED: "Nothing was measured",
}
OF_DATA = {
    Verdict.PASS: "Nothing speaks against these data",
    Verdict.COLLAPSE: "Something speaks against training on these data",
    Verdict.CHANGED: "Different, and nothing that speaks against these data",
    Verdict.INCONCLUSIVE: "Inconclusive: nothing speaks against these data, and not everything could be told",
}
"""The same where training data were judged, before there is a model that could collapse."""
_DECISIVE = {
    Verdict.COLLAPSE: Outcome.FAIL,
    Verdict.ERROR: Outcome.ERROR,
    Verdict.INCONCLUSIVE: Outcome.INCONCLUSIVE,
    Verdict.CHANGED: Outcome.CHANGED,
    Verdict.PASS: Outcome.PASS,
}
_REASONS = 3
"""Sentences that say why."""
_FIRST = ("warning: ", FINER_NOTE)
"""How notes begin that belong to the first lines."""
_LONGEST = 400
_PROBLEMS = (Outcome.FAIL, Outcome.ERROR, Outcome.CHANGED, Outcome.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """One statistic that is not simply well, over all generations and seeds; everything in it is inert."""

    outcome: Outcome
    waived: bool
    name: str
    """``diversity/distinct-2``."""
    worst: Finding
    findings: tuple[Finding, ...]
    """All that share the outcome, in the order of the report."""
    value: str
    margin: str
    where: str
    """Generations: ``1-4``."""


def in_words(finding: Finding) -> str:
    """The sentence of ``finding``, and its seed; reports of older versions have only a reason."""
    words = finding.sentence or f"{title(finding)} in {judged(finding)}: {finding.reason}"
    seed = "" if finding.seed is None else f" (seed {inert(finding.seed)})"
    return f"{inert(words, limit=_LONGEST)}{seed}"


def word(report: AuditReport) -> str:
    """The verdict in one word: ``collapse``, or ``fail`` where training data were judged."""
    return "fail" if report.of_data and report.verdict is Verdict.COLLAPSE else report.verdict.value


def headline(report: AuditReport) -> tuple[str, tuple[str, ...]]:
    """The verdict in words, and the sentences that say why: of each statistic the worst, the worst first."""
    gating = [finding for finding in report.findings if finding.gating and finding.waiver is None]
    decisive = [finding for finding in gating if finding.outcome is _DECISIVE.get(report.verdict)]
    least = {(finding.probe, finding.statistic): finding for finding in reversed(worst_first(decisive))}
    sentences = [in_words(finding) for finding in worst_first(least.values())]
    warnings = tuple(inert(note, limit=_LONGEST) for note in report.notes if note.startswith(_FIRST))
    if report.verdict is Verdict.PASS and sentences:
        sentences = [f"closest to its margin: {sentences[0]}"]
    if report.verdict is Verdict.CHANGED:
        sentences = sentences[:1]
    # A warning speaks of moves; where something was lost, it comes last.
    said = {**VERDICTS, **(OF_DATA if report.of_data else {})}
    return said[report.verdict], (*degenerate(report), *_units(report), *sentences[:_REASONS], *warnings)


def _units(report: AuditReport) -> Iterable[str]:
    """What was resampled in place of texts because the files showed it: n is smaller then than it looks."""
    notes = [note for note in report.notes if note.startswith(UNIT_NOTE)]
    if notes:
        more = f" (and {len(notes) - 1} files more)" if len(notes) > 1 else ""
        yield inert(notes[0].removeprefix(UNIT_NOTE), limit=_LONGEST) + more


def reasons(report: AuditReport) -> tuple[str, ...]:
    """The sentences of :func:`headline` without those of :func:`degenerate`, where these stand by themselves."""
    alone = degenerate(report)
    return tuple(reason for reason in headline(report)[1] if reason not in alone)


def told_first(note: str) -> bool:
    """Whether a note stands in the first lines already."""
    return note.startswith(_FIRST)


def symptoms(report: AuditReport) -> list[Symptom]:
    """A row a statistic that fails, errs, has changed or is open, by its worst outcome; what is waived comes last."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        if finding.gating:
            groups.setdefault((finding.probe, finding.statistic), []).append(finding)
    rows = [row for group in groups.values() for row in _rows(group)]
    return sorted(rows, key=lambda row: (row.waived, _PROBLEMS.index(row.outcome)))


def _rows(group: Sequence[Finding]) -> Iterable[Symptom]:
    outcome = next((each for each in _PROBLEMS if any(counted(finding) is each for finding in group)), None)
    if outcome is not None:
        yield _symptom(outcome, [finding for finding in group if counted(finding) is outcome], waived=False)
    waived = [finding for finding in group if finding.waiver is not None and finding.outcome in _PROBLEMS]
    if waived:
        yield _symptom(worst(finding.outcome for finding in waived), waived, waived=True)


def _symptom(outcome: Outcome, group: Sequence[Finding], *, waived: bool) -> Symptom:
    most = worst_first(group)[0]
    numbers = shown(most)
    return Symptom(
        outcome=outcome,
        waived=waived,
        name=title(most).replace(" / ", "/"),
        worst=most,
        findings=tuple(group),
        value=numbers.value,
        margin=numbers.margin,
        where="data" if most.judged else _runs(finding.generation for finding in group),
    )


def _runs(numbers: Iterable[int]) -> str:
    """{1, 2, 3, 5} -> "1-3, 5"."""
    runs: list[list[int]] = []
    for each in sorted(set(numbers)):
        if runs and runs[-1][-1] == each - 1:
            runs[-1].append(each)
        else:
            runs.append([each])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
