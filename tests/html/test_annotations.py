"""Workflow commands: what GitHub's runner makes of them, and what it must not make of anybody's text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from examples import EXAMPLES, collapsed, finding, healthy, report

from collapse_audit.reports import as_annotations
from collapse_audit.reports.document import AuditReport, Finding, Outcome, Verdict

COMMAND = re.compile(r"^::(?P<level>\w+) title=(?P<title>[^:]*)::(?P<message>.*)$")


def audit(*findings: Finding, **details: object) -> AuditReport:
    return report(list(findings), Verdict.COLLAPSE, 1, "collapse: told once [exit 1]", **details)


def undone(text: str) -> str:
    """As the runner reads a value."""
    for code, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def told(made: AuditReport) -> list[tuple[str, str, str]]:
    """Level, title and message of every command."""
    found = []
    for line in as_annotations.render(made).splitlines():
        match = COMMAND.match(line)
        assert match is not None, line
        found.append((match["level"], undone(match["title"]), undone(match["message"])))
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_line_is_one_command_whatever_the_report_holds(name: str) -> None:
    made = EXAMPLES[name]()
    levels = [level for level, _, _ in told(made)]
    assert set(levels) <= {"error", "warning", "notice"}
    assert all(levels.count(level) <= 10 for level in set(levels))
    assert levels[-1] == "notice"


def test_what_failed_is_an_error_and_what_is_open_a_warning() -> None:
    findings = [
        finding("looping", 1, Outcome.FAIL, (0.2, 0.1, 0.3), seed="0", reason="100% of it: yes, all"),
        finding("tail-mass", 1, Outcome.INCONCLUSIVE, (0.8, 0.7, 0.9)),
        finding("integrity", 1, Outcome.ERROR, reason="broke"),
        finding("distinct-2", 1, Outcome.PASS, (1.0, 0.9, 1.1)),
        finding("seq-rep-4", 0, Outcome.FAIL, (0.2, 0.1, 0.3), gating=False),
    ]
    commands = told(audit(*findings))
    assert [(level, title) for level, title, _ in commands] == [
        ("error", "pydocs_ngram: repetition / looping, generation 1 (seed 0)"),
        ("error", "pydocs_ngram: integrity, generation 1"),
        ("warning", "pydocs_ngram: tail-mass / ratio, generation 1"),
        ("notice", "pydocs_ngram: collapse-audit"),
    ]
    assert commands[0][2].startswith("100% of it: yes, all (0.200 share of documents")
    assert commands[-1][2] == "collapse: told once [exit 1]"


def test_allowed_and_waived_findings_are_not_annotated() -> None:
    findings = [
        finding("looping", 1, Outcome.FAIL, (0.2, 0.1, 0.3), waiver={"owner": "me", "reason": "known"}),
        finding("tail-mass", 1, Outcome.INCONCLUSIVE, (0.8, 0.7, 0.9)),
    ]
    made = audit(*findings, config={"allow_inconclusive": True})
    assert [level for level, _, _ in told(made)] == ["notice"]


def test_of_many_every_statistic_comes_before_any_second_one_and_the_rest_is_counted() -> None:
    findings = [finding("looping", k, Outcome.FAIL, (0.2, 0.1, 0.3)) for k in range(1, 21)]
    findings += [finding("seq-rep-4", k, Outcome.FAIL, (0.2, 0.1, 0.3)) for k in range(1, 4)]
    errors = [title for level, title, _ in told(audit(*findings)) if level == "error"]
    assert len(errors) == 10
    assert errors[:3] == [
        "pydocs_ngram: repetition / looping, generation 1",
        "pydocs_ngram: repetition / seq-rep-4, generation 1",
        "pydocs_ngram: repetition / looping, generation 2",
    ]
    assert errors[-1] == "collapse-audit: 14 more"  # 23 less the nine that are shown


def test_the_worst_of_a_statistic_comes_first() -> None:
    findings = [finding("looping", k, Outcome.FAIL, (v, v, v)) for k, v in ((1, 0.1), (2, 0.3), (3, 0.2))]
    titles = [title for level, title, _ in told(audit(*findings)) if level == "error"]
    assert [title[-1] for title in titles] == ["2", "3", "1"]


def test_several_lineages_share_what_github_shows() -> None:
    text = as_annotations.render_all([collapsed()] * 4 + [healthy()])
    assert text.count("::error ") <= 10
    assert text.count("::notice ") == 5


def test_a_text_cannot_become_a_command() -> None:
    reason = "over\n::set-output name=x::y\r\n##[add-mask]z%0A::error::"
    made = audit(replace(finding("looping", 1, Outcome.FAIL, (0.2, 0.1, 0.3)), reason=reason))
    lines = as_annotations.render(made).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(("::error title=", "::notice title=")) for line in lines)
    assert "%250A" in lines[0]  # what reads %0A in the text stays that when the runner undoes its own escapes
