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
from collapse_audit.lineages.files.failures import check_ratio, too_much

_PART = 2**25
"""Bytes of rows that are held at once, where a row is no larger."""
_A_ROW = 64
"""Bytes that a row takes at least, whatever it holds."""


def check_encoded(metadata: pq.FileMetaData, *, packed: int, columns: Sequence[str]) -> list[str]:
    """The columns of strings, as paths, that are to be read as dictionaries.

    Asks the schema and the row groups, never a column's chunk: to look at one makes the library parse its statistics,
    and where those are damaged it ends the process. Raises Unreadable where the pages alone are beyond the limits.
    """
    wanted = set(columns)
    _check(sum(max(0, metadata.row_group(i).total_byte_size) for i in range(metadata.num_row_groups)), packed)
    leaves = map(metadata.schema.column, range(len(metadata.schema)))
    return sorted(
        {leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and leaf.path.split(".")[0] in wanted}
    )


def sound(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """``batches`` whose offsets, indices and bits all lie within their buffers; what reads them does not look.

    Text that is no UTF-8 is let through: whoever makes records of it names its row. Raises pyarrow.ArrowInvalid.
    """
    for batch in batches:
        batch.validate()
        for column in batch.columns:
            _as_bytes(column).validate(full=True)
        yield batch


def _as_bytes(array: pa.Array) -> pa.Array:
    """Text as the bytes that it is, whether or not they are UTF-8; all else as it is."""
    if pa.types.is_dictionary(array.type):
        return pa.DictionaryArray.from_arrays(array.indices, _as_bytes(array.dictionary))
    as_bytes = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}.get(array.type)
    return array if as_bytes is None else array.view(as_bytes)


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
