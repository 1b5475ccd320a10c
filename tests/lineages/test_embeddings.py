"""Embeddings that records bring: read from every format to the same rows, and every fault worded with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import Corpus, open_corpus
from collapse_audit.lineages.corpora.drawn import drawn_from
from collapse_audit.lineages.corpora.readers.fields import Reading
from collapse_audit.lineages.corpora.readers.records import MOST_DIMENSIONS

NUMBERS = "a list of finite numbers, up to 1e+30; rename the field if it means something else"
ALL_OR_NONE = "an embedding in every record of the corpus, or in none"
TWO = [[0.5, -1.0], [0.0, 3.0]]


def lines(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def embeddings(corpus: Corpus) -> list[list[float] | None]:
    return [row["embedding"] for batch in corpus.batches() for row in batch.to_pylist()]


def found(corpus: Corpus) -> list[tuple[int | None, str, str, str]]:
    with pytest.raises(InputError) as caught:
        list(corpus.batches())
    return [(problem.line, problem.found, problem.expected, problem.slug) for problem in caught.value.problems]


def test_they_are_read_from_jsonl_csv_and_parquet(tmp_path: Path) -> None:
    records = [{"text": f"t{k}", "embedding": row} for k, row in enumerate(TWO)]
    assert embeddings(open_corpus(lines(tmp_path / "a.jsonl", *records))) == TWO
    (tmp_path / "a.csv").write_text('text,embedding\na,"[0.5, -1]"\nb,"[0, 3.0]"\n', encoding="utf-8")
    assert embeddings(open_corpus(tmp_path / "a.csv")) == TWO
    for number, kind in enumerate((pa.list_(pa.float32()), pa.list_(pa.float64(), 2), pa.large_list(pa.float64()))):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"text": ["a", "b"], "embedding": pa.array(TWO, kind), "other": [1, 2]}), path)
        assert embeddings(open_corpus(path)) == TWO


@pytest.mark.parametrize("path", ["response.vector", "vector", "embedding"])
def test_another_field_is_read_where_it_is_named(tmp_path: Path, path: str) -> None:
    record: dict[str, Any] = {"text": "a"}
    outer, _, inner = path.partition(".")
    record[outer] = {inner: TWO[0]} if inner else TWO[0]
    corpus = open_corpus(lines(tmp_path / "a.jsonl", record), reading=Reading(embedding=(path,)))
    assert embeddings(corpus) == TWO[:1]


def test_a_record_of_several_texts_has_an_embedding_of_each(tmp_path: Path) -> None:
    good = {"prompt": "p", "outputs": ["a", "b"], "embedding": TWO}
    assert embeddings(open_corpus(lines(tmp_path / "a.jsonl", good))) == TWO
    for shared in (TWO[0], TWO[:1], [1.0, 2.0, 3.0]):
        bad = lines(tmp_path / "b.jsonl", {**good, "embedding": shared})
        assert found(open_corpus(bad)) == [
            (
                1,
                "2 texts, and an embedding that is no list of 2 lists of numbers",
                "an embedding of each text",
                "bad-embedding",
            )
        ]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("[1, 2]", "embedding '[1, 2]' (string)"),
        ([], "embedding [] (array)"),
        ({"0": 1.0}, "embedding {'0': 1.0} (object)"),
        ([1.0, float("nan")], "nan (number) at place 2 of an embedding"),
        ([1.0, True], "true (boolean) at place 2 of an embedding"),
        ([None, 1.0], "null (null) at place 1 of an embedding"),
        ([1.0, 1.1e30], "1.1e+30 (number) at place 2 of an embedding"),
        ([[1.0]], "[1.0] (array) at place 1 of an embedding"),
    ],
)
def test_what_is_no_list_of_finite_numbers_is_refused(tmp_path: Path, value: Any, says: str) -> None:
    corpus = open_corpus(lines(tmp_path / "a.jsonl", {"text": "a", "embedding": value}))
    assert found(corpus) == [(1, says, NUMBERS, "bad-embedding")]


def test_one_too_long_is_refused(tmp_path: Path) -> None:
    corpus = open_corpus(lines(tmp_path / "a.jsonl", {"text": "a", "embedding": [0] * (MOST_DIMENSIONS + 1)}))
    assert found(corpus) == [(1, "an embedding of 65,537 numbers", "at most 65,536", "bad-embedding")]


def test_all_records_have_one_or_none_has_and_all_are_as_long(tmp_path: Path) -> None:
    with_one, without = {"text": "a", "embedding": TWO[0]}, {"text": "b"}
    corpus = open_corpus(lines(tmp_path / "a.jsonl", with_one, without, {"text": "c", "embedding": None}))
    missing = "a record without an embedding"
    assert found(corpus) == [
        (2, f"{missing}, and 1 more like it (line 3)", ALL_OR_NONE, "embedding-incomplete"),
    ]
    corpus = open_corpus(lines(tmp_path / "b.jsonl", without, with_one))
    assert found(corpus) == [(2, "a record with an embedding", ALL_OR_NONE, "embedding-incomplete")]
    corpus = open_corpus(lines(tmp_path / "c.jsonl", with_one, {"text": "c", "embedding": [1, 2, 3]}))
    assert found(corpus) == [(2, "an embedding of 3 numbers", "2, as in the first record", "embedding-size")]


def test_a_later_block_and_a_later_file_are_held_to_the_first_record(tmp_path: Path) -> None:
    many = [{"text": "x" * 2_000, "embedding": TWO[0]}] * 3_000
    corpus = open_corpus(lines(tmp_path / "a.jsonl", *many, {"text": "b"}))
    assert [line for line, *_ in found(corpus)] == [3_001]
    folder = tmp_path / "parts"
    folder.mkdir()
    lines(folder / "part-0.jsonl", {"text": "a", "embedding": TWO[0]})
    lines(folder / "part-1.jsonl", {"text": "b"})
    with pytest.raises(InputError, match=r"part-1\.jsonl:1: found a record without an embedding"):
        drawn_from(open_corpus(folder), most=0, seed=0, tokens="words")


def test_the_draw_keeps_them_beside_their_texts(tmp_path: Path) -> None:
    records = [{"text": f"t{k}", "embedding": [k, -k]} for k in range(50)]
    table = drawn_from(open_corpus(lines(tmp_path / "a.jsonl", *records)), most=10, seed=0, tokens="words").draw.table
    assert table["embedding"].to_pylist() == [[float(t[1:]), -float(t[1:])] for t in table["text"].to_pylist()]


def test_arrays_of_numpy_are_read_from_memory() -> None:
    from collapse_audit.lineages.corpora.memory import in_memory

    records = [{"text": "a", "embedding": np.array([0.5, 1.0], dtype=np.float32)}]
    block = next(in_memory(records, what="before").blocks())
    assert block.records == [{"text": "a", "embedding": [0.5, 1.0]}]


def scores(corpus: Corpus) -> list[float | None]:
    return [row["score"] for batch in corpus.batches() for row in batch.to_pylist()]


def test_a_score_is_a_number_or_a_truth_value_and_anything_else_of_that_name_is_not_read(tmp_path: Path) -> None:
    values: list[Any] = [0, 1.5, True, False, None, "A", [1], float("nan")]
    corpus = open_corpus(lines(tmp_path / "a.jsonl", *({"text": "a", "score": value} for value in values)))
    assert scores(corpus) == [0.0, 1.5, 1.0, 0.0, None, None, None, None]
    (tmp_path / "a.csv").write_text("text,score\na,0.5\nb,true\nc,False\nd,\n", encoding="utf-8")
    assert scores(open_corpus(tmp_path / "a.csv")) == [0.5, 1.0, 0.0, None]


def test_a_field_that_is_named_for_scores_holds_some(tmp_path: Path) -> None:
    reading = Reading(score=("grade.correct",))
    good = lines(tmp_path / "a.jsonl", {"text": "a", "grade": {"correct": True}}, {"text": "b", "grade": {}})
    assert scores(open_corpus(good, reading=reading)) == [1.0, None]
    bad = lines(tmp_path / "b.jsonl", {"text": "a", "grade": {"correct": "yes"}})
    expected = (1, "the score 'yes'", "a number, true or false, or null", "bad-score")
    assert found(open_corpus(bad, reading=reading)) == [expected]


def test_a_record_of_several_texts_has_a_score_of_each(tmp_path: Path) -> None:
    reading = Reading(score=("grades",))
    good = lines(tmp_path / "a.jsonl", {"prompt": "p", "outputs": ["a", "b"], "grades": [True, False]})
    assert scores(open_corpus(good, reading=reading)) == [1.0, 0.0]
    bad = lines(tmp_path / "b.jsonl", {"prompt": "p", "outputs": ["a", "b"], "grades": [True]})
    said = (1, "2 texts, and a score that is no list of 2 scores", "a score of each text", "bad-score")
    assert found(open_corpus(bad, reading=reading)) == [said]
