"""CA706: the share by hand, folds that never see what they judge, and samples that cannot teach anything."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import estimate, readings, sample, spell
from data_builders import data

from collapse_audit.probes.machine_text import machine_text
from collapse_audit.probes.statistics.readings import NotMeasured, Z
from collapse_audit.probes.text.detector import FOLDS, folds, scored
from collapse_audit.probes.text.sample import Sample

HUMAN, MACHINE = 1 / np.arange(1, 401) ** 0.6, 1 / np.arange(1, 401) ** 1.2


def written(weights: np.ndarray, count: int, rng: np.random.Generator) -> list[str]:
    return spell(rng.choice(weights.size, size=(count, 12), p=weights / weights.sum()))


def labelled(human: list[str], machine: list[str]) -> Sample:
    labels = [["human"]] * len(human) + [["machine"]] * len(machine)
    return sample(human + machine, labels=labels)


def why_open(data_: object) -> str:
    (found,) = readings(machine_text, data_).values()  # type: ignore[arg-type]
    assert isinstance(found, NotMeasured)
    assert not found.neutral
    return found.reason


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_two_vocabularies_apart_are_told_without_an_error(share: float) -> None:
    """Sensitivity 1, false alarms 0: the share is that of the flagged texts, its error what 40 texts may hide."""
    rng = np.random.default_rng(1)
    people, models = ([f"{kind} {text}" for text in written(HUMAN, 140, rng)] for kind in ("a b c", "x y z"))
    people = [text.replace("w", "p") for text in people]
    k = int(100 * share)
    found = estimate(
        machine_text, data(models[40 : 40 + k] + people[40 : 140 - k], labelled=labelled(people[:40], models[:40]))
    )
    assert (found.raw["sensitivity"], found.raw["false_alarms"]) == (1, 0)
    assert found.value == pytest.approx(share)
    hidden = -math.log(0.05) / (Z * 40)
    error = math.hypot(share * hidden, (1 - share) * hidden)
    assert found.high == pytest.approx(min(share + Z * error, 1))
    assert found.low == pytest.approx(max(share - Z * error, 0))


def test_the_interval_holds_the_share_that_was_mixed() -> None:
    """60 mixtures of overlapping kinds: a 90% interval misses at most 13 of them in 99.9% of cases (binomial)."""
    missed = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, 2])
        taught = labelled(written(HUMAN, 60, rng), written(MACHINE, 60, rng))
        mixed = written(HUMAN, 60, rng) + written(MACHINE, 140, rng)
        found = estimate(machine_text, data(mixed, labelled=taught))
        missed += not found.low <= 0.7 <= found.high
    assert missed <= 13


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("machines", [40, 160])
def test_the_share_in_the_sample_does_not_matter(share: float, machines: int) -> None:
    """30 mixtures under another share than that of the sample: a 90% interval misses at most 9 in 99.9% of cases."""
    missed = 0
    for seed in range(30):
        rng = np.random.default_rng([seed, 6, machines])
        taught = labelled(written(HUMAN, 200 - machines, rng), written(MACHINE, machines, rng))
        k = round(share * 200)
        found = estimate(machine_text, data(written(MACHINE, k, rng) + written(HUMAN, 200 - k, rng), labelled=taught))
        missed += not found.low <= share <= found.high
    assert missed <= 9


@pytest.mark.parametrize("other", ["words of another subject", "longer texts", "a third kind"])
def test_data_that_are_not_like_the_sample_are_never_judged(other: str) -> None:
    rng = np.random.default_rng(7)
    taught = labelled(written(HUMAN, 80, rng), written(MACHINE, 80, rng))
    texts = written(HUMAN, 100, rng) + written(MACHINE, 100, rng)
    if other == "words of another subject":
        texts = [text.replace("w1", "v1") for text in texts]
    elif other == "longer texts":
        texts = [f"{one} {two}" for one, two in zip(texts, reversed(texts), strict=True)]
    else:
        texts = [f"z{k} y{k} x{k} {text}" if k % 2 else text for k, text in enumerate(texts)]
    assert "the data are not like the labelled sample" in why_open(data(texts, labelled=taught))


def test_copies_in_the_sample_are_one_observation() -> None:
    """Ten copies of each of 40 texts teach what 40 do: the errors are no smaller than those of the 40."""
    rng = np.random.default_rng(8)
    people, models, texts = written(HUMAN, 40, rng), written(MACHINE, 40, rng), written(MACHINE, 100, rng)
    once = estimate(machine_text, data(texts, labelled=labelled(people, models)))
    again = estimate(machine_text, data(texts, labelled=labelled(people * 10, models * 10)))
    assert again.high - again.low >= 0.5 * (once.high - once.low)


def test_a_text_is_never_judged_by_a_detector_that_saw_it() -> None:
    """Labels drawn by lot over texts of one kind: a detector that had seen its texts would know them."""
    rng = np.random.default_rng(3)
    taught = labelled(written(HUMAN, 100, rng), written(HUMAN, 100, rng))
    assert "does not tell them apart" in why_open(data(written(HUMAN, 50, rng), labelled=taught))
    assert "does not tell them apart" in why_open(data(taught.texts.to_pylist(), labelled=taught))


def test_copies_and_groups_stay_in_one_fold() -> None:
    keys = np.array([3, 1, 3, 7, 1, 9, 3])
    fold = folds(keys, np.random.default_rng(0))
    assert all(np.unique(fold[keys == key]).size == 1 for key in keys)
    assert set(fold) <= set(range(FOLDS))


def test_a_text_of_the_data_that_is_labelled_asks_only_the_detector_without_it() -> None:
    """By hand: five folds of one pair of texts each, of words of their own; who knows a text's words knows its kind,
    and who does not flags nothing."""
    texts = sample([f"{kind}{k}" for k in range(FOLDS) for kind in "hm"] * 2)
    machine = np.array([False, True] * FOLDS)
    fold = np.repeat(np.arange(FOLDS), 2)
    scores = scored(texts.tokens, machine, fold)
    asked = scores.flagged(np.concatenate((fold, fold)))
    assert not asked.any()
    new = scores.flagged(np.concatenate((fold, np.full(10, -1))))
    assert new[10:].tolist() == [0, 0.8] * FOLDS


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (None, "needs the label human or machine; there is a text without one"),
        ([["human"]] * 40 + [["robot"]] * 40, "there is 'robot'"),
        ([["human", "machine"]] * 80, "with several"),
        ([["human"]] * 60 + [["machine"]] * 20, "holds 20 texts of one kind; 30 of each"),
    ],
)
def test_a_sample_that_cannot_teach_is_told_and_never_passes(labels: list[list[str]] | None, reason: str) -> None:
    texts = written(HUMAN, 80, np.random.default_rng(4))
    assert reason in why_open(data(texts, labelled=sample(texts, labels=labels)))


def test_nothing_is_said_of_a_single_text() -> None:
    rng = np.random.default_rng(5)
    taught = labelled(written(HUMAN, 60, rng), written(MACHINE, 60, rng))
    found = estimate(machine_text, data(written(MACHINE, 60, rng), labelled=taught, evidence="texts"))
    assert not found.evidence
    assert "of no single text" in found.explanation
