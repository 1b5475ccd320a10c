"""Error rates of perplexity where lengths differ, of its signature, and of concentration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.probes.concentration import concentration
from collapse_audit.probes.models.contexts import Contexts
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.perplexity import perplexity
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured
from collapse_audit.reports.document import Outcome
from collapse_audit.settings.config import AuditConfig
from tests.calibration.conftest import at_least, at_most

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]
BASELINE_LENGTH = 40


def texts(n: int, length: float, rng: np.random.Generator, shift: float = 0.0) -> tuple[list[float], list[int]]:
    """Means over log-normally many tokens: a level of the text, a surplus of 1.5 nats that fades over the first ten
    tokens, and exponential noise of 2 nats a token. So both mean and spread of a text depend on its length."""
    lengths = np.maximum(2, rng.lognormal(np.log(length) - 0.125, 0.5, n).round().astype(int))
    levels = rng.normal(3.0 + shift, 0.25, n)
    nll = [
        (level + 1.5 * np.exp(-np.arange(k) / 5) + rng.exponential(2.0, k) - 2.0).mean()
        for level, k in zip(levels, lengths, strict=True)
    ]
    return [max(float(x), 0.0) for x in nll], lengths.tolist()


def compare(n: int, length: float, shift: float, repeat: int) -> tuple[Estimate, Outcome]:
    rng = np.random.default_rng([repeat, n])
    sides = [texts(n, BASELINE_LENGTH, rng), texts(n, length, rng, shift)]
    samples = [
        sample_of(["x"] * n, nll=nll, n_tokens=lengths, name=f"{repeat} {number}")
        for number, (nll, lengths) in enumerate(sides)
    ]
    found = trial(*samples, probes=(perplexity,), config=AuditConfig(permutations=199, seed=repeat))
    reading, judgement = found["perplexity", "W1"]
    assert isinstance(reading, Estimate)
    assert judgement is not None
    return reading, judgement.outcome


@pytest.mark.parametrize("length", [30, 20])
@pytest.mark.parametrize("n", [200, 1000])
def test_a_change_of_length_alone_is_no_false_alarm(n: int, length: int, repeats: Repeats) -> None:
    """Unmatched, W1 is .07 and .22 here, and half as long texts fail in 70 to 100 of 100 audits."""
    count = repeats(200)
    made = [compare(n, length, 0.0, repeat) for repeat in range(count)]
    assert sum(reading.p_value is not None and reading.p_value <= 0.05 for reading, _ in made) <= at_most(count, 0.05)
    assert sum(outcome in (Outcome.FAIL, Outcome.CHANGED) for _, outcome in made) <= at_most(count, 0.01)


def test_a_shift_is_seen_through_a_change_of_length(repeats: Repeats) -> None:
    """.2 nats with half as long texts: half of the texts have no counterpart, and power falls no further than that."""
    count = repeats(100)
    changed = sum(compare(1000, 20, 0.2, repeat)[1] is Outcome.CHANGED for repeat in range(count))
    assert changed >= at_least(count, 0.9)


def signed(baseline: Any, generation: Any, repeat: int) -> bool:
    sides = [
        sample_of(["x"] * len(nll), nll=list(nll), name=f"{repeat} {number}")
        for number, nll in enumerate((baseline, generation))
    ]
    pair = Pair(baseline=sides[0], generation=sides[1], permutations=199, seed=repeat)
    (found,) = perplexity(pair)
    assert isinstance(found, Estimate)
    return "nature-signature" in found.notes


def moved(n: int, left: float, right: float, rng: np.random.Generator) -> Any:
    """A normal sample of which a share ``left`` of the middle half moves far down, and a share ``right`` far up."""
    x = rng.normal(3.4, 0.45, n)
    middle = np.abs(x - 3.4) < 0.3
    chosen = rng.random(n)
    down, up = middle & (chosen < left), middle & (chosen > 1 - right)
    x[down] -= 1.0
    x[up] += 2.0
    return x


@pytest.mark.parametrize(("left", "right"), [(0.0, 0.0), (0.25, 0.0), (0.0, 0.25)])
def test_the_signature_is_seldom_named_where_one_end_alone_has_gained(
    left: float, right: float, repeats: Repeats
) -> None:
    """The boundary of "not both": one end gains for certain, the other not at all. At most 5% (intersection-union)."""
    count = repeats(400)
    named = 0
    for repeat in range(count):
        rng = np.random.default_rng([repeat, 7])
        named += signed(rng.normal(3.4, 0.45, 500), moved(500, left, right, rng), repeat)
    assert named <= at_most(count, 0.05)


def test_the_signature_is_named_where_both_ends_have_gained(repeats: Repeats) -> None:
    count = repeats(100)
    named = 0
    for repeat in range(count):
        rng = np.random.default_rng([repeat, 8])
        named += signed(rng.normal(3.4, 0.45, 1000), moved(1000, 0.25, 0.15, rng), repeat)
    assert named >= at_least(count, 0.9)


def expectations(n: int, rng: np.random.Generator, ratio: float, rise: float) -> tuple[Contexts, Contexts]:
    """Two models that answer each context about alike, the second with ``ratio`` of the entropy, ``rise`` more sure."""
    entropy, top1 = rng.gamma(4.0, 0.25, n), rng.uniform(0.2, 0.75, n)
    made = []
    for factor, more in ((1.0, 0.0), (ratio, rise)):
        made.append(
            Contexts(
                ids=tuple(map(str, range(n))),
                entropy=entropy * factor * rng.gamma(20.0, 1 / 20.0, n),
                top1=np.clip(top1 + more + rng.normal(0, 0.06, n), 0.001, 1.0),
                n_positions=np.full(n, 10),
                digest="c",
                model="m",
                adapter=f"{rng.integers(1 << 62)}",
            )
        )
    return made[0], made[1]


@pytest.mark.parametrize("n", [60, 300])
@pytest.mark.parametrize(("ratio", "rise"), [(1.0, 0.0), (0.80, 0.05)])
def test_concentration_fails_no_more_often_than_it_may(n: int, ratio: float, rise: float, repeats: Repeats) -> None:
    """Under no change p <= .05 in 5%; at the margin itself the bound lies beyond it in 5%; each of both gates."""
    count = repeats(400)
    rejected, beyond = {"entropy": 0, "top-1": 0}, {"entropy": 0, "top-1": 0}
    for repeat in range(count):
        rng = np.random.default_rng([repeat, n])
        made = expectations(n, rng, ratio, rise)
        plain = sample_of(["x"] * 12, name=f"{repeat} {n}")
        pair = Pair(baseline=plain, generation=plain, permutations=199, seed=repeat, contexts=made)
        for reading in concentration(pair):
            assert not isinstance(reading, NotMeasured)
            assert reading.p_value is not None
            rejected[reading.statistic] += reading.p_value <= 0.05
            beyond[reading.statistic] += reading.high < 0.80 if reading.statistic == "entropy" else reading.low > 0.05
    for statistic in rejected:
        counts = rejected if ratio == 1.0 else beyond
        assert counts[statistic] <= at_most(count, 0.05 if ratio == 1.0 else 0.06)
        if ratio < 1.0:
            assert rejected[statistic] >= at_least(count, 0.9)
