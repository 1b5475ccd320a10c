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
    return what_it_sees.ROWS[name](SOURCE[:100], SOURCE[100:], np.random.default_rng(0))


def test_the_page_is_as_the_numbers_have_it() -> None:
    numbers = json.loads(what_it_sees.NUMBERS.read_text("utf-8"))
    assert what_it_sees.PAGE.read_text("utf-8") == what_it_sees.page(numbers)
    assert list(numbers["rows"]) == list(what_it_sees.ROWS)
    assert all(sum(row["said"].values()) == numbers["trials"] for row in numbers["rows"].values())


def test_only_findings_of_at_least_half_of_the_trials_and_of_probes_that_there_are_stand_in_it() -> None:
    gate = f"{BUILTIN[0].name} / {BUILTIN[0].gates[0].statistic}"
    row = {"said": {"fail": 4}, "found": {gate: 2, "diversity / duplicates": 1, "gone / gone": 4}}
    made = what_it_sees.page({"n": 9, "trials": 4, "rows": {"a damage": row}})
    assert f"| a damage | 4 | 0 | 0 | 0 | `{gate}` |" in made


@pytest.mark.parametrize("name", [name for name in what_it_sees.ROWS if "training" not in name])
def test_a_damage_leaves_as_many_texts(name: str) -> None:
    assert len(harmed(name)) == 100


def test_the_tenth_with_the_rarest_words_is_left_out() -> None:
    texts = [f"common words {k % 5}" for k in range(99)] + ["zyx wvu tsr"]
    left = what_it_sees.ROWS["the tenth with the rarest words is gone"](texts, texts[:60], np.random.default_rng(0))
    assert "zyx wvu tsr" not in left


def test_numbers_become_one_of_three() -> None:
    found = Counter(word for text in harmed("all numbers are one of three") for word in text.split() if word.isdigit())
    assert set(found) == {"2", "10", "1000"}
