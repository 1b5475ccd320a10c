"""Two small corpora in a folder, and servers over it; no request leaves this machine."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from web import Web, serving

from collapse_audit.lineages.files import door

FILES = 3


def records(seed: int, *, vocabulary: int, each: int = 60) -> list[list[dict[str, str]]]:
    """Documents in several files."""
    rng = random.Random(seed)
    return [
        [
            {"id": f"{file}-{row}", "text": " ".join(f"w{rng.randrange(vocabulary)}" for _ in range(12))}
            for row in range(each)
        ]
        for file in range(FILES)
    ]


def lines(held: list[dict[str, str]]) -> bytes:
    return "".join(f"{json.dumps(record)}\n" for record in held).encode()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``before.jsonl`` and ``after.jsonl``; the same in pieces, in each way that files are written."""
    root = tmp_path_factory.mktemp("served")
    for name, held in (("before", records(1, vocabulary=300)), ("after", records(2, vocabulary=300))):
        together = [record for part in held for record in part]
        (root / f"{name}.jsonl").write_bytes(lines(together))
        (root / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines(together), mtime=0))
        (root / f"{name}.jsonl.zst").write_bytes(pa.compress(lines(together), "zstd", asbytes=True))
        pq.write_table(pa.Table.from_pylist(together), root / f"{name}.parquet")
        for number, part in enumerate(held):
            (root / name).mkdir(exist_ok=True)
            (root / name / f"part-{number}.jsonl").write_bytes(lines(part))
            (root / name / f"part-{number}.jsonl.gz").write_bytes(gzip.compress(lines(part), mtime=0))
            (root / name / f"part-{number}.txt").write_text("\n".join(record["text"] for record in part))
            pq.write_table(pa.Table.from_pylist(part), root / name / f"set-{number:05}-of-{FILES:05}.parquet")
    return root


@pytest.fixture(scope="module")
def module_web(folder: Path) -> Iterator[Web]:
    with serving(folder) as server:
        yield server


@pytest.fixture
def web(module_web: Web) -> Web:
    module_web.asked.clear()
    return module_web


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Lets a test set the limits by the environment."""
    door.limits_of.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    door.limits_of.cache_clear()


@pytest.fixture(scope="module")
def bucket(folder: Path) -> Iterator[str]:
    """The files of the folder in a bucket, under their names."""
    import boto3
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    before = dict(os.environ)
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "geheim",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        client = boto3.client("s3")
        client.create_bucket(Bucket="texts")
        for path in folder.rglob("*"):
            if path.is_file():
                client.upload_file(str(path), "texts", path.relative_to(folder).as_posix())
        yield "s3://texts"
    finally:
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        os.environ.clear()
        os.environ |= before
        server.stop()
