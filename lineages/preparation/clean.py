"""Cells as they are meant: what says nothing is nothing, days are days; texts that say nothing and copies go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa

from collapse_audit.lineages.preparation.columns import Columns
from collapse_audit.lineages.preparation.ledger import Cells, Ledger, Row
from collapse_audit.lineages.preparation.personal import masked, personal_kinds
from collapse_audit.probes.text.folding import fold, visible

_NOTHING = frozenset(
    ["", "-", "–", "—", "--", "?", ".", "н/д", "нет данных", "не указано", "не указан", "неизвестно", "n/a", "#n/a"]
) | frozenset(["na", "nan", "null", "none", "unknown", "#ref!", "#value!", "#div/0!"])
"""Cells that say nothing, whatever their case."""
_NO_CONCLUSION = frozenset(
    ["без заключения", "заключения нет", "нет заключения", "см. выше", "см. описание", "заключение в работе"]
) | frozenset(["no conclusion", "see above"])
"""Texts that say nothing of the patient."""
_DAY = re.compile(r"(?:\d{4}-\d{2}-\d{2}|\d{1,2}\.\d{1,2}\.\d{4})(?:[ T]\d{1,2}:\d{2}(?::\d{2})?)?")
_SERIAL = re.compile(r"[1-9]\d{4}(?:\.\d+)?")
_FIRST_SERIAL = date(1899, 12, 30)
"""Day 0 of the numbers that spreadsheets keep days as, from 1 March 1900 on (ECMA-376, 18.17.4.1)."""
_MOSTLY = 0.5
"""A column holds days where more than this share of its cells are written as such."""


def clean_cells(rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    """Letters composed, nothing invisible, no white space around; None for what says nothing."""
    cleaned = {name: _visible([row.cells[name] for row in rows]) for name in columns}
    return [replace(row, cells={name: cleaned[name][at] for name in columns}) for at, row in enumerate(rows)]


def _visible(cells: Sequence[str | None]) -> list[str | None]:
    texts = [
        None if cell is None else str(cell).strip() for cell in visible(pa.array(cells, pa.large_string())).to_pylist()
    ]
    return [None if text is None or text.casefold() in _NOTHING else text for text in texts]


def repair_days(rows: Sequence[Row], columns: Columns, ledger: Ledger) -> list[Row]:
    """Numbers in columns of days are the days that a spreadsheet keeps so; every column is told once."""
    mended = {}
    for name in columns.features:
        cells = [row.cells[name] for row in rows if row.cells[name] is not None]
        numbers = [cell for cell in cells if cell is not None and _SERIAL.fullmatch(cell)]
        days = sum(cell is not None and _DAY.fullmatch(cell) is not None for cell in cells)
        if numbers and days > _MOSTLY * len(cells):
            mended[name] = len(numbers)
            example = f'"{numbers[0]}" is {_day(numbers[0])}'
            said = f'"{name}": {len(numbers)} numbers among days were read as days of a spreadsheet ({example})'
            ledger.repair(None, "date-as-number", said, {})

    def repaired(cells: Cells) -> Cells:
        return {n: _day(c) if n in mended and c is not None and _SERIAL.fullmatch(c) else c for n, c in cells.items()}

    return [replace(row, cells=repaired(row.cells)) for row in rows] if mended else list(rows)


def _day(number: str) -> str:
    return (_FIRST_SERIAL + timedelta(days=int(float(number)))).isoformat()


def drop_uninformative(rows: Sequence[Row], columns: Columns, ledger: Ledger, *, min_words: int) -> list[Row]:
    """Without a text, or with one that says nothing of the patient."""
    kept = []
    for row in rows:
        text = row.cells[columns.text]
        if text is None:
            ledger.drop(row.number, "no-text", f'nothing in "{columns.text}"', row.cells)
        elif text.casefold().rstrip(".! ") in _NO_CONCLUSION:
            ledger.drop(row.number, "uninformative", f"{text!r} says nothing of the patient", row.cells)
        elif len(text.split()) < min_words:
            ledger.drop(row.number, "uninformative", f"fewer than {min_words} words", row.cells)
        else:
            kept.append(row)
    return kept


def drop_duplicates(rows: Sequence[Row], columns: Columns, ledger: Ledger) -> list[Row]:
    """Rows that say the same as an earlier one to a reader, in every column but the row's own number."""
    compared = [name for name in rows[0].cells if name != columns.id] if rows else []
    folded = {
        name: fold(pa.array([row.cells[name] for row in rows], pa.large_string())).to_pylist() for name in compared
    }
    first: dict[tuple[str | None, ...], int] = {}
    kept = []
    for at, row in enumerate(rows):
        key = tuple(folded[name][at] for name in compared)
        if key in first:
            ledger.drop(row.number, "duplicate", f"the same as row {first[key]} in every column", row.cells)
        else:
            first[key] = row.number
            kept.append(row)
    return kept


def guard_personal(rows: Sequence[Row], columns: Columns, ledger: Ledger, *, how: str) -> list[Row]:
    """What looks like personal data in free text: ``drop`` the row, ``mask`` the words, or ``keep`` and warn."""
    parts = [part for part in (columns.text, columns.prompt) if part is not None]
    kept, left = [], 0
    for row in rows:
        kinds = sorted({kind for part in parts for kind in personal_kinds(row.cells[part] or "")})
        said = f"the text holds what looks like personal data ({', '.join(kinds)})"
        if not kinds or how == "keep":
            kept.append(row)
            left += bool(kinds)
        elif how == "drop":
            ledger.drop(row.number, "personal-data", said, row.cells)
        else:
            ledger.repair(row.number, "personal-data", f"{said}: masked", row.cells)
            kept.append(replace(row, cells={**row.cells, **{part: masked(row.cells[part] or "") for part in parts}}))
    if left:
        ledger.warnings.append(f"{left:,} texts hold what looks like personal data, and were kept")
    return kept
