"""What a look may spend: sums in closed form, and the laws that keep alpha whole."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.errors import UsageError
from collapse_audit.verdicts.rule import holm
from collapse_audit.verdicts.sequential import (
    HORIZON,
    alpha_at,
    alpha_for,
    bound,
    can_reject,
    check_room,
    number_of,
    permutations_for,
)

alphas = st.floats(1e-4, 0.5)
digests = st.lists(st.sampled_from("abcdefgh"), max_size=40)


def spent_by(looks: int) -> Fraction:
    """Of alpha = 1 by the first ``looks`` looks, in closed form: t / 2H up to the horizon, and 1 - H / 2t behind it."""
    if looks <= HORIZON:
        return Fraction(looks, 2 * HORIZON)
    return 1 - Fraction(HORIZON, 2 * looks)


@pytest.mark.parametrize("looks", [1, 10, HORIZON, HORIZON + 1, 2 * HORIZON, 20 * HORIZON])
def test_the_first_looks_spend_what_the_closed_form_says(looks: int) -> None:
    assert sum(alpha_at(t, 1.0) for t in range(1, looks + 1)) == pytest.approx(float(spent_by(looks)), rel=1e-12)


def test_half_is_shared_out_equally_and_the_rest_never_runs_out() -> None:
    assert [alpha_at(t, 0.05) for t in range(1, 101)] == pytest.approx([0.00025] * 100)
    assert alpha_at(10**6, 0.05) > 0


@given(st.integers(1, 10**5), alphas)
def test_no_look_spends_more_than_the_one_before(look: int, alpha: float) -> None:
    assert alpha_at(look + 1, alpha) <= alpha_at(look, alpha)


@given(st.integers(1, 3000), alphas)
def test_however_many_looks_there_are_they_spend_less_than_alpha(looks: int, alpha: float) -> None:
    assert sum(alpha_at(t, alpha) for t in range(1, looks + 1)) < alpha


@given(digests)
def test_the_number_of_a_look_is_that_of_its_first_time(looks: list[str]) -> None:
    seen: list[str] = []
    for position, look in enumerate(looks):
        if look not in seen:
            seen.append(look)
        assert number_of(looks[:position], look) == seen.index(look) + 1


@given(digests, alphas)
def test_the_same_inputs_spend_once(looks: list[str], alpha: float) -> None:
    spent: dict[str, set[float]] = {}
    for position, look in enumerate(looks):
        spent.setdefault(look, set()).add(alpha_for(looks[:position], look, alpha))
    assert all(len(levels) == 1 for levels in spent.values())
    assert sum(level for levels in spent.values() for level in levels) < alpha


@given(st.integers(0, 400), st.floats(1e-6, 0.5))
def test_looks_that_kept_to_the_schedule_leave_alpha_as_the_bound(looks: int, alpha: float) -> None:
    assert bound([alpha_at(look, alpha) for look in range(1, looks + 1)], alpha) == pytest.approx(alpha)


def test_what_was_spent_before_is_counted_as_it_was_spent() -> None:
    """Two looks at .05 each instead of .00025 each: .05 + 2 (.05 - .00025)."""
    assert bound([0.05, 0.05], 0.05) == pytest.approx(0.05 + 2 * (0.05 - 0.00025))


def test_new_inputs_take_the_next_number() -> None:
    looks = ["a", "b", "a", "a"]
    assert number_of(looks, "a") == 1
    assert number_of(looks, "new") == 3
    assert alpha_for(["x"] * 500, "new", 0.05) == alpha_at(2, 0.05)


# -------------------------------------------------------------------------------------------------------- permutations


@given(st.integers(1, 200), st.floats(2e-4, 0.2))
def test_as_many_permutations_are_drawn_as_holm_needs(size: int, alpha: float) -> None:
    permutations = permutations_for(size, alpha, least=1, blocks=1)
    assert can_reject(size, alpha, permutations)
    assert not can_reject(size, alpha, permutations - 2)  # none for nothing: size / (B - 1) is over alpha


@given(st.integers(1, 40), st.floats(1e-4, 0.2), st.integers(1, 5000))
def test_being_able_to_reject_is_what_holm_says_of_the_smallest_p_value(
    size: int, alpha: float, permutations: int
) -> None:
    smallest = holm([1 / (permutations + 1)], family=size)[0]
    if abs(smallest / alpha - 1) > 1e-9:
        assert can_reject(size, alpha, permutations) == (smallest <= alpha)


def test_the_least_number_is_kept() -> None:
    assert permutations_for(1, 0.05, least=999, blocks=100) == 999


def test_what_memory_does_not_hold_is_not_drawn() -> None:
    # 40,000 blocks, a byte each and permutation: 2^31 / 40,000 = 53,687.09.
    assert permutations_for(13, 0.00001, least=999, blocks=40_000) == 53_687
    assert not can_reject(13, 0.00001, 53_687)
    assert permutations_for(13, 0.00025, least=999, blocks=40_000) == 52_000


def test_more_than_memory_holds_is_refused_where_a_user_asks_for_it() -> None:
    check_room(53_687, 40_000)
    check_room(999, 40_000_000)
    with pytest.raises(UsageError, match="for 40,000 documents memory holds 53,687; lower permutations"):
        check_room(53_688, 40_000)


def test_a_tiny_alpha_asks_for_no_more_than_a_million() -> None:
    assert permutations_for(20, 1e-300, least=999, blocks=50) == 1_000_000
    assert permutations_for(1000, 0.00001, least=20_000, blocks=1_000_000) == 20_000  # the setting wins over memory
