"""Small clusters on this machine, corpora of several files, and readers that die."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import distributed
import pyarrow as pa
import pyarrow.parquet as pq

from collapse_audit.engines.on_dask import Dask, local_cluster
from collapse_audit.reports.as_json import render
from collapse_audit.reports.document import AuditReport


@contextmanager
def cluster(workers: int) -> Iterator[distributed.Client]:
    """So many processes."""
    with (
        local_cluster(workers) as started,
        distributed.Client(started, set_as_default=False) as client,
    ):
        yield client


def bytes_of(report: AuditReport) -> str:
    """The report as it is written, less seconds and environment."""
    data = json.loads(render(report))
    for finding in data["findings"]:
        del finding["seconds"]
    del data["environment"]
    return json.dumps(data)


def write_shards(folder: Path, shards: Sequence[Sequence[Mapping[str, Any]]]) -> Path:
    """A corpus whose files are ``part-000.jsonl`` and so on, in a folder of its own."""
    folder.mkdir(parents=True)
    for number, records in enumerate(shards):
        lines = "".join(f"{json.dumps(record)}\n" for record in records)
        (folder / f"part-{number:03}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def write_packed(folder: Path, shards: Sequence[Sequence[Mapping[str, Any]]]) -> Path:
    """The same records as ``part-000.jsonl.gz`` and so on."""
    folder.mkdir(parents=True)
    for number, records in enumerate(shards):
        lines = "".join(f"{json.dumps(record)}\n" for record in records).encode()
        (folder / f"part-{number:03}.jsonl.gz").write_bytes(gzip.compress(lines, mtime=0))
    return folder


def write_parquet(folder: Path, shards: Sequence[Sequence[Mapping[str, Any]]]) -> Path:
    """The same records as ``part-00000-of-00004.parquet`` and so on."""
    folder.mkdir(parents=True)
    for number, records in enumerate(shards):
        pq.write_table(pa.Table.from_pylist(list(records)), folder / f"part-{number:05}-of-{len(shards):05}.parquet")
    return folder


class Dying(Dask):
    """An engine of which a worker is killed ``times`` times in all: while it reads the third file of a corpus, or while
    it measures a comparison."""

    def __init__(self, client: distributed.Client, marks: Path, *, times: int, reading: bool = True) -> None:
        super().__init__(client=client)
        marks.mkdir()
        self._marks, self._times, self._reading = str(marks), times, reading

    def fold(self, items: Any, read: Any, merge: Any, finish: Any, *, called: Any) -> Any:
        deadly = partial(killed_while_reading, read, self._marks, self._times) if self._reading else read
        return super().fold(items, deadly, merge, finish, called=called)

    def each(self, items: Any, do: Any, tell: Any, *, called: Any) -> Any:
        deadly = do if self._reading else partial(killed_while_measuring, do, self._marks, self._times)
        return super().each(items, deadly, tell, called=called)


def killed_while_reading(read: Callable[[Any], Any], marks: str, times: int, shard: Any) -> Any:
    """Read a file, or be killed as by the system when memory runs out."""
    if shard.number == 2:
        killed(marks, times)
    return read(shard)


def killed_while_measuring(do: Callable[[Any, Any], Any], marks: str, times: int, question: Any, tell: Any) -> Any:
    """Measure a comparison, or be killed."""
    killed(marks, times)
    return do(question, tell)


def killed(marks: str, times: int) -> None:
    """End this process as the system does, unless that has been done ``times`` times."""
    before = len(list(Path(marks).iterdir()))
    if before < times:
        Path(marks, str(before)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
