"""What of a move is loss: the level, planted losses, and changes of subject that must not count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.reports.document import Outcome
from collapse_audit.settings.config import AuditConfig
from tests.calibration.conftest import at_least, at_most
from tests.calibration.texts import FloatArray, documents, zipf

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]
Side = list[str]
Make = Callable[[int, np.random.Generator], tuple[Side, Side]]
VANISHED, EFFECTIVE = ("token-divergence", "vanished"), ("label-divergence", "effective-labels")
DIVERGENCES = tuple(probe for probe in BUILTIN if probe.name in (VANISHED[0], EFFECTIVE[0]))


def written(n: int, rng: np.random.Generator, *, prefix: str = "w", p: FloatArray | None = None) -> Side:
    """``n`` texts of 2,000 Zipf words of a language of its own."""
    texts: Side = documents(zipf(2000) if p is None else p, n, rng).texts.to_pylist()
    return [text.replace("w", prefix) for text in texts]


def languages(shares: dict[str, float], n: int, rng: np.random.Generator) -> Side:
    """``n`` texts of several languages, in no order: a file sorted by language holds a handful of runs and no more."""
    counts = rng.multinomial(n, np.array(list(shares.values())) / sum(shares.values()))
    texts = [
        text
        for name, count in zip(shares, counts, strict=True)
        for text in (written(count, rng, prefix=name) if count else [])
    ]
    return [texts[place] for place in rng.permutation(n)]


FIVE = dict.fromkeys("abcde", 1.0)


def null(n: int, rng: np.random.Generator) -> tuple[Side, Side]:
    return languages(FIVE, n, rng), languages(FIVE, n, rng)


def lost(n: int, rng: np.random.Generator) -> tuple[Side, Side]:
    return languages(FIVE, n, rng), languages({**FIVE, "e": 0.0}, n, rng)


def thinned(n: int, rng: np.random.Generator) -> tuple[Side, Side]:
    return languages(FIVE, n, rng), languages({**FIVE, "e": 0.1}, n, rng)


def other(n: int, rng: np.random.Generator) -> tuple[Side, Side]:
    """One language of five in the place of another."""
    return languages(FIVE, n, rng), languages(dict.fromkeys("abcdf", 1.0), n, rng)


def richer(n: int, rng: np.random.Generator) -> tuple[Side, Side]:
    """A language came, none went: what was there has four fifths of its share."""
    return languages({**FIVE, "e": 0.0}, n, rng), languages(FIVE, n, rng)


def merged(n: int, rng: np.random.Generator) -> tuple[Side, Side]:
    """Every fourth word of the second thousand becomes one word."""
    gone = {f"w{rank}" for rank in range(20, 2000, 4)}
    return written(n, rng), [
        " ".join("one" if word in gone else word for word in text.split()) for text in written(n, rng)
    ]


def outcomes(make: Make, n: int, count: int, *, seed: int) -> tuple[Counter[str], int]:
    """How often the vanished words get each outcome, and how often their test rejects at .05."""
    found: Counter[str] = Counter()
    rejected = 0
    for repeat in range(count):
        rng = np.random.default_rng([seed, n, repeat])
        sides = [sample_of(side, name=str(rng.integers(1 << 62))) for side in make(n, rng)]
        reading, judgement = trial(*sides, probes=DIVERGENCES, config=AuditConfig(permutations=199, seed=repeat))[
            VANISHED
        ]
        assert isinstance(reading, Estimate)
        assert judgement is not None
        assert reading.p_value is not None
        rejected += reading.p_value <= 0.05
        found[judgement.outcome.value] += 1
    return found, rejected


def test_nothing_lost_is_rejected_at_the_level_and_never_fails(repeats: Repeats) -> None:
    count = repeats(400)
    found, rejected = outcomes(null, 200, count, seed=61)
    assert rejected <= at_most(count, 0.05)
    assert found[Outcome.FAIL] == 0


@pytest.mark.parametrize("make", [other, richer])
def test_another_language_in_the_place_of_one_or_beside_all_is_no_loss(make: Make, repeats: Repeats) -> None:
    count = repeats(100)
    found, _ = outcomes(make, 500, count, seed=62)
    assert found[Outcome.FAIL] <= at_most(count, 0.002)
    assert found[Outcome.PASS] >= at_least(count, 0.95)


@pytest.mark.parametrize("make", [lost, thinned, merged])
def test_a_language_lost_or_thinned_to_a_tenth_and_words_that_became_one_are_losses(
    make: Make, repeats: Repeats
) -> None:
    count = repeats(100)
    found, _ = outcomes(make, 500, count, seed=63)
    assert found[Outcome.FAIL] >= at_least(count, 0.95)


def test_a_loss_is_seldom_put_above_what_was_lost(repeats: Repeats) -> None:
    """No word of one language is a word of another, so all of a fifth of the words vanished: the lower bound lies
    above that in at most one trial of twenty."""
    count = repeats(200)
    above = 0
    for repeat in range(count):
        rng = np.random.default_rng([64, repeat])
        sides = [sample_of(side, name=str(rng.integers(1 << 62))) for side in lost(500, rng)]
        reading, _ = trial(*sides, probes=DIVERGENCES, config=AuditConfig(permutations=99, seed=repeat))[VANISHED]
        assert isinstance(reading, Estimate)
        above += reading.low > 0.2
    assert above <= at_most(count, 0.05)


def labelled(p: list[float], n: int, rng: np.random.Generator) -> list[list[str]]:
    return [[f"class {k}"] for k in rng.choice(len(p), size=n, p=p)]


def judged_labels(p: list[float], q: list[float], n: int, count: int, *, seed: int) -> tuple[Counter[str], int, int]:
    """Outcomes of the effective labels, rejections at .05, and intervals that hold the true ratio."""
    found: Counter[str] = Counter()
    rejected = held = 0
    entropy = [-sum(share * np.log(share) for share in law if share > 0) for law in (p, q)]
    truth = float(np.exp(entropy[1] - entropy[0]))
    for repeat in range(count):
        rng = np.random.default_rng([seed, n, repeat])
        sides = [sample_of(["x"] * n, labels=labelled(law, n, rng), name=str(rng.integers(1 << 62))) for law in (p, q)]
        reading, judgement = trial(*sides, probes=DIVERGENCES, config=AuditConfig(permutations=199, seed=repeat))[
            EFFECTIVE
        ]
        assert isinstance(reading, Estimate)
        assert judgement is not None
        assert reading.p_value is not None
        rejected += reading.p_value <= 0.05
        held += reading.low <= truth <= reading.high
        found[judgement.outcome.value] += 1
    return found, rejected, held


def test_labels_that_stayed_are_rejected_at_the_level_and_the_interval_holds_one(repeats: Repeats) -> None:
    count = repeats(400)
    p = [0.02, 0.28, 0.35, 0.20, 0.15]
    found, rejected, held = judged_labels(p, p, 500, count, seed=65)
    assert rejected <= at_most(count, 0.05)
    assert held >= at_least(count, 0.9)
    assert found[Outcome.PASS] >= at_least(count, 0.95)


def test_a_lost_and_a_merged_category_are_losses_and_the_interval_holds_their_ratio(repeats: Repeats) -> None:
    count = repeats(200)
    p = [0.2] * 5
    for q in ([0.25] * 4 + [0.0], [0.4, 0.2, 0.2, 0.2, 0.0]):
        found, _, held = judged_labels(p, q, 500, count, seed=66)
        assert held >= at_least(count, 0.9)
        assert found[Outcome.FAIL] >= at_least(count, 0.95)


def test_a_loss_of_labels_of_just_the_margin_seldom_fails(repeats: Repeats) -> None:
    """Four labels of shares (1 - x)/3 and x against four equal ones, so that the true ratio is .85."""
    count = repeats(300)
    x = _share_of_ratio(0.85)
    found, _, _ = judged_labels([0.25] * 4, [(1 - x) / 3] * 3 + [x], 1000, count, seed=67)
    assert found[Outcome.FAIL] <= at_most(count, 0.05)


def _share_of_ratio(ratio: float) -> float:
    """Bisection of exp(H)/4 = ratio over the share of the fourth label."""
    low, high = 0.0, 0.25
    for _ in range(60):
        x = (low + high) / 2
        entropy = -(x * np.log(x) + (1 - x) * np.log((1 - x) / 3))
        low, high = (x, high) if np.exp(entropy) / 4 < ratio else (low, x)
    return low
