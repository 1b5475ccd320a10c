"""The matrix of probes and generations, its marks and its legend, as a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from collapse_audit.reports._format import WORDS, inert
from collapse_audit.reports.document import Cell, Outcome

MARKS = {
    Outcome.PASS: ". P",
    Outcome.FAIL: "x F",
    Outcome.CHANGED: "~ C",
    Outcome.INCONCLUSIVE: "? I",
    Outcome.NOT_MEASURED: "- N",
    Outcome.ERROR: "! E",
}
STYLES = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.CHANGED: "cyan",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.NOT_MEASURED: "dim",
    Outcome.ERROR: "bold magenta",
}
WAIVED = "w W"
"""The mark of a cell that passes because somebody accepts what failed in it."""
GAP = 2
"""Blank columns between the columns of a table."""


def matrix(group: Sequence[Cell], seed: str | None, width: int) -> Iterable[RenderableType]:
    marks = {
        (cell.probe, cell.generation): Text(WAIVED, "dim") if cell.waived else mark(cell.outcome, gating=cell.gating)
        for cell in group
    }
    if seed is not None:
        yield Text(f"\nseed {inert(seed)}", style="bold")
    of_data = any(cell.judged is not None for cell in group)
    yield from tables(list(dict.fromkeys(cell.probe for cell in group)), marks, width, of_data=of_data)


def tables(
    probes: Sequence[str], marks: Mapping[tuple[str, int], Text], width: int, *, of_data: bool = False
) -> Iterable[RenderableType]:
    """A row a probe and a column a generation, or one for the data; several tables where one is too wide."""
    columns = sorted({generation for _, generation in marks})
    names = {probe: inert(probe, limit=60) for probe in probes}
    widest = min(max(map(cell_len, [*names.values(), "generation"])), max(width // 2, 10))
    broad = max((cell_len(mark.plain) for mark in marks.values()), default=3)
    fitting = max(1, (width - widest) // (max(broad, 3) + GAP))
    for start in range(0, len(columns), fitting):
        block = columns[start : start + fitting]
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold", collapse_padding=True)
        table.add_column(Text("probe" if of_data else "generation"), max_width=widest, overflow="fold")
        for generation in block:
            table.add_column(Text("data" if of_data else str(generation)), justify="center", no_wrap=True, min_width=3)
        for probe, name in names.items():
            table.add_row(Text(name), *(marks.get((probe, each), "") for each in block))
        if start:
            yield Text("")
        yield table


def mark(outcome: Outcome, *, gating: bool) -> Text:
    mark = MARKS[outcome]
    return Text(mark, STYLES[outcome]) if gating else Text(f"({mark[-1]})", "dim")


def legend(group: Sequence[Cell]) -> Text:
    present = {cell.outcome for cell in group if not cell.waived}
    parts = [f"{MARKS[outcome]} {WORDS[outcome].lower()}" for outcome in MARKS if outcome in present]
    if any(cell.waived for cell in group):
        parts.append(f"{WAIVED} waived")
    if any(not cell.gating for cell in group):
        parts.append("( ) context, outside the verdict")
    return Text("   ".join(parts) or "nothing to show: the audit has no findings", style="dim")
