"""CA304: pairs of answers counted by hand, prompts as units, and what has no answers to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pyarrow as pa
import pytest
from builders import estimate, pair, reason, sample

from collapse_audit.probes.prompt_diversity import prompt_diversity
from collapse_audit.probes.text.sample import Sample

SAME, OVERLAP, MEANING = (gate.statistic for gate in prompt_diversity.gates)
WORDS = (SAME, OVERLAP)


def answers(prompts: int, each: int, seed: int, *, alike: float = 0.0, prefix: str = "p") -> Sample:
    """``each`` answers of ten words to every prompt; a share ``alike`` of them says what the first one says."""
    rng = np.random.default_rng(seed)
    texts, asked = [], []
    for prompt in range(prompts):
        own = [" ".join(f"w{k}" for k in rng.integers(60, size=10)) for _ in range(each)]
        texts += [own[0] if rng.random() < alike else text for text in own]
        asked += [f"{prefix}{prompt}"] * each
    return sample(texts, prompts=asked)


def by_hand(texts: Sequence[str], prompts: Sequence[str]) -> tuple[float, float]:
    """Share of equal pairs, and mean Dice of their sets of word pairs, over all pairs of answers to one prompt."""
    same, dice = [], []
    for one, other in combinations(range(len(texts)), 2):
        if prompts[one] == prompts[other]:
            a, b = (set(pairwise(texts[k].split())) for k in (one, other))
            same.append(float(texts[one] == texts[other]))
            dice.append(2 * len(a & b) / (len(a) + len(b)))
    return float(np.mean(same)), float(np.mean(dice))


def test_both_values_are_those_of_all_pairs_counted_by_hand() -> None:
    sides = answers(20, 4, 1), answers(20, 4, 2, alike=0.5)
    found = {s: estimate(prompt_diversity, pair(*sides), s) for s in (SAME, OVERLAP)}
    counted = [by_hand(side.texts.to_pylist(), (side.prompts or []).to_pylist()) for side in sides]  # type: ignore[union-attr]
    for number, statistic in enumerate((SAME, OVERLAP)):
        assert found[statistic].value == pytest.approx(counted[1][number] - counted[0][number], rel=1e-9)
        assert found[statistic].raw["generation"] == pytest.approx(counted[1][number], rel=1e-9)


def test_answers_that_became_alike_are_found_and_others_are_not() -> None:
    narrowed, healthy = (
        {s: estimate(prompt_diversity, pair(answers(40, 4, 1), answers(40, 4, 2, alike=alike)), s) for s in WORDS}
        for alike in (0.6, 0.0)
    )
    for statistic in (SAME, OVERLAP):
        assert narrowed[statistic].low > 0.05
        assert narrowed[statistic].p_value == pytest.approx(1 / 200)
        assert (healthy[statistic].p_value or 0) > 0.01
        assert healthy[statistic].low < 0.05


def test_more_damage_is_never_better() -> None:
    for statistic in (SAME, OVERLAP):
        values = [
            estimate(prompt_diversity, pair(answers(40, 4, 1), answers(40, 4, 2, alike=share)), statistic).value
            for share in (0.0, 0.4, 0.8)
        ]
        assert values == sorted(values)
        assert values[2] > values[0] + 0.1


def test_exchanging_the_sides_turns_the_change_round() -> None:
    one, other = answers(20, 3, 1), answers(20, 3, 2, alike=0.5)
    there, back = (
        {s: estimate(prompt_diversity, pair(*sides), s) for s in WORDS} for sides in ((one, other), (other, one))
    )
    for statistic in (SAME, OVERLAP):
        assert back[statistic].value == pytest.approx(-there[statistic].value, rel=1e-9)


def test_a_corpus_of_other_prompts_is_compared_by_its_own() -> None:
    found = estimate(prompt_diversity, pair(answers(40, 4, 1), answers(40, 4, 2, alike=0.6, prefix="q")), SAME)
    assert found.low > 0.05


def test_no_change_is_rejected_as_seldom_as_the_level_says() -> None:
    """60 pairs of healthy sides: at most 9 with p <= .05 (the .999 quantile of Binomial(60, .05))."""
    p_values = [
        estimate(
            prompt_diversity, pair(answers(12, 3, 2 * k), answers(12, 3, 2 * k + 1), permutations=99), OVERLAP
        ).p_value
        for k in range(60)
    ]
    assert sum((p or 1.0) <= 0.05 for p in p_values) <= 9


@pytest.mark.parametrize("each", [1, 0])
def test_prompts_with_one_answer_or_none_are_not_measured(each: int) -> None:
    one = answers(40, 1, 1) if each else sample(["a b c"] * 20)
    other = answers(40, 1, 2) if each else sample(["a b d"] * 20)
    assert "several answers" in reason(prompt_diversity, pair(one, other), SAME)


def meant(prompts: int, each: int, seed: int, *, apart: float, prefix: str = "p") -> Sample:
    """Answers whose embeddings lie around those of their prompts, so far apart."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(prompts, 12))
    rows = np.repeat(centres, each, axis=0) + apart * rng.normal(size=(prompts * each, 12))
    return replace(answers(prompts, each, seed, prefix=prefix), embeddings=rows.astype(np.float32))


def distance(side: Sample) -> float:
    """Mean of 1 less the cosine over all pairs of answers to one prompt, one by one."""
    assert side.prompts is not None
    assert side.embeddings is not None
    asked, rows = side.prompts.to_pylist(), side.embeddings.astype(float)
    pairs = [(a, b) for a, b in combinations(range(len(asked)), 2) if asked[a] == asked[b]]
    cosines = [rows[a] @ rows[b] / np.sqrt((rows[a] @ rows[a]) * (rows[b] @ rows[b])) for a, b in pairs]
    return float(np.mean(1 - np.array(cosines)))


def test_the_distance_in_meaning_is_that_of_all_pairs_counted_by_hand() -> None:
    sides = meant(20, 4, 1, apart=0.5), meant(20, 4, 2, apart=0.3)
    found = estimate(prompt_diversity, pair(*sides), MEANING)
    assert found.value == pytest.approx(distance(sides[1]) / distance(sides[0]), rel=1e-6)
    assert found.high < prompt_diversity.gates[2].margin
    assert found.p_value == pytest.approx(1 / 200)


def test_answers_that_mean_as_different_things_as_before_pass_and_words_alone_are_not_asked_for_it() -> None:
    for prefix in ("p", "q"):
        healthy = pair(meant(60, 4, 1, apart=0.5), meant(60, 4, 2, apart=0.5, prefix=prefix))
        assert 0.9 < estimate(prompt_diversity, healthy, MEANING).value < 1.1
    assert "--embed" in reason(prompt_diversity, pair(answers(20, 4, 1), answers(20, 4, 2)), MEANING)


def test_a_model_embeds_answers_to_some_prompts_only() -> None:
    asked: list[int] = []

    def embed(texts: pa.Array) -> np.ndarray:
        asked.append(len(texts))
        rows = np.random.default_rng(0).normal(size=(len(texts), 6))
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)

    sides = answers(700, 4, 1), answers(700, 4, 2)
    found = estimate(prompt_diversity, pair(*sides, embed=embed, permutations=19), MEANING)
    assert asked == [4000]  # 500 prompts of 8 answers
    assert 0.9 < found.value < 1.1


def test_no_change_of_meaning_is_rejected_as_seldom_as_the_level_says() -> None:
    """60 pairs: at most 9 with p <= .05 (the .999 quantile of Binomial(60, .05))."""
    pairs = (pair(*(meant(12, 3, 2 * k + side, apart=0.5) for side in (0, 1)), permutations=99) for k in range(60))
    assert sum((estimate(prompt_diversity, each, MEANING).p_value or 1.0) <= 0.05 for each in pairs) <= 9
