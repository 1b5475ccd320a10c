"""CA703: what has been seen, word for word and by its 8-grams, beside what common phrases find by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from builders import estimate, reason, sample
from data_builders import data, drawn

from collapse_audit.probes.contamination import contamination
from collapse_audit.probes.pairs.copying import recited_among

ASKED = drawn(50, 1)


def test_the_share_is_that_of_evaluation_texts_that_stand_in_the_data() -> None:
    found = estimate(contamination, data(drawn(200, 2) + ASKED[:5], evaluation=sample(ASKED)))
    assert found.value == found.low == found.high == pytest.approx(5 / 50)
    assert (found.n_baseline, found.n_generation) == (50, 205)


def test_a_text_inside_a_longer_one_was_seen_and_half_of_one_was_not() -> None:
    """Of 20 words with 13 runs of 8: 18 in a row hold 11 of them (.85), 14 hold 7 (.54)."""
    most, half = " ".join(ASKED[0].split()[:18]), " ".join(ASKED[1].split()[:14])
    found = estimate(contamination, data([*drawn(99, 3), f"so {most} it was", half], evaluation=sample(ASKED)))
    assert found.value == pytest.approx(1 / 50)
    assert found.raw["word_for_word"] == 0


def test_prompt_and_answer_are_looked_for_together() -> None:
    """Answers of one word stand everywhere; with its question each is another text."""
    questions = drawn(20, 4)
    asked = sample(["yes", "no"] * 10, prompts=questions)
    assert estimate(contamination, data(["yes", "no", *drawn(98, 5)], evaluation=asked)).value == 0
    read = sample(["yes", "no"] * 10, prompts=questions)
    assert estimate(contamination, data(read, evaluation=asked)).value == 1


def test_phrases_that_are_common_among_the_evaluation_texts_are_no_evidence() -> None:
    """All 40 end in another word, and all would be found in the other 39; so the data may hold all of them or none."""
    form = "the left lobe is of usual size and holds no node of any kind that could be seen in {}"
    asked = [form.format(f"a{k}") for k in range(40)]
    found = estimate(contamination, data([form.format("x"), *drawn(99, 6)], evaluation=sample(asked)))
    assert (found.low, found.value, found.high) == (0, 0, 1)
    assert "100.0% would be found in the other evaluation texts" in found.explanation


def test_a_part_of_the_data_leaves_the_top_open() -> None:
    found = estimate(contamination, data(sample(drawn(100, 7), max_documents=50), evaluation=sample(ASKED)))
    assert (found.value, found.high) == (0, 1)


def test_an_evaluation_set_of_empty_texts_tells_nothing() -> None:
    assert "empty" in reason(contamination, data(drawn(20, 8), evaluation=sample([""] * 5)))


def test_runs_that_stand_in_another_text_are_counted_by_text() -> None:
    """By hand: ten words have three runs of 8; the second text shares the first run, the third none."""
    words = [f"w{k}" for k in range(10)]
    texts = [" ".join(words), " ".join([*words[:8], "x", "y"]), " ".join(f"z{k}" for k in range(10))]
    assert recited_among(sample(texts).tokens).tolist() == [1, 1, 0]
    assert recited_among(sample([f"{texts[2]} {texts[2]}"]).tokens).tolist() == [0]
    assert recited_among(sample(["short", ""]).tokens).tolist() == [0, 0]
    assert np.issubdtype(recited_among(sample(["short"]).tokens).dtype, np.floating)
