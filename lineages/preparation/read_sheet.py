"""Rows of an ``.xlsx`` sheet, with what was merged in it taken apart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineages.files.door import Refused
from collapse_audit.lineages.files.problems import problem
from collapse_audit.lineages.preparation.ledger import Ledger, Row
from collapse_audit.lineages.preparation.workbook import Extent, extent


def read_sheet(path: Path, ledger: Ledger, *, sheet: str | None) -> tuple[list[str], list[Row]]:
    """The names of the columns, and the rows of the only sheet that holds any, or of the one named.

    A cell merged down a column is filled in everywhere; a row merged across columns is dropped: of which column its
    value is cannot be told. Raises InputError where there is no such sheet, or its header is merged.
    """
    where = str(path)
    workbook, reached = _open(path, where)
    worksheet = _worksheet(workbook, sheet, where, reached)
    grid = [list(row) for row in _cells(worksheet, reached)]
    top = next(at for at, row in enumerate(grid) if _said(row))
    banners, merged = _unmerge(worksheet, grid, top, where)
    header = [_text(value) or "" for value in grid[top]]
    while header and not header[-1] and not any(_text(row[len(header) - 1]) for row in grid):
        header.pop()
    rows: list[Row] = []
    for number, values in enumerate(grid[top + 1 :], start=top + 2):
        cells = {name: _text(value) for name, value in zip(header, values, strict=False)}
        if not any(cells.values()):
            continue
        ledger.read(1)
        if number in banners:
            ledger.drop(number, "merged-row", "cells merged across columns: the row is left out", cells)
            continue
        if number in merged:
            ledger.repair(number, "merged-cell", f"a merged cell was filled in ({merged[number]})", {})
        rows.append(Row(number=number, cells=cells))
    return header, rows


def _open(path: Path, where: str) -> tuple[Any, Extent]:
    """The workbook, and how far the cells that hold something reach."""
    import openpyxl

    expected = "an .xlsx file as spreadsheets write it"
    try:
        reached = extent(path)
        return openpyxl.load_workbook(path, data_only=True), reached
    except Refused as error:
        raise InputError([problem(where, str(error), expected, "limit-exceeded")]) from None
    except Exception as error:  # what a library says of a file that was made to break it, whatever that is
        said = (str(error).splitlines() or [""])[0][:200]
        found = f"no workbook ({said or type(error).__name__})"
        raise InputError([problem(where, found, expected, "unreadable")]) from None


def _cells(worksheet: Any, reached: Extent) -> Iterator[tuple[Any, ...]]:
    """Rows of values, no further than any holds something."""
    rows, columns = min(reached.rows, worksheet.max_row), min(reached.columns, worksheet.max_column)
    if rows and columns:
        yield from worksheet.iter_rows(max_row=rows, max_col=columns, values_only=True)


def _worksheet(workbook: Any, sheet: str | None, where: str, reached: Extent) -> Any:
    if sheet is not None:
        if sheet not in workbook.sheetnames:
            raise UsageError(f"--sheet {sheet}: {where} has the sheets {', '.join(workbook.sheetnames)}")
        chosen = [workbook[sheet]]
    else:
        chosen = workbook.worksheets
    filled = [each for each in chosen if any(_said(row) for row in _cells(each, reached))]
    if not filled:
        found = "an empty sheet" if len(chosen) == 1 else "empty sheets"
        raise InputError([problem(where, found, "a first row with names of columns, and rows below it", "no-record")])
    if len(filled) > 1:
        names = ", ".join(each.title for each in filled)
        raise UsageError(f"{where} has several sheets that hold something: choose one with --sheet ({names})")
    return filled[0]


def _unmerge(worksheet: Any, grid: list[list[Any]], top: int, where: str) -> tuple[set[int], dict[int, str]]:
    """Fill in what is merged down a column. Returns rows merged across columns, and rows that were filled in."""
    banners: set[int] = set()
    merged: dict[int, str] = {}
    for area in worksheet.merged_cells.ranges:
        if area.min_row <= top + 1 <= area.max_row:
            found = f"merged cells in the header ({area.coord})"
            raise InputError([problem(where, found, "each column with a name of its own", "merged-header")])
        if area.max_row <= top:
            continue
        if area.max_col > area.min_col:
            banners.update(range(area.min_row, area.max_row + 1))
            continue
        for row in range(area.min_row + 1, min(area.max_row, len(grid)) + 1):
            grid[row - 1][area.min_col - 1] = grid[area.min_row - 1][area.min_col - 1]
            merged[row] = area.coord
    return banners, merged


def _said(row: Any) -> bool:
    return any(_text(value) for value in row)


def _text(value: Any) -> str | None:
    """A cell as a person would write it: 3 and not 3.0, a day without a midnight."""
    if value is None:
        return None
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        value = value.date()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) or None
