"""CA305: what a number is, how many there are in equally many texts, and what is no loss."""

from __future__ import annotations

import numpy as np
import pytest
from builders import estimate, pair, reason, sample
from scipy.stats import rankdata

from collapse_audit.probes.numbers import numbers
from collapse_audit.probes.pairs.written_numbers import written_numbers
from collapse_audit.probes.text.tokens import WORDS

SPREAD = "spread"


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
    assert "a tenth or 150 of them" in reason(numbers, pair(sizes(300, 7, share=0.05), sizes(300, 8)))
    assert "fewer than 10 documents" in reason(numbers, pair(sizes(300, 9), sizes(300, 10, share=0.01)))
    assert "a tenth or 150 of them" in reason(numbers, pair(["a"] * 30, ["b 1"] * 30))


def test_a_hundred_and_fifty_texts_with_numbers_are_enough_however_many_hold_none() -> None:
    def side(with_numbers: int, seed: int) -> list[str]:
        texts = np.array(sizes(with_numbers, seed) + ["nothing was seen there"] * 1600)
        return [str(text) for text in np.random.default_rng(seed).permutation(texts)]

    found = estimate(numbers, pair(side(160, 7), side(160, 8)))
    assert found.raw["texts_with_numbers"] == pytest.approx(160 / 1760)  # a tenth it is not
    assert "hold a number" in reason(numbers, pair(side(140, 7), side(160, 8)))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("12 mm", [12]),
        ("0.9 x 0,5 and 2.75", [0.9, 0.5, 2.75]),
        ("1,000 of 12,5", [1000, 12.5]),
        ("the 3rd of 2024-01-02", [3, 2024, 1, 2]),
        ("½ and 5 . 7", [0.5, 5.7]),
        ("3,000.5", [3000]),  # only two are put together
    ],
)
def test_what_a_number_amounts_to(text: str, values: list[float]) -> None:
    found = written_numbers(WORDS(sample([text]).texts))
    assert found.value.tolist() == pytest.approx(values)
    assert found.document.tolist() == [0] * len(values)


def drawn(n: int, seed: int, *, middle: float = 1.0, shift: float = 0.0) -> list[str]:
    """A text with one to three amounts: normal logs, times ``middle`` around the same centre."""
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(n):
        amounts = np.exp(4 + shift + middle * rng.normal(size=rng.integers(1, 4)))
        texts.append(" and ".join(f"{amount:.0f} mm" for amount in amounts))
    return texts


def by_hand(before: list[str], after: list[str]) -> float:
    """Standard deviations of mid-ranks, every text counted once, written out text by text."""
    sides = [[[float(part.split()[0]) for part in text.split(" and ")] for text in side] for side in (before, after)]
    # As many copies of each number as make all texts weigh alike: six are 1, 2 and 3 times something.
    copies = [[number for text in side for number in text for _ in range(6 // len(text))] for side in sides]
    ranks = rankdata(np.concatenate(copies))
    ranks = (ranks - 0.5) / ranks.size
    return float(np.std(ranks[len(copies[0]) :]) / np.std(ranks[: len(copies[0])]))


def test_the_spread_is_that_of_ranks_counted_by_hand() -> None:
    before, after = drawn(80, 1), drawn(80, 2, middle=0.4)
    found = estimate(numbers, pair(before, after), SPREAD)
    assert found.value == pytest.approx(by_hand(before, after), rel=1e-9)
    assert found.p_value == pytest.approx(1 / 200)


def test_neither_the_unit_nor_one_huge_number_changes_the_spread() -> None:
    before, after = drawn(80, 1), drawn(80, 2, middle=0.6)
    plain = estimate(numbers, pair(before, after), SPREAD)
    longer = [[text.replace(" mm", "0 mm") for text in side] for side in (before, after)]
    assert estimate(numbers, pair(*longer), SPREAD).value == pytest.approx(plain.value, rel=1e-12)
    largest = max(int(word) for text in before + after for word in text.split() if word.isdigit())
    huge = [[text.replace(f"{largest} mm", f"{largest}000000 mm") for text in side] for side in (before, after)]
    assert estimate(numbers, pair(*huge), SPREAD).value == pytest.approx(plain.value, rel=1e-12)


def test_a_table_in_one_text_does_not_outweigh_all_texts() -> None:
    before, after = drawn(80, 1), drawn(80, 2)
    table = " and ".join(["55 mm"] * 400)
    assert estimate(numbers, pair(before, [*after[1:], table]), SPREAD).value > 0.95


def test_the_error_is_that_of_the_jackknife() -> None:
    """Of 60 texts a side, each left out in turn, with ranks as they are for all."""
    before, after = drawn(60, 3), drawn(60, 4, middle=0.6)
    found = estimate(numbers, pair(before, after), SPREAD)
    logs = [
        (by_hand(before[:k] + before[k + 1 :], after), by_hand(before, after[:k] + after[k + 1 :])) for k in range(60)
    ]
    spread = np.log(np.array(logs))
    variance = (59 / 60) * np.square(spread - spread.mean(axis=0)).sum()
    z = 1.6448536269514722
    assert np.log(found.value / found.low) / z == pytest.approx(np.sqrt(variance), rel=0.1)


def test_nearer_numbers_are_a_loss_and_other_ones_are_a_move() -> None:
    middle = estimate(numbers, pair(drawn(300, 5), drawn(300, 6, middle=0.4)), SPREAD)
    assert middle.kind is None
    assert middle.high < numbers.gates[1].margin
    years = estimate(numbers, pair(drawn(300, 5), drawn(300, 6, middle=0.05, shift=3.6)), SPREAD)
    assert years.kind == "move"
    assert "elsewhere" in years.explanation


def test_one_number_for_all_is_found_however_small_its_spread() -> None:
    for other in (["55 mm"] * 100, ["55 mm"] * 99 + ["4 mm"]):
        found = estimate(numbers, pair(drawn(100, 7), other), SPREAD)
        assert found.p_value == pytest.approx(1 / 200)
        assert 0.2 < found.high < numbers.gates[1].margin  # 3 of 100 texts may still hold another one
    assert "all numbers of the baseline are the same" in reason(numbers, pair(["5 mm"] * 60, ["6 mm"] * 60), SPREAD)


def test_no_change_of_spread_is_rejected_as_seldom_as_the_level_says() -> None:
    """100 pairs of 40 texts: at most 13 with p <= .05 (the .999 quantile of Binomial(100, .05))."""
    pairs = (pair(drawn(40, 2 * k), drawn(40, 2 * k + 1), permutations=99) for k in range(100))
    found = [estimate(numbers, each, SPREAD) for each in pairs]
    assert sum((each.p_value or 1.0) <= 0.05 for each in found) <= 13
