"""CA305: what a number is, how many there are in equally many texts, and what is no loss."""

from __future__ import annotations

import numpy as np
import pytest
from builders import estimate, pair, reason, sample

from collapse_audit.probes.numbers import numbers


def sizes(n: int, seed: int, share: float = 1.0, highest: int = 400) -> list[str]:
    rng = np.random.default_rng(seed)
    return [
        f"nodule of {rng.integers(1, highest)} mm seen" if rng.random() < share else "nothing was seen there"
        for _ in range(n)
    ]


def test_the_value_is_the_ratio_of_distinct_numbers() -> None:
    before = [f"a {k} b" for k in range(100)]
    after = [f"a {k % 25} b" for k in range(100)]
    found = estimate(numbers, pair(before, after, permutations=999))
    assert found.value == pytest.approx(25 / 100)
    assert (found.raw["baseline"], found.raw["generation"]) == (100, 25)
    assert found.p_value == 0.001


@pytest.mark.parametrize(
    ("text", "count"),
    [("a 0.9 b", 1), ("0,9 and 0.9", 1), ("9 and 0.9", 2), ("0.5 x 0.7 x 0.5", 2), ("3rd 3 iv mp3", 2), ("5 . a", 1)],
)
def test_two_numbers_around_a_point_or_comma_are_one(text: str, count: int) -> None:
    found = estimate(numbers, pair([text] * 60, [text] * 60))
    assert found.raw["baseline"] == count


def test_equally_many_texts_with_numbers_are_compared() -> None:
    """Half as many texts with a number hold fewer distinct ones; among as many texts nothing is lost."""
    before, after = sizes(600, 1), sizes(600, 2, share=0.5)
    distinct = [len({text for text in side if "nodule" in text}) for side in (before, after)]
    assert distinct[1] < 0.75 * distinct[0]
    assert 0.9 < estimate(numbers, pair(before, after)).value < 1.1


def test_more_damage_is_never_better() -> None:
    found = [estimate(numbers, pair(sizes(300, 3), sizes(300, 4, highest=high))) for high in (400, 120, 20)]
    assert found[0].value > found[1].value > found[2].value
    assert found[2].high < numbers.gates[0].margin
    assert found[0].low > numbers.gates[0].margin


def test_groups_keep_their_texts_together_and_sides_equally_many() -> None:
    groups = [f"g{k // 4}" for k in range(240)]
    sides = (sample(sizes(240, seed, share=0.6), groups=[f"{seed}{group}" for group in groups]) for seed in (5, 6))
    found = estimate(numbers, pair(*sides))
    assert 0.7 < found.value < 1.4


def test_texts_that_hold_few_numbers_are_not_compared() -> None:
    assert "a tenth is needed" in reason(numbers, pair(sizes(300, 7, share=0.05), sizes(300, 8)))
    assert "fewer than 10 documents" in reason(numbers, pair(sizes(300, 9), sizes(300, 10, share=0.01)))
    assert "a tenth is needed" in reason(numbers, pair(["a"] * 30, ["b 1"] * 30))
