"""What is compared with what: baselines, held-out samples, who descends from whom, and what is selected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_lineages

from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.probes.registry import BUILTIN, find
from collapse_audit.run.plan import Plan, baseline_path, plan
from collapse_audit.settings.config import AuditConfig

DIVERSITY = (find("diversity", BUILTIN),)


def chain(root: Path, *names: str) -> Path:
    """A folder with these corpora, all different; ``reference``, ``gen_0``, ``gen_0.holdout``, …"""
    for number, name in enumerate(names):
        small_lineages.write(root / f"{name}.jsonl", [f"text {number} of {name}"])
    return root


def planned(root: Path, baseline: str = "generation-0", *, independent: bool = False, **selection: Any) -> Plan:
    lineage = load_lineage(root, independent=independent, needs_comparison=False)
    return plan(lineage, AuditConfig(baseline=baseline, independent=independent), DIVERSITY, **selection)


def pairs(found: Plan) -> list[tuple[int, str, str]]:
    return [(each.generation, each.current.name, each.baseline.name) for each in found.comparisons]


def flags(found: Plan) -> list[tuple[int, bool, bool]]:
    """Generation, whether it gates, whether it was trained on its baseline."""
    return [(each.generation, each.gating, each.trained_on_baseline) for each in found.comparisons]


def test_generation_0_is_the_baseline_and_its_own_distance_to_the_reference_is_context(tmp_path: Path) -> None:
    found = planned(chain(tmp_path, "reference", "gen_0", "gen_1", "gen_2"))
    assert pairs(found) == [
        (0, "generation 0 (texts)", "reference"),
        (1, "generation 1 (texts)", "generation 0 (texts)"),
        (2, "generation 2 (texts)", "generation 0 (texts)"),
    ]
    assert [each.gating for each in found.comparisons] == [False, True, True]


def test_without_a_reference_generation_0_is_compared_with_nothing(tmp_path: Path) -> None:
    found = planned(chain(tmp_path, "gen_0", "gen_1"))
    assert [each.generation for each in found.comparisons] == [1]
    assert found.notes == ()


def test_the_reference_is_the_baseline_where_there_is_no_generation_0(tmp_path: Path) -> None:
    found = planned(chain(tmp_path, "reference", "gen_1", "gen_2"))
    assert [(each.generation, each.baseline.name, each.gating) for each in found.comparisons] == [
        (1, "reference", True),
        (2, "reference", True),
    ]


def test_against_the_reference_generation_0_gates_like_the_others(tmp_path: Path) -> None:
    found = planned(chain(tmp_path, "reference", "gen_0", "gen_1"), "reference")
    assert [(each.generation, each.baseline.name, each.gating) for each in found.comparisons] == [
        (0, "reference", True),
        (1, "reference", True),
    ]


def test_previous_is_the_nearest_earlier_generation_there_is(tmp_path: Path) -> None:
    found = planned(chain(tmp_path, "reference", "gen_0", "gen_1", "gen_4"), "previous")
    assert [(each.generation, each.baseline.name, each.gating) for each in found.comparisons] == [
        (0, "reference", False),
        (1, "generation 0 (texts)", True),
        (4, "generation 1 (texts)", True),
    ]


def test_a_corpus_of_the_users_is_the_baseline_of_every_generation(tmp_path: Path) -> None:
    approved = small_lineages.write(tmp_path / "approved.jsonl", ["approved text"])
    root = chain(tmp_path / "lineage", "reference", "gen_0", "gen_1")
    found = planned(root, str(approved), baseline_corpus=open_corpus(approved))
    assert [(each.generation, each.baseline.name, each.gating) for each in found.comparisons] == [
        (0, str(approved), True),
        (1, str(approved), True),
    ]


def test_held_out_samples_are_preferred_on_both_sides(tmp_path: Path) -> None:
    root = chain(
        tmp_path, "reference", "reference.holdout", "gen_0", "gen_0.holdout", "gen_1", "gen_1.holdout", "gen_2"
    )
    assert pairs(planned(root)) == [
        (0, "generation 0 (held-out)", "reference (held-out)"),
        (1, "generation 1 (held-out)", "generation 0 (held-out)"),
        (2, "generation 2 (texts)", "generation 0 (held-out)"),
    ]


def test_a_bare_folder_is_a_chain_so_comparisons_with_training_texts_are_one_sided(tmp_path: Path) -> None:
    found = planned(chain(tmp_path, "reference", "gen_0", "gen_1", "gen_2"))
    assert flags(found) == [(0, False, True), (1, True, True), (2, True, True)]


def test_held_out_baselines_make_comparisons_fair(tmp_path: Path) -> None:
    found = planned(chain(tmp_path, "reference", "reference.holdout", "gen_0", "gen_0.holdout", "gen_1", "gen_2"))
    assert flags(found) == [(0, False, False), (1, True, False), (2, True, False)]


def test_a_held_out_file_with_the_bytes_of_the_training_texts_is_not_held_out(tmp_path: Path) -> None:
    root = chain(tmp_path, "gen_0", "gen_1")
    (root / "gen_0.holdout.jsonl").write_bytes((root / "gen_0.jsonl").read_bytes())
    assert flags(planned(root)) == [(1, True, True)]


def test_a_corpus_of_the_users_that_is_a_copy_of_the_training_texts_is_found_out(tmp_path: Path) -> None:
    root = chain(tmp_path / "lineage", "gen_0", "gen_1")
    copied = tmp_path / "copied.jsonl"
    copied.write_bytes((root / "gen_0.jsonl").read_bytes())
    found = planned(root, str(copied), baseline_corpus=open_corpus(copied))
    assert flags(found)[-1] == (1, True, True)


def test_independent_corpora_are_compared_fairly(tmp_path: Path) -> None:
    found = planned(chain(tmp_path, "gen_0", "gen_1", "gen_2"), independent=True)
    assert flags(found) == [(1, True, False), (2, True, False)]


def test_against_the_previous_generation_only_what_it_was_trained_on_counts(tmp_path: Path) -> None:
    root = chain(tmp_path, "gen_0", "gen_0.holdout", "gen_1", "gen_2")
    assert flags(planned(root, "previous")) == [(1, True, False), (2, True, True)]


def test_each_seed_is_compared_within_itself(tmp_path: Path) -> None:
    for seed in ("0", "1"):
        chain(tmp_path / f"seed_{seed}", "gen_0", "gen_1")
        small_lineages.write(tmp_path / f"seed_{seed}" / "gen_1.jsonl", [f"text of seed {seed}"])
    found = planned(tmp_path)
    assert [each.name for each in found.comparisons] == ["seed-0-generation-1", "seed-1-generation-1"]
    assert [each.baseline.corpus.shown for each in found.comparisons] == ["seed_0/gen_0.jsonl", "seed_1/gen_0.jsonl"]
    assert [each.seed for each in found.of_seed("1")] == ["1"]


def test_a_seed_without_a_baseline_is_left_out_and_named(tmp_path: Path) -> None:
    chain(tmp_path / "seed_0", "gen_0", "gen_1")
    chain(tmp_path / "seed_1", "gen_1", "gen_2")
    found = planned(tmp_path)
    assert [each.name for each in found.comparisons] == ["seed-0-generation-1"]
    assert found.notes == (
        "generation 1 of seed 1 has no baseline to be compared with",
        "generation 2 of seed 1 has no baseline to be compared with",
    )


# -------------------------------------------------------------------------------------------------------- selection


@pytest.mark.parametrize(
    ("expression", "chosen"), [("1", [1]), ("1-2", [1, 2]), ("2-3", [2, 3]), ("last", [3]), (None, [1, 2, 3])]
)
def test_generations_are_selected(tmp_path: Path, expression: str | None, chosen: list[int]) -> None:
    found = planned(chain(tmp_path, "gen_0", "gen_1", "gen_2", "gen_3"), generations=expression)
    assert [each.generation for each in found.comparisons] == chosen


def test_asking_for_a_generation_without_a_baseline_says_so(tmp_path: Path) -> None:
    found = planned(chain(tmp_path, "gen_0", "gen_1"), generations="0")
    assert found.comparisons == ()
    assert found.notes == ("generation 0 has no baseline to be compared with",)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("7", "--generation 7: the lineage has no such generation; it has 0, 1"),
        ("2-1", "--generation 2-1: the lineage has no such generation; it has 0, 1"),
        ("first", "--generation 'first': expected a number, a range such as 1-4, or last"),
        ("-1", "--generation '-1': expected a number, a range such as 1-4, or last"),
        ("1-", "--generation '1-': expected a number, a range such as 1-4, or last"),
    ],
)
def test_a_generation_that_is_not_there_is_refused(tmp_path: Path, expression: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        planned(chain(tmp_path, "gen_0", "gen_1"), generations=expression)
    assert str(error.value) == message


def test_probes_are_kept_by_name_code_and_generation(tmp_path: Path) -> None:
    lineage = load_lineage(chain(tmp_path, "gen_0", "gen_1", "gen_2"))
    asked: list[str] = []

    def keep(about: str) -> bool:
        asked.append(about)
        return about == "tail-mass CA201 tail-mass-ratio generation-2"

    found = plan(lineage, AuditConfig(), BUILTIN, keep=keep)
    assert [(each.name, [probe.name for probe in each.probes]) for each in found.comparisons] == [
        ("generation-2", ["tail-mass"])
    ]
    assert "diversity CA302 distinct-2 effective-tokens duplicates near-copies generation-1" in asked


def test_a_probe_that_is_switched_off_is_not_planned(tmp_path: Path) -> None:
    lineage = load_lineage(chain(tmp_path, "gen_0", "gen_1"))
    found = plan(lineage, AuditConfig(disabled=frozenset({"tail-mass"})), BUILTIN)
    assert [probe.name for probe in found.comparisons[0].probes] == [p.name for p in BUILTIN if p.name != "tail-mass"]


# --------------------------------------------------------------------------------------------------- no such baseline


@pytest.mark.parametrize(
    ("corpora", "baseline", "message"),
    [
        (
            ("gen_0", "gen_1"),
            "reference",
            "baseline = 'reference': the lineage has no reference; allowed here: previous, or a corpus file",
        ),
        (
            ("gen_1", "gen_2"),
            "generation-0",
            "baseline = 'generation-0': the lineage has neither a generation 0 nor a reference (its first is 1: "
            "--generations takes any files in their order); allowed here: previous, or a corpus file",
        ),
    ],
)
def test_a_baseline_that_the_lineage_does_not_have_is_refused(
    tmp_path: Path, corpora: tuple[str, ...], baseline: str, message: str
) -> None:
    with pytest.raises(UsageError) as error:
        planned(chain(tmp_path, *corpora), baseline)
    assert str(error.value) == message


def test_a_baseline_path_is_a_file_or_one_of_the_three_words(tmp_path: Path) -> None:
    assert [baseline_path(AuditConfig(baseline=word)) for word in ("generation-0", "reference", "previous")] == [
        None
    ] * 3
    file = small_lineages.write(tmp_path / "approved.jsonl", ["text"])
    assert baseline_path(AuditConfig(baseline=str(file))) == str(file)
    with pytest.raises(UsageError) as error:
        baseline_path(replace(AuditConfig(), baseline="nowhere.jsonl"))
    assert str(error.value) == (
        "baseline = 'nowhere.jsonl': not a file; allowed: generation-0, reference, previous, or a corpus file"
    )
