"""A corpus: one file of texts, its digest, and its records in batches that never need the file's size in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.readers.blocks import Block
from collapse_audit.lineages.corpora.readers.columns import RECORD_SCHEMA, NotClean, to_batch
from collapse_audit.lineages.corpora.readers.formats import ALLOWED, read_blocks, split_name
from collapse_audit.lineages.corpora.readers.records import check_record
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.door import reading
from collapse_audit.lineages.files.problems import ProblemList, problem, shorten

__all__ = ["RECORD_SCHEMA", "Corpus", "open_corpus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """One corpus file of a lineage, or the part of it that its records' ``split`` names."""

    path: Path
    """Absolute, links resolved."""
    shown: str
    """How a user would name it: relative to the lineage folder, such as ``gen_1/texts.jsonl``."""
    digest: str
    """``sha256:…`` of the file's bytes (of the packed bytes, for a ``.gz``)."""
    split: str | None = None
    """``train`` or ``holdout`` when the records carry a ``split`` field and this corpus is that part of the file."""
    classes: tuple[str, ...] | None = None
    """The only labels that records may carry, where the manifest declares them."""
    where: str = ""
    """The file as it stands in messages; ``shown`` where it is empty."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The records in batches of RECORD_SCHEMA, in the order of the file.

        Raises InputError with all problems of the file (the first twenty worded, the rest counted) once the whole file
        has been read; from the first problem on no batch is given out. Read to the end: only then is the file good.
        """
        with reading(self.where or self.shown, f"a corpus file ({ALLOWED})", "unreadable"):
            yield from self._batches()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        problems = ProblemList(self.where or self.shown)
        ids = _SeenIds()
        total = 0
        for block in read_blocks(self.path, self.shown):
            total += len(block.records)
            ids.add(block)
            batch = self._batch(block, problems)
            if batch is not None and batch.num_rows:
                yield batch
        if total == 0:
            problems.add("no record", "at least one record", "no-record")
        repeated = ids.repeated_hashes()
        if repeated:
            self._name_repeated_ids(repeated, problems)
        if len(problems):
            raise InputError(problems.as_tuple())

    def _batch(self, block: Block, problems: ProblemList) -> pa.RecordBatch | None:
        """This corpus' part of the block as columns, or None after adding what is wrong with it (or was before)."""
        classes = None if self.classes is None else frozenset(self.classes)
        try:
            batch = to_batch(block.records, classes=classes)
        except NotClean:
            self._word(block, classes, problems)
        self._check_split(block, problems)
        if len(problems):
            return None
        if self.split is not None:
            batch = batch.filter(pa.array([record["split"] == self.split for record in block.records]))
        return batch

    def _word(self, block: Block, classes: frozenset[str] | None, problems: ProblemList) -> None:
        before = len(problems)
        for line, record in zip(block.lines, block.records, strict=True):
            if isinstance(record, Broken):
                problems.add(record.found, record.expected, record.slug, line=line)
                continue
            for found, expected, slug in check_record(record, classes=classes):
                problems.add(found, expected, slug, line=line)
        if len(problems) == before:
            raise AssertionError("the fast check refused a block in which the exact check finds nothing")

    def _check_split(self, block: Block, problems: ProblemList) -> None:
        """All records carry a split or none does: otherwise some would belong to neither part."""
        if self.split is None and not any("split" in record for record in block.records if type(record) is dict):
            return
        for line, record in zip(block.lines, block.records, strict=True):
            if isinstance(record, dict) and (record.get("split") is None) != (self.split is None):
                split = record.get("split")
                found = "a record without a split" if split is None else f"split {shorten(split)}"
                expected = "a split in every record of the file, or in none"
                problems.add(found, expected, "split-incomplete", line=line)

    def _name_repeated_ids(self, hashes: frozenset[int], problems: ProblemList) -> None:
        """A second pass over the file, only where two ids have the same hash: exact, with both places."""
        first: dict[str, int | None] = {}
        for block in read_blocks(self.path, self.shown):
            for line, name in _ids(block):
                if hash(name) not in hashes:
                    continue
                if name in first:
                    found = f"the id {shorten(name)} again (first on line {first[name]})"
                    problems.add(found, "each id once", "duplicate-id", line=line)
                else:
                    first[name] = line


def _ids(block: Block) -> Iterator[tuple[int | None, str]]:
    """The ids of a block as they will be read, also from records that have other faults."""
    for line, record in zip(block.lines, block.records, strict=True):
        name = record.get("id") if isinstance(record, dict) else None
        if type(name) is str or type(name) is int:
            yield line, str(name)


class _SeenIds:
    """The ids of a file as 8-byte hashes: enough to know that none repeats, at 8 bytes a record."""

    def __init__(self) -> None:
        self._hashes: list[np.ndarray[Any, np.dtype[np.int64]]] = []

    def add(self, block: Block) -> None:
        names = [record.get("id") for record in block.records if isinstance(record, dict)]
        names = [str(name) for name in names if type(name) is str or type(name) is int]  # as _ids does, only faster
        if names:
            self._hashes.append(np.fromiter(map(hash, names), dtype=np.int64, count=len(names)))

    def repeated_hashes(self) -> frozenset[int]:
        """Hashes that occur more than once. Two different ids may share one: to be confirmed."""
        if not self._hashes:
            return frozenset()
        hashes = np.concatenate(self._hashes)
        hashes.sort()
        return frozenset(hashes[1:][hashes[1:] == hashes[:-1]].tolist())


def open_corpus(path: Path) -> Corpus:
    """A corpus outside any lineage (``--baseline PATH``). Raises InputError where there is no such file."""
    where = str(path)
    if split_name(path.name) is None:
        complaint = (f'the name "{path.name}"', f"a corpus file ({ALLOWED})", "unknown-format")
    elif not path.is_file():
        complaint = ("no such file", "a corpus file", "missing-file")
    else:
        try:
            digest = file_digest(path)
        except OSError as error:
            complaint = (f"a file that cannot be read ({error.strerror})", "a readable file", "unreadable")
        else:
            return Corpus(path=path.resolve(), shown=where, digest=digest, where=where)
    raise InputError([problem(where, *complaint)])
