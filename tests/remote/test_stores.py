"""Object stores and hubs: moto's server for s3://, small servers of our own for hf:// and gs://."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collapse_audit import audit
from collapse_audit.cli import main
from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.named import open_named

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto.server")
pytest.importorskip("s3fs")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def bucket(folder: Path) -> Iterator[str]:
    """The files of the folder in a bucket, under their names."""
    import fsspec

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
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


def read(name: str) -> list[Any]:
    return [record for batch in open_named(name).batches() for record in batch.to_pylist()]


@pytest.mark.parametrize("file", ["before.jsonl", "before.jsonl.gz", "before.parquet"])
def test_an_object_is_the_file_on_disk(bucket: str, folder: Path, file: str) -> None:
    assert open_named(f"{bucket}/{file}").digest == open_named(folder / file).digest
    assert read(f"{bucket}/{file}") == read(str(folder / file))


@pytest.mark.parametrize("pattern", ["before/*.jsonl", "before/part-?.jsonl.gz", "before/set-*.parquet"])
def test_a_pattern_of_objects_is_the_pattern_of_files(bucket: str, folder: Path, pattern: str) -> None:
    here, there = open_named(f"{folder}/{pattern}"), open_named(f"{bucket}/{pattern}")
    assert there.digest == here.digest
    assert there.files is not None
    assert there.files.names[0].startswith(f"{bucket}/before/")
    assert read(f"{bucket}/{pattern}") == read(f"{folder}/{pattern}")


def test_the_first_of_a_set_of_shards_is_the_set(bucket: str, folder: Path) -> None:
    first = "before/set-00000-of-00003.parquet"
    assert read(f"{bucket}/{first}") == read(str(folder / first))
    assert len(read(f"{bucket}/{first}")) == 180


def test_the_command_judges_objects(bucket: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = [f"{where}/before/*.jsonl" for where in (bucket, folder)]
    assert main([*sides, "--no-progress"]) in (0, 1, 6)
    assert "integrity" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("nothing.jsonl", "missing-file"),
        ("before/none-*.jsonl", "no-match"),
        ("before", "unknown-format"),
        ("before/set-00000-of-00009.parquet", "missing-file"),
    ],
)
def test_what_is_not_in_a_bucket_is_one_message_each(bucket: str, name: str, slug: str) -> None:
    with pytest.raises(InputError) as refused:
        open_named(f"{bucket}/{name}")
    assert {problem.slug for problem in refused.value.problems} == {slug}
    assert refused.value.problems[0].where.startswith(f"{bucket}/before" if "before" in name else bucket)


def test_a_bucket_that_is_not_there_is_refused(bucket: str) -> None:
    with pytest.raises(InputError, match=r"s3://nowhere/a.jsonl: found "):
        open_named(f"{bucket.replace('texts', 'nowhere')}/a.jsonl")


def test_without_credentials_it_is_said_where_they_are_looked_for(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import fsspec

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    try:
        with pytest.raises(InputError, match="FSSPEC_S3_ANON"):
            open_named(f"{bucket}/before.jsonl")
    finally:
        fsspec.get_filesystem_class("s3").clear_instance_cache()
