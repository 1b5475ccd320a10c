"""How large the rows of a table are once every value stands in its own row.

Parquet and Arrow write a value that many rows name once: a megabyte of a file may be terabytes of rows. Tables are
therefore read as they were written, measured, and cut into parts that memory holds before a row is made of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from collapse_audit.lineages.files.door import limits
from collapse_audit.lineages.files.opening import check_ratio, too_much

_PART = 2**25
"""Bytes of rows that are held at once, where a row is no larger."""
_A_ROW = 64
"""Bytes that a row takes at least, whatever it holds."""


def check_encoded(file: pq.ParquetFile, *, packed: int, columns: Sequence[str]) -> list[str]:
    """The columns of strings, as paths, that the file holds as a dictionary.

    Raises Unreadable where the pages alone are beyond the limits.
    """
    metadata, size, found = file.metadata, 0, set()
    wanted = set(columns)
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for number in range(row_group.num_columns):
            chunk = row_group.column(number)
            if chunk.path_in_schema.split(".")[0] not in wanted:
                continue
            size += max(0, chunk.total_uncompressed_size)
            if chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page:
                found.add(chunk.path_in_schema)
    _check(size, packed)
    return sorted(found)


def in_bearable_parts(batches: Iterator[pa.RecordBatch], *, packed: int) -> Iterator[pa.RecordBatch]:
    """The rows of ``batches`` in parts of a few megabytes. ``packed``: bytes of the file.

    Raises Unreadable where all rows together, or one of them, are beyond the limits.
    """
    total = 0
    for batch in batches:
        total += _size(batch)
        _check(total, packed)
        yield from _parts(batch)


def _check(size: int, packed: int) -> None:
    if size > limits().unpacked:
        raise too_much("packed bytes that unpack to more bytes", "unpacked")
    check_ratio(packed, size)


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    size = _size(batch)
    if batch.num_rows <= 1 and size > limits().line:
        raise too_much("a row of more bytes", "line")
    if batch.num_rows <= 1 or size <= _PART:
        if batch.num_rows:
            yield batch
        return
    half = batch.num_rows // 2
    yield from _parts(batch.slice(0, half))
    yield from _parts(batch.slice(half))


def _size(batch: pa.RecordBatch) -> int:
    return int(batch.num_rows * _A_ROW + sum(_bytes(column) for column in batch.columns))


def _bytes(array: pa.Array) -> int:
    """Bytes of the array's values, each as often as it is named."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        values = array.dictionary
        if not _is_text(values.type):
            return int(array.nbytes)
        return int(pc.sum(pc.take(pc.binary_length(values), array.indices)).as_py() or 0)
    if _is_text(kind):
        return int(pc.sum(pc.binary_length(array)).as_py() or 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_struct(kind):
        inner = array.flatten()
        return sum(map(_bytes, inner)) if isinstance(inner, list) else len(inner) * 8 + _bytes(inner)
    return int(array.nbytes)


def _is_text(kind: pa.DataType) -> bool:
    return any(
        is_one(kind)
        for is_one in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    )
