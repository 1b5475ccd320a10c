"""The distances of ``benchmarks/wasserstein.py`` against SciPy and closed forms, and its two damages."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, wasserstein_distance

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import wasserstein


def test_distances_are_scipys() -> None:
    rng = np.random.default_rng(0)
    p, q = rng.integers(0, 9, 50).astype(float), rng.integers(0, 9, 50).astype(float)
    assert wasserstein.kl(p, q) == pytest.approx(entropy(p + 0.5, q + 0.5))
    assert wasserstein.js(p, q) == pytest.approx(jensenshannon(p, q) ** 2)
    order = np.argsort(-(p + q), kind="stable")
    places = np.arange(50)
    assert wasserstein.w1_rank(p, q) == pytest.approx(wasserstein_distance(places, places, p[order], q[order]))


def test_the_linear_program_moves_mass_between_two_words_by_their_distance() -> None:
    vectors = np.random.default_rng(0).normal(size=(2, 50))
    apart = float(np.sqrt(((vectors[0] - vectors[1]) ** 2).sum()))
    assert wasserstein.w1_vectors(np.array([3.0, 1.0]), np.array([1.0, 3.0])) == pytest.approx(apart / 2)


def test_a_damaged_tail_lost_a_fifth_of_its_probability_or_of_its_words() -> None:
    healthy, sharpened, drifted = (wasserstein.shares(1000, damage) for damage in ("", *wasserstein.DAMAGES))
    tail = np.cumsum(healthy) - healthy >= 0.9
    for damaged in (sharpened, drifted):
        assert damaged.sum() == pytest.approx(1)
    assert sharpened[tail].sum() == pytest.approx(0.8 * healthy[tail].sum())
    assert drifted[tail].sum() == pytest.approx(healthy[tail].sum())
    assert np.count_nonzero(drifted[tail] == 0) == pytest.approx(0.2 * np.count_nonzero(tail), abs=1)


def test_kl_sees_lost_words_and_wasserstein_lost_probability() -> None:
    """The page's two halves, in small: 1,000 words, 20,000 tokens."""
    probability, words = (wasserstein.sensitivity(1000, 20_000, damage, 15) for damage in wasserstein.DAMAGES)
    assert probability["W1 rank"] > 2 * probability["KL"]
    assert words["KL"] > 2 * words["W1 rank"]
