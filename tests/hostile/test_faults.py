"""A full disk, a read-only file system or a kill at every point where a command changes a file: all or nothing.

``python -m benchmarks.faults --kills 100`` tries more commands, and random moments.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from benchmarks.fault_scenarios import Scenario
from benchmarks.faults import SCENARIOS, Trial, contents, forked
from collapse_audit import atomic
from collapse_audit.errors import InputError
from collapse_audit.reports.from_json import read

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
FAULTS = (errno.ENOSPC, errno.EROFS)


@pytest.fixture(scope="module", params=["report", "history", "pack", "calibrate"])
def trial(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(SCENARIOS[request.param], tmp_path_factory.mktemp(request.param))


POINTS = 6
"""Of each command, evenly spread: the others are for the benchmark."""


def test_a_command_that_dies_anywhere_is_repeated_to_the_same_bytes(trial: Trial) -> None:
    points = trial.points(POINTS)
    assert points
    assert {at: trial.killed(at) for at in points} == dict.fromkeys(points, "")


@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.get)
def test_what_the_system_refuses_is_a_message_and_nothing_is_half_done(trial: Trial, fault: int) -> None:
    points = trial.points(POINTS)
    assert {at: trial.refused(at, fault) for at in points} == dict.fromkeys(points, "")


def test_two_commands_that_write_one_place_at_once_leave_no_mixture(trial: Trial) -> None:
    if trial.scenario.rival is None:
        pytest.skip("nothing else writes there")
    assert trial.at_once(0.05) == ""


# What is written together, at every single point: the files alone, without the audit before them.
TOGETHER = {f"{name}.txt": f"new {name}".encode() for name in "abc"}


def _old(folder: Path) -> None:
    for name in TOGETHER:
        (folder / name).write_bytes(b"old")


def _write() -> int:
    atomic.write_together({Path.cwd() / name: content for name, content in TOGETHER.items()})
    return 0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    scenario = Scenario(make=_old, run=_write, warm=lambda: None, together=tuple(TOGETHER))
    return Trial(scenario, tmp_path_factory.mktemp("files"))


def test_files_written_together_are_all_old_or_all_new_wherever_their_writer_dies(files: Trial) -> None:
    """Or the note says that the next writer has something to finish; and it does, whichever files it writes."""
    seen = set()
    for at in files.points():
        assert files.killed(at) == ""
        with files.copy() as folder:
            forked(files.scenario, folder, at=at)
            noted = (folder / atomic.UNFINISHED).exists()
            atomic.finish_together(folder)
            after = {name: content for name, content in contents(folder).items() if name in TOGETHER}
            assert after in (dict.fromkeys(TOGETHER, b"old"), TOGETHER)
            assert after == TOGETHER or not noted
            seen.add((noted, after == TOGETHER))
    assert seen == {(False, False), (True, True), (False, True)}


def test_a_stored_report_beside_a_note_of_a_dead_command_is_not_taken_for_one_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    (tmp_path / atomic.UNFINISHED).write_text("{}")
    with pytest.raises(InputError, match=r"reports that were being replaced.*run the audit again with --report"):
        read(tmp_path / "report.json")


@pytest.mark.parametrize(
    "note",
    [
        '{"../out": ".out.00000000.tmp"}',
        '{"a": "../out"}',
        '{"a": "b"}',
        '{"..": null}',
        '{"a/../../out": null}',
        '["a"]',
        "{",
        "1" * 5000,
    ],
)
def test_a_note_that_a_stranger_wrote_moves_nothing(tmp_path: Path, note: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in (tmp_path / "out", folder / "a", folder / "b"):
        path.write_text("as it was")
    (folder / atomic.UNFINISHED).write_text(note)
    atomic.finish_together(folder)
    assert {path.name: path.read_text() for path in (tmp_path / "out", folder / "a", folder / "b")} == dict.fromkeys(
        ("out", "a", "b"), "as it was"
    )
    assert not (folder / atomic.UNFINISHED).exists()


@pytest.mark.parametrize("there", [True, False], ids=["over older ones", "new"])
@pytest.mark.parametrize("links", [True, False])
def test_files_written_together_give_their_names_back_where_one_cannot_have_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, links: bool
) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths if there else ():
        path.write_bytes(b"old")
    rename, calls = Path.replace, []

    def failing(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 3:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(target))
        return rename(self, target)

    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "replace", failing)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(OSError, match="Input/output error"):
        atomic.write_together(dict.fromkeys(paths, b"new"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == (
        dict.fromkeys("abc", b"old") if there else {}
    )
