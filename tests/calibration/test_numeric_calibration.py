"""Probes of numbers: how often they reject nothing, where their bounds lie, and what they find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from collapse_audit.calibration.two_samples import numbers_of, trial
from collapse_audit.probes.registry import NUMERIC
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.reports.document import Outcome
from collapse_audit.settings.config import AuditConfig
from tests.calibration.conftest import at_least, at_most

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]
Draw = Callable[[np.random.Generator], np.ndarray]


def heavy(rng: np.random.Generator) -> np.ndarray:
    """Student's t with five degrees of freedom: the fourth moment exists, just."""
    return rng.standard_t(5, 200)


def modes(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(rng.choice([-3.0, 3.0], 200, p=[0.8, 0.2]))


def states(rng: np.random.Generator) -> np.ndarray:
    return rng.choice(np.arange(1.0, 41.0), 200)


def plane(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(200, 2)) @ np.array([[1.0, 0.5], [0.0, 0.3]])


@pytest.mark.parametrize("draw", [heavy, modes, states, plane])
def test_every_test_keeps_its_level_and_no_null_pair_fails(draw: Draw, repeats: Repeats) -> None:
    """500 null pairs, B = 199: 5% rejections of each test at most, FAIL in at most 1% of pairs."""
    count = repeats(500)
    rejected: Counter[str] = Counter()
    failing = 0
    for repeat in range(count):
        rng = np.random.default_rng([81, repeat])
        sides = [numbers_of(draw(rng), name=f"{repeat} {side}") for side in (0, 1)]
        found = trial(*sides, probes=NUMERIC, config=AuditConfig(permutations=199, seed=repeat, unit="document"))
        for (probe, _), (reading, judgement) in found.items():
            if isinstance(reading, Estimate):
                rejected[probe] += reading.p_value is not None and reading.p_value <= 0.05
                failing += judgement is not None and judgement.outcome in (Outcome.FAIL, Outcome.CHANGED)
    assert {name: n for name, n in rejected.items() if n > at_most(count, 0.05)} == {}
    assert failing <= at_most(count, 0.01)


def without_tails(rng: np.random.Generator) -> np.ndarray:
    """Nothing beyond 1.7: what lay there is halved."""
    x = rng.normal(size=1000)
    return np.where(np.abs(x) > 1.7, x / 2, x)


DEVIATION = 0.8
TRUTH = {
    "numeric-mean": 0.3,
    "numeric-spread": DEVIATION**2,
    "numeric-tails": (norm.cdf((-norm.ppf(0.975) - 0.3) / DEVIATION) + norm.sf((norm.ppf(0.975) - 0.3) / DEVIATION))
    / 0.05,
    "numeric-wasserstein": (0.3**2 + (1 - DEVIATION) ** 2) ** 0.5,
}
"""Of N(.3, .8^2) beside N(0, 1), in closed form."""


def test_each_bound_misses_the_truth_in_five_percent_of_cases(repeats: Repeats) -> None:
    """1,000 normal numbers a side, shifted and narrowed: one-sided bounds at 95%, up to 8% for the rounding of 2.5%."""
    count = repeats(300)
    below: Counter[str] = Counter()
    above: Counter[str] = Counter()
    probes = tuple(probe for probe in NUMERIC if probe.name in TRUTH)
    for repeat in range(count):
        rng = np.random.default_rng([82, repeat])
        before, after = rng.normal(size=1000), rng.normal(0.3, DEVIATION, 1000)
        sides = numbers_of(before, name=f"b{repeat}"), numbers_of(after, name=f"g{repeat}")
        found = trial(*sides, probes=probes, config=AuditConfig(permutations=99, seed=repeat, unit="document"))
        for (name, _), (reading, _judgement) in found.items():
            assert isinstance(reading, Estimate)
            below[name] += reading.high < TRUTH[name]
            above[name] += reading.low > TRUTH[name]
    missed = {name: (below[name], above[name]) for name in TRUTH}
    assert all(max(pair) <= at_most(count, 0.08) for pair in missed.values()), missed


def test_what_is_lost_is_found_by_the_probe_that_is_made_for_it(repeats: Repeats) -> None:
    """1,000 numbers a side: FAIL, or CHANGED of a move, in nine cases of ten."""
    cases: dict[str, Draw] = {
        "numeric-spread": lambda rng: rng.normal(0, 0.75, 1000),
        "numeric-tails": without_tails,
        "numeric-modes": lambda rng: np.abs(rng.normal(size=1000)),
        "numeric-mean": lambda rng: rng.normal(0.4, 1, 1000),
        "numeric-wasserstein": lambda rng: rng.normal(0.4, 1, 1000),
    }
    count = repeats(100)
    for name, draw in cases.items():
        probes = tuple(probe for probe in NUMERIC if probe.name == name)
        seen = 0
        for repeat in range(count):
            rng = np.random.default_rng([83, repeat])
            sides = numbers_of(rng.normal(size=1000), name=f"b{repeat}"), numbers_of(draw(rng), name=f"g{repeat}")
            found = trial(*sides, probes=probes, config=AuditConfig(permutations=199, seed=repeat, unit="document"))
            (_, judgement) = next(iter(found.values()))
            seen += judgement is not None and judgement.outcome in (Outcome.FAIL, Outcome.CHANGED)
        assert seen >= at_least(count, 0.9), name
