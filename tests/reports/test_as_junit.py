"""junit.xml: valid whatever the text holds, and red, green or skipped exactly as the contract says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from examples import EXAMPLES, HOSTILE, collapsed, error, finding, healthy, inconclusive, report
from lxml import etree

from collapse_audit.reports import as_junit
from collapse_audit.reports.document import AuditReport, Finding, Outcome, Verdict, cells

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "junit.xsd"))


def tree(report: AuditReport) -> etree._Element:
    return etree.fromstring(as_junit.render(report).encode("utf-8"))


def audit(*findings: Finding, allow_inconclusive: bool = False) -> AuditReport:
    made = report(list(findings), Verdict.COLLAPSE, 1, "collapse [exit 1]")
    return replace(made, config={"allow_inconclusive": allow_inconclusive})


def result(case: etree._Element) -> tuple[str, str] | None:
    """Tag and type of the result of a test case; None where it passed."""
    found = [(child.tag, child.get("type")) for child in case if child.tag != "system-out"]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_rendered_is_valid(name: str) -> None:
    SCHEMA.assertValid(tree(EXAMPLES[name]()))


@pytest.mark.parametrize(
    "document",
    [
        "<testsuites name='x' tests='1' failures='0'/>",
        "<testsuites name='x' tests='one' failures='0' errors='0'/>",
        "<testsuites name='x' tests='0' failures='0' errors='0'><testcase/></testsuites>",
    ],
)
def test_schema_can_tell_invalid_documents(document: str) -> None:
    assert not SCHEMA.validate(etree.fromstring(document))


@pytest.mark.parametrize("name", EXAMPLES)
def test_totals_are_those_of_the_listed_cases(name: str) -> None:
    root = tree(EXAMPLES[name]())
    for element in (root, *root.iter("testsuite")):
        counted = Counter(child.tag for case in element.iter("testcase") for child in case)
        assert int(element.get("tests")) == len(list(element.iter("testcase")))
        assert int(element.get("failures")) == counted["failure"]
        assert int(element.get("errors")) == counted["error"]
        if element.tag == "testsuite":
            assert int(element.get("skipped")) == counted["skipped"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_one_case_for_each_gating_probe_and_generation(name: str) -> None:
    made = EXAMPLES[name]()
    gating = {(each.seed, each.generation, each.probe) for each in made.findings if each.gating}
    names = [(case.get("classname"), case.get("name")) for case in tree(made).iter("testcase")]
    assert len(names) == len(set(names)) == len(gating)


@pytest.mark.parametrize(
    ("outcome", "allowed", "expected"),
    [
        (Outcome.PASS, False, None),
        (Outcome.FAIL, False, ("failure", "collapse")),
        (Outcome.FAIL, True, ("failure", "collapse")),
        (Outcome.ERROR, True, ("error", "error")),
        (Outcome.INCONCLUSIVE, False, ("failure", "inconclusive")),
        (Outcome.INCONCLUSIVE, True, ("skipped", "inconclusive")),
        (Outcome.NOT_MEASURED, False, ("skipped", "not_measured")),
    ],
)
def test_outcome_becomes_the_result_of_the_case(
    outcome: Outcome, allowed: bool, expected: tuple[str, str] | None
) -> None:
    made = finding("tail-mass", 2, outcome, seed="1", reason="because")
    (case,) = tree(audit(made, allow_inconclusive=allowed)).iter("testcase")
    assert (case.get("classname"), case.get("name")) == ("generation 2 (seed 1)", "tail-mass")
    assert result(case) == expected
    if expected:
        assert case[0].get("message") == "because"


def test_worst_statistic_decides_and_the_others_are_still_told() -> None:
    fails = finding("looping", 1, Outcome.FAIL, (0.2, 0.1, 0.3), reason="texts loop")
    passes = finding("seq-rep-4", 1, Outcome.PASS, (0.001, 0.0, 0.002))
    (case,) = tree(audit(passes, fails)).iter("testcase")
    assert result(case) == ("failure", "collapse")
    assert case[0].get("message") == "texts loop"
    assert "0.200 share of documents (90% interval 0.100 to 0.300); margin 0.050" in case[0].text
    assert "seq-rep-4" in case.findtext("system-out")
    assert "seq-rep-4" not in case[0].text


def test_statistic_without_input_does_not_hide_that_the_others_passed() -> None:
    cases = {case.get("name"): case for case in tree(error()).iter("testcase")}
    assert result(cases["repetition"]) is None
    assert "fewer than 5 texts are long enough" in cases["repetition"].findtext("system-out")


def test_passing_case_says_what_would_have_been_seen() -> None:
    case = next(case for case in tree(healthy()).iter("testcase") if case.get("name") == "diversity")
    assert "0.984 ratio (90% interval 0.961 to 1.008); margin 0.850" in case.findtext("system-out")


def test_failure_carries_its_evidence() -> None:
    case = next(tree(collapsed()).iter("testcase"))
    assert '0.0401 -> 0.0491  "the"' in case.findtext("failure")
    assert "raw: js 0.0187, kl smoothing 0.500" in case.findtext("failure")


def test_long_evidence_is_cut_and_says_where_the_rest_is() -> None:
    terms = tuple({"kind": "term", "term": f"word{k}"} for k in range(1000))
    (case,) = tree(audit(finding("tail-mass", 1, Outcome.FAIL, evidence=terms))).iter("testcase")
    lines = case.findtext("failure").splitlines()
    assert sum('"word' in line for line in lines) == 20
    assert lines[-1] == "    and 980 more in report.json"


def test_context_is_no_test_and_breaks_no_build() -> None:
    context = finding("tail-mass", 0, Outcome.FAIL, (0.5, 0.4, 0.6), gating=False)
    root = tree(audit(context))
    assert not list(root.iter("testcase"))
    assert "FAIL (context, outside the verdict): tail-mass" in root.find("testsuite").findtext("system-out")


def test_context_beside_a_gating_statistic_does_not_turn_it_red() -> None:
    gates = finding("seq-rep-4", 1, Outcome.PASS, (0.0, 0.0, 0.0))
    context = finding("looping", 1, Outcome.FAIL, (0.5, 0.4, 0.6), gating=False)
    (case,) = tree(audit(gates, context)).iter("testcase")
    assert result(case) is None


def test_each_seed_is_a_suite_and_says_the_verdict() -> None:
    suites = list(tree(collapsed()).iter("testsuite"))
    assert [suite.get("name") for suite in suites] == ["pydocs_ngram (seed 0)", "pydocs_ngram (seed 1)"]
    for suite in suites:
        properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
        assert properties["summary"] == collapsed().summary
        assert (properties["verdict"], properties["exit_code"]) == ("collapse", "1")


def test_several_lineages_share_a_file_without_sharing_names() -> None:
    other = replace(inconclusive(), lineage={**inconclusive().lineage, "name": "other"})
    root = etree.fromstring(as_junit.render_all([inconclusive(), other]).encode())
    SCHEMA.assertValid(root)
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert names[0][0] == "pydocs_ngram: generation 1"
    assert len(set(names)) == len(names) == 4
    assert root.get("tests") == "4"


def test_bytes_repeat_and_seconds_alone_may_change_them() -> None:
    made = collapsed()
    faster = replace(made, findings=tuple(replace(each, seconds=None) for each in made.findings))
    elsewhere = replace(made, environment={"python": "4"})
    assert as_junit.render(made) == as_junit.render(elsewhere)
    assert as_junit.render(made) != as_junit.render(faster)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_not_obeyed(text: str) -> None:
    made = finding("tail-mass", 1, Outcome.FAIL, (0.5, 0.4, 0.6), reason=text, evidence=({"term": text},), seed=text)
    rendered = as_junit.render(audit(made))
    root = etree.fromstring(rendered.encode("utf-8"))
    SCHEMA.assertValid(root)
    assert len(rendered) < 20_000
    start = text.split("\n")[0][:20].strip()
    if start.isprintable():
        assert start in root.find(".//failure").get("message")


def test_a_million_characters_are_cut_and_the_cut_is_marked() -> None:
    label = finding("label-coverage", 1, Outcome.FAIL, evidence=({"kind": "label", "label": HOSTILE[-1]},))
    rendered = as_junit.render(audit(label))
    assert "[+999,800 characters]" in rendered
    assert len(rendered) < 5_000


@pytest.mark.parametrize("name", EXAMPLES)
def test_red_cases_are_exactly_the_cells_that_are_not_fine(name: str) -> None:
    made = EXAMPLES[name]()
    fine = {"pass", "not_measured"} | ({"inconclusive"} if made.config.get("allow_inconclusive") else set())
    red = sum(cell.gating and cell.outcome not in fine for cell in cells(made.findings))
    root = tree(made)
    assert int(root.get("failures")) + int(root.get("errors")) == red
