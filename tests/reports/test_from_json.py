"""A report comes back as it was written, and nothing else comes back at all."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from examples import EXAMPLES, collapsed, healthy

from collapse_audit.errors import InputError
from collapse_audit.reports import as_json, as_text
from collapse_audit.reports.document import Outcome, Stage, Verdict
from collapse_audit.reports.from_json import parse, read


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_was_written_is_read_back(name: str) -> None:
    text = as_json.render(EXAMPLES[name]())
    assert as_json.render(parse(text)) == text


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"hostile"}))
def test_report_read_back_equals_the_one_that_was_written(name: str) -> None:
    # None in a mapping is absent from the file, so it cannot come back.
    report = EXAMPLES[name]()
    report = replace(report, config={key: value for key, value in report.config.items() if value is not None})
    back = parse(as_json.render(report))
    assert back == report
    assert (type(back.verdict), type(back.stage)) == (Verdict, Stage)
    assert all(type(finding.outcome) is Outcome for finding in back.findings)


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"hostile"}))
def test_report_read_back_looks_the_same(name: str) -> None:
    report = EXAMPLES[name]()
    assert as_text.render(parse(as_json.render(report)), width=100) == as_text.render(report, width=100)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('"seed": 0,', '"seed": NaN,', "the number NaN, which is not JSON"),
        ('"seed": 0,', '"seed": -Infinity,', "the number -Infinity, which is not JSON"),
        ('"value": 0.984', '"value": 1e999', "the number 1e999, which is too large for a float"),
        ('"value": 0.984', f'"value": -{"9" * 400}', "a whole number of 400 digits, which is too large for a float"),
        ('"seed": 0,', '"seed": 0, "seed": 1,', "the key 'seed' twice in one object"),
        ('"seed": 0,', "", "$: 'seed' is a required property"),
        (
            '"seed": 0,',
            '"seed": 0, "colour": "red",',
            "$: Additional properties are not allowed ('colour' was unexpected)",
        ),
        ('"outcome": "fail"', '"outcome": "failed"', "$.findings[0].outcome: 'failed' is not one of"),
        ('"exit_code": 0', '"exit_code": 1', "$.exit_code: 1 is not one of [0]"),
        ('"format_version": 1', '"format_version": 2', "format_version 2"),
        ('"seed": 0,', '"seed": 0', "text that is no JSON, at line "),
        ('"notes": []', '"notes": null', "notes: null, not array"),
    ],
)
def test_damaged_report_is_refused_with_what_was_found(old: str, new: str, found: str) -> None:
    text = as_json.render(healthy())
    assert old in text
    with pytest.raises(InputError) as caught:
        parse(text.replace(old, new, 1), name="out/report.json")
    message = str(caught.value)
    assert message.startswith("out/report.json: found ")
    assert found in message
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("text", ["", "null", "[]", "7", '"x"', "{}", "[" * 100_000, '{"format_version": true}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse(text)


@pytest.mark.parametrize("text", ["", " \n", "null", "[1, 2", '"x"', "{'a': None}", "\x00"])
def test_what_is_found_is_said_without_a_word_of_pythons(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert not re.search(r"Expecting|None|char \d|type '", str(caught.value).split("; expected")[0])


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_verdict_but_that_of_the_findings_is_taken(name: str) -> None:
    codes = {"pass": 0, "changed": 7, "collapse": 1, "error": 3, "not_measured": 5, "inconclusive": 6}
    made = EXAMPLES[name]()
    codes[made.verdict.value] = made.exit_code
    for verdict, code in codes.items():
        text = as_json.render(replace(made, verdict=Verdict(verdict), exit_code=code))
        if verdict == made.verdict:
            assert parse(text).verdict is made.verdict
            continue
        with pytest.raises(InputError, match=r"\[report-verdict\]"):
            parse(text)


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_exit_code_but_that_of_the_findings_is_taken(name: str) -> None:
    made = EXAMPLES[name]()
    for code in {0, 1, 3, 5, 6, 7} - {made.exit_code}:
        with pytest.raises(InputError, match=r"\[report-(verdict|schema)\]"):
            parse(as_json.render(replace(made, exit_code=code)))


@pytest.mark.parametrize(("kind", "outcome", "other"), [("move", "fail", "loss"), ("loss", "changed", "move")])
def test_an_outcome_that_its_kind_cannot_have_is_refused(kind: str, outcome: str, other: str) -> None:
    data = json.loads(as_json.render(collapsed()))
    data["findings"][0] |= {"kind": kind, "outcome": outcome}
    with pytest.raises(InputError, match=f"a {kind} that is {outcome}: .*; expected only a {other} can be {outcome}"):
        parse(json.dumps(data))


def test_a_report_of_before_there_were_kinds_is_read() -> None:
    data = json.loads(as_json.render(collapsed()))
    for finding in data["findings"]:
        finding.pop("kind"), finding.pop("sentence", None)
    assert parse(json.dumps(data)).verdict is Verdict.COLLAPSE


def test_an_edited_verdict_is_told_with_what_contradicts_it() -> None:
    made = replace(collapsed(), verdict=Verdict.PASS, exit_code=0)
    failed = sum(f.gating and f.outcome is Outcome.FAIL for f in made.findings)
    gating = sum(f.gating for f in made.findings)
    with pytest.raises(InputError) as caught:
        parse(as_json.render(made))
    told = (
        f"found the verdict pass (exit 0), although {failed} of {gating} gating findings say fail; expected the verdict"
    )
    assert told in str(caught.value)


def test_waived_findings_and_context_contradict_no_pass() -> None:
    waiver = {"probe": "*", "owner": "me", "reason": "known", "expires": "2030-01-01", "origin": "a file"}
    findings = [replace(each, waiver=waiver) for each in collapsed().findings]
    findings.append(replace(findings[0], gating=False, waiver=None))
    made = replace(collapsed(), findings=tuple(findings), verdict=Verdict.PASS, exit_code=0)
    assert parse(as_json.render(made)).verdict is Verdict.PASS


def test_every_problem_of_a_report_is_listed() -> None:
    data = json.loads(as_json.render(healthy()))
    data["verdict"] = "fail"
    data["findings"][3]["outcome"] = "failed"
    del data["seed"]
    with pytest.raises(InputError) as caught:
        parse(json.dumps(data))
    assert len(caught.value.problems) == 3


def test_report_from_a_newer_version_says_to_upgrade() -> None:
    with pytest.raises(InputError, match=r"expected 1 or lower; a newer collapse-audit wrote this report, so upgrade"):
        parse('{"format_version": 2}')


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"report\.json: found .*No such file"):
        read(tmp_path / "report.json")


def test_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InputError, match=r"report\.json: found .*expected a readable report\.json in UTF-8"):
        read(tmp_path / "report.json")


def test_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(as_json.render(healthy()), encoding="utf-8")
    assert read(tmp_path / "report.json").summary == healthy().summary
