"""A generation 0 that stammers from the start is marked, in the manifest and on the terminal; a sound one is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_training import read_toml, train, write_toy

from collapse_audit.lineages.training.health import examine

for _name in ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "filelock"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")

PEOPLE = [f"word{i} word{i + 1} word{i + 2} word{i + 3}" for i in range(0, 400, 4)]
"""A hundred texts of four words: no word stands twice, so all 300 pairs differ."""


def test_shares_are_counted_by_hand() -> None:
    loops = ["so it is so it is so it is", "round and round and round and", "ha ha ha"]  # 9, 6 and 3 words: all loop
    found = examine([*loops, "", " \n", *PEOPLE[:5]], PEOPLE)
    assert found.texts == 10
    assert (found.looping, found.looping_people) == (0.3, 0.0)
    assert (found.empty, found.empty_people) == (0.2, 0.0)
    # Pairs: 8 (so it, it is, is so: 3 kinds), 5 (round and, and round: 2), 2 (ha ha: 1), 15 that all differ: 21 of 30,
    # and 30 of people's 30.
    assert found.distinct_2 == pytest.approx(21 / 30)
    assert [line.partition(" ")[0] for line in found.complaints()] == ["30%", "distinct-2", "20%"]
    assert found.recorded()["degenerate"] == [
        "30% of its texts loop, 0% of people's",
        "distinct-2 is 70% of people's at equal n",
        "20% of its texts are empty, 0% of people's",
    ]


def test_the_acceptance_is_five_points_and_four_fifths() -> None:
    for loops, sound in ((5, True), (6, False)):
        written = ["a b c d a b c d a b c d"] * loops + PEOPLE[: 100 - loops]
        found = examine(written, PEOPLE)
        assert found.looping == loops / 100
        assert ("loop" in " ".join(found.complaints())) is not sound
    # 50 texts twice, so 150 of 300 pairs; 40 texts of three new pairs each and 60 that repeat one of them: 120 of 300.
    assert examine(PEOPLE[:50] * 2, PEOPLE).distinct_2 == 0.5
    for kinds, sound in ((80, True), (79, False)):
        written = PEOPLE[:kinds] + [PEOPLE[0]] * (100 - kinds)
        assert bool(examine(written, PEOPLE).complaints()) is not sound


def test_more_text_is_not_taken_for_less_variety() -> None:
    """At equal n: a longer sample of the same kind repeats itself more."""
    half = [f"the w{i} of" for i in range(100)]
    assert examine(half * 3, half).distinct_2 == 1.0


def test_people_who_loop_by_themselves_are_no_complaint() -> None:
    verse = ["row row row your boat"] * 10
    assert examine(verse, verse).complaints() == []


def test_texts_without_a_pair_of_words_are_measured_too() -> None:
    assert examine(["a"], ["b"]).distinct_2 == 1.0
    assert examine([""], ["two words"]).distinct_2 == 0.0
    assert examine(["two words"], ["one"]).distinct_2 == 1.0


def test_a_stammering_generation_0_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Greedy decoding of a model that has read little repeats itself, under any seed."""
    root = write_toy(
        tmp_path / "toy",
        seeds=[0],
        training={"epochs": 8, "learning_rate": 0.02, "batch_size": 4},
        task="blocks",
        generations=2,
        text={"block": 16, "context": 80},
        base__pretrain__epochs=1,
        decoding={"do_sample": False, "min_new_tokens": 60, "max_new_tokens": 60, "batch_size": 8},
    )
    assert train(root, more=("--quiet",)) == 0
    first, second = (entry["model"] for entry in read_toml(root)["generation"])
    assert first["health"]["sample"] == "holdout"
    assert first["health"]["distinct_2"] < 0.8  # people's blocks of these few reports loop as much
    assert any("distinct-2" in line for line in first["health"]["degenerate"])
    assert "health" not in second  # a later one that stammers has collapsed: that is for the audit
    for _ in range(2):
        words = " ".join(capsys.readouterr().err.split())
        assert f"WARNING: {root}: seed 0, generation 0 is degenerate from the start: " in words
        assert train(root, more=("--quiet",)) == 0  # nothing is left to do, and it is said again


def test_a_sound_one_is_measured_and_not_marked(finished: Path) -> None:
    """The toy answers each prompt with its text, as people did."""
    marks = [entry["model"]["health"] for entry in read_toml(finished)["generation"] if entry["index"] == 0]
    assert len(marks) == 2
    for mark in marks:
        assert mark["texts"] == 6
        assert mark["empty"] == mark["looping"] == 0.0
