"""Waivers: read with all their problems together, applied by day, and never hiding anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit import audit
from collapse_audit.cli import main
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.repetition import repetition
from collapse_audit.reports import as_junit, as_markdown, as_text
from collapse_audit.reports.adding_up import added_up as overall
from collapse_audit.reports.document import AuditReport, Finding, Outcome, Verdict, cells, counted, worst
from collapse_audit.reports.from_json import read
from collapse_audit.verdicts.waivers import EXPIRED, WAIVED, Waiver, apply_waivers, of_lineage, read_waivers
from tests.audit import small_lineages

DAY = date(2027, 1, 31)
ENTRY: dict[str, Any] = {"probe": "repetition", "owner": "ops", "reason": "known since May", "expires": DAY}


def waiver(**details: Any) -> Waiver:
    usual: dict[str, Any] = {"probe": "p", "owner": "ops", "reason": "known", "expires": DAY, "origin": "our.toml"}
    return Waiver(**(usual | details))


def found(outcome: Outcome = Outcome.FAIL, **details: Any) -> Finding:
    usual: dict[str, Any] = {
        "probe": "p",
        "code": "X",
        "statistic": "s",
        "seed": None,
        "generation": 1,
        "baseline": "b",
        "gating": True,
        "unit": "u",
        "worse": "higher",
        "reason": "it rose",
    }
    return Finding(outcome=outcome, **(usual | details))


def applied(finding: Finding, *waivers: Waiver, today: date = DAY) -> Finding:
    return apply_waivers([finding], waivers, today)[0][0]


def told(*waivers: Waiver, findings: Sequence[Finding] = (), today: date = DAY) -> tuple[str, ...]:
    return apply_waivers(findings, waivers, today)[1]


# ------------------------------------------------------------------------------------------------------------- reading


def test_a_waiver_is_read_as_it_stands() -> None:
    entry = ENTRY | {"statistic": "looping", "generation": [3, 2, 3], "seed": 1, "lineage": "runs"}
    assert read_waivers([entry], "our.toml", BUILTIN) == (
        (
            Waiver(
                probe="repetition",
                statistic="looping",
                generations=(2, 3),
                seed="1",
                lineage="runs",
                owner="ops",
                reason="known since May",
                expires=DAY,
                origin="our.toml",
            ),
        ),
        [],
    )


def test_what_is_not_said_narrows_nothing() -> None:
    (only,), _ = read_waivers([ENTRY], "our.toml", BUILTIN)
    assert (only.statistic, only.generations, only.seed, only.lineage) == (None, None, None, None)


@pytest.mark.parametrize("name", ["repetition", "Repetition", repetition.code, repetition.code.lower()])
def test_a_probe_goes_by_name_or_code(name: str) -> None:
    (only,), problems = read_waivers([ENTRY | {"probe": name}], "our.toml", BUILTIN)
    assert (only.probe, problems) == ("repetition", [])


def test_one_generation_needs_no_list() -> None:
    (only,), _ = read_waivers([ENTRY | {"generation": 0}], "our.toml", BUILTIN)
    assert only.generations == (0,)


KEYS = "probe, statistic, generation, seed, lineage, owner, reason, expires"
DATE = "a date without quotes, such as 2027-01-31: the last day on which it holds"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"probe": "repetitions"}, "probe = 'repetitions': no probe is called that; did you mean repetition?"),
        ({"probe": 3}, "probe = 3; allowed: the name or the code of a probe (collapse-audit list)"),
        (
            {"statistic": "loops"},
            "statistic = 'loops': repetition has none of that name; did you mean looping?",
        ),
        ({"statistic": 3}, "statistic = 3; allowed: the name of one of the probe's statistics"),
        (
            {"statistic": "x"},
            "statistic = 'x': repetition has none of that name; allowed: seq-rep-4, looping, seq-rep-4-trend",
        ),
        ({"generation": -1}, "generation = -1; allowed: a number from 0, or a list of them"),
        ({"generation": []}, "generation = []; allowed: a number from 0, or a list of them"),
        ({"generation": True}, "generation = true; allowed: a number from 0, or a list of them"),
        ({"generation": ["1"]}, "generation (entry 1) = '1'; allowed: a number from 0"),
        ({"seed": 1.5}, "seed = 1.5; allowed: a seed of the lineage, as its folder or manifest has it"),
        ({"seed": True}, "seed = true; allowed: a seed of the lineage, as its folder or manifest has it"),
        ({"lineage": ""}, "lineage = ''; allowed: the name of the lineage's folder"),
        ({"owner": " "}, "owner = ' '; allowed: who answers for it"),
        ({"owner": ["ops"]}, "owner = ['ops']; allowed: who answers for it"),
        ({"reason": 3}, "reason = 3; allowed: why the failure is accepted"),
        ({"expires": "2027-01-31"}, f"expires = '2027-01-31'; allowed: {DATE}"),
        ({"expires": datetime(2027, 1, 31, 9)}, f"expires = 2027-01-31T09:00:00; allowed: {DATE}"),
        ({"end": DAY}, f"unknown setting 'end'; allowed: {KEYS}"),
        ({"expire": DAY}, "unknown setting 'expire'; did you mean expires?"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: dict[str, Any], problem: str) -> None:
    assert read_waivers([ENTRY, ENTRY | change], "our.toml", BUILTIN)[1] == [f"our.toml: waiver 2: {problem}"]


@pytest.mark.parametrize("missing", ["probe", "owner", "reason", "expires"])
def test_owner_reason_and_day_are_required(missing: str) -> None:
    entry = {key: value for key, value in ENTRY.items() if key != missing}
    waivers, problems = read_waivers([entry], "our.toml", BUILTIN)
    assert waivers == ()
    assert problems == [f"our.toml: waiver 1: has no {missing}; every waiver needs probe, owner, reason, expires"]


def test_all_problems_of_all_waivers_are_said_at_once() -> None:
    waivers, problems = read_waivers([{"probe": "x", "owner": ""}, ENTRY, "no table"], "our.toml", BUILTIN)
    assert [one.probe for one in waivers] == ["repetition"]
    assert len(problems) == 5  # probe, owner, and two that are missing; and what is no table
    assert problems[-1] == "our.toml: waiver 3 = 'no table'; allowed: a table with probe, owner, reason, expires"


def test_a_table_that_is_no_list_is_refused() -> None:
    expected = "our.toml: waivers = {}; allowed: a list of tables, each starting with [[waivers]]"
    assert read_waivers({}, "our.toml", BUILTIN) == ((), [expected])


def test_a_waiver_for_another_lineage_is_left_out() -> None:
    every, this, other = waiver(), waiver(lineage="a"), waiver(lineage="b")
    assert of_lineage([every, this, other], "a") == (every, this)


# ------------------------------------------------------------------------------------------------------------ applying


def test_a_waived_failure_stays_a_failure_and_says_who_accepts_it() -> None:
    finding = applied(found(), waiver())
    assert (finding.outcome, finding.notes) == (Outcome.FAIL, (WAIVED,))
    assert finding.reason == "it rose; waived until 2027-01-31 by ops: known"
    assert finding.waiver == {
        "probe": "p",
        "owner": "ops",
        "reason": "known",
        "expires": "2027-01-31",
        "origin": "our.toml",
    }
    assert counted(finding) is Outcome.PASS


def test_a_waiver_holds_on_its_last_day_and_no_longer() -> None:
    assert applied(found(), waiver(), today=DAY).waiver is not None
    after = applied(found(), waiver(), today=DAY + timedelta(days=1))
    assert (after.outcome, after.waiver, after.notes) == (Outcome.FAIL, None, (EXPIRED,))
    assert after.reason == "it rose; its waiver expired after 2027-01-31, owner ops"


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.ERROR, Outcome.NOT_MEASURED])
def test_only_what_speaks_of_damage_is_waived(outcome: Outcome) -> None:
    assert applied(found(outcome), waiver()) == found(outcome)
    assert applied(found(outcome), waiver(), today=date.max) == found(outcome)


def test_what_is_inconclusive_is_waived_as_what_fails_is() -> None:
    finding = applied(found(Outcome.INCONCLUSIVE), waiver())
    assert (finding.outcome, counted(finding)) == (Outcome.INCONCLUSIVE, Outcome.PASS)


@pytest.mark.parametrize(
    ("narrowed", "covered"),
    [
        ({"statistic": "s"}, True),
        ({"statistic": "t"}, False),
        ({"generations": (0, 1)}, True),
        ({"generations": (2,)}, False),
        ({"seed": "1"}, True),
        ({"seed": "2"}, False),
        ({"probe": "q"}, False),
        ({"statistic": "s", "generations": (1,), "seed": "1"}, True),
        ({"statistic": "s", "generations": (1,), "seed": "2"}, False),
    ],
)
def test_a_waiver_covers_what_it_names_and_nothing_else(narrowed: dict[str, Any], covered: bool) -> None:
    assert (applied(found(seed="1"), waiver(**narrowed)).waiver is not None) == covered


def test_context_is_not_waived_because_it_does_not_count() -> None:
    assert applied(found(gating=False), waiver()) == found(gating=False)


def test_the_nearest_of_several_counts_and_an_expired_one_does_not_spoil_it() -> None:
    far, near, old = waiver(owner="far"), waiver(owner="near"), waiver(owner="old", expires=DAY - timedelta(days=1))
    decided = applied(found(), far, near, old)
    assert decided.waiver is not None
    assert decided.waiver["owner"] == "near"
    late = applied(found(), old, far, today=DAY + timedelta(days=9))
    assert late.reason.endswith("owner far")  # of two that have expired, the later day


def test_a_tag_of_a_probe_does_not_pass_for_a_waiver() -> None:
    assert counted(found(notes=(WAIVED,))) is Outcome.FAIL
    assert counted(applied(found(notes=(WAIVED,)), waiver())) is Outcome.PASS


ABOUT = "waiver of p (owner ops, our.toml)"


@pytest.mark.parametrize(
    ("findings", "after", "note"),
    [
        ([], 0, f"{ABOUT} matches no finding of this run"),
        ([found(probe="q")], 0, f"{ABOUT} matches no finding of this run"),
        ([found(Outcome.PASS)], 0, f"{ABOUT} holds until 2027-01-31: nothing that it covers fails"),
        ([found()], 0, f"{ABOUT} holds until 2027-01-31: 1 finding is waived; known"),
        ([found(), found(seed="1")], 0, f"{ABOUT} holds until 2027-01-31: 2 findings are waived; known"),
        ([found()], 1, f"{ABOUT} expired after 2027-01-31: 1 finding counts again; renew it or remove it"),
        (
            [found(), found(seed="1")],
            1,
            f"{ABOUT} expired after 2027-01-31: 2 findings count again; renew it or remove it",
        ),
        (
            [found(Outcome.PASS)],
            1,
            f"{ABOUT} expired after 2027-01-31: nothing that it covers fails; renew it or remove it",
        ),
        ([], 1, f"{ABOUT} expired after 2027-01-31: nothing that it covers fails; renew it or remove it"),
    ],
)
def test_what_became_of_every_waiver_is_said(findings: list[Finding], after: int, note: str) -> None:
    assert told(waiver(), findings=findings, today=DAY + timedelta(days=after)) == (note,)


def test_a_note_names_all_that_narrows_the_waiver() -> None:
    narrow = waiver(statistic="s", generations=(2, 3), seed="1", lineage="runs")
    assert told(narrow)[0].startswith("waiver of p/s, generations 2, 3, seed 1, lineage runs (owner ops, ")
    assert waiver(generations=(2,)).scope == "p, generation 2"


any_finding = st.builds(
    found,
    st.sampled_from(list(Outcome)),
    probe=st.sampled_from(["p", "q"]),
    statistic=st.sampled_from(["s", "t"]),
    generation=st.integers(1, 3),
    seed=st.sampled_from([None, "0"]),
    gating=st.booleans(),
)
any_waiver = st.builds(
    waiver,
    probe=st.sampled_from(["p", "q"]),
    statistic=st.sampled_from([None, "s"]),
    generations=st.sampled_from([None, (1,), (2, 3)]),
    seed=st.sampled_from([None, "0"]),
    expires=st.dates(date(2027, 1, 1), date(2027, 3, 1)),
)
findings_lists, waiver_lists = st.lists(any_finding, max_size=6), st.lists(any_waiver, max_size=4)
_BADNESS = {0: 0, 5: 0, 6: 1, 3: 2, 1: 3}


def badness(findings: Sequence[Finding]) -> int:
    return _BADNESS[int(overall(findings, allow_inconclusive=False)[1])]


@given(findings_lists, waiver_lists)
def test_applying_twice_is_applying_once(findings: list[Finding], waivers: list[Waiver]) -> None:
    once = apply_waivers(findings, waivers, DAY)
    assert apply_waivers(once[0], waivers, DAY) == once


@given(findings_lists, waiver_lists)
def test_waivers_change_nothing_that_was_measured(findings: list[Finding], waivers: list[Waiver]) -> None:
    after, notes = apply_waivers(findings, waivers, DAY)
    plain = [replace(finding, waiver=None, notes=(), reason="") for finding in after]
    assert plain == [replace(finding, notes=(), reason="") for finding in findings]
    assert len(notes) == len(waivers)


@given(findings_lists, waiver_lists)
def test_a_verdict_with_waivers_is_that_of_the_findings_that_none_in_force_covers(
    findings: list[Finding], waivers: list[Waiver]
) -> None:
    """A second implementation: a failing finding that any waiver in force covers is taken for a pass."""
    counting = [
        replace(finding, outcome=Outcome.PASS)
        if finding.outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE)
        and any(
            w.probe == finding.probe
            and (w.statistic is None or w.statistic == finding.statistic)
            and (w.generations is None or finding.generation in w.generations)
            and (w.seed is None or w.seed == finding.seed)
            and w.expires >= DAY
            for w in waivers
        )
        else finding
        for finding in findings
    ]
    after = apply_waivers(findings, waivers, DAY)[0]
    assert overall(after, allow_inconclusive=False) == overall(counting, allow_inconclusive=False)


@given(findings_lists, waiver_lists, st.integers(0, 5))
def test_a_finding_that_gets_better_never_makes_a_verdict_worse(
    findings: list[Finding], waivers: list[Waiver], which: int
) -> None:
    better = {Outcome.FAIL: Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE: Outcome.PASS}
    if which >= len(findings) or findings[which].outcome not in better:
        return
    improved = [*findings]
    improved[which] = replace(improved[which], outcome=better[findings[which].outcome])
    assert badness(apply_waivers(improved, waivers, DAY)[0]) <= badness(apply_waivers(findings, waivers, DAY)[0])


@given(findings_lists, waiver_lists, st.dates(date(2027, 1, 1), date(2027, 3, 9)), st.integers(0, 60))
def test_no_verdict_gets_better_by_waiting(
    findings: list[Finding], waivers: list[Waiver], today: date, days: int
) -> None:
    later = apply_waivers(findings, waivers, today + timedelta(days=days))[0]
    assert badness(apply_waivers(findings, waivers, today)[0]) <= badness(later)


def test_a_run_of_which_all_is_waived_passes_and_was_measured() -> None:
    only = apply_waivers([found()], [waiver()], DAY)[0]
    assert overall(only, allow_inconclusive=False) == (Verdict.PASS, 0)


def test_a_cell_is_waived_only_if_nothing_else_breaks_it() -> None:
    waived = applied(found(), waiver())
    (cell,) = cells([waived, found(Outcome.PASS, statistic="t")])
    assert (cell.outcome, cell.waived) == (Outcome.PASS, (waived,))
    (cell,) = cells([waived, found(Outcome.INCONCLUSIVE, statistic="t")])
    assert (cell.outcome, cell.waived) == (Outcome.INCONCLUSIVE, ())
    (cell,) = cells([found(Outcome.PASS)])
    assert cell.waived == ()


# --------------------------------------------------------------------------------------------------------- whole audits


@pytest.fixture(scope="module")
def collapsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_lineages.collapsed(tmp_path_factory.mktemp("waived") / "runs")


@pytest.fixture(scope="module")
def failing(collapsed: Path) -> tuple[str, ...]:
    """Names of the probes that fail or are inconclusive in it."""
    report = audit(collapsed, today=DAY)
    assert report.verdict is Verdict.COLLAPSE
    wrong = [f.probe for f in report.findings if f.outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE)]
    return tuple(dict.fromkeys(wrong))


def entries(probes: Sequence[str], **details: Any) -> list[dict[str, Any]]:
    return [ENTRY | {"probe": probe} | details for probe in probes]


def write(file: Path, probes: Sequence[str], *, table: str = "waivers", expires: str = "9999-12-31") -> Path:
    rows = [
        f'[[{table}]]\nprobe = "{probe}"\nowner = "ops"\nreason = "known | <b>"\nexpires = {expires}\n'
        for probe in probes
    ]
    file.write_text("".join(rows), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def waived(collapsed: Path, failing: tuple[str, ...]) -> AuditReport:
    return audit(collapsed, waivers=entries((*failing, "token-divergence", "mode-coverage")), today=DAY)


def test_with_all_failures_waived_the_audit_passes_and_says_how_many(waived: AuditReport) -> None:
    accepted = [finding for finding in waived.findings if finding.waiver is not None]
    passed = [finding for finding in waived.findings if finding.gating and finding.outcome is Outcome.PASS]
    assert (waived.verdict, waived.exit_code) == (Verdict.PASS, 0)
    assert {finding.outcome for finding in accepted} >= {Outcome.FAIL}
    assert waived.summary == (
        f"pass: {len(passed)} of {len(passed) + len(accepted)} findings passed, {len(accepted)} waived [exit 0]"
    )


def test_the_day_after_it_is_collapse_again_and_the_owner_is_named(collapsed: Path, failing: tuple[str, ...]) -> None:
    report = audit(collapsed, waivers=entries(failing), today=DAY + timedelta(days=1))
    assert (report.verdict, report.exit_code) == (Verdict.COLLAPSE, 1)
    again = [finding for finding in report.findings if finding.outcome is Outcome.FAIL]
    assert all(finding.reason.endswith("its waiver expired after 2027-01-31, owner ops") for finding in again)
    assert sum("owner ops" in note and "expired after 2027-01-31" in note for note in report.notes) == len(failing)


def test_one_failure_that_nobody_waives_is_still_collapse(collapsed: Path, failing: tuple[str, ...]) -> None:
    report = audit(collapsed, waivers=entries(failing[:1]), today=DAY)
    waived = sum(finding.waiver is not None for finding in report.findings)
    assert (report.verdict, report.exit_code) == (Verdict.COLLAPSE, 1)
    assert f", {waived} waived [exit 1]" in report.summary
    assert worst(counted(finding) for finding in report.findings) is Outcome.FAIL


def test_the_first_failure_at_which_to_stop_is_one_that_counts(
    tmp_path: Path, failing: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [small_lineages.documents(1, 200), *(small_lineages.documents(k, 200, vocabulary=40) for k in (2, 3))]
    lineage = small_lineages.lineage(tmp_path / "runs", *texts)
    every = write(tmp_path / "every.toml", failing)
    assert main([str(lineage), "-x", "--config", str(every)]) == 0
    assert "-x" not in capsys.readouterr().out  # generation 2 was measured too
    assert main([str(lineage), "-x"]) == 1
    assert "stopped at the first failure (-x)" in capsys.readouterr().out


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_the_terminal_shows_what_is_waived_by_whom(waived: AuditReport, verbosity: int) -> None:
    text = " ".join(as_text.render(waived, width=100, verbosity=verbosity).split())
    assert "waived until 2027-01-31 by ops: known since May" in text
    assert "x F" not in text
    if verbosity >= 0:
        assert "w W waived" in text  # the legend
        assert "FAILURES" not in text


def test_markdown_shows_what_is_waived_by_whom(waived: AuditReport) -> None:
    text = as_markdown.render(waived)
    assert text.startswith("## collapse-audit: PASS\n")
    before, _, after = text.partition("### Waived\n")
    assert "### What failed" not in before
    assert "waived until 2027-01-31 by ops: known since May" in after
    assert "FAIL (waived)" in after


def test_junit_skips_what_is_waived_with_its_reason(waived: AuditReport, failing: tuple[str, ...]) -> None:
    root = ET.fromstring(as_junit.render(waived))
    skipped = {
        case.get("name"): skip
        for case in root.iter("testcase")
        for skip in case.iter("skipped")
        if skip.get("type") == "waived"
    }
    assert set(skipped) == {*failing, "token-divergence", "mode-coverage"}
    assert root.find(".//failure") is None
    for skip in skipped.values():
        assert "waived until 2027-01-31 by ops: known since May" in (skip.get("message") or "")
        assert (skip.text or "").strip()


def test_json_carries_the_waiver_and_comes_back(
    collapsed: Path, failing: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write(tmp_path / "our.toml", failing)
    assert main([str(collapsed), "-q", "--config", str(settings), "--report", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("waived [exit 0]")
    data = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    one = next(finding for finding in data["findings"] if finding["probe"] == failing[0] and "waiver" in finding)
    assert one["waiver"] == {
        "probe": failing[0],
        "owner": "ops",
        "reason": "known | <b>",
        "expires": "9999-12-31",
        "origin": str(settings),
    }
    assert data["config"]["waivers"][0] == one["waiver"]
    again = read(tmp_path / "out" / "report.json")
    assert [finding.waiver for finding in again.findings] == [each.get("waiver") for each in data["findings"]]
    assert "<b>" not in (tmp_path / "out" / "report.md").read_text("utf-8")


def test_the_setting_stands_in_pyproject_too(
    collapsed: Path, failing: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "pyproject.toml", failing, table="tool.collapse-audit.waivers")
    monkeypatch.chdir(tmp_path)
    assert audit(collapsed).exit_code == 0


def test_a_lineage_may_not_waive_what_is_found_in_it(
    tmp_path: Path, failing: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    lineage = small_lineages.collapsed(tmp_path / "runs")
    write(lineage / "collapse-audit.toml", failing)
    assert main([str(lineage)]) == 4
    assert (
        "collapse-audit.toml: waivers: a lineage may describe its data (labels, tokens, unit, fields, documents), "
        "never decide its verdict; pass it with --config FILE, or in [tool.collapse-audit] of your pyproject.toml\n"
    ) in capsys.readouterr().err


def test_a_waiver_of_another_lineage_does_not_help_this_one(collapsed: Path, failing: tuple[str, ...]) -> None:
    assert audit(collapsed, waivers=entries(failing, lineage="other"), today=DAY).exit_code == 1
    assert audit(collapsed, waivers=entries(failing, lineage="runs"), today=DAY).exit_code == 0


def test_problems_of_waivers_are_said_with_all_others(
    collapsed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "our.toml"
    settings.write_text('alpha = 2\n[[waivers]]\nprobe = "repetition"\n')
    assert main([str(collapsed), "--config", str(settings)]) == 4
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "waiver 1" in line] != []
    assert any("alpha = 2" in line for line in said)


def test_pytest_skips_what_is_waived(
    pytester: pytest.Pytester, collapsed: Path, failing: tuple[str, ...], tmp_path: Path
) -> None:
    from tests.audit.running import audited

    settings = write(tmp_path / "our.toml", failing)
    result = audited(pytester, collapsed, arguments=[f"--collapse-audit-config={settings}", "-rs"])
    outcomes = result.parseoutcomes()
    assert "failed" not in outcomes
    assert outcomes["skipped"] >= len(failing)
    result.stdout.fnmatch_lines(["*waived until 9999-12-31 by ops: known*"])
