"""What ``collapse-audit compare`` prints: the same look as an audit's, the verdict on the last line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from collapse_audit.comparison.answer import answer, means_of
from collapse_audit.comparison.claims import Contrast, Held, from_scale
from collapse_audit.comparison.contrast import Contrasted
from collapse_audit.comparison.difference import Change, Difference, Kind, waived_by
from collapse_audit.reports._format import WORDS, generations, inert, number, probability, shown, title, where
from collapse_audit.reports._terminal import NARROWEST, drawn
from collapse_audit.reports.document import AuditReport, Finding
from collapse_audit.version import __version__

_GAP, _INDENT = 2, 2
_ROWS = 20
"""Changes of a kind that are shown."""
_PROSE = 1000
"""Characters of a reason or note that are kept."""
_STYLES = {0: "bold green", 1: "bold red", 3: "bold magenta", 5: "bold yellow", 6: "bold yellow"}
"""Style of the last line, by exit code."""
_HELD = {Held.A: "A", Held.B: "B", Held.ALIKE: "alike", Held.OPEN: "?"}
_SECTIONS = {
    Kind.WORSE: ("GOT WORSE", "bold red"),
    Kind.CHANGED: ("MOVED BEYOND ITS MARGIN, NOTHING LOST", "cyan"),
    Kind.MOVED_WORSE: ("MOVED FOR THE WORSE, SAME OUTCOME", "yellow"),
    Kind.BETTER: ("GOT BETTER", "green"),
    Kind.MOVED_BETTER: ("MOVED FOR THE BETTER, SAME OUTCOME", "none"),
    Kind.NEW: ("NEW", "none"),
    Kind.GONE: ("GONE: NOT AUDITED AGAIN", "none"),
}

Columns = dict[str, list[str]]


def contrast_text(contrasted: Contrasted, *, width: int, color: bool, verbose: bool = False) -> str:
    """Two lineages, for a terminal of ``width`` columns: the answer first, ``contrasted.summary`` on the last line.

    ``verbose``: the values of every generation, too.
    """
    parts = _contrast(contrasted, max(width, NARROWEST), verbose=verbose)
    return _page(parts, contrasted.summary, contrasted.exit_code, width=width, color=color)


def difference_text(changes: Difference, paths: tuple[str, str], *, width: int, color: bool) -> str:
    """Two reports, for a terminal of ``width`` columns; the last line is ``changes.summary``."""
    return _page(_difference(changes, paths), changes.summary, changes.exit_code, width=width, color=color)


def _page(parts: Iterable[RenderableType], summary: str, code: int, *, width: int, color: bool) -> str:
    top = Rule(Text(f"collapse-audit {__version__}", style="bold"), characters="=", style="none")
    last = Text(inert(summary, limit=_PROSE), style=_STYLES[code])
    return drawn([top, *parts, Rule(characters="=", style="none")], last, width=width, color=color)


def _facts(lines: Mapping[str, str]) -> RenderableType:
    grid = Table.grid(padding=(0, _GAP))
    grid.add_column(style="dim", overflow="fold")
    grid.add_column(overflow="fold")
    for key, value in lines.items():
        grid.add_row(Text(key), Text(value))
    return grid


def _section(name: str, style: str = "none") -> RenderableType:
    return Rule(Text(name, style=style), characters="-", style="none")


def _rows(columns: Columns, width: int) -> RenderableType:
    """A table where it fits ``width``, else a sentence a row. Columns without any cell are left out."""
    columns = {name: column for name, column in columns.items() if any(column)}
    rows = list(zip(*columns.values(), strict=True))
    if sum(max(map(cell_len, (name, *column))) + _GAP for name, column in columns.items()) - _GAP > width:
        names = [*columns][1:]
        cells = ([f"{name} {cell}".strip() for name, cell in zip(names, row[1:], strict=True) if cell] for row in rows)
        return Group(
            *(Text(": ".join(filter(None, (row[0], ", ".join(each))))) for row, each in zip(rows, cells, strict=True))
        )
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for position, name in enumerate(columns):
        table.add_column(Text(name), no_wrap=True, justify="right" if position else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _remarks(lines: Iterable[str]) -> Iterable[RenderableType]:
    remarks = [Text(inert(line, limit=_PROSE)) for line in lines]
    if remarks:
        yield _section("notes")
        yield from remarks


# ----------------------------------------------------------------------------------------------------------- lineages


def _contrast(contrasted: Contrasted, width: int, *, verbose: bool) -> Iterable[RenderableType]:
    first, *rest = answer(contrasted)
    yield Text(first, style="bold")
    yield from map(Text, rest)
    yield Text("")
    shared = {key: inert(contrasted.a[key]) for key in ("baseline", "tokens", "labels") if key in contrasted.a}
    audit = {"audit": f"seed {contrasted.seed}, alpha {contrasted.alpha:g}"}
    yield _facts({"A": _lineage(contrasted.a), "B": _lineage(contrasted.b)} | shared | audit)
    compared = [contrast for contrast in contrasted.judged if contrast.outcome is not Held.NOT_COMPARED]
    if compared:
        yield Text("")
        yield _section(f"RECIPES: generation {contrasted.generation}, seeds are the units")
        yield _rows(_claims(compared) | _dots(compared) | _held(compared), width)
    for seed, units in dict.fromkeys((contrast.seed, contrast.units) for contrast in contrasted.documents):
        group = [contrast for contrast in contrasted.documents if (contrast.seed, contrast.units) == (seed, units)]
        most = max(contrast.n for contrast in group)
        what = "MODELS" if units == "documents of tasks" else "TEXTS"
        yield Text("")
        yield _section(f"THESE {what}: generation {contrasted.generation}, seed {inert(seed)}, {most:,} {units}")
        yield _rows(_claims(group) | _held(group), width)
    if verbose:
        yield Text("")
        yield _section("VALUES (mean over seeds), by generation")
        yield _rows(_by_generation(contrasted.recipe), width)
    key = "A - B, and for * the ratio A / B, with its 90% interval; better: A, B, alike (within the margin) or ? (open)"
    more = [] if verbose else ["the values of every generation: -v"]
    yield from _remarks((key, *_reasons(contrasted.judged), *contrasted.notes, *more))


def _lineage(about: Mapping[str, Any]) -> str:
    parts = [inert(about["scheme"])] if about.get("scheme") else []
    parts += [generations(about["generations"])] if about.get("generations") else []
    parts += [f"seeds {inert(', '.join(about['seeds']))}"] if about.get("seeds") else []
    return f"{inert(about['name'])} ({'; '.join(parts)}); audited alone: {about['verdict']}"


def _claims(contrasts: Sequence[Contrast]) -> Columns:
    columns: Columns = {
        "finding": [inert(contrast.name) + ("*" if contrast.scale == "log" else "") for contrast in contrasts]
    }
    differences, intervals = [], []
    for contrast in contrasts:
        differences.append("" if contrast.difference is None else _number(contrast, contrast.difference))
        bounds = [_number(contrast, each) for each in (contrast.low, contrast.high) if each is not None]
        intervals.append(" to ".join(bounds) if len(bounds) == 2 else "")
    columns |= {"A - B": differences, "90% interval": intervals}
    columns["Holm p"] = ["" if contrast.p_adjusted is None else _p(contrast.p_adjusted) for contrast in contrasts]
    return columns


def _number(contrast: Contrast, value: float) -> str:
    """``value`` to as many decimals as its contrast and the margin need."""
    beside = [each for each in (contrast.difference, contrast.low, contrast.high) if each is not None]
    return number(
        value, beside=beside if contrast.margin is None else [*beside, from_scale(contrast.margin, contrast.scale)]
    )


def _p(p: float) -> str:
    return probability(p).removeprefix("= ")


def _held(contrasts: Sequence[Contrast]) -> Columns:
    """Who holds better; in parentheses where the difference is smaller than the margin."""
    return {
        "better": [
            f"({_HELD[contrast.outcome]})" if _small(contrast) else _HELD[contrast.outcome] for contrast in contrasts
        ]
    }


def _small(contrast: Contrast) -> bool:
    return contrast.immaterial and contrast.outcome in (Held.A, Held.B)


def _dots(contrasts: Sequence[Contrast]) -> Columns:
    """The difference in every seed, where there are too few seeds for more than that."""
    if any(contrast.low is not None for contrast in contrasts):
        return {}
    seeds = dict.fromkeys(seed for contrast in contrasts for seed in contrast.a if seed in contrast.b)
    return {f"seed {inert(seed)}": [_dot(contrast, seed) for contrast in contrasts] for seed in seeds}


def _dot(contrast: Contrast, seed: str) -> str:
    if seed not in contrast.a or seed not in contrast.b or contrast.difference is None:
        return ""
    value = contrast.a[seed] / contrast.b[seed] if contrast.scale == "log" else contrast.a[seed] - contrast.b[seed]
    return _number(contrast, value)


def _reasons(here: Sequence[Contrast]) -> list[str]:
    """What was not compared, and what keeps the rest from a claim: each reason once."""
    reasons: dict[str, list[str]] = {}
    for contrast in here:
        if contrast.outcome is Held.NOT_COMPARED:
            reasons.setdefault(f"not compared: {contrast.reason}", []).append(contrast.name)
        elif contrast.p_value is None:
            reasons.setdefault(contrast.reason, [])
    return [f"{reason} ({', '.join(names)})" if names else reason for reason, names in reasons.items()]


def _by_generation(recipe: Sequence[Contrast]) -> Columns:
    """Two rows a statistic, A above B; a column a generation."""
    table: dict[str, dict[int, Contrast]] = {}
    for contrast in recipe:
        if contrast.a and contrast.b:
            table.setdefault(inert(contrast.name), {})[contrast.generation] = contrast
    means = {
        (name, generation): means_of(contrast) for name, row in table.items() for generation, contrast in row.items()
    }
    columns: Columns = {"finding": [each for name in table for each in (name, "")], "": ["A", "B"] * len(table)}
    for generation in dict.fromkeys(contrast.generation for contrast in recipe):
        cells = []
        for name, row in table.items():
            beside = [value for index in row for value in means[name, index]]
            pair = means.get((name, generation))
            cells += ["", ""] if pair is None else [number(value, beside=beside) for value in pair]
        columns[str(generation)] = cells
    return columns


# ------------------------------------------------------------------------------------------------------------ reports


def _difference(difference: Difference, paths: tuple[str, str]) -> Iterable[RenderableType]:
    yield _facts({"old": _report(difference.old, paths[0]), "new": _report(difference.new, paths[1])})
    if difference.unlike:
        yield Text("")
        yield _section("NOT LIKE FOR LIKE", "yellow")
        yield from (Text(line) for line in difference.unlike)
    for kind, (name, style) in _SECTIONS.items():
        changes = [change for change in difference.changes if change.kind is kind]
        if not changes:
            continue
        yield Text("")
        yield _section(name, style)
        if kind in (Kind.NEW, Kind.GONE):
            yield from map(Text, _counted(changes))
            continue
        yield from (Padding(Text(_change(change)), (0, 0, 0, _INDENT)) for change in changes[:_ROWS])
        if len(changes) > _ROWS:
            yield Text(f"and {len(changes) - _ROWS} more (--json lists all)")
    yield Text("")
    yield from _remarks(difference.notes)


def _report(report: AuditReport, path: str) -> str:
    return f"{inert(path)} ({inert(report.lineage['name'])}): {inert(report.summary, limit=_PROSE)}"


def _counted(changes: Sequence[Change]) -> Iterable[str]:
    """``generations 1-2 (seed 0): 20 pass, 8 FAIL``: whole generations, not each of their findings."""
    for seed in dict.fromkeys(change.finding.seed for change in changes):
        findings = [change.finding for change in changes if change.finding.seed == seed]
        outcomes = [_outcome(finding) for finding in findings]
        counts = ", ".join(f"{outcomes.count(word)} {word}" for word in dict.fromkeys(outcomes))
        of_seed = "" if seed is None else f" (seed {inert(seed)})"
        yield f"{generations(finding.generation for finding in findings)}{of_seed}: {counts}"


def _change(change: Change) -> str:
    """``tail-mass, generation 3: pass -> FAIL, 0.95 (0.90 to 1.00) -> 0.62 (0.58 to 0.66) ratio; margin 0.80``."""
    finding = change.finding
    place = f"{title(finding)}, {where(finding)}"
    old, new = (None if each is None else _outcome(each) for each in (change.old, change.new))
    outcome = f"{old} -> {new}" if old and new and old != new else new or f"{old} -> no longer measured"
    values = " -> ".join(
        _value(each) for each in (change.old, change.new) if each is not None and each.value is not None
    )
    unit = f" {inert(finding.unit)}" if values else ""
    margins = {each.margin: shown(each).margin for each in (change.old, change.new) if each is not None}
    margin = f"; margin {' -> '.join(margins.values())}" if values and any(margins.values()) else ""
    why = "" if values else f" ({inert(finding.reason, limit=_PROSE)})"
    return f"{place}: {outcome}{why}{', ' if values else ''}{values}{unit}{margin}"


def _outcome(finding: Finding) -> str:
    """The outcome as it was found, and who waives it."""
    word = WORDS[finding.outcome]
    return word if finding.waiver is None else f"{word} ({inert(waived_by(finding.waiver))})"


def _value(finding: Finding) -> str:
    numbers = shown(finding)
    return f"{numbers.value} ({numbers.interval})" if numbers.interval else numbers.value
