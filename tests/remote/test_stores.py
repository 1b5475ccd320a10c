"""Object stores and hubs: moto's server for s3://, small servers of our own for hf:// and gs://."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hubs import hub, storage

from collapse_audit.cli import main
from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.named import open_named

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


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


READ = """
import json, sys
from collapse_audit.lineages.corpora.named import open_named
for name in sys.argv[1:]:
    corpus = open_named(name)
    print(json.dumps([corpus.digest, sum(len(batch) for batch in corpus.batches())]))
"""


def read_elsewhere(names: list[str], **environment: str) -> list[Any]:
    """Digest and number of records of each corpus, as a process of its own finds them: libraries read their
    environment when they are imported."""
    done = subprocess.run(
        [sys.executable, "-c", READ, *names],
        env={**os.environ, "no_proxy": "127.0.0.1", "HF_HUB_OFFLINE": "0", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


FILES = ("before.jsonl", "before.parquet", "before/*.jsonl.gz", "before/set-00000-of-00003.parquet")


def here(folder: Path) -> list[Any]:
    return [[open_named(f"{folder}/{name}").digest, 180] for name in FILES]


def test_a_data_set_on_a_hub_is_the_folder_on_disk(folder: Path) -> None:
    with hub(folder) as server:
        names = [f"hf://datasets/somebody/texts/{name}" for name in FILES]
        told = read_elsewhere(names, HF_ENDPOINT=server.url, HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_XET="1")
    assert told == here(folder)


def test_a_bucket_of_google_is_the_folder_on_disk(folder: Path) -> None:
    with storage(folder) as server:
        names = [f"gs://texts/{name}" for name in FILES]
        options = {"STORAGE_EMULATOR_HOST": server.url, "FSSPEC_GS_TOKEN": "anon"}
        told = read_elsewhere(names, **options, GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT="false")
    assert told == here(folder)
