"""Parquet and Arrow: types that no record has, numbers beyond every calendar, damaged columns, dictionary bombs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.malformed.case import READ_OR_REFUSED, Case, put, texts

_N = 40
_TEXTS = [texts(1, k) for k in range(_N)]


def _raw(kind: pa.DataType, number: int, width: int) -> pa.Array:
    """An array of a type of ``width`` bytes whose every value is ``number``, whatever that means."""
    data = number.to_bytes(width, "little", signed=True) * _N
    return pa.Array.from_buffers(kind, _N, [None, pa.py_buffer(data)])


def _arrays() -> dict[str, pa.Array]:
    far, before = 2**31 - 1, -(2**31)
    return {
        "dates beyond the year 9999": _raw(pa.date32(), far, 4),
        "dates before the year 1": _raw(pa.date32(), before, 4),
        "dates of 64 bits": _raw(pa.date64(), 2**62, 8),
        "moments beyond any calendar": _raw(pa.timestamp("ms"), 2**62, 8),
        "moments in an unknown zone": _raw(pa.timestamp("ms", "Mars/Olympus"), 1, 8),
        "nanoseconds": _raw(pa.timestamp("ns"), 123_456_789_123_456_789, 8),
        "times of 10^18 hours": _raw(pa.time64("us"), 2**62, 8),
        "durations": _raw(pa.duration("s"), 2**62, 8),
        "decimals of 76 digits": pa.array([10**70] * _N, pa.decimal256(76, 0)),
        "dates": pa.array(list(range(_N)), pa.int32()).cast(pa.date32()),
        "booleans": pa.array([True] * _N),
        "nothing": pa.nulls(_N),
        "NaN": pa.array([float("nan")] * _N),
        "infinity": pa.array([float("-inf")] * _N),
        "halves": pa.array(np.full(_N, np.inf, np.float16)),
        "unsigned 64 bits": pa.array([2**64 - 1] * _N, pa.uint64()),
        "bytes": pa.array([b"\xff\xfe"] * _N, pa.binary()),
        "bytes of a fixed width": pa.array([b"\xff" * 16] * _N, pa.binary(16)),
        "lists of lists": pa.array([[[1]]] * _N),
        "tables": pa.array([{"a": {"b": 1}}] * _N),
        "maps": pa.array([[("a", 1)]] * _N, pa.map_(pa.string(), pa.int64())),
        "a dictionary of dates": pa.DictionaryArray.from_arrays(
            pa.array([0] * _N, pa.int32()), _raw(pa.date32(), far, 4).slice(0, 1)
        ),
        "large text": pa.array(_TEXTS, pa.large_string()),
    }


def cases() -> Iterator[Case]:
    """Every case of this file."""
    for number, (what, array) in enumerate(_arrays().items()):
        for place, column in enumerate(("text", "id", "label", "group", "nll", "prompt")):
            if column == "text" or ((number + place) % 3 == 0 and what != "large text"):
                table = pa.table({"text": _TEXTS} | {column: array})
                yield _case(f"{column} of {what}", _parquet(table))
    for what, table in _odd_tables().items():
        yield _case(what, _parquet(table), codes=frozenset({4}))
    yield from _damaged()
    yield from _arrow()


def _case(what: str, content: bytes, *, name: str = "gen_1.parquet", codes: frozenset[int] = READ_OR_REFUSED) -> Case:
    def damage(home: Path) -> None:
        (home / "runs" / "gen_1.jsonl").unlink()
        put(f"runs/{name}", content)(home)

    return Case(name=f"{name}: {what}", damage=damage, says=(name,), codes=codes, ground="bare")


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _odd_tables() -> dict[str, pa.Table]:
    once = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), pa.array(["x" * 100_000]))
    return {
        "no row": pa.table({"text": pa.array([], pa.string())}),
        "no column": pa.table({"x": [1]}),
        "no text": pa.table({"label": ["a"] * _N}),
        "2,000 columns": pa.table({"text": _TEXTS, **{f"c{k}": [k] * _N for k in range(2000)}}),
        "10 GB of one text": pa.table({"text": once}),
        "texts of which one is missing": pa.table({"text": [*_TEXTS[1:], None]}),
        "a text of 40 MB": pa.table({"text": ["ab cd " * 7_000_000]}),
    }


def _damaged() -> Iterator[Case]:
    whole = _parquet(pa.table({"text": _TEXTS, "label": [str(k % 3) for k in range(_N)]}))
    refused = frozenset({4})
    for part in (4, 8, len(whole) // 4, len(whole) // 2, len(whole) - 8, len(whole) - 4, len(whole) - 1):
        yield _case(f"cut off after {part} bytes", whole[:part], codes=refused)
    size = int.from_bytes(whole[-8:-4], "little")
    for what, length in {"no footer": 0, "a footer of 4 GB": 2**32 - 1, "a footer longer than it": len(whole)}.items():
        yield _case(what, whole[:-8] + length.to_bytes(4, "little") + b"PAR1", codes=refused)
    footer = len(whole) - 8 - size
    for at in range(footer, len(whole) - 8, max(size // 24, 1)):
        damaged = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        yield _case(f"another byte at {at - footer} of its footer", damaged)
    for what, name in {"bad UTF-8": b"te\xff\xfe", "a NUL": b"te\0t", "half a pair": b"\xed\xa0\x80t"}.items():
        yield _case(f"a column named with {what}", whole.replace(b"text", name), codes=refused)
    for at in range(4, footer, max(footer // 8, 1)):
        yield _case(f"another byte at {at}", whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])


def _arrow() -> Iterator[Case]:
    table = pa.table({"text": _TEXTS, "label": [str(k % 3) for k in range(_N)]})
    for stream in (False, True):
        sink = pa.BufferOutputStream()
        with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
            writer.write_table(table)
        whole, kind = bytes(sink.getvalue()), "stream" if stream else "file"
        yield _case(f"a {kind} cut off", whole[: len(whole) // 2], name="gen_1.arrow", codes=frozenset({4}))
        for at in range(8, len(whole), max(len(whole) // 16, 1)):
            damaged = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
            yield _case(f"a {kind} with another byte at {at}", damaged, name="gen_1.arrow")
