"""What a shell offers, asked of the shells themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from collapse_audit import cli, lineage_cli
from collapse_audit.commands import completion

MAINS: dict[str, Callable[[list[str]], int]] = {"collapse-audit": cli.main, "collapse-lineage": lineage_cli.main}


def script(program: str, shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert MAINS[program](["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        pytest.param("collapse-audit cal", {"calibrate"}, id="a command"),
        pytest.param("collapse-audit before", set(), id="no command: the shell goes on with files by itself"),
        pytest.param("collapse-audit --config bef", {"before.jsonl"}, id="a file"),
        pytest.param("collapse-audit --generation", {"--generation", "--generations"}, id="an option"),
        pytest.param("collapse-audit --unit gr", {"group"}, id="a value"),
        pytest.param("collapse-audit run --evidence te", {"terms", "texts"}, id="a value of a command"),
        pytest.param("collapse-audit render --ht", {"--html"}, id="an option of a command"),
        pytest.param("collapse-audit completion f", {"fish"}, id="a shell"),
        pytest.param("collapse-lineage simu", {"simulate"}, id="the other program"),
    ],
)
def test_bash_offers(line: str, offered: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "before.jsonl").touch()
    words = line.split()
    made = script(words[0], "bash", capsys)
    function = re.findall(rf"-F (\S+) {words[0]}$", made, re.MULTILINE)[0]
    ask = f'COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; {function} {words[0]}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{made}\n{ask}"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize("program", MAINS)
@pytest.mark.parametrize("shell", completion.SHELLS)
def test_every_shell_gets_a_script_that_it_can_read(
    shell: str, program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = script(program, shell, capsys)
    assert program in made
    if shutil.which(shell):
        (tmp_path / "script").write_text(made)
        subprocess.run([shell, "-n", tmp_path / "script"], check=True)


def test_without_its_library_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(completion, "find_spec", lambda _: None)
    assert cli.main(["completion", "bash"]) == 4
    assert 'pip install "collapse-audit[completion]"' in capsys.readouterr().err
