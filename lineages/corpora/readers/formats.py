"""Which reader reads which file, by the end of its name."""

from __future__ import annotations

from collections.abc import Iterator

from collapse_audit.lineages.corpora.readers.blocks import BLOCK_BYTES, Block
from collapse_audit.lineages.corpora.readers.fields import FIELDS, Reading
from collapse_audit.lineages.corpora.readers.read_csv import csv_blocks
from collapse_audit.lineages.corpora.readers.read_json import json_blocks
from collapse_audit.lineages.corpora.readers.read_jsonl import jsonl_blocks
from collapse_audit.lineages.corpora.readers.read_parquet import arrow_blocks, parquet_blocks
from collapse_audit.lineages.corpora.readers.read_txt import txt_blocks
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.failures import Unreadable
from collapse_audit.lineages.files.opening import PACKINGS, split_packing
from collapse_audit.lineages.files.remote import Place

_JSON_LINES = (".jsonl", ".ndjson", ".jsonlines")
SUFFIXES = (*_JSON_LINES, ".json", ".parquet", ".arrow", ".csv", ".tsv", ".txt")
ALLOWED = ".jsonl, .json, .parquet, .arrow, .csv, .tsv or .txt, each also with .gz, .zst or .xz"
DOCUMENTS = (".txt", ".md")
"""Ends of names of files that are a document each, in a folder of such."""

RECORD_FIELDS = frozenset(
    {"text", "id", "prompt", "label", "labels", "group", "nll", "n_tokens", "split", "numeric", "embedding", "score"}
)
"""What a record may say to the audit; other fields are allowed and not read."""


def split_name(name: str) -> tuple[str, str] | None:
    """``("gen_1.holdout", ".jsonl.gz")`` of ``gen_1.holdout.jsonl.gz``; None if it is not named like a corpus."""
    base, packing = split_packing(name)
    for suffix in SUFFIXES:
        if base.lower().endswith(suffix) and len(base) > len(suffix):
            return base[: -len(suffix)], suffix + packing
    return None


def is_plain_text(name: str) -> bool:
    """Whether the file is a ``.txt``, packed or not."""
    return split_packing(name)[0].lower().endswith(".txt")


def read_blocks(
    path: Place, name: str, *, block_bytes: int = BLOCK_BYTES, reading: Reading | None = None
) -> Iterator[Block]:
    """The records of a corpus file in blocks. A failure of the whole file is a last record that is a Broken.

    ``name`` decides the format: ``path`` may be what a link of that name points to.
    """
    parts = split_name(name)
    if parts is None:
        raise ValueError(f"not named like a corpus ({ALLOWED}): {name}")
    suffix, packing = split_packing(parts[1])
    assert packing in ("", *PACKINGS)
    try:
        yield from _blocks(path, suffix, packing, block_bytes, reading or Reading())
    except Unreadable as failure:
        yield Block(lines=[failure.line], records=[failure.broken])
    except Exception as error:  # a value that the format can hold and Python cannot, such as a date far away
        said = (str(error).splitlines() or [""])[0][:200]
        found = f"what cannot be read ({type(error).__name__}: {said})"
        yield Block(lines=[None], records=[Broken(found=found, expected=f"a whole {suffix} file", slug="unreadable")])


def _blocks(path: Place, suffix: str, packing: str, block_bytes: int, reading: Reading) -> Iterator[Block]:
    if suffix in _JSON_LINES:
        yield from jsonl_blocks(path, packing=packing, block_bytes=block_bytes)
    elif suffix == ".json":
        yield from json_blocks(path, packing=packing, block_bytes=block_bytes)
    elif suffix in (".csv", ".tsv"):
        tabs = suffix == ".tsv"
        yield from csv_blocks(
            path,
            packing=packing,
            block_bytes=block_bytes,
            tabs=tabs,
            numeric=(*reading.numeric, *reading.embedding, *reading.score),
        )
    elif suffix == ".txt":
        yield from txt_blocks(path, packing=packing, block_bytes=block_bytes, documents=reading.documents)
    else:
        blocks = parquet_blocks if suffix == ".parquet" else arrow_blocks
        named = tuple(path for field in FIELDS for path in getattr(reading, field))
        yield from blocks(path, packing=packing, block_bytes=block_bytes, fields=RECORD_FIELDS, named=named)
