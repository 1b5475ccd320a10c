"""Running an audit: families of tests, crashing probes, stopping early, and what stands in the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_lineages
from stub_probes import BAD, FINE, by_place, constant, explodes, run, stub

from collapse_audit import audit
from collapse_audit.api import prepare
from collapse_audit.errors import InputError, UsageError
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import NotMeasured, Reading
from collapse_audit.reports.as_json import render
from collapse_audit.reports.document import Outcome, Stage, Verdict


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Generations 0 to 2, a document each: enough for stubs."""
    return small_lineages.lineage(tmp_path / "two", ["a b"], ["a b"], ["a b"])


# ------------------------------------------------------------------------------------------- errors are never passes


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        (explodes, "ZeroDivisionError: no such luck (stub_probes.py, line "),
        (lambda _: exit(0), "SystemExit: 0 (test_runner.py, line "),
        (lambda _: None, "probe stub-bad returned None; "),
        (lambda _: 3, "probe stub-bad returned 3; "),
        (lambda _: [FINE, FINE], "probe stub-bad returned readings for ['g0']; "),
        (lambda _: replace(FINE, statistic="other"), "probe stub-bad returned readings for ['other']; "),
        (lambda _: replace(FINE, value=float("nan")), "value must be finite, got nan"),
        (lambda _: replace(FINE, low=1.0, high=0.0), "interval must satisfy low <= high"),
        (lambda _: replace(FINE, p_value=0.0), "p_value must lie in (0, 1], got 0.0"),
        (lambda _: replace(FINE, raw={"share": float("nan")}), "raw and evidence[0]: share is nan; "),
        (lambda _: replace(FINE, raw={"share": {1, 2}}), "raw and evidence[0]: share is of type set; "),
        (lambda _: replace(FINE, evidence=({"terms": object()},)), "raw and evidence[1][0]: terms is of type object; "),
    ],
)
def test_a_probe_that_crashes_or_breaks_its_contract_is_an_error_finding(
    two: Path, measure: Callable[[Pair], Any], reason: str
) -> None:
    report = run(two, constant("stub-good", FINE), stub("stub-bad", measure))
    assert (report.verdict, report.exit_code) == (Verdict.ERROR, 3)
    found = by_place(report)
    assert found[1, "stub-bad"].outcome is Outcome.ERROR
    assert found[1, "stub-bad"].reason.startswith(reason)
    assert found[1, "stub-good"].outcome is Outcome.PASS
    render(report)


def test_a_crash_in_a_library_is_placed_in_the_probes_own_file(two: Path) -> None:
    report = run(two, stub("stub-bad", lambda _: np.stack([])))
    assert "(test_runner.py, line " in report.findings[0].reason


def test_a_crashing_probe_does_not_hide_a_collapse(two: Path) -> None:
    report = run(two, stub("stub-a", explodes), constant("stub-b", BAD))
    assert (report.verdict, report.exit_code) == (Verdict.COLLAPSE, 1)


def test_a_crash_in_one_generation_leaves_the_other_measured(two: Path) -> None:
    def measure(pair: Pair) -> Reading:
        return FINE if pair.generation.name.startswith("generation 1") else explodes(pair)

    found = by_place(run(two, stub("stub-a", measure)))
    assert found[1, "stub-a"].outcome is Outcome.PASS
    assert found[2, "stub-a"].outcome is Outcome.ERROR


def test_a_user_who_interrupts_is_obeyed(two: Path) -> None:
    def interrupted(_: Pair) -> Reading:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(two, stub("stub-a", interrupted))


# ----------------------------------------------------------------------------------------------- what is not measured


def test_what_is_not_there_is_not_measured_and_neutral(two: Path) -> None:
    report = run(two, constant("stub-a", FINE), constant("stub-b", NotMeasured(reason="no such input")), select="stub")
    assert by_place(report)[1, "stub-b"].outcome is Outcome.NOT_MEASURED
    assert (report.verdict, report.exit_code) == (Verdict.PASS, 0)


@pytest.mark.parametrize("expression", ["stub-b", "Stub-B", "X-stub-b", "x-STUB-b or stub-a"])
def test_a_probe_asked_for_by_name_or_code_that_cannot_run_is_an_error(two: Path, expression: str) -> None:
    probes = constant("stub-a", FINE), constant("stub-b", NotMeasured(reason="no such input"))
    report = run(two, *probes, select=expression)
    assert by_place(report)[1, "stub-b"].outcome is Outcome.ERROR
    assert by_place(report)[1, "stub-b"].reason == "asked for by name, but no such input"
    assert report.exit_code == 3


def test_built_in_probes_without_their_input_are_not_measured(shelf: Path) -> None:
    found = by_place(audit(shelf / "healthy", generations="1"))
    reasons = {name: found[1, name].reason for name in ("label-divergence", "label-coverage", "perplexity")}
    assert reasons == {
        "label-divergence": "the records carry no labels and no label rule applies",
        "label-coverage": "the records carry no labels and no label rule applies",
        "perplexity": "the records carry no nll",
    }


def labelled(labels: list[str], *, texts: int = 30) -> list[dict[str, str]]:
    records = [{"text": text} for text in small_lineages.documents(7, texts)]
    return [{**record, **({"label": labels[k % len(labels)]} if labels else {})} for k, record in enumerate(records)]


@pytest.mark.parametrize(
    ("baseline", "generation", "rule", "reason"),
    [
        (["a"], ["a"], "regex:never", "no text of the baseline carries a label (labels = regex:never)"),
        (["a"], ["a"], "none", "the records carry no labels and no label rule applies"),
    ],
)
def test_labels_that_are_not_there_are_said_to_be_missing(
    tmp_path: Path, baseline: list[str], generation: list[str], rule: str, reason: str
) -> None:
    root = small_lineages.lineage(tmp_path, labelled(baseline), labelled(generation))
    found = by_place(audit(root, labels=rule))
    for probe in ("label-divergence", "label-coverage"):
        assert (found[1, probe].outcome, found[1, probe].reason) == (Outcome.NOT_MEASURED, reason)


def test_labels_asked_for_by_field_where_no_record_has_one_are_bad_usage(tmp_path: Path) -> None:
    root = small_lineages.lineage(tmp_path, labelled([]), labelled([]))
    with pytest.raises(UsageError, match='no record has a "label" or "labels"; name the field with --label FIELD'):
        audit(root, labels="field")


@pytest.mark.parametrize(("baseline", "generation", "which"), [([], ["a"], "baseline"), (["a"], [], "generation")])
def test_labels_on_one_side_only_leave_the_question_open(
    tmp_path: Path, baseline: list[str], generation: list[str], which: str
) -> None:
    """An extractor that failed on everything looks so: it must not pass."""
    root = small_lineages.lineage(tmp_path, labelled(baseline), labelled(generation))
    report = audit(root, labels="field")
    for probe in ("label-divergence", "label-coverage"):
        found = by_place(report)[1, probe]
        assert found.outcome is Outcome.INCONCLUSIVE
        assert found.reason.startswith(f"the records of the {which} carry no labels")
    assert report.verdict is not Verdict.PASS


def test_a_generation_that_lost_all_labels_of_its_baselines_texts_is_measured(tmp_path: Path) -> None:
    texts = [f"EU-TIRADS {2 + k % 4}" for k in range(400)]
    root = small_lineages.lineage(tmp_path, texts, ["nothing of the kind"] * 400)
    report = audit(root)
    assert report.lineage["labels"] == "eu-tirads"
    assert by_place(report)[1, "label-coverage"].outcome is Outcome.FAIL


def test_auto_takes_the_label_field_where_there_is_one(tmp_path: Path) -> None:
    root = small_lineages.lineage(tmp_path, labelled(["a", "b"]), labelled(["a", "b"]))
    assert audit(root).lineage["labels"] == "field"


# ----------------------------------------------------------------------------------------------- families of tests


def in_turn(p_values: list[float]) -> Callable[[Pair], Reading]:
    """A measure that hands out these p-values, a call each."""
    left = iter(p_values)
    return lambda _: replace(BAD, p_value=next(left))


def test_holm_runs_over_all_gating_findings_of_the_run(two: Path) -> None:
    # p of stub-a: .001, .02; of stub-b: .03, .01. Sorted .001 * 4, .01 * 3, .02 * 2, .03 * 1.
    report = run(two, stub("stub-a", in_turn([0.001, 0.02])), stub("stub-b", in_turn([0.03, 0.01])))
    found = by_place(report)
    adjusted = [found[k, name].p_adjusted for name in ("stub-a", "stub-b") for k in (1, 2)]
    assert adjusted == pytest.approx([0.004, 0.04, 0.04, 0.03])
    assert all(finding.outcome is Outcome.FAIL for finding in report.findings)


def test_what_is_not_significant_in_its_family_does_not_fail(two: Path) -> None:
    # .03 * 2 = .06 and .04, lifted to .06: both lie beyond the margin and both may be chance.
    report = run(two, stub("stub-a", in_turn([0.03, 0.04])))
    assert [finding.outcome for finding in report.findings] == [Outcome.INCONCLUSIVE] * 2
    assert [finding.p_adjusted for finding in report.findings] == pytest.approx([0.06, 0.06])


def test_every_statistic_of_a_probe_counts(two: Path) -> None:
    def measure(_: Pair) -> list[Reading]:
        return [replace(BAD, statistic=f"g{k}", p_value=0.001 * (k + 1)) for k in range(3)]

    report = run(two, stub("stub-a", measure, gates=3), generations="1")
    assert [finding.p_adjusted for finding in report.findings] == pytest.approx([0.003, 0.004, 0.004])


def test_facts_without_a_p_value_are_counted_on_the_safe_side_and_not_adjusted(two: Path) -> None:
    report = run(two, constant("stub-a", BAD), constant("stub-b", replace(BAD, p_value=None)), generations="1")
    found = by_place(report)
    assert found[1, "stub-a"].p_adjusted == pytest.approx(0.002)
    assert found[1, "stub-b"].p_adjusted is None
    assert found[1, "stub-b"].outcome is Outcome.FAIL


def test_probes_whose_input_is_missing_make_no_family(two: Path) -> None:
    missing = constant("stub-b", BAD, needs=frozenset({"nll"}))
    report = run(two, constant("stub-a", BAD), missing, select="stub and generation-1")
    assert by_place(report)[1, "stub-a"].p_adjusted == pytest.approx(0.001)


def test_seeds_are_families_of_their_own(tmp_path: Path) -> None:
    for seed in ("0", "1"):
        small_lineages.lineage(tmp_path / f"seed_{seed}", [f"a {seed}"], [f"b {seed}"], [f"c {seed}"])
    chance = {"b 0": 0.01, "c 0": 0.02, "b 1": 0.03, "c 1": 0.04}  # the same, however often it is asked
    report = run(tmp_path, stub("stub-a", lambda pair: replace(BAD, p_value=chance[pair.generation.texts[0].as_py()])))
    found = [(finding.seed, finding.generation, finding.p_adjusted) for finding in report.findings]
    # Seed 0: .01 * 2, .02 * 1. Seed 1: .03 * 2, .04 lifted to .06. As one family of four none would be as small.
    assert found == [("0", 1, 0.02), ("0", 2, 0.02), ("1", 1, 0.06), ("1", 2, 0.06)]
    assert [finding.outcome for finding in report.findings] == [Outcome.FAIL] * 2 + [Outcome.INCONCLUSIVE] * 2


def test_context_is_outside_the_family_and_the_verdict(tmp_path: Path) -> None:
    small_lineages.write(tmp_path / "reference.jsonl", ["z"])
    small_lineages.lineage(tmp_path, ["a"], ["b"])
    report = run(tmp_path, stub("stub-a", lambda pair: FINE if "generation 1" in pair.generation.name else BAD))
    context, gating = report.findings
    assert (context.generation, context.gating, context.p_adjusted) == (0, False, None)
    assert context.outcome is Outcome.FAIL
    assert gating.p_adjusted == pytest.approx(FINE.p_value)
    assert (report.verdict, report.exit_code, report.stage) == (Verdict.PASS, 0, Stage.NONE)


@pytest.mark.parametrize(
    ("gates", "alpha", "permutations", "first", "second"),
    [
        (1, 0.05, 999, 999, 3996),
        (24, 0.05, 999, 999, 3996),  # 2 generations: 48 findings, 960 are needed
        (25, 0.05, 999, 1000, 4000),  # 50 findings
        (60, 0.05, 999, 2400, 9600),
        (60, 0.01, 999, 2400, 48_000),  # 120 findings at .01: 12,000 are needed
        (150, 0.05, 999, 3996, 24_000),  # 300 findings: 6,000 are needed, and four times 999 are drawn first at most
        (1, 0.05, 1999, 1999, 7996),
    ],
)
def test_permutations_are_enough_for_the_smallest_adjusted_p_value(
    two: Path, gates: int, alpha: float, permutations: int, first: int, second: int
) -> None:
    """Twenty a finding first, within bounds; where the verdict hangs on them four times what the smallest p needs."""
    seen: dict[bool, list[int]] = {True: [], False: []}

    def measure(pair: Pair, *, hangs: bool) -> list[Reading]:
        seen[hangs].append(pair.permutations)
        return [replace(BAD if hangs else FINE, statistic=f"g{k}") for k in range(gates)]

    settings = {"alpha": alpha, "permutations": permutations}
    report = run(two, stub("fine", lambda pair: measure(pair, hangs=False), gates=gates), **settings)
    run(two, stub("bad", lambda pair: measure(pair, hangs=True), gates=gates), **settings)
    assert seen == {False: [first] * 2, True: [first] * 2 + [second] * 2}
    note = f"{first:,} permutations were drawn, as {2 * gates} gating findings need"
    assert (note in report.notes) == (first > permutations and first == 40 * gates)


# ------------------------------------------------------------------------------------------------------- stopping


def test_stopping_at_the_first_failure_leaves_later_generations_unmeasured(two: Path) -> None:
    report = prepare(two, probes=[constant("stub-a", BAD)], select="(stub-a)").run(stop_at_first=True)
    assert [finding.generation for finding in report.findings] == [1]
    assert report.notes == ("stopped at the first failure (-x): 1 comparisons were not measured",)
    # The family stays the one that was planned: p .001 of two tests.
    assert report.findings[0].p_adjusted == pytest.approx(0.002)
    assert report.exit_code == 1


def test_stopping_leaves_later_seeds_unmeasured_too(tmp_path: Path) -> None:
    for seed in ("0", "1"):
        small_lineages.lineage(tmp_path / f"seed_{seed}", [f"a {seed}"], [f"b {seed}"], [f"c {seed}"])
    report = prepare(tmp_path, probes=[constant("stub-a", BAD)], select="(stub-a)").run(stop_at_first=True)
    assert [(finding.seed, finding.generation) for finding in report.findings] == [("0", 1)]
    assert report.notes == ("stopped at the first failure (-x): 3 comparisons were not measured",)


def test_without_a_failure_nothing_stops(two: Path) -> None:
    report = prepare(two, probes=[constant("stub-a", FINE)], select="(stub-a)").run(stop_at_first=True)
    assert [finding.generation for finding in report.findings] == [1, 2]
    assert report.notes == ()


# ------------------------------------------------------------------------------------------------------- the rest


def test_a_corpus_of_more_than_max_documents_is_sampled_and_says_so(shelf: Path) -> None:
    report = audit(shelf / "collapsed", max_documents=50, select="diversity")
    measured = {f.statistic: f.n_generation for f in report.findings if f.value is not None}
    assert measured.pop("duplicates") == 200  # counted over all documents, and drawn from none
    assert set(measured.values()) == {50}
    assert report.notes[0] == "gen_0/holdout.jsonl: 50 of 200 documents were drawn at random (max_documents)"


def test_a_single_generation_is_compared_with_a_corpus_of_the_users(tmp_path: Path) -> None:
    small_lineages.write(tmp_path / "lineage" / "gen_3.jsonl", ["a"])
    approved = small_lineages.write(tmp_path / "approved.jsonl", ["b"])
    report = run(tmp_path / "lineage", constant("stub-a", FINE), baseline=str(approved))
    assert [(finding.generation, finding.baseline) for finding in report.findings] == [(3, str(approved))]


@pytest.mark.parametrize("independent", [False, True])
def test_independence_may_be_a_setting(tmp_path: Path, independent: bool) -> None:
    for name in ("gen_0", "gen_1"):
        small_lineages.write(tmp_path / f"{name}.jsonl", [name])
    seen: list[bool] = []
    probe = stub("stub-a", lambda pair: seen.append(pair.trained_on_baseline) or FINE)
    run(tmp_path, probe, sets=[f"independent={str(independent).lower()}"])
    assert seen == [not independent]


def test_unreadable_text_raises_with_its_place(tmp_path: Path) -> None:
    root = small_lineages.lineage(tmp_path, ["a"], [{"text": 4}])
    with pytest.raises(InputError) as error:
        audit(root)
    assert str(error.value) == (f"{root}/gen_1/holdout.jsonl:1: found text 4 (number); expected a string [bad-text]")


def test_progress_is_told_before_each_step(two: Path) -> None:
    steps: list[str] = []
    prepare(two, probes=[constant("stub-a", FINE)], select="(stub-a)").run(progress=steps.append)
    assert steps == [
        "reading gen_0/holdout.jsonl",
        "reading gen_1/holdout.jsonl",
        "reading gen_2/holdout.jsonl",
        "generation-1: stub-a",
        "generation-2: stub-a",
        "trends",
    ]


def test_the_summary_says_verdict_count_first_place_and_exit_code(two: Path) -> None:
    assert run(two, constant("stub-a", FINE)).summary == "pass: 2 of 2 findings passed [exit 0]"
    failed = run(two, stub("stub-a", lambda p: BAD if "generation 2" in p.generation.name else FINE))
    assert failed.summary == "collapse: 1 of 2 findings failed, first stub-a in generation 2 [exit 1]"
    wide = replace(FINE, low=-9.0, high=9.0)
    unclear = run(two, constant("stub-a", wide), allow_inconclusive=True)
    assert unclear.summary == ("inconclusive: 2 of 2 findings are inconclusive, first stub-a in generation 1 [exit 0]")
    nothing = run(two, constant("stub-a", NotMeasured(reason="no")), select="stub")
    assert nothing.summary == "not_measured: no probe found what it needs [exit 5]"
    assert audit(two, select="token-divergence and not token-divergence").summary == (
        "not_measured: nothing was selected that has a baseline [exit 5]"
    )


def test_only_context_is_not_measured_and_says_what_to_try(shelf: Path) -> None:
    assert audit(shelf / "only_context").summary == (
        "not_measured: only generation 0 was compared, and only as context: try --baseline reference [exit 5]"
    )
    assert audit(shelf / "only_context", baseline="reference").verdict is not Verdict.NOT_MEASURED
