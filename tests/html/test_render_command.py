"""``collapse-audit render`` and ``--github-annotations``, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from examples import collapsed, healthy

from collapse_audit.cli import main
from collapse_audit.reports import as_html, as_json, as_junit, as_markdown, as_text
from collapse_audit.reports.from_json import read


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    path.write_text(as_json.render(collapsed()), encoding="utf-8")
    return path


def test_every_format_is_what_the_audit_itself_writes(stored: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("a.html", "a.md", "a.xml")}
    arguments = ["--html", files["a.html"], "--md", files["a.md"], "--junitxml", files["a.xml"]]
    assert main(["render", str(stored), *map(str, arguments)]) == 0
    wanted = {"a.html": as_html.render, "a.md": as_markdown.render, "a.xml": as_junit.render}
    for name, render in wanted.items():
        assert files[name].read_text(encoding="utf-8") == render(read(stored))
    assert files["a.html"].read_text(encoding="utf-8") == as_html.render(collapsed())


def test_without_a_format_it_is_shown_as_text(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(stored.parent)]) == 0
    shown = capsys.readouterr().out
    assert shown == as_text.render(collapsed(), width=80)
    assert shown.splitlines()[-1] == collapsed().summary


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.json"], "report-unreadable"),
        (["{stored}", "--history", "h.jsonl"], "name its file: --html FILE"),
        (["{stored}", "--md", "no/such/folder/a.md"], "cannot write"),
        (["{stored}", "--html", "{stored}"], "--html: '{stored}' is also REPORT"),
        (["{stored.parent}", "--md", "{stored.parent}/./report.json"], "is also REPORT"),
        (["{stored}", "--junitxml", "{stored.parent}/link"], "is also REPORT"),
        (["{stored}", "--html", "a.html", "--history", "a.html"], "is also --history"),
        (["{stored}", "--html", "{stored.parent}/a", "--md", "{stored.parent}/b/../a"], "--md: "),
        (["{stored}", "--html", "{stored.parent}"], "is a folder, and a file is needed"),
        (["{stored}", "--html", "{stored.parent}/a", "-v"], "add --text"),
        ([], "REPORT"),
    ],
)
def test_bad_usage_and_input_is_exit_4(
    arguments: list[str], said: str, stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stored.parent / "link").symlink_to(stored)
    (stored.parent / "b").mkdir()
    before = stored.read_bytes()
    given = ["render", *(each.format(stored=stored) for each in arguments)]
    try:
        code = main(given)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    assert code == 4
    assert said.format(stored=stored) in capsys.readouterr().err
    assert stored.read_bytes() == before
    assert not (stored.parent / "a").exists()


def test_verbose_is_for_the_text_that_is_asked_for(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(stored), "--html", str(tmp_path / "a.html"), "--text", "-vv"]) == 0
    assert "EVERY FINDING" in capsys.readouterr().out


def test_a_report_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text("{}", encoding="utf-8")
    assert main(["render", str(path), "--html", str(tmp_path / "a.html")]) == 4
    assert "report-schema" in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()


def test_annotations_come_first_and_the_verdict_stays_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for generation, word in ((0, "one two three four"), (1, "five six seven eight")):
        folder = tmp_path / "lineage" / f"gen_{generation}"
        folder.mkdir(parents=True)
        (folder / "texts.txt").write_text("::error::corpus\n" + f"{word}\n" * 8, encoding="utf-8")
    code = main([str(tmp_path / "lineage"), "--github-annotations", "--independent", "-q"])
    lines = capsys.readouterr().out.splitlines()
    stop = next(place for place, line in enumerate(lines) if line.startswith("::stop-commands::"))
    token = lines[stop].removeprefix("::stop-commands::")
    assert len(token) == 32
    assert all(line.startswith(("::error title", "::warning title", "::notice title")) for line in lines[:stop])
    assert stop > 0
    assert lines[-2] == f"::{token}::"
    assert lines[-1].endswith(f"[exit {code}]")


def test_a_healthy_report_needs_no_history_to_be_drawn(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(as_json.render(healthy()), encoding="utf-8")
    assert (
        main(["render", str(path), "--html", str(tmp_path / "a.html"), "--history", str(tmp_path / "new.jsonl")]) == 0
    )
    assert "Run over run" not in (tmp_path / "a.html").read_text(encoding="utf-8")
