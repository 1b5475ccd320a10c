"""A probe of one's own: a function of a text in; interval, exact test, verdict and sample size out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import pair, sample
from scipy.stats import norm

from collapse_audit.errors import ProbeError
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured, Reading
from collapse_audit.probes.types import probe
from collapse_audit.verdicts.rule import judge


@probe(name="shouting", unit="share of letters", worse="higher", margin=0.05)
def shouting(pair: Pair) -> Reading:
    """Do texts shout? Share of letters that are capitals, mean over documents."""
    return pair.mean_rise(lambda text: sum(c.isupper() for c in text) / max(len(text), 1), share=True)


@probe(name="brevity", unit="ratio", worse="lower", margin=0.8)
def brevity(pair: Pair) -> Reading:
    """Do texts get shorter? Ratio of the mean number of words."""
    return pair.mean_ratio(lambda text: len(text.split()))


def texts(n: int, seed: int, *, shout: float = 0.1, length: float = 20) -> list[str]:
    rng = np.random.default_rng(seed)
    return [
        " ".join("W" if rng.random() < shout else "w" for _ in range(max(1, rng.poisson(length)))) for _ in range(n)
    ]


def only(reading: tuple[Reading, ...]) -> Estimate:
    [found] = reading
    assert isinstance(found, Estimate)
    return found


def outcome(found: Estimate, own: object) -> str:
    [gate] = own.gates  # type: ignore[attr-defined]
    return judge(found, gate, p_adjusted=found.p_value, alpha=0.05).outcome.value


def test_the_function_becomes_a_probe_with_one_gate_of_its_name() -> None:
    [gate] = shouting.gates
    assert (gate.statistic, gate.unit, gate.worse, gate.margin) == ("shouting", "share of letters", "higher", 0.05)
    assert gate.because == "set by the probe's author"
    assert shouting.code == "X-shouting"
    assert shouting.doc.startswith("Do texts shout?")
    assert shouting.needs == {"text"}


def test_a_mean_rise_has_its_textbook_interval() -> None:
    baseline, generation = texts(60, 1), texts(60, 2, shout=0.3)
    found = only(shouting(pair(baseline, generation)))
    share = [np.array([sum(c.isupper() for c in text) / len(text) for text in side]) for side in (baseline, generation)]
    error = math.sqrt(sum(side.var(ddof=1) / 60 for side in share))
    floor = math.log(20) * math.sqrt(2) / (norm.ppf(0.95) * 60)
    assert found.value == pytest.approx(share[1].mean() - share[0].mean(), rel=1e-12)
    assert found.high - found.value == pytest.approx(norm.ppf(0.95) * max(error, floor), rel=1e-9)


def test_a_mean_ratio_is_that_of_the_means() -> None:
    baseline, generation = texts(60, 3), texts(60, 4, length=10)
    found = only(brevity(pair(baseline, generation)))
    means = [np.mean([len(text.split()) for text in side]) for side in (baseline, generation)]
    assert found.value == pytest.approx(means[1] / means[0], rel=1e-12)
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("own", "generation", "expected"),
    [
        (shouting, texts(300, 6), "pass"),
        (shouting, texts(300, 6, shout=0.4), "fail"),
        (shouting, texts(300, 6, shout=0.19), "inconclusive"),
        (brevity, texts(300, 6), "pass"),
        (brevity, texts(300, 6, length=10), "fail"),
        (brevity, texts(300, 6, length=16), "inconclusive"),
    ],
)
def test_it_gets_a_verdict_like_any_other(own: object, generation: list[str], expected: str) -> None:
    """Capital letters are about half of all characters (the rest are spaces): .1 -> .4 raises their share by .15."""
    found = only(own(pair(texts(300, 5), generation, permutations=999)))  # type: ignore[operator]
    assert outcome(found, own) == expected
    if expected == "fail":
        assert found.p_value == 0.001
    if expected == "inconclusive":
        [gate] = own.gates  # type: ignore[attr-defined]
        assert found.n_needed is not None
        assert found.n_needed(gate.margin) > 300


def test_it_is_paired_by_prompts_and_says_so() -> None:
    prompts = [f"p{i}" for i in range(40)]
    rng = np.random.default_rng(7)
    lengths = rng.integers(5, 200, size=40)
    sides = [
        sample([("w " * int(size * factor)).strip() for size in lengths], prompts=prompts) for factor in (1.0, 0.9)
    ]
    paired = only(brevity(pair(*sides, permutations=999)))
    assert paired.p_value == 0.001  # every answer is a tenth shorter, whatever its prompt
    assert "prompts, paired" in paired.method
    alone = only(brevity(pair(*(side.texts.to_pylist() for side in sides), permutations=999)))
    assert alone.p_value is not None
    assert alone.p_value > 0.05


def test_details_of_the_author_stand_in_the_estimate() -> None:
    @probe(name="noted", unit="words", worse="lower", margin=-1.0)
    def noted(pair: Pair) -> Reading:
        return pair.mean_rise(len, worse="lower", raw={"seen": 1}, notes=("mine",), explanation="because")

    found = only(noted(pair(texts(20, 8), texts(20, 9))))
    assert (found.raw, found.notes, found.explanation) == ({"seen": 1}, ("mine",), "because")


def test_a_total_loss_fails_and_a_ratio_to_nothing_is_not_measured() -> None:
    @probe(name="capitals", unit="ratio", worse="lower", margin=0.8)
    def capitals(pair: Pair) -> Reading:
        return pair.mean_ratio(lambda text: sum(c.isupper() for c in text))

    lost = only(capitals(pair(["A b"] * 40, ["a b"] * 40, permutations=999)))
    assert outcome(lost, capitals) == "fail"
    [nothing] = capitals(pair(["a b"] * 40, ["A b"] * 40))
    assert isinstance(nothing, NotMeasured)
    assert nothing.reason == "it is zero in the baseline, so no ratio to it exists"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_a_probe_error_and_no_pass(bad: float) -> None:
    @probe(name="broken", unit="u", worse="higher", margin=1.0)
    def broken(pair: Pair) -> Reading:
        return pair.mean_rise(lambda text: bad if text == "bad" else 1.0)

    with pytest.raises(ProbeError), np.errstate(invalid="ignore"):
        broken(pair(["a"] * 20, ["bad", *["a"] * 19]))
