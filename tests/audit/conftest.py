"""Lineages that are only read, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_lineages

import collapse_audit


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one lineage of each kind. Nothing in it is ever written to."""
    root = tmp_path_factory.mktemp("shelf")
    for make in (
        small_lineages.healthy,
        small_lineages.collapsed,
        small_lineages.tiny,
        small_lineages.only_context,
    ):
        make(root / make.__name__)
    (root / "crashing.py").write_text(small_lineages.CRASHING, encoding="utf-8")
    (root / "letters.py").write_text(small_lineages.LETTERS, encoding="utf-8")
    return root


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from this repository's own pyproject.toml, and where anything written by mistake is seen."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)


@pytest.fixture(scope="session")
def _warm(shelf: Path) -> None:
    """What an audit imports on its way is imported before pytester looks."""
    collapse_audit.audit(shelf / "collapsed")


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """Seed 0 is healthy, seed 1 collapsed."""
    root = tmp_path / "seeds"
    small_lineages.healthy(root / "seed_0", generations=1)
    small_lineages.collapsed(root / "seed_1")
    return root
