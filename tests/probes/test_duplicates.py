"""CA702: copies by hand, beside the reference's own, and what a part of the data leaves open."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from builders import estimates, sample
from data_builders import data, drawn

from collapse_audit.probes.duplicates import duplicates
from collapse_audit.probes.statistics.counted import bounds, repeated_among

COPIES, NEAR = (gate.statistic for gate in duplicates.gates)


def test_copies_are_the_texts_beyond_the_first_of_each() -> None:
    texts = drawn(90, 1)
    found = estimates(duplicates, data(texts + texts[:6] + texts[:4]))
    assert found[COPIES].value == found[COPIES].low == found[COPIES].high == pytest.approx(10 / 100)
    assert found[NEAR].value == pytest.approx(10 / 100)
    assert found[COPIES].evidence[0]["copies"] == 3


def test_fillings_of_one_form_are_near_copies_and_no_copies() -> None:
    form = "the left lobe measures {} mm and holds no node of any kind that could be seen in {} today at all"
    found = estimates(duplicates, data([form.format(f"a{k}", f"b{k}") for k in range(20)] + drawn(80, 2)))
    assert found[COPIES].value == 0
    assert found[NEAR].value == pytest.approx(19 / 100)
    assert found[NEAR].evidence[0]["term"].startswith("the left lobe measures ___ mm")


def test_what_people_repeat_themselves_is_taken_off() -> None:
    texts, theirs = drawn(100, 3), drawn(80, 4)
    found = estimates(duplicates, data(texts[:80] + texts[:20], theirs + theirs[:20]))[COPIES]
    low, high = bounds(20, 100)
    assert found.value == pytest.approx(0)
    assert (found.low, found.high) == (pytest.approx(0.2 - high), pytest.approx(0.2 - low))


def test_a_part_of_the_data_may_fail_and_not_pass() -> None:
    found = estimates(duplicates, data(sample(drawn(100, 5), max_documents=50)))[COPIES]
    assert (found.value, found.high) == (0, 1)
    assert "among 50 of 100 texts" in found.explanation


def test_all_texts_empty_are_copies_of_one() -> None:
    assert estimates(duplicates, data([""] * 50))[COPIES].value == pytest.approx(49 / 50)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_the_expected_share_of_copies_is_the_mean_over_all_draws(n: int) -> None:
    counts = np.array([3, 0, 2, 1])
    texts = np.repeat(np.arange(4), counts)
    shares = [1 - np.unique(texts[list(rows)]).size / n for rows in combinations(range(6), n)]
    assert repeated_among(counts, n) == pytest.approx(np.mean(shares), abs=1e-12)
