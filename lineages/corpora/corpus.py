"""A corpus: one file of texts, its digest, and its records in batches that never need the file's size in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from collapse_audit.errors import InputError, Problem
from collapse_audit.lineages.corpora.memory import InMemory
from collapse_audit.lineages.corpora.parts import CorpusFolder, corpus_folder, folder_digest, shards
from collapse_audit.lineages.corpora.readers.blocks import BLOCK_BYTES, Block
from collapse_audit.lineages.corpora.readers.columns import RECORD_SCHEMA, NotClean, to_batch
from collapse_audit.lineages.corpora.readers.fields import Extraction, Reading, extraction
from collapse_audit.lineages.corpora.readers.formats import ALLOWED, is_plain_text, read_blocks, split_name
from collapse_audit.lineages.corpora.readers.read_txt import prose
from collapse_audit.lineages.corpora.readers.records import check_record, is_numeric
from collapse_audit.lineages.corpora.readers.shapes import is_gold
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.door import limits, reading
from collapse_audit.lineages.files.failures import Unreadable, too_much
from collapse_audit.lineages.files.problems import ProblemList, problem, shorten
from collapse_audit.lineages.files.remote import Remote

__all__ = ["RECORD_SCHEMA", "Corpus", "open_corpus"]

_PEEK_BYTES = 256 * 1024
_MOST_PROBLEMS = 100_000
"""What has more is looked into no further."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the first records of a corpus say of how all of its files are read."""

    extraction: Extraction | None
    """None: they have the plain form."""
    width: int | None = None
    """How many numbers a record holds in place of a text: 0 of texts; None where the first record does not tell."""
    embedding: int | None = None
    """How many numbers the embedding of a text has: 0 where there is none; None where that is not known."""

    @classmethod
    def of(cls, block: Block, reading: Reading) -> Told:
        """By the first records of a corpus, as they stand. Raises Unreadable where they do not tell."""
        how = extraction(block.records, reading)
        plain = block if how is None else how.apply(block)
        first = next((record for record in plain.records if isinstance(record, dict)), None)
        return cls(how) if first is None else cls(how, width(first), dimensions(first))


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
    files: CorpusFolder | None = None
    """The files that the corpus consists of, where it is more than one."""
    memory: InMemory | None = field(default=None, compare=False)
    """What the corpus holds, where it is no file at all."""
    remote: Remote | None = None
    """Where its one file is, if it is not at ``path``."""
    reading: Reading = field(default_factory=Reading)
    """What a user says of how it is to be read."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The records in batches of RECORD_SCHEMA, in the order of the file.

        Raises InputError with all problems of the file (the first twenty worded, the rest counted) once the whole file
        has been read; from the first problem on no batch is given out. Read to the end: only then is the file good.
        """
        with reading(self.where or self.shown, f"a corpus file ({ALLOWED})", "unreadable"):
            yield from self._batches()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        problems = ProblemList(self.where or self.shown)
        ids = SeenIds()
        yield from self.checked(problems, ids)
        self.check_whole(problems, ids)

    def checked(self, problems: ProblemList, ids: SeenIds, how: Told | None = None) -> Iterator[pa.RecordBatch]:
        """The records as :meth:`batches` gives them, for a reader of one file of several: what is wrong with a record
        is added to ``problems``, what is said of all together is left to :meth:`check_whole`.

        ``how``: as the first records of the whole corpus told. Raises InputError beyond the limit of records.
        """
        for block, told in self._blocks(how):
            ids.add(block)
            if ids.records > limits().records:
                raise InputError([self._problem(too_much("more records", "records"))])
            batch = self._batch(block, problems, told)
            if batch is not None and batch.num_rows:
                yield batch
            if len(problems) > _MOST_PROBLEMS:
                raise InputError(problems.as_tuple())

    def check_whole(self, problems: ProblemList, ids: SeenIds) -> None:
        """What only the whole corpus shows: no record at all, too many, an id twice. Raises InputError where anything
        was wrong, here or before."""
        if ids.records == 0:
            problems.add("no record", "at least one record", "no-record")
        if ids.records > limits().records:
            raise InputError([self._problem(too_much("more records", "records"))])
        repeated = ids.repeated_hashes()
        if repeated:
            self._name_repeated_ids(repeated, ids.hashed, problems)
        if len(problems):
            raise InputError(problems.as_tuple())

    def told(self) -> Told | None:
        """How the first records say that all are read; None where the format says it. Raises InputError where they do
        not tell."""
        with reading(self.where or self.shown, f"a corpus file ({ALLOWED})", "unreadable"):
            first = next((block for block in self._raw_blocks() if block.records), None)
            try:
                return None if first is None else Told.of(first, self.reading)
            except Unreadable as failure:
                raise InputError([self._problem(failure)]) from None

    def taken(self) -> tuple[str, str]:
        """What is taken as the text, in words (``messages[-1].content of the assistant``), and what speaks against it
        (empty where nothing does). Raises InputError where it cannot be told."""
        with reading(self.where or self.shown, f"a corpus file ({ALLOWED})", "unreadable"):
            return self._taken()

    def width(self) -> int:
        """How many numbers a record holds, 0 of texts, by the first one. Raises InputError where it cannot be told."""
        told = self.told()
        return 0 if told is None or told.width is None else told.width

    def _taken(self) -> tuple[str, str]:
        first = next(self._raw_blocks(_PEEK_BYTES), None)
        if first is None:
            return "text", ""
        if self.memory is None and self.files is not None and self.files.documents:
            return "each file", ""
        if self.memory is None and is_plain_text(self.shown if self.files is None else self.files.names[0]):
            documents = self.reading.documents or "lines"
            lines = [record["text"] for record in first.records if isinstance(record, dict)]
            against = prose(lines[:1000]) if not self.reading.documents else ""
            doubt = f"each line is taken as a document, but there are {against}: see --documents" if against else ""
            return f"each {documents.removesuffix('s')}", doubt
        try:
            told = Told.of(first, self.reading)
        except Unreadable as failure:
            raise InputError([self._problem(failure)]) from None
        how = told.extraction
        if told.width:
            many = "1 number" if told.width == 1 else f"{told.width} numbers"
            return f"{how.spelled if how else 'numeric'} ({many})", ""
        if how is None or not how.spelled:
            return "text", ""
        gold = is_gold(how.text)
        doubt = f'"{how.text}" is taken as the text, and is called like the right answer' if gold else ""
        return how.spelled, doubt

    def _problem(self, failure: Unreadable) -> Problem:
        broken = failure.broken
        return problem(self.where or self.shown, broken.found, broken.expected, broken.slug, line=failure.line)

    def _raw_blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """The records as they stand."""
        if self.memory is not None:
            yield from self.memory.blocks()
        elif self.files is not None:
            yield from self.files.blocks(block_bytes, self.reading)
        else:
            place = self.remote or self.path
            yield from read_blocks(place, self.shown, block_bytes=block_bytes, reading=self.reading)

    def _blocks(self, how: Told | None = None) -> Iterator[tuple[Block, Told | None]]:
        """The records in the plain form. How they come to it is told by the first block, once for the whole corpus."""
        for block in self._raw_blocks():
            if how is None and block.records:
                try:
                    how = Told.of(block, self.reading)
                except Unreadable as failure:
                    yield Block(lines=[failure.line], records=[failure.broken]), None
                    return
            yield (block if how is None or how.extraction is None else how.extraction.apply(block)), how

    def _batch(self, block: Block, problems: ProblemList, told: Told | None) -> pa.RecordBatch | None:
        """This corpus' part of the block as columns, or None after adding what is wrong with it (or was before)."""
        numbers, embedding = (None, None) if told is None else (told.width, told.embedding)
        classes = None if self.classes is None else frozenset(self.classes)
        try:
            batch = to_batch(block.records, classes=classes)
        except NotClean:
            self._word(block, classes, problems)
        self._check_split(block, problems)
        if numbers is not None and (numbers or len(problems) or batch["numeric"].null_count < len(batch)):
            self._check_width(block, problems, numbers)
        if embedding is not None and (len(problems) or not all_of(batch["embedding"], embedding)):
            self._check_embeddings(block, problems, embedding)
        if len(problems):
            return None
        if self.split is not None:
            batch = batch.filter(pa.array([record["split"] == self.split for record in block.records]))
        return batch

    def _word(self, block: Block, classes: frozenset[str] | None, problems: ProblemList) -> None:
        before = len(problems)
        for file, line, record in block.places():
            if isinstance(record, Broken):
                problems.add(record.found, record.expected, record.slug, line=line, where=self.place(file))
                continue
            for found, expected, slug in check_record(record, classes=classes):
                problems.add(found, expected, slug, line=line, where=self.place(file))
        if len(problems) == before:
            raise AssertionError("the fast check refused a block in which the exact check finds nothing")

    def _check_split(self, block: Block, problems: ProblemList) -> None:
        """All records carry a split or none does: otherwise some would belong to neither part."""
        if self.split is None and not any("split" in record for record in block.records if type(record) is dict):
            return
        for file, line, record in block.places():
            if isinstance(record, dict) and (record.get("split") is None) != (self.split is None):
                split = record.get("split")
                found = "a record without a split" if split is None else f"split {shorten(split)}"
                expected = "a split in every record of the file, or in none"
                problems.add(found, expected, "split-incomplete", line=line, where=self.place(file))

    def _check_width(self, block: Block, problems: ProblemList, numbers: int | None) -> None:
        """Texts, or equally many numbers, in all records: nothing else can be compared."""
        for file, line, record in block.places():
            if not isinstance(record, dict) or (here := width(record)) == numbers:
                continue
            place: dict[str, Any] = {"line": line, "where": self.place(file)}
            if here and numbers:
                expected = f"{numbers}, as in the first record"
                problems.add(f"{here} numbers in numeric", expected, "numeric-size", **place)
            elif here or "text" in record:
                found = "numbers in a file of texts" if here else "a text in a file of numbers"
                problems.add(found, "texts in all records, or numbers in all", "numeric-mixed", **place)

    def _check_embeddings(self, block: Block, problems: ProblemList, size: int) -> None:
        """An embedding of one length in every record, or in none."""
        for file, line, record in block.places():
            if not isinstance(record, dict) or (here := dimensions(record)) is None or here == size:
                continue
            if here and size:
                found, expected = f"an embedding of {here:,} numbers", f"{size:,}, as in the first record"
            else:
                found = "a record with an embedding" if here else "a record without an embedding"
                expected = "an embedding in every record of the corpus, or in none"
            slug = "embedding-size" if here and size else "embedding-incomplete"
            problems.add(found, expected, slug, line=line, where=self.place(file))

    def place(self, file: str | None) -> str | None:
        """A file of a corpus that has several, as messages name it."""
        if file is None or self.files is None:
            return None
        return f"{self.where.removesuffix(self.shown)}{file}" if self.where.endswith(self.shown) else file

    def _name_repeated_ids(self, hashes: frozenset[int], hashed: Callable[[str], int], problems: ProblemList) -> None:
        """A second pass over the file, only where two ids have the same hash: exact, with both places."""
        first: dict[str, int | None] = {}
        for block, _ in self._blocks():
            for line, name in _ids(block):
                if hashed(name) not in hashes:
                    continue
                if name in first:
                    found = f"the id {shorten(name)} again (first on line {first[name]})"
                    problems.add(found, "each id once", "duplicate-id", line=line)
                else:
                    first[name] = line


def width(record: Mapping[str, Any]) -> int:
    """How many numbers stand in place of a text; 0 where one does, or should."""
    if not is_numeric(record):
        return 0
    return len(record["numeric"]) if isinstance(record["numeric"], list) else 1


def dimensions(record: Mapping[str, Any]) -> int | None:
    """How many numbers stand in a record's embedding, 0 where it has none; None where it is no list."""
    value = record.get("embedding")
    return 0 if value is None else len(value) if isinstance(value, list) else None


def all_of(embeddings: pa.Array, size: int) -> bool:
    """Whether all have ``size`` numbers; 0: whether there is none."""
    if not size:
        return bool(embeddings.null_count == len(embeddings))
    return bool(embeddings.null_count == 0 and (np.diff(embeddings.offsets.to_numpy()) == size).all())


def _ids(block: Block) -> Iterator[tuple[int | None, str]]:
    """The ids of a block as they will be read, also from records that have other faults."""
    for line, record in zip(block.lines, block.records, strict=True):
        name = record.get("id") if isinstance(record, dict) else None
        if type(name) is str or type(name) is int:
            yield line, str(name)


class SeenIds:
    """The ids of a corpus as 8-byte hashes: enough to know that none repeats, at 8 bytes a record."""

    def __init__(self, hashed: Callable[[str], int] = hash) -> None:
        """``hashed``: Python's own is the fastest, and another one in each process."""
        self.hashed = hashed
        self.records = 0
        self.hashes: list[np.ndarray[Any, np.dtype[np.int64]]] = []

    def add(self, block: Block) -> None:
        self.records += len(block.records)
        found = [record.get("id") for record in block.records if isinstance(record, dict)]
        names = [str(name) for name in found if type(name) is str or type(name) is int]  # as _ids does, only faster
        if names:
            self.hashes.append(np.fromiter(map(self.hashed, names), dtype=np.int64, count=len(names)))

    def repeated_hashes(self) -> frozenset[int]:
        """Hashes that occur more than once. Two different ids may share one: to be confirmed."""
        if not self.hashes:
            return frozenset()
        hashes = np.concatenate(self.hashes)
        hashes.sort()
        return frozenset(hashes[1:][hashes[1:] == hashes[:-1]].tolist())


def open_corpus(path: Path, *, reading: Reading | None = None) -> Corpus:
    """A corpus outside any lineage (``--baseline PATH``): a file, or a folder that holds one.

    Raises InputError where there is none.
    """
    where = str(path)
    if path.is_dir():
        return _open_folder(path, reading or Reading())
    if split_name(path.name) is None:
        complaint = (f'the name "{path.name}"', f"a corpus file ({ALLOWED})", "unknown-format")
    elif not path.is_file():
        complaint = ("no such file", "a corpus file", "missing-file")
    else:
        try:
            files = shards(path, where)
            if isinstance(files, Broken):
                raise InputError([problem(where, files.found, files.expected, files.slug)])
            digest = file_digest(path) if files is None else folder_digest(files)
        except OSError as error:
            complaint = (f"a file that cannot be read ({error.strerror})", "a readable file", "unreadable")
        else:
            reading = reading or Reading()
            return Corpus(path=path.resolve(), shown=where, digest=digest, where=where, files=files, reading=reading)
    raise InputError([problem(where, *complaint)])


def _open_folder(path: Path, reading: Reading) -> Corpus:
    where = str(path)
    try:
        folder = corpus_folder(path, where, documents=reading.documents)
        if isinstance(folder, Broken):
            raise InputError([problem(where, folder.found, folder.expected, folder.slug)])
        if len(folder.names) == 1 and not folder.documents:
            return open_corpus(path / folder.names[0].rpartition("/")[2], reading=reading)
        return Corpus(
            path=path.resolve(), shown=where, digest=folder_digest(folder), where=where, files=folder, reading=reading
        )
    except OSError as error:
        found = f"a folder that cannot be read ({error.strerror})"
        raise InputError([problem(where, found, "a readable folder", "unreadable")]) from None
