"""False alarms: how often exact tests reject, and verdicts fail, where nothing has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.reports.document import Outcome
from collapse_audit.settings.config import AuditConfig
from collapse_audit.verdicts.rule import holm
from tests.calibration.conftest import at_least, at_most
from tests.calibration.texts import documents, zipf

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]


def test_every_exact_test_keeps_its_level_and_no_null_pair_fails(repeats: Repeats) -> None:
    """1,000 null pairs, B = 199: at most 74 rejections at .05 each, and FAIL in at most 1% of pairs."""
    count = repeats(1000)
    rejected: Counter[str] = Counter()
    measured: Counter[str] = Counter()
    failing = 0
    for repeat in range(count):
        rng = np.random.default_rng([1, repeat])
        sides = []
        for _ in range(2):
            plain = documents(zipf(5000), 120, rng)
            labels = [[f"class {k}"] for k in rng.choice(5, size=120, p=[0.02, 0.28, 0.35, 0.20, 0.15])]
            nll = rng.normal(3.4, 0.45, 120)
            sides.append(
                sample_of(plain.texts.to_pylist(), labels=labels, nll=list(nll), name=str(rng.integers(1 << 62)))
            )
        found = trial(*sides, config=AuditConfig(permutations=199, seed=repeat))
        for (probe, statistic), (reading, judgement) in found.items():
            if isinstance(reading, Estimate) and reading.p_value is not None:
                measured[f"{probe}/{statistic}"] += 1
                rejected[f"{probe}/{statistic}"] += reading.p_value <= 0.05
                assert judgement is not None
        failing += any(judgement and judgement.outcome is Outcome.FAIL for _, judgement in found.values())
    assert len(measured) >= 12
    assert {key: n for key, n in rejected.items() if n > at_most(measured[key], 0.05)} == {}
    assert failing <= at_most(count, 0.01)


def test_holm_holds_the_family_of_a_whole_lineage(repeats: Repeats) -> None:
    """Stationary lineages, five generations against one baseline: a rejection anywhere in at most 5% of lineages."""
    count = repeats(400)
    wrong = 0
    text = tuple(probe for probe in BUILTIN if probe.needs == {"text"})
    for repeat in range(count):
        rng = np.random.default_rng([2, repeat])
        baseline = documents(zipf(5000), 100, rng)
        p_values = []
        for _ in range(5):
            found = trial(baseline, documents(zipf(5000), 100, rng), probes=text, config=AuditConfig(permutations=800))
            p_values += [r.p_value for r, _ in found.values() if isinstance(r, Estimate) and r.p_value is not None]
        wrong += min(holm(p_values)) <= 0.05
    assert wrong <= at_most(count, 0.05)


def test_a_token_level_test_is_seen_to_be_broken(repeats: Repeats) -> None:
    """Negative control: chi-square on tokens, which takes them for independent, rejects far over its 5%."""
    count = repeats(200)
    wrong = 0
    for repeat in range(count):
        rng = np.random.default_rng([3, repeat])
        counts = []
        for _ in range(2):
            tokens = documents(zipf(1000), 300, rng).tokens
            names = [int(name[1:]) for name in tokens.vocabulary.to_pylist()]
            totals = np.zeros(1000)
            totals[names] = np.bincount(tokens.ids, minlength=len(names))
            counts.append(totals)
        table = np.stack(counts)
        wrong += chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue <= 0.05
    assert wrong >= at_least(count, 0.30)


@pytest.mark.parametrize("n", [500])
def test_a_shift_of_just_the_margin_seldom_fails_perplexity(n: int, repeats: Repeats) -> None:
    """W1 of two normals of equal spread is the shift: at exactly the margin FAIL stays under 7.5%."""
    count = repeats(300)
    perplexity = tuple(probe for probe in BUILTIN if probe.name == "perplexity")
    failed = 0
    for repeat in range(count):
        rng = np.random.default_rng([4, repeat])
        sides = [
            sample_of(["x"] * n, nll=list(rng.normal(3.4 + shift, 0.45, n)), name=f"{repeat} {shift}")
            for shift in (0.0, 0.10)
        ]
        found = trial(*sides, probes=perplexity, config=AuditConfig(permutations=199, seed=repeat))
        judgement = found["perplexity", "W1"][1]
        failed += judgement is not None and judgement.outcome is Outcome.FAIL
    assert failed <= at_most(count, 0.075)
