"""Reads the text that a simulation starts from: a corpus file, a folder of them, or a text file cut at blank lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.errors import InputError, Problem, UsageError
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.corpora.readers.formats import ALLOWED, split_name
from collapse_audit.lineages.files.digest import file_digest, json_digest
from collapse_audit.lineages.files.natural_order import natural_key

Record = dict[str, Any]

_FIELDS = ("text", "prompt", "labels", "group", "nll", "n_tokens")  # not the id: the copies would share it
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The documents of a source, and what stands about it in the manifest."""

    records: Sequence[Record]
    facts: Mapping[str, Any]
    """``name``, ``digest``, ``documents``, ``left_out``, ``min_words``."""

    @property
    def texts(self) -> list[str]:
        return [record["text"] for record in self.records]


def read_source(path: Path, *, paragraphs: bool = False, min_words: int = 1) -> Source:
    """Read every document with at least ``min_words`` words (between white space); how many had fewer is recorded.

    ``path``: a corpus file, or a folder whose corpus files are read in natural order. ``paragraphs``: a plain text
    file instead, a document for each paragraph (separated by blank lines), its lines joined.
    Raises InputError where a file cannot be read, UsageError where no document is left.
    """
    files = _corpus_files(path) if path.is_dir() else [path]
    everything = [record for file in files for record in (_paragraphs(file) if paragraphs else _records(file))]
    records = [record for record in everything if len(record["text"].split()) >= min_words]
    if not records:
        raise UsageError(f"{path}: none of {len(everything)} documents has {min_words} words or more")
    digests = [file_digest(file) for file in files]
    facts = {
        "name": path.name,
        "digest": digests[0] if len(digests) == 1 else json_digest(digests),
        "documents": len(records),
        "min_words": min_words,
        "left_out": len(everything) - len(records),
    }
    return Source(records=records, facts=facts)


def _corpus_files(folder: Path) -> list[Path]:
    names = sorted((path.name for path in folder.iterdir() if path.is_file()), key=natural_key)
    files = [folder / name for name in names if split_name(name) is not None]
    if not files:
        found, expected = "a folder without a corpus file", f"files that end in {ALLOWED}"
        raise InputError([Problem(where=str(folder), found=found, expected=expected, slug="no-corpus")])
    return files


def _records(file: Path) -> list[Record]:
    rows = (row for batch in open_corpus(file).batches() for row in batch.to_pylist())
    return [{name: row[name] for name in _FIELDS if row[name] is not None} for row in rows]


def _paragraphs(file: Path) -> list[Record]:
    """A file of prose: paragraphs, each with its lines joined by single spaces."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise InputError([Problem(where=str(file), found=found, expected="a text file", slug="unreadable")]) from None
    except UnicodeDecodeError as error:
        found = f"bad UTF-8 (byte 0x{error.object[error.start]:02x} at byte {error.start + 1})"
        raise InputError([Problem(where=str(file), found=found, expected="UTF-8 text", slug="bad-utf8")]) from None
    if "\0" in text:
        found = "a NUL character"
        raise InputError([Problem(where=str(file), found=found, expected="text without NUL", slug="nul")])
    parts = _BLANK_LINES.split(text.replace("\r\n", "\n").replace("\r", "\n"))
    return [{"text": " ".join(part.split())} for part in parts if part.strip()]


def split_at_random(records: Sequence[Record], shares: Sequence[float], rng: np.random.Generator) -> list[list[Record]]:
    """Cut the records at random into parts in proportion to ``shares``; a group stays in one part.

    Raises UsageError where a part would be empty.
    """
    groups: dict[str, list[Record]] = {}
    for index, record in enumerate(records):
        groups.setdefault(f"g{record['group']}" if "group" in record else f"d{index}", []).append(record)
    shuffled = list(groups.values())
    ends = np.round(np.cumsum(shares) / np.sum(shares) * len(records))
    result: list[list[Record]] = [[] for _ in shares]
    placed = 0
    for index in rng.permutation(len(shuffled)):
        result[int(np.searchsorted(ends, placed, side="right"))].extend(shuffled[index])
        placed += len(shuffled[index])
    if not all(result):
        raise UsageError(f"{len(records)} documents ({len(shuffled)} groups) cannot be cut into {len(shares)} parts")
    return result
