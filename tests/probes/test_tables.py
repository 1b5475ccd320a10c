"""Counts under every relabelling, against plain loops over documents with a Counter."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from builders import pair, sample, spell
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics import bitwise, tables
from collapse_audit.probes.statistics.tables import (
    COARSE_BLOCKS,
    count_table,
    jensen_shannon,
    side_sums,
    sweep,
    sweep_distinct,
)
from collapse_audit.probes.text.sample import Sample

ROWS = st.one_of(
    st.lists(st.lists(st.integers(0, 6), max_size=6), min_size=2, max_size=14),  # short texts: every type has a bin
    st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=7), min_size=4, max_size=12),  # types in 5 blocks do
)


def blocks_of(comparison: Pair) -> list[list[str]]:
    """The words of every block, cut in Python."""
    kept, n = comparison.design.kept, len(comparison.baseline)
    texts = [
        (comparison.baseline.texts[int(row)] if row < n else comparison.generation.texts[int(row) - n]).as_py()
        for row in kept
    ]
    words: list[list[str]] = [[] for _ in range(comparison.design.side.size)]
    for block, text in zip(comparison.design.block, texts, strict=True):
        words[int(block)] += text.split()
    return words


def naive(blocks: list[list[str]], labels: npt.NDArray[np.uint8]) -> tuple[list[int], list[float], float]:
    """Distinct types, collision probabilities and coarse JS of one labelling, from the definitions."""
    frequency = Counter(word for block in blocks for word in set(block))
    sides = [[block for block, label in zip(blocks, labels, strict=True) if label == which] for which in (0, 1)]
    counts = [Counter(word for block in side for word in block) for side in sides]
    collisions = []
    for side in sides:
        same = sum(
            a == b
            for first, x in enumerate(side)
            for second, y in enumerate(side)
            if first != second
            for a, b in product(x, y)
        )
        pairs = sum(len(x) * len(y) for f, x in enumerate(side) for s, y in enumerate(side) if f != s)
        collisions.append(same / pairs if pairs else 0.0)
    short = sum(len(block) for block in blocks) / len(blocks) < 3  # whole patterns: every type keeps its bin
    coarse = sorted(word for word, blocks_with in frequency.items() if short or blocks_with >= COARSE_BLOCKS)
    totals = [sum(count.values()) for count in counts]
    shares = [
        [count[word] / total for word in coarse] + [1 - sum(count[word] for word in coarse) / total]
        for count, total in zip(counts, totals, strict=True)
        if total
    ]
    divergence = (
        sum(
            (p * math.log(2 * p / (p + q)) if p > 0 else 0.0) + (q * math.log(2 * q / (p + q)) if q > 0 else 0.0)
            for p, q in zip(*shares, strict=True)
        )
        / 2
        if len(shares) == 2
        else math.nan
    )
    return [len(count) for count in counts], collisions, divergence


def assert_swept_equals_loops(comparison: Pair) -> None:
    blocks, swept = blocks_of(comparison), comparison.words_swept
    for column, labels in enumerate(comparison.relabellings):
        distinct, collisions, divergence = naive(blocks, labels)
        assert swept.distinct[:, column].tolist() == distinct
        assert swept.collisions[:, column] == pytest.approx(collisions, abs=1e-12)
        if not math.isnan(divergence):  # no divergence is defined where a side has no token
            assert swept.divergence[column] == pytest.approx(divergence, abs=1e-12)
    assert sweep_distinct([comparison.words], comparison.relabellings) == pytest.approx(swept.distinct)


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS, st.integers(0, 9))
def test_every_relabelling_of_documents_is_counted_as_a_loop_counts_it(
    baseline: list[list[int]], generation: list[list[int]], seed: int
) -> None:
    assert_swept_equals_loops(pair(spell(baseline), spell(generation), permutations=7, seed=seed))


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS, st.integers(0, 9), st.sampled_from(["groups", "prompts"]), st.data())
def test_every_relabelling_of_groups_and_prompts_is_counted_as_a_loop_counts_it(
    baseline: list[list[int]], generation: list[list[int]], seed: int, kind: str, data: st.DataObject
) -> None:
    def keyed(rows: list[list[int]]) -> Sample:
        keys = data.draw(st.lists(st.sampled_from("abcd"), min_size=len(rows), max_size=len(rows)))
        return sample(spell(rows), groups=keys) if kind == "groups" else sample(spell(rows), prompts=keys)

    assert_swept_equals_loops(pair(keyed(baseline), keyed(generation), permutations=7, seed=seed))


def test_a_corpus_with_frequent_types_is_counted_as_a_loop_counts_it() -> None:
    """Enough documents that the coarse vocabulary is not empty, repeated words inside texts, and empty texts."""
    rng = np.random.default_rng(5)
    rows = [rng.zipf(1.6, size=rng.integers(0, 12)).clip(max=30).tolist() for _ in range(80)]
    comparison = pair(spell(rows[:40]), spell(rows[40:]), permutations=19)
    assert 5 < comparison.words.coarse < comparison.words.types.size
    assert comparison.words.frequency[-1] == 1  # and hapaxes exist too
    assert_swept_equals_loops(comparison)


@pytest.mark.parametrize("cells", [1, 64, 1000])
def test_how_the_work_is_cut_into_chunks_changes_nothing(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    rows = [rng.integers(0, 12, size=6).tolist() for _ in range(60)]
    whole = pair(spell(rows[:30]), spell(rows[30:]), permutations=99)
    expected = whole.words_swept
    monkeypatch.setattr(tables, "_CHUNK", cells)
    monkeypatch.setattr(bitwise, "_TOGETHER", cells)
    monkeypatch.setattr(bitwise, "_CELLS", cells)
    chunked = sweep(whole.words, whole.relabellings)
    for name in ("distinct", "collisions", "divergence"):
        assert np.array_equal(getattr(chunked, name), getattr(expected, name))
    assert np.array_equal(sweep_distinct([whole.words], whole.relabellings), expected.distinct)


def test_a_vocabulary_in_parts_has_the_distinct_types_of_its_parts_together() -> None:
    rng = np.random.default_rng(7)
    block, types = np.repeat(np.arange(20), 9), rng.integers(0, 40, size=180)
    relabellings = np.array([rng.permutation(np.repeat([0, 1], 10)) for _ in range(30)]).astype(np.uint8)
    parts = [count_table(block[types % 3 == part], types[types % 3 == part], 20) for part in range(3)]
    whole = sweep_distinct([count_table(block, types, 20)], relabellings)
    assert np.array_equal(sweep_distinct(iter(parts), relabellings), whole)
    expected = [[len(set(types[row[block] == side])) for row in relabellings] for side in (0, 1)]
    assert np.array_equal(whole, expected)


def test_the_table_counts_types_in_blocks_and_orders_them_by_the_blocks_that_hold_them() -> None:
    table = count_table(
        np.array([0, 0, 0, 1, 1, 2]), np.array([7, 7, 3, 7, 5, 7]), 4
    )  # codes 0-2, 4 and 6 stand nowhere
    assert table.types[0] == 7
    assert table.frequency.tolist() == [3, 1, 1]
    counts = dict(zip(table.types.tolist(), table.counts.toarray().tolist(), strict=True))
    assert counts == {7: [2, 1, 1, 0], 3: [1, 0, 0, 0], 5: [0, 1, 0, 0]}
    assert table.lengths.tolist() == [3, 2, 1, 0]
    assert table.hapaxes.tolist() == [1, 1, 0, 0]
    on_first_and_last = np.array([True, False, False, True])
    assert dict(zip(table.types.tolist(), table.on(on_first_and_last).tolist(), strict=True)) == {7: 2, 3: 1, 5: 0}
    blocks = dict(zip(table.types.tolist(), table.blocks_on(~on_first_and_last).tolist(), strict=True))
    assert blocks == {7: 2, 3: 0, 5: 1}


@pytest.mark.parametrize(("texts", "coarse"), [(4, 0), (5, 1)])
def test_a_type_is_coarse_from_five_blocks_on_however_often_it_stands_in_one(texts: int, coarse: int) -> None:
    """``b`` stands in 4 or 5 of ten texts of 3 words or more; ``a`` ninety-nine times in one of them."""
    rows = ["a " * 99, *(f"b x{i} y{i}" for i in range(texts)), *(f"p{i} q{i} r{i}" for i in range(9 - texts))]
    comparison = pair(rows[:5], rows[5:])
    assert comparison.words.coarse == coarse
    if coarse:
        assert comparison.tokens.vocabulary[int(comparison.words.types[0])].as_py() == "b"


@pytest.mark.parametrize(("extra", "all_types"), [("", True), (" b", False)])
def test_where_texts_hold_fewer_than_three_tokens_every_type_is_coarse(extra: str, all_types: bool) -> None:
    """Ten texts of 2.9 or of 3 tokens a text, all different."""
    rows = [f"u{i} v{i} w{i}" for i in range(9)] + ["x y" + extra]
    comparison = pair(rows[:5], rows[5:])
    assert comparison.words.coarse == (comparison.words.types.size if all_types else 0)


def test_counts_beyond_the_integers_that_float32_can_hold_are_not_a_matter_of_a_text() -> None:
    """One text of a million equal words: the count is exact (2^24 would be the limit)."""
    table = count_table(np.zeros(1_000_003, dtype=np.int64), np.zeros(1_000_003, dtype=np.int64), 2)
    assert table.counts.toarray().tolist() == [[1_000_003.0, 0.0]]


def test_collisions_are_unbiased_for_the_sum_of_squared_probabilities() -> None:
    """E sum over pairs of texts = sum p^2 for independent tokens, whatever n and the lengths (a U-statistic).

    p = (.5, .3, .2): sum p^2 = .38. R = 800 pairs of 12 texts of 1-5 tokens; the limit is 4.5 standard errors of the
    mean, estimated from the R values: a correct build trips it once in 10^5.
    """
    rng = np.random.default_rng(8)
    values = []
    for _ in range(800):
        rows = [rng.choice(3, p=[0.5, 0.3, 0.2], size=rng.integers(1, 6)).tolist() for _ in range(12)]
        blocks = np.repeat(np.arange(12), [len(row) for row in rows])
        table = count_table(blocks, np.concatenate([np.array(row) for row in rows]), 12)
        labels = np.repeat([[0, 1]], 6, axis=1).astype(np.uint8).reshape(1, -1)
        values.extend(sweep(table, labels).collisions[:, 0].tolist())
    error = np.std(values) / math.sqrt(len(values))
    assert error < 0.01
    assert abs(np.mean(values) - 0.38) < 4.5 * error


def test_repetition_inside_a_text_is_no_collision() -> None:
    calm = pair(["a b", "c d", "a d"], ["x"] * 3).words_swept.collisions[0, 0]
    stuck = pair(["a b a b a b", "c d c d c d", "a d a d a d"], ["x"] * 3).words_swept.collisions[0, 0]
    assert calm == pytest.approx(stuck, rel=1e-12)
    # Three pairs of texts with 2 x 2 pairs of tokens each; the same are a-a and d-d: 2 of 12.
    assert calm == pytest.approx(2 / 12, rel=1e-12)


def test_a_side_without_a_pair_of_texts_has_no_collision_and_no_division_by_zero() -> None:
    swept = pair(["a", "", ""], ["", "", ""], permutations=5).words_swept
    assert (swept.collisions == 0).all()
    assert np.isfinite(swept.divergence).all()


def test_side_sums_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(9)
    columns, labels = rng.normal(size=(10, 3)), rng.integers(0, 2, size=(150, 10)).astype(np.uint8)
    sums = side_sums(columns, labels)
    assert sums.shape == (2, 150, 3)
    for row in (0, 63, 64, 149):
        assert sums[1, row] == pytest.approx(columns[labels[row] == 1].sum(axis=0), abs=1e-12)
        assert sums[0, row] == pytest.approx(columns[labels[row] == 0].sum(axis=0), abs=1e-12)


@given(st.integers(1, 8), st.integers(0, 10_000))
def test_jensen_shannon_equals_the_square_of_scipys_distance(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = (rng.dirichlet(np.full(size, 0.3)) * (rng.random(size) < 0.8) + 1e-3 for _ in range(2))
    p, q = p / p.sum(), q / q.sum()
    assert float(jensen_shannon(p[:, None], q[:, None])[0]) == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-12)


def test_jensen_shannon_of_a_column_that_is_nowhere_positive_on_one_side() -> None:
    p, q = np.array([[1.0], [0.0], [0.0]]), np.array([[0.5], [0.5], [0.0]])
    # By hand: M = (3/4, 1/4): (ln(4/3) + ½ ln(2/3) + ½ ln 2) / 2.
    expected = (math.log(4 / 3) + 0.5 * math.log(2 / 3) + 0.5 * math.log(2)) / 2
    assert float(jensen_shannon(p, q)[0]) == pytest.approx(expected, abs=1e-15)


def test_sums_of_both_sides_are_those_of_the_product_however_they_are_cut() -> None:
    """More relabellings and blocks than one tile holds; whole numbers, so that no order of summing shows."""
    rng = np.random.default_rng(8)
    columns, drawn = rng.integers(-9, 9, size=(1100, 3)).astype(float), rng.integers(0, 2, (300, 1100), dtype=np.uint8)
    assert np.array_equal(side_sums(columns, drawn), np.stack(((1.0 - drawn) @ columns, drawn @ columns)))
