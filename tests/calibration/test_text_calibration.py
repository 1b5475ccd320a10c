"""What people really bring: damage that only a reader's eye sees is found, and how a text is spelt is no damage.

Documents of the urn model at n = 2,000 a side for what is lost; every trial draws both sides anew. Wanted: found in at
least 95 of 100, and collapse in at most 2 of 100 where nothing is lost.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np
import pytest

from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.probes.diversity import diversity
from collapse_audit.probes.integrity import integrity
from collapse_audit.probes.length import length
from collapse_audit.probes.repetition import repetition
from collapse_audit.probes.text.sample import Sample
from collapse_audit.reports.document import Outcome
from collapse_audit.settings.config import AuditConfig
from tests.calibration.conftest import at_least, at_most
from tests.calibration.texts import documents, zipf

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]
Texts = list[str]
PROBES = (repetition, diversity, integrity, length)
HIDDEN = ("\u200b", "\ufeff", "\u2060")


def written(n: int, rng: np.random.Generator, *, length: float = 40.0) -> Texts:
    """Words with an accent in every third, so that there are letters to decompose."""
    return [text.replace("3", "é") for text in documents(zipf(5000), n, rng, length=length).texts.to_pylist()]


def chosen(texts: Texts, share: float, rng: np.random.Generator) -> list[int]:
    return rng.permutation(len(texts))[: round(share * len(texts))].tolist()


def stuck_in_a_word(texts: Texts, rng: np.random.Generator) -> Texts:
    for at in chosen(texts, 0.3, rng):
        texts[at] = " ".join(texts[at].split()[:5]) + " " + "".join(rng.choice(["ba", "de", "mo", "ki"], size=3)) * 40
    return texts


def nothing_to_see(texts: Texts, rng: np.random.Generator) -> Texts:
    for at in chosen(texts, 0.12, rng):
        texts[at] = "".join(rng.choice(HIDDEN, size=4))
    return texts


def copies_in_disguise(texts: Texts, rng: np.random.Generator) -> Texts:
    copied = chosen(texts, 0.11, rng)
    sources = [texts[at] for at in copied[: len(copied) // 10]]
    for number, at in enumerate(copied):
        source = sources[number % len(sources)]
        texts[at] = source[: len(source) // 2] + str(rng.choice(HIDDEN)) + source[len(source) // 2 :]
    return texts


def decomposed(texts: Texts, _: np.random.Generator) -> Texts:
    return [unicodedata.normalize("NFD", text) for text in texts]


def halved(texts: Texts, _: np.random.Generator) -> Texts:
    return [" ".join(text.split()[: max(len(text.split()) // 2, 1)]) for text in texts]


def outcomes(baseline: Sample, generation: Sample, seed: int) -> dict[str, Outcome]:
    found = trial(baseline, generation, probes=PROBES, config=AuditConfig(permutations=199, seed=seed))
    return {f"{probe}/{name}": judged.outcome for (probe, name), (_, judged) in found.items() if judged is not None}


def changed_by(harm: Callable[[Texts, np.random.Generator], Texts], n: int, repeat: int) -> dict[str, Outcome]:
    rng = np.random.default_rng([19, repeat])
    sides = written(n, rng), harm(written(n, rng), rng)
    return outcomes(*(sample_of(side, name=f"{repeat}{k}") for k, side in enumerate(sides)), seed=repeat)


@pytest.mark.parametrize(
    ("harm", "by"),
    [
        (stuck_in_a_word, "repetition/looping"),
        (nothing_to_see, "integrity/empty"),
        (copies_in_disguise, "diversity/duplicates"),
    ],
)
def test_what_only_a_reader_sees_is_found(
    harm: Callable[[Texts, np.random.Generator], Texts], by: str, repeats: Repeats
) -> None:
    count = repeats(100)
    found = sum(changed_by(harm, 2000, repeat)[by] is Outcome.FAIL for repeat in range(count))
    assert found >= at_least(count, 0.95)


@pytest.mark.parametrize("change", [decomposed, halved])
def test_how_a_text_is_spelt_and_how_long_it_is_is_no_collapse(
    change: Callable[[Texts, np.random.Generator], Texts], repeats: Repeats
) -> None:
    count = repeats(100)
    found = [changed_by(change, 500, repeat) for repeat in range(count)]
    assert sum(Outcome.FAIL in one.values() for one in found) <= at_most(count, 0.02)
    shorter = sum(one["length/mean-length"] is Outcome.CHANGED for one in found)
    assert shorter >= at_least(count, 0.95) if change is halved else shorter <= at_most(count, 0.02)


def test_answers_from_a_tenth_are_found_behind_their_prompts_and_never_pass_without_a_field(repeats: Repeats) -> None:
    count = repeats(100)
    missed, passed = 0, 0
    for repeat in range(count):
        rng = np.random.default_rng([20, repeat])
        prompts = written(800, rng, length=60.0)
        few = written(80, rng)
        answers = written(800, rng), [few[at] for at in rng.integers(0, 80, size=800)]
        texts = [[f"{q} {a}" for q, a in zip(prompts, side, strict=True)] for side in answers]
        told = [sample_of(side, prompts=prompts, name=f"{repeat}{k}") for k, side in enumerate(texts)]
        missed += outcomes(*told, seed=repeat)["diversity/duplicates"] is not Outcome.FAIL
        silent = [sample_of(side, name=f"{repeat}{k}") for k, side in enumerate(texts)]
        passed += Outcome.PASS in outcomes(*silent, seed=repeat).values()
    assert missed <= at_most(count, 0.05)
    assert passed == 0
