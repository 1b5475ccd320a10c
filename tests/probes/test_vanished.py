"""Vanished words by hand on small tables, against a second implementation by Counter, and under laws of their own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from builders import estimate, pair, readings, sample, spell
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.vanished import (
    LEAST,
    LIKELY,
    REPLACED,
    SURE,
    by_chance,
    common_words,
    critical,
    heads,
    sweep_vanished,
)
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured, Z
from collapse_audit.probes.token_divergence import token_divergence

ZIPF = 1 / (np.arange(1, 401) + 2.7)
ZIPF /= ZIPF.sum()

Texts = list[str]


def texts(n: int, seed: int, *, length: int = 12, prefix: str = "w") -> Texts:
    rng = np.random.default_rng(seed)
    return spell(rng.choice(ZIPF.size, size=(n, length), p=ZIPF), prefix)


def vanished(comparison: Pair) -> Estimate:
    return estimate(token_divergence, comparison, "vanished")


def net(baseline: Texts, generation: Texts) -> float:
    return vanished(pair(baseline, generation, permutations=19)).value


# By hand


def test_a_word_of_every_baseline_text_that_no_text_of_the_generation_holds_is_half_of_two_words() -> None:
    """20 texts "left stays", 20 texts "stays": 20 of the baseline's 40 words went; "stays" is all that is left."""
    assert net(["left stays"] * 20, ["stays"] * 20) == pytest.approx(0.5)


def test_a_word_in_the_place_of_another_is_no_loss() -> None:
    assert net(["left stays"] * 20, ["came stays"] * 20) == 0


def test_ten_words_that_became_one_are_lost_but_for_five_times_one_of_them() -> None:
    """Ten words in 20 texts each: a tenth of the words, or 1/20, each; the new one stands for one of ten, times 5."""
    baseline = [f"word{chr(97 + k)} stays" for k in range(10) for _ in range(20)]
    assert net(baseline, ["merged stays"] * 200) == pytest.approx(10 / 20 - 5 / 20)


def test_a_fifth_that_came_anew_replaces_all() -> None:
    """Ten words went, two came that are as frequent: 10/20 - 5 x 2/20 = 0."""
    baseline = [f"word{chr(97 + k)} stays" for k in range(10) for _ in range(20)]
    generation = [f"new{chr(97 + k)} stays" for k in range(2) for _ in range(20)] + ["stays"] * 160
    assert net(baseline, generation) <= 1e-12


def test_case_signs_and_repetition_within_a_text_are_no_words() -> None:
    baseline = ["Left, stays; left LEFT"] * 20
    assert net(baseline, [text.lower() for text in baseline]) == 0
    assert net(baseline, ["- " + text for text in baseline]) == 0
    assert net(baseline, ["left stays"] * 20) == 0


def test_rare_numbers_are_told_together_and_all_of_them_becoming_one_is_a_loss() -> None:
    """300 numbers, each in one text: no one of them can be common_words, but bins of them empty."""
    baseline = [f"in {1000 + k} it stays" for k in range(300)]
    assert net(baseline, ["in 0 it stays"] * 300) > 0.2 - 5 * 0.25 / 12 - 0.01
    assert net(baseline, [f"in {5000 + k} it stays" for k in range(300)]) == pytest.approx(0, abs=0.03)


def test_a_number_is_its_digits_whatever_ending_stands_with_them() -> None:
    """1990s and 1990th are 1990; mp3 and 3rivers are words."""
    assert net(["stays 1990s", "stays 1990", "stays 1990th"] * 10, ["stays 1990"] * 30) == 0
    assert net(["stays mp3"] * 30, ["stays mp4"] * 30) == 0
    words = common_words(pair(["mp3 3rivers 3"] * 10, ["mp3 3rivers 3rd"] * 10)).spelled
    assert sorted(filter(None, words)) == ["3", "3rivers", "mp3"]


def test_a_word_must_stand_in_ten_texts_and_then_be_gone_from_all() -> None:
    """9 texts on one side by chance: 1/512 > .001; 10: 1/1024. 3 of 23 are p = .0002, of 20 p = .0013."""
    assert critical(np.array([9, 10, 13, 20, 23, 100]), SURE).tolist() == [-1, 0, 0, 2, 3, 19]
    for d in range(1, 120):
        bound = critical(np.array([d]), SURE)[0]
        tail = [sum(math.comb(d, x) for x in range(c + 1)) * Fraction(1, 2**d) for c in (bound, bound + 1)]
        assert bound < 0 or (tail[0] <= SURE and 5 * bound < d)
        assert tail[1] > SURE or 5 * (bound + 1) >= d


@pytest.mark.parametrize("level", [1e-6, SURE, LIKELY, 0.3])
def test_the_bound_is_the_quantile_of_a_binomial_in_large_corpora_too(level: float) -> None:
    frequency = np.concatenate((np.arange(1, 3000), [19_999, 20_000, 400_001]))
    quantile = binom.ppf(level, frequency, 0.5)
    under = np.where(binom.cdf(quantile, frequency, 0.5) <= level, quantile, quantile - 1)
    assert (critical(frequency, level) == np.minimum(under, -(-frequency // 5) - 1)).all()


def test_heads_of_a_coin_are_binomial() -> None:
    for tosses in (0, 1, 7, 60, 5000):
        most = np.arange(-2, tosses + 3)
        expected = binom.cdf(most, tosses, 0.5)
        assert heads(most, np.full(most.size, tosses)) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("level", [SURE, LIKELY, 1.0])
def test_what_chance_brings_is_the_sum_over_its_binomials(level: float) -> None:
    frequency = np.arange(LEAST, 80)
    left = critical(frequency, level)
    summed = sum(
        binom.pmf(x, d, 0.5) * (d - 2 * x) for d, c in zip(frequency, left, strict=True) for x in range(int(c) + 1)
    )
    assert by_chance(frequency, left) == pytest.approx(summed, rel=1e-9)


# A second implementation


def by_counter(baseline: Sequence[str], generation: Sequence[str]) -> float:
    """Net loss of plain words, no numbers, as many texts on each side; by sets and Counter."""
    held = [Counter(word for text in side for word in set(text.lower().split())) for side in (baseline, generation)]
    size = [sum(count.values()) for count in held]
    words = [word for word in {*held[0], *held[1]} if held[0][word] + held[1][word] >= LEAST]
    middle = sum(size) / 2

    def gone(one: int, level: float) -> dict[str, float]:
        other = 1 - one
        found = {}
        for word in words:
            d, left = held[0][word] + held[1][word], held[other][word]
            if 5 * left < d and binom.cdf(left, d, 0.5) <= level:
                found[word] = held[one][word] / size[one] - left / size[other]
        return found

    def doubtful() -> float:
        total = 0.0
        for word in words:
            d = held[0][word] + held[1][word]
            for x in range(d):
                if 5 * x < d and binom.cdf(x, d, 0.5) <= LIKELY:
                    total += binom.pmf(x, d, 0.5) * (d - 2 * x)
        return 2 * total / middle

    def loss(one: int) -> float:
        went = gone(one, SURE)
        if not went:
            return 0.0
        mean = sum(went.values()) / len(went)
        sure = sum(min(share, mean) for share in gone(1 - one, SURE).values())
        perhaps = sum(min(share, mean) for share in gone(1 - one, LIKELY).values()) - doubtful()
        return max(0.0, sum(went.values()) - REPLACED * max(sure, perhaps))

    return loss(0) - loss(1)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_value_and_p_are_those_of_an_implementation_by_counter(share: float) -> None:
    """A quarter of the baseline is in another language; the generation keeps 1 - share of it."""
    baseline = texts(90, 1) + texts(30, 2, prefix="x")
    kept = round(30 * (1 - share))
    generation = texts(120 - kept, 3) + texts(kept, 4, prefix="x")
    comparison = pair(baseline, generation, permutations=29)
    both = np.array([*baseline, *generation], dtype=object)
    values = [by_counter(both[row == 0], both[row == 1]) for row in comparison.relabellings]
    found = vanished(comparison)
    assert found.value == pytest.approx(values[0], abs=1e-6)
    assert found.p_value == pytest.approx(sum(value >= values[0] - 1e-9 for value in values) / 30)
    assert found.low <= found.value <= found.high


def test_the_interval_follows_from_numerical_derivatives() -> None:
    """Every text once more or less, the vanished words being given: the derivative of the share that they hold."""
    baseline = texts(90, 1) + texts(30, 2, prefix="x")
    generation = texts(90, 1) + texts(30, 5)
    comparison = pair(baseline, generation, permutations=29)
    found = vanished(comparison)
    words = common_words(comparison)
    counts = [words.texts.on(side) for side in (~comparison.design.side, comparison.design.side)]
    went = {words.spelled[i] for i in np.flatnonzero((counts[1] <= words.sure) & (counts[0] > counts[1]))}
    squares = 0.0
    for side in (baseline, generation):
        held = np.array([len(set(text.split()) & went) for text in side])
        size = np.array([len(set(text.split())) for text in side])
        influence = (held - held.sum() / size.sum() * size) / size.sum()
        squares += float((influence**2).sum() * 120 / 119)
    swept = sweep_vanished(words, comparison.relabellings)
    assert swept.replaced[0] == 0
    assert (found.value - found.low) / Z == pytest.approx(max(math.sqrt(squares), swept.net[1:].std()))


# Laws

SMALL = st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6).map(" ".join), min_size=24, max_size=24)


@settings(max_examples=40, deadline=None)
@given(SMALL, SMALL)
def test_exchanging_the_sides_turns_the_sign(baseline: Texts, generation: Texts) -> None:
    assert net(baseline, generation) == pytest.approx(-net(generation, baseline), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(SMALL, st.permutations("abcdefgh"))
def test_other_names_of_all_words_change_nothing(baseline: Texts, names: list[str]) -> None:
    generation = [text.replace("a", "b") for text in baseline]
    translate = str.maketrans("abcdefgh", "".join(names))
    assert net(baseline, generation) == pytest.approx(
        net([text.translate(translate) for text in baseline], [text.translate(translate) for text in generation])
    )


@given(SMALL)
@settings(max_examples=20, deadline=None)
def test_a_corpus_beside_itself_lost_nothing(baseline: Texts) -> None:
    found = vanished(pair(baseline, baseline, permutations=19))
    assert found.value == 0
    assert found.p_value == 1


def test_the_more_of_a_language_goes_the_more_has_vanished() -> None:
    baseline = texts(160, 1) + texts(40, 2, prefix="x")
    found = [net(baseline, texts(160 + gone, 3) + texts(40 - gone, 4, prefix="x")) for gone in (0, 20, 32, 36, 40)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(0, abs=0.01)
    assert found[-1] > 0.05


def test_what_vanished_is_shown_and_each_of_it_stood_in_ten_texts() -> None:
    found = vanished(pair(["Secret left stays"] * 9 + ["left stays"] * 20, ["stays"] * 29, permutations=19))
    assert found.evidence == (
        {"kind": "vanished", "term": "left", "baseline_documents": 29, "generation_documents": 0},
    )


def test_texts_of_signs_alone_have_no_word_to_lose() -> None:
    found = readings(token_divergence, pair(["!!"] * 12, ["??"] * 12))["vanished"]
    assert isinstance(found, NotMeasured)
    assert found.reason == "the baseline holds no word"


def test_against_its_own_training_texts_the_upper_bound_counts_all_that_thinned() -> None:
    sides = sample(texts(100, 5)), sample(texts(100, 6))
    fair, unfair = (vanished(pair(*sides, trained_on_baseline=trained)) for trained in (False, True))
    assert unfair.high >= fair.high
    assert unfair.low == fair.low
    assert "one-sided" in unfair.notes
