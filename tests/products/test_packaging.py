"""What a release is made of: its notes, its image, its citation."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from collapse_audit import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_changelog_takes_every_fragment() -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9", "--date", "2030-01-01"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    notes = " ".join(done.stdout.split())
    assert "## 9.9.9 (2030-01-01)" in notes
    fragments = sorted((ROOT / "changes").glob("*.md"))
    assert fragments
    assert [file.name for file in fragments if " ".join(file.read_text("utf-8").split())[:60] not in notes] == []


@pytest.fixture
def image() -> list[list[str]]:
    """The instructions of the Dockerfile, each as its words."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_the_image_holds_every_package(image: list[list[str]]) -> None:
    copied = {word for line in image if line[0] == "COPY" for word in line[1:-1]}
    assert set(PROJECT["tool"]["setuptools"]["package-dir"].values()) <= copied
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert {name for name in copied if not name.startswith("-") and not name.startswith("/")} == kept


def test_no_committed_lineage_goes_into_the_image() -> None:
    """A lineage's folder is one that has a manifest: each is left out by the pattern of its name."""
    kept_out = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    patterns = [line for line in kept_out if line.startswith("lineages/")]
    committed = [file.parent.relative_to(ROOT).as_posix() for file in ROOT.glob("lineages/*/lineage.toml")]
    assert committed
    assert [name for name in committed if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_the_audit_in_the_image_is_nobody_who_owns_anything(image: list[list[str]]) -> None:
    last = [line[0] for line in image].index("FROM", 1)
    users = [line[1] for line in image[last:] if line[0] == "USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1])
    assert image[-2:] == [["ENTRYPOINT", '["collapse-audit"]'], ["CMD", '["--help"]']]


def test_what_is_installed_in_the_image_is_pinned(image: list[list[str]]) -> None:
    installs = [line for line in image if "install" in line]
    assert len(installs) == 1
    assert installs[0][installs[0].index("--constraint") + 1] == "constraints.txt"


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_the_image_follows_the_rules_of_its_linter() -> None:
    subprocess.run(["hadolint", str(ROOT / "Dockerfile")], check=True)


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (cited["version"], cited["license"]) == (__version__, PROJECT["project"]["license"])
    assert all(cited[key] for key in ("cff-version", "message", "title", "authors"))  # what the format requires
