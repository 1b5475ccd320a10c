"""Dependent files are never collapse, and independent ones keep their documents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.probes.pairs.units import choose
from collapse_audit.reports.document import Outcome
from collapse_audit.settings.config import AuditConfig
from tests.calibration.conftest import at_most
from tests.calibration.texts import documents, zipf

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]


def test_independent_files_keep_their_documents(repeats: Repeats) -> None:
    """Both files must beat all of 99 shuffles: 1 pair in 10,000."""
    count, lost = repeats(200), 0
    for repeat in range(count):
        rng = np.random.default_rng([31, repeat])
        lost += choose([documents(zipf(5000), 200, rng) for _ in range(2)], "auto", repeat).keys is not None
    assert lost <= at_most(count, 1e-4)


def test_topics_that_last_for_a_stretch_are_not_collapse(repeats: Repeats) -> None:
    """Stretches of 20 records that share a topic, the same law on both sides: documents as units would fail often."""
    count, failed = repeats(100), 0
    words = np.array([f"w{i}" for i in range(2000)])
    for repeat in range(count):
        rng = np.random.default_rng([32, repeat])
        sides = []
        for side in range(2):
            topics = rng.choice(words, size=(25, 15), p=zipf(2000))
            common = rng.choice(words, size=(500, 20), p=zipf(2000))
            own = [rng.choice(topics[i // 20], size=20) for i in range(500)]
            texts = [" ".join((*a, *b)) for a, b in zip(common, own, strict=True)]
            sides.append(sample_of(texts, name=f"{repeat} {side}"))
        found = trial(*sides, config=AuditConfig(permutations=199, seed=repeat))
        failed += any(judgement and judgement.outcome is Outcome.FAIL for _, judgement in found.values())
    assert failed <= at_most(count, 0.02)
