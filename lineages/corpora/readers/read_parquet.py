"""Reads ``.parquet``: the columns of a record under their own names; others are not read. Rows are counted from 1.

A gzipped Parquet file is unpacked in memory, because Parquet is read from its end; Parquet compresses by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from collapse_audit.lineages.corpora.readers.blocks import Block, Unreadable, first_repeated, open_bytes, read_some
from collapse_audit.lineages.corpora.readers.records import no_text
from collapse_audit.lineages.files.broken import Broken

_MOST_ROWS = 8192


def parquet_blocks(path: Path, *, gzipped: bool, block_bytes: int, fields: frozenset[str]) -> Iterator[Block]:
    """Blocks of one dict a row, of the columns in ``fields``. Raises Unreadable for a damaged file."""
    try:
        # Without these two a row group (often the whole file) would be fetched before its first row is given out.
        with pq.ParquetFile(_source(path, gzipped=gzipped), pre_buffer=False, buffer_size=block_bytes) as file:
            columns = _columns(file, fields)
            first = 1
            rows = _rows_a_block(file, block_bytes)
            for batch in file.iter_batches(batch_size=rows, columns=columns, use_threads=False):
                yield Block(lines=range(first, first + batch.num_rows), records=_records(batch))
                first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise Unreadable(f"a damaged Parquet file ({reason})", "a Parquet file", "broken-parquet") from None


def _source(path: Path, *, gzipped: bool) -> Any:
    if not gzipped:
        return path
    with open_bytes(path, gzipped=True) as stream:
        return pa.BufferReader(read_some(stream, -1))


def _columns(file: pq.ParquetFile, fields: frozenset[str]) -> list[str]:
    names: list[str] = file.schema_arrow.names
    repeated = first_repeated(name for name in names if name in fields)
    if repeated is not None:
        raise Unreadable(f'two columns named "{repeated}"', "each column once", "duplicate-column")
    if "text" not in names:
        raise Unreadable(*no_text(names, what="columns"), "missing-text")
    return [name for name in names if name in fields]


def _rows_a_block(file: pq.ParquetFile, block_bytes: int) -> int:
    """As many rows as make about one block, by the file's own figures."""
    metadata = file.metadata
    size: int = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    rows: int = block_bytes * metadata.num_rows // max(1, size)
    return max(1, min(_MOST_ROWS, rows))


def _records(batch: pa.RecordBatch) -> list[Any]:
    try:
        records: list[Any] = batch.to_pylist()
    except UnicodeDecodeError:
        records = [_record(batch.slice(row, 1)) for row in range(batch.num_rows)]
    return records


def _record(row: pa.RecordBatch) -> Any:
    try:
        return row.to_pylist()[0]
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        return Broken(found=f"bad UTF-8 (byte 0x{byte:02x})", expected="UTF-8 text", slug="bad-utf8")
