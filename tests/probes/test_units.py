"""The unit: what a pair resamples, why, and what must never change it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from collapse_audit.errors import UsageError
from collapse_audit.probes.pairs.units import FEWEST, Unit, choose
from collapse_audit.probes.statistics.dependence import Neighbours
from collapse_audit.probes.statistics.design import Units
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.token_divergence import token_divergence
from tests.probes.builders import pair, sample

WORDS = np.array([f"w{i}" for i in range(400)])


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(list(seed))


def zipf(chance: np.random.Generator, own: np.ndarray | None = None) -> str:
    """Ten words; with a topic of its own words, half of them are of it."""
    p = 1 / (np.arange(400) + 2.7)
    words = chance.choice(WORDS, size=10, p=p / p.sum())
    if own is not None:
        words[:5] = chance.choice(own, size=5)
    return " ".join(words)


def in_stretches(count: int, length: int, *seed: int) -> list[str]:
    """Texts whose topic, 12 words, changes after every ``length`` of them."""
    chance = rng(*seed)
    topics = [chance.choice(WORDS, size=12) for _ in range(count // length + 1)]
    return [zipf(chance, topics[i // length]) for i in range(count)]


def plain(count: int, *seed: int) -> list[str]:
    chance = rng(*seed)
    return [zipf(chance) for _ in range(count)]


def unit(*texts: list[str] | Sample, setting: str = "auto", seed: int = 0) -> Unit:
    samples = [each if isinstance(each, Sample) else sample(each, name=f"side {i}") for i, each in enumerate(texts)]
    return choose(samples, setting, seed)  # type: ignore[arg-type]


def test_independent_records_are_documents() -> None:
    assert unit(plain(300, 1), plain(300, 2)) == Unit(kind="document")
    assert pair(plain(30, 1), plain(30, 2)).design.dependent is None


def test_what_n_counts_is_said_where_it_is_not_documents() -> None:
    """60 runs of 32 of 2,000 records at most; 30 groups of 4; answers of a prompt that are swapped are documents."""
    runs = pair(in_stretches(2000, 8, 3), in_stretches(2000, 8, 4)).design.dependent
    assert runs is not None
    assert runs.inferred
    assert runs.name.startswith("runs of ")
    length = int(runs.name.split()[2])
    assert runs.count == 2000 // length
    named = [str(i // 4) for i in range(120)]
    sides = [sample(plain(120, 40 + k), groups=[f"{k}{g}" for g in named], name=str(k)) for k in range(2)]
    groups = pair(*sides).design.dependent
    assert groups == Units(count=30, name="groups", inferred=False)


def test_dependent_neighbours_make_runs_of_both_files() -> None:
    found = unit(in_stretches(2000, 8, 3), in_stretches(2000, 8, 4))
    assert found.kind == "run"
    assert found.keys is not None
    for key in found.keys:
        assert (np.diff(key) >= 0).all()  # records of a run stand next to each other
        sizes = np.bincount(key - key.min())
        assert sizes.max() - sizes.min() <= 1
        assert 8 <= sizes.min() <= 64
    assert not np.intersect1d(*found.keys).size  # a run is of one side
    assert found.why is not None
    assert "2,000 records amount to" in found.why


def test_dependence_on_one_side_alone_is_said_and_changes_nothing() -> None:
    """Loops in the first 30% of a file look like dependent neighbours; they are damage and must stay found."""
    damaged = ["a b c " * 4] * 150 + plain(350, 5)
    for sides in ((plain(500, 6), damaged), (damaged, plain(500, 6))):
        found = unit(*sides)
        assert found.kind == "document"
        assert found.keys is None
        assert "--unit run" in str(found.why)


@pytest.mark.parametrize(
    ("p_values", "kind"), [((0.01, 0.05), "run"), ((0.05, 0.05), "document"), ((0.01, 0.06), "document")]
)
def test_one_file_must_show_its_order_clearly_and_the_other_likely(p_values: tuple[float, float], kind: str) -> None:
    sides = [sample(in_stretches(200, 8, 30, side), name=f"side {side}") for side in range(2)]
    for side, p_value in zip(sides, p_values, strict=True):
        side.order[0] = Neighbours(p_value=p_value, inflation=4.0, run=4, records=200)
    assert unit(*sides).kind == kind


def test_damage_in_one_stretch_does_not_make_runs_of_its_own_length() -> None:
    healthy, damaged = in_stretches(2000, 8, 7), in_stretches(2000, 8, 8)
    damaged[:1000] = ["a b c " * 4] * 1000
    usual, found = unit(healthy, in_stretches(2000, 8, 8)), unit(healthy, damaged)
    assert usual.keys is not None
    assert found.keys is not None
    assert found.keys[0].max() + 1 >= (usual.keys[0].max() + 1) / 5


def test_files_that_follow_the_same_order_swap_documents_at_the_same_place() -> None:
    chance = rng(9)
    topics = [chance.choice(WORDS, size=12) for _ in range(25)]
    sides = [[zipf(rng(10, side, i), topics[i // 20]) for i in range(500)] for side in range(2)]
    found = unit(*sides)
    assert found.kind == "document"
    assert found.swapped
    design = pair(*sides).design
    assert design.described == "documents, swapped at the same place of their files"
    assert design.units == 500


def test_texts_that_each_side_repeats_are_the_units() -> None:
    """20 distinct texts, five times each, on both sides."""
    order = rng(11).permutation(100)
    sides = [[plain(20, 12, side)[i % 20] for i in order] for side in range(2)]
    found = unit(*sides)
    assert found.kind == "cluster"
    assert "20 clusters are all that 100 records amount to" in str(found.why)


def test_copies_on_the_generations_side_alone_are_not_matched_away() -> None:
    order = rng(13).permutation(100)
    copied = [plain(20, 14)[i % 20] for i in order]
    assert unit(plain(100, 15), copied).kind == "document"
    assert unit(copied, plain(100, 15)).kind == "document"


def test_many_more_copies_than_the_other_side_has_are_not_matched_away() -> None:
    order = rng(16).permutation(100)
    twice, often = ([plain(k, 17, k)[i % k] for i in order] for k in (50, 10))
    assert unit(twice, often).kind == "document"
    assert unit(often, twice).kind == "document"


def test_popular_texts_of_one_population_stay_documents() -> None:
    texts = plain(20, 18)
    sides = [[texts[i] for i in rng(19, side).integers(0, 20, 100)] for side in range(2)]
    assert unit(*sides).kind == "document"


def test_a_licence_before_a_third_of_the_texts_is_no_cluster() -> None:
    sides = []
    for side, licence in enumerate(("permission is hereby granted to any person", "redistribution in source form is")):
        texts = plain(300, 31, side)
        sides.append([f"{licence} {text}" if i % 3 == 0 else text for i, text in enumerate(texts)])
    assert unit(*sides).kind == "document"


def test_answers_that_share_an_opening_are_clusters() -> None:
    """30 prompts a side, ten answers each that begin alike, shuffled, other prompts on each side."""
    sides = []
    for side in range(2):
        openings = plain(30, 20, side)
        sides.append([f"{openings[i % 30]} {zipf(rng(21, side, i))}" for i in rng(22, side).permutation(300)])
    found = unit(*sides)
    assert found.kind == "cluster"
    assert "opening" in str(found.described)


def test_a_group_is_never_clustered_again() -> None:
    texts = in_stretches(600, 8, 23), in_stretches(600, 8, 24)
    given = [sample(each, groups=[f"g{i % 200}" for i in range(600)], name=str(k)) for k, each in enumerate(texts)]
    found = unit(*given)
    assert found.kind == "group"
    assert found.why is None
    assert [np.unique(key).size for key in found.keys or ()] == [200, 200]


def answers(dependent: bool, side: int, *seed: int) -> Sample:
    """40 prompts, ten answers each; with drafts, a side's answers to a prompt share words of their own."""
    texts, prompts = [], []
    for number in range(40):
        topic, own = rng(25, number).choice(WORDS, size=12), rng(*seed, 26, number, side).choice(WORDS, size=8)
        for answer in range(10):
            chance = rng(*seed, 27, number, side, answer)
            texts.append(zipf(chance, np.concatenate((topic[:3], own)) if dependent else topic))
            prompts.append(f"prompt {number}")
    return sample(texts, prompts=prompts, name=str(side))


def test_independent_answers_are_swapped_one_by_one() -> None:
    found = unit(answers(False, 0, 28), answers(False, 1, 28))
    assert found == Unit(kind="prompt", keys=found.keys, swapped=True)


def test_dependent_answers_move_with_their_prompt() -> None:
    sides = answers(True, 0, 29), answers(True, 1, 29)
    found = unit(*sides)
    assert not found.swapped
    assert "answers" in str(found.why)
    design = pair(*sides).design
    assert design.units == 40
    assert design.side.size == 80
    assert design.described == "prompts with all of their answers, paired where both sides share them"


@pytest.mark.parametrize("seed", range(4))
def test_the_unit_does_not_depend_on_which_side_is_the_baseline(seed: int) -> None:
    for one, other in (
        (in_stretches(400, 8, 30, seed), in_stretches(400, 8, 31, seed)),
        (in_stretches(400, 8, 30, seed), plain(400, 32, seed)),
        (answers(True, 0, 33, seed), answers(True, 1, 33, seed)),
    ):
        there, back = unit(one, other), unit(other, one)
        assert dataclasses.replace(there, keys=None, why=None) == dataclasses.replace(back, keys=None, why=None)
        for mine, theirs in zip(there.keys or (), (back.keys or ())[::-1], strict=True):
            assert (np.bincount(np.unique(mine, return_inverse=True)[1])).tolist() == (
                np.bincount(np.unique(theirs, return_inverse=True)[1])
            ).tolist()


def test_too_few_runs_decide_nothing_and_say_why() -> None:
    found = pair(in_stretches(200, 25, 34), in_stretches(200, 25, 35))
    assert found.design.kind == "run"
    assert found.design.units < FEWEST
    (reading,) = [one for one in token_divergence(found) if isinstance(one, Estimate)][:1]
    assert np.isinf(reading.low)
    assert "sample independent records, or give --group FIELD" in reading.explanation
    assert "too few to tell anything" in str(found.units.why)


def test_what_is_asked_for_is_taken() -> None:
    given = [answers(False, side, 36) for side in range(2)]
    assert unit(*given, setting="document").keys is None
    assert not unit(*given, setting="prompt").swapped
    assert unit(*given, setting="run").kind == "run"
    with pytest.raises(UsageError, match="--unit group"):
        unit(*given, setting="group")


def test_max_documents_keeps_the_order_of_the_file() -> None:
    drawn = sample([str(i) for i in range(1000)], max_documents=100, rows=70)
    numbers = [int(text) for text in drawn.texts.to_pylist()]
    assert numbers == sorted(numbers)
    assert len(pa.array(numbers).unique()) == 100
