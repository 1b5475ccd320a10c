"""What of a model's texts is kept: by hand, and as laws."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.lineages.training import selection
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.recipe import Selection
from collapse_audit.lineages.training.selection import burstiness, selected

ALL = Selection()


def test_the_example_in_the_docstring_holds() -> None:
    results = doctest.testmod(selection)
    assert results.attempted == 1
    assert results.failed == 0


def test_without_a_rule_everything_is_kept_also_what_has_no_likelihood() -> None:
    assert selected(["a", "a", ""], [1.0, None, None], ALL).all()


def test_of_texts_that_are_equal_to_a_reader_the_first_in_the_band_is_kept() -> None:
    texts = ["caf\u00e9  au lait", "cafe\u0301 au lait", "tea", "caf\u00e9 au\u200b lait"]
    assert selected(texts, [9.0, 1.0, 2.0, 3.0], Selection(drop_duplicates=True)).tolist() == [True, False, True, False]
    band = Selection(drop_duplicates=True, perplexity=(0.0, 0.75))  # without the first, whose nll is the greatest
    assert selected(texts, [9.0, 1.0, 2.0, 3.0], band).tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("band", "kept"),
    [
        ((0.0, 0.5), [True, True, True, False, False]),  # of 1 2 3 4 5 the median is 3
        ((0.25, 0.75), [False, True, True, True, False]),
        ((0.9, 1.0), [False, False, False, False, True]),  # the quantile .9 of five lies at 4.6
    ],
)
def test_a_band_by_hand(band: tuple[float, float], kept: list[bool]) -> None:
    assert selected(list("abcde"), [1.0, 2.0, 3.0, 4.0, 5.0], Selection(perplexity=band)).tolist() == kept


def test_a_text_without_likelihood_lies_in_no_band() -> None:
    assert selected(["a", "b"], [None, 1.0], Selection(perplexity=(0.0, 0.99))).tolist() == [False, True]


def test_a_band_without_any_likelihood_is_refused() -> None:
    with pytest.raises(TrainingError, match="no text has a likelihood"):
        selected(["a", "b"], [None, None], Selection(perplexity=(0.1, 0.9)))


@given(st.lists(st.floats(0.1, 20), min_size=1, max_size=40), st.integers(0, 9), st.integers(1, 10))
def test_a_band_keeps_the_middle_of_the_order(nll: list[float], low: int, width: int) -> None:
    band = (low / 10, min(low + width, 10) / 10)
    keep = selected([f"text {at}" for at in range(len(nll))], nll, Selection(perplexity=band))
    values = np.array(nll)
    inside = values[keep]
    # an interval of the order: nothing that is left out lies between two that are kept
    assert not ((values[~keep] > inside.min()) & (values[~keep] < inside.max())).any() if keep.any() else True
    # quantiles of n numbers: at least floor((n - 1) * (high - low)) of them lie between
    assert keep.sum() >= np.floor((len(nll) - 1) * (band[1] - band[0]) - 1e-9)


EVEN, UNEVEN, WILD, ONE = "A b c. D e f. G h i.", "A b c d. E f.", "A. B c d e f g h i.", "A single sentence"


def test_burstiness_is_the_mean_change_of_length_from_sentence_to_sentence() -> None:
    found = burstiness([EVEN, UNEVEN, WILD, ONE, "A b. C d e f. G"])
    assert found[:3] == pytest.approx([0.0, np.log(2), np.log(8)])
    assert np.isnan(found[3])
    assert found[4] == pytest.approx((np.log(2) + np.log(4)) / 2)


@pytest.mark.parametrize(
    ("band", "kept"),
    [
        ((0.4, 1.0), [False, True, True, True]),  # of 0, ln 2 and ln 8 the quantile .4 lies above 0
        ((0.0, 0.6), [True, True, False, True]),
        ((0.0, 1.0), [True, True, True, True]),
    ],
)
def test_a_band_of_burstiness_keeps_texts_of_one_sentence(band: tuple[float, float], kept: list[bool]) -> None:
    texts = [EVEN, UNEVEN, WILD, ONE]
    assert selected(texts, [None] * 4, Selection(burstiness=band)).tolist() == kept


def test_where_no_text_has_two_sentences_a_band_of_burstiness_leaves_all() -> None:
    assert selected([ONE, "Another"], [None, None], Selection(burstiness=(0.5, 1.0))).all()
