"""``pytest --collapse-audit``: the items agree with the command line, the fixtures with the report, and without the
option nothing of it is there."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import pytest
import small_lineages

# All that an audit imports is imported here: pytester unloads what is first imported inside of it, and numpy, for one,
# cannot be loaded twice.
import collapse_audit.pytest_session
from collapse_audit.cli import main
from collapse_audit.reports.document import AuditReport
from collapse_audit.reports.from_json import read

pytestmark = pytest.mark.usefixtures("_warm")

ALONE = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""Write nothing beside the tests, and spare each run a second of somebody else's imports."""


@pytest.fixture(scope="module")
def _warm(shelf: Path) -> None:
    collapse_audit.audit(shelf / "collapsed")


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """Seed 0 is healthy, seed 1 collapsed."""
    root = tmp_path / "seeds"
    small_lineages.healthy(root / "seed_0", generations=1)
    small_lineages.collapsed(root / "seed_1")
    return root


def audited(pytester: pytest.Pytester, *lineages: Path, arguments: Sequence[object] = ()) -> pytest.RunResult:
    options = [f"--collapse-audit={lineage}" for lineage in lineages]
    return pytester.runpytest(*ALONE, *options, *map(str, arguments))


def command(*arguments: object) -> int:
    return main(list(map(str, arguments)))


def report_of(lineage: Path, folder: Path, *arguments: object) -> AuditReport:
    """What the command line reports of ``lineage``."""
    command(lineage, "--report", folder, "-q", *arguments)
    return read(folder / "report.json")


def item_ids(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if re.fullmatch(r"\S+::\S+::\S+", line)]


# ------------------------------------------------------------------------------------ one item for each check


def test_ids_are_those_of_collect_only(
    pytester: pytest.Pytester, shelf: Path, seeds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lineages = (shelf / "healthy", seeds, shelf / "only_context")
    command(*lineages, "--collect-only")
    checks = [line for line in capsys.readouterr().out.splitlines()[:-1] if not line.endswith("(context)")]
    assert "healthy::generation-2::token-divergence" in checks
    assert "seeds::seed-1-generation-1::token-divergence" in checks
    result = audited(pytester, *lineages, arguments=["--collect-only", "-q"])
    assert item_ids(result) == checks
    assert result.outlines[-1].startswith(f"{len(checks)} tests collected")


def test_lineages_whose_folders_share_a_name_stay_apart(pytester: pytest.Pytester, shelf: Path, tmp_path: Path) -> None:
    twin = small_lineages.tiny(tmp_path / "healthy")
    result = audited(pytester, shelf / "healthy", twin, arguments=["--collect-only", "-q", "-k", "integrity"])
    assert item_ids(result) == [
        "healthy::generation-1::integrity",
        "healthy::generation-2::integrity",
        "healthy-2::generation-1::integrity",
    ]


Result = dict[tuple[str, str], str]
"""(generation, probe) -> passed, failure, error or skipped."""


def junit(file: Path) -> Result:
    """Test cases of either file: ``generation 1 (seed 0)`` and ``seeds.seed-0-generation-1`` are the same place."""
    results: Result = {}
    for case in ET.parse(file).iter("testcase"):
        place = (case.get("classname") or "").rpartition(".")[2]
        match = re.fullmatch(r"(?:seed-(\S+)-)?generation[ -](\d+)(?: \(seed (\S+)\))?", place)
        assert match is not None
        seed = match[1] or match[3]
        name = f"generation-{match[2]}" if seed is None else f"seed-{seed}-generation-{match[2]}"
        outcomes = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        assert len(outcomes) <= 1
        key = (name, case.get("name") or "")
        assert key not in results
        results[key] = outcomes[0] if outcomes else "passed"
    return results


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("name", ["healthy", "collapsed", "tiny", "only_context", "seeds", "referenced"])
def test_item_by_item_the_outcome_is_that_of_the_command_line(
    pytester: pytest.Pytester, shelf: Path, seeds: Path, tmp_path: Path, name: str, allowed: bool
) -> None:
    referenced = small_lineages.collapsed(tmp_path / "referenced")
    small_lineages.write(referenced / "reference.jsonl", small_lineages.documents(8, 200))
    root = {"seeds": seeds, "referenced": referenced}.get(name, shelf / name)
    options = ["--allow-inconclusive"] if allowed else []

    command(root, "--probes", shelf / "crashing.py", "--junitxml", "cli.xml", "-q", *options)
    audited(
        pytester, root, arguments=["--collapse-audit-probes", shelf / "crashing.py", "--junitxml=pytest.xml", *options]
    )

    ours, theirs = junit(Path("cli.xml")), junit(Path("pytest.xml"))
    assert theirs == ours
    if name != "only_context":
        assert {"error"} < set(ours.values())


def test_tests_error_and_failure_counts_are_those_of_the_command_line(pytester: pytest.Pytester, shelf: Path) -> None:
    command(shelf / "collapsed", "--probes", shelf / "crashing.py", "--junitxml", "cli.xml", "-q")
    result = audited(pytester, shelf / "collapsed", arguments=["--collapse-audit-probes", shelf / "crashing.py"])
    suite = ET.parse("cli.xml").find("testsuite")
    assert suite is not None
    counts = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
    result.assert_outcomes(
        failed=counts["failures"],
        errors=counts["errors"],
        skipped=counts["skipped"],
        passed=counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"],
    )
    assert result.ret == 1


def test_inconclusive_fails_unless_it_is_allowed(pytester: pytest.Pytester, shelf: Path) -> None:
    result = audited(pytester, shelf / "tiny", arguments=["-k", "diversity"])
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["inconclusive: diversity / distinct-2 (CA302), generation 1 against *"])
    for option in ("--allow-inconclusive", "--collapse-audit-allow-inconclusive"):
        result = audited(pytester, shelf / "tiny", arguments=["-k", "diversity", "-rs", option])
        result.assert_outcomes(skipped=1)
        assert result.ret == 0
        result.stdout.re_match_lines([r"SKIPPED \[1\] .*/tiny:1: the interval \[.*\] holds the margin 0.85; .*"])


def test_what_is_not_measured_is_skipped_with_its_reason(pytester: pytest.Pytester, shelf: Path) -> None:
    result = audited(pytester, shelf / "healthy", arguments=["-rs"])
    result.stdout.re_match_lines_random(
        [
            r"SKIPPED \[2\] .*/healthy:1: the records carry no nll",
            r"SKIPPED \[4\] .*/healthy:1: the records carry no labels and no label rule applies",
        ]
    )


def test_a_failure_shows_what_was_found_and_no_traceback(pytester: pytest.Pytester, shelf: Path) -> None:
    result = audited(pytester, shelf / "collapsed", arguments=["-k", "tail-coverage"])
    result.stdout.re_match_lines(
        [
            r"_+ tail-coverage in generation-1 of collapsed _+",
            r"FAIL: tail-coverage / distinct-types \(CA202\), generation 1 against generation 0 \(held-out\): "
            r"0\.\d+ ratio \(90% interval .*\); margin 0\.900, lower is worse; p .*; n 200 / 200; .*",
            r"    the 95% bound .* lies beyond the margin 0\.9, p = .* after Holm",
        ],
        consecutive=True,
    )
    result.stdout.re_match_lines([r"    vanished, documents \d+ -> 0  \"w\d+\""])
    assert "Traceback" not in result.stdout.str()
    assert ".py:" not in result.stdout.str()


def test_the_text_of_a_failure_is_that_of_the_command_lines_junit(pytester: pytest.Pytester, shelf: Path) -> None:
    command(shelf / "collapsed", "--junitxml", "cli.xml", "-q")
    failure = ET.parse("cli.xml").find(".//testcase[@name='diversity']/failure")
    assert failure is not None
    result = audited(pytester, shelf / "collapsed")
    assert (failure.text or "").strip("\n") in result.stdout.str()
    # Of the three statistics of diversity one passed: it is not among what failed.
    assert "diversity / effective-tokens" in result.stdout.str()
    assert "diversity / duplicates" not in result.stdout.str()


def test_an_error_is_an_error_and_says_why(pytester: pytest.Pytester, shelf: Path) -> None:
    result = audited(
        pytester,
        shelf / "healthy",
        arguments=["--collapse-audit-probes", shelf / "crashing.py", "-k", "crashing and generation-1"],
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["    ZeroDivisionError: no such luck (crashing.py, line *)"])
    assert "Traceback" not in result.stdout.str()


# --------------------------------------------------------------------------------------- the habits of pytest


def test_last_lines_are_those_of_the_command_line(
    pytester: pytest.Pytester, shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = {}
    for name in ("healthy", "collapsed"):
        command(shelf / name, "-q")
        lines[name] = capsys.readouterr().out.splitlines()[-1]
    result = audited(pytester, shelf / "healthy", shelf / "collapsed")
    result.stdout.fnmatch_lines(
        ["*= collapse-audit =*", "collapsed", _literal(lines["collapsed"]), "healthy", _literal(lines["healthy"])],
        consecutive=True,
    )


def _literal(line: str) -> str:
    return line.replace("[", "[[]")


def test_a_selection_is_audited_as_by_the_command_line(pytester: pytest.Pytester, shelf: Path, tmp_path: Path) -> None:
    # Two tests make a smaller family than eleven: adjusted p-values, permutations and the last line follow.
    report = report_of(shelf / "collapsed", tmp_path / "out", "-k", "tail-mass or tail-coverage")
    result = audited(pytester, shelf / "collapsed", arguments=["-k", "tail-mass or tail-coverage"])
    result.assert_outcomes(failed=2, deselected=7)
    result.stdout.fnmatch_lines([_literal(report.summary)])
    result.stdout.fnmatch_lines(["*p = .001, Holm p = .002; *"])


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["-k", "ca302"], 2),
        (["-k", "generation-1 and diversity"], 1),
        (["-k", "healthy and not diversity"], 16),
        (["--deselect", "healthy::generation-1"], 9),
    ],
)
def test_items_are_selected_by_probe_code_generation_and_lineage(
    pytester: pytest.Pytester, shelf: Path, arguments: list[str], count: int
) -> None:
    result = audited(pytester, shelf / "healthy", arguments=["--collect-only", "-q", *arguments])
    assert len(item_ids(result)) == count


def test_a_probe_asked_for_by_name_that_cannot_run_is_an_error(pytester: pytest.Pytester, shelf: Path) -> None:
    result = audited(pytester, shelf / "healthy", arguments=["-k", "perplexity"])
    result.assert_outcomes(errors=2, deselected=16)
    result.stdout.fnmatch_lines(["    asked for by name, but the records carry no nll"])
    audited(pytester, shelf / "healthy", arguments=["-k", "integrity or perp"]).assert_outcomes(
        passed=2, skipped=2, deselected=14
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
    result.assert_outcomes(passed=2, deselected=18)
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
        ["collapse: * of 11 findings failed, first token-divergence in generation 1 [[]exit 1]"]
    )
    assert result.ret == 1


# ------------------------------------------------------------------------------------------------- what is collected


def test_without_positional_arguments_only_lineages_are_audited(pytester: pytest.Pytester, shelf: Path) -> None:
    pytester.makepyfile(test_mine="def test_mine(): pass")
    pytester.makeini("[pytest]\ntestpaths = .\n")
    result = audited(pytester, shelf / "tiny", arguments=["--collect-only", "-q"])
    assert [name.partition("::")[0] for name in item_ids(result)] == ["tiny"] * 9
    assert "test_mine" not in result.stdout.str()


def test_with_positional_arguments_both_run_and_the_projects_own_come_first(
    pytester: pytest.Pytester, shelf: Path
) -> None:
    pytester.makepyfile(test_mine="def test_mine(): pass")
    result = audited(pytester, shelf / "healthy", arguments=["test_mine.py", "-v"])
    result.assert_outcomes(passed=13, skipped=6)
    result.stdout.fnmatch_lines(
        ["test_mine.py::test_mine PASSED *", "healthy::generation-1::token-divergence PASSED *"]
    )


def test_settings_come_from_a_file_or_the_projects_pyproject(pytester: pytest.Pytester, shelf: Path) -> None:
    settings = pytester.makefile(".toml", settings="allow_inconclusive = true\n[probes.diversity]\nenabled = false\n")
    result = audited(pytester, shelf / "tiny", arguments=["--collapse-audit-config", settings, "--collect-only", "-q"])
    assert len(item_ids(result)) == 8
    pytester.makepyprojecttoml("[tool.collapse-audit]\nallow_inconclusive = true\n")
    result = audited(pytester, shelf / "tiny", arguments=["-k", "tail-mass"])
    result.assert_outcomes(skipped=1, deselected=8)


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
    result.assert_outcomes(errors=9, passed=13, skipped=6)  # what can be judged is
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = f"{broken}/gen_1/holdout.jsonl:2: found text 4 (number); expected a string [[]bad-text]"
    result.stdout.fnmatch_lines([message])
    result.stdout.fnmatch_lines(["the lineage could not be audited: its first error says why"])
    result.stdout.fnmatch_lines([f"error: {message}"])
    assert "Traceback" not in result.stdout.str()


def test_where_nothing_was_measured_the_session_does_not_end_well(pytester: pytest.Pytester, shelf: Path) -> None:
    result = audited(pytester, shelf / "healthy", arguments=["-k", "perp"])
    result.assert_outcomes(skipped=2, deselected=16)
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


# ------------------------------------------------------------------------------------------------------- fixtures


def test_fixtures_give_what_was_measured(pytester: pytest.Pytester, shelf: Path, tmp_path: Path) -> None:
    report = report_of(shelf / "healthy", tmp_path / "out")
    values = {f"{f.generation} {f.probe}/{f.statistic}": f.value for f in report.findings if f.value is not None}
    (pytester.path / "values.json").write_text(json.dumps(values))
    pytester.makepyfile(
        test_mine="""
        import json, pathlib

        VALUES = json.loads(pathlib.Path("values.json").read_text())
        SEEN = []

        def test_values(generation):
            assert generation.seed is None
            for finding in generation.findings:
                name = f"{finding.probe}/{finding.statistic}"
                assert generation[name] is finding
                assert finding.value == VALUES.get(f"{generation.index} {name}")
            SEEN.append(generation.index)

        def test_every_generation_that_is_judged_was_seen():
            assert SEEN == [1, 2]

        def test_a_probe_with_one_statistic_needs_no_other_name(generation):
            assert generation["token-divergence"] is generation["token-divergence/JS-excess"]

        def test_samples(generation, baseline):
            assert baseline.name == "generation 0 (held-out)"
            assert len(baseline.sample) == len(generation.sample) == 400
            words = generation.sample.texts[0].as_py().split()
            assert len(words) == 30 and words[0].startswith("w")
            assert generation.sample is generation.sample
            assert generation.baseline.sample is baseline.sample

        def test_lineage(lineage):
            assert lineage.name == lineage.root.name == "healthy"
            assert lineage.report.verdict == "pass"
            assert len({finding.generation for finding in lineage.report.findings}) == 2
        """
    )
    result = audited(pytester, shelf / "healthy", arguments=["test_mine.py", "-v"])
    result.assert_outcomes(passed=8 + 12, skipped=6)
    result.stdout.fnmatch_lines(["*test_values[[]healthy-generation-2] PASSED*"])
    result.stdout.fnmatch_lines(["*test_lineage[[]healthy] PASSED*"])


def test_lineage_and_generation_of_one_test_belong_together(
    pytester: pytest.Pytester, shelf: Path, seeds: Path
) -> None:
    pytester.makepyfile(
        test_mine="""
        import pytest

        @pytest.fixture(scope="module")
        def of_their_own(generation):
            return generation

        def test_both(lineage, generation, baseline, of_their_own):
            assert generation.lineage is lineage and baseline.lineage is lineage
            assert of_their_own is generation
            assert (generation.seed is None) == (lineage.name == "healthy")
        """
    )
    result = audited(pytester, shelf / "healthy", seeds, arguments=["test_mine.py", "-k", "test_both", "-v"])
    result.assert_outcomes(passed=4, deselected=18 + 18)
    for name in (
        "healthy-generation-1",
        "healthy-generation-2",
        "seeds-seed-0-generation-1",
        "seeds-seed-1-generation-1",
    ):
        result.stdout.fnmatch_lines([f"*test_both[[]{name}] PASSED*"])


def test_fixtures_offer_every_finding_whatever_is_selected(pytester: pytest.Pytester, shelf: Path) -> None:
    pytester.makepyfile(
        test_mine="""
        def test_mine(generation):
            tail = generation["tail-mass"]
            assert tail.p_adjusted > 10 * tail.p_value
        """
    )
    result = audited(pytester, shelf / "collapsed", arguments=["test_mine.py", "-k", "test_mine or tail-mass"])
    result.assert_outcomes(passed=1, failed=1, deselected=8)
    result.stdout.fnmatch_lines(["*p = .001, Holm p = .001; *"])  # the item alone is a family of one


def test_an_unknown_finding_is_a_key_error_that_names_the_known_ones(pytester: pytest.Pytester, shelf: Path) -> None:
    pytester.makepyfile(
        test_mine="""
        import pytest

        @pytest.mark.parametrize("name", ["diversity/distinct2", "diversity", "nothing"])
        def test_mine(generation, name):
            with pytest.raises(KeyError) as error:
                generation[name]
            assert f"no finding is called {name!r}" in error.value.args[0]
            assert "known: token-divergence/JS-excess, " in error.value.args[0]
            assert ("did you mean diversity/distinct-2?" in error.value.args[0]) == (name == "diversity/distinct2")
        """
    )
    audited(pytester, shelf / "collapsed", arguments=["test_mine.py", "-k", "test_mine"]).assert_outcomes(
        passed=3, deselected=9
    )


OWN_FIXTURE = "import pytest\n@pytest.fixture\ndef lineage(): return 'mine'\n"
TEST_OF_IT = "def test_mine(lineage): assert lineage == 'mine'\n"


def test_a_projects_own_fixture_of_the_same_name_wins(pytester: pytest.Pytester, shelf: Path) -> None:
    pytester.makepyfile(
        test_module=OWN_FIXTURE + TEST_OF_IT,
        test_class="import pytest\nclass TestIt:\n    @pytest.fixture\n    def generation(self): return 1\n"
        "    def test_mine(self, generation, lineage): assert generation == 1 and lineage.name == 'tiny'\n",
        test_parameter="import pytest\n@pytest.mark.parametrize('baseline', ['mine'])\n"
        "def test_mine(baseline, generation): assert baseline == 'mine' and generation.index == 1\n",
    )
    audited(pytester, shelf / "tiny", arguments=[".", "-k", "test_mine"]).assert_outcomes(passed=3, deselected=9)


@pytest.mark.parametrize("how", ["conftest", "plugin of a conftest", "-p"])
def test_a_projects_own_fixture_wins_wherever_it_is(pytester: pytest.Pytester, shelf: Path, how: str) -> None:
    pytester.syspathinsert()
    pytester.makepyfile(test_it=TEST_OF_IT, **{"conftest" if how == "conftest" else "their_plugin": OWN_FIXTURE})
    if how == "plugin of a conftest":
        pytester.makeconftest("pytest_plugins = ['their_plugin']")
    arguments = ["test_it.py", "-k", "test_mine", *(["-p", "their_plugin"] if how == "-p" else [])]
    audited(pytester, shelf / "tiny", arguments=arguments).assert_outcomes(passed=1, deselected=9)


def test_a_fixture_that_is_asked_for_too_late_says_so(pytester: pytest.Pytester, shelf: Path) -> None:
    pytester.makepyfile(test_mine="def test_mine(request): request.getfixturevalue('lineage')")
    result = audited(pytester, shelf / "tiny", arguments=["test_mine.py", "-k", "test_mine"])
    result.assert_outcomes(failed=1, deselected=9)
    result.stdout.fnmatch_lines(["*lineage, generation and baseline must be arguments of the test*"])


def test_a_fixture_over_text_that_cannot_be_read_is_an_error_without_a_traceback(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    broken = small_lineages.lineage(tmp_path / "broken", ["a"], ["b", {"text": 4}])
    pytester.makepyfile(test_mine="def test_mine(generation): pass")
    result = audited(pytester, broken, arguments=["test_mine.py", "-k", "test_mine"])
    result.assert_outcomes(errors=1, deselected=9)
    result.stdout.fnmatch_lines(
        [f"{broken}/gen_1/holdout.jsonl:2: found text 4 (number); expected a string [[]bad-text]"]
    )
    assert "During handling" not in result.stdout.str()
    assert "pytest_fixtures.py" not in result.stdout.str()
    assert result.ret == pytest.ExitCode.USAGE_ERROR


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
    pytester.makepyfile(TEST_OF_IT)
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
    result.assert_outcomes(skipped=1, deselected=8)


def test_help_says_what_is_collected(pytester: pytest.Pytester) -> None:
    shown = " ".join(pytester.runpytest("--help").stdout.str().split())
    assert "--collapse-audit=LINEAGE audit this lineage, one item for each probe and generation" in shown
    assert "Without positional arguments only lineages are audited and testpaths are left alone" in shown
