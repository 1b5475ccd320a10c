"""The first page of the terminal: verdict and why, matrix, one line a symptom; short enough to be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from collapse_audit.reports._format import generations, inert, title
from collapse_audit.reports._glance import Symptom, headline, symptoms, told_first
from collapse_audit.reports._matrix import GAP, MARKS, STYLES, WAIVED, legend, matrix, tables
from collapse_audit.reports._terminal import drawn
from collapse_audit.reports.document import AuditReport, Cell, Outcome, Verdict, cells, unmeasured, worst

VERDICT_STYLES = {
    Verdict.PASS: "bold green",
    Verdict.COLLAPSE: "bold red",
    Verdict.CHANGED: "bold cyan",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.ERROR: "bold magenta",
    Verdict.NOT_MEASURED: "bold yellow",
}
_LINES, _LINES_OF_SEEDS = 40, 60
"""Lines of the first page, for one seed and for several."""
_REASONS = 4
"""Sentences that say why: fewer where they are long."""
_FEWEST = 5
"""Symptoms that are shown however long the rest is, and lines kept for what stands around them."""
_LETTERS = 4
"""Seeds up to which each has a letter of its own in a cell."""
_REMARKS = 3
"""Notes that the first page shows, a line each."""
_TRANSCRIPTS = " of the texts are chat transcripts"
_CUT = "..."
PROSE = 1000
"""Characters of a reason or note that are kept."""


def first_page(report: AuditReport, *, width: int) -> list[RenderableType]:
    """At most 40 lines for one seed and 60 for several, the last line of the report counted."""
    most = _LINES if len({finding.seed for finding in report.findings}) < 2 else _LINES_OF_SEEDS
    for reasons in range(_REASONS, 0, -1):
        head = list(_head(report, width=width, most=reasons))
        left = most - drawn(head, Text(""), width=width, color=False).count("\n")
        if left >= 2 * _FEWEST:
            break
    return [*head, *_below(report, width=width, lines=left)]


def _head(report: AuditReport, *, width: int, most: int) -> Iterable[RenderableType]:
    """The head of the page that is read: verdict, why, and the matrix."""
    yield title_line(report)
    lineage = report.lineage
    about = [inert(lineage["scheme"])] if lineage.get("scheme") else []
    about += [generations(lineage["generations"])] if lineage.get("generations") else []
    about += [f"against {inert(lineage['baseline'])}"] if lineage.get("baseline") else []
    yield Text(f"{inert(lineage['name'])}{': ' if about else ''}{', '.join(about)}", style="dim")
    yield from (Text(inert(line, limit=PROSE), style="dim") for line in _guessed(report))
    said, reasons = headline(report)
    yield Text(f"{said}{':' if reasons and ':' not in said else ''}", style=VERDICT_STYLES[report.verdict])
    for reason in reasons[:most]:
        yield bullet(reason)
    everything = _asked(cells(report.findings))
    yield Text("")
    yield from _one_matrix(everything, width)
    yield legend(everything)


def _asked(everything: Sequence[Cell]) -> list[Cell]:
    """Without the rows of probes that nothing was there for: one line under the matrix names them all."""
    silent = {cell.probe for cell in everything} - {
        cell.probe for cell in everything if cell.outcome is not Outcome.NOT_MEASURED
    }
    return [cell for cell in everything if cell.probe not in silent] or list(everything)


def _guessed(report: AuditReport) -> Iterable[str]:
    """What was told from names and first records, and may be wrong: it has to be seen before the verdict is."""
    if report.lineage.get("text", "text") != "text":
        yield f"text = {report.lineage['text']}"
    yield from (note for note in report.notes if note.startswith("generations by") or " is taken as " in note)
    told = [note.partition(": ") for note in report.notes if _TRANSCRIPTS in note]
    for said, files in {said: [name for name, _, other in told if other == said] for _, _, said in told}.items():
        yield f"{', '.join(files)}: {said}"


def _below(report: AuditReport, *, width: int, lines: int) -> Iterable[RenderableType]:
    """Under the matrix: the symptoms, as many as fit into ``lines``, and what is left for -v."""
    guessed = {*_guessed(report)}
    notes = [n for n in report.notes if not (told_first(n) or n in guessed or _TRANSCRIPTS in n)]
    rest: list[Text] = [*_waivers(report), *_unasked(report), *(Text(inert(n, limit=PROSE)) for n in notes)]
    rows = symptoms(report)
    fitting = max(lines - _FEWEST, _FEWEST)
    if rows:
        yield Text("")
        yield _symptoms(rows[:fitting], width)
    if len(rows) > fitting:
        yield Text(f"and {len(rows) - fitting} symptoms more", style="dim")
    remarks = max(min(_REMARKS, lines - len(rows) - _FEWEST), 0)
    yield from (_cut(line, width) for line in rest[:remarks])
    unseen = len(rest) - remarks
    more = f", and {unseen} note{'s' if unseen > 1 else ''}" if unseen > 0 else ""
    yield _cut(Text(f"-v shows intervals, p-values and evidence{more}", style="dim"), width)


def _unasked(report: AuditReport) -> Iterable[Text]:
    """The probes of which nothing was measured, by name; why stands behind -v."""
    measured = {finding.probe for finding in report.findings if finding.outcome is not Outcome.NOT_MEASURED}
    silent = dict.fromkeys(finding.probe for finding in report.findings if finding.probe not in measured)
    if silent:
        yield Text(f"not measured: {', '.join(map(inert, silent))}")


def _waivers(report: AuditReport) -> Iterable[Text]:
    """Who accepts what was found, until when and why, each said once."""
    waivers = [finding.waiver for finding in report.findings if finding.waiver is not None]
    said = (f"waived until {waiver['expires']} by {waiver['owner']}: {waiver['reason']}" for waiver in waivers)
    return [Text(inert(line, limit=PROSE)) for line in dict.fromkeys(said)]


def bullet(line: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text("-"), Text(line))
    return grid


def _cut(line: Text, width: int) -> Text:
    """On one line: the rest is behind -v."""
    cut = line.copy()
    cut.truncate(width, overflow="crop")
    if cell_len(line.plain) > width and width > len(_CUT):
        cut.truncate(width - len(_CUT), overflow="crop")
        cut.append(_CUT)
    return cut


def _one_matrix(everything: Sequence[Cell], width: int) -> Iterable[RenderableType]:
    """One matrix for all seeds: several of them share a cell, a letter each."""
    seeds = list(dict.fromkeys(cell.seed for cell in everything))
    if len(seeds) < 2:
        yield from matrix(everything, None, width)
        return
    at: dict[tuple[str, int], list[Cell]] = {}
    for cell in everything:
        at.setdefault((cell.probe, cell.generation), []).append(cell)
    marks = {place: _letters(group, len(seeds)) for place, group in at.items()}
    named = ", ".join(inert(seed, limit=20) for seed in seeds if seed is not None)
    few = len(seeds) <= _LETTERS
    yield Text(f"a letter a seed: {named}" if few else f"the worst, and in how many of {len(seeds)} seeds", style="dim")
    yield from tables(list(dict.fromkeys(cell.probe for cell in everything)), marks, width)


def _letters(group: Sequence[Cell], seeds: int) -> Text:
    letters = ["W" if cell.waived else MARKS[cell.outcome][-1] for cell in group]
    most = worst(cell.outcome for cell in group)
    shown = "".join(letters)
    if seeds > _LETTERS:
        shown = f"{MARKS[most][-1]}{sum(cell.outcome is most for cell in group)}"
    return Text(shown, STYLES[most]) if group[0].gating else Text(f"({shown})", "dim")


def _symptoms(rows: Sequence[Symptom], width: int) -> RenderableType:
    """One line a symptom; names give way where the page is narrow."""
    columns = {
        "worst": [row.value for row in rows],
        "margin": [row.margin for row in rows],
        **({} if rows[0].worst.judged else {"gen": [row.where for row in rows]}),
    }
    rest = sum(GAP + max(map(cell_len, (name, *column))) for name, column in columns.items())
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim", collapse_padding=True)
    table.add_column(Text(""), no_wrap=True)
    longest = max(width - rest - 3 - GAP, 12)
    table.add_column(Text("symptom"), max_width=longest, overflow="fold")
    for name in columns:
        table.add_column(Text(name), no_wrap=name != "gen", overflow="fold")
    for row, numbers in zip(rows, zip(*columns.values(), strict=True), strict=True):
        mark = Text(WAIVED, "dim") if row.waived else Text(MARKS[row.outcome], STYLES[row.outcome])
        table.add_row(mark, Text(row.name), *map(Text, numbers))
    return table


def title_line(report: AuditReport) -> RenderableType:
    tool = inert(f"{report.tool['name']} {report.tool['version']}", limit=40)
    return Rule(Text(tool, style="bold"), characters="=", style="none")


def not_measured(report: AuditReport) -> Iterable[Text]:
    listed = [
        f"{', '.join(dict.fromkeys(map(title, findings)))} ({inert(reason, limit=PROSE)})"
        for reason, findings in unmeasured(report.findings).items()
    ]
    if listed:
        yield Text(f"not measured: {'; '.join(listed)}")
