"""What a person sees in the terminal: a matrix at a glance, then what is wrong, then the verdict on the last line.

Our own characters are ASCII and every outcome is a symbol and a letter, so the page reads the same without colour, in a
log file and on a terminal that knows no Unicode. Text of users is shown inert (see :func:`_format.inert`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from collapse_audit.reports._exhibits import exhibits, raw
from collapse_audit.reports._first_page import PROSE, VERDICT_STYLES, bullet, first_page, not_measured, title_line
from collapse_audit.reports._format import (
    alpha,
    degenerate,
    generations,
    inert,
    named_margins,
    other_settings,
    over,
    percent,
    sentence,
    shown,
    shown_together,
    title,
    where,
)
from collapse_audit.reports._glance import headline
from collapse_audit.reports._margins import worst_first
from collapse_audit.reports._matrix import GAP, MARKS, STYLES, WAIVED, legend, mark, matrix
from collapse_audit.reports._sections import Section, sections
from collapse_audit.reports._terminal import NARROWEST, drawn
from collapse_audit.reports.document import AuditReport, Finding, Outcome, cells
from collapse_audit.reports.plain import to_dict

_SECTIONS = {
    Outcome.FAIL: "FAILURES",
    Outcome.ERROR: "ERRORS",
    Outcome.INCONCLUSIVE: "INCONCLUSIVE",
    Outcome.CHANGED: "CHANGED",
}
_INDENT = 5
"""Blank columns before what belongs to a problem; the width of its mark."""
_ROWS = 10
"""Rows of a problem that are shown unless everything is asked for."""
_SECTION_ROWS = 100
"""Rows of a table about the whole lineage."""


def render(report: AuditReport, *, width: int = 80, color: bool = False, verbosity: int = 0) -> str:
    """``report`` for a terminal of ``width`` columns; the last line is ``report.summary``, unbroken and unadorned.

    ``verbosity`` -1: failures, errors and changes, a line each. 0: verdict and why in sentences, matrix, one line a
    symptom. 1: what is wrong with intervals, p-values, raw numbers and evidence. 2: also every finding in a row of its
    own and all evidence. Depends on nothing but its arguments (no terminal, no environment
    variables). Raises ProbeError, naming the finding, for a number that is not finite.
    """
    to_dict(report)  # refuses, by name, what no report may hold
    width = max(width, NARROWEST)
    body: Iterable[RenderableType]
    if verbosity < 0:
        body = _brief(report)
    elif verbosity == 0:
        body = first_page(report, width=width)
    else:
        body = _page(report, width=width, verbose=verbosity > 1)
    last = Text(inert(report.summary, limit=PROSE), style=VERDICT_STYLES[report.verdict])
    return drawn(body, last, width=width, color=color)


def _brief(report: AuditReport) -> Iterable[RenderableType]:
    for line in degenerate(report):
        yield Text(line, style="bold yellow")
    for outcome in (Outcome.FAIL, Outcome.ERROR, Outcome.CHANGED):
        for group in _problems(report, outcome):
            worst = worst_first(group)[0]
            words = sentence(worst, alpha=alpha(report)) or inert(worst.reason, limit=PROSE)
            yield Text.assemble((MARKS[outcome], STYLES[outcome]), f"  {_brief_line(group, words)}")
    for group in _waived(report):
        yield Text.assemble(
            (WAIVED, "dim"), f"  {_brief_line(group, inert(worst_first(group)[0].reason, limit=PROSE))}"
        )


def _brief_line(group: Sequence[Finding], words: str) -> str:
    worst = worst_first(group)[0]
    rest = f" (and {len(group) - 1} more like it)" if len(group) > 1 else ""
    return f"{title(worst)}, {where(worst)}: {words}{rest}"


def _page(report: AuditReport, *, width: int, verbose: bool) -> Iterable[RenderableType]:
    yield title_line(report)
    said, reasons = headline(report)
    yield Text(said, style=VERDICT_STYLES[report.verdict])
    for reason in reasons:
        yield bullet(reason)
    yield Text("")
    yield _header(report, verbose=verbose)
    everything = cells(report.findings)
    for seed in dict.fromkeys(cell.seed for cell in everything):
        yield from matrix([cell for cell in everything if cell.seed == seed], seed, width)
    yield Text("")
    yield legend(everything)
    yield Text("")
    if verbose:
        yield from _every_finding(report, width)
    for outcome, heading in _SECTIONS.items():
        problems = _problems(report, outcome)
        yield from _under(heading, STYLES[outcome], report, problems, width=width, verbose=verbose)
    yield from _under("WAIVED", "dim", report, _waived(report), width=width, verbose=verbose)
    for section in sections(report, everything=verbose):
        yield from _section(section, width)
    remarks = [*not_measured(report), *_tagged(report), *_context(report), *_notes(report)]
    if remarks:
        yield Rule(Text("notes"), characters="-", style="none")
        yield from remarks
    yield Rule(characters="=", style="none")


def _under(
    heading: str, style: str, report: AuditReport, groups: Sequence[Sequence[Finding]], *, width: int, verbose: bool
) -> Iterable[RenderableType]:
    """Groups of findings below a rule with their heading; nothing where there is none."""
    if groups:
        yield Rule(Text(heading, style=style), characters="-", style="none")
    for group in groups:
        yield _problem(report, group, width=width, verbose=verbose)


# ------------------------------------------------------------------------------------------------ header and matrix


def _header(report: AuditReport, *, verbose: bool) -> RenderableType:
    lineage, config = report.lineage, other_settings(report)
    about = [inert(lineage[key]) for key in ("scheme",) if lineage.get(key)]
    if lineage.get("generations"):
        about.append(generations(lineage["generations"]))
    if len(lineage.get("seeds", ())) > 1:
        about.append(f"seeds {inert(', '.join(map(str, lineage['seeds'])))}")
    lines = {"lineage": inert(lineage["name"]) + (f" ({'; '.join(about)})" if about else "")}
    lines |= {key: inert(lineage[key]) for key in ("baseline", "tokens", "labels", "unit", "text") if lineage.get(key)}
    asked = [f"seed {report.seed}"]
    asked += [
        f"{name} {config[key]}" for key, name in (("alpha", "alpha"), ("permutations", "permutations")) if key in config
    ]
    lines["audit"] = ", ".join(asked)
    if verbose:
        lines["digest"] = inert(lineage["digest"])
        lines["settings"] = "; ".join(f"{key} {value}" for key, value in config.items())
        margins = named_margins(report)
        lines["margins"] = "; ".join(f"{name} {about.get('margin', '')}" for name, about in margins.items())
    grid = Table.grid(padding=(0, GAP))
    grid.add_column(style="dim", overflow="fold")
    grid.add_column(overflow="fold")
    for key, value in lines.items():
        grid.add_row(Text(key), Text(value))
    return grid


def _finding_mark(finding: Finding) -> Text:
    if finding.waiver is not None:
        return Text(f"w {MARKS[finding.outcome][-1]}", "dim")
    return mark(finding.outcome, gating=finding.gating)


# ---------------------------------------------------------------------------------------------------------- problems


def _problems(report: AuditReport, outcome: Outcome) -> list[list[Finding]]:
    """Gating findings with ``outcome`` that nobody waives."""
    return _together(f for f in report.findings if f.gating and f.outcome is outcome and f.waiver is None)


def _waived(report: AuditReport) -> list[list[Finding]]:
    return _together(finding for finding in report.findings if finding.waiver is not None)


def _together(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings in groups: the same statistic with the same outcome, at several generations or seeds."""
    groups: dict[tuple[str, str, Outcome], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.probe, finding.statistic, finding.outcome), []).append(finding)
    return list(groups.values())


def _problem(report: AuditReport, group: Sequence[Finding], *, width: int, verbose: bool) -> RenderableType:
    first = group[0]
    head = Text.assemble(
        _finding_mark(first),
        (f"  {title(first)}", "bold"),
        f" ({inert(first.code)}) in {over(group)}",
    )
    parts: list[RenderableType] = [head]
    measured = [finding for finding in group if finding.value is not None]
    if measured:
        columns = _columns(measured, report, detectable=verbose or first.outcome is Outcome.INCONCLUSIVE)
        parts.append(_indented(_conditions(measured, columns, verbose=verbose)))
        parts.append(_rows(columns, width=width, limit=len(measured) if verbose else _ROWS))
    for finding in group if verbose or not measured else worst_first(group)[:1]:
        tags = f" [{', '.join(map(inert, finding.notes))}]" if finding.notes else ""
        reason = inert(finding.reason, limit=PROSE)
        parts.append(_indented(f"{where(finding)}: {reason}{tags}"))
        if raw(finding):
            parts.append(_indented(f"raw: {raw(finding)}"))
        parts += _evidence(finding, limit=20) if verbose else []
    if not verbose:
        parts += next((_evidence(each, limit=5) for each in worst_first(group) if each.evidence), [])
    return Group(*parts, Text(""))


def _columns(findings: Sequence[Finding], report: AuditReport, *, detectable: bool) -> dict[str, list[str]]:
    """Heading -> one cell a finding, for every number that any of ``findings`` has."""
    numbers = shown_together(findings, alpha=alpha(report))
    levels = {percent(finding.interval.level) for finding in findings if finding.interval is not None}
    columns = {
        "seed": ["" if finding.seed is None else inert(finding.seed) for finding in findings],
        "gen": ["" if finding.judged else str(finding.generation) for finding in findings],
        "against": [inert(finding.baseline) for finding in findings],
        "value": [each.value for each in numbers],
        f"{levels.pop()} interval" if len(levels) == 1 else "interval": [each.interval for each in numbers],
        "margin": [each.margin for each in numbers],
        "p": [each.p for each in numbers],
        "Holm p": [each.p_adjusted for each in numbers],
        "n": [each.n for each in numbers],
        "n needed": [each.n_needed for each in numbers],
        "detectable": [each.detectable for each in numbers] if detectable else [],
    }
    return {name: column for name, column in columns.items() if any(column)}


def _conditions(findings: Sequence[Finding], columns: dict[str, list[str]], *, verbose: bool) -> str:
    """What holds for all rows of a problem; takes columns that say the same in every row out of ``columns``."""
    parts = [inert(findings[0].unit)] if findings[0].unit else []
    parts.append(f"{findings[0].worse} is worse")
    constant = [name for name in ("margin", "n", "against") if len(set(columns.get(name, ""))) == 1]
    parts += [f"{name} {columns.pop(name)[0]}" for name in constant]
    if verbose:
        methods = [inert(finding.interval.method) for finding in findings if finding.interval is not None]
        parts += [f"interval: {method}" for method in dict.fromkeys(methods)]
    return "; ".join(parts)


def _rows(columns: dict[str, list[str]], *, width: int, limit: int) -> RenderableType:
    """One row a finding, in columns where they fit ``width`` and as sentences where they do not."""
    total = len(next(iter(columns.values())))
    widths = [max(map(cell_len, (name, *column))) for name, column in columns.items()]
    rows = list(zip(*columns.values(), strict=True))[:limit]
    if _INDENT + sum(widths) + GAP * (len(widths) - 1) <= width:
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
        for name in columns:
            table.add_column(Text(name), no_wrap=True)
        for row in rows:
            table.add_row(*map(Text, row))
        parts: list[RenderableType] = [Padding(table, (0, 0, 0, _INDENT))]
    else:
        cells = [[f"{name} {cell}" for name, cell in zip(columns, row, strict=True) if cell] for row in rows]
        parts = [_indented(", ".join(each)) for each in cells]
    if total > limit:
        parts.append(_indented(f"and {total - limit} more (-v shows every row)"))
    return Group(*parts)


def _evidence(finding: Finding, *, limit: int) -> list[RenderableType]:
    shown = exhibits(finding.evidence)
    pieces = shown[:limit]
    widest = min(max((cell_len(piece.facts) for piece in pieces), default=0), 30)
    lines = [_line(piece.facts.ljust(widest), piece.quoted) for piece in pieces]
    if len(shown) > limit:
        lines.append(f"and {len(shown) - limit:,} more in report.json")
    whose = where(finding)
    caption = [_indented(f"evidence, {whose} (baseline -> generation):")] if lines else []
    return [*caption, *(_indented(line, by=_INDENT + 4) for line in lines)]


def _line(facts: str, quoted: str | None) -> str:
    parts = [facts] if facts else []
    return "  ".join(parts if quoted is None else [*parts, f'"{quoted}"'])


def _indented(line: str, *, by: int = 0) -> RenderableType:
    return Padding(Text(line.rstrip()), (0, 0, 0, by or _INDENT))


def _section(section: Section, width: int) -> Iterable[RenderableType]:
    """What is said of the lineage as a whole."""
    yield Rule(Text(section.title), characters="-", style="none")
    columns = {name: list(column) for name, column in section.columns.items()}
    yield _rows(columns, width=width, limit=_SECTION_ROWS)
    yield _indented(section.caption)
    yield Text("")


# ------------------------------------------------------------------------------------------------------------- notes


def _every_finding(report: AuditReport, width: int) -> Iterable[RenderableType]:
    """A row for each finding that has a value: a table where it fits, else a sentence each."""
    findings = [finding for finding in report.findings if finding.value is not None]
    if not findings:
        return
    yield Rule(Text("EVERY FINDING"), characters="-", style="none")
    columns = {
        "": [_finding_mark(finding).plain for finding in findings],
        "finding": [title(finding) for finding in findings],
        **_columns(findings, report, detectable=True),
        "unit": [inert(finding.unit) for finding in findings],
    }
    columns.pop("against", None)  # too wide for this table; problems and context say it
    widths = [max(map(cell_len, (name, *column))) for name, column in columns.items()]
    if sum(widths) + GAP * (len(widths) - 1) > width:
        for finding in findings:
            mark = _finding_mark(finding)
            place = where(finding)
            beside = f"; raw: {raw(finding)}" if raw(finding) else ""
            yield Text.assemble(mark, f"  {title(finding)}, {place}: {sentence(finding, alpha=alpha(report))}{beside}")
        return
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(Text(name), no_wrap=True)
    for finding, row in zip(findings, zip(*columns.values(), strict=True), strict=True):
        table.add_row(_finding_mark(finding), *map(Text, row[1:]))
    yield table


def _tagged(report: AuditReport) -> Iterable[RenderableType]:
    tags: dict[str, dict[str, list[Finding]]] = {}
    for finding in report.findings:
        for tag in finding.notes if finding.gating and finding.outcome is Outcome.PASS else ():
            tags.setdefault(inert(tag), {}).setdefault(title(finding), []).append(finding)
    for tag, which in tags.items():
        listed = "; ".join(f"{name}, {over(group)}" for name, group in which.items())
        yield Text(f"passed, noted as {tag}: {listed}")


def _context(report: AuditReport) -> Iterable[RenderableType]:
    groups: dict[tuple[int, str], dict[tuple[str, str], list[str]]] = {}
    for finding in report.findings:
        value = shown(finding).value
        if not finding.gating and value:
            group = groups.setdefault((finding.generation, inert(finding.baseline)), {})
            group.setdefault((title(finding), inert(finding.unit)), []).append(value)
    for (generation, baseline), values in groups.items():
        listed = "; ".join(f"{name} {', '.join(each)} {unit}".rstrip() for (name, unit), each in values.items())
        yield Text(f"context, generation {generation}{f' against {baseline}' if baseline else ''}: {listed}")


def _notes(report: AuditReport) -> Iterable[RenderableType]:
    for note in report.notes:
        yield Text(inert(note, limit=PROSE))
