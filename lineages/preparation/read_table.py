"""Reads the table, whatever it is kept in: ``.csv``, ``.tsv``, ``.xlsx``, ``.jsonl`` or ``.parquet``."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.readers.unpacked import check_encoded, in_bearable_parts, sound
from collapse_audit.lineages.files.door import Refused, parse_json, reading
from collapse_audit.lineages.files.failures import Unreadable
from collapse_audit.lineages.files.opening import PACKINGS, open_bytes, read_some, split_packing
from collapse_audit.lineages.files.problems import problem, shorten
from collapse_audit.lineages.preparation.bounds import check_size
from collapse_audit.lineages.preparation.decoding import decode_lines
from collapse_audit.lineages.preparation.ledger import Ledger, Row
from collapse_audit.lineages.preparation.read_delimited import read_delimited

_LINES = (".csv", ".tsv", ".jsonl", ".ndjson")
_ROWS = 8192
_ALLOWED = ".csv, .tsv or .jsonl (each also with .gz, .zst or .xz), .xlsx or .parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What was read."""

    columns: tuple[str, ...]
    rows: Sequence[Row]


def read_table(path: Path, ledger: Ledger, *, sheet: str | None = None, encoding: str | None = None) -> Table:
    """The rows of a table, as the first step of the ledger; rows that cannot be read stand in it.

    Raises InputError where the file, its encoding or its header cannot be read, or no row is left; UsageError where a
    sheet has to be chosen.
    """
    ledger.begin("read", 0)
    with reading(str(path), f"a table ({_ALLOWED})", "unreadable"):
        columns, rows = _read(path, ledger, sheet, encoding)
    check_size(str(path), len(columns), len(rows))
    columns = [" ".join(unicodedata.normalize("NFC", name).split()) for name in columns]
    _check(columns, str(path))
    if not rows:
        found = f"no row that can be read ({ledger.steps[-1].rows_in} broken)" if ledger.entries else "a header alone"
        raise InputError([problem(str(path), found, "rows below the header", "no-record")])
    ledger.end(len(rows))
    named = [Row(number=row.number, cells=dict(zip(columns, row.cells.values(), strict=True))) for row in rows]
    return Table(columns=tuple(columns), rows=named)


def _read(path: Path, ledger: Ledger, sheet: str | None, encoding: str | None) -> tuple[list[str], list[Row]]:
    where = str(path)
    name, packing = split_packing(path.name.lower())
    suffix = Path(name).suffix
    if not path.is_file():
        raise InputError([problem(where, "no such file", f"a table ({_ALLOWED})", "missing-file")])
    if suffix == ".xlsx" and not packing:
        from collapse_audit.lineages.preparation.read_sheet import read_sheet

        return read_sheet(path, ledger, sheet=sheet)
    if suffix == ".parquet" and not packing:
        return _table(_parquet(path, where), ledger, where)
    if suffix not in _LINES:
        raise InputError([problem(where, f'the name "{path.name}"', f"a table ({_ALLOWED})", "unknown-format")])
    content = _bytes(path, packing, where)
    check_size(where, 1, content.count(b"\n"))
    lines = decode_lines(content, ledger, where=where, encoding=encoding)
    if suffix in (".csv", ".tsv"):
        return read_delimited(lines, ledger, where=where, tabs=suffix == ".tsv")
    return _table(_objects(lines, ledger), ledger, where)


def _bytes(path: Path, packing: str, where: str) -> bytes:
    assert packing in ("", *PACKINGS)
    try:
        with open_bytes(path, packing=packing) as stream:
            return read_some(stream, -1, packing=packing)
    except Unreadable as failure:
        broken = failure.broken
        raise InputError([problem(where, broken.found, broken.expected, broken.slug)]) from None
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise InputError([problem(where, found, "a readable file", "unreadable")]) from None


def _parquet(path: Path, where: str) -> list[tuple[int, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            names, size = file.schema_arrow.names, path.stat().st_size
            check_size(where, len(names), file.metadata.num_rows)
            encoded = check_encoded(file.metadata, packed=size, columns=names)
        # A value that many rows name stands in the file once: it stays so until it is known how large the rows are.
        with pq.ParquetFile(path, pre_buffer=False, read_dictionary=encoded) as file:
            batches = file.iter_batches(batch_size=_ROWS, use_threads=False)
            records = [row for part in in_bearable_parts(sound(batches), packed=size) for row in part.to_pylist()]
        return list(enumerate(records, start=1))
    except Unreadable as failure:
        broken = failure.broken
        raise InputError([problem(where, broken.found, broken.expected, broken.slug)]) from None
    except (pa.ArrowException, OSError) as error:
        found = f"no Parquet file ({(str(error).splitlines() or [''])[0][:200]})"
        raise InputError([problem(where, found, "a whole .parquet file", "unreadable")]) from None


def _objects(lines: Sequence[str], ledger: Ledger) -> list[tuple[int, Mapping[str, Any]]]:
    """The objects of a file with one a line; what is none stands in the ledger."""
    objects: list[tuple[int, Mapping[str, Any]]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = parse_json(line, constants=True)
        except (ValueError, Refused):
            value = None
        if isinstance(value, dict):
            objects.append((number, value))
        else:
            ledger.read(1)
            ledger.drop(number, "broken-row", "no JSON object: the line is left out", {})
    return objects


def _table(
    records: Sequence[tuple[int, Mapping[str, Any]]], ledger: Ledger, where: str
) -> tuple[list[str], list[Row]]:  # fmt: skip
    """Records as rows: a column for every key that any of them has, in the order in which they come."""
    columns = list(dict.fromkeys(str(key) for _, record in records for key in record))
    check_size(where, len(columns), len(records))
    rows = []
    for number, record in records:
        ledger.read(1)
        nested = [key for key, value in record.items() if not _is_plain(value)]
        if nested:
            said = f"{nested[0]} holds {shorten(record[nested[0]])}, no single value: the row is left out"
            ledger.drop(number, "broken-row", said, {})
        else:
            rows.append(Row(number=number, cells={name: _cell(record.get(name)) for name in columns}))
    return columns, rows


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list) or (
        isinstance(value, list) and all(isinstance(item, str | int) for item in value)
    )


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).replace("\0", "") or None


def _check(columns: Sequence[str], where: str) -> None:
    """Every column has a name, and no other has it."""
    for at, name in enumerate(columns, start=1):
        if not name:
            found = f"no name for column {at}"
            raise InputError([problem(where, found, "each column with a name of its own", "unnamed-column", line=1)])
        if name in columns[: at - 1]:
            found = f'two columns named "{name}"'
            raise InputError([problem(where, found, "each column once", "duplicate-column", line=1)])
