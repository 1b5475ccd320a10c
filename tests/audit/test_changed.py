"""A text that is merely another one has changed: told, not failed, unless that is asked for. A loss is collapse."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_lineages
from running import audited, command

from collapse_audit import audit
from collapse_audit.errors import UsageError
from collapse_audit.reports.document import AuditReport, Outcome, Stage, Verdict


def turned(text: str) -> str:
    """The words of ``text`` with their ranks turned round: the rarest is as common as the most common was.

    As many types with the same shares, so nothing is lost; no two shares stand at their old word."""
    last = small_lineages.VOCABULARY - 1
    return " ".join(f"w{last - int(word[1:])}" for word in text.split())


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generation 1 says the same with other words."""
    texts = small_lineages.documents(2, 400)
    root = tmp_path_factory.mktemp("other")
    return small_lineages.lineage(root, small_lineages.documents(1, 400), map(turned, texts))


@pytest.fixture(scope="module")
def report(other: Path) -> AuditReport:
    return audit(other)


def test_a_move_is_changed_and_exits_with_0(report: AuditReport) -> None:
    moved = [finding for finding in report.findings if finding.outcome is Outcome.CHANGED]
    assert {finding.kind for finding in moved} == {"move"}
    assert {finding.probe for finding in moved} == {"token-divergence", "mode-coverage"}
    assert (report.verdict, report.exit_code, report.stage) == (Verdict.CHANGED, 0, Stage.NONE)
    assert report.summary.startswith("changed: 2 of ")


def test_the_warning_says_what_moved_and_what_was_held_with_its_bound(report: AuditReport) -> None:
    (warning,) = [note for note in report.notes if note.startswith("warning: ")]
    found = {(finding.probe, finding.statistic): finding for finding in report.findings}
    assert warning.startswith(
        "warning: token-divergence / JS-excess, mode-coverage / kinds-kept moved beyond the margin in generation 1"
    )
    for key, name in (("tail-coverage", "distinct types"), ("diversity", "distinct word pairs")):
        statistic = "distinct-types" if key == "tail-coverage" else "distinct-2"
        interval = found[key, statistic].interval
        assert interval is not None
        assert f"{name} (at least {interval.low:.2f} of the baseline's; {found[key, statistic].margin:g} is" in warning


@pytest.mark.parametrize("asked", [[], ["token-divergence"], ["CA101", "diversity"]])
def test_a_move_that_is_asked_to_fail_exits_with_7(other: Path, asked: list[str]) -> None:
    assert command(other, "-q", "--fail-on-change", *asked) == 7


def test_a_move_of_another_probe_than_those_named_exits_with_0(other: Path) -> None:
    assert command(other, "-q", "--fail-on-change", "label-divergence") == 0


def test_the_setting_and_the_keyword_say_the_same(other: Path, tmp_path: Path) -> None:
    file = tmp_path / "our.toml"
    file.write_text('fail_on_change = ["token-divergence"]\n')
    by_file, by_keyword = audit(other, config_file=file), audit(other, fail_on_change=True)
    assert by_file.exit_code == by_keyword.exit_code == 7
    assert by_file.verdict is by_keyword.verdict is Verdict.CHANGED
    assert by_file.config["fail_on_change"] == ["token-divergence"]
    with pytest.raises(UsageError, match="no probe is called 'token-divergance'; did you mean token-divergence"):
        audit(other, fail_on_change=["token-divergance"])


def test_a_loss_is_collapse_whether_or_not_a_change_is_asked_to_fail(tmp_path: Path) -> None:
    lost = small_lineages.collapsed(tmp_path)
    assert command(lost, "-q") == command(lost, "-q", "--fail-on-change") == 1


@pytest.mark.usefixtures("_warm")
def test_the_item_of_a_move_passes_with_a_warning(pytester: pytest.Pytester, other: Path) -> None:
    result = audited(pytester, other, arguments=["-k", "token-divergence", "-W", "error"])
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*CollapseAuditWarning: changed: token-divergence / JS-excess*"])


@pytest.mark.usefixtures("_warm")
def test_the_item_of_a_move_that_is_asked_to_fail_fails(pytester: pytest.Pytester, other: Path) -> None:
    audited(pytester, other, arguments=["-k", "token-divergence", "--fail-on-change"]).assert_outcomes(failed=1)
    named = ["-k", "token-divergence", "--fail-on-change=diversity"]
    audited(pytester, other, arguments=named).assert_outcomes(passed=1, warnings=1)


def test_junit_reads_the_same(other: Path, tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    failures = {}
    for arguments in ((), ("--fail-on-change",)):
        command(other, "-q", "-k", "token-divergence", "--junitxml", file, *arguments)
        failures[arguments] = file.read_text("utf-8").count('<failure type="changed"')
    assert failures == {(): 0, ("--fail-on-change",): 1}
