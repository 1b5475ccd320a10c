"""Reads ``.parquet`` and ``.arrow``: the columns of a record under their own names, and where there is no ``text``
those in which programs put it; others are not read. Rows are counted from 1.

A packed Parquet file is unpacked in memory, because Parquet is read from its end; Parquet compresses by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from collapse_audit.lineages.corpora.readers.blocks import Block, first_repeated
from collapse_audit.lineages.corpora.readers.records import no_text
from collapse_audit.lineages.corpora.readers.shapes import ROOTS
from collapse_audit.lineages.corpora.readers.unpacked import check_encoded, in_bearable_parts, sound
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.door import limits
from collapse_audit.lineages.files.failures import Unreadable, too_much
from collapse_audit.lineages.files.opening import open_bytes, read_some
from collapse_audit.lineages.files.remote import Place, on_disk, size_of

_MOST_ROWS = 8192


def parquet_blocks(
    path: Place, *, packing: str, block_bytes: int, fields: frozenset[str], named: tuple[str, ...] = ()
) -> Iterator[Block]:
    """Blocks of one dict a row, of the columns in ``fields`` and those that are ``named`` (as paths).

    Raises Unreadable for a damaged file.
    """
    with _readable(path, packing) as (source, size):
        try:
            # Without these two a row group (often the whole file) would be fetched before its first row is given out.
            with pq.ParquetFile(source(), pre_buffer=False, buffer_size=block_bytes) as file:
                columns = _columns(file.schema_arrow.names, fields, named)
                encoded = check_encoded(file.metadata, packed=size, columns=columns)
            # A value that many rows name stands in the file once: it stays so until it is known how large the rows are.
            with pq.ParquetFile(source(), pre_buffer=False, buffer_size=block_bytes, read_dictionary=encoded) as file:
                rows = _rows_a_block(file, block_bytes)
                batches = file.iter_batches(batch_size=rows, columns=columns, use_threads=False)
                first = 1
                for part in in_bearable_parts(sound(batches), packed=size):
                    yield Block(lines=range(first, first + part.num_rows), records=_records(part))
                    first += part.num_rows
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise Unreadable(f"a damaged Parquet file ({reason})", "a Parquet file", "broken-parquet") from None


def arrow_blocks(
    path: Place, *, packing: str, block_bytes: int, fields: frozenset[str], named: tuple[str, ...] = ()
) -> Iterator[Block]:
    """As :func:`parquet_blocks`, of an Arrow file: a stream (as ``save_to_disk`` writes) or one with a footer."""
    with _readable(path, packing) as (source, size):
        try:
            with _opened(source()) as file:
                batches = (batch.select(_columns(batch.schema.names, fields, named)) for batch in _batches(file))
                parts = in_bearable_parts(sound(batches), packed=size)
                yield from reader_blocks(parts, block_bytes, fields=fields, named=named)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise Unreadable(f"a damaged Arrow file ({reason})", "an Arrow file", "broken-arrow") from None


def reader_blocks(
    batches: Iterator[pa.RecordBatch], block_bytes: int, *, fields: frozenset[str], named: tuple[str, ...] = ()
) -> Iterator[Block]:
    """Blocks of the rows of ``batches``."""
    first = 1
    for batch in batches:
        batch = batch.select(_columns(batch.schema.names, fields, named))
        rows = max(1, min(_MOST_ROWS, block_bytes * batch.num_rows // max(1, batch.nbytes)))
        for start in range(0, batch.num_rows, rows):
            part = batch.slice(start, rows)
            yield Block(lines=range(first, first + part.num_rows), records=_records(part))
            first += part.num_rows


def _opened(source: Any) -> Any:
    return pa.OSFile(str(source), "rb") if isinstance(source, Path) else source


def _batches(file: Any) -> Iterator[pa.RecordBatch]:
    start = file.read(6)
    file.seek(0)
    if start == b"ARROW1":
        reader = pa.ipc.open_file(file)
        yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
    else:
        yield from pa.ipc.open_stream(file)


@contextmanager
def _readable(place: Place, packing: str) -> Iterator[tuple[Callable[[], Any], int]]:
    """What opens the file to be read from any place, once more each time, and the file's bytes as it is stored."""
    if packing:
        with open_bytes(place, packing=packing) as stream:
            held = pa.py_buffer(read_some(stream, -1, packing=packing))
        yield lambda: pa.BufferReader(held), size_of(place)
        return
    with on_disk(place) as path:
        open_bytes(path).close()  # what is no regular file goes no further
        yield lambda: path, path.stat().st_size


def _columns(names: list[str], fields: frozenset[str], named: tuple[str, ...]) -> list[str]:
    """The columns to be read. All that could hold the text are, where none is called so."""
    if len(names) > limits().columns:
        raise too_much("more columns", "columns")
    wanted = fields | {path.split(".")[0].split("[")[0] for path in named} | set(named)
    if "text" not in names:
        wanted |= ROOTS
    present = [name for name in names if name in wanted]
    repeated = first_repeated(present)
    if repeated is not None:
        raise Unreadable(f'two columns named "{repeated}"', "each column once", "duplicate-column")
    if not set(present) & (ROOTS | {"text", "numeric"} | (wanted - fields)):
        raise Unreadable(*no_text(names, what="columns"), "missing-text")
    return present


def _rows_a_block(file: pq.ParquetFile, block_bytes: int) -> int:
    """As many rows as make about one block, by the file's own figures."""
    metadata = file.metadata
    size: int = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    rows: int = block_bytes * metadata.num_rows // max(1, size)
    return max(1, min(_MOST_ROWS, rows))


def _records(batch: pa.RecordBatch) -> list[Any]:
    try:
        columns = [_values(column) for column in batch.columns]
    except (UnicodeDecodeError, pa.ArrowException):  # text that is no UTF-8
        return [_record(batch.slice(row, 1)) for row in range(batch.num_rows)]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.Array) -> list[Any]:
    """As ``to_pylist``, which takes twice as long for text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
        return texts
    values: list[Any] = column.to_pylist()
    return values


def _record(row: pa.RecordBatch) -> Any:
    try:
        return row.to_pylist()[0]
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        return Broken(found=f"bad UTF-8 (byte 0x{byte:02x})", expected="UTF-8 text", slug="bad-utf8")
