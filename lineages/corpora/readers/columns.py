"""From a block of records to columns, checked column by column at the speed of C.

:func:`to_batch` refuses a block exactly where :func:`~collapse_audit.lineages.corpora.readers.records.check_record` has
something to say about one of its records (a test holds the two against each other); wording it is left to that slow,
exact check.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from types import NoneType
from typing import Any

import numpy as np
import pyarrow as pa

from collapse_audit.lineages.corpora.readers.records import (
    LOWEST_NLL,
    MOST_DIMENSIONS,
    MOST_EMBEDDING,
    MOST_NUMERIC,
    MOST_TOKENS,
    SPLITS,
    as_score,
    is_measurable,
    is_numeric,
)
from collapse_audit.lineages.files.door import limits

RECORD_SCHEMA = pa.schema(
    [
        pa.field("text", pa.string()),
        pa.field("id", pa.string()),
        pa.field("prompt", pa.string()),
        pa.field("labels", pa.list_(pa.string())),
        pa.field("group", pa.string()),
        pa.field("nll", pa.float64()),
        pa.field("n_tokens", pa.int64()),
        pa.field("numeric", pa.list_(pa.float64())),
        pa.field("score", pa.float64()),
        pa.field("embedding", pa.large_list(pa.float32())),
    ]
)


class NotClean(Exception):  # noqa: N818 - a doubt, not an error: the slow check words it
    """A block holds at least one bad record."""


def to_batch(records: Sequence[Any], *, classes: frozenset[str] | None = None) -> pa.RecordBatch:
    """The records as a batch of RECORD_SCHEMA (all columns, null where absent). Raises NotClean if any is bad.

    The text of a record of numbers is the numbers, so that copies, files and draws of them are what they are of texts.
    """
    _only(records, dict)
    present = set(chain.from_iterable(records))
    numeric = _numeric(records, present)
    texts = [
        record.get("text") if numbers is None else " ".join(map(repr, numbers))
        for record, numbers in zip(records, numeric, strict=True)
    ]
    _only(texts, str)
    if "split" in present:
        splits = [record.get("split") for record in records]
        _only(splits, str, NoneType)
        _require(set(splits) <= {None, *SPLITS})
    columns = {
        "text": _strings(texts),
        "id": _names(records, present, "id"),
        "prompt": _optional_strings(records, present, "prompt"),
        "labels": _labels(records, present, classes),
        "group": _names(records, present, "group"),
        "nll": _nll(records, present),
        "n_tokens": _n_tokens(records, present),
        "numeric": pa.array(numeric, RECORD_SCHEMA.field("numeric").type),
        "score": pa.array([as_score(record.get("score")) for record in records], pa.float64()),
        "embedding": _embeddings(records, present),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in RECORD_SCHEMA.names], schema=RECORD_SCHEMA)


def _only(values: Sequence[Any], *types: type) -> None:
    _require(set(map(type, values)) <= set(types))


def _require(clean: bool) -> None:
    if not clean:
        raise NotClean


def _nulls(records: Sequence[Any], name: str) -> pa.Array:
    return pa.nulls(len(records), RECORD_SCHEMA.field(name).type)


def _strings(values: Sequence[str | None]) -> pa.Array:
    try:
        array = pa.array(values, pa.string())
    except UnicodeEncodeError:  # half of a surrogate pair
        raise NotClean from None
    data = array.buffers()[2]
    _require(data is None or b"\0" not in memoryview(data).tobytes())
    return array


def _optional_strings(records: Sequence[Any], present: set[str], name: str) -> pa.Array:
    if name not in present:
        return _nulls(records, name)
    values = [record.get(name) for record in records]
    _only(values, str, NoneType)
    return _strings(values)


def _names(records: Sequence[Any], present: set[str], name: str) -> pa.Array:
    """Strings, or integers that are written out in decimal."""
    if name not in present:
        return _nulls(records, name)
    values = [record.get(name) for record in records]
    _only(values, str, int, NoneType)
    return _strings([value if value is None else str(value) for value in values])


def _labels(records: Sequence[Any], present: set[str], classes: frozenset[str] | None) -> pa.Array:
    if not present & {"label", "labels"}:
        return _nulls(records, "labels")
    single = [record.get("label") for record in records]
    several = [record.get("labels") for record in records]
    _only(single, str, NoneType)
    _only(several, list, NoneType)
    _require(not any(label is not None and many is not None for label, many in zip(single, several, strict=True)))
    lists = [many if label is None else [label] for label, many in zip(single, several, strict=True)]
    flat = list(chain.from_iterable(label for label in lists if label is not None))
    _only(flat, str)
    used = set(flat)
    _require("" not in used and (classes is None or used <= classes))
    _strings(sorted(used))  # for NUL and surrogates
    return pa.array(lists, pa.list_(pa.string()))


def _nll(records: Sequence[Any], present: set[str]) -> pa.Array:
    if "nll" not in present:
        return _nulls(records, "nll")
    values = [record.get("nll") for record in records]
    _only(values, int, float, NoneType)
    try:
        numbers = [value if value is None else float(value) for value in values]
    except OverflowError:
        raise NotClean from None
    _require(all(value is None or LOWEST_NLL <= value <= MOST_NUMERIC for value in numbers))
    return pa.array(numbers, pa.float64())


def _numeric(records: Sequence[Any], present: set[str]) -> list[list[float] | None]:
    """The numbers of every record that holds some in place of a text."""
    if "numeric" not in present:
        return [None] * len(records)
    found = [record["numeric"] if is_numeric(record) else None for record in records]
    lists = [value if type(value) is list or value is None else [value] for value in found]
    _require(all(numbers is not None or "text" in record for numbers, record in zip(lists, records, strict=True)))
    _require({len(numbers) for numbers in lists if numbers is not None} <= set(range(1, limits().columns + 1)))
    _require(all(is_measurable(number) for numbers in lists if numbers is not None for number in numbers))
    return [None if numbers is None else [float(number) for number in numbers] for numbers in lists]


def _embeddings(records: Sequence[Any], present: set[str]) -> pa.Array:
    if "embedding" not in present:
        return _nulls(records, "embedding")
    lists = [record.get("embedding") for record in records]
    _only(lists, list, NoneType)
    _require(all(numbers is None or 0 < len(numbers) <= MOST_DIMENSIONS for numbers in lists))
    flat = list(chain.from_iterable(numbers for numbers in lists if numbers is not None))
    _only(flat, int, float)
    try:
        values = np.array(flat, dtype=np.float64)
    except OverflowError:
        raise NotClean from None
    _require(bool((np.abs(values) <= MOST_EMBEDDING).all()))
    sizes = np.array([0 if numbers is None else len(numbers) for numbers in lists])
    return pa.LargeListArray.from_arrays(
        np.append(0, np.cumsum(sizes)),
        pa.array(values.astype(np.float32)),
        type=RECORD_SCHEMA.field("embedding").type,
        mask=pa.array([numbers is None for numbers in lists]),
    )


def _n_tokens(records: Sequence[Any], present: set[str]) -> pa.Array:
    if "n_tokens" not in present:
        return _nulls(records, "n_tokens")
    values = [record.get("n_tokens") for record in records]
    _only(values, int, float, NoneType)
    _require(all(value is None or (0 <= value <= MOST_TOKENS and value == int(value)) for value in values))
    return pa.array([value if value is None else int(value) for value in values], pa.int64())
