"""CA307: pass@k against all choices of k answers counted one by one, and what is and is no narrowing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from builders import estimate, pair, reason, sample

from collapse_audit.probes.answer_coverage import answer_coverage
from collapse_audit.probes.text.sample import Sample


def answered(right: Sequence[Sequence[float]], *, seed: int = 0, prefix: str = "p") -> Sample:
    """Answers to prompts, of which ``right`` says how right each is."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(f"w{k}" for k in rng.integers(60, size=8)) for row in right for _ in row]
    prompts = [f"{prefix}{number}" for number, row in enumerate(right) for _ in row]
    return replace(sample(texts, prompts=prompts), score=np.array([x for row in right for x in row], dtype=np.float64))


def drawn(prompts: int, each: int, chances: Sequence[float], seed: int, **more: Any) -> Sample:
    """Prompts of which so large a share of the answers is right, by turns."""
    rng = np.random.default_rng(seed)
    chance = np.resize(np.array(chances), prompts)
    return answered((rng.random((prompts, each)) < chance[:, None]).astype(float).tolist(), seed=seed, **more)


def by_hand(right: Sequence[Sequence[float]], k: int) -> float:
    """Mean over prompts of the share of all choices of k answers that hold a right one."""
    return float(np.mean([np.mean([any(choice) for choice in combinations(row, k)]) for row in right]))


def test_the_drop_is_that_of_all_choices_of_k_answers() -> None:
    rng = np.random.default_rng(1)
    before, after = ((rng.random((30, 5)) < share).astype(float).tolist() for share in (0.5, 0.25))
    found = estimate(answer_coverage, pair(answered(before, seed=1), answered(after, seed=2)))
    assert found.raw["k"] == 5
    assert found.raw["pass_at_k_baseline"] == pytest.approx(by_hand(before, 5))
    assert found.value == pytest.approx(by_hand(before, 5) - by_hand(after, 5))
    assert found.raw["pass_at_1_generation"] == pytest.approx(np.mean(after))


def test_prompts_with_fewer_answers_than_k_are_left_out() -> None:
    """Three of 40 have two answers: k is that of nine in ten, 4, over the other 37."""
    rng = np.random.default_rng(2)
    rows = [(rng.random(2 if k < 3 else 4) < 0.4).astype(float).tolist() for k in range(40)]
    found = estimate(answer_coverage, pair(answered(rows, seed=1), answered(rows, seed=2)))
    assert (found.raw["k"], found.raw["prompts"]) == (4, 37)
    assert found.raw["pass_at_k_baseline"] == pytest.approx(by_hand(rows[3:], 4))
    assert found.value == 0.0


@pytest.mark.parametrize("k", [2, 3, 4])
def test_more_answers_than_k_are_estimated_without_bias(k: int) -> None:
    from collapse_audit.probes.answer_coverage import _covered

    for n in range(k, 8):
        for c in range(n + 1):
            row = [1.0] * c + [0.0] * (n - c)
            assert _covered(8, k)[n, c] == pytest.approx(by_hand([row], k))
    assert np.isnan(_covered(8, k)[k - 1]).all()


def test_answers_that_grew_surer_lose_coverage_while_pass_at_1_rises() -> None:
    """Half of the prompts from 25% to none, half from 50% to 95%: the answer that was likely is all there is."""
    sides = drawn(120, 8, (0.25, 0.5), 3), drawn(120, 8, (0.0, 0.95), 4)
    found = estimate(answer_coverage, pair(*sides, permutations=999))
    assert found.raw["pass_at_1_generation"] > found.raw["pass_at_1_baseline"]
    assert found.low > answer_coverage.gates[0].margin
    assert found.p_value == 0.001
    assert "pass@1 did not fall" in found.explanation


def test_a_model_that_got_better_loses_nothing() -> None:
    found = estimate(answer_coverage, pair(drawn(80, 6, (0.2, 0.4), 5), drawn(80, 6, (0.4, 0.6), 6)))
    assert found.value < 0
    assert (found.p_value or 0) > 0.5
    assert found.explanation == ""


@pytest.mark.parametrize("prefix", ["p", "q"])
def test_no_change_is_rejected_as_seldom_as_the_level_says(prefix: str) -> None:
    """On shared prompts and on others; 60 pairs: at most 9 with p <= .05 (the .999 quantile of Binomial(60, .05))."""
    found = [
        estimate(
            answer_coverage,
            pair(
                drawn(30, 4, (0.1, 0.3, 0.6), 2 * k), drawn(30, 4, (0.1, 0.3, 0.6), 2 * k + 1, prefix=prefix),
                permutations=99,
            ),
        )
        for k in range(60)
    ]  # fmt: skip
    assert sum((each.p_value or 1.0) <= 0.05 for each in found) <= 9


def test_exchanging_the_sides_turns_the_drop_round() -> None:
    one, other = drawn(40, 4, (0.3,), 7), drawn(40, 4, (0.6,), 8)
    there, back = (estimate(answer_coverage, pair(*sides)).value for sides in ((one, other), (other, one)))
    assert back == pytest.approx(-there)


def test_scores_on_another_scale_need_the_score_from_which_an_answer_is_right() -> None:
    rng = np.random.default_rng(9)
    before, after = ((10 * rng.random((30, 4))).tolist() for _ in range(2))
    sides = answered(before, seed=1), answered(after, seed=2)
    assert "--solved-at" in reason(answer_coverage, pair(*sides))
    found = estimate(answer_coverage, pair(*sides, solved_at=6.0))
    rights = [[[float(x >= 6.0) for x in row] for row in side] for side in (before, after)]
    assert found.value == pytest.approx(by_hand(rights[0], 4) - by_hand(rights[1], 4))


def test_where_nothing_can_be_compared_it_is_said() -> None:
    many, none = drawn(40, 4, (0.5,), 1), drawn(40, 4, (0.0,), 2)
    assert "no answer of the baseline is right" in reason(answer_coverage, pair(none, many))
    assert estimate(answer_coverage, pair(many, none)).raw["pass_at_k_generation"] == 0.0
    single = drawn(40, 1, (0.5,), 3)
    assert "several answers that are scored" in reason(answer_coverage, pair(single, drawn(40, 1, (0.5,), 4)))
    assert "several answers that are scored" in reason(answer_coverage, pair(drawn(9, 4, (0.5,), 3), many))
    assert "no prompt with a score" in reason(answer_coverage, pair(many, replace(many, score=None)))
    assert "--unit prompt" in reason(answer_coverage, pair(many, drawn(40, 4, (0.5,), 5), unit="document"))
