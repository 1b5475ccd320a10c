"""A full disk, a read-only file system or a kill at every point where a command changes a file: all or nothing.

``python -m benchmarks.faults --kills 100`` tries more commands, and random moments.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from benchmarks.faults import Trial
from collapse_audit import atomic

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
FAULTS = (errno.ENOSPC, errno.EROFS)


@pytest.fixture(scope="module", params=["report", "history", "pack"])
def trial(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(request.param, tmp_path_factory.mktemp(request.param))


def test_a_command_that_dies_anywhere_is_repeated_to_the_same_bytes(trial: Trial) -> None:
    assert trial.points
    assert {at: trial.killed(at) for at in trial.points} == dict.fromkeys(trial.points, "")


@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.get)
def test_what_the_system_refuses_is_a_message_and_nothing_is_half_done(trial: Trial, fault: int) -> None:
    assert {at: trial.refused(at, fault) for at in trial.points} == dict.fromkeys(trial.points, "")


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
