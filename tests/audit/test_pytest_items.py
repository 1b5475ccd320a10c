"""``pytest --collapse-audit``: one item for each check, each with the outcome that the command line gives it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import small_lineages
from running import audited, command, item_ids, junit

pytestmark = pytest.mark.usefixtures("_warm")


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


def test_names_that_would_break_ids_are_made_plain(
    pytester: pytest.Pytester, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "a::b[c] \x1b[31m щ"
    small_lineages.tiny(root)
    probes = tmp_path / "letters.py"
    probes.write_text(small_lineages.LETTERS.replace("letter-e", "letter::e[1]"))
    command(root, "--collect-only", "-k", "letter or integrity", "--probes", probes)
    checks = capsys.readouterr().out.splitlines()
    assert checks == [
        "a__b_c_ \\x1b_31m щ::generation-1::integrity",
        "a__b_c_ \\x1b_31m щ::generation-1::letter__e_1_",
        "2 checks collected",
    ]
    arguments = ["-k", "letter or integrity", "--collapse-audit-probes", probes]
    result = audited(pytester, root, arguments=[*arguments, "--collect-only", "-q"])
    assert result.outlines[:2] == checks[:2]
    result = audited(pytester, root, arguments=arguments)
    assert sum(result.parseoutcomes().values()) - result.parseoutcomes()["deselected"] == 2


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
    result = audited(pytester, shelf / "tiny", arguments=["-k", "ca302"])
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["inconclusive: diversity / distinct-2 (CA302), generation 1 against *"])
    for option in ("--allow-inconclusive", "--collapse-audit-allow-inconclusive"):
        result = audited(pytester, shelf / "tiny", arguments=["-k", "ca302", "-rs", option])
        result.assert_outcomes(skipped=1)
        assert result.ret == 0
        result.stdout.re_match_lines([r"SKIPPED \[1\] .*/tiny:1: the interval \[.*\] holds the margin 0.9; .*"])


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


def test_a_conftest_that_reads_what_every_item_of_pytest_has_does_not_end_the_run(
    pytester: pytest.Pytester, shelf: Path
) -> None:
    """Half of all conftest.py files sort or mark items by the fixtures that they use; doctests bear it, so do ours."""
    pytester.makeconftest(
        """
        def pytest_collection_modifyitems(items):
            for item in items:
                assert "db" not in item.fixturenames
                assert item.funcargs == {} and item.obj is None

        def pytest_runtest_setup(item):
            assert "db" not in item.fixturenames
        """
    )
    result = audited(pytester, shelf / "healthy", arguments=["-k", "integrity"])
    assert set(result.parseoutcomes()) <= {"passed", "deselected"}
    assert result.parseoutcomes()["passed"] == 2
