"""Thyroid reports as files: whole, repeatable, and not to be mistaken for those of patients."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collapse_audit.errors import UsageError
from collapse_audit.lineage_cli import build_parser, main
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.simulation import thyroid
from collapse_audit.lineages.simulation.kinds import REFERENCES, Output
from collapse_audit.lineages.simulation.thyroid_truth import thyroid_truth


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return list(thyroid.reports(5000, np.random.default_rng(21)))


@pytest.mark.parametrize("count", [1000, 100, 1])
def test_additional_data_are_missing_from_exactly_their_share(count: int) -> None:
    found = list(thyroid.reports(count, np.random.default_rng(1)))
    missing = sum(record["additional_missing"] for record in found)
    assert missing == round(count * 5275 / 7286)
    assert all(("Дополнительные данные: " in r["prompt"]) != r["additional_missing"] for r in found)


def test_every_record_says_that_it_is_synthetic_and_has_no_label_field(records: list[dict[str, Any]]) -> None:
    assert all(record["synthetic"] is True and record["id"].startswith("synthetic-") for record in records)
    assert not {"label", "labels", "group"} & set(records[0])
    texts = [record[part] for record in records for part in ("prompt", "text")]
    assert all(text == text.strip() and "  " not in text and "{" not in text for text in texts)
    assert all(text.isprintable() and text[0].isupper() for text in texts)


def test_texts_are_as_long_as_tiny_models_need_them(records: list[dict[str, Any]]) -> None:
    prompts, texts = ([len(record[part].split()) for record in records] for part in ("prompt", "text"))
    assert 35 < np.mean(prompts) < 50
    assert max(prompts) <= 120
    assert 8 < np.mean(texts) < 15
    assert 11 < thyroid_truth()["expected_words"] < 15


def make(out: Path, seed: int = 0, **parameters: Any) -> dict[str, bytes]:
    thyroid.simulate_thyroid(Output(out=out, seed=seed), **parameters)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.decode("utf-8").splitlines()]


def test_the_folder_holds_what_it_should_and_says_that_it_is_synthetic(tmp_path: Path) -> None:
    made = make(tmp_path / "made", records=200, background=51)
    assert sorted(made) == [
        "README.md",
        "background.jsonl",
        "lineage.toml",
        "reference.holdout.jsonl",
        "reference.jsonl",
        "truth.json",
    ]
    for name, count in (("reference", 140), ("reference.holdout", 60), ("background", 51)):
        corpus = open_corpus(tmp_path / "made" / f"{name}.jsonl")
        assert sum(batch.num_rows for batch in corpus.batches()) == count
    manifest = tomllib.loads(made["lineage.toml"].decode())
    truth = json.loads(made["truth.json"])
    assert truth == {"notice": thyroid.NOTICE, **thyroid_truth()}
    assert manifest["recipe"]["truth"]["findings"] == thyroid_truth()["findings"]
    assert manifest["labels"] == "eu-tirads"
    assert "generation" not in manifest
    for text in (manifest["description"], made["README.md"].decode(), truth["notice"]):
        assert "SYNTHETIC" in text
        assert "no patient" in text
        assert "Not for medical use" in text


def test_by_default_there_are_as_many_records_as_in_the_paper(tmp_path: Path) -> None:
    """7,286, of which 70 in a hundred are trained on; 5,275 are without additional data (section III)."""
    made = make(tmp_path / "made")
    parts = [lines(made[f"{name}.jsonl"]) for name in ("reference", "reference.holdout")]
    assert [len(part) for part in parts] == [5100, 2186]
    assert sum(record["additional_missing"] for part in parts for record in part) == 5275
    assert len({record["id"] for part in parts for record in part}) == 7286


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    size = {"records": 60, "background": 30}
    first, second, other = (
        make(tmp_path / name / "made", seed, **size) for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert first == second
    for name in ("reference.jsonl", "reference.holdout.jsonl", "background.jsonl"):
        assert first[name] != other[name]
    assert first["truth.json"] == other["truth.json"]


def test_background_texts_leave_the_records_as_they_are(tmp_path: Path) -> None:
    without, with_them = (make(tmp_path / str(count) / "made", records=50, background=count) for count in (0, 20))
    assert "background.jsonl" not in without
    assert without["reference.jsonl"] == with_them["reference.jsonl"]


def test_every_background_text_is_of_a_report_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    described, concluded = [], []
    draw, describe, conclude = thyroid.draw_case, thyroid.write_description, thyroid.write_conclusion
    monkeypatch.setattr(thyroid, "draw_case", lambda rng: drawn.append(draw(rng)) or drawn[-1])
    monkeypatch.setattr(
        thyroid, "write_description", lambda case, rng, **how: described.append(case) or describe(case, rng, **how)
    )
    monkeypatch.setattr(thyroid, "write_conclusion", lambda case, rng: concluded.append(case) or conclude(case, rng))
    texts = list(thyroid.background_texts(501, np.random.default_rng(2)))
    assert len(drawn) == len(texts) == 501
    assert not {id(case) for case in described} & {id(case) for case in concluded}
    assert len({id(case) for case in described + concluded}) == 501
    assert Counter(text["part"] for text in texts) == {"description": 251, "conclusion": 250}
    assert all(set(text) == {"id", "text", "synthetic", "part"} and text["synthetic"] for text in texts)
    order = [text["part"] for text in texts]
    assert 200 < sum(one != other for one, other in itertools.pairwise(order)) < 300  # shuffled: about 250


def test_whole_reports_are_a_share_of_the_background_and_of_one_case(monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[Any] = []
    draw = thyroid.draw_case
    monkeypatch.setattr(thyroid, "draw_case", lambda rng: cases.append(draw(rng)) or cases[-1])
    monkeypatch.setattr(thyroid, "write_description", lambda case, rng, **how: f"D{id(case)}")  # noqa: ARG005
    monkeypatch.setattr(thyroid, "write_conclusion", lambda case, rng: f"C{id(case)}")  # noqa: ARG005
    texts = list(thyroid.background_texts(400, np.random.default_rng(2), whole=0.75))
    assert Counter(text["part"] for text in texts) == {"report": 300, "description": 50, "conclusion": 50}
    written = {"report": "D{0}\nЗаключение:\nC{0}", "description": "D{0}", "conclusion": "C{0}"}
    assert [text["text"] for text in texts] == [
        written[text["part"]].format(id(case)) for text, case in zip(texts, cases, strict=True)
    ]


def test_background_texts_are_not_those_of_the_records(tmp_path: Path) -> None:
    """Drawn anew, few conclusions come twice; the same stream would repeat all of them."""
    made = make(tmp_path / "made", records=300, background=300)
    records = [record for name in ("reference", "reference.holdout") for record in lines(made[f"{name}.jsonl"])]
    of_three_nodules = {r["prompt"] for r in records if len(r["categories"]) > 1}
    assert of_three_nodules
    assert not of_three_nodules & {record["text"] for record in lines(made["background.jsonl"])}


@pytest.mark.parametrize(
    "parameters",
    [
        {"records": 0},
        {"holdout": 1.0},
        {"holdout": -0.1},
        {"background": -1},
        {"whole": 1.1},
        {"whole": -0.1},
        {"records": 1, "holdout": 0.9},
    ],
)
def test_senseless_sizes_are_refused(parameters: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="allowed"):
        make(tmp_path / "made", **parameters)
    assert not (tmp_path / "made").exists()


# The command line


def test_the_command_offers_what_the_function_takes() -> None:
    args = build_parser().parse_args(["simulate", "thyroid", "--out", "x"])
    assert args.parameters == list(REFERENCES["thyroid"].__kwdefaults__)
    assert {name: getattr(args, name) for name in args.parameters} == REFERENCES["thyroid"].__kwdefaults__


def test_the_command_writes_a_folder_that_validate_says_has_no_generation_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    argv = [
        "simulate",
        "thyroid",
        "--out",
        str(out),
        "--records",
        "40",
        "--background",
        "9",
        "--gzip",
        "--description",
        "x",
    ]
    assert main(argv) == 0
    assert capsys.readouterr().out.splitlines() == [f"{out}: written"]
    assert (out / "background.jsonl.gz").exists()
    assert tomllib.loads((out / "lineage.toml").read_text("utf-8"))["description"] == f"{thyroid.NOTICE} x"
    assert main(["validate", str(out)]) == 4
    assert "no [[generation]]" in capsys.readouterr().err
