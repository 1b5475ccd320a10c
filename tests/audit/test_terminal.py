"""On a real terminal: progress, colours, and a Ctrl-C at the last moment."""

from __future__ import annotations

import os
import pty
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import command

from collapse_audit.reports import as_html
from collapse_audit.reports.write import FILES

ESCAPE = b"\x1b"


def on_a_terminal(*arguments: object, **environment: str) -> tuple[int, bytes]:
    """Exit code of ``collapse-audit`` in a process that has a terminal, and all that it showed there."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update({"TERM": "xterm-256color", **environment})
        os.execv(sys.executable, [sys.executable, "-m", "collapse_audit", *map(str, arguments)])
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown


@pytest.mark.parametrize("arguments", [("-k", "length"), ("list",)], ids=["an audit", "a table"])
def test_no_color_leaves_no_escape(shelf: Path, arguments: tuple[str, ...]) -> None:
    audit = arguments if arguments == ("list",) else (shelf / "healthy", *arguments)
    with_colours, plain = on_a_terminal(*audit), on_a_terminal(*audit, NO_COLOR="1")
    assert ESCAPE in with_colours[1]
    assert ESCAPE not in plain[1]
    assert with_colours[0] == plain[0] == 0


def test_progress_is_shown_on_a_terminal_and_is_gone_at_the_end(shelf: Path) -> None:
    _, shown = on_a_terminal(shelf / "healthy")
    # Any one step may be gone before the line is drawn again; not all of a whole audit are.
    assert shown.index(b"generation-") < shown.rindex(b"\x1b[2K") < shown.rindex(b"pass: ")


def test_progress_without_colours_is_lines_that_are_two_seconds_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from collapse_audit.commands import console

    clock = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: clock[0])
    slowly = console._Slowly()
    for now in (0.5, 1.9, 2.0, 3.0, 4.5):
        clock[0] = now
        slowly(f"at {now}")
    assert capsys.readouterr().err == "at 2.0\nat 4.5\n"


def pressed_in(monkeypatch: pytest.MonkeyPatch, home: Any, name: str, *, time: int) -> None:
    """Ctrl-C while ``home.name`` runs for the ``time``-th time."""
    original: Callable[..., Any] = getattr(home, name)
    calls = [0]

    def pressed(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == time:
            signal.raise_signal(signal.SIGINT)
        return original(*arguments, **named)

    monkeypatch.setattr(home, name, pressed)


@pytest.mark.parametrize(
    ("home", "name", "time", "finished"),
    [
        pytest.param(as_html, "render", 1, False, id="while the page is drawn"),
        pytest.param(os, "fsync", 1, False, id="while the first file is written"),
        pytest.param(os, "fsync", 4, False, id="while the last file is written"),
        pytest.param(Path, "replace", 1, True, id="before the first file takes its name"),
        pytest.param(Path, "replace", 3, True, id="between the files of one report"),
    ],
)
def test_a_late_interruption_exits_2_and_leaves_one_whole_report(
    home: Any,
    name: str,
    time: int,
    finished: bool,
    shelf: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for file in FILES.values():
        (tmp_path / file).write_text("old")
    pressed_in(monkeypatch, home, name, time=time)
    assert command(shelf / "healthy", "-k", "length", "--report", tmp_path) == 2
    assert capsys.readouterr().err == "collapse-audit: interrupted\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES.values())
    kept = {(tmp_path / file).read_text() == "old" for file in FILES.values()}
    assert kept == {not finished}
