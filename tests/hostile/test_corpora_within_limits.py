"""What is read of a corpus is bounded: small files that unpack to large ones, long lines, many columns, pipes."""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.corpora.readers import unpacked
from collapse_audit.lineages.corpora.readers.read_parquet import parquet_blocks
from collapse_audit.lineages.files import failures
from collapse_audit.lineages.files.door import VARIABLE, limits_of
from collapse_audit.lineages.files.opening import open_bytes


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets the limits for one test; what any packed file may unpack to is a kilobyte."""

    def choose(setting: str) -> None:
        monkeypatch.setenv(VARIABLE, setting)
        limits_of.cache_clear()

    monkeypatch.setattr(failures, "LET_UNPACK", 1024)
    choose("line=2e6")
    return choose


@pytest.fixture(autouse=True)
def limits_of_before() -> object:
    yield
    limits_of.cache_clear()


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        list(open_corpus(path).batches())
    return str(refused.value)


def zstd(path: Path, data: bytes) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        file.write(data)


PACK = {
    ".gz": lambda path, data: path.write_bytes(gzip.compress(data)),
    ".xz": lambda path, data: path.write_bytes(lzma.compress(data)),
    ".zst": zstd,
}


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".txt", ".csv"])
def test_a_bomb_is_refused_with_its_name_the_limit_and_the_remedy(tmp_path: Path, packing: str, suffix: str) -> None:
    path = tmp_path / f"gen_1{suffix}{packing}"
    PACK[packing](path, b" " * 99_999 + b"\n")  # each packs this more than 200 times smaller
    told = refusal(path)
    assert str(path) in told
    assert f"{path.stat().st_size:,} packed bytes that unpack to" in told
    assert "COLLAPSE_AUDIT_LIMITS=ratio=NUMBER" in told


def test_bytes_that_unpack_to_too_many_are_refused_however_well_they_are_packed(
    tmp_path: Path, small_limits: Callable[[str], None]
) -> None:
    path = tmp_path / "gen_1.txt.gz"
    path.write_bytes(gzip.compress(b"\n".join(os.urandom(16).hex().encode() for _ in range(40_000))))
    small_limits("unpacked=1e6")
    assert "unpack to more bytes than 1,000,000" in refusal(path)


def test_a_user_may_raise_a_limit(tmp_path: Path, small_limits: Callable[[str], None]) -> None:
    path = tmp_path / "gen_1.txt.gz"
    path.write_bytes(gzip.compress(b"a text\n" * 100_000))
    assert "ratio" in refusal(path)
    small_limits("ratio=1e4")
    assert sum(batch.num_rows for batch in open_corpus(path).batches()) == 100_000


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("a.jsonl", b'{"text": "', b'"}\n'), ("a.json", b'[{"text": "', b'"}]'), ("a.csv", b'text,id\n"', b'",1\n')],
)
def test_a_long_line_is_refused_with_its_line(tmp_path: Path, name: str, before: bytes, after: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(before + b"ab cd " * 500_000 + after)
    told = refusal(path)
    assert f"{path}:" in told
    assert "than 2,000,000" in told
    assert "line=NUMBER" in told


def test_the_line_of_a_long_line_is_counted_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"short\n" * 300_000 + b"x" * 3_000_000)
    assert f"{path}:300001: found a line of more bytes" in refusal(path)


def one_text(times: int) -> pa.Array:
    """A text of 100,000 characters in ``times`` rows, held once."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), pa.array(["x" * 100_000]))


def test_a_dictionary_of_parquet_that_unpacks_to_much_is_refused_before_it_does(tmp_path: Path) -> None:
    path = tmp_path / "gen_1.parquet"
    pq.write_table(pa.table({"text": one_text(50_000)}), path)  # 5 GB of rows in some kilobytes
    assert "packed bytes that unpack to" in refusal(path)


def test_the_same_in_a_list_of_messages(tmp_path: Path) -> None:
    path = tmp_path / "gen_1.parquet"
    turns = pa.StructArray.from_arrays([pa.array(["assistant"] * 5000), one_text(5000)], ["role", "content"])
    messages = pa.ListArray.from_arrays(pa.array(range(5001), pa.int32()), turns)
    pq.write_table(pa.table({"messages": messages}), path)
    assert "packed bytes that unpack to" in refusal(path)


def test_rows_are_the_same_however_their_values_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as dictionaries and cut into parts, or read plainly: the same rows."""
    texts = [f"text {number % 7}" for number in range(1000)]
    labels = [[str(number % 3)] for number in range(1000)]
    monkeypatch.setattr(unpacked, "_PART", 5000)
    found = []
    for dictionary in (True, False):
        path = tmp_path / f"{dictionary}.parquet"
        pq.write_table(pa.table({"text": texts, "labels": labels}), path, use_dictionary=dictionary)
        blocks = list(parquet_blocks(path, packing="", block_bytes=1 << 20, fields=frozenset({"text", "labels"})))
        assert len(blocks) > 1
        found.append([record for block in blocks for record in block.records])
    assert found[0] == found[1] == [{"text": text, "labels": label} for text, label in zip(texts, labels, strict=True)]


def test_a_table_of_too_many_columns_is_refused(tmp_path: Path) -> None:
    csv = tmp_path / "a.csv"
    csv.write_text("text," + ",".join(f"c{number}" for number in range(1000)) + "\n")
    assert "more columns than 1,000" in refusal(csv)
    parquet = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a"], **{f"c{number}": [1] for number in range(1000)}}), parquet)
    assert "more columns than 1,000" in refusal(parquet)


def test_records_are_counted(tmp_path: Path, small_limits: Callable[[str], None]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a\n" * 11)
    small_limits("records=10")
    assert "more records than 10" in refusal(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("packing", ["", ".gz"])
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path, packing: str) -> None:
    path = tmp_path / "a.jsonl"
    os.mkfifo(path)
    with pytest.raises(failures.Unreadable) as refused:
        open_bytes(path, packing=packing)
    assert "a device or a pipe" in refused.value.broken.found
