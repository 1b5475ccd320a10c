"""The table of docs/which-cure-holds.md, on made-up rows and lineages whose numbers are known by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import which_cure
from collapse_audit.comparison.cures import HUMAN_TEXT, Figure

ROW: dict[str, Any] = {
    "name": "two_writers",
    "says": "what the other model wrote",
    "verdict": "collapse",
    "last_generation": {"fail": 4, "pass": 60},
    "first_failed_generation": 2,
    "human_share": 0.3,
    "models": 2,
    "figures": [Figure(name=HUMAN_TEXT, unit="nats", scale="linear", by_seed={"0": 0.1, "1": 0.3}).as_json()],
}
PAGE = """\
before
<!-- generated: which_cure cures -->
old
<!-- end of generated -->
<!-- generated: which_cure held -->
old
<!-- end of generated -->
after
"""


def cells(table: str) -> dict[str, str]:
    """The only row of a Markdown table."""
    head, _, row = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    return dict(zip(head, row, strict=True))


def write(path: Path, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")


def test_a_row_says_the_verdict_the_cost_and_what_is_left() -> None:
    row = cells(which_cure.table([ROW]))
    assert row["cure"] == "`two_writers`"
    assert row["verdict, generation"] == "collapse, first in 2"
    assert (row["human text"], row["models"]) == ("30%", "2")
    # t(1 degree, 97.5%) = 12.706; the standard error of 0.1 and 0.3 is 0.1
    assert row["nats a token"] == "0.20 (-1.07 to 1.47)"
    assert row["rare findings"] == "–"


def test_nothing_that_failed_is_said_as_nothing() -> None:
    row = cells(which_cure.table([{**ROW, "verdict": "pass", "first_failed_generation": None, "last_generation": {}}]))
    assert row["verdict, generation"] == "pass"


def test_rare_findings_are_mentions_left_of_those_in_generation_0(tmp_path: Path) -> None:
    rare, plain = "Смещение трахеи.", "Узел левой доли."
    mentions = {0: {"0": 4, "1": 2}, 1: {"0": 1, "1": 2}}
    write(tmp_path / "reference.jsonl", ["текст"])
    for generation, by_seed in mentions.items():
        for seed, count in by_seed.items():
            folder = tmp_path / f"seed_{seed}" / f"gen_{generation}"
            write(folder / "texts.jsonl", [f"обучение {seed} {generation}"])
            write(folder / "holdout.jsonl", [rare] * count + [plain] * (6 - count))
    assert which_cure.rare_findings(tmp_path).by_seed == {"0": 0.25, "1": 1.0}


def test_the_page_is_checked_against_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers, page = tmp_path / "which_cure.json", tmp_path / "which-cure-holds.md"
    numbers.write_text(json.dumps([ROW]), "utf-8")
    made = PAGE.replace("\nold\n", "\n\n{}\n\n").format(which_cure.meanings([ROW]), which_cure.table([ROW]))
    page.write_text(made, "utf-8")
    monkeypatch.setattr(which_cure, "NUMBERS", numbers)
    monkeypatch.setattr(which_cure, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["which_cure", "--check"])
    assert which_cure.main() == 0
    numbers.write_text(json.dumps([{**ROW, "models": 1}]), "utf-8")
    assert which_cure.main() == 1
    assert "out of date" in capsys.readouterr().out
