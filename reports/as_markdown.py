"""``report.md``: for a pull request or a CI job's summary page (GitHub-flavoured Markdown).

Nothing that a corpus, a lineage or a user's probe says may act as markup: names and quoted text become code spans,
sentences are escaped. On GitHub that also keeps "@name" and "#12" in somebody's text from notifying anyone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from collapse_audit.reports._exhibits import exhibits, raw
from collapse_audit.reports._format import (
    WORDS,
    alpha,
    degenerate,
    generations,
    inert,
    named_margins,
    other_settings,
    percent,
    settings,
    shown_together,
    title,
)
from collapse_audit.reports._glance import reasons, symptoms, word
from collapse_audit.reports._margins import worst_first
from collapse_audit.reports._sections import sections
from collapse_audit.reports.document import AuditReport, Cell, Finding, Outcome, cells, unmeasured, worst
from collapse_audit.reports.plain import judged, to_dict

_HEADINGS = {
    Outcome.FAIL: "What failed",
    Outcome.ERROR: "Errors",
    Outcome.INCONCLUSIVE: "Inconclusive",
    Outcome.CHANGED: "What moved",
}
_WAIVED = "Waived"
_ROWS = 200
"""Rows of one table; a pull-request comment holds 65,536 characters, and report.json holds the rest."""
_SYMPTOMS = 22
"""Symptoms shown before anything is unfolded."""
_PROBES = 20
"""Rows up to which the matrix of all seeds is shown before anything is unfolded."""
_OPEN = 20
"""Problems up to which all of them are shown at once; of more, first a row a statistic."""
_LONGEST = 1_000_000
"""Bytes of the whole page: a job's summary holds 1 MiB, and GitHub shows nothing at all of a longer one."""
_LEFT_OUT = "*Left out here, because the page would be longer than GitHub shows; `report.json` has it.*"
_EXHIBITS = 10
_PROSE = 600
"""Characters of a reason or note that are kept."""
_PLAIN = re.compile(r"[^\s`|\\<>&][^`|\\<>&]*")


def render(report: AuditReport, *, longest: int = _LONGEST) -> str:
    """``report`` as Markdown: verdict, why, symptoms and a matrix in at most 60 lines, and the rest folded away.

    Where that is more than ``longest`` bytes, the parts that do not fit are left out, and each says so in its place.
    Raises ProbeError, naming the finding, for a number that is not finite.
    """
    to_dict(report)  # refuses, by name, what no report may hold
    blocks = [
        f"## collapse-audit: {word(report).replace('not_', 'nothing ').upper()}",
        f"**{prose(report.summary)}**",
        *(f"**{prose(line)}**" for line in degenerate(report)),
        *_said(report),
        f"{'Data' if report.of_data else 'Lineage'} {code(report.lineage['name'])}{_about(report)}",
        *_symptoms(report),
        *_overview(report),
        "<details>\n<summary>Everything: intervals, p-values, evidence, notes and settings</summary>",
        *_problems(report),
        *_matrices(report),
        *_sections(report),
        *_remarks(report),
        *_details(report),
        "</details>",
    ]
    return "\n\n".join(_fitting(blocks, longest)) + "\n"


def _fitting(blocks: Sequence[str], longest: int) -> list[str]:
    """``blocks``, those that do not fit replaced; what comes first goes first, and short ones always stand."""
    left = longest - sum(len(_LEFT_OUT) + 2 for _ in blocks)
    kept: list[str] = []
    for block in blocks:
        size = max(len(block.encode("utf-8")) - len(_LEFT_OUT), 0)
        if size <= left:
            kept.append(block)
            left -= size
        elif kept[-1:] != [_LEFT_OUT]:
            kept.append(_LEFT_OUT)
    return kept


# ------------------------------------------------------------------------------------------------------------ escaping


def code(text: object, *, limit: int = 200) -> str:
    """Untrusted text as a code span, also inside a table cell."""
    visible = inert(text, limit=limit)
    if _PLAIN.fullmatch(visible):
        return f"`{visible}`"
    # A backtick ends a code span and a pipe ends a cell, even inside one; as entities within <code> they do neither.
    return f"<code>{''.join(map(_entity, visible))}</code>" if visible else "(empty)"


def prose(text: object, *, limit: int = _PROSE) -> str:
    """An untrusted sentence as Markdown that shows exactly that sentence, also inside a table cell.

    An ordinary sentence stays as it is, brackets and dashes included, so that it can be searched for.
    """
    visible = inert(text, limit=limit).strip()
    escaped = _ACTIVE.sub(lambda match: _ENTITIES.get(match[0], f"\\{match[0]}"), visible)
    escaped = _LEADING.sub(r"\1\\\2", escaped)
    # A comment parts what GitHub would turn into a mention, an issue or a link; it is invisible when rendered.
    parted = _COMMIT.sub(lambda match: "<!-- -->".join(_FOUR.findall(match[0])), escaped)
    return _NOTIFIES.sub(r"\g<0><!-- -->", parted)


_ENTITIES = {"\\": "&#92;", "|": "&#124;", "<": "&lt;", "&": "&amp;"}
_ACTIVE = re.compile(r"[\\|<&`*~$#]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])")
"""What acts anywhere in a sentence; a closing bracket only where a link or its definition would follow."""
_LEADING = re.compile(r"^(\d*)([-+=>[]|(?<=\d)[.)](?=\s|$))")
"""What acts at the start of a line: list items, rules, headings, quotations, check boxes."""
_NOTIFIES = re.compile(r"(?:@|\\#)(?=\w)|:(?=//)|\bwww(?=\.)|(?<![^\W_])gh(?=-\d)", re.IGNORECASE)
"""Where a comment breaks what GitHub would link: @name, #1, GH-1, addresses."""
_FOUR = re.compile(".{1,4}")
_COMMIT = re.compile(r"(?<![0-9a-z])[0-9a-f]{7,40}(?![0-9a-z])", re.IGNORECASE)
"""What GitHub links to a commit: parted every four digits, as a rest of seven would be a commit again."""


def _entity(character: str) -> str:
    return character if character.isalnum() or character == " " or ord(character) > 127 else f"&#{ord(character)};"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    kept = header, ["---"] * len(header), *rows[:_ROWS]
    lines = ["| " + " | ".join(cell or " " for cell in row) + " |" for row in kept]
    if len(rows) > _ROWS:
        lines.append(f"\n{len(rows) - _ROWS:,} more rows in `report.json`.")
    return "\n".join(lines)


def _folded(summary: str, body: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


# -------------------------------------------------------------------------------------------------------------- blocks


def _about(report: AuditReport) -> str:
    lineage = report.lineage
    known = [
        f"{key} {code(lineage[key])}" for key in ("scheme", "baseline", "tokens", "labels", "unit") if lineage.get(key)
    ]
    if lineage.get("generations"):
        known.insert(0, generations(lineage["generations"]))
    return ": " + "; ".join(known) + "." if known else "."


def _said(report: AuditReport) -> Iterable[str]:
    """The sentences that say why."""
    sentences = reasons(report)
    if sentences:
        yield "\n".join(f"- {prose(reason)}" for reason in sentences)


def _symptoms(report: AuditReport) -> Iterable[str]:
    """One line a statistic that is not simply well."""
    rows = [
        [
            "waived" if row.waived else _word(row.outcome, gating=True),
            code(row.name),
            row.value,
            _margin(row.worst, row.margin),
            row.where,
        ]
        for row in symptoms(report)
    ]
    if rows:
        more = [f"\nand {len(rows) - _SYMPTOMS} more below"] if len(rows) > _SYMPTOMS else []
        header = ["", "symptom", "worst value", "margin", "of" if report.of_data else "generations"]
        yield "\n".join([_table(header, rows[:_SYMPTOMS]), *more])


def _overview(report: AuditReport) -> Iterable[str]:
    """One matrix for all seeds, which share a cell; left to the fold where there are too many probes."""
    at: dict[str, dict[int, list[Cell]]] = {}
    for cell in cells(report.findings):
        at.setdefault(cell.probe, {}).setdefault(cell.generation, []).append(cell)
    columns = sorted({generation for row in at.values() for generation in row})
    if at and len(at) <= _PROBES:
        rows = [[code(probe), *(_shared(row.get(each, [])) for each in columns)] for probe, row in at.items()]
        named = ["data"] if report.of_data else [f"gen {each}" for each in columns]
        yield _table(["probe", *named], rows)


def _shared(group: Sequence[Cell]) -> str:
    """The outcomes of one probe and generation over all seeds: ``**FAIL**``, or ``**FAIL** 2 of 3``."""
    if not group:
        return ""
    outcome = worst(cell.outcome for cell in group)
    many = sum(cell.outcome is outcome for cell in group)
    word = "waived" if all(cell.waived for cell in group) else _word(outcome, gating=group[0].gating)
    return word if many == len(group) else f"{word} {many} of {len(group)}"


def _problems(report: AuditReport) -> Iterable[str]:
    counting = [finding for finding in report.findings if finding.gating and finding.waiver is None]
    waived = [finding for finding in report.findings if finding.waiver is not None]
    chapters = [(heading, [f for f in counting if f.outcome is outcome]) for outcome, heading in _HEADINGS.items()]
    for heading, problems in (*chapters, (_WAIVED, waived)):
        groups: dict[tuple[str, str], list[Finding]] = {}
        for finding in problems:
            groups.setdefault((finding.probe, finding.statistic), []).append(finding)
        findings = [finding for group in groups.values() for finding in group]
        if not findings:
            continue
        yield f"### {heading}"
        if len(findings) > _OPEN:
            yield _by_statistic(groups)
            yield _folded(f"{heading}: all {len(findings):,}", _findings(report, findings, why=True))
            findings = [f for f in (_worst_with_evidence(group) for group in groups.values()) if f is not None]
        else:
            yield _findings(report, findings, why=True)
        exhibits = [line for finding in findings if finding.evidence for line in _evidence(finding)]
        if exhibits:
            yield _folded(f"Evidence ({heading.lower()})", "\n".join(exhibits[: 2 * _ROWS]).strip())


def _worst_with_evidence(group: Sequence[Finding]) -> Finding | None:
    return next((finding for finding in worst_first(group) if finding.evidence), None)


def _by_statistic(groups: Mapping[tuple[str, str], Sequence[Finding]]) -> str:
    """A row a statistic: in how many comparisons, from which generation on, and the worst of them."""
    rows = []
    for group in groups.values():
        most = worst_first(group)[0]
        numbers = shown_together(group)[[id(finding) for finding in group].index(id(most))]
        seed = "" if most.seed is None else f", seed {code(most.seed)}"
        rows.append(
            [
                code(title(most)),
                str(len(group)),
                str(min(finding.generation for finding in group)),
                f"{numbers.value} {prose(most.unit)}".rstrip() if numbers.value else "",
                numbers.interval,
                _margin(most, numbers.margin),
                f"{judged(most)}{seed}",
            ]
        )
    return _table(["finding", "comparisons", "from generation", "worst value", "interval", "margin", "worst in"], rows)


def _findings(report: AuditReport, findings: Sequence[Finding], *, why: bool) -> str:
    """A table of findings, without the columns that would stay empty: ``why`` for a reader, otherwise in full."""
    numbers = shown_together(findings, alpha=alpha(report))
    both = list(zip(findings, numbers, strict=True))
    levels = {percent(finding.interval.level) for finding in findings if finding.interval is not None}
    baselines = {finding.baseline for finding in findings}
    unsure = any(finding.outcome is Outcome.INCONCLUSIVE for finding in findings)
    columns: dict[str, list[str]] = {
        "outcome": []
        if why and not any(finding.waiver for finding in findings)
        else [_in_words(finding) for finding in findings],
        "generation": ["" if finding.judged else str(finding.generation) for finding in findings],
        "seed": ["" if finding.seed is None else code(finding.seed) for finding in findings],
        "finding": [code(title(finding)) for finding in findings],
        "against": [code(finding.baseline) for finding in findings] if len(baselines) > 1 else [],
        "value": [f"{each.value} {prose(finding.unit)}".rstrip() if each.value else "" for finding, each in both],
        f"{levels.pop()} interval" if len(levels) == 1 else "interval": [each.interval for each in numbers],
        "margin": [_margin(finding, each.margin) for finding, each in both],
        "p": [] if why else [each.p.replace("<", "&lt;") for each in numbers],
        "Holm p": [] if why else [each.p_adjusted.replace("<", "&lt;") for each in numbers],
        "n": [] if why and not unsure else [each.n for each in numbers],
        "n needed": [each.n_needed for each in numbers],
        "detectable": [each.detectable for each in numbers] if unsure or not why else [],
        "notes": [", ".join(map(prose, finding.notes)) for finding in findings],
        "raw": [] if why else [prose(raw(finding)) for finding in findings],
        "why": [prose(finding.reason) for finding in findings] if why else [],
    }
    used = {name: column for name, column in columns.items() if any(column)}
    return _table(list(used), list(zip(*used.values(), strict=True)))


def _margin(finding: Finding, margin: str) -> str:
    """``> 0.0100`` for damage that rises: beyond this it matters."""
    return f"{'&gt;' if finding.worse == 'higher' else '&lt;'} {margin}" if margin else ""


def _in_words(finding: Finding) -> str:
    if finding.waiver is not None:
        return f"{WORDS[finding.outcome]} (waived)"
    return _word(finding.outcome, gating=finding.gating)


def _word(outcome: Outcome, *, gating: bool) -> str:
    bold = "**" if gating and outcome in (Outcome.FAIL, Outcome.ERROR) else ""
    return f"{bold}{WORDS[outcome]}{bold}" if gating else f"({WORDS[outcome].lower()})"


def _evidence(finding: Finding) -> Iterable[str]:
    seed = "" if finding.seed is None else f", seed {code(finding.seed)}"
    yield f"\n{code(title(finding))}, {judged(finding)}{seed} (baseline -> generation):\n"
    pieces = exhibits(finding.evidence)
    for piece in pieces[:_EXHIBITS]:
        parts = [prose(piece.facts)] if piece.facts else []
        yield "- " + "  ".join(parts if piece.quoted is None else [*parts, code(piece.quoted)])
    if len(pieces) > _EXHIBITS:
        yield f"- and {len(pieces) - _EXHIBITS:,} more in `report.json`"


def _matrices(report: AuditReport) -> Iterable[str]:
    everything = cells(report.findings)
    if not everything:
        return
    yield "### Probes" if report.of_data else "### Probes and generations"
    for seed in dict.fromkeys(cell.seed for cell in everything):
        group = [cell for cell in everything if cell.seed == seed]
        if seed is not None:
            yield f"Seed {code(seed)}"
        yield _matrix(group)
    if any(not cell.gating for cell in everything):
        yield "In parentheses: context, outside the verdict."


def _matrix(group: Sequence[Cell]) -> str:
    at = {
        (cell.probe, cell.generation): "waived" if cell.waived else _word(cell.outcome, gating=cell.gating)
        for cell in group
    }
    columns = sorted({cell.generation for cell in group})
    rows = [
        [code(probe), *(at.get((probe, each), "") for each in columns)]
        for probe in dict.fromkeys(cell.probe for cell in group)
    ]
    named = ["data"] if group[0].judged else [f"generation {each}" for each in columns]
    return _table(["probe", *named], rows)


def _remarks(report: AuditReport) -> Iterable[str]:
    lines = [f"- {prose(note)}" for note in report.notes]
    listed = [
        f"{', '.join(dict.fromkeys(code(title(finding)) for finding in findings))} ({prose(reason)})"
        for reason, findings in unmeasured(report.findings).items()
    ]
    if listed:
        lines.insert(0, f"- Not measured: {'; '.join(listed)}")
    if lines:
        yield "### Notes"
        yield "\n".join(lines)


def _sections(report: AuditReport) -> Iterable[str]:
    """What is said of the lineage as a whole."""
    for section in sections(report, everything=True):
        rows = list(zip(*([prose(cell) for cell in column] for column in section.columns.values()), strict=True))
        table = _table([prose(name) for name in section.columns], rows)
        yield _folded(f"{section.title.capitalize()}", f"{prose(section.caption)}\n\n{table}")


# ------------------------------------------------------------------------------------------------------------- details


def _details(report: AuditReport) -> Iterable[str]:
    measured = [finding for finding in report.findings if finding.value is not None]
    if measured:
        yield _folded(f"Every finding ({len(measured):,})", _findings(report, measured, why=False) + _methods(measured))
    margins = named_margins(report)
    if margins:
        columns = list(dict.fromkeys(key for about in margins.values() for key in about))
        rows = [[code(name), *(prose(about.get(key, "")) for key in columns)] for name, about in margins.items()]
        yield _folded("Margins and their reasons", _table(["finding", *map(prose, columns)], rows))
    facts = {
        "tool": f"{report.tool['name']} {report.tool['version']}",
        "seed": report.seed,
        "stage": report.stage.value,
    }
    facts |= (
        settings(report.lineage, "lineage.") | other_settings(report) | settings(report.environment, "environment.")
    )
    rows = [[code(key), code(value)] for key, value in facts.items()]
    yield _folded("Settings", _table(["setting", "value"], rows))


def _methods(findings: Sequence[Finding]) -> str:
    """Which interval it is: the level and method of every statistic, said once."""
    intervals = [(finding, finding.interval) for finding in findings if finding.interval is not None]
    methods = {
        (code(title(finding)), percent(interval.level), prose(interval.method)): None for finding, interval in intervals
    }
    lines = [f"- {name}: {level}, {method}" for name, level, method in methods]
    return (
        "\n\nIntervals (each end is the one-sided bound that the verdict uses):\n\n" + "\n".join(lines) if lines else ""
    )
