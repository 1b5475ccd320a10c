"""The import contracts hold, and a file that is new needs no line in them and is not missed."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / ".importlinter"
LINT = "from importlinter.cli import lint_imports_command as lint; lint()"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The package's modules, laid out as an installed copy has them."""
    package = tmp_path / "collapse_audit"
    for folder, place in (("audit", "."), ("probes", "probes"), ("lineages", "lineages"), ("reports", "reports")):
        for file in (ROOT / folder).rglob("*.py"):
            target = package / place / file.relative_to(ROOT / folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return package


def broken(house: Path) -> str:
    """What the contracts say of the house; empty where all are kept."""
    command = [sys.executable, "-c", LINT, "--config", str(CONTRACTS), "--no-cache"]
    paths = {"PYTHONPATH": str(house.parent), "NO_COLOR": "1", "COLUMNS": "200"}
    done = subprocess.run(
        command, cwd=house.parent, env=os.environ | paths, capture_output=True, text=True, check=False
    )
    assert " broken." in done.stdout, done.stdout + done.stderr
    return "" if done.returncode == 0 else done.stdout


def test_the_contracts_hold_and_a_new_probe_needs_no_line(house: Path) -> None:
    (house / "probes" / "another.py").write_text("from collapse_audit.probes.types import probe\n")
    assert broken(house) == ""


def test_a_new_probe_that_imports_another_breaks_them(house: Path) -> None:
    (house / "probes" / "another.py").write_text("from collapse_audit.probes.length import length\n")
    said = broken(house)
    assert "Probes know nothing of each other BROKEN" in said
    assert "collapse_audit.probes.another -> collapse_audit.probes.length" in said


def test_a_new_file_that_closes_a_circle_breaks_them_wherever_it_is(house: Path) -> None:
    file = house / "run" / "overview" / "another.py"
    file.write_text("from collapse_audit.run.overview.stage import Stage\n")
    assert broken(house) == ""
    with (house / "run" / "overview" / "stage.py").open("a") as stage:
        stage.write("\nfrom collapse_audit.run.overview import another\n")
    assert "Nothing goes in a circle, in any folder, nor between folders BROKEN" in broken(house)


def test_a_new_folder_and_a_new_renderer_are_not_forgotten() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(CONTRACTS)
    layers = contracts["importlinter:contract:probes"]["layers"].replace("|", " ").split()
    assert {path.parent.name for path in (ROOT / "probes").glob("*/__init__.py")} <= set(layers)
    renderers = contracts["importlinter:contract:renderers"]["modules"].split()
    assert sorted(renderers) == [
        f"collapse_audit.reports.{path.stem}" for path in sorted((ROOT / "reports").glob("as_*.py"))
    ]
