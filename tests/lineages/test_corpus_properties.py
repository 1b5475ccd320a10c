"""Round trips through every format, and the fast check held against the exact one, on whatever hypothesis thinks of."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.corpora.readers.columns import RECORD_SCHEMA, NotClean, to_batch
from collapse_audit.lineages.corpora.readers.records import check_record
from collapse_audit.lineages.disk.write import write_corpus

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NAME = TEXT.filter(bool)  # an empty cell of a CSV file says nothing, so that names are not empty here
RECORD = st.fixed_dictionaries(
    {"text": TEXT},
    optional={
        "prompt": NAME,
        "labels": st.lists(NAME, max_size=3),
        "group": NAME,
        "nll": st.floats(0, 1e70),
        "n_tokens": st.integers(0, 2**63 - 1),
    },
)


@st.composite
def corpora(draw: st.DrawFn) -> list[dict[str, Any]]:
    records = draw(st.lists(RECORD, min_size=1, max_size=12))
    ids = draw(st.lists(NAME, min_size=len(records), max_size=len(records), unique=True))
    return [
        record | {"id": name} if index % 3 else record
        for index, (record, name) in enumerate(zip(records, ids, strict=True))
    ]


def full(record: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(RECORD_SCHEMA.names) | record


def read(path: Path) -> list[dict[str, Any]]:
    return [row for batch in open_corpus(path).batches() for row in batch.to_pylist()]


def as_csv(records: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(RECORD_SCHEMA.names)
    for record in map(full, records):
        record["labels"] = None if record["labels"] is None else json.dumps(record["labels"])
        record["nll"] = None if record["nll"] is None else repr(record["nll"])
        writer.writerow(["" if record[name] is None else record[name] for name in RECORD_SCHEMA.names])
    return out.getvalue().encode()


def as_parquet(records: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([full(record) for record in records], schema=RECORD_SCHEMA), sink)
    return bytes(sink.getvalue().to_pybytes())


@settings(deadline=None)
@given(corpora(), st.sampled_from([".csv", ".parquet", ".jsonl"]), st.booleans())
def test_what_is_written_is_read_in_every_format(records: list[dict[str, Any]], suffix: str, packed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}{'.gz' if packed else ''}"
        if suffix == ".jsonl":
            write_corpus(path, records)
        else:
            data = as_csv(records) if suffix == ".csv" else as_parquet(records)
            path.write_bytes(gzip.compress(data) if packed else data)
        assert read(path) == [full(record) for record in records]


@settings(deadline=None)
@given(st.lists(TEXT.filter(lambda text: "\n" not in text and not text.endswith("\r")), min_size=1), st.booleans())
def test_lines_of_text_are_documents(texts: list[str], packed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.txt.gz" if packed else "a.txt")
        data = "".join(text + "\n" for text in texts).encode()
        path.write_bytes(gzip.compress(data) if packed else data)
        if data.startswith(b"\xef\xbb\xbf"):
            texts = [texts[0][1:], *texts[1:]]
        assert [row["text"] for row in read(path)] == texts


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(["", "a\0", "\ud800", "train", "3", 2**1024, -(2**1030), 1e308, -1e-7, -1e-5, float(2**63), 5.0]),
    st.lists(st.one_of(st.text(max_size=2), st.integers(), st.none(), st.just("\ud800")), max_size=2),
    st.lists(st.one_of(st.integers(), st.floats(), st.sampled_from([True, 2**1024, 1e30, -1.1e30])), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
FIELDS = ["text", "id", "prompt", "label", "labels", "group", "nll", "n_tokens", "score", "embedding", "split", "other"]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.fixed_dictionaries({"text": st.just("t")}, optional=dict.fromkeys(FIELDS[1:], ANYTHING)),
            st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=4),
            ANYTHING,
        ),
        max_size=3,
    ),
    st.sampled_from([None, frozenset({"3", "4"})]),
)
def test_the_fast_check_refuses_a_block_exactly_where_the_exact_check_complains(
    records: list[Any], classes: frozenset[str] | None
) -> None:
    complaints = [complaint for record in records for complaint in check_record(record, classes=classes)]
    try:
        batch = to_batch(records, classes=classes)
    except NotClean:
        assert complaints
    else:
        assert not complaints
        assert batch.column("text").to_pylist() == [record["text"] for record in records]
        assert batch.schema == RECORD_SCHEMA


def read_or_refusal(path: Path) -> tuple[list[dict[str, Any]], str]:
    try:
        return read(path), ""
    except InputError as error:
        return [], str(error)


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([".jsonl", ".csv", ".txt", ".parquet", ".jsonl.gz", ".parquet.gz"]))
def test_no_bytes_whatever_crash_the_reader(data: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(data)
        rows, refusal = read_or_refusal(path)
        assert bool(rows) != bool(refusal)
        assert refusal.replace("\n", "").isprintable()


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_good_file_with_one_byte_changed_is_read_or_refused(suffix: str, data: st.DataObject) -> None:
    records = [{"text": "Узел, 4 мм", "id": "a", "nll": 1.5}, {"text": 'в/3 "x"', "id": "b", "n_tokens": 4}]
    good = (
        as_csv(records)
        if suffix == ".csv"
        else "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()
    )
    position = data.draw(st.integers(0, len(good) - 1))
    bad = good[:position] + bytes([data.draw(st.integers(0, 255))]) + good[position + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(bad)
        rows, refusal = read_or_refusal(path)
        assert bool(rows) != bool(refusal)
