"""Texts that are in memory already: lists, data frames, Arrow tables, data sets. No library of theirs is imported."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.readers.blocks import Block
from collapse_audit.lineages.files.digest import PREFIX, canonical_json

_A_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class InMemory:
    """Records, or a table of them."""

    held: Sequence[Any] | pa.Table

    def blocks(self) -> Iterator[Block]:
        """The records in blocks; a string is a record that is its text."""
        if isinstance(self.held, pa.Table):
            first = 1
            for batch in self.held.to_batches(max_chunksize=_A_BLOCK):
                yield Block(lines=range(first, first + batch.num_rows), records=batch.to_pylist())
                first += batch.num_rows
            return
        for start in range(0, len(self.held), _A_BLOCK):
            part = self.held[start : start + _A_BLOCK]
            records = [_as_record(record) for record in part]
            yield Block(lines=range(start + 1, start + 1 + len(records)), records=records)

    def digest(self) -> str:
        """Of what it holds, record by record."""
        digest = hashlib.sha256()
        for block in self.blocks():
            for record in block.records:
                digest.update(canonical_json(record) + b"\n")
        return PREFIX + digest.hexdigest()


def in_memory(texts: Any, *, what: str) -> InMemory:
    """A list of strings or of records, a pandas or polars frame or series, an Arrow table, a Hugging Face data set.

    Whatever offers Arrow's C stream is taken through it. ``what``: the argument's name in the UsageError for the rest.
    """
    if isinstance(texts, pa.Table):
        return InMemory(texts)
    if isinstance(texts, pa.RecordBatch):
        return InMemory(pa.Table.from_batches([texts]))
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        return InMemory(pa.table({"text": texts}))
    if hasattr(texts, "collect") and hasattr(texts, "collect_schema"):  # a lazy frame of polars
        texts = texts.collect()
    if hasattr(texts, "__arrow_c_stream__"):
        return _from_stream(texts, what)
    if isinstance(texts, Mapping):
        return _of_columns(texts, what)
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        kind = type(texts).__name__
        raise UsageError(f"{what}: {kind}; allowed: a path, or a list, data frame, table or data set of texts")
    records = [_plain(record) if isinstance(record, Mapping) else record for record in texts]
    records = [record.tolist() if hasattr(record, "tolist") else record for record in records]  # of numpy
    for number, record in enumerate(islice(records, len(records))):
        if not isinstance(record, str | dict | float | int | list | tuple):
            kind = type(record).__name__
            raise UsageError(
                f"{what}: item {number} is a {kind}; allowed: strings, numbers, lists of numbers, or records such as "
                "{'text': …}"
            )
    return InMemory(records)


def _plain(record: Mapping[Any, Any]) -> dict[Any, Any]:
    """The record, embeddings and numbers of numpy as Python's own."""
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in record.items()}


def _of_columns(texts: Mapping[Any, Any], what: str) -> InMemory:
    """Columns by name. Splits of a data set are not joined: which of them is meant is not ours to say."""
    if texts and all(isinstance(column, list | tuple) for column in texts.values()):
        sizes = {len(column) for column in texts.values()}
        if len(sizes) > 1:
            raise UsageError(f"{what}: columns of different lengths ({', '.join(map(str, sorted(sizes)))})")
        names = [str(name) for name in texts]
        return InMemory([dict(zip(names, row, strict=True)) for row in zip(*texts.values(), strict=True)])
    names_in_words = ", ".join(str(name)[:40] for name in list(texts)[:6]) or "none"
    kind = type(texts).__name__
    raise UsageError(f"{what}: a {kind} (keys: {names_in_words}); allowed: lists by name, or one of its parts: x[key]")


def _as_record(value: Any) -> Any:
    """A string is a record that is its text, a number or a list of them one that holds numbers."""
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, list | tuple):
        return {"numeric": list(value)}
    return {"numeric": value} if isinstance(value, int | float) else value


def _from_stream(texts: Any, what: str) -> InMemory:
    try:
        schema_is_a_table = not hasattr(texts, "to_frame") or hasattr(texts, "columns")
        if schema_is_a_table:
            return InMemory(pa.table(texts))
        values = pa.chunked_array(texts)
        return InMemory(pa.table({str(getattr(texts, "name", None) or "text"): values}).rename_columns(["text"]))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UsageError(f"{what}: no table of texts ({str(error).splitlines()[0]})") from None
