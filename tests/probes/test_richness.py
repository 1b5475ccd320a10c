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
from collapse_audit.probes.pairs.richness import distinct_ratio, lengths_of, richness
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


# In texts of one mean length


def in_one_length(comparison: Pair) -> Estimate:
    lengths = lengths_of(comparison.tokens, comparison.design)
    found = distinct_ratio(comparison, richness([comparison.words], comparison), what="tokens", lengths=lengths)
    assert isinstance(found, Estimate), found
    return found


def uneven(seed: int, texts: int, kinds: int = 400) -> list[str]:
    """Texts of 4 to 40 words, of Zipf's law (a flatter one where there are more kinds)."""
    rng = np.random.default_rng(seed)
    p = np.arange(1, kinds + 1) ** (-1.0 if kinds <= 400 else -0.7)
    return spell([rng.choice(kinds, size=rng.integers(4, 41), p=p / p.sum()).tolist() for _ in range(texts)])


def test_what_longer_texts_add_is_taken_off() -> None:
    """4 types stand in texts of 4 and 5 words, 3 in two of 4. The longer text holds one type more than the others that
    stands nowhere else, and one word more: 17 words/5 types is over 1, and 1 is taken. (3/5)(4/4.5)^-1."""
    found = in_one_length(pair(["a b c a", "a b c d e"], ["a b c a", "c b a a"]))
    assert found.value == pytest.approx(3 / 5 * (4 / 4.5) ** -1)
    assert found.raw == pytest.approx({"mean_length_ratio": 4 / 4.5, "slope": 1.0})


def test_the_slope_is_that_of_the_least_squares_line() -> None:
    texts = uneven(5, 60)
    held = Counter(word for text in texts for word in set(text.split()))
    single = [sum(held[word] == 1 for word in set(text.split())) for text in texts]
    length = [len(text.split()) for text in texts]
    line = np.polynomial.Polynomial.fit(length, single, 1).convert()
    found = in_one_length(pair(texts[:30], texts[30:], permutations=1))
    assert found.raw["slope"] == pytest.approx(line.coef[1] * sum(length) / len(held))


def test_longer_texts_that_hold_nothing_new_explain_nothing() -> None:
    """Where the same header stands before some texts, these are longer and hold no more types."""
    words = [[f"w{text}_{k}" for k in range(8)] for text in range(40)]
    texts = [" ".join(["the", "same", "words"] * 3 * (text % 2) + own) for text, own in enumerate(words)]
    found = in_one_length(pair(texts[:20], texts[20:], permutations=1))
    assert found.raw["slope"] == pytest.approx(0, abs=1e-9)


def test_texts_that_hold_next_to_nothing_are_not_forgiven() -> None:
    healthy = uneven(0, 40)
    for nothing in ("", "a b c"):
        found = in_one_length(pair(healthy, healthy[:20] + [nothing] * 20, permutations=1))
        plain = measured(pair(healthy, healthy[:20] + [nothing] * 20, permutations=1))
        lengths = [float(np.mean([len(text.split()) for text in texts])) for texts in (healthy, healthy[:20])]
        assert found.raw["mean_length_ratio"] == pytest.approx(lengths[1] / lengths[0])
        assert found.value == pytest.approx(plain.value * (lengths[1] / lengths[0]) ** -found.raw["slope"])
    found = in_one_length(pair(healthy, [""] * 40, permutations=1))
    assert found.raw["mean_length_ratio"] == 1
    assert found.value < 0.01


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_its_error_is_that_of_the_two_deviations_together(seed: int) -> None:
    """The sum, over texts, of (types only it holds/S - slope (its length less the mean)/the sum of lengths)^2."""
    sides = [text.split() for text in uneven(seed, 48)]
    found = in_one_length(pair(*([" ".join(text) for text in part] for part in (sides[:24], sides[24:]))))
    slope, variance = found.raw["slope"], 0.0
    for part in (sides[:24], sides[24:]):
        held = Counter(word for text in part for word in set(text))
        lone = np.array([sum(held[word] == 1 for word in set(text)) for text in part])
        length = np.array([len(text) for text in part])
        # Leave-one-out values of S, times (n - 1)/n, as influence values: Efron & Stein's jackknife.
        deviations = (lone - lone.mean()) * 23 / 24 / len(held) - slope * (length - length.mean()) / length.sum()
        variance += 24 / 23 * float((deviations**2).sum())
    assert half_width(found) == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_most_of_the_noise_of_halves_is_their_lengths() -> None:
    """80 pairs of 60 texts of one law, most words of which stand once. The noise is less than half as large, p-values
    are uniform, and the error that is told is not below the true one in the mean (4.5 standard errors, as above)."""
    logs, plain, variances, p = [], [], [], []
    for seed in range(80):
        texts = uneven(seed, 120, kinds=20_000)
        comparison = pair(texts[:60], texts[60:], permutations=99)
        found = in_one_length(comparison)
        logs.append(math.log(found.value))
        plain.append(math.log(measured(comparison).value))
        variances.append(half_width(found) ** 2)
        p.append(found.p_value)
    assert np.std(logs) < 0.5 * np.std(plain)
    assert abs(fmean(logs)) < 4.5 * np.std(logs) / math.sqrt(80)
    mean, error = fmean(variances), np.std(variances) / math.sqrt(80)
    assert mean + 4.5 * error >= np.var(logs, ddof=1) * (1 - 4.5 * math.sqrt(2 / 79))
    assert abs(fmean(p) - 0.5) < 4.5 * math.sqrt(1 / 12 / 80)


def test_swapping_sides_swaps_the_value() -> None:
    one, other = uneven(1, 40), uneven(2, 40)
    assert in_one_length(pair(one, other)).value == pytest.approx(1 / in_one_length(pair(other, one)).value)
