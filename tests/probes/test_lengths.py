"""Equal token budgets: when texts are cut, and to which length."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse_audit.probes.statistics.lengths import least_cut, matched_length


def budget(lengths: npt.NDArray[np.int64], cut: int) -> float:
    return float(np.minimum(lengths, cut).mean())


def test_the_same_lengths_need_no_cut() -> None:
    lengths = np.arange(1, 50)
    assert matched_length(lengths, lengths) is None


def test_a_difference_within_chance_needs_no_cut() -> None:
    """Halves of one lognormal sample are over 3 standard errors apart in .27%: over 6 of 400 in one of 10^4 seeds."""
    cuts = 0
    for seed in range(400):
        lengths = np.random.default_rng(seed).lognormal(3.5, 0.5, size=400).astype(np.int64)
        cuts += matched_length(lengths[:200], lengths[200:]) is not None
    assert cuts <= 6


def test_a_certain_but_tiny_difference_needs_no_cut() -> None:
    """1% apart with hardly any spread: many standard errors, but no material budget."""
    assert matched_length(np.full(1000, 100), np.full(1000, 101)) is None
    assert matched_length(np.full(1000, 100), np.full(1000, 103)) is not None


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.floats(0.2, 0.9))
def test_after_the_cut_both_sides_have_nearly_equal_budgets(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    long = rng.lognormal(3.7, 0.4, size=200).astype(np.int64) + 1
    short = np.maximum((rng.lognormal(3.7, 0.4, size=200) * share).astype(np.int64), 1)
    cut = matched_length(long, short)
    if cut is None:
        return
    one, other = budget(long[long >= 4], cut), budget(short[short >= 4], cut)
    assert abs(one - other) <= 0.02 * max(one, other)
    # And it is the longest of the lengths that were tried: at the longest text nothing is balanced.
    everything = int(max(long.max(), short.max()))
    assert cut < everything
    assert matched_length(short, long) == cut  # whichever side is which


def test_the_cut_is_the_longest_that_balances_by_trying_them_all() -> None:
    long, short = np.full(400, 30), np.repeat(np.arange(8, 20), 50)
    balanced = [cut for cut in range(1, 31) if abs(budget(long, cut) - budget(short, cut)) <= 0.02 * budget(long, cut)]
    assert len(balanced) > 1
    assert matched_length(long, short) == max(balanced)


def test_where_no_cut_balances_the_lower_quartile_is_used() -> None:
    """At the shortest length that occurs, 10, budgets are equal; texts of 4 tokens beside it leave none that is."""
    assert matched_length(np.full(100, 30), np.array([10] * 50 + [30] * 50)) == 10
    assert matched_length(np.full(100, 30), np.array([4] * 20 + [12] * 30 + [30] * 50)) == 4


def test_texts_too_short_to_be_measured_do_not_dictate_the_cut() -> None:
    """A side that writes nothing in 40% of its texts leaves the other side's texts whole."""
    full = np.full(100, 30)
    assert matched_length(full, np.array([0] * 40 + [30] * 60)) is None
    assert matched_length(full, np.array([3] * 99 + [30])) is None
    assert matched_length(full, np.array([1] * 40 + [10] * 60)) == matched_length(full, np.full(60, 10)) == 10


def test_a_few_short_texts_do_not_dictate_how_much_of_a_text_is_looked_at_for_repeats() -> None:
    """Lower quartiles by hand: of 100 texts the 25th; 4 tokens where nothing is longer."""
    few_short, same = np.array([7] * 10 + [46] * 90), np.full(100, 52)
    assert matched_length(few_short, same) == 7
    assert least_cut(few_short, same) == least_cut(same, few_short) == 46
    assert least_cut(np.array([1, 2]), np.array([0])) == 4


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_is_cut_where_a_side_has_no_spread_to_judge_by(n: int) -> None:
    assert matched_length(np.full(n, 5), np.full(10, 50)) is None
    assert matched_length(np.full(10, 50), np.full(n, 5)) is None
