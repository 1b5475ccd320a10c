"""Error rates beside a pack: false alarms of every test, what a careless vocabulary would do, and power."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from scipy.stats import binom

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.packs.pack import COMMON
from collapse_audit.probes.packs.packed_pair import PackedPair, packed_sample
from collapse_audit.probes.packs.sketch import document_counts
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.token_divergence import token_divergence
from collapse_audit.verdicts.rule import holm, judge
from tests.calibration.texts import documents, sharpened, zipf
from tests.pack.pack_examples import FIELD, KNOWN, pack_of

pytestmark = pytest.mark.calibration


@pytest.fixture
def repeats(request: pytest.FixtureRequest) -> int:
    """400 null pairs; a tenth of them with ``--reduced``."""
    return 40 if request.config.getoption("--reduced") else 400


def beside(baseline: Sample, generation: Sample, repeat: int, *, size: int, permutations: int = 199) -> PackedPair:
    rule = FIELD if baseline.label_field is not None else None
    pack = pack_of(baseline, repeat, size=size, rule=rule)
    return PackedPair(
        baseline=dataclasses.replace(packed_sample(pack, **KNOWN), digest=str(repeat)),
        generation=generation,
        permutations=permutations,
        seed=repeat,
        label_rule=rule,
    )


def estimates(pair: PackedPair) -> dict[str, Estimate]:
    return {
        f"{probe.name}/{gate.statistic}": reading
        for probe in BUILTIN
        for gate, reading in zip(probe.gates, probe.beside_pack()(pair), strict=True)
        if isinstance(reading, Estimate)
    }


def test_every_test_beside_a_pack_keeps_its_level(repeats: int) -> None:
    """Null pairs of 200 texts: rejections at .05 within the 99.9% limit of a binomial."""
    rejected: Counter[str] = Counter()
    for repeat in range(repeats):
        rng = np.random.default_rng([21, repeat])
        sides = []
        for _ in range(2):
            plain = documents(zipf(5000), 200, rng)
            labels = [[f"class {k}"] for k in rng.choice(5, size=200, p=[0.02, 0.28, 0.35, 0.20, 0.15])]
            nll = list(rng.normal(3.4, 0.45, 200))
            sides.append(sample_of(plain.texts.to_pylist(), labels=labels, nll=nll, name=str(repeat)))
        for key, found in estimates(beside(*sides, repeat, size=5)).items():
            rejected[key] += found.p_value is not None and found.p_value <= 0.05
    limit = int(binom.ppf(0.999, repeats, 0.05))
    assert len(rejected) >= 13
    assert {key: count for key, count in rejected.items() if count > limit} == {}


def test_words_chosen_by_the_compared_texts_would_reject_no_change() -> None:
    """Why half of the documents are set aside: with the words that are common among the compared texts themselves the
    same permutation test is not exact, because that vocabulary knows who is on which side.

    40 null pairs of 500 texts: more rejections at .05 than the 99.9% limit.
    """
    rejected = 0
    for repeat in range(40):
        rng = np.random.default_rng([22, repeat])
        sides = [documents(zipf(5000), 500, rng) for _ in range(2)]
        frequency = (document_counts(sides[0].tokens) > 0).sum(axis=0)
        words = {sides[0].tokens.vocabulary[int(k)].as_py() for k in np.flatnonzero(frequency >= COMMON)}
        pooled = [
            sample_of([" ".join(w if w in words else "rare" for w in text.split()) for text in side.texts.to_pylist()])
            for side in sides
        ]
        found, _ = token_divergence(Pair(baseline=pooled[0], generation=pooled[1], permutations=199, seed=repeat))
        assert isinstance(found, Estimate)
        assert found.p_value is not None
        rejected += found.p_value <= 0.05
    assert rejected > binom.ppf(0.999, 40, 0.05)


GATES = {f"{probe.name}/{gate.statistic}": gate for probe in BUILTIN for gate in probe.gates}


def failures(pair: PackedPair) -> list[str]:
    found = estimates(pair)
    tested = [key for key, one in found.items() if one.p_value is not None]
    adjusted = dict(zip(tested, holm([found[key].p_value or 1.0 for key in tested]), strict=True))
    judged = {key: judge(one, GATES[key], p_adjusted=adjusted.get(key), alpha=0.05) for key, one in found.items()}
    # A loss fails, a move beyond its margin has changed.
    return [key for key, judgement in judged.items() if judgement.outcome in ("fail", "changed")]


def test_sharpened_words_fail_beside_a_pack_and_unchanged_ones_do_not() -> None:
    """p^1.2 in 500 texts: each of five findings fails in nine trials of ten. The null fails nowhere in as many."""
    failed: Counter[str] = Counter()
    for repeat in range(12):
        rng = np.random.default_rng([23, repeat])
        baseline = documents(zipf(5000), 500, rng)
        for gamma, kind in ((1.0, "null"), (1.2, "sharpened")):
            generation = documents(sharpened(zipf(5000), gamma), 500, rng)
            keys = failures(beside(baseline, generation, repeat, size=10, permutations=999))
            failed.update(keys if kind == "sharpened" else [kind] * len(keys))
    assert failed["null"] == 0
    expected = ("JS-excess", "tail-mass-ratio", "distinct-types", "distinct-2", "effective-tokens")
    least = binom.ppf(0.001, 12, 0.9)
    assert {key: n for key, n in failed.items() if key.endswith(expected) and n >= least}.keys() == {
        key for key in GATES if key.endswith(expected)
    }
