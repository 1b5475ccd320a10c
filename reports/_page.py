"""What stands on ``report.html``, ready for its template: rows, cards, matrices. All text in it is inert."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from collapse_audit.reports._exhibits import Exhibit, exhibits, raw
from collapse_audit.reports._format import (
    WORDS,
    Shown,
    alpha,
    degenerate,
    generations,
    inert,
    named_margins,
    other_settings,
    over,
    percent,
    settings,
    shown_together,
    title,
    where,
)
from collapse_audit.reports._gauge import Gauge
from collapse_audit.reports._gauge import gauge as gauge_of
from collapse_audit.reports._glance import OF_DATA, reasons, told_first
from collapse_audit.reports._margins import worst_first
from collapse_audit.reports._sections import Section, sections
from collapse_audit.reports.document import AuditReport, Cell, Finding, Outcome, Verdict, cells, unmeasured

VERDICTS = {
    Verdict.PASS: ("pass", "No collapse found"),
    Verdict.COLLAPSE: ("fail", "Collapse"),
    Verdict.CHANGED: ("changed", "Changed, nothing lost"),
    Verdict.INCONCLUSIVE: ("inconclusive", "Inconclusive"),
    Verdict.ERROR: ("error", "Error"),
    Verdict.NOT_MEASURED: ("not_measured", "Nothing was measured"),
}
_SYMBOLS = {
    "pass": "✓",
    "fail": "✕",
    "changed": "~",
    "inconclusive": "?",
    "not_measured": "–",
    "error": "!",
    "waived": "w",
}
"""Beside every colour stands one of these and a word."""
_STAGES = {"none": "none", "early": "early", "late": "late", "undetermined": "undetermined"}
_DECISIVE = {
    Verdict.COLLAPSE: Outcome.FAIL,
    Verdict.CHANGED: Outcome.CHANGED,
    Verdict.ERROR: Outcome.ERROR,
    Verdict.INCONCLUSIVE: Outcome.INCONCLUSIVE,
}
"""The outcome that a verdict rests on."""
_PROBLEMS = {
    "failed": ("What failed", Outcome.FAIL),
    "errors": ("Errors", Outcome.ERROR),
    "changed": ("What moved", Outcome.CHANGED),
    "inconclusive": ("Inconclusive", Outcome.INCONCLUSIVE),
}
_PROSE = 1000
"""Characters of a reason, a note or a quoted text that are kept."""
_EXHIBITS = 12
"""Pieces of evidence that one finding shows."""
_ROWS = 2000
"""Rows of one table."""
_COLUMNS = ("margin", "unit", "reason", "origin")
"""Of the table of margins, the first columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One finding, ready to show; all text in it is inert."""

    finding: Finding
    title: str
    seed: str
    where: str
    mark: str
    """``pass``, ``fail``, …, ``waived``: a class of the style sheet."""
    symbol: str
    word: str
    numbers: Shown
    unit: str
    baseline: str
    margin: str
    """With its sign: what lies beyond is damage."""
    level: str
    method: str
    gauge: Gauge | None
    sentence: str
    """Inert, and without its seed, which stands beside it."""
    reason: str
    raw: str
    notes: tuple[str, ...]
    evidence: tuple[Exhibit, ...]
    more_evidence: int
    waiver: Mapping[str, str]
    card: str
    """Id of the card that holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One cell of the matrix and what opens behind it."""

    id: str
    probe: str
    where: str
    mark: str
    symbol: str
    word: str
    gating: bool
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Probes by generations, of one seed."""

    seed: str | None
    generations: tuple[int, ...]
    absent: str
    """Probes that measured nothing in any generation."""
    rows: tuple[tuple[str, tuple[Card | None, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One statistic wherever it has one outcome."""

    title: str
    code: str
    where: str
    unit: str
    rows: tuple[Row, ...]
    worst: Row
    """The worst of the rows; its reason stands below the table."""
    shown_evidence: Row | None
    """The worst row that has evidence, which stands below it."""


def page(report: AuditReport) -> dict[str, Any]:
    """What the template reads."""
    everything = cells(report.findings)
    together = shown_together(report.findings, alpha=alpha(report))
    numbers = {id(finding): each for finding, each in zip(report.findings, together, strict=True)}
    cards = {id(cell): _card(cell, f"c{order}", numbers) for order, cell in enumerate(everything)}
    rows = [row for card in cards.values() for row in card.rows]
    matrices = _matrices(everything, cards)
    mark, word = VERDICTS[report.verdict]
    return {
        "name": inert(report.lineage["name"]),
        "verdict": OF_DATA.get(report.verdict, word) if report.of_data else word,
        "of_data": report.of_data,
        "mark": mark,
        "symbol": _SYMBOLS[mark],
        "summary": _summary(report),
        "degenerate": degenerate(report),
        "said": reasons(report),
        "because": _because(report, rows),
        "facts": _facts(report),
        "about": _about(report),
        "symbols": _SYMBOLS,
        "context": any(not card.gating for card in cards.values()),
        "tool": f"{inert(report.tool['name'])} {inert(report.tool['version'])}",
        "digest": inert(report.lineage["digest"]),
        "matrices": matrices,
        "cards": list(cards.values()),
        "legend": _legend(matrices),
        "problems": _problems(rows),
        "sections": _tables(report),
        "examples": [_example(example) for example in report.examples],
        "not_measured": [
            (", ".join(dict.fromkeys(map(title, findings))), inert(reason, limit=_PROSE))
            for reason, findings in unmeasured(report.findings).items()
        ],
        "notes": [inert(note, limit=_PROSE) for note in report.notes if not told_first(note)],
        "rows": [row for row in rows if row.numbers.value][:_ROWS],
        "left_out": max(0, sum(1 for row in rows if row.numbers.value) - _ROWS),
        "seeded": any(row.finding.seed is not None for row in rows),
        "margins": _margins(report),
        "settings": {"seed": str(report.seed)} | other_settings(report),
        "environment": settings(report.environment),
    }


def _summary(report: AuditReport) -> str:
    """The last line of the terminal, without the word that the heading above it has just said."""
    summary = inert(report.summary, limit=_PROSE)
    word = f"{VERDICTS[report.verdict][1].lower()}: "
    return summary[len(word) :] if summary.lower().startswith(word) else summary


def _because(report: AuditReport, rows: Sequence[Row]) -> list[tuple[str, int, int, int]]:
    """What the verdict rests on: statistic, the first generation that has it, in how many comparisons, of how many."""
    wanted = _DECISIVE.get(report.verdict)
    gating = [row for row in rows if row.finding.gating]
    decisive = [row for row in gating if row.finding.outcome is wanted and row.finding.waiver is None]
    seeds_of: dict[str, list[int]] = {}
    for row in decisive:
        seeds_of.setdefault(row.title, []).append(row.finding.generation)
    totals = collections.Counter(row.title for row in gating)
    return [(name, min(seeds), len(seeds), totals[name]) for name, seeds in sorted(seeds_of.items(), key=_most_first)]


def _most_first(entry: tuple[str, list[int]]) -> int:
    return -len(entry[1])


def _facts(report: AuditReport) -> list[tuple[str, str, str]]:
    """What a reader asks first: heading, value, and the mark it is shown with."""
    gating = [finding for finding in report.findings if finding.gating]
    facts: list[tuple[str, str, str]] = []
    for outcome in (Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.CHANGED, Outcome.PASS):
        many = sum(1 for finding in gating if finding.outcome is outcome and finding.waiver is None)
        if many or outcome in (Outcome.FAIL, Outcome.PASS):
            heading = {"fail": "findings failed", "pass": "passed"}.get(outcome.value, WORDS[outcome].lower())
            facts.append((heading, str(many), outcome.value if many else ""))
    waived = sum(1 for finding in gating if finding.waiver is not None)
    if waived:
        facts.append(("waived", str(waived), "waived"))
    if not report.of_data:
        facts.append(("stage", _STAGES[report.stage.value], ""))
    return facts


def _tables(report: AuditReport) -> list[Section]:
    return [
        section
        for section in sections(report, everything=True)
        if any(len(column) for column in section.columns.values())
    ]


def _about(report: AuditReport) -> list[tuple[str, str]]:
    lineage = report.lineage
    about = [
        (key, inert(lineage[key])) for key in ("scheme", "baseline", "tokens", "labels", "unit") if lineage.get(key)
    ]
    if lineage.get("seeds"):
        about.insert(0, ("seeds", inert(", ".join(map(str, lineage["seeds"])))))
    if lineage.get("generations"):
        about.insert(0, ("generations", generations(lineage["generations"]).split(" ", 1)[1]))
    return about


def _example(example: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "seed": inert(example.get("seed", "")),
        "prompt": inert(example["prompt"], limit=_PROSE),
        "texts": [(inert(text["name"]), inert(text["text"], limit=_PROSE)) for text in example["texts"]],
    }


def _margins(report: AuditReport) -> tuple[list[str], list[tuple[str, list[str]]]]:
    listed = named_margins(report)
    keys = {key for about in listed.values() for key in about}
    columns = sorted(keys, key=lambda key: (_COLUMNS.index(key) if key in _COLUMNS else len(_COLUMNS), key))
    return columns, [(name, [about.get(key, "") for key in columns]) for name, about in listed.items()]


# ----------------------------------------------------------------------------------------------------- matrix and cards


def _matrices(everything: Sequence[Cell], cards: Mapping[int, Card]) -> list[Matrix]:
    made = []
    for seed in dict.fromkeys(cell.seed for cell in everything):
        group = [cell for cell in everything if cell.seed == seed]
        columns = tuple(sorted({cell.generation for cell in group}))
        at = {(cell.probe, cell.generation): cards[id(cell)] for cell in group}
        measured = {cell.probe for cell in group if cell.outcome is not Outcome.NOT_MEASURED}
        probes = dict.fromkeys(cell.probe for cell in group if cell.probe in measured or not measured)
        absent = dict.fromkeys(inert(cell.probe) for cell in group if measured and cell.probe not in measured)
        made.append(
            Matrix(
                seed=None if seed is None else inert(seed),
                generations=columns,
                absent=", ".join(absent),
                rows=tuple((inert(probe), tuple(at.get((probe, each)) for each in columns)) for probe in probes),
            )
        )
    return made


def _card(cell: Cell, key: str, numbers: Mapping[int, Shown]) -> Card:
    mark = "waived" if cell.waived else cell.outcome.value
    return Card(
        id=key,
        probe=inert(cell.probe),
        where=where(cell),
        mark=mark,
        symbol=_SYMBOLS[mark],
        word="waived" if cell.waived else WORDS[cell.outcome].lower(),
        gating=cell.gating,
        rows=tuple(_row(finding, key, numbers[id(finding)]) for finding in cell.findings),
    )


def _row(finding: Finding, card: str, numbers: Shown) -> Row:
    pieces = exhibits(finding.evidence)
    mark = "waived" if finding.waiver is not None else finding.outcome.value
    sign = ">" if finding.worse == "higher" else "<"
    interval = finding.interval
    return Row(
        finding=finding,
        title=title(finding),
        seed="" if finding.seed is None else inert(finding.seed),
        where=where(finding),
        mark=mark,
        symbol=_SYMBOLS[mark],
        word=WORDS[finding.outcome].lower() + (" (waived)" if finding.waiver is not None else ""),
        numbers=numbers,
        unit=inert(finding.unit),
        baseline=inert(finding.baseline),
        margin=f"{sign} {numbers.margin}" if numbers.margin else "",
        level="" if interval is None else percent(interval.level),
        method="" if interval is None else inert(interval.method),
        gauge=gauge_of(finding, numbers),
        sentence=inert(finding.sentence or finding.reason, limit=_PROSE),
        reason=inert(finding.reason, limit=_PROSE),
        raw=_arrowed(raw(finding)),
        notes=tuple(map(inert, finding.notes)),
        evidence=tuple(replace(piece, facts=_arrowed(piece.facts)) for piece in pieces[:_EXHIBITS]),
        more_evidence=max(0, len(pieces) - _EXHIBITS),
        waiver={} if finding.waiver is None else settings(finding.waiver),
        card=card,
    )


def _arrowed(facts: str) -> str:
    return facts.replace(" -> ", " → ")


def _legend(matrices: Sequence[Matrix]) -> list[tuple[str, str, str]]:
    present = {card.mark for matrix in matrices for _, row in matrix.rows for card in row if card is not None}
    words = {"not_measured": "not measured", "fail": "fail: collapse"}
    order = ("pass", "fail", "changed", "inconclusive", "waived", "not_measured", "error")
    return [(mark, _SYMBOLS[mark], words.get(mark, mark)) for mark in order if mark in present]


# ------------------------------------------------------------------------------------------------------------- problems


def _problems(rows: Sequence[Row]) -> list[tuple[str, str, list[Problem]]]:
    chapters = []
    for slug, (heading, outcome) in _PROBLEMS.items():
        own = [r for r in rows if r.finding.gating and r.finding.outcome is outcome and r.finding.waiver is None]
        chapters.append((slug, heading, _grouped(own)))
    chapters.append(("waived", "Waived", _grouped([row for row in rows if row.finding.waiver is not None])))
    return [chapter for chapter in chapters if chapter[2]]


def _grouped(rows: Sequence[Row]) -> list[Problem]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.title, []).append(row)
    worst = {name: _worst_first(group) for name, group in groups.items()}
    return [
        Problem(
            title=name,
            code=inert(group[0].finding.code),
            where=over([row.finding for row in group]),
            unit=group[0].unit,
            rows=tuple(group),
            worst=worst[name][0],
            shown_evidence=next((row for row in worst[name] if row.evidence), None),
        )
        for name, group in groups.items()
    ]


def _worst_first(rows: Sequence[Row]) -> list[Row]:
    of = {id(row.finding): row for row in rows}
    return [of[id(finding)] for finding in worst_first(row.finding for row in rows)]
