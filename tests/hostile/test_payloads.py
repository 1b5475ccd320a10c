"""Payloads in every output: a few of each kind here, all of them by ``python -m benchmarks.payloads``."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.payloads import OUTPUTS, PAYLOADS, active, base, loaded, obeyed
from collapse_audit.cli import main
from collapse_audit.reports.document import AuditReport

FEW = {kind: payloads[1:2] for kind, payloads in PAYLOADS.items()}
FEW["Markdown"] += ("0" * 4 + "6d7851c",)  # the rest of which was a commit, once
OBEYED = {
    "terminal": "\x1b[2J",
    "log with annotations": "::error::x",
    "refusal": "##[error]x",
    "report.md": "\n\n![x](http://evil.example/p.png)\n",
}
"""What each check must find where an output lets it through."""


@pytest.fixture(scope="module")
def report() -> AuditReport:
    return base()


@pytest.fixture(scope="module")
def plain(report: AuditReport) -> dict[str, str]:
    return {name: render(loaded(report, "harmless")) for name, render in OUTPUTS.items()}


def test_there_are_a_hundred_and_more() -> None:
    assert len({payload for payloads in PAYLOADS.values() for payload in payloads}) >= 100


@pytest.mark.parametrize("kind", FEW)
def test_no_payload_is_obeyed_by_any_output(report: AuditReport, plain: dict[str, str], kind: str) -> None:
    for payload in FEW[kind]:
        armed = loaded(report, payload)
        found = {name: active(name, render(armed), plain[name]) for name, render in OUTPUTS.items()}
        assert not any(found.values()), (payload, found)


@pytest.mark.parametrize("name", OBEYED)
def test_what_an_output_lets_through_is_found(plain: dict[str, str], name: str) -> None:
    assert active(name, plain[name], plain[name]) == []
    assert active(name, f"{plain[name]}\n{OBEYED[name]}", plain[name])


def test_markup_in_a_page_is_found(plain: dict[str, str]) -> None:
    for markup in ("<script>1</script>", "<a href=//evil.example>x</a>", "<b onclick=x>y</b>"):
        page = plain["report.html"].replace("harmless", markup)
        assert active("report.html", page, plain["report.html"])


def test_payloads_in_files_do_nothing_in_the_log_of_an_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names, labels, seeds and words of a lineage, read from its files; here a refusal and a report."""
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "lineage.toml").write_text('format = 1\nname = "a\\u001b[2J::error::x"\n"##[error]x\\u202e" = 1\n')
    monkeypatch.chdir(tmp_path)
    assert main(["runs", "--github-annotations"]) == 4
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert [line for line in obeyed(text) if not line.startswith("::error title=")] == []
        assert text.replace("\n", "").replace("\u200b", "").isprintable()


def test_a_message_that_holds_escapes_shows_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([str(tmp_path / "no\x1b[2J\u202e")]) == 4
    said = capsys.readouterr().err
    assert "no\\x1b[2J\\u202e" in said
