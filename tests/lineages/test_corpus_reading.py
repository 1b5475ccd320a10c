"""What the four formats mean, each also packed, on files written here byte by byte."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import RECORD_SCHEMA, Corpus, open_corpus


def write(path: Path, data: bytes) -> Corpus:
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return open_corpus(path)


def rows(corpus: Corpus) -> list[dict[str, Any]]:
    return [row for batch in corpus.batches() for row in batch.to_pylist()]


def texts(corpus: Corpus) -> list[str]:
    return [row["text"] for row in rows(corpus)]


FULL = {
    "text": "Узел 4 мм",
    "id": "r1",
    "prompt": "p",
    "labels": ["3", "4"],
    "group": "patient 7",
    "nll": 2.5,
    "n_tokens": 3,
    "numeric": None,
    "score": None,
    "embedding": None,
}
BARE = dict.fromkeys(FULL) | {"text": ""}


@pytest.mark.parametrize("gz", ["", ".gz"])
def test_jsonl_gives_every_field_and_null_where_it_is_absent(tmp_path: Path, gz: str) -> None:
    data = json.dumps(FULL, ensure_ascii=False) + "\n" + '{"text": ""}\n'
    assert rows(write(tmp_path / f"a.jsonl{gz}", data.encode())) == [FULL, BARE]


@pytest.mark.parametrize("gz", ["", ".gz"])
def test_a_string_a_line_is_a_text_a_line(tmp_path: Path, gz: str) -> None:
    """As ``json.dumps(text)`` of every text gives it."""
    told = ["Узел", 'two\nlines and a "quote"', ""]
    corpus = write(tmp_path / f"a.jsonl{gz}", "\n".join(map(json.dumps, told)).encode())
    assert texts(corpus) == told


def test_where_the_first_line_is_a_string_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.jsonl:2: found a JSON number \(4\)"):
        texts(write(tmp_path / "a.jsonl", b'"a"\n4\n'))


@pytest.mark.parametrize("end", ["", "\n", "\n\n "])
def test_columns_are_read_as_pandas_writes_them_by_itself(tmp_path: Path, end: str) -> None:
    """``DataFrame({"text": ["a", "b"], "nll": [1.0, 2.5]}).to_json()``."""
    data = '{"text":{"0":"a","1":"b"},"nll":{"0":1.0,"1":2.5}}' + end
    found = rows(write(tmp_path / "a.json", data.encode()))
    assert [(row["text"], row["nll"]) for row in found] == [("a", 1.0), ("b", 2.5)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param('{"text":{"0":"a"},"nll":{"0":1.0,"1":2.5}}', id="columns of other rows"),
        pytest.param('{"text":{"0":"a"},"id":"7"}', id="a record"),
        pytest.param('{"text":{"0":"a"}}\n{"text":{"0":"b"}}', id="a record a line"),
    ],
)
def test_other_objects_of_objects_are_no_columns(tmp_path: Path, data: str) -> None:
    with pytest.raises(InputError, match=r"found text {'0': 'a'} \(object\); expected a string"):
        texts(write(tmp_path / "a.json", data.encode()))


@pytest.mark.parametrize("gz", ["", ".gz"])
def test_csv_gives_every_field_and_null_where_a_cell_is_empty(tmp_path: Path, gz: str) -> None:
    data = 'id,text,prompt,labels,group,nll,n_tokens\nr1,Узел 4 мм,p,"[""3"", ""4""]",patient 7,2.5,3\n,,,,,,\n'
    assert rows(write(tmp_path / f"a.csv{gz}", data.encode())) == [FULL, BARE]


@pytest.mark.parametrize("gz", ["", ".gz"])
def test_parquet_gives_every_field_and_null_where_it_is_null(tmp_path: Path, gz: str) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([FULL, BARE]), sink)
    assert rows(write(tmp_path / f"a.parquet{gz}", sink.getvalue().to_pybytes())) == [FULL, BARE]


@pytest.mark.parametrize("gz", ["", ".gz"])
def test_txt_is_a_document_a_line(tmp_path: Path, gz: str) -> None:
    assert rows(write(tmp_path / f"a.txt{gz}", "Узел 4 мм\n\n".encode())) == [
        dict.fromkeys(FULL) | {"text": t} for t in ("Узел 4 мм", "")
    ]


def test_every_batch_has_the_record_schema(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.txt", b"a\nb\n")
    assert [batch.schema for batch in corpus.batches()] == [RECORD_SCHEMA]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"a\nb\n", ["a", "b"], id="a line end at the end begins no document"),
        pytest.param(b"a\nb", ["a", "b"], id="a last line without its end is a document"),
        pytest.param(b"a\n\nb\n", ["a", "", "b"], id="an empty line is an empty document"),
        pytest.param(b"\n", [""], id="one empty line is one empty document"),
        pytest.param(b"a\n\n\n", ["a", "", ""], id="empty lines at the end are documents"),
        pytest.param(b"a\r\nb\r\n", ["a", "b"], id="CRLF is one line end"),
        pytest.param(b"a\r\n\r\n", ["a", ""], id="an empty CRLF line"),
        pytest.param(b"a\rb\n", ["a\rb"], id="CR alone stays in the text"),
        pytest.param(b"\xef\xbb\xbfa\n", ["a"], id="a byte order mark is no text"),
        pytest.param(b"a\n\xef\xbb\xbfb\n", ["a", "\ufeffb"], id="one further on is"),
        pytest.param("a\u2028b\x0bc\x85d\n".encode(), ["a\u2028b\x0bc\x85d"], id="only LF ends a line"),
        pytest.param(b"  \t \n", ["  \t "], id="white space is kept"),
    ],
)
def test_txt_lines(tmp_path: Path, data: bytes, expected: list[str]) -> None:
    assert texts(write(tmp_path / "a.txt", data)) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'{"text": "a"}\r\n{"text": "b"}\r\n', ["a", "b"], id="CRLF"),
        pytest.param(b'\xef\xbb\xbf{"text": "a"}', ["a"], id="byte order mark, no line end at the end"),
        pytest.param(b'\n{"text": "a"}\n \t\n\n', ["a"], id="blank lines hold no record"),
        pytest.param(b' {"text": "a"} \n', ["a"], id="white space around an object"),
        pytest.param(b'{"text": "\\ud83d\\ude00"}\n', ["😀"], id="an escaped surrogate pair is one character"),
        pytest.param(
            b'{"text": "a", "metadata": {"x": [1, NaN]}, "score": 1e400}', ["a"], id="other fields are not read"
        ),
        pytest.param(b'{"text": "a\\nb\\r\\n"}\n', ["a\nb\r\n"], id="line ends inside a text stay as they are"),
    ],
)
def test_jsonl_lines(tmp_path: Path, data: bytes, expected: list[str]) -> None:
    assert texts(write(tmp_path / "a.jsonl", data)) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'text\n"a\nb"\n"c ""d"", e"\n', ["a\nb", 'c "d", e'], id="quoted line ends, quotes, commas"),
        pytest.param(b"text,id\r\na,1\r\n\r\nb,2\r\n\r\n", ["a", "b"], id="CRLF, and blank lines hold no record"),
        pytest.param(b'text\n""\n', [""], id="a quoted empty text in the only column"),
        pytest.param(b"\xef\xbb\xbftext\na", ["a"], id="byte order mark"),
        pytest.param(b"other,text\n5,a\n", ["a"], id="other columns are not read"),
        pytest.param(b'text\n"a\r\nb"\n', ["a\r\nb"], id="CRLF inside quotes stays"),
    ],
)
def test_csv_rows(tmp_path: Path, data: bytes, expected: list[str]) -> None:
    assert texts(write(tmp_path / "a.csv", data)) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param({}, None, id="no label field"),
        pytest.param({"label": None}, None, id="null says nothing"),
        pytest.param({"labels": []}, [], id="labelled with nothing"),
        pytest.param({"label": "4"}, ["4"], id="one label"),
        pytest.param({"labels": ["3", "4"]}, ["3", "4"], id="several labels"),
        pytest.param({"label": None, "labels": ["3"]}, ["3"], id="a null label beside labels"),
    ],
)
def test_labels(tmp_path: Path, record: dict[str, Any], expected: list[str] | None) -> None:
    corpus = write(tmp_path / "a.jsonl", json.dumps({"text": "t"} | record).encode())
    assert rows(corpus)[0]["labels"] == expected


def test_integer_ids_and_groups_are_written_in_decimal(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.jsonl", b'{"text": "t", "id": 17, "group": 3}\n{"text": "u", "id": "x", "group": "y"}')
    assert [(row["id"], row["group"]) for row in rows(corpus)] == [("17", "3"), ("x", "y")]


def test_whole_numbers_may_be_written_with_a_point_and_numbers_without(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.jsonl", b'{"text": "t", "n_tokens": 12.0, "nll": 3}')
    assert (rows(corpus)[0]["n_tokens"], rows(corpus)[0]["nll"]) == (12, 3.0)


def test_parquet_of_large_strings_and_dictionaries_reads_as_strings(tmp_path: Path) -> None:
    table = pa.table(
        {"text": pa.array(["a", "b"], pa.large_string()), "label": pa.array(["3", "4"]).dictionary_encode()}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    read = rows(open_corpus(tmp_path / "a.parquet"))
    assert [(row["text"], row["labels"]) for row in read] == [("a", ["3"]), ("b", ["4"])]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt", "a.jsonl.gz"])
def test_a_line_of_ten_megabytes_is_read(tmp_path: Path, name: str) -> None:
    long = "слово " * 1_000_000
    assert len(long.encode()) >= 10**7
    lines = {
        "a.jsonl": f'{json.dumps({"text": long}, ensure_ascii=False)}\n{{"text": "b"}}\n',
        "a.csv": f"text\n{long}\nb\n",
        "a.txt": f"{long}\nb\n",
    }
    assert texts(write(tmp_path / name, lines[name.removesuffix(".gz")].encode())) == [long, "b"]


def test_records_longer_than_a_block_and_many_blocks_keep_their_order(tmp_path: Path) -> None:
    written = [f"{i} " + "x" * (i % 7 * 1000) for i in range(2000)]
    data = "".join(json.dumps({"text": text, "id": i}) + "\n" for i, text in enumerate(written))
    corpus = write(tmp_path / "a.jsonl", data.encode())
    batches = list(corpus.batches())
    assert len(batches) > 3
    assert [text for batch in batches for text in batch.column("text").to_pylist()] == written


def test_a_file_four_times_as_long_needs_no_more_memory(tmp_path: Path) -> None:
    def peak(copies: int) -> int:
        corpus = write(tmp_path / "a.jsonl", json.dumps({"text": "x" * 500, "n_tokens": 1}).encode() + b"\n")
        corpus.path.write_bytes(corpus.path.read_bytes() * copies)
        tracemalloc.start()
        try:
            assert sum(batch.num_rows for batch in corpus.batches()) == copies
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    short, long = peak(16_000), peak(64_000)  # 8 and 34 MB
    assert long < short + 2**20


def test_the_parts_of_a_split_file_are_disjoint_and_complete(tmp_path: Path) -> None:
    whole = write(
        tmp_path / "a.jsonl",
        b'{"text": "a", "split": "train"}\n{"text": "b", "split": "holdout"}\n{"text": "c", "split": "train"}\n',
    )
    parts = {
        split: Corpus(path=whole.path, shown=whole.shown, digest=whole.digest, split=split)
        for split in ("train", "holdout")
    }
    assert {split: texts(part) for split, part in parts.items()} == {"train": ["a", "c"], "holdout": ["b"]}


def test_different_ids_with_the_same_hash_are_not_called_the_same(tmp_path: Path) -> None:
    # The hash of a string changes with every run of Python, so no two that are equal can be written down: make all so.
    import collapse_audit.lineages.corpora.corpus as module

    corpus = write(tmp_path / "a.jsonl", b'{"text": "t", "id": "a"}\n{"text": "u", "id": "b"}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "hash", lambda _: 1, raising=False)
        assert texts(corpus) == ["t", "u"]
        again = write(tmp_path / "b.jsonl", b'{"text": "t", "id": "a"}\n{"text": "u", "id": "a"}\n')
        with pytest.raises(InputError, match="the id 'a' again"):
            texts(again)
