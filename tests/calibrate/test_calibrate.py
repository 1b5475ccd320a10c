"""Calibration on a user's own text: how it is split, what is planted, and automatic margins."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from calibrate_texts import pool, words
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.calibration.bench import NULL, NULL_HALF, Bench, auto_margins, gates_in_force, split
from collapse_audit.calibration.rows import taken
from collapse_audit.calibration.settled import WHOLE, Trial, outcomes, rounded, settled
from collapse_audit.calibration.two_samples import sample_of, trial
from collapse_audit.errors import UsageError
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured
from collapse_audit.probes.text.labels import EU_TIRADS, label_rule
from collapse_audit.probes.text.loops import token_loops
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.types import probe
from collapse_audit.reports.document import Outcome
from collapse_audit.settings.config import AuditConfig

CHEAP = tuple(p for p in BUILTIN if p.name in ("tail-coverage", "diversity", "label-coverage", "perplexity"))


def bench_of(baseline: Sample, n: int, **changes: Any) -> Bench:
    settings = {"probes": CHEAP, "config": AuditConfig(permutations=60), **changes}
    return Bench(baseline=baseline, n=n, **settings)


def texts_of(sample: Sample) -> list[str]:
    return [str(text) for text in sample.texts.to_pylist()]


def spelled(sample: Sample) -> list[list[str]]:
    """The tokens of every document, read back from the ids."""
    vocabulary = sample.tokens.vocabulary.to_pylist()
    offsets = sample.tokens.offsets
    return [[vocabulary[i] for i in sample.tokens.ids[a:b]] for a, b in itertools.pairwise(offsets)]


# -------------------------------------------------------------------------------------------------- splitting, taking


@given(count=st.integers(2, 60), share=st.floats(0.02, 0.5), seed=st.integers(0, 99))
def test_halves_are_disjoint_and_of_the_size_asked_for(count: int, share: float, seed: int) -> None:
    n = max(1, int(share * count))
    first, second, left = split(pool(count), n, np.random.default_rng(seed))
    assert (len(first), len(second)) == (n, n)
    assert sorted([*first, *second, *left]) == list(range(count))


def test_every_split_is_equally_likely() -> None:
    """Four documents, one a side: 12 ordered pairs, each in 1/12 of 6,000 draws (99.9% binomial limits each way)."""
    sample, rng = pool(4), np.random.default_rng(1)
    drawn = Counter(tuple(int(part[0]) for part in split(sample, 1, rng)[:2]) for _ in range(6000))
    assert len(drawn) == 12
    assert all(abs(count - 500) < 3.5 * math.sqrt(6000 / 12 * 11 / 12) for count in drawn.values())


@given(sizes=st.lists(st.integers(1, 9), min_size=4, max_size=30), seed=st.integers(0, 99))
def test_groups_stay_whole(sizes: list[int], seed: int) -> None:
    groups = [f"g{index}" for index, size in enumerate(sizes) for _ in range(size)]
    total = len(groups)
    parts = split(pool(total, groups=groups), total // 2, np.random.default_rng(seed))
    assert sorted(np.concatenate(parts)) == list(range(total))
    owners = [{groups[row] for row in part} for part in parts]
    assert not any(one & other for one, other in itertools.combinations(owners, 2))
    assert len(parts[0]) >= 1
    assert abs(len(parts[0]) - len(parts[1])) <= max(sizes)


def test_neither_half_is_favoured_with_groups() -> None:
    """Three groups of equal size: one half has two of them, each equally often (200 splits, 3.5 sd)."""
    sample = pool(30, groups=[f"g{index % 3}" for index in range(30)])
    larger = sum(len(split(sample, 15, np.random.default_rng(seed))[0]) == 20 for seed in range(200))
    assert abs(larger - 100) < 3.5 * math.sqrt(200) / 2


def test_documents_without_a_group_are_groups_of_their_own() -> None:
    """Nulls among the keys must not become one large group."""
    sample = sample_of(words(40), groups=["a", "a", "b", "b", *[None] * 36])  # type: ignore[list-item]
    first, second, _ = split(sample, 20, np.random.default_rng(3))
    assert abs(len(first) - len(second)) <= 2


def test_answers_to_one_prompt_are_spread_over_both_halves() -> None:
    prompts = [f"p{index // 4}" for index in range(80)]
    first, second, _ = split(pool(80, prompts=prompts), 40, np.random.default_rng(2))
    for part in (first, second):
        assert Counter(prompts[row] for row in part) == dict.fromkeys(set(prompts), 2)


@pytest.mark.parametrize(("count", "n"), [(1, 0), (9, 5)])
def test_what_cannot_be_split_is_refused(count: int, n: int) -> None:
    with pytest.raises(UsageError, match=f"{count} documents cannot be split into two parts of {n}"):
        split(pool(count), n, np.random.default_rng(0))


def test_taken_documents_are_those_of_the_rows_with_everything_they_carry() -> None:
    texts = ["a b", "", "c c d", "e"]
    sample = sample_of(
        texts,
        labels=[["x"], [], ["y"], ["x", "y"]],
        nll=[1.0, 2.0, 3.0, 4.0],
        prompts=list("pqrs"),
        groups=list("ghij"),
    )
    part = taken(sample, np.array([2, 0, 2]), keys=np.array([1, 0, 3]))
    assert texts_of(part) == ["c c d", "a b", "c c d"]
    assert spelled(part) == [["c", "c", "d"], ["a", "b"], ["c", "c", "d"]]
    assert part.label_field is not None
    assert part.label_field.to_pylist() == [["y"], ["x"], ["y"]]
    assert part.nll is not None
    assert part.nll.tolist() == [3.0, 1.0, 3.0]
    assert part.prompts is not None
    assert part.prompts.to_pylist() == ["q", "p", "s"]
    assert part.groups is not None
    assert part.groups.to_pylist() == ["h", "g", "j"]
    assert len({part.digest, sample.digest, taken(sample, np.array([2, 0, 3])).digest}) == 3


def test_a_taken_sample_is_measured_as_the_same_texts_read_anew() -> None:
    """What has no part of chance in it: distinct types, pairs and texts, and effective tokens."""
    texts = words(80)
    sides = [list(range(0, 60, 2)), list(range(1, 61, 2))]
    whole = sample_of(texts)
    by_rows = trial(*(taken(whole, np.array(rows)) for rows in sides), probes=CHEAP)
    anew = trial(*(sample_of([texts[row] for row in rows], name=str(rows)) for rows in sides), probes=CHEAP)
    for key in (("tail-coverage", "distinct-types"), ("diversity", "distinct-2"), ("diversity", "effective-tokens")):
        one, other = by_rows[key][0], anew[key][0]
        assert isinstance(one, Estimate)
        assert isinstance(other, Estimate)
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


# ------------------------------------------------------------------------------------------------ what is planted


def sides(bench: Bench, scenario: str) -> list[Sample]:
    """Both sides of a trial, caught on their way into it."""
    caught: list[Sample] = []

    @probe(name="catch", unit="share", worse="higher", margin=0.1)
    def catch(pair: Any) -> Any:
        caught.extend((pair.baseline, pair.generation))
        return NotMeasured(reason="only looking")

    Bench(baseline=bench.baseline, n=bench.n, probes=(catch,), config=bench.config, rule=bench.rule).run(scenario, 0)
    return caught


def made(bench: Bench, scenario: str) -> tuple[list[str], list[str], Bench]:
    """The texts of both sides of a trial."""
    baseline, generation = map(texts_of, sides(bench, scenario))
    return baseline, generation, bench


def test_nothing_is_planted_in_a_null_pair() -> None:
    baseline, generation, bench = made(bench_of(pool(), 100), NULL)
    assert len(baseline) == len(generation) == 100
    assert not set(baseline) & set(generation)
    assert {*baseline, *generation} <= set(texts_of(bench.baseline))
    assert [len(side) for side in made(bench, NULL_HALF)[:2]] == [50, 50]


def test_copies_are_planted_in_the_stated_share() -> None:
    baseline, generation, _ = made(bench_of(pool(), 100), "duplicate")
    assert len(set(baseline)) == 100
    assert (len(generation), len(set(generation))) == (100, 80)


def test_copies_stand_in_the_group_of_what_they_replace() -> None:
    """Four texts a group on both sides, whatever was copied where."""
    groups = [f"g{index // 4}" for index in range(240)]
    generation = sides(bench_of(pool(240, groups=groups), 120), "duplicate")[1]
    assert generation.groups is not None
    assert set(Counter(generation.groups.to_pylist()).values()) == {4}
    assert len(set(texts_of(generation))) == 96


def test_loops_are_planted_in_the_stated_share() -> None:
    """The source has words twice in a row but hardly ever three times, so at least the planted ones loop."""
    baseline, generation, bench = made(bench_of(pool(), 100), "loop")
    changed = [text for text in generation if text not in set(texts_of(bench.baseline))]
    assert len(changed) == 10
    assert token_loops(sample_of(changed).tokens).all()
    assert set(baseline) <= set(texts_of(bench.baseline))


def test_the_lost_label_is_gone_and_nothing_stands_on_both_sides() -> None:
    labels = [["rare"] if index % 10 == 0 else ["common"] for index in range(600)]
    bench = bench_of(pool(600, labels=labels), 300, rule=label_rule("field"))
    assert bench.lost_label == "rare"
    carries = {text for text, (label,) in zip(texts_of(bench.baseline), labels, strict=True) if label == "rare"}
    baseline, generation, _ = made(bench, "label-loss")
    assert set(baseline) & carries
    assert not set(generation) & carries
    assert not set(baseline) & set(generation)
    assert len(set(generation)) == len(generation) == len(baseline) == (600 - 60) // 2


@pytest.mark.parametrize("scenario", ["sharpen-words", "sharpen-pairs", "top-p", "wright-fisher"])
def test_both_sides_of_a_drawn_pair_are_written_by_the_model(scenario: str) -> None:
    baseline, generation, bench = made(bench_of(pool(), 100), scenario)
    known = {word for document in spelled(bench.baseline) for word in document}
    sides = [[word for document in spelled(sample_of(side)) for word in document] for side in (baseline, generation)]
    assert all(set(side) <= known for side in sides)
    assert not {*baseline, *generation} & set(texts_of(bench.baseline))
    assert len(set(sides[1])) < len(set(sides[0]))


def test_top_p_leaves_the_most_probable_words_only() -> None:
    generation, bench = made(bench_of(pool(), 100), "top-p")[1:]
    counts = Counter(word for document in spelled(bench.baseline) for word in document)
    kept = {word for document in spelled(sample_of(generation)) for word in document}
    held, total = 0, sum(counts.values())
    cut = 0
    for _, count in counts.most_common():
        if held >= 0.9 * total:
            break
        held, cut = held + count, count
    assert min(counts[word] for word in kept) >= cut


def test_the_likelihoods_are_moved_by_the_stated_amount() -> None:
    """W1 of two samples within .05 of each other, one moved by .2, lies within .05 of .2."""
    sample = pool(200, nll=[3.0 + index / 4000 for index in range(200)])
    found = bench_of(sample, 100).run("perplexity-shift", 0).readings["perplexity", "W1"]
    none = bench_of(sample, 100).run(NULL, 0).readings["perplexity", "W1"]
    assert isinstance(found, Estimate)
    assert isinstance(none, Estimate)
    assert found.value == pytest.approx(0.2, abs=0.05)
    assert none.value <= 0.05


def test_what_a_text_has_not_is_not_planted() -> None:
    plain = bench_of(pool(), 100)
    assert not {"label-loss", "perplexity-shift"} & set(plain.scenarios)
    empty = sample_of([""] * 50)
    assert set(bench_of(empty, 25).scenarios) == {NULL, NULL_HALF, "loop", "duplicate"}


def test_the_lost_label_is_the_rarest_that_could_be_told() -> None:
    """Lost is told if the chance that all b of 2n land on one side, Fisher's p, is under .05 over 3 labels and 11
    gates, and if 0 of b leaves odds of less than .5: .05^(-1/b) - 1 < .5, which 8 do."""
    probes = tuple(p for p in BUILTIN if p.name in ("label-coverage", "integrity", "repetition", "diversity"))
    assert sum(len(p.gates) for p in probes) == 11
    chances = (math.comb(400 - b, 200) / math.comb(400, 200) for b in itertools.count(1))
    least = next(b for b, chance in enumerate(chances, start=1) if 3 * 11 * chance <= 0.05)
    assert 0.05 ** (-1 / least) < 1.5

    def labelled(rare: int) -> Bench:
        labels = [["rare"]] * rare + [["middle"]] * 60 + [["common"]] * (400 - 60 - rare)
        return bench_of(pool(400, labels=labels), 200, rule=label_rule("field"), probes=probes)

    assert labelled(2 * least).lost_label == "rare"
    assert labelled(2 * least - 1).lost_label == "middle"
    assert bench_of(pool(400, labels=[["all"]] * 400), 200, rule=label_rule("field")).lost_label is None


def test_labels_of_a_rule_go_with_their_documents() -> None:
    """A rule that looks into texts must find in a half what it found in the whole."""
    texts = [f"{text} EU-TIRADS {1 + index % 5}" for index, text in enumerate(words(200))]
    sample = sample_of(texts, name="reports")
    bench = bench_of(sample, 100, rule=EU_TIRADS)
    assert bench.documents.label_field is not None
    assert EU_TIRADS.extract is not None
    assert bench.documents.label_field.to_pylist() == [sorted(EU_TIRADS.extract(text)) for text in texts]
    reading = bench.run(NULL, 0).readings["label-coverage", "retained-share"]
    assert isinstance(reading, Estimate)


def test_a_trial_is_a_function_of_seed_scenario_and_number() -> None:
    one = bench_of(pool(), 100)
    again = bench_of(pool(), 100)
    assert one.run("loop", 3) == again.run("loop", 3)
    assert one.run("loop", 3) != one.run("loop", 4)
    assert one.run("loop", 3) != bench_of(pool(), 100, config=AuditConfig(permutations=60, seed=1)).run("loop", 3)


@pytest.mark.parametrize("planted", [False, True])
def test_a_pair_judged_later_comes_out_as_the_audit_judges_it(planted: bool) -> None:
    sample = pool(300, labels=[["a"], ["b"], ["c"]] * 100, nll=list(np.linspace(2, 4, 300)))
    config = AuditConfig(permutations=600)
    bench = bench_of(sample, 150, probes=BUILTIN, config=config, rule=label_rule("field"))
    first, second, _ = split(sample, 150, np.random.default_rng(1))
    rows = np.repeat(second[:75], 2) if planted else second
    whole = trial(taken(bench.documents, first), taken(bench.documents, rows), probes=BUILTIN, config=config)
    readings = {key: reading for key, (reading, _) in whole.items() if isinstance(reading, Estimate)}
    one = Trial(scenario="x", index=0, readings=readings)
    later = outcomes(one, gates_in_force(BUILTIN, config), alpha=config.alpha)
    assert {key: later[key] for key in readings} == {
        key: judgement.outcome for key, (_, judgement) in whole.items() if judgement is not None
    }
    assert (later[WHOLE] is Outcome.FAIL) == planted
    assert set(bench.run(NULL, 0).readings) == set(readings)


# -------------------------------------------------------------------------------------------------- automatic margins


def test_automatic_margins_are_those_of_the_same_null_pairs() -> None:
    """400 documents, 100 a side: 8 null pairs at the seed, and nothing to carry over."""
    sample, config = pool(400), AuditConfig(seed=5)
    found = auto_margins(sample, 100, CHEAP, config)
    bench = bench_of(sample, 100, config=AuditConfig(permutations=99, seed=5))
    # near-copies has two ends of its own: its automatic margin is settled as that of any other.
    gates = {key: replace(gate, pass_margin=None) for key, gate in gates_in_force(CHEAP, config).items()}
    expected = settled([bench.run(NULL, index) for index in range(8)], [], gates, false_alarms=0.05)
    keys = {("tail-coverage", "distinct-types")} | {
        ("diversity", s) for s in ("distinct-2", "effective-tokens", "duplicates", "near-copies")
    }
    assert set(found) == set(expected) == keys
    for key, one in found.items():
        assert one.pass_margin == rounded(expected[key].margin, gates[key])
        assert one.margin == (
            0.0 if key[1] in ("duplicates", "near-copies") else 1.0
        )  # fail starts where nothing has changed
        assert one.origin == "auto"
        assert one.reason.startswith("auto: ")


def test_more_documents_settle_smaller_margins() -> None:
    sample = pool(400)
    few, many = (auto_margins(sample, n, CHEAP, AuditConfig()) for n in (200, 400))
    pass_at = [{name: one.pass_margin or 0.0 for (_, name), one in found.items()} for found in (few, many)]
    assert all(pass_at[1][name] > pass_at[0][name] for name in ("distinct-2", "effective-tokens"))
    assert pass_at[1]["duplicates"] < pass_at[0]["duplicates"]


def test_too_little_text_settles_nothing() -> None:
    assert auto_margins(pool(12), 100, CHEAP, AuditConfig()) == {}
    assert auto_margins(sample_of(words(60), groups=["a"] * 59 + ["b"]), 60, CHEAP, AuditConfig()) == {}
