"""Automatic margins: healthy generations pass at the stated rate and do not fail, and what they promise is found.

Texts are independent draws of a known source, so every rate has its number: 1 - false alarms, alpha, and 90% power.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from collapse_audit.calibration.bench import NULL, Bench, auto_margins, gates_in_force
from collapse_audit.calibration.settled import WHOLE, Trial, outcomes, settled, with_margin
from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.lineages.simulation import damage
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate, Reading
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.types import probe
from collapse_audit.reports.document import Outcome
from collapse_audit.settings.config import AuditConfig
from collapse_audit.verdicts.rule import judge
from tests.calibration.conftest import at_least, at_most
from tests.calibration.texts import documents, zipf

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]
TEXT = tuple(p for p in BUILTIN if p.needs == {"text"})


@pytest.fixture
def repeats(request: pytest.FixtureRequest) -> Repeats:
    """As for the other error rates: a tenth of the repetitions, at least 20, with ``--reduced``."""
    reduced = bool(request.config.getoption("--reduced"))
    return lambda whole: max(20, whole // 10) if reduced else whole


@probe(name="mean", unit="points", worse="higher", margin=1.0)
def mean(pair: Pair) -> Reading:
    """The mean of the numbers that the texts are: its difference is normal, and its error known."""
    return pair.mean_rise(float)


def numbers(centre: float, n: int, rng: np.random.Generator) -> Sample:
    return sample_of([f"{value:.6f}" for value in rng.normal(centre, 1, n)], name=str(rng.integers(1 << 62)))


def judged(baseline: Sample, generation: Sample, config: AuditConfig) -> Outcome:
    """The worst of all findings."""
    found = trial(baseline, generation, probes=TEXT, config=config)
    readings = {key: reading for key, (reading, _) in found.items() if isinstance(reading, Estimate)}
    one = Trial(scenario="", index=0, readings=readings)
    return outcomes(one, gates_in_force(TEXT, config), alpha=config.alpha)[WHOLE]


@pytest.mark.parametrize("n", [150, 300])
def test_healthy_generations_pass_at_automatic_margins(n: int, repeats: Repeats) -> None:
    """300 baseline documents; generations of 150 (measured) and of 300 (carried over). All findings together pass in at
    least 90% (95% is the aim, and nothing but the normal approximation stands between) and fail in at most 5%."""
    count = repeats(100)
    seen: Counter[Outcome] = Counter()
    for repeat in range(count):
        rng = np.random.default_rng([n, repeat])
        baseline, generation = documents(zipf(5000), 300, rng), documents(zipf(5000), n, rng)
        config = AuditConfig(permutations=199, seed=repeat)
        seen[judged(baseline, generation, _auto(config, baseline, n))] += 1
    assert seen[Outcome.PASS] >= at_least(count, 0.90), seen
    assert seen[Outcome.FAIL] <= at_most(count, 0.05), seen


def _auto(config: AuditConfig, baseline: Sample, n: int) -> AuditConfig:
    gates = auto_margins(baseline, n, TEXT, config)
    assert len(gates) >= 7
    return AuditConfig(permutations=config.permutations, seed=config.seed, gates=gates)


def test_what_is_said_to_be_found_is_found_in_nine_of_ten(repeats: Repeats) -> None:
    """A shift of a normal mean by exactly ``found_from``; its null pairs pass in 95%. 120 numbers a side."""
    count = repeats(400)
    failed = passed = 0
    for repeat in range(count):
        rng = np.random.default_rng([7, repeat])
        bench = Bench(baseline=numbers(0, 240, rng), n=120, probes=(mean,), config=AuditConfig(permutations=99))
        gates = gates_in_force((mean,), bench.config)
        one = settled([bench.run(NULL, index) for index in range(8)], [], gates, false_alarms=0.05)["mean", "mean"]
        gate = {("mean", "mean"): with_margin(gates["mean", "mean"], one.margin)}
        for centre in (0.0, one.found_from):
            found = trial(numbers(0, 120, rng), numbers(centre, 120, rng), probes=(mean,), config=bench.config)
            reading = found["mean", "mean"][0]
            outcome = outcomes(Trial(scenario="", index=0, readings={("mean", "mean"): reading}), gate, alpha=0.05)
            failed += centre > 0 and outcome[WHOLE] is Outcome.FAIL
            passed += centre == 0 and outcome[WHOLE] is Outcome.PASS
    assert at_least(count, 0.90) <= failed <= at_most(count, 0.90)
    assert at_least(count, 0.95) <= passed <= at_most(count, 0.95)


def test_a_few_copies_are_found_that_the_default_margin_allows(repeats: Repeats) -> None:
    """3% duplicates in 2,000 short texts: never over the default of 5 points; at an automatic margin in nine of ten.

    By hand: without copies the error s is the rule of three's, 1.645 s = 3 sqrt(2)/1,000 at half of n. Carried over to
    n, with 4 null pairs and three findings, the margin is (1.645 + 2.13 sqrt(1 + 1/4)) s/sqrt(2) = .0073; the bound of
    .03 lies at about .03 - 1.645 * .005."""
    count = repeats(60)
    at_default = at_auto = 0
    diversity = tuple(p for p in BUILTIN if p.name == "diversity")
    for repeat in range(count):
        rng = np.random.default_rng([9, repeat])
        baseline, other = (documents(zipf(5000), 2000, rng, length=12) for _ in range(2))
        harmed = sample_of(damage.duplicate(other.texts.to_pylist(), 0.03, rng), name=str(repeat))
        config = AuditConfig(permutations=99, seed=repeat)
        reading = trial(baseline, harmed, probes=diversity, config=config)["diversity", "duplicates"][0]
        assert isinstance(reading, Estimate)
        gate = gates_in_force(diversity, config)["diversity", "duplicates"]
        automatic = replace(config, gates=auto_margins(baseline, 2000, diversity, config))
        auto = gates_in_force(diversity, automatic)["diversity", "duplicates"]
        default, settled_here = (judge(reading, one, p_adjusted=reading.p_value, alpha=0.05) for one in (gate, auto))
        at_default += default.outcome is Outcome.FAIL
        at_auto += settled_here.outcome is Outcome.FAIL
    assert at_default == 0
    assert at_auto >= at_least(count, 0.90)
