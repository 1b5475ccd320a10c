"""Workers read files where they lie, wherever that is, to the same report as one process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import distributed
import pytest
from web import Web

from collapse_audit import audit
from collapse_audit.engines.engine import Engine
from collapse_audit.engines.on_dask import Dask, local_cluster
from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.named import open_named
from collapse_audit.reports.as_json import render

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def two(bucket: str) -> Iterator[distributed.Client]:  # noqa: ARG001 - workers have the environment of their start
    with local_cluster(2) as started, distributed.Client(started, set_as_default=False) as client:
        yield client


def report(sides: list[str], engine: str | Engine) -> str:
    data = json.loads(render(audit(generations=sides, engine=engine, max_documents=100, independent=True)))
    for finding in data["findings"]:
        del finding["seconds"]
    del data["environment"]
    return json.dumps(data)


@pytest.mark.parametrize("pattern", ["*.jsonl", "*.jsonl.gz", "set-*.parquet", "set-00000-of-00003.parquet"])
def test_objects_and_patterns_are_read_by_workers_to_the_same_bytes(
    bucket: str, folder: Path, two: distributed.Client, pattern: str
) -> None:
    for where in (bucket, str(folder)) if pattern == "*.jsonl.gz" else (bucket,):
        sides = [f"{where}/{name}/{pattern}" for name in ("before", "after")]
        here = report(sides, "local")
        assert "100 of 180 documents were drawn at random" in here
        assert report(sides, Dask(client=two)) == here


def test_a_corpus_has_one_digest_wherever_it_lies(bucket: str, folder: Path, two: distributed.Client) -> None:
    there, here = (open_named(f"{where}/before/*.jsonl", engine=Dask(client=two)) for where in (bucket, str(folder)))
    assert there.digest == here.digest


def test_what_a_worker_cannot_fetch_is_named_as_in_one_process(web: Web, two: distributed.Client) -> None:
    sides = [f"{web.url}/plain/{name}.jsonl?sig=geheim" for name in ("before", "nothing")]
    told = []
    for engine in ("local", Dask(client=two)):
        with pytest.raises(InputError) as refused:
            report(sides, engine)
        told.append(str(refused.value))
    assert told[0] == told[1]
    assert "nothing.jsonl: found no file there" in told[0]
    assert "geheim" not in told[0]


def test_what_changes_while_workers_read_it_is_refused(web: Web, two: distributed.Client) -> None:
    sides = [f"{web.url}/{how}/before.jsonl" for how in ("plain", "twice")]
    with pytest.raises(InputError, match="remote-changed"):
        report(sides, Dask(client=two))
