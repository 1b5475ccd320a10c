"""Wright-Fisher against the identities of population genetics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation.wright_fisher import (
    documents,
    expected_heterozygosity,
    expected_types,
    type_names,
    wright_fisher,
    zipf,
)

P, N, GENERATIONS, PATHS = np.array([0.5, 0.3, 0.15, 0.05]), 25, 6, 4000


@pytest.fixture(scope="module")
def shares() -> np.ndarray:
    """q_k of many paths, shape (PATHS, GENERATIONS + 1, 4)."""
    rng = np.random.default_rng(11)
    return np.array([wright_fisher(P, N, GENERATIONS, rng) for _ in range(PATHS)]) / N


def within(values: np.ndarray, expected: np.ndarray | float) -> bool:
    """Is the mean over paths within 4.5 standard errors? By chance it is not about once in 150,000 values."""
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return bool((np.abs(values.mean(axis=0) - expected) <= 4.5 * error).all())


def test_expected_shares_never_move(shares: np.ndarray) -> None:
    assert within(shares, P)


def test_the_variance_of_a_share_grows_as_drift_says(shares: np.ndarray) -> None:
    draws = np.arange(1, GENERATIONS + 2)[:, None]
    assert within((shares - P) ** 2, P * (1 - P) * (1 - (1 - 1 / N) ** draws))


def test_heterozygosity_falls_by_one_minus_one_over_n(shares: np.ndarray) -> None:
    expected = np.array([expected_heterozygosity(P, N, draws) for draws in range(1, GENERATIONS + 2)])
    assert within(1 - (shares**2).sum(axis=2), expected)
    by_hand = (24 / 25) ** 3 * (1 - (0.25 + 0.09 + 0.0225 + 0.0025))
    assert expected_heterozygosity(P, N, 3) == pytest.approx(by_hand)


def test_the_expected_number_of_types_is_the_closed_form(shares: np.ndarray) -> None:
    assert within((shares[:, 0] > 0).sum(axis=1).astype(float), expected_types(P, N))
    assert expected_types(np.array([0.5, 0.5]), 2) == pytest.approx(1.5)  # both in two draws: half of the time


def test_a_type_takes_over_with_the_probability_of_its_share() -> None:
    rng = np.random.default_rng(3)
    last = np.array([wright_fisher(np.array([0.5, 0.3, 0.2]), 5, 120, rng)[-1] for _ in range(3000)])
    assert (last.max(axis=1) == 5).all()  # (4/5)^121 of the heterozygosity is left: nothing
    assert within((last == 5).astype(float), np.array([0.5, 0.3, 0.2]))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_what_is_lost_stays_lost_and_sizes_are_kept(types: int, n: int, generations: int, seed: int) -> None:
    counts = wright_fisher(zipf(types), n, generations, np.random.default_rng(seed))
    assert counts.shape == (generations + 1, types)
    assert (counts.sum(axis=1) == n).all()
    assert ((counts[:-1] > 0) >= (counts[1:] > 0)).all()


def test_zipf_is_what_its_name_says() -> None:
    assert zipf(3, 1.0) == pytest.approx(np.array([6, 3, 2]) / 11)
    assert zipf(4, 0.0) == pytest.approx([0.25] * 4)


@pytest.mark.parametrize("types", [1, 74, 75, 76, 6000])
def test_every_type_has_a_name_of_its_own_in_letters(types: int) -> None:
    names = type_names(types)
    assert len(set(names)) == types
    assert all(name.isalpha() and len(name) == len(names[0]) for name in names)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_documents_hold_the_counted_words(counts: list[int], words: int, seed: int) -> None:
    array = np.array(counts) * words
    texts = documents(array, words, np.random.default_rng(seed))
    flat = " ".join(texts).split()
    assert [flat.count(name) for name in type_names(len(counts))] == array.tolist()
    assert {len(text.split()) for text in texts} <= {words}


def test_words_that_do_not_fill_documents_are_refused() -> None:
    with pytest.raises(ValueError, match="7 words cannot be cut into documents of 2"):
        documents(np.array([7]), 2, np.random.default_rng(0))


@pytest.mark.parametrize("call", [lambda rng: wright_fisher(P, 0, 1, rng), lambda rng: wright_fisher(P, 1, -1, rng)])
def test_senseless_sizes_are_refused(call: object) -> None:
    with pytest.raises(UsageError, match="allowed: n of 1 or more"):
        call(np.random.default_rng(0))  # type: ignore[operator]
