"""The split of decoding and training over many lineages in which training did nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from collapse_audit.probes.decoding import decoding_splits
from collapse_audit.probes.sample import Sample
from collapse_audit.trial import sample_of

pytestmark = pytest.mark.calibration
WORDS = [f"w{i}" for i in range(200)]


def drawn(rng: np.random.Generator, gamma: float, name: str) -> Sample:
    """150 documents of 30 words from a Zipf law to the power gamma."""
    p = np.arange(1, 201) ** -gamma
    return sample_of([" ".join(rng.choice(WORDS, size=30, p=p / p.sum())) for _ in range(150)], name=name)


def test_where_training_did_nothing_its_part_is_none(repeats: Callable[[int], int]) -> None:
    """Decoding sharpens, training does nothing: 5% rejections, 90% intervals, of every statistic by itself."""
    n = repeats(300)
    rejected: dict[str, int] = {}
    covered: dict[str, int] = {}
    for seed in range(n):
        rng = np.random.default_rng(seed)
        samples = [drawn(rng, gamma, name) for gamma, name in ((1.0, "a"), (1.2, "b"), (1.2, "c"))]
        for split in decoding_splits(*samples, permutations=199, seed=seed):
            none = 1.0 if split.scale == "log" else 0.0
            rejected[split.statistic] = rejected.get(split.statistic, 0) + (split.p_value <= 0.05)
            inside = split.training.low <= none <= split.training.high
            covered[split.statistic] = covered.get(split.statistic, 0) + inside
    assert "tail-mass" in rejected
    assert max(rejected.values()) <= binom.ppf(0.9999, n, 0.05), rejected
    assert min(covered.values()) >= binom.ppf(0.0001, n, 0.9), covered
