"""The ``split`` field: human text and its held-out part in one file, told apart by the records themselves."""

from __future__ import annotations

from pathlib import Path

from collapse_audit.lineages.corpora.readers.formats import read_blocks

_PEEK_BYTES = 64 * 1024


def splits_of(path: Path, name: str) -> frozenset[str]:
    """The splits that the file's records name; empty where the first record names none.

    Reads the whole file only where there is something to find. Whether every record names one, and a valid one, is
    checked when the corpus is read.
    """
    first = next(
        (record for block in read_blocks(path, name, block_bytes=_PEEK_BYTES) for record in block.records), None
    )
    if not isinstance(first, dict) or first.get("split") is None:
        return frozenset()
    records = (record for block in read_blocks(path, name) for record in block.records if isinstance(record, dict))
    return frozenset(split for record in records if isinstance(split := record.get("split"), str))
