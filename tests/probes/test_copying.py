"""Copied texts and 8-grams, against sets of Python's own strings."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.pairs.copying import Copied, copied
from collapse_audit.probes.statistics.readings import Z

ALPHABET = "a b"


def of(texts: list[str], training: list[str]) -> Copied:
    return copied(sample_of(texts), sample_of(training))


def grams(text: str) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[at : at + 8]) for at in range(len(words) - 7)]


documents = st.lists(st.lists(st.sampled_from(ALPHABET.split()), max_size=14).map(" ".join), min_size=1, max_size=12)


@given(documents, documents)
def test_shares_are_those_of_sets_of_strings(texts: list[str], training: list[str]) -> None:
    found = of(texts, training)
    known = {gram for text in training for gram in grams(text)}
    mine = [gram for text in texts for gram in grams(text)]
    full = [text for text in texts if text]
    assert found.n_grams == len(mine)
    assert found.grams == (pytest.approx(sum(gram in known for gram in mine) / len(mine)) if mine else None)
    assert found.texts == (pytest.approx(sum(text in training for text in full) / len(full)) if full else None)


def test_white_space_does_not_hide_a_copy_and_empty_texts_are_no_copies() -> None:
    found = of(["one  two\n three", "", "new"], ["one two three", ""])
    assert (found.texts, found.n_texts) == (0.5, 2)
    assert (found.grams, found.grams_low, found.grams_high) == (None, None, None)


def test_a_span_across_two_training_texts_is_no_copy() -> None:
    assert of(["a b c d e f g h"], ["a b c d", "e f g h"]).grams == 0.0


def test_the_interval_is_the_linearised_one_over_documents() -> None:
    training = ["a b c d e f g h"]
    texts = ["a b c d e f g h", "x b c d e f g h y", "a b c d e f g h z", "q w e r t y u i"]
    found = of(texts, training)
    top, bottom = np.array([1, 0, 1, 0]), np.array([1, 2, 2, 1])  # by hand
    share = top.sum() / bottom.sum()
    error = math.sqrt(((top - share * bottom) ** 2).sum() * 4 / 3) / bottom.sum()
    assert found.grams == pytest.approx(share)
    assert found.grams_low == pytest.approx(max(0.0, share - Z * error))
    assert found.grams_high == pytest.approx(min(1.0, share + Z * error))


def test_everything_of_itself_is_copied_and_nothing_of_another_language() -> None:
    texts = [" ".join(f"w{i * j % 97}" for i in range(1, 20)) for j in range(1, 30)]
    same, other = of(texts, texts), of(texts, [text.upper() for text in texts])
    assert (same.texts, same.grams, same.complete) == (1.0, 1.0, True)
    assert (other.texts, other.grams) == (0.0, 0.0)


def test_a_training_corpus_of_which_a_part_was_read_is_said_to_be_one() -> None:
    part = replace(sample_of(["a"]), n_read=5)
    assert not copied(sample_of(["a"]), part).complete
