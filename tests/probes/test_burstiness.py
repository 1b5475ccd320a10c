"""CA705: changes from sentence to sentence and returns of words, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from builders import estimate, readings, spell
from data_builders import data, drawn

from collapse_audit.probes.burstiness import burstiness
from collapse_audit.probes.statistics.readings import NotMeasured
from collapse_audit.probes.text.sentences import sentence_lengths
from collapse_audit.probes.text.tokens import WORDS

BACK: dict[str, Callable[[int], int]] = {"p": lambda k: 5 + k % 5, "m": lambda k: k % 2}
SENTENCES, WORD = (gate.statistic for gate in burstiness.gates)


def of_sentences(lengths: list[list[int]], seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(f"{spell([rng.integers(0, 3000, size=n)])[0]}." for n in text) for text in lengths]


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("One two. Three!", [2, 1]),
        ("It was 2.5 cm. Then 3. It grew", [5, 2, 2]),
        ("Why?! ... Because", [1, 1]),
        ("Ещё два слова… И одно", [3, 2]),
        ("", []),
        ("...", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, lengths: list[int]) -> None:
    assert sentence_lengths(WORDS(pa.array([text], pa.large_string())))[0].tolist() == lengths


def test_the_change_is_the_mean_of_the_logarithms_ratio_over_neighbours() -> None:
    """People: 2 to 8 and back, ln 4 each time. Data: 4 to 8, ln 2, in texts of three sentences: half of it."""
    people, machine = of_sentences([[2, 8, 2]] * 40, 1), of_sentences([[4, 8, 4]] * 40, 2)
    found = estimate(burstiness, data(machine, people), SENTENCES)
    assert found.raw == pytest.approx({"baseline": math.log(4), "generation": math.log(2)})
    assert found.value == pytest.approx(0.5)


def test_even_sentences_are_changed_and_never_a_loss() -> None:
    rng = np.random.default_rng(3)
    people = of_sentences(rng.integers(1, 40, size=(100, 5)).tolist(), 4)
    even = of_sentences(rng.integers(14, 18, size=(100, 5)).tolist(), 5)
    assert estimate(burstiness, data(even, people), SENTENCES).high < 0.8
    assert all(gate.kind == "move" for gate in burstiness.gates)


def test_words_that_never_come_back_are_told() -> None:
    """Texts of 24 words of their own: of people 5 to 9 of them are there again, of the data none or one."""

    def coming_back(prefix: str, k: int, again: int) -> str:
        own = [f"{prefix}{k}_{n}" for n in range(24 - again)]
        return " ".join(own + own[:again])

    people, flat = ([coming_back(side, k, of(k)) for k in range(40)] for side, of in BACK.items())
    found = estimate(burstiness, data(flat, people), WORD)
    assert found.raw == pytest.approx({"baseline": 280 / (40 * 24 - 280), "generation": 20 / (40 * 24 - 20)})
    assert found.high < 0.7


def test_words_of_everybody_do_not_count() -> None:
    """``the`` stands twice in every text; of all others none comes back."""
    texts = [[f"the {' '.join(f'{side}{k}_{n}' for n in range(9))} the" for k in range(40)] for side in "pm"]
    found = readings(burstiness, data(texts[1], texts[0]))[WORD]
    assert isinstance(found, NotMeasured)
    assert "zero" in found.reason


def test_texts_without_two_sentences_are_not_measured_and_where_only_the_data_lack_them_that_is_open() -> None:
    people = of_sentences([[3, 9, 4]] * 30, 9)
    single = drawn(30, 10)
    lacking = readings(burstiness, data(single, people))[SENTENCES]
    assert isinstance(lacking, NotMeasured)
    assert not lacking.neutral
    absent = readings(burstiness, data(people, single))[SENTENCES]
    assert isinstance(absent, NotMeasured)
    assert absent.neutral
