"""CA303: ratios by hand, what a short length alone may say, and where it is a loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import estimate, estimates, pair, reason, sample, spell

from collapse_audit.probes.length import length
from collapse_audit.probes.models.model_facts import Fact
from collapse_audit.probes.text.sample import Sample

MEAN, LONG = (gate.statistic for gate in length.gates)


def of_lengths(lengths: list[int], seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return spell(rng.integers(0, 500, size=count) for count in lengths)


def test_the_ratio_of_mean_lengths_has_the_delta_methods_interval() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.integers(10, 50, size=80), rng.integers(5, 25, size=80)
    found = estimate(length, pair(of_lengths(before.tolist(), 2), of_lengths(after.tolist(), 3)), MEAN)
    error = math.sqrt(sum(side.var(ddof=1) / 80 / side.mean() ** 2 for side in (before, after)))
    assert found.value == pytest.approx(after.mean() / before.mean(), rel=1e-12)
    assert math.log(found.high / found.low) == pytest.approx(2 * 1.6448536269514722 * error, rel=1e-9)
    assert (found.raw["baseline"], found.raw["generation"]) == (before.mean(), after.mean())


def test_long_texts_count_by_rank_among_both_sides_together() -> None:
    """Of 100 texts 12 hold 50 tokens and 28 hold 30: equal lengths have their places' mean weight."""
    before = of_lengths([10] * 30 + [30] * 10 + [50] * 10, 4)
    after = of_lengths([10] * 30 + [30] * 18 + [50] * 2, 5)
    weight = [max(0.0, math.log(0.2 / ((k - 0.5) / 100))) for k in range(1, 101)]  # the longest first
    longest, next_ = sum(weight[:12]) / 12, sum(weight[12:40]) / 28
    found = estimate(length, pair(before, after), LONG)
    sums = 10 * longest + 10 * next_, 2 * longest + 18 * next_
    assert found.value == pytest.approx(sums[1] / sums[0])
    assert found.raw == pytest.approx({"baseline": sums[0] / 50, "generation": sums[1] / 50})


def test_the_longest_fifth_cut_to_the_length_of_the_next_is_changed_and_the_limit_is_told() -> None:
    rng = np.random.default_rng(12)
    before, after = (rng.gamma(4, 10, size=400).astype(int) + 4 for _ in range(2))
    limit = int(np.quantile(after, 0.8))
    found = estimates(length, pair(of_lengths(before.tolist(), 13), of_lengths(np.minimum(after, limit).tolist(), 14)))
    assert found[LONG].high < 0.7
    assert f"of the texts end at {limit} tokens, as at a limit" in found[LONG].explanation
    assert found[MEAN].low > 0.75
    assert not estimate(length, pair(of_lengths(before.tolist(), 13), of_lengths(after.tolist(), 15)), LONG).explanation


def test_another_decoding_is_told() -> None:
    fact = Fact(kind="decoding", ok=True, sentence="decoded otherwise (max_new_tokens 64 -> 32)", noted=True)
    found = estimates(length, pair(of_lengths([20] * 60, 16), of_lengths([10] * 60, 17), facts=(fact,)))
    assert all("max_new_tokens 64 -> 32" in each.explanation for each in found.values())


def test_half_the_length_is_a_move_and_next_to_nothing_is_a_loss() -> None:
    whole = of_lengths([40] * 60, 6)
    half, nothing = of_lengths([20] * 60, 7), of_lengths([1] * 60, 8)
    assert [gate.kind for gate in length.gates] == ["move", "move"]
    assert estimate(length, pair(whole, half), MEAN).kind is None
    lost = estimate(length, pair(whole, nothing), MEAN)
    assert lost.kind == "loss"
    assert lost.high < length.gates[0].margin
    assert estimate(length, pair(of_lengths([6] * 60, 9), nothing), MEAN).kind is None


def test_texts_of_one_length_on_both_sides_have_not_changed() -> None:
    """No spread at all: the interval is what 60 texts may hide, and holds no margin."""
    found = estimates(length, pair(of_lengths([20] * 60, 10), of_lengths([20] * 60, 11)))
    for gate in length.gates:
        assert found[gate.statistic].value == 1.0
        assert gate.margin < found[gate.statistic].low < 1.0
        assert found[gate.statistic].p_value == 1.0


def test_texts_that_grew_longer_are_no_damage() -> None:
    grown = pair(of_lengths([20] * 60, 12), of_lengths([50] * 60, 13))
    found = estimate(length, grown, MEAN)
    assert found.value == 2.5
    assert found.low > 1
    assert found.p_value == 1.0
    assert reason(length, grown, LONG) == "no text of the baseline is that long"


def test_a_prompt_is_not_counted() -> None:
    def side(seed: int, answer: int) -> Sample:
        prompts = of_lengths([100] * 60, 14)
        answers = of_lengths([answer] * 60, seed)
        return sample([f"{p} {a}" for p, a in zip(prompts, answers, strict=True)], prompts=prompts, name=str(seed))

    assert estimate(length, pair(side(15, 20), side(16, 10)), MEAN).value == pytest.approx(0.5)


def test_a_baseline_of_nothing_has_no_length_to_fall_from() -> None:
    empty = [""] * 30
    assert reason(length, pair(empty, empty), MEAN) == "no text of the baseline is that long"
    assert reason(length, pair(empty, ["a b"] * 30), LONG) == "no text of the baseline is that long"
    assert estimate(length, pair(of_lengths([20] * 30, 17), empty), MEAN).kind == "loss"
