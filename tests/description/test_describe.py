"""What describe says, against corpora of which it is known, and in every form in which it says it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from collapse_audit.errors import UsageError
from collapse_audit.lineage_cli import main
from collapse_audit.lineages.description.describe import describe, lengths
from collapse_audit.lineages.description.sentiment import sentiment
from collapse_audit.lineages.description.source import read_source
from collapse_audit.lineages.description.words import common_ngrams, topics
from collapse_audit.reports.describe_html import render


def corpus(path: Path, texts: Sequence[str], **fields: Sequence[Any]) -> Path:
    records = [{"text": text, **{name: column[at] for name, column in fields.items()}} for at, text in enumerate(texts)]
    path.write_text("".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records), "utf-8")
    return path


def test_lengths_are_those_of_a_hand_calculation() -> None:
    found = lengths([1, 2, 3, 6])
    assert found is not None
    assert (found["mean"], found["max"]) == (3, 6)
    assert found["sd"] == pytest.approx(3.5**0.5)  # (4 + 1 + 0 + 9) / 4
    assert found["quantiles"]["0.5"] == 2.5
    assert found["histogram"] == {"edges": [0, 1, 2, 3, 4, 5, 6, 7], "counts": [0, 1, 1, 1, 0, 0, 1]}
    assert lengths([]) is None


@pytest.mark.parametrize("longest", [0, 1, 23, 24, 25, 218, 5000])
def test_every_text_is_in_one_bin_and_every_bin_holds_as_many_lengths(longest: int) -> None:
    found = lengths(list(range(longest + 1)))
    assert found is not None
    counts, edges = found["histogram"]["counts"], found["histogram"]["edges"]
    assert sum(counts) == longest + 1
    assert len(counts) <= 25
    assert len(set(counts[:-1])) <= 1
    assert len(set(np.diff(edges))) == 1


def test_ngrams_are_counted_in_all_and_by_text_and_rare_ones_are_not_shown() -> None:
    texts = ["красный узел и красный узел"] * 3 + ["красный узел"] * 2 + ["редкое имя"] * 4
    assert common_ngrams(texts, 1) == [
        {"words": "красный", "count": 8, "texts": 5},
        {"words": "узел", "count": 8, "texts": 5},
    ]
    assert common_ngrams(texts, 2) == [{"words": "красный узел", "count": 8, "texts": 5}]
    assert common_ngrams(texts[:4], 1) == []


def test_topics_are_the_planted_ones() -> None:
    """Five vocabularies, no text mixes them: each topic's words are of one, its share is the share of its texts."""
    rng = np.random.default_rng(0)
    subjects = [[f"{name}{letter}" for letter in "абвгдежз"] for name in ("кот", "пёс", "дом", "сад", "лес")]
    drawn = [0] * 160 + [1] * 80 + [2] * 60 + [3] * 60 + [4] * 40
    found = topics([" ".join(rng.choice(subjects[subject], 30)) for subject in drawn], seed=0)["topics"]
    words = [{word[:3] for word in one["words"]} for one in found]
    assert words[:2] == [{"кот"}, {"пёс"}]
    assert all(len(each) == 1 for each in words)
    assert [one["share"] for one in found] == pytest.approx([0.4, 0.2, 0.15, 0.15, 0.1], abs=0.02)


def test_topics_of_too_few_texts_are_not_measured_and_say_so() -> None:
    assert topics(["одно слово"] * 8, seed=0) == {
        "reason": "8 texts with 2 words that five of them hold; topics need 50 and 10"
    }


def test_sentiment_is_vaders_own_score_of_english() -> None:
    """VADER: s / sqrt(s^2 + 15) of the sum s of its lexicon's scores; good is 1.9, bad -2.5."""
    found = sentiment(["good", "bad", "table"])
    assert found["mean"] == pytest.approx((1.9 / (1.9**2 + 15) ** 0.5 - 2.5 / (2.5**2 + 15) ** 0.5) / 3, abs=1e-4)
    assert (found["positive"], found["negative"]) == pytest.approx((1 / 3, 1 / 3))


def test_sentiment_is_not_given_of_russian_nor_of_nothing() -> None:
    found = sentiment(["Эхографические признаки узлового зоба (EU-TIRADS 3)."])
    assert "mean" not in found
    assert found["reason"].startswith("not meaningful for this language: VADER's lexicon is English, and knows 0.00%")
    assert sentiment(["12", ""]) == {"reason": "no word"}
    assert "mean" not in sentiment(["lorem ipsum dolor sit amet consectetur"])


def test_labels_are_counted_a_text_and_in_all(tmp_path: Path) -> None:
    texts = ["EU-TIRADS 3", "EU-TIRADS 3-4", "без", "TIRADS 5"]
    labels = describe(read_source(corpus(tmp_path / "a.jsonl", texts)))["labels"]
    assert labels["counts"] == {"EU-TIRADS 3": 2, "EU-TIRADS 4": 1, "EU-TIRADS 5": 1}
    assert (labels["occurrences"], labels["without"]) == (4, 1)
    assert labels["labels_a_text"] == {"0": 1, "1": 2, "2": 1}
    field = corpus(tmp_path / "b.jsonl", ["a", "b"], label=["x", None])
    assert describe(read_source(field))["labels"]["counts"] == {"x": 1}
    both = corpus(tmp_path / "d.jsonl", ["EU-TIRADS 3", "EU-TIRADS 4"], label=["EU-TIRADS 5", None])
    assert describe(read_source(both))["labels"]["counts"] == {"EU-TIRADS 5": 1}  # the field, as in an audit
    assert describe(read_source(corpus(tmp_path / "c.jsonl", ["a", "b"])))["labels"]["rule"] == "none"


def test_gaps_are_those_of_the_table_and_broken_rows_are_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,age,sex\na,1,\nb,н/д,m\n,,\nd,4\n", "utf-8")
    found = describe(read_source(tmp_path / "t.csv"))
    assert found["missing"] == {"text": 1, "age": 2, "sex": 2}
    assert (found["records"], found["empty"], found["unreadable"]) == (3, 1, 1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("described")
    assert main(["simulate", "thyroid-table", "--records", "400", "--out", str(place / "messy")]) == 0
    assert main(["prepare", str(place / "messy" / "table.csv"), "--out", str(place / "clinic")]) == 0
    return place


def test_two_corpora_stand_side_by_side_on_one_screen_in_json_and_on_a_page(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    both = [str(place / "messy" / "table.csv"), str(place / "clinic" / "reference.jsonl")]
    capsys.readouterr()
    assert main(["describe", *both, "--report", str(place / "out")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) <= 40
    assert max(map(len, shown)) <= 120
    data = json.loads((place / "out" / "description.json").read_text("utf-8"))
    schema = json.loads(
        resources.files("collapse_audit.lineages.description").joinpath("description.schema.json").read_text("utf-8")
    )
    jsonschema.Draft202012Validator(schema).validate(data)
    assert [one["name"] for one in data["corpora"]] == ["table.csv", "reference.jsonl"]
    page = (place / "out" / "description.html").read_text("utf-8")
    assert page == render(data["corpora"])  # of what was stored, the same page
    assert page.count("<svg") == 2
    assert "<script" not in page
    assert " style=" not in page


def test_what_a_corpus_is_called_and_holds_is_never_markup(tmp_path: Path) -> None:
    path = corpus(tmp_path / "a.jsonl", ["слово"] * 6, label=["<script>alert(1)</script>"] * 6)
    page = render([{**describe(read_source(path)), "name": "<b>\x1b[31m"}])
    assert "<script" not in page
    assert "<b>" not in page
    assert "\x1b" not in page


def test_degenerate_corpora_are_described_too(tmp_path: Path) -> None:
    path = corpus(tmp_path / "a.jsonl", ["", "", ""])
    found = describe(read_source(path))
    assert (found["records"], found["empty"], found["length"]["words"]) == (3, 3, None)
    assert "no text" in render([found])
    assert main(["describe", str(path)]) == 0


def test_bad_use_ends_with_4_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(corpus(tmp_path / "a.jsonl", ["a"]))
    for argv, said in (
        ([path, path, path], "allowed are one, or two side by side"),
        ([str(tmp_path / "none.jsonl")], "no such file"),
        ([path, "--report", str(tmp_path / "a.jsonl")], "cannot be written"),
    ):
        assert main(["describe", *argv]) == 4
        assert said in capsys.readouterr().err


def test_records_of_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"numeric": 1.5}\n{"numeric": 2.5}\n')
    with pytest.raises(UsageError, match="the records hold numbers"):
        read_source(path)
