"""Distinct types at equal n: the jackknife by leaving blocks out, and its honesty."""

from __future__ import annotations

import math
from collections import Counter
from statistics import fmean

import numpy as np
import pytest
from builders import pair, sample, spell
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.richness import distinct_ratio, richness
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured, Z

DOCUMENTS = st.lists(st.frozensets(st.integers(0, 5), max_size=4), min_size=1, max_size=8)


def frequencies(documents: list[frozenset[int]]) -> list[int]:
    return list(Counter(kind for document in documents for kind in document).values())


# The jackknife, as it stands in an estimate's interval


def half_width(found: Estimate) -> float:
    """Standard error of ln(value): the interval is normal on that scale."""
    return math.log(found.high / found.low) / (2 * Z)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_the_error_equals_that_of_leaving_every_block_out(seed: int, grouped: bool) -> None:
    """Jackknife variance of S, (G-1)/G sum (S_(i) - mean)^2, over S^2 (first order); G = 24 or 12 blocks a side."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, 40, size=5).tolist() for _ in range(48)]
    keys = [[f"{side}{i // 2}" for i in range(24)] if grouped else None for side in "bg"]
    comparison = pair(sample(spell(rows[:24]), groups=keys[0]), sample(spell(rows[24:]), groups=keys[1]))
    variance = 0.0
    for part in (rows[:24], rows[24:]):
        blocks = [set(part[i]) | set(part[i + 1]) for i in range(0, 24, 2)] if grouped else [set(row) for row in part]
        distinct = len(set().union(*blocks))
        left = np.array([len(set().union(*blocks[:i], *blocks[i + 1 :])) for i in range(len(blocks))], dtype=np.float64)
        g = len(blocks)
        variance += (g - 1) / g * float(((left - left.mean()) ** 2).sum()) / distinct**2
    assert half_width(measured(comparison)) == pytest.approx(math.sqrt(variance), rel=1e-9, abs=1e-12)


def test_the_jackknife_variance_is_not_below_the_true_one_in_the_mean() -> None:
    """Efron & Stein 1981: the jackknife overestimates the variance in expectation; here of ln S(20), Zipf's law.

    150 pairs of 20 documents a side. The mean of the squared errors, and 4.5 of its own standard errors, must not lie
    below the variance of the log ratio less 4.5 of its own (normal theory: sd of s^2 is about s^2 sqrt(2/149)).
    """
    probabilities = 1 / np.arange(1, 201)
    probabilities /= probabilities.sum()
    logs, variances = [], []
    for seed in range(150):
        rows = np.random.default_rng(seed).choice(200, size=(40, 6), p=probabilities)
        found = measured(pair(spell(rows[:20]), spell(rows[20:]), permutations=1))
        logs.append(math.log(found.value))
        variances.append(half_width(found) ** 2)
    true = float(np.var(logs, ddof=1))
    mean, error = fmean(variances), np.std(variances) / math.sqrt(len(variances))
    assert mean + 4.5 * error >= true * (1 - 4.5 * math.sqrt(2 / 149))
    assert mean < 2 * true  # and it is not absurdly wide


# The ratio


def ratio_of(comparison: Pair) -> Estimate | NotMeasured:
    return distinct_ratio(comparison, richness([comparison.words], comparison), what="tokens")


def measured(comparison: Pair) -> Estimate:
    found = ratio_of(comparison)
    assert isinstance(found, Estimate), found
    return found


def test_the_value_is_the_ratio_of_distinct_types() -> None:
    assert measured(pair(["a b c", "a d", "e"], ["a b", "a b", "c"])).value == pytest.approx(3 / 5)


def test_a_generation_without_a_token_has_lost_all_types() -> None:
    found = measured(pair([f"a{i}" for i in range(30)], [""] * 30, permutations=999))
    assert found.value == pytest.approx(0.5 / 30)  # ln 0 is out of the question: half a type
    assert found.p_value == 0.001
    assert found.high < 0.9


def test_a_baseline_without_a_token_is_not_measured() -> None:
    found = ratio_of(pair(["", " "], ["a", "b"]))
    assert isinstance(found, NotMeasured)
    assert found.reason == "the baseline holds no tokens"
