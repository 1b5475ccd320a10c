"""``collapse-audit`` in a process of its own: interrupted, cut off, on a full disk, without a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_lineages
from small_lineages import documents, lineage


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


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd here")
@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1"])
def test_a_stream_of_the_systems_is_written_to_and_not_replaced(place: str, shelf: Path, tmp_path: Path) -> None:
    """Who may write to /dev (root, in an image) had a file there in place of the stream afterwards."""
    before = os.lstat("/dev/stdout").st_ino
    audit = command(shelf / "healthy", "--report", tmp_path / "out", "-q")
    assert subprocess.run(audit, capture_output=True, check=False).returncode == 0
    render = command("render", tmp_path / "out" / "report.json", "--md", place)
    done = subprocess.run(render, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.md").read_text("utf-8").splitlines()[0] in done.stdout
    assert os.lstat("/dev/stdout").st_ino == before


def test_a_terminal_that_knows_no_cyrillic_gets_escapes(tmp_path: Path) -> None:
    root = lineage(
        tmp_path / "cyrillic",
        ["узел щитовидной железы " * 10] * 50 + documents(1, 150),
        documents(2, 200, vocabulary=40),
    )
    done = subprocess.run(
        command(root, "-v"),
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
    assert done.stdout.splitlines()[-1].startswith("inconclusive: ")
