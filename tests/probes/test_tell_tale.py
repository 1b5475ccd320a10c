"""CA704: phrases in whole words, of both languages and of a list of one's own, beside what people write."""

from __future__ import annotations

import pytest
from builders import estimate, reason
from data_builders import data, drawn

from collapse_audit.probes.statistics.counted import bounds
from collapse_audit.probes.tell_tale import tell_tale
from collapse_audit.probes.text.phrases import built_in, phrases_of

PLAIN = drawn(95, 1)


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I cannot say.",
        "AS AN AI\nLANGUAGE MODEL I do not know",
        "I don\u2019t have personal opinions.",
        "Как языковая модель, я не могу ответить.",
        "К сожалению, я не могу помочь с этим.",
    ],
)
def test_a_phrase_is_found_however_it_is_written(text: str) -> None:
    found = estimate(tell_tale, data([text] * 5 + PLAIN))
    assert found.value == found.low == found.high == pytest.approx(5 / 100)
    assert found.evidence[0]["texts"] == 5


def test_a_phrase_inside_a_longer_word_is_none() -> None:
    assert estimate(tell_tale, data(["they regenerate responses daily"] * 5 + PLAIN)).value == 0


def test_what_people_write_about_chat_models_is_taken_off() -> None:
    quotes = ["he quoted: as an ai language model, and so on"] * 10
    found = estimate(tell_tale, data(quotes + PLAIN[:90], quotes + drawn(90, 2)))
    low, high = bounds(10, 100)
    assert found.value == pytest.approx(0)
    assert (found.low, found.high) == (pytest.approx(0.1 - high), pytest.approx(0.1 - low))


def test_ones_own_list_replaces_the_built_in_one() -> None:
    mine = phrases_of("# ours\n\nDelve into\n")
    texts = ["let us delve into it"] * 3 + ["as an AI language model"] * 2 + PLAIN
    found = estimate(tell_tale, data(texts, phrases=mine))
    assert found.value == pytest.approx(3 / 100)
    assert not found.evidence  # three texts: a phrase of somebody's list may name somebody


def test_the_built_in_list_holds_both_languages_each_phrase_once() -> None:
    phrases = built_in()
    assert len(set(phrases)) == len(phrases)
    assert "as an ai language model" in phrases
    assert "как языковая модель" in phrases


def test_no_list_is_not_measured() -> None:
    assert reason(tell_tale, data(PLAIN, phrases=())) == "the list of phrases is empty"
