"""CA402 against means by hand and an enumeration of every swap."""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any

import numpy as np
import pytest
from builders import estimates, pair, readings

from collapse_audit.probes.concentration import concentration
from collapse_audit.probes.models.contexts import Contexts
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import NotMeasured, Z


def expectations(entropy: Any, top1: Any, **changes: Any) -> Contexts:
    entropy, top1 = np.asarray(entropy, dtype=np.float64), np.asarray(top1, dtype=np.float64)
    usual: dict[str, Any] = {
        "ids": tuple(f"c{i}" for i in range(entropy.size)),
        "entropy": entropy,
        "top1": top1,
        "n_positions": np.full(entropy.size, 7),
        "digest": "sha256:c",
        "model": "sha256:m",
        "adapter": "sha256:a",
    }
    return Contexts(**(usual | changes))


def compared(before: Contexts, after: Contexts, **details: Any) -> Pair:
    """With a model of its own for the generation."""
    after = dataclasses.replace(after, adapter="sha256:b")
    return pair(["a b c"] * 12, ["a b d"] * 12, contexts=(before, after), **details)


def drawn(n: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.gamma(4.0, 0.25, n), rng.beta(5, 3, n)


def test_values_are_the_ratio_and_the_difference_of_means() -> None:
    entropy, top1 = drawn(200)
    rng = np.random.default_rng(1)
    after = expectations(entropy * rng.uniform(0.5, 0.9, 200), np.minimum(top1 + rng.uniform(0, 0.2, 200), 1))
    found = estimates(concentration, compared(expectations(entropy, top1), after))
    assert found["entropy"].value == pytest.approx(after.entropy.mean() / entropy.mean())
    assert found["top-1"].value == pytest.approx(after.top1.mean() - top1.mean())
    assert found["entropy"].p_value == found["top-1"].p_value == 1 / 200
    assert found["entropy"].high < 0.80
    assert found["top-1"].low > 0.05
    assert found["top-1"].raw["mean_generation"] == pytest.approx(after.top1.mean())
    assert found["entropy"].raw["positions"] == 1400
    # The error of a mean of paired differences, by hand.
    change = after.top1 - top1
    error = change.std(ddof=1) / np.sqrt(200)
    assert (found["top-1"].value - found["top-1"].low) / Z == pytest.approx(error, rel=1e-6)


def test_the_p_value_is_the_share_of_swaps_that_are_as_bad() -> None:
    """Ten contexts: all 1,024 swaps, counted; drawn ones come near them (four standard errors of 5,000 draws)."""
    rng = np.random.default_rng(2)
    entropy, top1 = drawn(10)
    after = expectations(entropy * rng.uniform(0.6, 1.2, 10), np.clip(top1 + rng.normal(0.05, 0.1, 10), 0.01, 1))
    found = estimates(concentration, compared(expectations(entropy, top1), after, permutations=5000))
    ratios, rises = [], []
    for swaps in product((False, True), repeat=10):
        swap = np.array(swaps)
        ratios.append(np.where(swap, entropy, after.entropy).sum() / np.where(swap, after.entropy, entropy).sum())
        rises.append((np.where(swap, -1, 1) * (after.top1 - top1)).sum())
    for statistic, share in (
        ("entropy", np.mean(np.array(ratios) <= ratios[0] + 1e-12)),
        ("top-1", np.mean(np.array(rises) >= rises[0] - 1e-12)),
    ):
        assert 0.01 < share < 0.6
        assert found[statistic].p_value == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 5000))


def test_less_sure_is_no_damage() -> None:
    entropy, top1 = drawn(100)
    after = expectations(entropy * 1.2, top1 * 0.9)
    found = estimates(concentration, compared(expectations(entropy, top1), after))
    assert found["entropy"].p_value == found["top-1"].p_value == 1.0
    assert found["entropy"].low > 1
    assert found["top-1"].high < 0


GOOD = expectations([1.0] * 12, [0.5] * 12)


@pytest.mark.parametrize(
    ("contexts", "neutral", "said"),
    [
        (None, True, "the baseline is none"),
        ((None, None), True, "no model was asked"),
        ((GOOD, None), False, "only the baseline's model was asked"),
        ((None, GOOD), False, "only the generation's model was asked"),
        ((GOOD, dataclasses.replace(GOOD, digest="sha256:d")), False, "at different contexts"),
        ((GOOD, dataclasses.replace(GOOD, ids=GOOD.ids[::-1])), False, "at different contexts"),
        ((GOOD, dataclasses.replace(GOOD, model="sha256:n")), False, "different bases"),
        ((GOOD, GOOD), False, "of the same adapter"),
    ],
)
def test_what_cannot_be_compared_is_not_measured(contexts: Any, neutral: bool, said: str) -> None:
    found = readings(concentration, pair(["a"] * 12, ["b"] * 12, contexts=contexts))
    assert set(found) == {"entropy", "top-1"}
    for reading in found.values():
        assert isinstance(reading, NotMeasured)
        assert said in reading.reason
        assert reading.neutral is neutral


def test_a_model_that_is_sure_of_everything_has_no_ratio_to_compare() -> None:
    """A baseline without any entropy: nothing can be lost. A generation without any: all is."""
    sure = expectations([0.0] * 30, [1.0] * 30)
    entropy, top1 = drawn(30)
    found = readings(concentration, compared(sure, expectations(entropy, top1)))["entropy"]
    assert isinstance(found, NotMeasured)
    lost = estimates(concentration, compared(expectations(entropy, top1), sure))["entropy"]
    assert lost.value < 0.05
    assert lost.high < 0.80
    assert lost.p_value == 1 / 200


def test_a_handful_of_contexts_settles_nothing() -> None:
    entropy, top1 = drawn(5)
    found = estimates(concentration, compared(expectations(entropy, top1), expectations(entropy / 2, top1)))
    assert found["entropy"].high == np.inf
    assert found["entropy"].low == 0.0
