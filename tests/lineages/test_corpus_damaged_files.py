"""Damaged gzip, Parquet and disks; and Parquet rows that are wrong in the ways of any record."""

from __future__ import annotations

import errno
import gzip
import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import open_corpus

Complaint = tuple[int | None, str, str, str]
"""Line, what was found, what was expected, slug."""


def complaints(path: Path) -> list[Complaint]:
    """What reading the file to its end says."""
    with pytest.raises(InputError) as caught:
        list(open_corpus(path).batches())
    assert {problem.where for problem in caught.value.problems} == {str(path)}
    return [(problem.line, problem.found, problem.expected, problem.slug) for problem in caught.value.problems]


def found(path: Path) -> list[tuple[int | None, str]]:
    return [(line, what) for line, what, _, _ in complaints(path)]


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(b'{"text": "%d %s"}\n' % (i, os.urandom(500).hex().encode()) for i in range(4000)))
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError) as caught:
        list(open_corpus(path).batches())
    assert [(p.found, p.expected, p.slug) for p in caught.value.problems] == [
        ("a gzip file that ends too early", "the whole file; write it again", "gzip-truncated")
    ]
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 0xFF
    path.write_bytes(bytes(flipped))
    with pytest.raises(InputError, match=r"gzip-broken|broken-json|bad-utf8"):
        list(open_corpus(path).batches())
    path.write_bytes(b'{"text": "a"}\n')
    assert complaints(path) == [
        (None, "broken gzip (Not a gzipped file (b'{\"'))", "gzip data, as its name says", "gzip-broken")
    ]


def test_gzip_with_damaged_insides_is_named(tmp_path: Path) -> None:
    # RFC 1951, 3.2.3: the first block of the data has the reserved type 3 (its three lowest bits are all 1).
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"")[:10] + b"\xff" * 50)
    assert complaints(tmp_path / "a.txt.gz") == [
        (
            None,
            "broken gzip (Error -3 while decompressing data: invalid block type)",
            "an undamaged gzip file",
            "gzip-broken",
        )
    ]


def test_rows_before_the_damage_of_a_packed_csv_are_judged_too(tmp_path: Path) -> None:
    # Random rows, because they stay long when packed: the damage must lie beyond the first block, and some rows of the
    # last block that can be read must still wait to be judged when it is met.
    rows = "".join(f"{os.urandom(30).hex()},{'x' if row in (0, 12_345) else 1}\n" for row in range(60_000))
    packed = gzip.compress(b"text,nll\n" + rows.encode())
    (tmp_path / "a.csv.gz").write_bytes(packed[: len(packed) * 2 // 3])
    assert found(tmp_path / "a.csv.gz") == [
        (2, "nll 'x' (string), and 1 more like it (line 12347)"),
        (None, "a gzip file that ends too early"),
    ]


def test_a_disk_that_fails_while_reading_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "a.txt").write_bytes(b"a")
    corpus = open_corpus(tmp_path / "a.txt")
    monkeypatch.setattr("collapse_audit.lineages.corpora.readers.blocks.open_bytes", lambda *_, **__: Failing())
    with pytest.raises(InputError) as caught:
        list(corpus.batches())
    assert [(problem.found, problem.slug) for problem in caught.value.problems] == [
        ("a file that cannot be read (Input/output error)", "unreadable")
    ]


def test_damaged_parquet_is_one_problem(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for data in (b"PAR1 this is not it PAR1", b"", b"PAR1"):
        path.write_bytes(data)
        ((line, what, expected, slug),) = complaints(path)
        assert what.startswith("a damaged Parquet file (")
        assert (line, expected, slug) == (None, "a Parquet file", "broken-parquet")


def test_parquet_rows_are_judged_like_any_record(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", None, "b"], "label": [3, 4, None], "nll": [float("nan"), 1.0, None]}), path)
    assert found(path) == [(1, "label 3 (number)"), (1, "nll NaN"), (2, "text null"), (2, "label 4 (number)")]
    pq.write_table(pa.table({"content": ["a"]}), path)
    assert complaints(path) == [
        (None, 'no "text" (columns: "content")', 'a "text", or the name of what is one: --text content', "missing-text")
    ]
    pq.write_table(pa.table({"text": pa.array([b"a"], pa.binary())}), path)
    assert complaints(path) == [(1, "text b'a' (bytes)", "a string", "bad-text")]
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    assert complaints(path) == [(None, "no record", "at least one record", "no-record")]


def test_parquet_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), path)
    assert complaints(path) == [(None, 'two columns named "text"', "each column once", "duplicate-column")]


def test_parquet_with_bad_utf8_names_the_row(tmp_path: Path) -> None:
    raw = pa.array([b"ok", b"\xff\xfe", b"fine"], pa.binary())
    as_text = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])  # arrow does not check
    pq.write_table(pa.table({"text": as_text}), tmp_path / "a.parquet")
    assert complaints(tmp_path / "a.parquet") == [(2, "bad UTF-8 (byte 0xff)", "UTF-8 text", "bad-utf8")]
