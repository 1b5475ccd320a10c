"""Records of numbers: read from every format to the same rows, and every way in which they cannot be read, worded."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import Corpus, open_corpus
from collapse_audit.lineages.corpora.drawn import drawn_from
from collapse_audit.lineages.corpora.readers.fields import Reading
from collapse_audit.lineages.files.door import limits, under


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def lines(path: Path, *records: dict[str, Any]) -> Path:
    return written(path, "".join(json.dumps(record) + "\n" for record in records))


def rows(corpus: Corpus) -> list[tuple[str, list[float]]]:
    return [(row["text"], row["numeric"]) for batch in corpus.batches() for row in batch.to_pylist()]


def found(corpus: Corpus) -> list[tuple[int | None, str, str, str]]:
    with pytest.raises(InputError) as caught:
        list(corpus.batches())
    return [(problem.line, problem.found, problem.expected, problem.slug) for problem in caught.value.problems]


ONE = [("0.5", [0.5]), ("-2.0", [-2.0])]
TWO = [("0.5 1.0", [0.5, 1.0]), ("-2.0 0.0001", [-2.0, 1e-4])]


def test_a_number_or_a_list_of_them_is_read_from_jsonl(tmp_path: Path) -> None:
    assert rows(open_corpus(lines(tmp_path / "a.jsonl", {"numeric": 0.5}, {"numeric": -2}))) == ONE
    both = lines(tmp_path / "b.jsonl", {"numeric": [0.5, 1]}, {"numeric": [-2, 1e-4]})
    assert rows(open_corpus(both)) == TWO
    assert open_corpus(both).width() == 2
    assert open_corpus(both).taken() == ("numeric (2 numbers)", "")


@pytest.mark.parametrize(
    "content",
    ["numeric\n0.5\n-2\n", "id,numeric\n1,0.5\n2,-2\n", "id;numeric\n1;0,5\n2;-2\n", "numeric\n0,5\n-2,0\n"],
)
def test_a_cell_of_csv_is_a_number_with_point_or_decimal_comma(tmp_path: Path, content: str) -> None:
    assert rows(open_corpus(written(tmp_path / "a.csv", content))) == ONE


def test_a_cell_of_csv_may_be_a_list(tmp_path: Path) -> None:
    content = 'numeric\n"[0.5, 1]"\n"[-2, 0.0001]"\n'
    assert rows(open_corpus(written(tmp_path / "a.csv", content))) == TWO


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (pa.float64(), [0.5, -2], ONE),
        (pa.float32(), [0.5, -2], ONE),
        (pa.list_(pa.float64()), [[0.5, 1], [-2, 1e-4]], TWO),
        (pa.list_(pa.float64(), 2), [[0.5, 1], [-2, 1e-4]], TWO),
    ],
)
def test_columns_of_parquet_are_read(tmp_path: Path, kind: pa.DataType, values: list[Any], expected: Any) -> None:
    pq.write_table(pa.table({"numeric": pa.array(values, kind), "other": ["a", "b"]}), tmp_path / "a.parquet")
    assert rows(open_corpus(tmp_path / "a.parquet")) == expected


def test_another_field_is_read_where_it_is_named_also_beside_a_text(tmp_path: Path) -> None:
    reading = Reading(numeric=("score.value",))
    path = lines(tmp_path / "a.jsonl", *({"text": "x", "score": {"value": value}} for value in (0.5, -2)))
    assert rows(open_corpus(path, reading=reading)) == ONE
    assert open_corpus(path, reading=reading).taken() == ("score.value (1 number)", "")
    csv = written(tmp_path / "a.csv", "text,score\nx,0.5\ny,-2\n")
    assert rows(open_corpus(csv, reading=Reading(numeric=("score",)))) == ONE


def test_a_field_of_that_name_beside_a_text_is_none_of_ours(tmp_path: Path) -> None:
    corpus = open_corpus(lines(tmp_path / "a.jsonl", {"text": "a", "numeric": "x"}, {"text": "b", "numeric": 3}))
    assert rows(corpus) == [("a", None), ("b", None)]
    assert corpus.width() == 0


FINITE = "a finite number, or a list of them"
ALL_ALIKE = "texts in all records, or numbers in all"


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ({"numeric": None}, ("numeric null", FINITE, "bad-numeric")),
        ({"numeric": []}, ("numeric [] (array)", FINITE, "bad-numeric")),
        ({"numeric": "0.5"}, ("numeric '0.5' (string)", FINITE, "bad-numeric")),
        ({"numeric": True}, ("numeric true (boolean)", FINITE, "bad-numeric")),
        ({"numeric": math.nan}, ("numeric nan (number)", FINITE, "bad-numeric")),
        ({"numeric": -math.inf}, ("numeric -inf (number)", FINITE, "bad-numeric")),
        ({"numeric": [None]}, ("numeric null", FINITE, "bad-numeric")),
        ({"numeric": [1, 2]}, ("2 numbers in numeric", "1, as in the first record", "numeric-size")),
        ({"text": "a"}, ("a text in a file of numbers", ALL_ALIKE, "numeric-mixed")),
        ({"x": 1}, ('no "text" (keys: "x")', 'a "text"', "missing-text")),
    ],
)
def test_what_is_no_number_is_named_with_its_line(
    tmp_path: Path, record: dict[str, Any], complaint: tuple[str, str, str]
) -> None:
    corpus = open_corpus(lines(tmp_path / "a.jsonl", {"numeric": 1}, record))
    assert (2, *complaint) in found(corpus)


def test_numbers_among_texts_are_refused(tmp_path: Path) -> None:
    corpus = open_corpus(lines(tmp_path / "a.jsonl", {"text": "a"}, {"numeric": 1}))
    assert found(corpus) == [(2, "numbers in a file of texts", ALL_ALIKE, "numeric-mixed")]


def test_a_named_field_that_is_not_there_is_named(tmp_path: Path) -> None:
    corpus = open_corpus(lines(tmp_path / "a.jsonl", {"x": 1}, {"y": 1}), reading=Reading(numeric=("x",)))
    assert found(corpus) == [(2, 'no "x" (keys: "y")', "a number, or a list of them, there", "missing-numeric")]
    both = Reading(text=("x",), numeric=("x",))
    assert found(open_corpus(lines(tmp_path / "b.jsonl", {"x": 1}), reading=both)) == [
        (None, "both --text and --numeric", "one of them", "ambiguous-text")
    ]


def test_more_numbers_than_the_limit_of_columns_are_refused(tmp_path: Path) -> None:
    corpus = open_corpus(lines(tmp_path / "a.jsonl", {"numeric": [1, 2, 3]}))
    with under(type(limits())(columns=2)):
        assert found(corpus) == [
            (
                1,
                "a numeric of 3 numbers",
                "at most 2; set COLLAPSE_AUDIT_LIMITS=columns=NUMBER to read it all the same",
                "limit-exceeded",
            )
        ]
    assert len(rows(corpus)) == 1


def test_the_files_of_a_corpus_hold_equally_many_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "gen_0"
    folder.mkdir()
    for name, value in (("a-00000-of-00002.jsonl", [1, 2]), ("a-00001-of-00002.jsonl", [1, 2, 3])):
        lines(folder / name, {"numeric": value})
    with pytest.raises(InputError) as caught:
        drawn_from(open_corpus(folder), most=0, seed=0, tokens="words")
    assert [problem.found for problem in caught.value.problems] == ["3 numbers in numeric"]
