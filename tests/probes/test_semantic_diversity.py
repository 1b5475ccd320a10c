"""CA306 against pairs counted one by one, and against texts whose meanings are laid out by hand."""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from builders import estimate, pair, readings, sample, words

from collapse_audit.probes.pairs.pair import Embed, Pair
from collapse_audit.probes.semantic_diversity import semantic_diversity
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured
from collapse_audit.probes.text.sample import Sample

APART, MEANINGS, ENERGY = (gate.statistic for gate in semantic_diversity.gates)


def by_table(table: dict[str, npt.NDArray[np.float64]]) -> Embed:
    """Embeddings that are looked up, brought to length 1."""
    unit = {text: (vector / np.linalg.norm(vector)).astype(np.float32) for text, vector in table.items()}
    return lambda texts: np.stack([unit[text] for text in texts.to_pylist()])


def at_random(texts: list[str], seed: int, width: int = 6, shift: float = 0.0) -> dict[str, npt.NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return {text: rng.normal(size=width) + shift * np.eye(width)[0] for text in texts}


def compared(baseline: Any, generation: Any, embed: Embed, **more: Any) -> Pair:
    return pair(baseline, generation, embed=embed, **more)


def mean_over_pairs(
    of: Any, left: list[npt.NDArray[np.float64]], right: list[npt.NDArray[np.float64]] | None = None
) -> float:
    """Mean of ``of`` the cosine over all pairs, within ``left`` or between it and ``right``."""
    pairs = combinations(left, 2) if right is None else product(left, right)
    return float(np.mean([of(float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))) for a, b in pairs]))


def test_all_three_are_what_counting_pairs_one_by_one_gives() -> None:
    before, after = words(15), words(15, "v")
    table = at_random(before, 1) | at_random(after, 2, shift=1.5)
    texts = compared(before, after, by_table(table))
    a, b = [table[text] for text in before], [table[text] for text in after]

    def nearness(cosine: float) -> float:
        return 1 - cosine

    def distance(cosine: float) -> float:
        return math.sqrt(2 - 2 * cosine)

    ratio = mean_over_pairs(nearness, b) / mean_over_pairs(nearness, a)
    assert estimate(semantic_diversity, texts, APART).value == pytest.approx(ratio, rel=1e-5)
    squares = mean_over_pairs(np.square, a) / mean_over_pairs(np.square, b)
    assert estimate(semantic_diversity, texts, MEANINGS).value == pytest.approx(squares, rel=1e-5)
    energy = 2 * mean_over_pairs(distance, a, b) - mean_over_pairs(distance, a) - mean_over_pairs(distance, b)
    assert estimate(semantic_diversity, texts, ENERGY).value == pytest.approx(energy, abs=1e-5)


def test_texts_spread_evenly_over_few_meanings_count_those() -> None:
    """n texts on m axes, n/m on each: two texts share an axis with probability (n/m - 1)/(n - 1)."""
    before, after = words(120), words(120, "v")
    axes = np.eye(24)
    table = {text: axes[i % 24] for i, text in enumerate(before)} | {text: axes[i % 8] for i, text in enumerate(after)}
    texts = compared(before, after, by_table(table))
    same = {m: (120 / m - 1) / 119 for m in (24, 8)}
    found = estimate(semantic_diversity, texts, MEANINGS)
    assert found.value == pytest.approx(same[24] / same[8], rel=1e-5)
    assert found.raw["baseline"] == pytest.approx(1 / same[24], rel=1e-5)
    assert found.value < found.high < 0.5
    assert found.p_value == pytest.approx(1 / 200)
    apart = estimate(semantic_diversity, texts, APART)
    assert apart.value == pytest.approx((1 - same[8]) / (1 - same[24]), rel=1e-5)


def test_the_jackknife_is_that_of_leaving_each_text_out() -> None:
    before, after = words(14), words(14, "v")
    table = at_random(before, 3, shift=1.0) | at_random(after, 4, shift=1.0)
    found = estimate(semantic_diversity, compared(before, after, by_table(table)), APART)
    sides = [[table[text] for text in side] for side in (before, after)]
    variance = 0.0
    for vectors in sides:
        logs = [
            math.log(mean_over_pairs(lambda cosine: 1 - cosine, [v for j, v in enumerate(vectors) if j != i]))
            for i in range(len(vectors))
        ]
        n = len(vectors)
        variance += (n - 1) / n * float(np.sum((np.array(logs) - np.mean(logs)) ** 2))
    # The pooled standard error of units scales squares by n / (n - 1), where the jackknife's own is (n - 1) / n.
    z = 1.6448536269514722
    assert math.log(found.high / found.value) / z == pytest.approx(math.sqrt(variance), rel=0.08)


def test_pairs_within_a_group_are_not_counted() -> None:
    """Twenty groups of three texts that mean the same: between groups nothing is alike."""
    axes = np.eye(40)
    sides, table = [], {}
    for letter, first in (("w", 0), ("v", 20)):
        texts = words(60, letter)
        table |= {text: axes[first + i // 3] for i, text in enumerate(texts)}
        sides.append(sample(texts, groups=[f"{letter}{i // 3}" for i in range(60)]))
    found = estimate(semantic_diversity, compared(*sides, by_table(table)), APART)
    assert found.value == pytest.approx(1.0)
    assert found.raw["baseline"] == pytest.approx(1.0)


def test_sides_of_one_law_are_called_apart_no_more_often_than_alpha() -> None:
    """200 pairs of 30 texts, 199 permutations: p <= .05 in at most 5% and four binomial errors."""
    small = dict.fromkeys((APART, MEANINGS, ENERGY), 0)
    trials = 200
    for trial in range(trials):
        before, after = words(30), words(30, "v")
        table = at_random(before, 100 + trial) | at_random(after, 5000 + trial)
        for reading in readings(
            semantic_diversity, compared(before, after, by_table(table), permutations=199)
        ).values():
            assert reading.p_value is not None
            small[reading.statistic] += reading.p_value <= 0.05
    assert max(small.values()) <= trials * 0.05 + 4 * math.sqrt(trials * 0.05 * 0.95), small


def test_another_subject_is_far_and_no_less_varied() -> None:
    before, after = words(80), words(80, "v")
    axes = np.eye(20)
    table = {text: axes[i % 10] for i, text in enumerate(before)}
    table |= {text: axes[10 + i % 10] for i, text in enumerate(after)}
    texts = compared(before, after, by_table(table))
    assert estimate(semantic_diversity, texts, ENERGY).low > 0.05
    assert estimate(semantic_diversity, texts, MEANINGS).value == pytest.approx(1.0)


def test_a_narrower_subject_is_a_change_and_a_narrower_part_of_the_same_is_a_loss() -> None:
    before, after = words(80), words(80, "v")
    axes = np.eye(30)
    table = {text: axes[i % 20] for i, text in enumerate(before)}
    for first, kind in ((20, "move"), (0, None)):
        table |= {text: axes[first + i % 4] for i, text in enumerate(after)}
        for statistic in (APART, MEANINGS):
            found = estimate(semantic_diversity, compared(before, after, by_table(table)), statistic)
            assert found.kind == kind, (first, statistic)
            assert bool(found.explanation) == (kind == "move")


def test_of_many_texts_two_thousand_a_side_are_embedded() -> None:
    asked: list[int] = []

    def embed(texts: pa.Array) -> npt.NDArray[np.float32]:
        asked.append(len(texts))
        made = np.random.default_rng(len(asked)).normal(size=(len(texts), 4)).astype(np.float32)
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))

    found = estimate(semantic_diversity, compared(words(2300), words(2300, "v"), embed, permutations=19), ENERGY)
    assert asked == [4000]
    assert (found.n_baseline, found.n_generation) == (2000, 2000)


def brought(texts: list[str], table: dict[str, npt.NDArray[np.float64]]) -> Sample:
    """A sample whose records bring their embeddings, as they are: not of length 1."""
    return sample(texts, embeddings=np.stack([table[text] for text in texts]))


def test_embeddings_of_the_records_say_what_a_models_say() -> None:
    before, after = words(30), words(30, "v")
    table = at_random(before, 1) | at_random(after, 2, shift=1.0)
    of_model = readings(semantic_diversity, compared(before, after, by_table(table)))
    of_records = readings(semantic_diversity, pair(brought(before, table), brought(after, table)))
    for statistic, reading in of_model.items():
        own = of_records[statistic]
        assert isinstance(reading, Estimate)
        assert isinstance(own, Estimate)
        assert own.value == pytest.approx(reading.value, rel=1e-5, abs=1e-6)
        assert own.p_value == reading.p_value
        assert own.low == pytest.approx(reading.low, rel=1e-4, abs=1e-5)


def test_a_model_that_was_named_comes_before_what_records_bring() -> None:
    before, after = words(30), words(30, "v")
    table, other = (at_random([*before, *after], seed) for seed in (1, 2))
    sides = brought(before, other), brought(after, other)
    named = estimate(semantic_diversity, pair(*sides, embed=by_table(table)), APART).value
    assert named == estimate(semantic_diversity, compared(before, after, by_table(table)), APART).value
    assert named != estimate(semantic_diversity, pair(*sides), APART).value


def test_embeddings_of_zeros_mean_one_thing_and_nothing_else() -> None:
    """Half of the generation's texts lie at zero: two of them have the cosine 1, and every other pair 0."""
    before, after = words(20), words(20, "v")
    axes = np.eye(40)
    table = {text: axes[k] for k, text in enumerate([*before, *after])}
    table |= dict.fromkeys(after[:10], np.zeros(40))
    found = estimate(semantic_diversity, pair(brought(before, table), brought(after, table)), APART)
    assert found.value == pytest.approx(1 - 45 / 190)


def test_embeddings_of_two_lengths_are_not_compared() -> None:
    before, after = words(20), words(20, "v")
    sides = brought(before, at_random(before, 1, width=4)), brought(after, at_random(after, 1, width=5))
    for reading in readings(semantic_diversity, pair(*sides)).values():
        assert isinstance(reading, NotMeasured)
        assert "has 4 numbers, one of the generation 5" in reading.reason
        assert not reading.neutral


def test_without_a_model_nothing_is_measured_and_the_option_is_named() -> None:
    for reading in readings(semantic_diversity, pair(words(20), words(20, "v"))).values():
        assert isinstance(reading, NotMeasured)
        assert "--embed" in reading.reason
        assert reading.neutral


def test_a_baseline_that_says_one_thing_has_no_distance_to_compare_with() -> None:
    before, after = words(20), words(20, "v")
    table = dict.fromkeys(before, np.ones(3)) | at_random(after, 1, width=3)
    reading = readings(semantic_diversity, compared(before, after, by_table(table)))[APART]
    assert isinstance(reading, NotMeasured)
    assert estimate(semantic_diversity, compared(before, after, by_table(table)), MEANINGS).value > 1


def test_a_generation_that_says_one_thing_has_no_distance_left() -> None:
    before, after = words(20), words(20, "v")
    table = at_random(before, 1, width=3) | dict.fromkeys(after, np.ones(3))
    found = estimate(semantic_diversity, compared(before, after, by_table(table)), APART)
    assert found.value < 1e-6
    assert found.p_value == pytest.approx(1 / 200)
