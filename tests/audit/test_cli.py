"""``collapse-audit``: exit codes, and what is shown and written."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import small_lineages
from running import FINDINGS, command
from small_lineages import documents, lineage, write

from collapse_audit.probes.registry import BUILTIN
from collapse_audit.reports.from_json import read

pytestmark = pytest.mark.usefixtures("elsewhere")


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


# ------------------------------------------------------------------------------------------------------- exit codes


def interrupting(tmp_path: Path) -> Path:
    file = tmp_path / "interrupting.py"
    file.write_text(small_lineages.CRASHING.replace('ZeroDivisionError("no such luck")', "KeyboardInterrupt"))
    return file


def test_exit_0_every_probe_passed(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(shelf / "healthy") == 0
    assert last_line(capsys).startswith("pass: ")


def test_exit_1_collapse(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(shelf / "collapsed") == 1
    assert last_line(capsys).startswith("collapse: ")


def test_exit_2_interrupted(shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(shelf / "healthy", "--probes", interrupting(tmp_path), "--report", "out") == 2
    assert capsys.readouterr() == ("", "collapse-audit: interrupted\n")
    assert not Path("out").exists()


def test_exit_3_a_probe_crashed(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(shelf / "healthy", "--probes", shelf / "crashing.py") == 3
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1].startswith(
        f"error: 2 of {2 * FINDINGS + 2} findings could not be measured, first crashing"
    )
    assert "ZeroDivisionError: no such luck" in shown.out
    assert shown.err == ""


def test_exit_3_a_defect_of_the_tool(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AssertionError("this cannot happen")

    monkeypatch.setattr("collapse_audit.run.assemble.added_up", broken)
    assert command(shelf / "healthy") == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "AssertionError: this cannot happen" in shown.err
    assert "this is a defect of collapse-audit, not of your data" in shown.err.splitlines()[-1]


def test_exit_4_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("nowhere") == 4
    assert capsys.readouterr().err == (
        "collapse-audit: error: nowhere: found nothing of that name; expected a folder that holds a lineage, "
        "or files of texts [no-lineage]\n"
    )


@pytest.mark.parametrize("arguments", [["--no-such-flag"], ["x", "--seed", "one"], ["x", "--evidence", "all"], ["-q"]])
def test_exit_4_arguments_that_make_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*arguments) == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1].startswith("collapse-audit: error: ")


def test_exit_4_no_arguments_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert command() == 4
    assert capsys.readouterr().out.startswith("usage: collapse-audit")


def test_exit_5_nothing_was_measured(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(shelf / "only_context") == 5
    assert last_line(capsys).endswith("[exit 5]")


def test_exit_6_inconclusive_and_0_where_that_is_allowed(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(shelf / "tiny") == 6
    assert last_line(capsys).startswith("inconclusive: ")
    assert command(shelf / "tiny", "--allow-inconclusive") == 0
    assert last_line(capsys).startswith("inconclusive: ")


def test_collapse_comes_before_error(shelf: Path) -> None:
    assert command(shelf / "collapsed", "--probes", shelf / "crashing.py") == 1


def test_allowing_inconclusive_allows_no_error(shelf: Path) -> None:
    assert command(shelf / "tiny", "--allow-inconclusive", "--probes", shelf / "crashing.py") == 3


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["healthy", "tiny", "only_context"], 6),
        (["healthy", "only_context"], 5),
        (["healthy", "tiny", "collapsed"], 1),
        (["healthy", "healthy"], 0),
    ],
)
def test_of_several_lineages_the_first_in_the_documented_order_decides(
    shelf: Path, names: list[str], code: int
) -> None:
    assert command(*(shelf / name for name in names), "-q") == code


def test_a_probe_asked_for_by_name_that_cannot_run_is_an_error(shelf: Path) -> None:
    assert command(shelf / "healthy", "-k", "perplexity") == 3
    assert command(shelf / "healthy", "-k", "not tail-mass") == 0


# ------------------------------------------------------------------------------------ the same word everywhere


@pytest.mark.parametrize("name", ["healthy", "collapsed", "tiny", "only_context"])
def test_last_line_exit_code_and_every_report_say_the_same(
    shelf: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = command(shelf / name, "--report", "out", "--junitxml", "junit.xml")
    line = last_line(capsys)
    report = read(Path("out/report.json"))
    assert (report.exit_code, report.summary) == (code, line)
    assert line.endswith(f"[exit {code}]")
    assert line in Path("out/report.md").read_text(encoding="utf-8")
    assert Path("out/junit.xml").read_bytes() == Path("junit.xml").read_bytes()
    properties = {p.get("name"): p.get("value") for p in ET.parse("junit.xml").iter("property")}
    assert (properties["summary"], properties["exit_code"], properties["verdict"]) == (line, str(code), report.verdict)


def test_several_lineages_get_a_report_folder_each(shelf: Path, tmp_path: Path) -> None:
    twin = small_lineages.tiny(tmp_path / "healthy")
    assert command(shelf / "healthy", shelf / "collapsed", twin, "--report", "out", "--junitxml", "all.xml", "-q") == 1
    assert sorted(path.name for path in Path("out").iterdir()) == ["collapsed", "healthy", "healthy-2"]
    assert read(Path("out/healthy/report.json")).exit_code == 0
    assert read(Path("out/collapsed/report.json")).exit_code == 1
    assert read(Path("out/healthy-2/report.json")).exit_code == 6
    assert len(ET.parse("all.xml").findall("testsuite")) == 3


def test_a_lineage_that_cannot_be_read_leaves_nothing_of_the_others(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = lineage(tmp_path / "broken", ["a"], [{"text": 4}])
    assert command(shelf / "healthy", broken, "--report", "out", "--junitxml", "junit.xml") == 4
    assert capsys.readouterr().out == ""
    assert list(Path.cwd().iterdir()) == []


def test_a_report_that_cannot_be_written_is_said_without_a_verdict(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (["--report", tmp_path / "file"], ["--report", tmp_path / "file" / "deeper"]):
        assert command(shelf / "tiny", *arguments) == 4
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "a folder is needed there" in shown.err
    assert command(shelf / "tiny", "--junitxml", tmp_path / "nowhere" / "junit.xml") == 4
    assert "a file in an existing folder is needed" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- what is shown


def test_collect_only_lists_the_checks_and_measures_nothing(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("collapse_audit.api.run", lambda *_, **__: pytest.fail("measured"))
    assert command(shelf / "healthy", "--collect-only", "-k", "diversity or integrity") == 0
    assert capsys.readouterr().out.splitlines() == [
        *(
            f"healthy::generation-{k}::{name}"
            for k in (1, 2)
            for name in ("diversity", "prompt-diversity", "semantic-diversity", "integrity")
        ),
        "8 checks collected",
    ]


def test_collect_only_marks_what_is_context(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(shelf / "only_context", "--collect-only", "-k", "diversity") == 5
    assert capsys.readouterr().out.splitlines() == [
        "only_context::generation-0::diversity (context)",
        "only_context::generation-0::prompt-diversity (context)",
        "only_context::generation-0::semantic-diversity (context)",
        "0 checks collected, 3 more as context",
    ]


def test_quiet_says_what_failed_and_the_verdict(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(shelf / "healthy", "-q") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert command(shelf / "collapsed", "-q") == 1
    shown = capsys.readouterr().out
    assert "x F  token-divergence" in shown
    assert "integrity" not in shown


def test_verbose_shows_every_finding(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(shelf / "healthy")
    brief = capsys.readouterr().out
    command(shelf / "healthy", "-vv")
    verbose = capsys.readouterr().out
    assert "diversity / distinct-2" not in brief
    assert verbose.count("diversity / distinct-2") == 2


def test_durations_stand_before_the_last_line(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(shelf / "healthy", "--durations", 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4] == "slowest findings"
    seconds = [float(line.split()[0]) for line in lines[-3:-1]]
    assert seconds == sorted(seconds, reverse=True)
    assert lines[-1].startswith("pass: ")
    command(shelf / "healthy", "--durations", 0)
    findings = 2 * sum(len(probe.gates) for probe in BUILTIN)
    assert len(capsys.readouterr().out.partition("slowest findings\n")[2].splitlines()) == findings + 1


def test_stop_at_the_first_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = lineage(tmp_path / "two", documents(1, 200), documents(2, 200, vocabulary=40), documents(3, 200))
    assert command(root, "-x", "-v") == 1  # the first page may have no line left for it
    assert "stopped at the first failure (-x): 1 comparisons were not measured" in " ".join(
        capsys.readouterr().out.split()
    )


def test_generations_and_baselines_are_selected(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(shelf / "healthy", "--generation", "last", "--baseline", "previous", "--collect-only") == 0
    assert last_line(capsys) == f"{len(BUILTIN)} checks collected"
    assert command(shelf / "healthy", "--generation", "2", "--baseline", "previous", "--report", "out") == 0
    assert {f.baseline for f in read(Path("out/report.json")).findings} == {"generation 1 (held-out)"}
    approved = write(Path("approved.jsonl").absolute(), documents(9, 200))
    assert command(shelf / "only_context", "--baseline", approved, "--report", "out", "-q") in (0, 6)
    assert {f.baseline for f in read(Path("out/report.json")).findings} == {str(approved)}


def test_whole_texts_stand_in_a_report_only_if_asked_for(tmp_path: Path) -> None:
    root = lineage(tmp_path / "copied", documents(1, 200), [*documents(2, 100), *["a text that is copied"] * 100])
    command(root, "--report", "out")
    assert "a text that is copied" not in Path("out/report.json").read_text(encoding="utf-8")
    command(root, "--report", "out", "--evidence", "texts")
    assert "a text that is copied" in Path("out/report.json").read_text(encoding="utf-8")


def test_nothing_is_written_unless_asked_for(shelf: Path) -> None:
    before = sorted(shelf.rglob("*"))
    command(shelf / "collapsed")
    assert list(Path.cwd().iterdir()) == []
    assert sorted(shelf.rglob("*")) == before


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--version") == 0
    assert capsys.readouterr().out.startswith("collapse-audit ")


def test_list_names_every_probe(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list", "--probes", shelf / "letters.py") == 0
    shown = capsys.readouterr().out
    assert all(probe.code in shown for probe in BUILTIN)
    assert "letter-e" in shown


def test_explain_shows_docstring_gates_and_reasons(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("explain", "CA302") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("diversity (CA302)\n")
    assert "When it misleads" in shown
    assert "distinct-2: < 0.9 ratio" in shown
    assert command("explain", "letter-e", "--probes", shelf / "letters.py") == 0
    assert "Do texts use the letter e?" in capsys.readouterr().out


def test_explain_of_no_probe_suggests_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("explain", "diversty") == 4
    assert "did you mean diversity?" in capsys.readouterr().err
