"""``collapse-audit``: exit codes, what is shown and written, and what is said of input that cannot be read."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
import small_lineages
from small_lineages import documents, lineage, write

from collapse_audit.cli import main
from collapse_audit.lineages.write import write_manifest
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.reports.from_json import read

pytestmark = pytest.mark.usefixtures("_elsewhere")


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from this repository's own pyproject.toml, and where anything written by mistake is seen."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)


def run(*arguments: object) -> int:
    """The command in this process; its exit code."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as left:
        return int(left.code or 0)


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


# ------------------------------------------------------------------------------------------------------- exit codes


def interrupting(tmp_path: Path) -> Path:
    file = tmp_path / "interrupting.py"
    file.write_text(small_lineages.CRASHING.replace('ZeroDivisionError("no such luck")', "KeyboardInterrupt"))
    return file


def test_exit_0_every_probe_passed(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shelf / "healthy") == 0
    assert last_line(capsys).startswith("pass: ")


def test_exit_1_collapse(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shelf / "collapsed") == 1
    assert last_line(capsys).startswith("collapse: ")


def test_exit_2_interrupted(shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shelf / "healthy", "--probes", interrupting(tmp_path), "--report", "out") == 2
    assert capsys.readouterr() == ("", "collapse-audit: interrupted\n")
    assert not Path("out").exists()


def test_exit_3_a_probe_crashed(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shelf / "healthy", "--probes", shelf / "crashing.py") == 3
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1].startswith("error: 2 of 24 findings could not be measured, first crashing")
    assert "ZeroDivisionError: no such luck" in shown.out
    assert shown.err == ""


def test_exit_3_a_defect_of_the_tool(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AssertionError("this cannot happen")

    monkeypatch.setattr("collapse_audit.runner.overall", broken)
    assert run(shelf / "healthy") == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "AssertionError: this cannot happen" in shown.err
    assert "this is a defect of collapse-audit, not of your data" in shown.err.splitlines()[-1]


def test_exit_4_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nowhere") == 4
    assert capsys.readouterr().err == (
        "collapse-audit: error: nowhere: found nothing of that name; expected a folder that holds a lineage "
        "[no-lineage]\n"
    )


@pytest.mark.parametrize("arguments", [["--no-such-flag"], ["x", "--seed", "one"], ["x", "--evidence", "all"], ["-q"]])
def test_exit_4_arguments_that_make_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1].startswith("collapse-audit: error: ")


def test_exit_4_no_arguments_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 4
    assert capsys.readouterr().out.startswith("usage: collapse-audit")


def test_exit_5_nothing_was_measured(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shelf / "only_context") == 5
    assert last_line(capsys).endswith("[exit 5]")


def test_exit_6_inconclusive_and_0_where_that_is_allowed(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shelf / "tiny") == 6
    assert last_line(capsys).startswith("inconclusive: ")
    assert run(shelf / "tiny", "--allow-inconclusive") == 0
    assert last_line(capsys).startswith("inconclusive: ")


def test_collapse_comes_before_error(shelf: Path) -> None:
    assert run(shelf / "collapsed", "--probes", shelf / "crashing.py") == 1


def test_allowing_inconclusive_allows_no_error(shelf: Path) -> None:
    assert run(shelf / "tiny", "--allow-inconclusive", "--probes", shelf / "crashing.py") == 3


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
    assert run(*(shelf / name for name in names), "-q") == code


def test_a_probe_asked_for_by_name_that_cannot_run_is_an_error(shelf: Path) -> None:
    assert run(shelf / "healthy", "-k", "perplexity") == 3
    assert run(shelf / "healthy", "-k", "not tail-mass") == 0


# ------------------------------------------------------------------------------------ the same word everywhere


@pytest.mark.parametrize("name", ["healthy", "collapsed", "tiny", "only_context"])
def test_last_line_exit_code_and_every_report_say_the_same(
    shelf: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(shelf / name, "--report", "out", "--junitxml", "junit.xml")
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
    assert run(shelf / "healthy", shelf / "collapsed", twin, "--report", "out", "--junitxml", "all.xml", "-q") == 1
    assert sorted(path.name for path in Path("out").iterdir()) == ["collapsed", "healthy", "healthy-2"]
    assert read(Path("out/healthy/report.json")).exit_code == 0
    assert read(Path("out/collapsed/report.json")).exit_code == 1
    assert read(Path("out/healthy-2/report.json")).exit_code == 6
    assert len(ET.parse("all.xml").findall("testsuite")) == 3


def test_a_lineage_that_cannot_be_read_leaves_nothing_of_the_others(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = lineage(tmp_path / "broken", ["a"], [{"text": 4}])
    assert run(shelf / "healthy", broken, "--report", "out", "--junitxml", "junit.xml") == 4
    assert capsys.readouterr().out == ""
    assert list(Path.cwd().iterdir()) == []


def test_a_report_that_cannot_be_written_is_said_without_a_verdict(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (["--report", tmp_path / "file"], ["--report", tmp_path / "file" / "deeper"]):
        assert run(shelf / "tiny", *arguments) == 4
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "a folder is needed there" in shown.err
    assert run(shelf / "tiny", "--junitxml", tmp_path / "nowhere" / "junit.xml") == 4
    assert "a file in an existing folder is needed" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- what is shown


def test_collect_only_lists_the_checks_and_measures_nothing(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("collapse_audit.api.run", lambda *_, **__: pytest.fail("measured"))
    assert run(shelf / "healthy", "--collect-only", "-k", "diversity or integrity") == 0
    assert capsys.readouterr().out.splitlines() == [
        "healthy::generation-1::diversity",
        "healthy::generation-1::integrity",
        "healthy::generation-2::diversity",
        "healthy::generation-2::integrity",
        "4 checks collected",
    ]


def test_collect_only_marks_what_is_context(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shelf / "only_context", "--collect-only", "-k", "diversity") == 5
    assert capsys.readouterr().out.splitlines() == [
        "only_context::generation-0::diversity (context)",
        "0 checks collected, 1 more as context",
    ]


def test_quiet_says_what_failed_and_the_verdict(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shelf / "healthy", "-q") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert run(shelf / "collapsed", "-q") == 1
    shown = capsys.readouterr().out
    assert "x F  token-divergence" in shown
    assert "integrity" not in shown


def test_verbose_shows_every_finding(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(shelf / "healthy")
    brief = capsys.readouterr().out
    run(shelf / "healthy", "-v")
    verbose = capsys.readouterr().out
    assert "diversity / distinct-2" not in brief
    assert verbose.count("diversity / distinct-2") == 2


def test_durations_stand_before_the_last_line(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(shelf / "healthy", "--durations", 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4] == "slowest findings"
    seconds = [float(line.split()[0]) for line in lines[-3:-1]]
    assert seconds == sorted(seconds, reverse=True)
    assert lines[-1].startswith("pass: ")
    run(shelf / "healthy", "--durations", 0)
    findings = 2 * sum(len(probe.gates) for probe in BUILTIN)
    assert len(capsys.readouterr().out.partition("slowest findings\n")[2].splitlines()) == findings + 1


def test_stop_at_the_first_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = lineage(tmp_path / "two", documents(1, 200), documents(2, 200, vocabulary=40), documents(3, 200))
    assert run(root, "-x") == 1
    assert "stopped at the first failure (-x): 1 comparisons were not measured" in " ".join(
        capsys.readouterr().out.split()
    )


def test_generations_and_baselines_are_selected(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shelf / "healthy", "--generation", "last", "--baseline", "previous", "--collect-only") == 0
    assert last_line(capsys) == "9 checks collected"
    assert run(shelf / "healthy", "--generation", "2", "--baseline", "previous", "--report", "out") == 0
    assert {f.baseline for f in read(Path("out/report.json")).findings} == {"generation 1 (held-out)"}
    approved = write(Path("approved.jsonl").absolute(), documents(9, 200))
    assert run(shelf / "only_context", "--baseline", approved, "--report", "out", "-q") in (0, 6)
    assert {f.baseline for f in read(Path("out/report.json")).findings} == {str(approved)}


def test_whole_texts_stand_in_a_report_only_if_asked_for(tmp_path: Path) -> None:
    root = lineage(tmp_path / "copied", documents(1, 200), [*documents(2, 100), *["a text that is copied"] * 100])
    run(root, "--report", "out")
    assert "a text that is copied" not in Path("out/report.json").read_text(encoding="utf-8")
    run(root, "--report", "out", "--evidence", "texts")
    assert "a text that is copied" in Path("out/report.json").read_text(encoding="utf-8")


def test_nothing_is_written_unless_asked_for(shelf: Path) -> None:
    before = sorted(shelf.rglob("*"))
    run(shelf / "collapsed")
    assert list(Path.cwd().iterdir()) == []
    assert sorted(shelf.rglob("*")) == before


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("collapse-audit ")


def test_list_names_every_probe(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--probes", shelf / "letters.py") == 0
    shown = capsys.readouterr().out
    assert all(probe.code in shown for probe in BUILTIN)
    assert "letter-e" in shown


def test_explain_shows_docstring_gates_and_reasons(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "CA302") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("diversity (CA302)\n")
    assert "When it misleads" in shown
    assert "distinct-2: < 0.85 ratio" in shown
    assert run("explain", "letter-e", "--probes", shelf / "letters.py") == 0
    assert "Do texts use the letter e?" in capsys.readouterr().out


def test_explain_of_no_probe_suggests_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "diversty") == 4
    assert "did you mean diversity?" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ bad input


def empty_folder(root: Path) -> None:
    root.mkdir()


def one_generation(root: Path) -> None:
    write(root / "gen_0.jsonl", ["a"])


def only_a_reference(root: Path) -> None:
    write(root / "reference.jsonl", ["a"])


def no_record(root: Path) -> None:
    lineage(root, ["a"], [])


def nul_bytes(root: Path) -> None:
    lineage(root, ["a"], ["b", "c\0d"])


def a_number_as_text(root: Path) -> None:
    lineage(root, ["a"], ["b", {"text": 0.9}])


def duplicate_ids(root: Path) -> None:
    lineage(root, ["a"], [{"text": "b", "id": "x"}, {"text": "c", "id": "y"}, {"text": "d", "id": "x"}])


def nan_nll(root: Path) -> None:
    lineage(root, ["a"], [{"text": "b", "nll": float("nan")}])


def broken_json(root: Path) -> None:
    lineage(root, ["a"], ["b"])
    with (root / "gen_1" / "holdout.jsonl").open("a") as file:
        file.write('{"text": "c"\n')


def bad_utf_8(root: Path) -> None:
    lineage(root, ["a"], ["b"])
    with (root / "gen_1" / "holdout.jsonl").open("ab") as file:
        file.write(b'{"text": "\xff"}\n')


def labels_outside_the_set(root: Path) -> None:
    lineage(root, [{"text": "a", "label": "2"}], [{"text": "b", "label": "2"}, {"text": "c", "label": "7"}])
    entries = [{"index": k, "texts": f"gen_{k}/texts.jsonl", "holdout": f"gen_{k}/holdout.jsonl"} for k in (0, 1)]
    labels = {"rule": "field", "classes": ["2", "3"]}
    write_manifest(root, {"format": 1, "name": "n", "labels": labels, "generation": entries})


def manifest_pointing(target: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        write(root / "gen_0.jsonl", ["a"])
        write(root.parent / "outside.jsonl", ["secret"])
        (root / "linked.jsonl").symlink_to(root.parent / "outside.jsonl")
        text = (
            'format = 1\nname = "n"\n[[generation]]\nindex = 0\ntexts = "gen_0.jsonl"\n'
            f'[[generation]]\nindex = 1\ntexts = "{target}"\n'
        )
        (root / "lineage.toml").write_text(text)

    return make


def unknown_key(root: Path) -> None:
    lineage(root, ["a"], ["b"])
    (root / "lineage.toml").write_text('format = 1\nname = "n"\ncolour = "red"\n')


@pytest.mark.parametrize(
    ("make", "place", "found", "slug"),
    [
        (empty_folder, "", "found no corpus; expected lineage.toml, or reference.*", "no-corpus"),
        (one_generation, "", "found generation 0 and nothing to compare it with", "nothing-to-compare"),
        (only_a_reference, "", "found a reference and no generation", "no-generation"),
        (no_record, "/gen_1/holdout.jsonl", "found no record; expected at least one record", "no-record"),
        (nul_bytes, "/gen_1/holdout.jsonl:2", "found a NUL character in text (character 2)", "nul"),
        (a_number_as_text, "/gen_1/holdout.jsonl:2", "found text 0.9 (number); expected a string", "bad-text"),
        (duplicate_ids, "/gen_1/holdout.jsonl:3", "found the id 'x' again (first on line 1)", "duplicate-id"),
        (nan_nll, "/gen_1/holdout.jsonl:1", "found nll NaN; expected a finite number", "bad-nll"),
        (broken_json, "/gen_1/holdout.jsonl:2", "found broken JSON", "broken-json"),
        (bad_utf_8, "/gen_1/holdout.jsonl:2", "found", "bad-utf8"),
        (
            labels_outside_the_set,
            "/gen_1/holdout.jsonl:2",
            "found the label '7'; expected one of 2, 3",
            "unknown-label",
        ),
        (
            manifest_pointing("../outside.jsonl"),
            "/lineage.toml:8",
            'found "../outside.jsonl", a path that leaves the folder',
            "path-outside",
        ),
        (manifest_pointing("/etc/passwd"), "/lineage.toml:8", 'found the absolute path "/etc/passwd"', "absolute-path"),
        (
            manifest_pointing("linked.jsonl"),
            "/lineage.toml:8",
            'found "linked.jsonl", a link to a place outside',
            "link-outside",
        ),
        (unknown_key, "/lineage.toml:3", 'found the unknown key "colour"', "unknown-key"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_input_that_cannot_be_read_has_its_own_message_and_exit_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], None],
    place: str,
    found: str,
    slug: str,
) -> None:
    root = tmp_path / "bad"
    make(root)
    before = sorted(tmp_path.rglob("*"))
    assert run(root, "--report", "out", "--junitxml", "junit.xml") == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"collapse-audit: error: {root}{place}: {found}")
    assert shown.err.endswith(f"[{slug}]\n")
    assert len(shown.err.splitlines()) == 1
    assert "Traceback" not in shown.err
    assert sorted(tmp_path.rglob("*")) == before


def test_all_problems_of_a_file_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = lineage(tmp_path / "bad", ["a"], ["b", {"text": 1}, {"txt": "c"}, {"text": "d", "nll": -3}])
    assert run(root) == 4
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("holdout.jsonl:")[2][0] for line in lines] == ["2", "3", "4"]


# ---------------------------------------------------------------------------- degenerate, but readable: judged


def judged(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = run(root, "-q")
    shown = capsys.readouterr()
    assert shown.err == ""
    return code, shown.out


def test_a_generation_of_one_document_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = judged(lineage(tmp_path / "one", documents(1, 200), ["a single document"]), capsys)
    assert code in (1, 6)  # never a pass: nobody can tell from one


def test_two_single_documents_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judged(lineage(tmp_path / "one", ["some text"], ["other words"]), capsys)[0] == 6


@pytest.mark.parametrize("text", ["the same text every time", "", " \t ", "\u2003\u00a0", "x"])
def test_all_documents_the_same_is_collapse(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    code, shown = judged(lineage(tmp_path / "same", documents(1, 200), [text] * 200), capsys)
    assert code == 1
    assert "x F  diversity / duplicates" in shown or "x F  integrity" in shown


def test_only_white_space_is_collapse_and_integrity_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = [" " * (1 + k % 7) for k in range(200)]
    code, shown = judged(lineage(tmp_path / "white", documents(1, 200), blank), capsys)
    assert code == 1
    assert "x F  integrity / empty" in shown


def test_empty_texts_on_both_sides_are_never_a_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = judged(lineage(tmp_path / "empty", [""] * 200, [""] * 200), capsys)
    assert code in (1, 6)


def test_a_line_of_ten_megabytes_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 10_000_000
    code, _ = judged(lineage(tmp_path / "long", documents(1, 100), [*documents(2, 99), long]), capsys)
    assert code in (0, 6)


def test_unpaired_scripts_and_controls_are_judged_and_shown_inert(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = ["\x1b[31mred", "\u202eleft", "<script>", "щитовидная", "甲状腺", "ﷺ", "🙂🙂", "\u0301"]
    rng = random.Random(1)
    texts = [" ".join(rng.choices(nasty[:3], k=20)) for _ in range(200)]
    code, shown = judged(lineage(tmp_path / "nasty", [*documents(1, 192), *nasty], texts), capsys)
    assert code == 1
    assert "\x1b" not in shown
    assert "\u202e" not in shown


# ------------------------------------------------------------------------------------------ in a process of its own


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "collapse_audit.cli", *map(str, arguments)]


def test_ctrl_c_ends_with_2_and_one_line(shelf: Path, tmp_path: Path) -> None:
    marker, probes = tmp_path / "started", tmp_path / "waits.py"
    waits = f"import pathlib, time; pathlib.Path({str(marker)!r}).touch(); time.sleep(60)"
    probes.write_text(small_lineages.CRASHING.replace('raise ZeroDivisionError("no such luck")', waits))
    process = subprocess.Popen(
        command(shelf / "healthy", "--probes", probes, "-k", "crashing", "--report", tmp_path / "out"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not marker.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "collapse-audit: interrupted\n")
    assert process.returncode == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["explain", "diversity"], ["AUDIT"], ["AUDIT", "--collect-only"]]
)
def test_a_reader_that_leaves_early_gets_no_traceback(shelf: Path, arguments: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)  # as `| head` does, only sooner
    done = subprocess.run(
        command(*(shelf / "collapsed" if argument == "AUDIT" else argument for argument in arguments)),
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_said_in_one_line(shelf: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(shelf / "healthy", "-q"), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 4
    assert done.stderr == "collapse-audit: error: cannot write to standard output: No space left on device\n"


def test_a_terminal_that_knows_no_cyrillic_gets_escapes(tmp_path: Path) -> None:
    root = lineage(tmp_path / "cyrillic", ["узел щитовидной железы " * 10] * 50 + documents(1, 150), documents(2, 200))
    done = subprocess.run(
        command(root),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 1
    assert done.stderr == b""
    assert b"\\u0449\\u0438\\u0442" in done.stdout


def test_output_that_is_no_terminal_has_no_colour_and_no_progress(shelf: Path) -> None:
    done = subprocess.run(command(shelf / "collapsed"), capture_output=True, text=True, check=False)
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_the_installed_command_is_this_one(shelf: Path) -> None:
    script = Path(sys.executable).with_name("collapse-audit")
    done = subprocess.run([script, shelf / "tiny", "-q"], capture_output=True, text=True, check=False)
    assert done.returncode == 6
    assert json.dumps(done.stdout.splitlines()[-1]).startswith('"inconclusive: ')
