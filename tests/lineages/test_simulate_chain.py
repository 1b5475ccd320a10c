"""Sharpening and truncation against their closed forms and against counts."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr
from scipy.stats import chisquare

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation.chain import WordChain, entropy, kept_mass, sharpening_kl

SOURCE = ["a a a a b b c", "a b d"]
"""Ten words: a 5, b 3, c 1, d 1."""
COUNTS = st.lists(st.integers(1, 50), min_size=1, max_size=8)


def chain_of(counts: list[int]) -> WordChain:
    return WordChain.fit([" ".join(f"w{index}" for index, count in enumerate(counts) for _ in range(count))])


def as_dict(chain: WordChain) -> dict[str, float]:
    return dict(zip(chain.vocabulary.words, chain.shares().tolist(), strict=True))


def test_unigram_shares_are_the_counted_ones() -> None:
    assert as_dict(WordChain.fit(SOURCE)) == pytest.approx({"a": 0.5, "b": 0.3, "c": 0.1, "d": 0.1})


def test_sharpening_squares_and_normalises() -> None:
    # 25, 9, 1, 1 out of 36
    expected = {"a": 25 / 36, "b": 9 / 36, "c": 1 / 36, "d": 1 / 36}
    assert as_dict(WordChain.fit(SOURCE).sharpened(2)) == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(COUNTS, st.floats(0.2, 5))
def test_kl_of_sharpening_is_its_closed_form(counts: list[int], gamma: float) -> None:
    chain = chain_of(counts)
    direct = rel_entr(chain.shares(), chain.sharpened(gamma).shares()).sum()
    assert sharpening_kl(chain.shares(), gamma) == pytest.approx(direct, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(COUNTS, st.floats(1, 4), st.floats(1, 4))
def test_entropy_never_rises_with_gamma_and_steps_multiply(counts: list[int], one: float, two: float) -> None:
    chain = chain_of(counts)
    both = chain.sharpened(one).sharpened(two)
    assert entropy(both.shares()) <= entropy(chain.sharpened(one).shares()) + 1e-9
    assert both.shares() == pytest.approx(chain.sharpened(one * two).shares(), abs=1e-12)


def test_a_uniform_distribution_does_not_sharpen() -> None:
    assert chain_of([3, 3, 3, 3]).sharpened(7).shares() == pytest.approx([0.25] * 4)


def test_an_extreme_gamma_leaves_the_most_frequent_word() -> None:
    assert as_dict(WordChain.fit(SOURCE).sharpened(1e6)) == pytest.approx({"a": 1, "b": 0, "c": 0, "d": 0})


@pytest.mark.parametrize(
    ("mass", "kept"), [(0.4, "a"), (0.5, "a"), (0.51, "ab"), (0.8, "ab"), (0.85, "abc"), (1, "abcd")]
)
def test_top_p_keeps_the_smallest_set_that_holds_the_mass(mass: float, kept: str) -> None:
    shares = as_dict(WordChain.fit(SOURCE).truncated(mass))
    assert {word for word, share in shares.items() if share} == set(kept)
    assert sum(shares.values()) == pytest.approx(1)


@settings(max_examples=50, deadline=None)
@given(COUNTS, st.floats(0.01, 1))
def test_kl_of_top_p_is_minus_log_of_the_kept_mass(counts: list[int], mass: float) -> None:
    chain = chain_of(counts)
    cut = chain.truncated(mass)
    assert kept_mass(chain, cut) >= mass - 1e-9
    assert rel_entr(cut.shares(), chain.shares()).sum() == pytest.approx(-math.log(kept_mass(chain, cut)), abs=1e-9)


def test_a_bigram_chain_has_the_counted_conditionals() -> None:
    chain = WordChain.fit(["a b a c", "a b"], order=2)
    row = chain.row_of[chain.vocabulary.words.index("a")]
    here = slice(chain.start[row], chain.start[row + 1])
    words = [chain.vocabulary.words[index] for index in chain.words[here]]
    # After a: b twice, c once. p^2: 4 to 1.
    assert dict(zip(words, chain.probability[here], strict=True)) == pytest.approx({"b": 2 / 3, "c": 1 / 3})
    assert chain.sharpened(2).probability[here] == pytest.approx([4 / 5, 1 / 5])
    assert np.add.reduceat(chain.probability, chain.start[:-1]) == pytest.approx(1)


def test_bigram_samples_hold_only_pairs_that_were_read() -> None:
    source = ["a b c d", "b d a", "d d c a"]  # every word is followed by one somewhere
    pairs = {pair for text in source for pair in pairwise(text.split())}
    sampled = WordChain.fit(source, order=2).sharpened(1.2).sample(300, np.random.default_rng(0))
    assert {pair for text in sampled for pair in pairwise(text.split())} <= pairs
    assert {text.split()[0] for text in sampled} == {"a", "b", "d"}


def test_sampled_words_follow_the_sharpened_shares() -> None:
    # 36,000 words with shares 25, 9, 1, 1 of 36; the chance of p < 1e-4 is 1e-4, and the seed is fixed.
    source = [text for text in SOURCE for _ in range(10)]
    words = " ".join(WordChain.fit(source, order=1).sharpened(2.0).sample(7200, np.random.default_rng(1))).split()
    observed = [words.count(word) for word in "abcd"]
    assert chisquare(observed, len(words) * np.array([25, 9, 1, 1]) / 36).pvalue > 1e-4


def test_documents_keep_the_lengths_of_the_source() -> None:
    for order in (1, 2):
        sampled = WordChain.fit(SOURCE, order=order).sample(2, np.random.default_rng(0))
        assert sorted(len(text.split()) for text in sampled) == [3, 7]


def test_top_p_sampling_writes_no_word_that_was_cut() -> None:
    assert set(
        " ".join(WordChain.fit(SOURCE, order=1).truncated(0.8).sample(50, np.random.default_rng(0))).split()
    ) == {"a", "b"}


def test_the_same_generator_gives_the_same_texts() -> None:
    first, second = (
        WordChain.fit(SOURCE, order=2).sharpened(1.1).sample(20, np.random.default_rng(7)) for _ in range(2)
    )
    assert first == second != WordChain.fit(SOURCE, order=2).sharpened(1.1).sample(20, np.random.default_rng(8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: WordChain.fit(["", "  "]), "the source has no word to learn from"),
        (lambda: WordChain.fit(SOURCE, order=3), "order 3; allowed are 1 (words) and 2 (pairs of words)"),
        (lambda: WordChain.fit(SOURCE).sharpened(0), "gamma 0; allowed is a number above 0 (1 changes nothing)"),
        (
            lambda: WordChain.fit(SOURCE).sharpened(math.nan),
            "gamma nan; allowed is a number above 0 (1 changes nothing)",
        ),
        (
            lambda: WordChain.fit(SOURCE).truncated(1.1),
            "top-p 1.1; allowed is a number above 0 and at most 1 (1 changes nothing)",
        ),
    ],
)
def test_senseless_parameters_are_refused(call: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()  # type: ignore[operator]
    assert str(caught.value) == message
