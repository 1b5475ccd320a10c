"""A corpus cut into what one reader reads: each of its files, with all that a worker elsewhere must know of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collapse_audit.errors import InputError, Problem
from collapse_audit.lineages.corpora.corpus import Corpus, SeenIds, Told
from collapse_audit.lineages.corpora.readers.formats import ALLOWED
from collapse_audit.lineages.files.door import Limits, limits, reading
from collapse_audit.lineages.files.problems import ProblemList
from collapse_audit.lineages.files.remote import Place, Remote


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One file of a corpus, or the whole of one that cannot be cut."""

    number: int
    """Its place among the files of the corpus, from 0."""
    corpus: Corpus
    """This file, as a corpus of its own."""
    told: Told | None
    """What the first records of the whole corpus said of how it is read."""
    limits: Limits
    """Those in force where the audit was started."""

    @property
    def name(self) -> str:
        """As messages call it."""
        return self.corpus.where or self.corpus.shown


def shards_of(corpus: Corpus) -> tuple[Shard, ...]:
    """The files of a corpus, in their order. Raises InputError where the first records do not tell how it is read."""
    if corpus.memory is not None or corpus.files is None or corpus.files.documents:
        return (Shard(number=0, corpus=corpus, told=None, limits=limits()),)
    told = corpus.told()
    files = zip(corpus.files.paths, corpus.files.names, strict=True)
    return tuple(
        Shard(
            number=number,
            corpus=_one_file(corpus, place, name),
            told=told,
            limits=limits(),
        )
        for number, (place, name) in enumerate(files)
    )


def _one_file(corpus: Corpus, place: Place, name: str) -> Corpus:
    """One of the files of a corpus, as a corpus of its own."""
    alone = replace(corpus, shown=place.name, where=corpus.place(name) or name, files=None)
    if isinstance(place, Remote):
        return replace(alone, remote=place)
    return replace(alone, path=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What is known to be wrong with some files of a corpus, and what checking all of them together takes."""

    records: int
    """Of all these files."""
    problems: Mapping[int, ProblemList]
    """Of each file, by its number."""
    refused: Mapping[int, tuple[Problem, ...]]
    """Of each file that was not read to its end, why."""
    ids: tuple[npt.NDArray[np.int64], ...]
    """Hashes of the records' ids, in any order."""

    def join(self, other: Checks) -> Checks:
        """The checks of the files of both."""
        return Checks(
            records=self.records + other.records,
            problems={**self.problems, **other.problems},
            refused={**self.refused, **other.refused},
            ids=(*self.ids, *other.ids),
        )

    def settled(self) -> Checks:
        """Of the ids only those that there are twice: no more need travel."""
        repeated = np.array(sorted(self._seen().repeated_hashes()), dtype=np.int64)
        return replace(self, ids=(repeated, repeated) if repeated.size else ())

    def require_clean(self, corpus: Corpus) -> None:
        """Raises InputError, as reading ``corpus`` in one piece would, where anything is wrong with it."""
        refused = [problem for number in sorted(self.refused) for problem in self.refused[number]]
        if refused:
            raise InputError(refused)
        where = corpus.where or corpus.shown
        problems = ProblemList(where)
        for number in sorted(self.problems):
            problems.join(self.problems[number])
        with reading(where, f"a corpus file ({ALLOWED})", "unreadable"):
            corpus.check_whole(problems, self._seen())

    def _seen(self) -> SeenIds:
        seen = SeenIds(stable_hash)
        seen.records = self.records
        seen.hashes = list(self.ids)
        return seen


class ShardReader:
    """One pass over one file: its records, and after them what was found to be wrong."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._problems = ProblemList(shard.name)
        self._ids = SeenIds(stable_hash)
        self._refused: tuple[Problem, ...] = ()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The records; nothing is raised."""
        try:
            with reading(self._shard.name, f"a corpus file ({ALLOWED})", "unreadable"):
                yield from self._shard.corpus.checked(self._problems, self._ids, self._shard.told)
        except InputError as error:
            self._refused = error.problems

    def checks(self) -> Checks:
        """What is known once the records have been read."""
        number = self._shard.number
        return Checks(
            records=self._ids.records,
            problems={number: self._problems},
            refused={number: self._refused} if self._refused else {},
            ids=tuple(self._ids.hashes),
        )


def stable_hash(name: str) -> int:
    """The same in every process, as Python's own is not; 8 bytes."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
