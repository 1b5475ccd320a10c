"""The draw of a large corpus: the documents whose keyed hash of record and position is smallest.

The k smallest of a union are among the k smallest of its parts, so draws of parts are put together in any order and any
grouping, and the result is the draw of the whole: it depends on neither the reading order nor the number of readers
(bottom-k sketches: Cohen & Kaplan 2007, doi 10.1145/1281100.1281133).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collapse_audit.probes.text.census import Census

COLUMNS = ("text", "labels", "prompt", "group", "nll")
OPTIONAL = ("n_tokens", "numeric", "score", "embedding")
SCORES = "nll:"
"""How columns begin that hold likelihoods from elsewhere than the records; the scorer follows."""
PART, ROW, RANK = "part:", "row:", "rank:"
"""Columns of a draw that no record has: the file of its corpus, the record in that file, both from 0, and the hash."""
_KEPT = frozenset((*COLUMNS, *OPTIONAL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """At most ``most`` documents of a corpus, or of parts of it."""

    most: int
    """0: all of them."""
    seed: int
    n_read: int
    """Documents that it is drawn from."""
    table: pa.Table
    """The documents, by part and row. ``RANK`` is there only where some were left out."""
    left_out: Census | None = None
    """Counts over the documents that were read and are not in the table, where they are counted and there are any."""

    @property
    def complete(self) -> bool:
        """Whether every document that was read is in the table."""
        return len(self.table) == self.n_read


Count = Callable[[pa.Table], Census]
"""What counts the documents that are left out."""


def draw(batches: Iterable[pa.RecordBatch], *, part: int = 0, most: int, seed: int, count: Count | None = None) -> Draw:
    """Draw from the records of one part, as they stream by; what is held is bounded by ``2 * most`` and a batch."""
    waiting: list[pa.Table] = []
    left_out: Census | None = None
    n_read = held = 0
    for batch in batches:
        waiting.append(_placed(batch, part, n_read))
        n_read += len(batch)
        held += len(batch)
        if most and held > 2 * most:
            table, left_out = _smallest(waiting, most, seed, count, left_out)
            waiting, held = [table], most
    if most and held > most:
        table, left_out = _smallest(waiting, most, seed, count, left_out)
    else:
        table = _in_order(waiting)
    return Draw(most=most, seed=seed, n_read=n_read, table=table, left_out=left_out)


def together(one: Draw, other: Draw, count: Count | None = None) -> Draw:
    """The draw of all documents of two draws with the same ``most`` and ``seed``; associative and commutative."""
    n_read = one.n_read + other.n_read
    tables = [one.table, other.table]
    left_out = _sum(one.left_out, other.left_out)
    if not one.most or n_read <= one.most:
        table = _in_order(tables)
    else:
        table, left_out = _smallest(tables, one.most, one.seed, count, left_out)
    return Draw(most=one.most, seed=one.seed, n_read=n_read, table=table, left_out=left_out)


def ranks(table: pa.Table, seed: int) -> npt.NDArray[np.uint64]:
    """Keyed hash of each record and its position; shape (N,).

    What a record was asked stands for it where it says so: generations that answer the same prompts in the same order
    are drawn at the same prompts, which keeps their answers paired. Else its text does. Copies of one text lie at
    different positions, and each is drawn by itself.
    """
    key = hashlib.blake2b(f"collapse-audit draw {seed}".encode(), digest_size=32).digest()
    places = np.empty(len(table), dtype=[("part", "<i8"), ("row", "<i8")])
    places["part"], places["row"] = table[PART].to_numpy(), table[ROW].to_numpy()
    raw = places.tobytes()
    columns = (table[name].cast(pa.large_binary()).to_pylist() for name in ("prompt", "text"))
    digests = (
        hashlib.blake2b(raw[16 * at : 16 * at + 16] + (prompt or text), digest_size=8, key=key).digest()
        for at, (prompt, text) in enumerate(zip(*columns, strict=True))
    )
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _placed(batch: pa.RecordBatch, part: int, first: int) -> pa.Table:
    """What is kept of a batch, and where its records stand."""
    table = pa.Table.from_batches([batch])
    table = table.select([name for name in table.column_names if name in _KEPT or name.startswith(SCORES)])
    table = table.append_column(PART, pa.array(np.full(len(table), part)))
    return table.append_column(ROW, pa.array(np.arange(first, first + len(table))))


def _smallest(
    tables: list[pa.Table], most: int, seed: int, count: Count | None, left_out: Census | None
) -> tuple[pa.Table, Census | None]:
    """The ``most`` rows of the smallest hash, by part and row, and the counts over all others added to ``left_out``."""
    ranked = pa.concat_tables([_ranked(table, seed) for table in tables if len(table)])
    part, row, rank = (ranked[name].to_numpy() for name in (PART, ROW, RANK))
    order = np.lexsort((row, part, rank))
    kept, dropped = order[:most], np.sort(order[most:])
    if count is not None and dropped.size:
        left_out = _sum(left_out, count(ranked.take(pa.array(dropped))))
    return ranked.take(pa.array(kept[np.lexsort((row[kept], part[kept]))])).combine_chunks(), left_out


def _sum(one: Census | None, other: Census | None) -> Census | None:
    return other if one is None else one if other is None else one + other


def _ranked(table: pa.Table, seed: int) -> pa.Table:
    return table if RANK in table.column_names else table.append_column(RANK, pa.array(ranks(table, seed)))


def _in_order(tables: list[pa.Table]) -> pa.Table:
    """All rows, by part and row. Only tables in which nothing was left out come here."""
    held = [table for table in tables if len(table)]
    if not held:
        return tables[0] if tables else pa.table({})
    table = pa.concat_tables(held)
    part = table[PART].to_numpy()
    return table if (part[1:] >= part[:-1]).all() else table.take(pa.array(np.argsort(part, kind="stable")))
