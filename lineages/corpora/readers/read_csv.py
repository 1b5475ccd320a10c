"""Reads ``.csv`` and ``.tsv``: double quotes, a header line; quoted cells may hold line ends.

Cells are separated by commas, semicolons, tabs or bars: told from the first lines of the file. Where they are not
separated by commas, a number may be written with one. A ``numeric`` cell is a number or a JSON list of
numbers, an ``embedding`` a JSON list of numbers.

An empty ``text`` cell is an empty document; any other empty cell says nothing (null). A ``labels`` cell is a JSON list
(``["3", "4"]``), because any separator could stand inside a label; a ``label`` cell is one label as it stands.
Blank lines hold no record, except in a file with one column, where a blank line could be an empty text: refused.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from collapse_audit.lineages.corpora.readers.blocks import Block, bad_utf8, first_repeated, raw_line_blocks
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.door import limits
from collapse_audit.lineages.files.failures import Unreadable, too_much
from collapse_audit.lineages.files.remote import Place

_ROWS_A_BLOCK = 4096
_LOOKED_AT = 65536
_ROWS_LOOKED_AT = 20


def csv_blocks(
    path: Place, *, packing: str, block_bytes: int, tabs: bool = False, numeric: Sequence[str] = ()
) -> Iterator[Block]:
    """Blocks of one dict a row. Raises Unreadable for a header that does not fit.

    ``tabs``: cells are separated by tabs unless the first lines say otherwise. ``numeric``: columns of numbers, besides
    the one of that name.
    """
    # The csv module stops at 128 KiB a cell unless told otherwise. The limit still ends a quote that is never closed
    # before it swallows a huge file. It is a setting of the whole process, and only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), min(limits().line, 2**31 - 1)))
    source = _Lines(path, packing=packing, block_bytes=block_bytes)
    delimiter = _delimiter(source.start(), tabs=tabs)
    rows = csv.reader(source, strict=True, delimiter=delimiter)
    header = _header(rows, source)
    if header is None:
        return
    lines: list[int] = []
    records: list[Any] = []
    size = 0
    convert = {**_CONVERT, **dict.fromkeys(numeric, _numbers)}
    try:
        for line, record in _numbered(rows, header, source, convert, comma=delimiter != ","):
            lines.append(line)
            records.append(record)
            size += source.take_size()
            if size >= block_bytes or len(records) >= _ROWS_A_BLOCK:
                yield Block(lines=lines, records=records)
                lines, records, size = [], [], 0
    except Unreadable:
        yield Block(lines=lines, records=records)  # what was read before the damage may have problems of its own
        raise
    yield Block(lines=lines, records=records)


def _numbered(
    rows: Any, header: list[str], source: _Lines, convert: _Converters, *, comma: bool
) -> Iterator[tuple[int, Any]]:
    """Each row with the line that it begins on."""
    while True:
        line = rows.line_num + 1
        row = _next_row(rows)
        if row is None:
            return
        broken = source.take_broken()
        if broken or isinstance(row, Broken):
            yield line, broken or row
        elif row:
            yield line, _record(header, row, convert, comma=comma)
        elif len(header) == 1:
            yield line, _blank_in_one_column()


class _Lines:
    """The file's lines as text for the csv module, remembering what could not be decoded since last asked."""

    def __init__(self, path: Place, *, packing: str, block_bytes: int) -> None:
        self._blocks: Iterator[bytes] = raw_line_blocks(path, packing=packing, block_bytes=block_bytes)
        self._lines: Iterator[bytes] = iter(())
        self._broken: Broken | None = None
        self._size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines, None)
        while line is None:
            # A block ends with a line end, but for the last one of a file; the piece after the last end is empty.
            pieces = next(self._blocks).split(b"\n")
            last = pieces.pop()
            self._lines = iter([piece + b"\n" for piece in pieces] + ([last] if last else []))
            line = next(self._lines, None)
        self._size += len(line)
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            self._broken = self._broken or bad_utf8(error)
            return line.decode("utf-8", "replace")  # keeps rows in step; this row is refused

    def start(self) -> str:
        """The first lines, which stay to be read."""
        first = next(self._blocks, b"")
        self._blocks = chain([first], self._blocks)
        return first[:_LOOKED_AT].decode("utf-8", "replace")

    def take_broken(self) -> Broken | None:
        broken, self._broken = self._broken, None
        return broken

    def take_size(self) -> int:
        size, self._size = self._size, 0
        return size


def _next_row(rows: Any) -> list[str] | Broken | None:
    try:
        row: list[str] | None = next(rows, None)
    except csv.Error as error:
        if "field larger than field limit" in str(error):
            raise too_much("a cell of more characters", "line", line=rows.line_num) from None
        return Broken(found=f"broken CSV ({error})", expected="rows of comma-separated cells", slug="broken-csv")
    return row


def _header(rows: Any, source: _Lines) -> list[str] | None:
    header = _next_row(rows)
    if header is None:
        return None
    broken = source.take_broken() or (header if isinstance(header, Broken) else None)
    if broken or isinstance(header, Broken):
        assert broken is not None
        raise Unreadable(broken.found, broken.expected, broken.slug, line=1)
    if len(header) > limits().columns:
        raise too_much("more columns", "columns", line=1)
    repeated = first_repeated(header)
    if repeated is not None:
        raise Unreadable(f'two columns named "{repeated}"', "each column once", "duplicate-column", line=1)
    return header


def _delimiter(start: str, *, tabs: bool) -> str:
    """What separates the cells: the one under which a column is called ``text`` (or ``numeric``, where it cuts the
    first rows alike: decimal commas do not), else the one that cuts them into the most cells, all alike."""
    best, most = "\t" if tabs else ",", 1
    for delimiter in "\t,;|" if tabs else ",;\t|":
        rows = _rows(start, delimiter)
        widths = {len(row) for row in rows if row}
        if rows and ("text" in rows[0] or ("numeric" in rows[0] and len(widths) == 1)):
            return delimiter
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = delimiter, width
    return best


def _rows(start: str, delimiter: str) -> list[list[str]]:
    """The first rows of the file, less one that is cut off."""
    lines = start.splitlines(keepends=True)
    rows: list[list[str]] = []
    try:
        rows.extend(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return rows  # extend keeps what came before
    return rows[: _ROWS_LOOKED_AT if len(start) < _LOOKED_AT else min(_ROWS_LOOKED_AT, max(1, len(rows) - 1))]


def _blank_in_one_column() -> Broken:
    return Broken(
        found="a blank line in a file with one column",
        expected='a text; an empty one is written ""',
        slug="blank-row",
    )


def _record(header: list[str], row: list[str], converters: _Converters, *, comma: bool) -> dict[str, Any] | Broken:
    if len(row) != len(header):
        cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
        return Broken(found=cells, expected=f"{len(header)}, as in the header", slug="cell-count")
    record: dict[str, Any] = dict(zip(header, row, strict=True))
    for name, cell in record.items():
        if name == "text":
            continue
        if cell == "":
            record[name] = None
        elif name in converters:
            decimal_comma = comma and converters[name] in (float, _numbers) and not cell.startswith("[")
            record[name] = _convert(converters[name], cell.replace(",", ".") if decimal_comma else cell)
    return record


def _numbers(cell: str) -> Any:
    """A number, or a JSON list."""
    return json.loads(cell) if cell.startswith("[") else float(cell)


def _score(cell: str) -> Any:
    """A number, or a truth value."""
    told = {"true": True, "false": False}.get(cell.casefold())
    return float(cell) if told is None else told


_Converters = dict[str, Callable[[str], Any]]
_CONVERT: _Converters = {
    "nll": float,
    "n_tokens": int,
    "labels": json.loads,
    "numeric": _numbers,
    "embedding": json.loads,
    "score": _score,
}


def _convert(converter: Callable[[str], Any], cell: str) -> Any:
    try:
        return cell if "_" in cell and converter is not json.loads else converter(cell)  # Python reads 1_000 as 1000
    except (ValueError, RecursionError):
        return cell  # the check of the records says what is wrong with it
