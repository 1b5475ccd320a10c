"""Two samples side by side: one vocabulary, n-grams that stay in their text, chance that repeats, and fairness."""

from __future__ import annotations

import numpy as np
import pytest
from builders import pair, sample, spell, words
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.text.ngrams import distinct, ngrams, take, truncated
from collapse_audit.probes.text.tokens import Tokens

ROWS = st.lists(st.lists(st.integers(0, 4), max_size=9), min_size=1, max_size=8)


def spelled(tokens: Tokens) -> list[list[str]]:
    flat = [tokens.vocabulary[int(number)].as_py() for number in tokens.ids]
    return [flat[a:b] for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]


def tuples(rows: list[list[str]], order: int) -> list[tuple[int, tuple[str, ...]]]:
    """Every n-gram with its document, by slicing lists."""
    return [
        (document, tuple(row[at : at + order]))
        for document, row in enumerate(rows)
        for at in range(len(row) - order + 1)
    ]


@given(ROWS, st.integers(1, 6))
def test_ngram_codes_are_equal_exactly_where_the_ngrams_are_and_none_crosses_documents(
    rows: list[list[int]], order: int
) -> None:
    tokens = sample(spell(rows)).tokens
    codes, documents = ngrams(tokens, order)[:2]
    expected = tuples([[f"w{number}" for number in row] for row in rows], order)
    assert documents.tolist() == [document for document, _ in expected]
    code_of: dict[tuple[str, ...], int] = {}
    for code, (_, gram) in zip(codes.tolist(), expected, strict=True):
        assert code_of.setdefault(gram, code) == code
    assert len(set(code_of.values())) == len(code_of)


def test_ngrams_of_a_large_vocabulary_do_not_overflow() -> None:
    """30,000 types and order 8: 30,000^8 is far beyond 2^63."""
    rng = np.random.default_rng(0)
    row = rng.permutation(30_000).tolist()
    tokens = sample(spell([row, row])).tokens
    codes, documents = ngrams(tokens, 8)[:2]
    half = codes.size // 2
    assert documents.tolist() == [0] * half + [1] * half
    assert np.array_equal(codes[:half], codes[half:])
    assert np.unique(codes).size == half == 30_000 - 7


@given(st.lists(st.integers(-3, 3), max_size=20), st.sampled_from([np.int32, np.int64]))
def test_distinct_codes_are_those_of_a_sorted_set(codes: list[int], kind: type[np.integer]) -> None:
    found = distinct(np.array(codes, dtype=kind))
    assert (found.tolist(), found.dtype) == (sorted(set(codes)), np.dtype(kind))


@pytest.mark.parametrize("rows", [[[]], [[], []], [[1]], [[1], [], [2]], [[1, 2, 3]]])
def test_texts_shorter_than_an_ngram_have_none(rows: list[list[int]]) -> None:
    codes, documents = ngrams(sample(spell(rows)).tokens, 4)[:2]
    assert codes.size == documents.size == 0


@given(ROWS, st.integers(1, 6))
def test_truncation_keeps_the_first_tokens_of_every_document(rows: list[list[int]], length: int) -> None:
    cut = truncated(sample(spell(rows)).tokens, length)
    assert spelled(cut) == [[f"w{number}" for number in row[:length]] for row in rows]


@given(ROWS, st.data())
def test_taking_documents_is_indexing(rows: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=6))
    taken = take(sample(spell(rows)).tokens, np.array(chosen, dtype=np.int64))
    assert spelled(taken) == [[f"w{number}" for number in rows[row]] for row in chosen]


@given(ROWS, ROWS)
def test_both_sides_speak_one_vocabulary(baseline: list[list[int]], generation: list[list[int]]) -> None:
    comparison = pair(spell(baseline), spell(generation))
    texts = [comparison.texts(side).to_pylist() for side in (False, True)]
    assert spelled(comparison.tokens) == [text.split() for side in texts for text in side]
    assert len(set(comparison.tokens.vocabulary.to_pylist())) == len(comparison.tokens.vocabulary)


def test_texts_and_scores_are_those_that_take_part_baseline_first() -> None:
    comparison = pair([f"b{i}" for i in range(9)], [f"g{i}" for i in range(4)])
    baseline, generation = (comparison.texts(side).to_pylist() for side in (False, True))
    assert len(baseline) == len(generation) == 4
    assert all(text.startswith("b") for text in baseline)
    assert generation == ["g0", "g1", "g2", "g3"]
    assert comparison.scores(lambda text: int(text[1:])).tolist() == [
        int(text[1:]) for text in (*baseline, *generation)
    ]


def test_whole_texts_are_types_of_one_document_each() -> None:
    comparison = pair(["a  b", "a b", "c 12"], ["a b", "c 3", "d"])
    for attribute, expected in (
        ("folded", {"a b": 3, "c 12": 1, "c 3": 1, "d": 1}),
        ("patterns", {"a b": 3, "c #": 2, "d": 1}),
    ):
        table, texts = comparison.whole_texts(attribute)  # type: ignore[arg-type]
        counts = table.on(np.ones(6, dtype=bool))
        got = {texts[int(t)].as_py(): int(count) for t, count in zip(table.types, counts, strict=True)}
        assert got == expected


# Chance


def test_the_same_files_and_seed_give_the_same_chance_and_anything_else_another() -> None:
    def draw(comparison: Pair, purpose: str = "x") -> float:
        return float(comparison.stream(purpose).random())

    base = pair(["a", "b"], ["c", "d"])
    assert draw(base) == draw(pair(["a", "b"], ["c", "d"]))
    assert (
        len({draw(base), draw(base, "y"), draw(pair(["a", "b"], ["c", "d"], seed=1)), draw(pair(["a"], ["c", "d"]))})
        == 4
    )


def test_two_runs_give_the_same_relabellings() -> None:
    texts = spell([[i % 5] for i in range(20)])
    first, second = pair(texts[:10], texts[10:]), pair(texts[:10], texts[10:])
    assert np.array_equal(first.relabellings, second.relabellings)
    assert first.relabellings.shape == (200, 20)


# Fairness


def test_a_shared_training_sample_is_found_by_the_lower_tail() -> None:
    """The generation is the baseline with the order of its words changed: more alike than independent texts can be."""
    rng = np.random.default_rng(1)
    rows = [rng.integers(0, 40, size=12).tolist() for _ in range(60)]
    shuffled = [rng.permutation(row).tolist() for row in rows]
    comparison = pair(spell(rows), spell(shuffled), permutations=999)
    assert comparison.alike_p <= 0.001
    assert comparison.one_sided is not None
    assert "share training texts" in comparison.one_sided


def test_independent_samples_are_a_fair_comparison() -> None:
    rng = np.random.default_rng(2)
    rows = [rng.integers(0, 40, size=12).tolist() for _ in range(120)]
    assert pair(spell(rows[:60]), spell(rows[60:]), permutations=999).one_sided is None


def test_a_model_compared_with_its_own_training_texts_is_one_sided_whatever_the_data_say() -> None:
    comparison = pair(words(12), words(12, "v"), trained_on_baseline=True)
    assert comparison.one_sided is not None
    assert "trained on these very baseline texts" in comparison.one_sided


# Equal lengths


def test_texts_are_cut_only_where_one_side_writes_shorter_ones() -> None:
    long, short = spell([range(20)] * 30), spell([range(8)] * 30)
    assert pair(long, long).matched_length is None
    unequal = pair(long, short)
    assert unequal.matched_length == 8
    assert unequal.matched.lengths.tolist() == [8] * 60
    assert unequal.tokens.lengths.tolist() == [20] * 30 + [8] * 30
