"""The messy table: of every row it is known what is wrong with it, and so what has to become of it."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collapse_audit.cli import main as audit
from collapse_audit.lineage_cli import main
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.simulation.thyroid_table import messy_table
from tests.preparation.tables import lines

# Planted fault -> the reason for which such a row is dropped.
DROPPED = {
    "duplicate": "duplicate",
    "no-text": "no-text",
    "uninformative": "uninformative",
    "no-label": "no-label",
    "contradictory-labels": "contradictory-labels",
    "columns-disagree": "contradictory-labels",
    "unknown-label": "unknown-label",
    "personal-data": "personal-data",
    "broken-quote": "broken-row",
    "extra-cell": "broken-row",
}
PARTS = ("reference.jsonl", "validation.jsonl", "reference.holdout.jsonl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("messy")
    assert main(["simulate", "thyroid-table", "--records", "2000", "--out", str(place / "messy")]) == 0
    table = str(place / "messy" / "table.csv")
    assert main(["prepare", table, "--out", str(place / "clinic")]) == 0
    assert main(["prepare", table, "--out", str(place / "seen"), "--text", "Описание", "--prompt", "none"]) == 0
    return place


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "messy" / "truth.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def facts(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "clinic" / "preparation.json").read_text("utf-8"))
    return found


def kept(place: Path) -> list[dict[str, Any]]:
    return [record for part in PARTS for record in lines(place / part)]


def test_every_row_is_kept_or_rejected_for_the_fault_that_was_planted(folder: Path, truth: dict[str, Any]) -> None:
    rejects = lines(folder / "clinic" / "rejects.jsonl")
    found = {line["row"]: line["reason"] for line in rejects if line["action"] == "dropped"}
    assert found == {row: DROPPED[fault] for fault, rows in truth["rows"].items() if fault in DROPPED for row in rows}
    numbers = [int(record["id"].removeprefix("row-")) for record in kept(folder / "clinic")]
    assert sorted([*numbers, *found]) == list(range(2, 2002))  # the header is row 1


def test_what_was_repaired_stands_beside_what_was_dropped(folder: Path, truth: dict[str, Any]) -> None:
    rejects = lines(folder / "clinic" / "rejects.jsonl")
    repaired = {(line["row"], line["reason"]) for line in rejects if line["action"] == "repaired"}
    assert repaired == (
        {(row, "encoding") for row in truth["cp1251_lines"]}
        | {(row, "label-from-text") for row in truth["rows"]["label-from-text"]}
        | {(None, "date-as-number")}
    )


def test_the_counts_of_every_step_go_on_from_those_of_the_one_before(facts: dict[str, Any]) -> None:
    steps = facts["steps"]
    assert steps[0]["rows_in"] == 2000
    assert all(after["rows_in"] == before["rows_out"] for before, after in itertools.pairwise(steps))
    assert steps[-1]["rows_out"] == sum(part["records"] for part in facts["parts"].values())


def test_no_patient_is_in_two_parts_and_every_label_in_all_three(folder: Path, facts: dict[str, Any]) -> None:
    sides = [{record["group"] for record in lines(folder / "clinic" / part)} for part in PARTS]
    assert sum(map(len, sides)) == len(set.union(*sides))
    parts = facts["parts"]
    whole = Counter[str]()
    for part in parts.values():
        whole.update(part["labels"])
    for name, share in (("train", 0.7), ("validation", 0.15), ("holdout", 0.15)):
        for label, count in whole.items():
            assert parts[name]["labels"][label] == pytest.approx(share * count, abs=0.03 * count + 6), (name, label)


def test_the_digests_are_those_of_the_files(folder: Path, facts: dict[str, Any]) -> None:
    place = folder / "clinic"
    for entry in (*facts["parts"].values(), facts["rejects"]):
        assert entry["digest"] == file_digest(place / entry["file"])
    assert facts["source"]["digest"] == file_digest(folder / "messy" / "table.csv")
    assert file_digest(place / "preparation.json") in (place / "lineage.toml").read_text("utf-8")


def test_missing_values_are_counted_and_filled_and_say_so(folder: Path, facts: dict[str, Any]) -> None:
    records = kept(folder / "clinic")
    for feature in facts["features"]:
        assert feature["missing"] == sum(feature["column"] in record.get("imputed", ()) for record in records)
    assert all(set(record["features"]) == {f["column"] for f in facts["features"]} for record in records)
    ages = [
        r["features"]["Возраст"] for r in lines(folder / "clinic" / PARTS[0]) if "Возраст" not in r.get("imputed", ())
    ]
    filled = {r["features"]["Возраст"] for r in records if "Возраст" in r.get("imputed", ())}
    assert filled == {float(np.median(ages))}


def test_no_name_policy_or_birthday_is_left_in_any_file(folder: Path) -> None:
    for name in (*PARTS, "rejects.jsonl", "preparation.json", "lineage.toml"):
        text = (folder / "clinic" / name).read_text("utf-8")
        assert "Примеров" not in text, name
        assert "900 000" not in text, name
        assert "П-0" not in text, name
    assert not {"ФИО", "Полис", "Дата рождения", "Пациент"} & {
        key for line in lines(folder / "clinic" / "rejects.jsonl") for key in line["cells"]
    }


def test_descriptions_that_name_several_nodules_are_taken_apart(folder: Path) -> None:
    facts = json.loads((folder / "seen" / "preparation.json").read_text("utf-8"))
    records = kept(folder / "seen")
    parts = Counter(record["id"][: len("row-00000")] for record in records if record["id"].count("-") > 1)
    step = next(step for step in facts["steps"] if step["step"] == "sentences")
    assert step["added"] == sum(count - 1 for count in parts.values()) > 50
    assert facts["sentences"] == {"share_added": step["added"] / step["rows_in"], "paper": 0.084}
    groups = {record["id"][: len("row-00000")]: set() for record in records}  # type: ignore[var-annotated]
    for record in records:
        groups[record["id"][: len("row-00000")]].add(record["group"])
    assert all(len(patients) == 1 for patients in groups.values())


def test_the_same_table_and_seed_give_the_same_bytes_and_another_seed_another_split(
    folder: Path, tmp_path: Path
) -> None:
    table = str(folder / "messy" / "table.csv")
    for name, seed in (("again", "0"), ("other", "1")):
        assert main(["prepare", table, "--out", str(tmp_path / name), "--seed", seed]) == 0
    for part in PARTS:
        assert (tmp_path / "again" / part).read_bytes() == (folder / "clinic" / part).read_bytes()
        assert (tmp_path / "other" / part).read_bytes() != (folder / "clinic" / part).read_bytes()


def test_train_and_the_audit_take_the_folder_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = folder / "clinic"
    assert main(["train", str(place), "--dry-run"]) == 0
    assert f"reads       {len(lines(place / PARTS[0])):,} examples" in capsys.readouterr().out
    both = [str(place / "reference.jsonl"), str(place / "reference.holdout.jsonl")]
    assert audit([*both, "--independent", "--allow-inconclusive", "-q"]) == 0  # two halves of one corpus


def test_a_table_is_repeated_by_its_seed() -> None:
    first, again, other = (messy_table(200, np.random.default_rng(seed)).data for seed in (1, 1, 2))
    assert first == again != other
