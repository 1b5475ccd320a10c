"""A report folder holds whole files, or what it held before."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from examples import collapsed, healthy, hostile

from collapse_audit.errors import ProbeError, UsageError
from collapse_audit.reports import RENDERERS
from collapse_audit.reports.from_json import read
from collapse_audit.reports.write import FILES, write_file, write_report


def test_folder_holds_every_file_of_the_report(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    written = write_report(collapsed(), folder)
    assert written == tuple(folder / name for name in ("report.json", "report.html", "report.md", "junit.xml"))
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "report.html", "report.json", "report.md"]
    for name, file in FILES.items():
        assert (folder / file).read_bytes() == RENDERERS[name](collapsed()).encode("utf-8")


def test_written_report_is_read_back(tmp_path: Path) -> None:
    write_report(collapsed(), tmp_path)
    assert read(tmp_path / "report.json").findings == collapsed().findings


def test_hostile_text_is_written_as_utf8(tmp_path: Path) -> None:
    for path in write_report(hostile(), tmp_path):
        path.read_bytes().decode("utf-8")


def test_older_report_is_replaced_and_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("old", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    write_report(healthy(), tmp_path)
    assert read(tmp_path / "report.json").summary == healthy().summary
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_file_in_the_place_of_the_folder_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "out").write_text("precious", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        write_report(healthy(), tmp_path / "out" / below)
    assert f"{tmp_path / 'out'} is a file, and a folder is needed there" in str(caught.value)
    assert caught.value.exit_code == 4
    assert (tmp_path / "out").read_text(encoding="utf-8") == "precious"


def test_folder_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="File name too long; name a folder that you may write to"):
        write_report(healthy(), tmp_path / ("x" * 300))


def test_report_with_a_number_that_is_not_finite_writes_nothing(tmp_path: Path) -> None:
    made = healthy()
    broken = replace(made, findings=(replace(made.findings[0], value=math.nan),))
    with pytest.raises(ProbeError):
        write_report(broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_failed_write_leaves_the_older_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.json").write_text("old", encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left on device"):
        write_file(tmp_path / "report.json", "new")
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_disk_that_fills_up_leaves_the_four_files_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    write_report(healthy(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    synced: list[int] = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left on device"):
        write_report(collapsed(), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_folder_in_the_place_of_a_file_is_refused_without_litter(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(UsageError, match=r"cannot write the report to .*report\.json"):
        write_report(healthy(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_link_in_the_folder_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("precious", encoding="utf-8")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "report.json").symlink_to(tmp_path / "elsewhere")
    write_report(healthy(), folder)
    assert (tmp_path / "elsewhere").read_text(encoding="utf-8") == "precious"
    assert not (folder / "report.json").is_symlink()


def test_files_are_as_readable_as_any_other_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    write_file(tmp_path / "report.json", "x")
    assert (tmp_path / "report.json").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_every_renderer_takes_a_report_and_gives_text() -> None:
    assert list(RENDERERS) == ["html", "json", "junit", "markdown", "text"]
    assert all(render(healthy()).endswith("\n") for render in RENDERERS.values())
    assert set(FILES) <= set(RENDERERS)
