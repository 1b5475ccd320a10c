"""Intervals hold the truth as often as they say, and the lost-class rule needs the texts that arithmetic says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.tail import HALVINGS, halves
from collapse_audit.probes.pairs.tail import head as most_frequent
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.probes.statistics.survival import Survival
from collapse_audit.reports.document import Outcome
from collapse_audit.settings.config import AuditConfig
from tests.calibration.conftest import at_least, at_most
from tests.calibration.texts import documents, sharpened, zipf

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]


def test_the_interval_of_the_tail_mass_ratio_covers(repeats: Repeats) -> None:
    """Nominal 90%; the truth given the tails that the halves of the baseline define: mean q(tail) / mean p(tail), which
    the laws tell."""
    count = repeats(500)
    p, q = zipf(5000), sharpened(zipf(5000), 1.1)
    covered = 0
    for repeat in range(count):
        rng = np.random.default_rng([31, repeat])
        pair = Pair(baseline=documents(p, 300, rng), generation=documents(q, 300, rng), permutations=99, seed=repeat)
        rank = np.array([int(pair.tokens.vocabulary[int(t)].as_py()[1:]) for t in pair.words.types])
        held = np.zeros(2)
        for half in halves(np.arange(300), pair.stream("tail-mass halvings")):
            head = most_frequent(pair.words.on(np.isin(np.arange(600), half)), pair.stream("ties"))
            held += [law[rank[head]].sum() for law in (p, q)]
        truth = np.divide(*(1 - held / (2 * HALVINGS))[::-1])
        (reading,) = next(probe for probe in BUILTIN if probe.name == "tail-mass")(pair)
        assert isinstance(reading, Estimate)
        covered += reading.low <= truth <= reading.high
    assert at_least(count, 0.87) <= covered <= at_most(count, 0.93)


def test_a_divergence_of_just_the_margin_seldom_fails(repeats: Repeats) -> None:
    """gamma so that the true divergence on the whole vocabulary, an upper limit of the coarse one, is the margin."""
    count = repeats(200)
    p = zipf(20_000)
    gamma = _gamma_of_divergence(p, 0.01)
    probes = tuple(probe for probe in BUILTIN if probe.name == "token-divergence")
    failed = 0
    for repeat in range(count):
        rng = np.random.default_rng([32, repeat])
        found = trial(
            documents(p, 500, rng),
            documents(sharpened(p, gamma), 500, rng),
            probes=probes,
            config=AuditConfig(permutations=199, seed=repeat),
        )
        judgement = found["token-divergence", "JS-excess"][1]
        failed += judgement is not None and judgement.outcome is Outcome.FAIL
    assert failed <= at_most(count, 0.05)


def _gamma_of_divergence(p: np.ndarray, target: float) -> float:
    """Bisection of JS(p, p^gamma) = target."""
    low, high = 1.0, 1.5
    for _ in range(60):
        gamma = (low + high) / 2
        q = sharpened(p, gamma)
        m = (p + q) / 2
        js = float((p * np.log(p / m)).sum() + (q * np.log(q / m)).sum()) / 2
        low, high = (gamma, high) if js < target else (low, gamma)
    return gamma


def test_a_two_percent_class_is_never_called_lost_below_598_texts() -> None:
    """1 - .05^(1/n) < .25 p needs n >= 598 even if the class were known to hold 2% (and the reference's own
    uncertainty only adds to that)."""
    for n in range(1, 598):
        carriers = round(0.02 * n)
        if carriers:
            row = Survival(label="", baseline=carriers, generation=0, n_baseline=n, n_generation=n)
            assert row.status != "lost"
    assert 1 - 0.05 ** (1 / 598) < 0.25 * 0.02 <= 1 - 0.05 ** (1 / 597)


@pytest.mark.parametrize("n", [50, 100, 200, 400])
def test_a_lost_class_never_passes_where_it_could_have_been_missing(n: int) -> None:
    """Nothing seen of it: whatever the baseline holds, the finding does not pass."""
    for carriers in range(1, n // 5):
        labels = [["rare"]] * carriers + [["common"]] * (n - carriers)
        found = trial(
            sample_of([f"text {i}" for i in range(n)], labels=labels, name="baseline"),
            sample_of([f"text {n + i}" for i in range(n)], labels=[["common"]] * n, name="generation"),
            probes=tuple(probe for probe in BUILTIN if probe.name == "label-coverage"),
            config=AuditConfig(permutations=99),
        )
        judgement = found["label-coverage", "retained-share"][1]
        assert judgement is not None
        assert judgement.outcome is not Outcome.PASS


def test_a_lost_two_percent_class_fails_at_a_thousand_texts(repeats: Repeats) -> None:
    """Lost entirely at n = 1,000 a side: fail in at least 95 of 100 (five classes, Bonferroni over them)."""
    count = repeats(400)
    rng = np.random.default_rng(33)
    failed = 0
    for carriers in binom.rvs(1000, 0.02, size=count, random_state=rng):
        row = Survival(label="", baseline=int(carriers), generation=0, n_baseline=1000, n_generation=1000)
        # The run's family is Holm over some 15 findings, and the probe's own over 5 classes.
        failed += row.bounds[1] < 0.5 and 15 * 5 * row.p_value <= 0.05
    assert failed >= at_least(count, 0.95)
