"""``pytest --collapse-audit``: the habits of pytest, how sessions end, and nothing at all without the option."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import small_lineages
from running import (
    ALONE,
    FINDINGS,
    PROBES,
    WITH_INPUT,
    WITHOUT_INPUT,
    audited,
    command,
    item_ids,
    junit,
    literal,
    report_of,
)

pytestmark = pytest.mark.usefixtures("_warm")


def test_last_lines_are_those_of_the_command_line(
    pytester: pytest.Pytester, shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = {}
    for name in ("healthy", "collapsed"):
        command(shelf / name, "-q")
        lines[name] = capsys.readouterr().out.splitlines()[-1]
    result = audited(pytester, shelf / "healthy", shelf / "collapsed")
    result.stdout.fnmatch_lines(
        ["*= collapse-audit =*", "collapsed", literal(lines["collapsed"]), "healthy", literal(lines["healthy"])],
        consecutive=True,
    )


def test_a_selection_is_audited_as_by_the_command_line(pytester: pytest.Pytester, shelf: Path, tmp_path: Path) -> None:
    # Two tests make a smaller family than all of them, and both are drawn four times as often: Holm's p is 2 in 3,997.
    report = report_of(shelf / "collapsed", tmp_path / "out", "-k", "tail-mass or tail-coverage")
    result = audited(pytester, shelf / "collapsed", arguments=["-k", "tail-mass or tail-coverage"])
    result.assert_outcomes(failed=2, deselected=PROBES - 2)
    result.stdout.fnmatch_lines([literal(report.summary)])
    result.stdout.fnmatch_lines(["*p < .0003, the least that 3,996 permutations can show; Holm p = .0005; *"])


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["-k", "ca302"], 2),
        (["-k", "generation-1 and diversity"], 3),  # prompt-diversity and semantic-diversity, too
        (["-k", "healthy and not diversity"], 2 * PROBES - 6),
        (["--deselect", "healthy::generation-1"], PROBES),
    ],
)
def test_items_are_selected_by_probe_code_generation_and_lineage(
    pytester: pytest.Pytester, shelf: Path, arguments: list[str], count: int
) -> None:
    result = audited(pytester, shelf / "healthy", arguments=["--collect-only", "-q", *arguments])
    assert len(item_ids(result)) == count


def test_a_probe_asked_for_by_name_that_cannot_run_is_an_error(pytester: pytest.Pytester, shelf: Path) -> None:
    result = audited(pytester, shelf / "healthy", arguments=["-k", "perplexity"])
    result.assert_outcomes(errors=2, deselected=2 * PROBES - 2)
    result.stdout.fnmatch_lines(["    asked for by name, but the records carry no nll"])
    audited(pytester, shelf / "healthy", arguments=["-k", "integrity or perp"]).assert_outcomes(
        passed=2, skipped=2, deselected=2 * PROBES - 4
    )


def test_stopping_at_the_first_failure(pytester: pytest.Pytester, shelf: Path) -> None:
    result = audited(pytester, shelf / "collapsed", arguments=["-x"])
    result.assert_outcomes(failed=1)
    assert result.ret == 2 or result.ret == 1
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_verbose_names_every_item(pytester: pytest.Pytester, shelf: Path) -> None:
    result = audited(pytester, shelf / "collapsed", arguments=["-v"])
    result.stdout.re_match_lines_random(
        [
            r"collapsed::generation-1::token-divergence FAILED .*",
            r"collapsed::generation-1::integrity PASSED .*",
            r"collapsed::generation-1::perplexity SKIPPED .*",
        ]
    )


def test_a_lineage_is_audited_once_and_only_when_its_first_item_runs(
    pytester: pytest.Pytester, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collapse_audit import api

    audits = []
    monkeypatch.setattr(api, "run", lambda *a, real=api.run, **k: audits.append(1) or real(*a, **k))
    audited(pytester, shelf / "healthy", arguments=["--collect-only"])
    assert audits == []
    audited(pytester, shelf / "healthy", shelf / "collapsed")
    assert audits == [1, 1]


def test_warnings_that_a_project_makes_errors_do_not_change_an_audit(
    pytester: pytest.Pytester, shelf: Path, tmp_path: Path
) -> None:
    probes = tmp_path / "warns.py"
    probes.write_text(
        small_lineages.LETTERS.replace("    return", '    import warnings\n    warnings.warn("old")\n    return')
    )
    result = audited(
        pytester,
        shelf / "healthy",
        arguments=["--collapse-audit-probes", probes, "-k", "letter-e", "-W", "error"],
    )
    result.assert_outcomes(passed=2, deselected=2 * PROBES)
    result.stdout.fnmatch_lines(["*UserWarning: old"])


def test_items_run_in_several_processes(pytester: pytest.Pytester, shelf: Path) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(test_mine="def test_mine(generation): assert generation['diversity/distinct-2'].value < 0.9")
    result = pytester.runpytest_subprocess(
        *ALONE,
        f"--collapse-audit={shelf / 'collapsed'}",
        "-n",
        "2",
        "test_mine.py",
        "--junitxml=x.xml",
    )
    command(shelf / "collapsed", "--junitxml", "cli.xml", "-q")
    mine, items = {}, {}
    cases = ET.parse("x.xml")
    for case in list(cases.iter("testcase")):
        target = mine if case.get("classname") == "test_mine" else items
        target[case.get("name")] = next((c.tag for c in case if c.tag != "properties"), "passed")
    assert mine == {"test_mine[collapsed-generation-1]": "passed"}
    assert items == {probe: outcome for (_, probe), outcome in junit(Path("cli.xml")).items()}
    result.stdout.fnmatch_lines(
        [f"collapse: * of {FINDINGS} findings failed, first token-divergence in generation 1 [[]exit 1]"]
    )
    assert result.ret == 1


# ------------------------------------------------------------------------------------------------- what is collected


def test_without_positional_arguments_only_lineages_are_audited(pytester: pytest.Pytester, shelf: Path) -> None:
    pytester.makepyfile(test_mine="def test_mine(): pass")
    pytester.makeini("[pytest]\ntestpaths = .\n")
    result = audited(pytester, shelf / "tiny", arguments=["--collect-only", "-q"])
    assert [name.partition("::")[0] for name in item_ids(result)] == ["tiny"] * PROBES
    assert "test_mine" not in result.stdout.str()


def test_with_positional_arguments_both_run_and_the_projects_own_come_first(
    pytester: pytest.Pytester, shelf: Path
) -> None:
    pytester.makepyfile(test_mine="def test_mine(): pass")
    result = audited(pytester, shelf / "healthy", arguments=["test_mine.py", "-v"])
    result.assert_outcomes(passed=1 + 2 * WITH_INPUT, skipped=2 * WITHOUT_INPUT)
    result.stdout.fnmatch_lines(
        ["test_mine.py::test_mine PASSED *", "healthy::generation-1::token-divergence PASSED *"]
    )


def test_settings_come_from_a_file_or_the_projects_pyproject(pytester: pytest.Pytester, shelf: Path) -> None:
    settings = pytester.makefile(".toml", settings="allow_inconclusive = true\n[probes.diversity]\nenabled = false\n")
    result = audited(pytester, shelf / "tiny", arguments=["--collapse-audit-config", settings, "--collect-only", "-q"])
    assert len(item_ids(result)) == PROBES - 1
    pytester.makepyprojecttoml("[tool.collapse-audit]\nallow_inconclusive = true\n")
    result = audited(pytester, shelf / "tiny", arguments=["-k", "tail-mass"])
    result.assert_outcomes(skipped=1, deselected=PROBES - 1)


# --------------------------------------------------------------------------------------------- ends without a verdict


def test_a_lineage_that_is_none_is_bad_usage(pytester: pytest.Pytester, tmp_path: Path) -> None:
    result = audited(pytester, tmp_path / "nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {tmp_path}/nowhere: found nothing of that name; expected a folder *"])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


@pytest.mark.parametrize("option", ["--collapse-audit-config", "--collapse-audit-probes"])
def test_a_file_that_is_not_there_is_bad_usage(pytester: pytest.Pytester, shelf: Path, option: str) -> None:
    result = audited(pytester, shelf / "tiny", arguments=[option, "nowhere.file"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --*: no such file*"])


def test_text_that_cannot_be_read_is_an_error_of_its_items_and_exit_code_4(
    pytester: pytest.Pytester, shelf: Path, tmp_path: Path
) -> None:
    broken = small_lineages.lineage(tmp_path / "broken", ["a"], ["b", {"text": 4}])
    pytester.makepyfile(test_mine="def test_mine(): pass")
    result = audited(pytester, broken, shelf / "healthy", arguments=["test_mine.py"])
    result.assert_outcomes(errors=PROBES, passed=1 + 2 * WITH_INPUT, skipped=2 * WITHOUT_INPUT)  # what can be judged is
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = f"{broken}/gen_1/holdout.jsonl:2: found text 4 (number); expected a string [[]bad-text]"
    result.stdout.fnmatch_lines([message])
    result.stdout.fnmatch_lines(["the lineage could not be audited: its first error says why"])
    result.stdout.fnmatch_lines([f"error: {message}"])
    assert "Traceback" not in result.stdout.str()


def test_where_nothing_was_measured_the_session_does_not_end_well(pytester: pytest.Pytester, shelf: Path) -> None:
    result = audited(pytester, shelf / "healthy", arguments=["-k", "perp"])
    result.assert_outcomes(skipped=2, deselected=2 * PROBES - 2)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["not_measured: no probe found what it needs [[]exit 5]"])
    assert audited(pytester, shelf / "only_context").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_an_interrupted_audit_ends_with_2(pytester: pytest.Pytester, shelf: Path, tmp_path: Path) -> None:
    probes = tmp_path / "interrupting.py"
    probes.write_text(small_lineages.CRASHING.replace('ZeroDivisionError("no such luck")', "KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):  # pytester hands it on
        audited(pytester, shelf / "healthy", arguments=["--collapse-audit-probes", probes])
    result = pytester.runpytest_subprocess(
        *ALONE, f"--collapse-audit={shelf / 'healthy'}", f"--collapse-audit-probes={probes}"
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED


# ------------------------------------------------------------------------------------------------------------- inert


def test_without_the_option_there_are_no_fixtures_and_no_output(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_mine(): pass")
    silent = pytester.runpytest(*ALONE, "--fixtures", "-v")
    assert "_collapse_audit" not in silent.stdout.str()
    assert "lineage" not in silent.stdout.str()

    def lines(*arguments: str) -> list[str]:
        result = pytester.runpytest(*ALONE, "-v", *arguments)
        result.assert_outcomes(passed=1)
        shown = [line for line in result.outlines if not line.startswith("plugins: ")]
        return [re.sub(r"in \d+\.\d+s", "in s", line) for line in shown]

    assert lines() == lines("-p", "no:collapse_audit")
    assert lines("--allow-inconclusive") == lines()


def test_a_fixture_of_ours_is_unknown_without_the_option(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_mine(lineage): pass")
    result = pytester.runpytest(*ALONE)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'lineage' not found"])


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="this pytest notices such a clash too late to be told")
def test_a_plugin_that_has_taken_the_short_option_does_not_stop_pytest(pytester: pytest.Pytester, shelf: Path) -> None:
    pytester.syspathinsert()
    pytester.makepyfile(
        their_plugin="def pytest_addoption(parser):\n"
        "    parser.getgroup('theirs').addoption('--allow-inconclusive', action='store_true', dest='theirs')\n",
        test_mine="def test_mine(): pass\n",
    )
    result = pytester.runpytest_subprocess(*ALONE, "-p", "their_plugin", "--allow-inconclusive")
    result.assert_outcomes(passed=1)
    result = pytester.runpytest_subprocess(
        *ALONE,
        "-p",
        "their_plugin",
        f"--collapse-audit={shelf / 'tiny'}",
        "--collapse-audit-allow-inconclusive",
        "-k",
        "tail-mass",
    )
    result.assert_outcomes(skipped=1, deselected=PROBES - 1)


def test_help_says_what_is_collected(pytester: pytest.Pytester) -> None:
    shown = " ".join(pytester.runpytest("--help").stdout.str().split())
    assert "--collapse-audit=LINEAGE audit this lineage, one item for each probe and generation" in shown
    assert "Without positional arguments only lineages are audited and testpaths are left alone" in shown
