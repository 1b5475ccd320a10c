"""Error rates of trends: exact tests keep their level, intervals hold the truth, planted decay is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.lineages.simulation.wright_fisher import type_names
from collapse_audit.probes.registry import BUILTIN, follows_of
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.trends.trend import Trend, trends
from collapse_audit.reports.document import Outcome
from collapse_audit.run.along import followed_gates, reading
from collapse_audit.verdicts.family import judge_family
from tests.calibration.conftest import at_least, at_most
from tests.calibration.texts import documents, sharpened, zipf

pytestmark = pytest.mark.calibration

IntArray = npt.NDArray[np.int64]
Repeats = Callable[[int], int]
GENERATIONS = 5
CONTINUOUS = ("tail-mass", "effective-tokens", "heterozygosity", "log-perplexity")


def followed(line: Sequence[Sample], *, margins: dict[str, float] | None = None, seed: int = 0) -> dict[str, Trend]:
    """Trends of the samples after the first, which is the baseline's."""
    found = trends(
        line[1:],
        range(1, len(line)),
        definer=line[0],
        follow=follows_of(),
        permutations=199,
        seed=seed,
        margins=margins or {},
    )
    return {each.statistic: each for each in found if isinstance(each, Trend)}


def named(texts: Sequence[str], rng: np.random.Generator, **columns: Any) -> Sample:
    """A sample whose permutations no other sample shares."""
    return sample_of(texts, name=str(rng.integers(1 << 62)), **columns)


def test_stationary_lineages_are_rejected_at_the_level_and_intervals_hold_zero(repeats: Repeats) -> None:
    """300 lineages of 60 texts a generation, all of one model: at most 5% rejections of every statistic; p-values are
    uniform in the middle too; and 90% intervals hold 0."""
    count = repeats(300)
    rejected: Counter[str] = Counter()
    halved: Counter[str] = Counter()
    held: Counter[str] = Counter()
    measured: Counter[str] = Counter()
    for repeat in range(count):
        rng = np.random.default_rng([41, repeat])
        line = [
            named(documents(zipf(5000), 60, rng).texts.to_pylist(), rng, nll=list(rng.normal(3.4, 0.45, 60)))
            for _ in range(1 + GENERATIONS)
        ]
        for name, trend in followed(line, seed=repeat).items():
            measured[name] += 1
            rejected[name] += trend.p_value <= 0.05
            halved[name] += trend.p_value <= 0.5
            held[name] += trend.low <= 0 <= trend.high
    assert len(measured) == 6
    assert set(measured.values()) == {count}
    assert {name: n for name, n in rejected.items() if n > at_most(count, 0.05)} == {}
    outside = {n: halved[n] for n in CONTINUOUS if not at_least(count, 0.5) <= halved[n] <= at_most(count, 0.5)}
    assert outside == {}
    assert {name: n for name, n in held.items() if n < at_least(count, 0.88)} == {}


def test_prompts_that_differ_more_than_their_answers_leave_the_level_alone(repeats: Repeats) -> None:
    """60 prompts, a quarter of which each generation lacks: answers are permuted within prompts, and prompts are the
    units of the interval."""
    count = repeats(200)
    rejected = held = 0
    for repeat in range(count):
        rng = np.random.default_rng([42, repeat])
        line = []
        for _ in range(1 + GENERATIONS):
            answered = rng.permutation(60)[:45]
            nll = [float(prompt % 7 + rng.normal()) for prompt in answered]
            line.append(named(["text"] * 45, rng, nll=nll, prompts=[f"p{prompt}" for prompt in answered]))
        trend = followed(line, seed=repeat)["log-perplexity"]
        rejected += trend.p_value <= 0.05
        held += trend.low <= 0 <= trend.high
    assert rejected <= at_most(count, 0.05)
    assert held >= at_least(count, 0.88)


def test_slow_sharpening_is_found_in_the_tail(repeats: Repeats) -> None:
    """Word probabilities to the power 1 + .01 k, 300 texts a generation: found in at least three of four lineages."""
    count = repeats(60)
    found = 0
    for repeat in range(count):
        rng = np.random.default_rng([43, repeat])
        line = [documents(sharpened(zipf(20_000), 1 + 0.01 * k), 300, rng) for k in range(1 + GENERATIONS)]
        found += followed(line, seed=repeat)["tail-mass"].p_value <= 0.05
    assert found >= at_least(count, 0.75)


def fading(share: float, n: int, rng: np.random.Generator) -> Sample:
    """Texts of 40 words of which ``share`` is rare, each of its own rarity (gamma, cv .35)."""
    rare = rng.random((n, 40)) < share * rng.gamma(8, 1 / 8, (n, 1))
    words = np.where(rare, rng.integers(20, 3020, (n, 40)), rng.integers(0, 20, (n, 40)))
    return named([" ".join(f"w{word}" for word in row) for row in words], rng)


@pytest.mark.parametrize("slope", [-0.05, -0.035])
def test_forecast_and_slope_of_a_steady_decay_hold_the_truth(slope: float, repeats: Repeats) -> None:
    """Tail mass .2 e^(slope k): it has lost a fifth at generation ln(.8)/slope, 4.5 or 6.4."""
    count = repeats(150)
    truth = np.log(0.8) / slope
    forecasts = held = covered = 0
    for repeat in range(count):
        rng = np.random.default_rng([44, round(-1000 * slope), repeat])
        line = [fading(0.2 * np.exp(slope * k), 300, rng) for k in range(1 + GENERATIONS)]
        trend = followed(line, margins={"tail-mass": 0.8}, seed=repeat)["tail-mass"]
        covered += trend.low <= slope <= trend.high
        if trend.forecast is not None:
            forecasts += 1
            low, high = trend.forecast
            held += low <= truth <= (np.inf if high is None else high)
    assert forecasts >= at_least(count, 0.95)
    assert held >= at_least(forecasts, 0.85)
    assert at_least(count, 0.86) <= covered <= at_most(count, 0.94)


def resampled(pool: Sequence[str], n: int, written: int, rng: np.random.Generator) -> list[Sample]:
    """Generation k writes ``written`` texts, whole, out of its memory: n texts that generation k - 1 wrote so."""
    line = []
    for _ in range(1 + GENERATIONS):
        line.append(named([pool[i] for i in rng.integers(0, len(pool), written)], rng))
        pool = [pool[i] for i in rng.integers(0, len(pool), n)]
    return line


@pytest.mark.parametrize(("n", "written"), [(40, 200), (100, 400)])
def test_n_effective_of_a_wright_fisher_chain_is_the_size_of_its_samples(
    n: int, written: int, repeats: Repeats
) -> None:
    """50 equally frequent texts of one word: the fall is established in every lineage, n in about 90% of intervals."""
    count = repeats(150)
    held = 0
    for repeat in range(count):
        rng = np.random.default_rng([45, n, repeat])
        effective = followed(resampled(type_names(50), n, written, rng), seed=repeat)["heterozygosity"].n_effective
        assert effective is not None
        held += effective[1] <= n <= effective[2]
    assert at_least(count, 0.87) <= held <= at_most(count, 0.97)


def test_n_effective_counts_texts_however_many_words_they_have(repeats: Repeats) -> None:
    """Texts of 40 words that depend on each other, resampled whole, 40 a generation."""
    count = repeats(100)
    pool = documents(zipf(2000), 5000, np.random.default_rng(46)).texts.to_pylist()
    found = held = 0
    for repeat in range(count):
        rng = np.random.default_rng([46, repeat])
        effective = followed(resampled(pool, 40, 200, rng), seed=repeat)["heterozygosity"].n_effective
        if effective is not None:
            found += 1
            held += effective[1] <= 40 <= effective[2]
    assert found >= count // 2
    assert held >= at_least(found, 0.87)


GATES = {gate.trend: gate.of_trend() for _, gate in followed_gates(BUILTIN)}


def failing(line: Sequence[Sample], *, seed: int) -> set[str]:
    """Trends that fail where trends gate: one family, Holm at .05, default margins."""
    found = followed(line, seed=seed)
    readings = {name: reading(found[name]) for name in GATES if name in found}
    estimates = {name: each for name, each in readings.items() if isinstance(each, Estimate)}
    judged = judge_family(estimates, GATES, alpha=0.05)
    return {name for name, judgement in judged.items() if judgement.outcome is Outcome.FAIL}


def test_a_stationary_lineage_fails_by_a_trend_in_at_most_a_share_alpha(repeats: Repeats) -> None:
    """300 lineages of five generations of 60 texts, all of one model. So few texts leave open where a line ends, and
    the slope's test alone keeps the rate."""
    count = repeats(300)
    failed = 0
    for repeat in range(count):
        rng = np.random.default_rng([47, repeat])
        line = [named(documents(zipf(5000), 60, rng).texts.to_pylist(), rng) for _ in range(1 + GENERATIONS)]
        failed += bool(failing(line, seed=repeat))
    assert failed <= at_most(count, 0.05)


def losing(rare: IntArray, n: int, rng: np.random.Generator) -> Sample:
    """Texts of 40 words, a fifth of them of the ``rare`` types that are left, which are equally frequent."""
    words = np.where(rng.random((n, 40)) < 0.2, 20 + rng.choice(rare, (n, 40)), rng.integers(0, 20, (n, 40)))
    return named([" ".join(f"w{word}" for word in row) for row in words], rng)


def test_two_percent_of_rare_types_lost_at_each_of_eight_generations_are_found(repeats: Repeats) -> None:
    """800 rare types, 300 texts a generation. Of them (.98)^8 = .85 are left at the last, so of all types seen .87."""
    count = repeats(100)
    found = 0
    for repeat in range(count):
        rng = np.random.default_rng([48, repeat])
        rare, line = np.arange(800), []
        for k in range(9):
            rare = rng.permutation(rare)[: rare.size - (round(0.02 * rare.size) if k else 0)]
            line.append(losing(rare, 300, rng))
        found += "distinct-types" in failing(line, seed=repeat)
    assert found >= at_least(count, 0.95)
