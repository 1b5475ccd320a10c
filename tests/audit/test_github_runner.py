"""What strangers' names and texts say is never a command of GitHub's runner: held against both of its parsers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import small_lineages
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.cli import main
from collapse_audit.commands.github_runner import guarded, inert

PAYLOADS = (
    "::add-mask::collapse",
    "  ::error::x",
    "\t::set-output name=x::y",
    "##[add-mask]collapse",
    "collapse: ##[warning]no",
    "##[error",
    "###[group]x",
    ":::debug::x",
    "::stop-commands::x",
    "##vso[task.setvariable]x",
    "\x0b::error::x",
    "\u2028##[endgroup]",
)


def first_parser(line: str) -> bool:
    """``##[command …]`` anywhere in a line (ActionCommand.TryParse)."""
    return re.search(r"##\[[^\]]*\]", line) is not None


def second_parser(line: str) -> bool:
    """``::command …::`` at the start of a line, white space aside (ActionCommand.TryParseV2)."""
    rest = line.lstrip()
    return rest.startswith("::") and "::" in rest[2:]


def obeyed(text: str) -> list[str]:
    """The lines that the runner takes for commands, outside ``stop-commands``."""
    found, mark = [], ""
    for line in text.split("\n"):
        if mark:
            mark = "" if line.strip() == f"::{mark}::" else mark
        elif line.startswith("::stop-commands::"):
            mark = line.removeprefix("::stop-commands::")
        elif first_parser(line) or second_parser(line):
            found.append(line)
    return found


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_survives(payload: str) -> None:
    assert obeyed(inert(payload)) == []
    assert obeyed(guarded(f"{payload}\n{payload}\n{payload}")) == []


@given(st.text(alphabet=st.sampled_from(list(":#[]ab \t\n\x0b\x1c\u2028")), max_size=40))
def test_nothing_survives(text: str) -> None:
    assert obeyed(inert(text)) == []


@given(st.text(alphabet="abc:# ", max_size=30))
def test_what_is_no_command_is_left_alone(text: str) -> None:
    if not any(first_parser(line) or second_parser(line) for line in text.split("\n")) and "::" not in text:
        assert inert(text) == text


def test_the_last_line_of_an_audit_carries_no_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seeds = tmp_path / "seeds"
    small_lineages.collapsed(seeds / "seed_##[add-mask]collapse")
    main([str(seeds), "--github-annotations"])
    printed = capsys.readouterr()
    own = re.compile(r"::(error|warning|notice) title=")
    assert [line for line in obeyed(printed.out) if not own.match(line)] == []
    assert "add-mask" in printed.out.rstrip("\n").rpartition("\n")[2]


def test_an_error_message_carries_no_command_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "##[add-mask]x"
    folder.mkdir()
    (folder / "gen_0.jsonl").write_text('{"text": 1}\n')
    (folder / "gen_1.jsonl").write_text('{"text": 1}\n')
    assert main([str(folder), "--github-annotations"]) == 4
    assert obeyed(capsys.readouterr().err) == []
