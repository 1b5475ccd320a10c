"""A draw and an order of documents that follow from a private key alone: the same however a corpus was cut into parts.

Each record has a keyed hash of its file's name, its place in the file, and all that is packed of it. The documents of
the smallest hashes are packed, in the order of their hashes: the smallest of a union are among the smallest of its
parts, so what is taken of parts can be merged in any grouping (as in :mod:`~collapse_audit.probes.text.draw`). Whoever
lacks the key sees a random order; whoever has it, and the texts, can tell who is in which block.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from collapse_audit.errors import UsageError
from collapse_audit.probes.statistics.design import IntArray
from collapse_audit.probes.text.draw import COLUMNS, RANK

LEAST_KEY = 32
"""Bytes of a key."""
_ORDER = b"order"


class Key:
    """A private key, for several purposes none of which tells of another."""

    def __init__(self, secret: bytes) -> None:
        """Raises UsageError where the secret is too short to be one."""
        if len(secret) < LEAST_KEY:
            raise UsageError(
                f"a key of {len(secret)} bytes; expected at least {LEAST_KEY} random ones: "
                "head -c 32 /dev/urandom > house.key",
                slug="pack-key",
            )
        self._secret = hashlib.sha512(secret).digest()

    def __repr__(self) -> str:
        return "Key(…)"

    def derived(self, purpose: bytes) -> bytes:
        """32 bytes for one purpose (at most 16 bytes that name it)."""
        return hashlib.blake2b(b"collapse-audit", digest_size=32, key=self._secret, person=purpose).digest()


class InOrder:
    """Stands where a generator of random numbers would shuffle: documents keep the order that the key gave them."""

    def permutation(self, count: int, /) -> IntArray:
        """0, 1, …"""
        return np.arange(count)


def smallest(tables: Iterable[pa.Table], most: int) -> pa.Table:
    """The ``most`` documents of the smallest hashes (0: all), by hash; associative and commutative.

    Documents of one hash are the same in all columns (they stand in the same place of two files of one name), so that
    their order is of no consequence.
    """
    table = pa.concat_tables(list(tables))
    order = np.argsort(table[RANK].to_numpy(), kind="stable")
    return table.take(pa.array(order[: most or order.size])).combine_chunks()


def ranked(batches: Iterable[pa.RecordBatch], key: Key, *, file: str, most: int) -> tuple[pa.Table, int]:
    """Of the records of one file, as they stream by, those of the smallest hashes; and how many there were."""
    secret = key.derived(_ORDER)
    prefix = hashlib.blake2b(file.encode("utf-8", "surrogatepass"), digest_size=16, key=secret).digest()
    held = [_ranked(pa.RecordBatch.from_pylist([], schema=RECORDS), secret, prefix, 0)]
    read = 0
    for batch in batches:
        held.append(_ranked(batch.select(COLUMNS), secret, prefix, read))
        read += len(batch)
        if most and sum(map(len, held)) > 2 * most:
            held = [smallest(held, most)]
    return smallest(held, most), read


RECORDS = pa.schema(
    [
        *(pa.field("text", pa.string()), pa.field("labels", pa.list_(pa.string())), pa.field("prompt", pa.string())),
        *(pa.field("group", pa.string()), pa.field("nll", pa.float64())),
    ]
)
"""What is packed of a record."""


def _ranked(batch: pa.RecordBatch, secret: bytes, prefix: bytes, first: int) -> pa.Table:
    rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
    digests = (
        hashlib.blake2b(
            prefix + (first + at).to_bytes(8, "little") + json.dumps(row).encode(), digest_size=8, key=secret
        ).digest()
        for at, row in enumerate(rows)
    )
    ranks = np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
    return pa.Table.from_batches([batch], schema=RECORDS).append_column(RANK, pa.array(ranks))
