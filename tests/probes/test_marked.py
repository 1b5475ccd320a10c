"""Shares told by marks: by hand, by enumeration, the chance as leaving one out gives it, and bounds that hold."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.probes.statistics.marked import Marked

KINDS = st.lists(st.integers(0, 12), min_size=2, max_size=25)


def counted(reference: list[int], data: list[int], *, complete: bool = True) -> Marked:
    theirs, mine = (np.bincount(codes, minlength=50) for codes in (np.array(reference), np.array(data)))
    return Marked.counted(theirs, mine, complete=complete)


def test_the_share_by_hand() -> None:
    """Ten texts, six marks, one pair: g = 2/10, s = 6/10. Four of ten data hit a mark: (.4 - .2)/(.6 - .2) = 1/2."""
    found = counted([0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 7][:10], [0, 1, 2, 3, 6, 6, 7, 40, 41, 42])
    assert (found.known, found.marks, found.pairs, found.hits) == (10, 6, 2, 4)
    found = Marked(n=10, hits=4, marks=6, pairs=1, known=10)
    assert found.value == pytest.approx(0.5)


@pytest.mark.parametrize("hits", [0, 1, 2])
def test_the_upper_bound_is_that_of_every_draw_enumerated(hits: int) -> None:
    """The most of 9 reference texts, 5 of them marks, of which at most so few are marks in more than 5% of draws."""
    marks = set(range(5))
    most = max(
        taken
        for taken in range(10)
        if np.mean([len(marks & set(drawn)) <= hits for drawn in combinations(range(9), taken)]) > 0.05
    )
    assert Marked(n=20, hits=hits, marks=5, pairs=2, known=9).at_most(0.05) == pytest.approx(most / 20)


def test_of_a_part_the_upper_bound_is_the_binomial_one() -> None:
    found = Marked(n=50, hits=0, marks=40, pairs=0, known=80, complete=False)
    assert found.at_most(0.05) == pytest.approx((1 - 0.05 ** (1 / 50)) / 0.5)


def test_the_lower_bound_where_all_are_marks_is_a_quadratic() -> None:
    """s = 1, y = sqrt(1 - x): u/n = 1 - y² (1 - g) + z y sqrt(g (1 - g)/n), g the upper bound of no pair in 50."""
    found, g, z = Marked(n=80, hits=30, marks=100, pairs=0, known=100), 1 - 0.05 ** (1 / 50), 1.6448536269514722
    b = z * math.sqrt(g * (1 - g) / 80)
    y = (b + math.sqrt(b * b + 4 * (1 - g) * (1 - 30 / 80))) / (2 * (1 - g))
    assert found.at_least(0.05) == pytest.approx(1 - y * y)


@given(KINDS)
def test_chance_is_that_of_a_text_left_out(reference: list[int]) -> None:
    """How often a text of the reference hits a mark of the others, each left out once."""
    hits = [Counter(reference[:k] + reference[k + 1 :])[text] == 1 for k, text in enumerate(reference)]
    assert counted(reference, [0]).chance == pytest.approx(np.mean(hits))


@given(KINDS, KINDS, st.booleans(), st.sampled_from([0.05, 0.025]))
def test_bounds_are_shares_and_move_with_the_hits(
    reference: list[int], data: list[int], complete: bool, alpha: float
) -> None:
    found = counted(reference, data, complete=complete)
    assert 0 <= found.at_least(alpha) <= 1
    assert 0 <= found.at_most(alpha) <= 1
    assert found.at_least(alpha) <= found.value + 1e-9
    if found.hits:
        less = Marked(n=found.n, hits=found.hits - 1, marks=found.marks, pairs=found.pairs, known=found.known)
        more = Marked(n=found.n, hits=found.hits, marks=found.marks, pairs=found.pairs, known=found.known)
        assert less.at_least(alpha) <= more.at_least(alpha)
        assert less.at_most(alpha) <= more.at_most(alpha)
        assert less.value <= more.value


@given(KINDS, KINDS)
def test_how_often_a_text_is_written_again_changes_no_hit(reference: list[int], data: list[int]) -> None:
    again = counted(reference, data * 3)
    assert again.hits == counted(reference, data).hits


def test_a_reference_of_pairs_alone_tells_nothing() -> None:
    found = counted([0, 0, 1, 1, 2, 2], [0, 1, 2])
    assert (found.at_least(0.05), found.value, found.at_most(0.05)) == (0, 0, 1)
