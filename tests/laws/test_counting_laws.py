"""Laws of counting: Hill numbers, expected coverage, repetition, and what doubling a corpus must and must not change.

Numbers in brackets are those of the study's list of ground truths.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from builders import estimate, estimates, pair, reason, sample, spell
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from collapse_audit.probes.diversity import diversity
from collapse_audit.probes.integrity import integrity
from collapse_audit.probes.label_coverage import label_coverage
from collapse_audit.probes.label_divergence import label_divergence
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.perplexity import perplexity
from collapse_audit.probes.repetition import repetition
from collapse_audit.probes.tail_coverage import tail_coverage
from collapse_audit.probes.token_divergence import token_divergence

Columns = dict[str, list[Any]]


def effective(rows: list[list[int]]) -> float:
    found = estimate(diversity, pair(spell(rows), spell(rows), permutations=1), "effective-tokens")
    return float(found.raw["effective_tokens_baseline"])


# [26] Hill numbers


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(2, 6))
def test_hill_numbers_fall_with_their_order(counts: list[int], texts: int) -> None:
    """Every text holds the same words equally often: pairs of texts then draw from p exactly, D2 = 1/sum p^2."""
    bag = [kind for kind, count in enumerate(counts) for _ in range(count)]
    p = np.array(counts) / sum(counts)
    d2 = effective([bag] * texts)
    assert d2 == pytest.approx(1 / float((p**2).sum()), rel=1e-9)
    d1 = math.exp(-float((p * np.log(p)).sum()))
    assert d2 <= d1 + 1e-9
    assert d1 <= len(counts) + 1e-9


@given(st.integers(1, 12), st.integers(2, 5))
def test_the_effective_number_of_equally_frequent_words_is_their_number(types: int, texts: int) -> None:
    assert effective([list(range(types))] * texts) == pytest.approx(types, rel=1e-9)


# [4] Expected number of types


def test_the_expected_number_of_distinct_words_is_the_closed_form() -> None:
    """E S = sum 1 - (1-p_i)^n; 160 samples of n = 40 one-word texts a side; within 4.5 standard errors of the mean."""
    p = 1 / np.arange(1, 61)
    p /= p.sum()
    rng = np.random.default_rng(1)
    values = []
    for _ in range(80):
        rows = spell(rng.choice(60, size=(80, 1), p=p))
        raw = estimate(tail_coverage, pair(rows[:40], rows[40:], permutations=1)).raw
        values += [raw["distinct_baseline"], raw["distinct_generation"]]
    expected = float((1 - (1 - p) ** 40).sum())
    assert abs(np.mean(values) - expected) < 4.5 * np.std(values) / math.sqrt(160)


# [30] Repetition


@given(st.integers(4, 60))
def test_a_constant_text_repeats_all_but_one_four_gram(length: int) -> None:
    text = " ".join(["la"] * length)
    found = estimate(repetition, pair([text], [text], permutations=1), "seq-rep-4")
    assert found.raw["baseline"] == pytest.approx(1 - 1 / (length - 3), abs=1e-12)


@given(st.integers(4, 40))
def test_a_text_of_different_words_repeats_nothing(length: int) -> None:
    found = estimate(repetition, pair(spell([range(length)]), spell([range(length)]), permutations=1), "seq-rep-4")
    assert found.raw["baseline"] == 0.0


@given(st.lists(st.integers(0, 2), min_size=2, max_size=30))
def test_seq_rep_and_distinct_of_a_text_add_up_to_one(row: list[int]) -> None:
    """For one text, distinct-2 of the corpus is distinct-2 of the text; seq-rep is measured at order 4: by sets."""
    comparison = pair(spell([row]), spell([row]), permutations=1)
    distinct = estimate(diversity, comparison, "distinct-2").raw["distinct_2_baseline"]
    assert distinct == pytest.approx(len(set(pairwise(row))) / (len(row) - 1))
    if len(row) < 4:
        assert reason(repetition, comparison, "seq-rep-4")
        return
    grams = [tuple(row[at : at + 4]) for at in range(len(row) - 3)]
    assert estimate(repetition, comparison, "seq-rep-4").raw["baseline"] + len(set(grams)) / len(
        grams
    ) == pytest.approx(1)


# [29] Duplicating a corpus


def corpus(seed: int, length: int) -> Columns:
    rng = np.random.default_rng(seed)
    texts: list[Any] = list(spell(rng.zipf(1.6, size=(40, length)).clip(max=60)))
    texts[:3] = ["", "x " * length, "x " * length]
    labels: list[Any] = [["A"] if rng.random() < 0.6 else ["B"] for _ in range(40)]
    return {"texts": texts, "labels": labels, "nll": list(rng.normal(3, 1, 40))}


def twice(columns: Columns) -> Columns:
    return {name: values * 2 for name, values in columns.items()}


@pytest.fixture
def once_and_twice() -> tuple[Pair, Pair]:
    sides = corpus(1, 9), corpus(2, 9)

    def comparison(*columns: Columns) -> Pair:
        made = [sample(c["texts"], labels=c["labels"], nll=c["nll"]) for c in columns]
        return pair(*made, labels="field", permutations=9, unit="document")

    return comparison(*sides), comparison(*map(twice, sides))


def test_doubling_both_corpora_leaves_every_share_and_distance_as_it_was(once_and_twice: tuple[Pair, Pair]) -> None:
    once, doubled = once_and_twice
    for built, statistic, names in (
        (repetition, "seq-rep-4", ("baseline", "generation")),
        (repetition, "looping", ("baseline", "generation")),
        (integrity, "empty", ("baseline", "generation")),
        (perplexity, "W1", ("w1", "shift_q50", "shift_mean")),
        (tail_coverage, "distinct-types", ("distinct_baseline", "distinct_generation")),
    ):
        before, after = (estimate(built, comparison, statistic).raw for comparison in (once, doubled))
        for name in names:
            # Quantiles interpolate between neighbours, so the median alone may move by part of a gap.
            assert after[name] == pytest.approx(before[name], abs=0.1 if name == "shift_q50" else 1e-9), name
    retained = [estimate(label_coverage, comparison).value for comparison in (once, doubled)]
    assert retained[1] == pytest.approx(retained[0], rel=1e-12)
    kl = [estimate(label_divergence, comparison).raw["kl_baseline_generation"] for comparison in (once, doubled)]
    assert kl[1] == pytest.approx(kl[0], abs=0.005)  # but for the added halves


def test_doubling_leaves_js_as_it_was_where_every_type_has_its_bin() -> None:
    sides = [spell(np.random.default_rng(seed).zipf(1.6, size=(40, 2)).clip(max=60)) for seed in (3, 4)]
    once, doubled = (
        estimate(token_divergence, pair(*(side * times for side in sides), permutations=9, unit="document"))
        for times in (1, 2)
    )
    assert doubled.raw["js"] == pytest.approx(once.raw["js"], rel=1e-9)
    assert doubled.raw["tokens_baseline"] == 2 * once.raw["tokens_baseline"]


def test_doubling_halves_distinct_n_and_the_unique_share_and_raises_collisions_as_it_must(
    once_and_twice: tuple[Pair, Pair],
) -> None:
    once, doubled = (estimates(diversity, comparison) for comparison in once_and_twice)
    for side in ("baseline", "generation"):
        before, after = once["distinct-2"].raw[f"distinct_2_{side}"], doubled["distinct-2"].raw[f"distinct_2_{side}"]
        assert after == pytest.approx(before / 2, rel=1e-12)
        unique = [found["duplicates"].raw[f"unique_share_{side}"] for found in (once, doubled)]
        assert unique[1] == pytest.approx(unique[0] / 2, rel=1e-12)
        # 40 texts, of which two are one: sum c(c-1) = 2. Doubled: 2c(2c-1) = 4 x 3 + 38 x 2, over 80 x 79.
        same = [found["duplicates"].raw[f"same_text_probability_{side}"] for found in (once, doubled)]
        assert same[1] > same[0]


def test_the_probability_of_the_same_text_after_doubling_is_the_closed_form() -> None:
    counts = [3, 1, 1, 2]
    texts = [f"t{k}" for k, count in enumerate(counts) for _ in range(count)]
    raw = estimate(diversity, pair(texts * 2, texts * 2, permutations=1), "duplicates").raw
    expected = sum(2 * c * (2 * c - 1) for c in counts) / (14 * 13)
    assert raw["same_text_probability_baseline"] == pytest.approx(expected, rel=1e-12)


def test_doubling_is_pseudo_replication_and_makes_p_values_too_small() -> None:
    """[29] Why rows must be original: 60 pairs without a change; doubled, more of them than chance allows seem to have
    moved. The limit is the .9999 quantile of Binomial(60, .05)."""
    once = doubled = 0
    for seed in range(60):
        rows = spell(np.random.default_rng(seed).zipf(1.6, size=(40, 3)).clip(max=60))
        sides = rows[:20], rows[20:]
        for times in (1, 2):
            p = estimate(
                token_divergence, pair(*(side * times for side in sides), permutations=99, unit="document")
            ).p_value
            assert p is not None
            if times == 1:
                once += p <= 0.05
            else:
                doubled += p <= 0.05
    limit = binom.isf(1e-4, 60, 0.05)
    assert once <= limit < doubled
