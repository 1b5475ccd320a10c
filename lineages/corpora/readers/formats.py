"""Which reader reads which file, by the end of its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from collapse_audit.lineages.corpora.readers.blocks import BLOCK_BYTES, Block, Unreadable
from collapse_audit.lineages.corpora.readers.read_csv import csv_blocks
from collapse_audit.lineages.corpora.readers.read_jsonl import jsonl_blocks
from collapse_audit.lineages.corpora.readers.read_parquet import parquet_blocks
from collapse_audit.lineages.corpora.readers.read_txt import txt_blocks
from collapse_audit.lineages.files.broken import Broken

SUFFIXES = (".jsonl", ".parquet", ".csv", ".txt")
ALLOWED = ".jsonl, .parquet, .csv or .txt, each also with .gz"

RECORD_FIELDS = frozenset({"text", "id", "prompt", "label", "labels", "group", "nll", "n_tokens", "split"})
"""What a record may say to the audit; other fields are allowed and not read."""


def split_name(name: str) -> tuple[str, str] | None:
    """``("gen_1.holdout", ".jsonl.gz")`` of ``gen_1.holdout.jsonl.gz``; None if it is not named like a corpus."""
    base, gz = (name[:-3], ".gz") if name.endswith(".gz") else (name, "")
    for suffix in SUFFIXES:
        if base.endswith(suffix) and len(base) > len(suffix):
            return base.removesuffix(suffix), suffix + gz
    return None


def read_blocks(path: Path, name: str, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """The records of a corpus file in blocks. A failure of the whole file is a last record that is a Broken.

    ``name`` decides the format: ``path`` may be what a link of that name points to.
    """
    parts = split_name(name)
    if parts is None:
        raise ValueError(f"not named like a corpus ({ALLOWED}): {name}")
    suffix, gzipped = parts[1].removesuffix(".gz"), parts[1].endswith(".gz")
    try:
        if suffix == ".jsonl":
            yield from jsonl_blocks(path, gzipped=gzipped, block_bytes=block_bytes)
        elif suffix == ".csv":
            yield from csv_blocks(path, gzipped=gzipped, block_bytes=block_bytes)
        elif suffix == ".txt":
            yield from txt_blocks(path, gzipped=gzipped, block_bytes=block_bytes)
        else:
            yield from parquet_blocks(path, gzipped=gzipped, block_bytes=block_bytes, fields=RECORD_FIELDS)
    except Unreadable as failure:
        yield Block(lines=[failure.line], records=[failure.broken])
    except Exception as error:  # a value that the format can hold and Python cannot, such as a date far away
        said = (str(error).splitlines() or [""])[0][:200]
        found = f"what cannot be read ({type(error).__name__}: {said})"
        yield Block(lines=[None], records=[Broken(found=found, expected=f"a whole {suffix} file", slug="unreadable")])
