"""The n-gram model: toy corpora worked out by hand, and a second implementation in plain dictionaries."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation.ngram import NGramModel

CORPORA = st.lists(st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join), min_size=1, max_size=8)
ORDERS = st.integers(1, 4)
QUICK = settings(max_examples=50, deadline=None)
TRUST = st.one_of(st.none(), st.floats(0, 1))


class Slow:
    """The same model from its formula, one word at a time: contexts are tuples, counts are Counters."""

    def __init__(self, texts: list[str], order: int, trust: float | None) -> None:
        self.order, self.trust = order, trust
        self.after: dict[tuple[str, ...], Counter[str]] = {}
        for text in texts:
            tape = ["<s>"] * (order - 1) + [*text.split(), "</s>"]
            for at in range(order - 1, len(tape)):
                for length in range(order):
                    self.after.setdefault(tuple(tape[at - length : at]), Counter())[tape[at]] += 1

    def probability(self, word: str, context: tuple[str, ...]) -> float:
        counts = self.after.get(context)
        if not context:
            assert counts is not None
            return counts[word] / counts.total()
        shorter = self.probability(word, context[1:])
        if counts is None:
            return shorter
        trust = counts.total() / (counts.total() + len(counts)) if self.trust is None else self.trust
        return trust * counts[word] / counts.total() + (1 - trust) * shorter

    def nll(self, text: str) -> float:
        tape = ["<s>"] * (self.order - 1) + [*text.split(), "</s>"]
        total = 0.0
        for at in range(self.order - 1, len(tape)):
            probability = self.probability(tape[at], tuple(tape[at - self.order + 1 : at]))
            total += -math.log(probability) if probability else math.inf
        return total / (len(tape) - self.order + 1)


def test_a_bigram_model_worked_out_by_hand() -> None:
    # Read: a b . | a c .   Six places: a 2, b 1, c 1, end 2. After a: b, c.
    pure = NGramModel.fit(["a b", "a c"], 2, trust=1.0)
    assert pure.probabilities() == pytest.approx({"a": 1, "b": 0, "c": 0, None: 0})
    assert pure.probabilities(["a"]) == pytest.approx({"a": 0, "b": 1 / 2, "c": 1 / 2, None: 0})
    # Witten-Bell after a: two words read, two different, so trust 2 / (2 + 2); P(b | a) = 1/2 1/2 + 1/2 1/6.
    smoothed = NGramModel.fit(["a b", "a c"], 2, trust=None)
    assert smoothed.probabilities(["a"]) == pytest.approx({"a": 1 / 6, "b": 1 / 3, "c": 1 / 3, None: 1 / 6})
    # Jelinek-Mercer with trust .9: P(b | a) = .9 1/2 + .1 1/6.
    mixed = NGramModel.fit(["a b", "a c"], 2, trust=0.9)
    assert mixed.probabilities(["a"])["b"] == pytest.approx(0.45 + 0.1 / 6)


def test_the_pure_model_of_a_finite_language_has_its_perplexity() -> None:
    # "a b": P = 1 * 1/2 * 1, three words with the end: ln 2 / 3 nats a word.
    nll, words = NGramModel.fit(["a b", "a c"], 3, trust=1.0).nll(["a b", "a c", "a a", "a zzz", ""])
    assert nll.tolist() == pytest.approx([math.log(2) / 3, math.log(2) / 3, math.inf, math.inf, math.inf])
    assert words.tolist() == [3, 3, 3, 3, 1]


@QUICK
@given(CORPORA, ORDERS, TRUST, st.lists(st.sampled_from("abcdz"), max_size=6))
def test_probabilities_sum_to_one_and_equal_those_of_the_slow_model(
    texts: list[str], order: int, trust: float | None, before: list[str]
) -> None:
    model, slow = NGramModel.fit(texts, order, trust=trust), Slow(texts, order, trust)
    probabilities = model.probabilities(before)
    assert sum(probabilities.values()) == pytest.approx(1)
    context = tuple((["<s>"] * order + before)[len(before) + 1 :])
    for word, probability in probabilities.items():
        assert probability == pytest.approx(slow.probability(word or "</s>", context), abs=1e-12)


@QUICK
@given(CORPORA, ORDERS, TRUST, CORPORA)
def test_log_likelihoods_equal_those_of_the_slow_model(
    texts: list[str], order: int, trust: float | None, scored: list[str]
) -> None:
    nll, words = NGramModel.fit(texts, order, trust=trust).nll(scored)
    slow = Slow(texts, order, trust)
    assert nll.tolist() == pytest.approx([slow.nll(text) for text in scored], abs=1e-9)
    assert words.tolist() == [len(text.split()) + 1 for text in scored]


@QUICK
@given(CORPORA, st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_a_pure_model_never_writes_an_ngram_that_it_has_not_read(texts: list[str], order: int, seed: int) -> None:
    def ngrams(corpus: list[str]) -> set[tuple[str, ...]]:
        tapes = [["<s>"] * (order - 1) + [*text.split(), "</s>"] for text in corpus]
        return {tuple(tape[at : at + order]) for tape in tapes for at in range(len(tape) - order + 1)}

    assert ngrams(NGramModel.fit(texts, order, trust=1.0).sample(30, np.random.default_rng(seed))) <= ngrams(texts)


@QUICK
@given(CORPORA, ORDERS, TRUST, st.integers(0, 2**32 - 1))
def test_a_model_writes_only_words_that_it_has_read(
    texts: list[str], order: int, trust: float | None, seed: int
) -> None:
    sampled = NGramModel.fit(texts, order, trust=trust).sample(20, np.random.default_rng(seed))
    assert len(sampled) == 20
    assert set(" ".join(sampled).split()) <= set(" ".join(texts).split())


@pytest.mark.parametrize("trust", [None, 0.9, 1.0])
def test_samples_follow_the_probabilities(trust: float | None) -> None:
    # The chance of p < 1e-4 is 1e-4 for each of three, and the seed is fixed.
    model = NGramModel.fit(["a b", "a c", "b", "a b c"], 3, trust=trust)
    sampled = model.sample(20_000, np.random.default_rng(2))
    firsts = Counter(text.split()[0] if text else None for text in sampled)
    seconds = Counter(([*text.split(), None])[1] for text in sampled if text.split()[:1] == ["a"])
    for observed, expected in ((firsts, model.probabilities()), (seconds, model.probabilities(["a"]))):
        possible = {word: probability for word, probability in expected.items() if probability}
        assert set(observed) <= set(possible)
        counts = np.array([observed[word] for word in possible])
        assert chisquare(counts, counts.sum() * np.array(list(possible.values()))).pvalue > 1e-4


def test_one_trust_for_all_leaves_the_expected_shares_of_words_as_they_were() -> None:
    # Order 2: if words follow the counted shares, so do the words after them, at both levels. Of eight words three are
    # "a"; 80,000 sampled words, not independent, put the share within .01.
    texts = ["a b c a", "b", "c a d"] * 40
    words = " ".join(NGramModel.fit(texts, 2, trust=0.8).sample(30_000, np.random.default_rng(4))).split()
    assert words.count("a") / len(words) == pytest.approx(3 / 8, abs=0.01)


def test_the_same_generator_gives_the_same_texts() -> None:
    model = NGramModel.fit(["a b c d e", "b c a", "e d a"], 2, trust=0.5)
    first, second = (model.sample(50, np.random.default_rng(9)) for _ in range(2))
    assert first == second != model.sample(50, np.random.default_rng(10))


@pytest.mark.parametrize(
    "text",
    [
        "In the beginning there was one paragraph, and one paragraph was enough.",
        "Узловой зоб, EU-TIRADS 4. Узел правой доли, EU-TIRADS 3.",
        "我们是中国人。他们也是中国人。",
        "word",
    ],
)
def test_one_paragraph_of_any_script_is_enough(text: str) -> None:
    sampled = NGramModel.fit([text], 3, trust=1.0).sample(40, np.random.default_rng(0))
    assert text in sampled  # the pure model's likeliest text, or the only one
    assert all(sampled)


def test_documents_without_a_word_are_learned_and_written_too() -> None:
    assert NGramModel.fit(["", ""]).sample(3, np.random.default_rng(0)) == ["", "", ""]


def test_generation_after_generation_types_are_lost_and_none_come_back() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in rng.zipf(1.5, 12) if word < 5000) for _ in range(300)]
    sizes = []
    for _ in range(5):
        read = set(" ".join(texts).split())
        sizes.append(len(read))
        texts = NGramModel.fit(texts).sample(300, rng)
        assert set(" ".join(texts).split()) <= read
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0]


@pytest.mark.parametrize(
    ("texts", "order", "trust", "message"),
    [
        ([], 3, None, "an n-gram model needs at least one document to learn from"),
        (["a"], 0, None, "order 0: an n-gram model needs an order of 1 or more"),
        (["a"], 2, 1.5, "trust 1.5: allowed is a number from 0 to 1, or none for Witten-Bell"),
    ],
)
def test_senseless_parameters_are_refused(texts: list[str], order: int, trust: float | None, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        NGramModel.fit(texts, order, trust=trust)
    assert str(caught.value) == message
