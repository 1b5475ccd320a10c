"""The page of planted damages: made of what was measured, and of damages that are what they say."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from benchmarks import what_it_sees
from collapse_audit.probes.registry import BUILTIN

SOURCE = [f"word{k % 40} of size {k} in the {k % 7} th place of {k * k}" for k in range(250)]


def harmed(name: str) -> list[str]:
    return what_it_sees.ROWS[name].harm(SOURCE[:100], SOURCE[100:], np.random.default_rng(0))


def test_the_page_is_as_the_numbers_have_it() -> None:
    numbers = json.loads(what_it_sees.NUMBERS.read_text("utf-8"))
    assert what_it_sees.parts(numbers)["damages"] in what_it_sees.PAGE.read_text("utf-8")
    assert list(numbers["rows"]) == [*what_it_sees.ROWS, what_it_sees.ALONG]
    assert all(sum(row["said"].values()) == numbers["trials"] for row in numbers["rows"].values())


def test_only_findings_of_at_least_half_of_the_trials_and_of_probes_that_there_are_stand_in_it() -> None:
    gate = f"{BUILTIN[0].name} / {BUILTIN[0].gates[0].statistic}"
    row = {"said": {"fail": 4}, "found": {gate: 2, "diversity / duplicates": 1, "gone / gone": 4}}
    made = what_it_sees.parts({"n": 9, "n_along": 9, "trials": 4, "rows": {"a damage": row}})["damages"]
    assert f"| a damage | 4 | 0 | 0 | 0 | `{gate}` |" in made


@pytest.mark.parametrize("name", [name for name in what_it_sees.ROWS if "training" not in name])
def test_a_damage_leaves_as_many_texts(name: str) -> None:
    assert len(harmed(name)) == 100


def test_the_tenth_with_the_rarest_words_is_left_out() -> None:
    texts = [f"common words {k % 5}" for k in range(99)] + ["zyx wvu tsr"]
    row = what_it_sees.ROWS["the tenth with the rarest words is gone"]
    left = row.harm(texts, texts[:60], np.random.default_rng(0))
    assert "zyx wvu tsr" not in left


def test_numbers_become_one_of_three() -> None:
    found = Counter(word for text in harmed("all numbers are one of three") for word in text.split() if word.isdigit())
    assert set(found) == {"2", "10", "1000"}


def test_the_longest_fifth_is_left_out() -> None:
    texts = [" ".join(["word"] * length) for length in range(1, 101)]
    left = what_it_sees.ROWS["the longest fifth is gone"].harm(texts, texts[:50], np.random.default_rng(0))
    assert max(len(text.split()) for text in left) == 80


def test_a_kind_is_on_both_sides_and_then_gone_from_one() -> None:
    row = what_it_sees.ROWS["a kind of text (5%, another language) is gone"]
    before, after, _ = what_it_sees.pair_of(row, 200, 0)
    assert [sum(not text.isascii() for text in side) for side in (before, after)] == [10, 0]
    assert len(after) == 200


def test_answers_to_a_prompt_begin_with_a_quarter_of_the_first() -> None:
    texts = harmed("the four answers to a prompt begin with the same quarter")
    assert texts[0] == SOURCE[0]
    assert all(text.split()[:2] == SOURCE[4].split()[:2] for text in texts[4:8])
    assert texts[5].split()[2:] == SOURCE[5].split()[2:]


def test_words_are_lost_generation_by_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two in a hundred words more at each, none of them frequent."""
    seen: list[list[str]] = []

    class Report:
        findings = ()

    monkeypatch.setattr(what_it_sees, "_source", lambda: [f"often w{k} v{k % 30}" for k in range(900)])
    monkeypatch.setattr(what_it_sees, "audit", lambda *, generations, **_: seen.extend(generations) or Report())
    assert what_it_sees.judged_along(100, 0) == {}
    words = [set(" ".join(texts).split()) for texts in seen]
    assert [len(texts) for texts in seen] == [100] * 9
    assert sum(word.startswith("w") for word in words[0]) == 100
    # 931 words: 149 of the 900 that stand there once are gone at the eighth, and with them 16.6 of its 100.
    assert 100 - sum(word.startswith("w") for word in words[8]) == pytest.approx(16.6, abs=12)
    assert all(text.split()[0] == "often" and text.split()[2][0] == "v" for texts in seen for text in texts)
