"""Comparing lineages: how often it claims a difference where there is none, and finds one that was planted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from contrast_examples import answers, doubles, finding, matched, report

from collapse_audit.calibration.two_samples import trial
from collapse_audit.comparison.claims import Held, claims
from collapse_audit.comparison.seeds import over_seeds
from collapse_audit.probes.prompts.quartet import Four
from collapse_audit.probes.registry import BUILTIN, gates_of
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.probes.text.labels import label_rule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.reports.document import AuditReport, Finding, Outcome
from collapse_audit.settings.config import AuditConfig
from collapse_audit.verdicts.rule import holm
from tests.calibration.conftest import at_least, at_most
from tests.calibration.texts import FloatArray, documents, drifted, sharpened, zipf

GATES = gates_of()

pytestmark = pytest.mark.calibration

Repeats = Callable[[int], int]
WORDS_KNOWN = 400


@pytest.fixture(scope="session")
def repeats(request: pytest.FixtureRequest) -> Repeats:
    """``repeats(400)`` is 400 in the whole suite and a tenth of it (at least 20) with ``--reduced``."""
    reduced = bool(request.config.getoption("--reduced"))
    return lambda whole: max(20, whole // 10) if reduced else whole


# ------------------------------------------------------------------------------------------------ prompts as the units


@dataclass(frozen=True, kw_only=True)
class Model:
    """A law of answers: a word of the prompt's own topic one time in five, else p^gamma."""

    gamma: float = 1.0
    loops: float = 0.03
    copies: float = 0.02
    labels: Sequence[float] = (0.05, 0.35, 0.60)
    length: int = 16
    surer: float = 0.0
    """Nats a token by which all answers are more probable."""

    def answer(self, topics: np.ndarray, rng: np.random.Generator) -> Sample:
        """An answer to every prompt, given the prompts' topics, shape (U,)."""
        p = sharpened(zipf(WORDS_KNOWN), self.gamma)
        texts = []
        for topic in topics:
            ids = rng.choice(p.size, size=max(1, rng.poisson(self.length)), p=p)
            ids[rng.random(ids.size) < 0.2] = topic
            text = " ".join(f"w{i}" for i in ids)
            texts.append(text + (" x y x y x y" if rng.random() < self.loops else ""))
        for copied in np.flatnonzero(rng.random(len(texts)) < self.copies):
            texts[copied] = "this very text"
        return answers(
            texts,
            name=str(rng.integers(1 << 62)),
            labels=[[f"c{k}"] for k in rng.choice(3, len(texts), p=self.labels)],
            nll=list(rng.normal(3.4 - self.surer + topics / WORDS_KNOWN, 0.45)),
        )


HEALTHY = Model()
WORSE = Model(gamma=1.2, loops=0.15, copies=0.15, labels=(0.0, 0.3, 0.7), surer=0.3)


UNLIKE = Model(gamma=1.2, loops=0.2, copies=0.1, length=9, surer=0.3)
Models = tuple[Model, Model, Model, Model]
"""Of the baseline and the generation of A, and of B."""


def p_values(models: Models, prompts: int, seed: Sequence[int]) -> dict[str, float]:
    """The p-value of every statistic. Baselines of the very same model are the same corpus."""
    rng = np.random.default_rng(list(seed))
    topics = rng.choice(WORDS_KNOWN, size=prompts, p=zipf(WORDS_KNOWN))
    a0 = models[0].answer(topics, rng)
    ak = models[1].answer(topics, rng)
    b0 = a0 if models[2] is models[0] else models[2].answer(topics, rng)
    four: Four = (a0, ak, b0, models[3].answer(topics, rng))
    found = doubles(matched(four), rng, rule=label_rule("field"), permutations=199)
    return {each.statistic: each.p_value for each in found}


@pytest.mark.parametrize(
    "models",
    [(HEALTHY, WORSE, HEALTHY, WORSE), (HEALTHY, WORSE, replace(HEALTHY), WORSE), (HEALTHY, HEALTHY, UNLIKE, UNLIKE)],
    ids=["same baseline", "baselines of one law", "unlike lineages that do not change"],
)
def test_equal_changes_are_seldom_called_different(models: Models, repeats: Repeats) -> None:
    """At most 5% of tests reject, and of families of all of them after Holm; 400 quartets of 100 prompts."""
    count = repeats(400)
    rejected: Counter[str] = Counter()
    families = 0
    for repeat in range(count):
        found = p_values(models, 100, (1, repeat))
        rejected.update(name for name, p in found.items() if p <= 0.05)
        families += min(holm(list(found.values()))) <= 0.05
    assert {name: n for name, n in rejected.items() if n > at_most(count, 0.05)} == {}
    assert families <= at_most(count, 0.05)


def test_a_planted_difference_is_found_by_prompts(repeats: Repeats) -> None:
    """400 prompts, one baseline: every statistic that was damaged rejects in four cases of five."""
    count = repeats(100)
    rejected: Counter[str] = Counter()
    for repeat in range(count):
        found = p_values((HEALTHY, WORSE, HEALTHY, HEALTHY), 400, (9, repeat))
        rejected.update(name for name, p in found.items() if p <= 0.05)
    damaged = ("tail-mass-ratio", "looping", "duplicates", "rare-labels", "left-mass")
    assert {name: rejected[name] for name in damaged if rejected[name] < at_least(count, 0.8)} == {}


# -------------------------------------------------------------------------------------------------- seeds as the units

STATISTICS = ("JS-excess", "tail-mass-ratio", "distinct-types", "looping", "duplicates", "W1")


def made_up(rng: np.random.Generator, seeds: int, *, shift: float = 0.0, spread: float = 0.02) -> AuditReport:
    """Findings about .5 whose seeds spread by ``spread`` beyond what is common to their statistics."""
    common = rng.normal(0, spread, seeds)
    return report(
        [
            finding(statistic, 0.5 + shift + common[seed] + rng.normal(0, spread), seed=str(seed))
            for statistic in STATISTICS
            for seed in range(seeds)
        ]
    )


@pytest.mark.parametrize("seeds", [3, 5])
def test_recipes_that_are_the_same_are_seldom_told_apart(seeds: int, repeats: Repeats) -> None:
    """A claim about any of six statistics, dependent on each other, in at most 5% of 2,000 comparisons."""
    count = repeats(2000)
    wrong = 0
    for repeat in range(count):
        rng = np.random.default_rng([21, seeds, repeat])
        found = claims(over_seeds(made_up(rng, seeds), made_up(rng, seeds), 1, GATES), alpha=0.05)
        assert len(found) == len(STATISTICS)
        wrong += any(one.outcome in (Held.A, Held.B) for one in found)
    assert wrong <= at_most(count, 0.05)


def test_pooled_documents_would_tell_equal_recipes_apart(repeats: Repeats) -> None:
    """Negative control: errors of documents, a fifth of the spread between seeds, in place of the seeds'."""
    count = repeats(500)
    wrong = 0
    for repeat in range(count):
        rng = np.random.default_rng([22, repeat])
        a, b = made_up(rng, 3), made_up(rng, 3)
        differences = [x.value - y.value for x, y in zip(a.findings, b.findings, strict=True) if x.statistic == "W1"]
        wrong += abs(np.mean(differences)) > 1.96 * 0.004 * np.sqrt(2 / 3)
    assert wrong >= at_least(count, 0.5)


def test_a_recipe_that_differs_is_found_by_five_seeds(repeats: Repeats) -> None:
    """A shift of five standard deviations of a paired difference, in all six statistics, under Holm."""
    count = repeats(300)
    found_in: Counter[str] = Counter()
    for repeat in range(count):
        rng = np.random.default_rng([23, repeat])
        found = claims(over_seeds(made_up(rng, 5, shift=0.2), made_up(rng, 5), 1, GATES), alpha=0.05)
        # Higher is worse for four of them, better for the two ratios.
        found_in.update(one.statistic for one in found if one.outcome is (Held.B if one.worse == "higher" else Held.A))
    assert {name: found_in[name] for name in STATISTICS if found_in[name] < at_least(count, 0.9)} == {}


# ------------------------------------------------------------------------------------------------- from text to claim

PROBES = tuple(probe for probe in BUILTIN if probe.name in ("token-divergence", "tail-coverage", "diversity"))


def audited(later: Callable[[np.random.Generator], FloatArray], rng: np.random.Generator) -> AuditReport:
    """Three seeds of a lineage: generation 0 draws from a Zipf law, generation 1 from ``later``, 150 texts a side."""
    findings: list[Finding] = []
    for seed in range(3):
        pair = documents(zipf(1000), 150, rng), documents(later(rng), 150, rng)
        for probe in PROBES:
            readings = trial(*pair, probes=[probe], config=AuditConfig(permutations=199))
            for gate in probe.gates:
                reading = readings[probe.name, gate.statistic][0]
                assert isinstance(reading, Estimate)
                findings.append(
                    finding(
                        "JS-excess",
                        reading.value,
                        probe=probe.name,
                        statistic=gate.statistic,
                        unit=gate.unit,
                        worse=gate.worse,
                        margin=gate.margin,
                        outcome=Outcome.PASS,
                        seed=str(seed),
                    )
                )
    return report(findings)


def test_two_lineages_of_one_recipe_are_seldom_told_apart(repeats: Repeats) -> None:
    """Wright-Fisher drift of 3,000 tokens, three seeds of each, real probes; 200 comparisons of seven statistics."""
    count = repeats(200)
    wrong = 0
    for repeat in range(count):
        rng = np.random.default_rng([31, repeat])
        sides = [audited(lambda rng: drifted(zipf(1000), 3000, 1, rng), rng) for _ in range(2)]
        found = claims(over_seeds(*sides, 1, GATES), alpha=0.05)
        assert len(found) == 7
        wrong += any(one.outcome in (Held.A, Held.B) for one in found)
    assert wrong <= at_most(count, 0.05)


def test_a_lineage_that_drifts_five_times_as_long_holds_worse(repeats: Repeats) -> None:
    """Five rounds of drift against one: some statistic says so, and none says the contrary, in eight of ten."""
    count = repeats(100)
    found_out = 0
    for repeat in range(count):
        rng = np.random.default_rng([32, repeat])
        sides = [audited(lambda rng, rounds=rounds: drifted(zipf(1000), 3000, rounds, rng), rng) for rounds in (5, 1)]
        outcomes = {one.outcome for one in claims(over_seeds(*sides, 1, GATES), alpha=0.05)}
        found_out += Held.B in outcomes and Held.A not in outcomes
    assert found_out >= at_least(count, 0.8)
