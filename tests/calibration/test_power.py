"""Power: how often planted damage is found, and negative controls that must not find it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from collapse_audit.calibration.two_samples import trial
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.probes.text.sample import Sample
from collapse_audit.reports.document import Outcome
from collapse_audit.settings.config import AuditConfig
from tests.calibration.conftest import at_least, at_most
from tests.calibration.texts import FloatArray, documents, drifted, patterns, sharpened, truncated, zipf

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]
JS, MASS, TYPES = (
    ("token-divergence", "JS-excess"),
    ("tail-mass", "tail-mass-ratio"),
    ("tail-coverage", "distinct-types"),
)
TOKEN_PROBES = tuple(probe for probe in BUILTIN if probe.name in (JS[0], MASS[0], TYPES[0]))


def rates(
    make: Callable[[np.random.Generator], tuple[Sample, Sample]], count: int, *, seed: int
) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """How many of ``count`` pairs are rejected at .05, and how many fail, by finding."""
    rejected: Counter[tuple[str, str]] = Counter()
    failed: Counter[tuple[str, str]] = Counter()
    for repeat in range(count):
        baseline, generation = make(np.random.default_rng([seed, repeat]))
        found = trial(baseline, generation, probes=TOKEN_PROBES, config=AuditConfig(permutations=199, seed=repeat))
        for key, (reading, judgement) in found.items():
            if isinstance(reading, Estimate) and judgement is not None and reading.p_value is not None:
                rejected[key] += reading.p_value <= 0.05
                failed[key] += judgement.outcome in (Outcome.FAIL, Outcome.CHANGED)  # a loss fails, a move has changed
    return rejected, failed


def changed(q: FloatArray, n: int) -> Callable[[np.random.Generator], tuple[Sample, Sample]]:
    """Documents of the Zipf distribution of 20,000 types against documents of ``q``."""
    return lambda rng: (documents(zipf(20_000), n, rng), documents(q, n, rng))


@pytest.mark.parametrize(
    ("gamma", "n", "keys", "rate"),
    [
        (1.2, 2000, (JS, MASS, TYPES), 0.99),
        (1.2, 500, (JS, MASS, TYPES), 0.95),
        (1.1, 2000, (JS, MASS, TYPES), 0.95),
        (1.05, 500, (MASS, TYPES), 0.90),
        (1.02, 2000, (MASS, TYPES), 0.90),
    ],
)
def test_sharpening_is_found(
    gamma: float, n: int, keys: tuple[tuple[str, str], ...], rate: float, repeats: Repeats
) -> None:
    """p^gamma: the test of every named finding rejects."""
    count = repeats(100)
    rejected, failed = rates(changed(sharpened(zipf(20_000), gamma), n), count, seed=round(1000 * gamma) + n)
    assert {key: rejected[key] for key in keys if rejected[key] < at_least(count, rate)} == {}
    if gamma == 1.2:
        assert failed[JS] >= at_least(count, rate)
        assert failed[MASS] >= at_least(count, rate)


@pytest.mark.parametrize(
    ("mass", "n", "keys", "rate"), [(0.95, 500, (MASS, TYPES), 0.90), (0.99, 2000, (TYPES,), 0.85)]
)
def test_truncation_is_found(
    mass: float, n: int, keys: tuple[tuple[str, str], ...], rate: float, repeats: Repeats
) -> None:
    """Top-p decoding."""
    count = repeats(100)
    rejected, _ = rates(changed(truncated(zipf(20_000), mass), n), count, seed=round(100 * mass) + n)
    assert {key: rejected[key] for key in keys if rejected[key] < at_least(count, rate)} == {}


def test_one_generation_of_wright_fisher_is_found_by_divergence_and_coverage(repeats: Repeats) -> None:
    """1,000 patterns, 1,000 texts of one pattern each, k = 1: both reject, and both fail."""
    count = repeats(100)

    def make(rng: np.random.Generator) -> tuple[Sample, Sample]:
        return patterns(zipf(1000), 1000, rng), patterns(drifted(zipf(1000), 1000, 1, rng), 1000, rng)

    rejected, failed = rates(make, count, seed=11)
    for key in (JS, TYPES):
        assert rejected[key] >= at_least(count, 0.95)
        assert failed[key] >= at_least(count, 0.95)


def test_drift_leaves_tail_mass_alone(repeats: Repeats) -> None:
    """Negative control: tail mass is a martingale under resampling, so 20,000 tokens a generation hardly move it."""
    count = repeats(100)

    def make(rng: np.random.Generator) -> tuple[Sample, Sample]:
        p = zipf(20_000)
        return documents(p, 500, rng), documents(drifted(p, 20_000, 3, rng), 500, rng)

    rejected, _ = rates(make, count, seed=12)
    assert rejected[MASS] <= at_most(count, 0.20)
    assert rejected[TYPES] >= at_least(count, 0.95)


@pytest.mark.parametrize("generations", [1, 5])
def test_mild_drift_is_inconclusive_at_first_and_found_later(generations: int, repeats: Repeats) -> None:
    """A million training tokens a generation, 2,000 texts: one generation never fails, five are seen by the test."""
    count = repeats(60)

    def make(rng: np.random.Generator) -> tuple[Sample, Sample]:
        p = zipf(20_000)
        return documents(p, 2000, rng), documents(drifted(p, 1_000_000, generations, rng), 2000, rng)

    rejected, failed = rates(make, count, seed=20 + generations)
    if generations == 1:
        assert failed[JS] <= at_most(count, 0.01)
    else:
        assert max(rejected[JS], rejected[TYPES]) >= at_least(count, 0.90)
