"""The split of decoding and training over many lineages in which training did nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.registry import follows_of
from collapse_audit.probes.statistics.readings import NotMeasured
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.trends.decoding import decoding_splits

pytestmark = pytest.mark.calibration
WORDS = [f"w{i}" for i in range(200)]


def drawn(rng: np.random.Generator, gamma: float, name: str) -> Sample:
    """150 documents of 30 words from a Zipf law to the power gamma."""
    p = np.arange(1, 201) ** -gamma
    return sample_of([" ".join(rng.choice(WORDS, size=30, p=p / p.sum())) for _ in range(150)], name=name)


def answered(rng: np.random.Generator, name: str) -> Sample:
    """300 answers to 300 prompts, a third of whose words belong to the prompt."""
    common = np.arange(1, 401) ** -1.0
    texts = [
        " ".join([f"w{i}" for i in rng.choice(400, size=20, p=common / common.sum())] + [f"t{k}x{i}" for i in own])
        for k, own in enumerate(rng.integers(0, 8, size=(300, 10)))
    ]
    return sample_of(texts, prompts=[f"p{k}" for k in range(300)], name=name)


def test_answers_to_the_same_prompts_share_its_words_without_a_bias(repeats: Callable[[int], int]) -> None:
    """Three samples of one law over the same prompts, each with words of its own: every part of every statistic is
    none. Were the answers to the prompts that define the tail to stay, tail mass would be .81 of the baseline's."""
    n = repeats(100)
    covered: dict[tuple[str, str], int] = {}
    for seed in range(n):
        rng = np.random.default_rng(seed)
        for split in decoding_splits(
            *(answered(rng, name) for name in "abc"), follow=follows_of(), permutations=99, seed=seed
        ):
            if isinstance(split, NotMeasured):
                continue
            none = 1.0 if split.scale == "log" else 0.0
            for name in ("total", "decoding", "training"):
                part = getattr(split, name)
                if part is not None:
                    key = (split.statistic, name)
                    covered[key] = covered.get(key, 0) + (part.low <= none <= part.high)
    assert ("tail-mass", "total") in covered
    assert min(covered.values()) >= binom.ppf(0.0001, n, 0.85), covered


def test_where_training_did_nothing_its_part_is_none(repeats: Callable[[int], int]) -> None:
    """Decoding sharpens, training does nothing: 5% rejections, 90% intervals, of every statistic by itself."""
    n = repeats(300)
    rejected: dict[str, int] = {}
    covered: dict[str, int] = {}
    for seed in range(n):
        rng = np.random.default_rng(seed)
        samples = [drawn(rng, gamma, name) for gamma, name in ((1.0, "a"), (1.2, "b"), (1.2, "c"))]
        for split in decoding_splits(*samples, follow=follows_of(), permutations=199, seed=seed):
            if isinstance(split, NotMeasured):
                continue
            none = 1.0 if split.scale == "log" else 0.0
            rejected[split.statistic] = rejected.get(split.statistic, 0) + (split.p_value <= 0.05)
            inside = split.training.low <= none <= split.training.high
            covered[split.statistic] = covered.get(split.statistic, 0) + inside
    assert "tail-mass" in rejected
    assert max(rejected.values()) <= binom.ppf(0.9999, n, 0.05), rejected
    assert min(covered.values()) >= binom.ppf(0.0001, n, 0.9), covered
