"""Rows of ``.csv`` and ``.tsv``, where a row that cannot be read costs that row and none of those below it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from collapse_audit.errors import InputError
from collapse_audit.lineages.files.problems import problem
from collapse_audit.lineages.preparation.bounds import check_size
from collapse_audit.lineages.preparation.ledger import Ledger, Row

_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?\r?\n')
"""A first line by which spreadsheets tell each other what separates cells."""
_MOST_LINES = 500
"""Lines that one row may go over: a quote that is never closed is looked for no further."""
_QUOTES = "quotes that do not match: the line is left out"
_MOST_BROKEN = 10_000
_FEWEST_COLUMNS = 3
"""From so many on, a line within a quoted cell that would be a whole row is one: the quote is broken."""


def read_delimited(lines: Sequence[str], ledger: Ledger, *, where: str, tabs: bool) -> tuple[list[str], list[Row]]:
    """The names of the columns, and the rows; rows that are broken stand in the ledger.

    Raises InputError where the header cannot be read.
    """
    separator = _SEPARATOR.fullmatch(lines[0]) if lines else None
    delimiter = separator[1] if separator else _delimiter(lines, tabs=tabs)
    start = next((at for at, line in enumerate(lines) if line.strip() and not (separator and at == 0)), None)
    row = None if start is None else _row(lines, start, delimiter)
    if start is None or row is None:
        said = "a file without a header" if start is None else "a header with broken quotes"
        raise InputError([problem(where, said, "a first row with the names of the columns", "no-record", line=1)])
    header, used = row
    check_size(where, len(header), 0)
    rows: list[Row] = []
    broken = 0
    for number, cells, said in _rows(lines, start + used, delimiter, len(header)):
        ledger.read(1)
        if cells is None:
            ledger.drop(number, "broken-row", said, {})  # not the line: which cells of it are personal cannot be told
            broken += said == _QUOTES
            if broken > _MOST_BROKEN:  # each is looked for over many lines
                found = f"quotes that do not match in more than {_MOST_BROKEN:,} lines"
                raise InputError([problem(where, found, "a table whose cells are quoted as a whole", "limit-exceeded")])
        else:
            whole = [_opened(cell) for cell in cells]
            if whole != cells:
                ledger.repair(number, "lost-quote", "a cell ends with a quote that none began: it is left out", {})
            rows.append(Row(number=number, cells=dict(zip(header, (cell or None for cell in whole), strict=True))))
            check_size(where, len(header), len(rows))
    return header, rows


def _rows(lines: Sequence[str], at: int, delimiter: str, width: int) -> Iterator[tuple[int, list[str] | None, str]]:
    """Line, cells, and where there are none, why. Blank lines are no rows."""
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        row = _row(lines, at, delimiter)
        if row is None or _swallows(lines[at + 1 : at + row[1]], delimiter, width):
            yield at + 1, None, _QUOTES
            at += 1
            continue
        cells, used = row
        if len(cells) == width:
            yield at + 1, cells, ""
        else:
            yield at + 1, None, f"{len(cells)} cells where the header has {width}: the row is left out"
        at += used


def _row(lines: Sequence[str], at: int, delimiter: str) -> tuple[list[str], int] | None:
    """The row that begins on a line, and how many lines it takes; None where its quotes do not match."""
    reader = csv.reader(islice(lines, at, at + _MOST_LINES), delimiter=delimiter, strict=True)
    try:
        return next(reader), reader.line_num
    except (csv.Error, StopIteration):
        return None


def _opened(cell: str) -> str:
    """The cell without a last quote whose opening one was lost; after a digit it is a unit (5")."""
    lost = cell.endswith('"') and cell.count('"') % 2 == 1 and not cell[-2:-1].isdigit()
    return cell[:-1] if lost else cell


def _swallows(within: Sequence[str], delimiter: str, width: int) -> bool:
    """Whether a line within a row is itself a whole row: then a quote above it was never closed."""
    if width < _FEWEST_COLUMNS:
        return False
    rows = (_row([line], 0, delimiter) for line in within)
    return any(row is not None and len(row[0]) == width for row in rows)


def _delimiter(lines: Sequence[str], *, tabs: bool) -> str:
    """What cuts the header into the most cells."""
    header = next((line for line in lines if line.strip()), "")
    order = sorted(_DELIMITERS, key=lambda delimiter: delimiter != ("\t" if tabs else ","))
    return max(order, key=lambda delimiter: len((_row([header], 0, delimiter) or ([], 0))[0]))
