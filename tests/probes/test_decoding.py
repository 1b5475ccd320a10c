"""What decoding did and what training did: parts that add up, with intervals that hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.registry import follows_of
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.trends.decoding import DecodingSplit, decoding_splits

WORDS = [f"w{i}" for i in range(200)]
ZIPF = 1 / np.arange(1, 201)


def drawn(rng: np.random.Generator, gamma: float, n: int = 200, *, name: str, shift: float = 0.0) -> Sample:
    """n documents of 30 words from p^gamma, with log-perplexities about 3 + shift."""
    p = ZIPF**gamma / (ZIPF**gamma).sum()
    texts = [" ".join(rng.choice(WORDS, size=30, p=p)) for _ in range(n)]
    return sample_of(texts, nll=list(rng.normal(3.0 + shift, 0.3, size=n)), name=name)


def splits(gammas: tuple[float, float, float], seed: int = 0, **options: float) -> dict[str, DecodingSplit]:
    """Baseline, control and generation of these gammas."""
    rng = np.random.default_rng(seed)
    baseline, control, generation = (
        drawn(rng, gamma, name=name, **options)
        for gamma, name in zip(gammas, ("baseline", "control", "generation"), strict=True)
    )
    found = decoding_splits(baseline, control, generation, follow=follows_of(), permutations=199, seed=seed)
    return {split.statistic: split for split in found if isinstance(split, DecodingSplit)}


def test_the_parts_make_up_the_whole() -> None:
    """Ratios multiply and differences add, exactly."""
    for split in splits((1.0, 1.2, 1.4)).values():
        assert split.total is not None
        assert split.decoding is not None
        parts = (split.decoding.value, split.training.value)
        together = math.prod(parts) if split.scale == "log" else sum(parts)
        assert together == pytest.approx(split.total.value, rel=1e-9, abs=1e-12), split.statistic


def test_other_decoding_alone_is_told_as_decoding() -> None:
    """Generation k writes what generation 0 would write under its decoding: training did nothing."""
    tail = splits((1.0, 1.3, 1.3))["tail-mass"]
    assert tail.decoding is not None
    assert tail.share is not None
    assert tail.decoding.high < 0.9
    assert tail.training.low < 1 < tail.training.high
    assert tail.p_value > 0.05
    assert tail.share.low < 1 < tail.share.high


def test_training_alone_is_told_as_training() -> None:
    """The control writes like generation 0, and generation k does not."""
    tail = splits((1.0, 1.0, 1.3))["tail-mass"]
    assert tail.decoding is not None
    assert tail.share is not None
    assert tail.training.high < 0.9
    assert tail.p_value == 1 / 200
    assert tail.decoding.low < 1 < tail.decoding.high
    assert tail.share.low < 0 < tail.share.high


def test_the_tail_mass_of_known_laws() -> None:
    """The tail is what lies outside the words that hold 90% under p; its mass under p^gamma is a sum."""
    p = ZIPF / ZIPF.sum()
    rare = np.cumsum(p) - p >= 0.9
    masses = [float((ZIPF**gamma / (ZIPF**gamma).sum())[rare].sum()) for gamma in (1.0, 1.1, 1.2)]
    tail = splits((1.0, 1.1, 1.2))["tail-mass"]
    assert tail.decoding is not None
    # Half of the baseline tells the tail, with some error: a tenth, relative.
    assert tail.decoding.value == pytest.approx(masses[1] / masses[0], rel=0.1)
    assert tail.training.value == pytest.approx(masses[2] / masses[1], rel=0.1)


def test_the_split_of_likelihoods_is_that_of_means() -> None:
    """By hand: differences of three means, errors of independent ones."""
    rng = np.random.default_rng(1)
    samples = [drawn(rng, 1.0, name=f"{shift}", shift=shift) for shift in (0.0, -0.1, -0.4)]
    found = decoding_splits(*samples, follow=follows_of(), permutations=99, seed=0)
    (split,) = (s for s in found if isinstance(s, DecodingSplit) and s.statistic == "log-perplexity")
    x = [np.asarray(sample.nll) for sample in samples]
    assert split.total is not None
    assert split.decoding is not None
    assert split.decoding.value == pytest.approx(x[1].mean() - x[0].mean(), rel=1e-9)
    assert split.training.value == pytest.approx(x[2].mean() - x[1].mean(), rel=1e-9)
    error = math.sqrt(x[2].var(ddof=1) / 200 + x[0].var(ddof=1) / 200)
    assert split.total.high - split.total.low == pytest.approx(2 * 1.6448536 * error, rel=1e-6)
    assert split.worse == "either"


def test_too_few_texts_have_no_interval() -> None:
    """Three documents a side tell a value and no more."""
    rng = np.random.default_rng(0)
    found = decoding_splits(
        *(drawn(rng, 1.0, 3, name=name) for name in "abc"), follow=follows_of(), permutations=99, seed=0
    )
    for split in found:
        assert isinstance(split, DecodingSplit)
        assert split.share is None
        row = split.as_dict()
        assert "low" not in row["training"]
        assert "fewer than" in row["reason"]
