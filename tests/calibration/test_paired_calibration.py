"""The paired test rejects as often as it says, and its bounds are missed as often as they say, ties included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from collapse_audit.probes.statistics.paired import bounds, differences, paired
from tests.calibration.conftest import at_least, at_most

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]


@pytest.mark.parametrize("discordant", [0.02, 0.10, 0.40])
def test_right_and_wrong_answers_reject_at_most_at_the_level(repeats: Repeats, discordant: float) -> None:
    """200 items, most of them answered alike by both: the p-value is discrete, and never too small."""
    count = repeats(1000)
    rejected = 0
    for repeat in range(count):
        rng = np.random.default_rng([61, repeat])
        before = (rng.random(200) < 0.7).astype(np.float64)
        other = (rng.random(200) < discordant) & (rng.random(200) < 0.5)
        swap = rng.random(200) < 0.5
        first, second = np.where(swap, before, before != other), np.where(swap, before != other, before)
        found = paired(first.astype(float), second.astype(float), worse="lower", permutations=999, rng=rng, share=True)
        assert found.p_value is not None
        rejected += found.p_value <= 0.05
    assert rejected <= at_most(count, 0.05)


def test_skewed_ratios_of_sums_reject_at_the_level(repeats: Repeats) -> None:
    """Losses of 100 texts of very different lengths; the sides are exchangeable within a text, and both ways count."""
    count = repeats(1000)
    rejected = 0
    for repeat in range(count):
        rng = np.random.default_rng([62, repeat])
        words = np.ceil(rng.lognormal(3, 1, size=100))
        first, second = (words * rng.gamma(4.0, size=100) for _ in range(2))
        found = paired(first, second, weights=words, worse="higher", permutations=999, rng=rng)
        assert found.p_value is not None
        rejected += found.p_value <= 0.05
    assert at_least(count, 0.05) <= rejected <= at_most(count, 0.05)


@pytest.mark.parametrize(
    ("items", "lost", "won"),
    [(200, 0.02, 0.02), (200, 0.10, 0.02), (200, 0.05, 0.0), (200, 0.0, 0.05), (1000, 0.06, 0.01)],
)
def test_bounds_of_answers_with_many_ties_are_missed_as_often_as_they_say(
    repeats: Repeats, items: int, lost: float, won: float
) -> None:
    """Nominal 5% on either side; rare changes of one direction are the hardest case of the bootstrap."""
    count = repeats(1000)
    truth = won - lost
    missed = np.zeros(2)
    for repeat in range(count):
        rng = np.random.default_rng([63, repeat])
        change = rng.choice([-1.0, 1.0, 0.0], p=[lost, won, 1 - lost - won], size=items)
        low, high = bounds(differences(np.zeros(items), change, share=True), rng=rng)
        missed += low > truth + 1e-12, high < truth - 1e-12
    assert missed.max() <= at_most(count, 0.07)


@pytest.mark.parametrize("texts", [50, 200])
def test_bounds_of_skewed_ratios_are_missed_as_often_as_they_say(repeats: Repeats, texts: int) -> None:
    """Rise of the loss a word: per-text rises are lognormal, mean .1, independent of the number of words."""
    count = repeats(1000)
    missed = np.zeros(2)
    for repeat in range(count):
        rng = np.random.default_rng([64, repeat])
        words = np.ceil(rng.lognormal(3, 0.6, size=texts))
        rise = words * 0.1 * rng.lognormal(-0.32, 0.8, size=texts)
        low, high = bounds(differences(np.zeros(texts), rise, weights=words), rng=rng)
        missed += low > 0.1, high < 0.1
    assert missed.max() <= at_most(count, 0.10 if texts == 50 else 0.08)
