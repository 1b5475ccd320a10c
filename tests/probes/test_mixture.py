"""Whether data are a mixture of two kinds: distances by hand, mixtures that are exact, and what chance leaves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.probes.statistics.mixture import misfit, worth


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)[:, None]


def distance(human: np.ndarray, machine: np.ndarray, data: np.ndarray) -> tuple[float, float]:
    found = misfit((human, machine), data, np.random.default_rng(0))
    return found.distance, found.share


def test_what_lies_where_neither_kind_does_is_as_far_as_can_be() -> None:
    """Human texts at 0, machines' at 1, the data at 2: below 2 every mixture has all, and the data none."""
    assert distance(column(*[0] * 20), column(*[1] * 20), column(*[2] * 20))[0] == 1


def test_half_between_the_kinds_is_a_quarter_away() -> None:
    """Data: half at 1/2, a quarter at each end. Up to 0 the data have 1/4 and the mixture 1 - x; up to 1/2 the data
    have 3/4. |1/4 - (1 - x)| and |3/4 - (1 - x)| are both 1/4 at x = 1/2, and one is larger elsewhere."""
    found = distance(column(*[0] * 40), column(*[1] * 40), column(*[0] * 10, *[0.5] * 20, *[1] * 10))
    assert found == (pytest.approx(0.25), pytest.approx(0.5))


@given(st.integers(0, 20), st.lists(st.integers(0, 5), min_size=5, max_size=20))
def test_what_is_mixed_exactly_is_no_distance_away(twentieths: int, values: list[int]) -> None:
    human, machine = np.array(values, dtype=np.float64), np.array(values, dtype=np.float64) * 2 + 1
    mixed = np.concatenate((np.repeat(human, 20 - twentieths), np.repeat(machine, twentieths)))
    assert distance(human[:, None], machine[:, None], mixed[:, None])[0] == pytest.approx(0, abs=1e-9)


def test_two_readings_must_ask_for_one_share() -> None:
    """One reading says all machines', the other all human: at no share are both less than a half wrong."""
    human, machine = np.tile([0.0, 0.0], (30, 1)), np.tile([1.0, 1.0], (30, 1))
    assert distance(human, machine, np.tile([1.0, 0.0], (30, 1))) == (pytest.approx(0.5), pytest.approx(0.5))


def test_copies_are_worth_less() -> None:
    """Four copies of one text and four texts: 8²/(4² + 4) = 3.2."""
    assert worth(np.array([0, 0, 0, 0, 1, 2, 3, 4])) == pytest.approx(3.2)


@pytest.mark.calibration
@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
@pytest.mark.parametrize("sizes", [(40, 40, 1000), (200, 100, 100)])
def test_a_mixture_is_seldom_further_than_chance(share: float, sizes: tuple[int, int, int]) -> None:
    """At most 5% of 100 mixtures, 13 in 99.9% of cases (binomial); never by as much as matters."""
    beyond = []
    for seed in range(100):
        rng = np.random.default_rng([seed, *sizes])
        k = rng.binomial(sizes[2], share)
        kinds = rng.normal(size=(sizes[0], 2)), rng.normal([1.0, 0.5], size=(sizes[1], 2))
        data = np.concatenate((rng.normal(size=(sizes[2] - k, 2)), rng.normal([1.0, 0.5], size=(k, 2))))
        beyond.append(misfit(kinds, data, rng).beyond)
    assert np.count_nonzero(beyond) <= 13
    assert max(beyond) < 0.1
