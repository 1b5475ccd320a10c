"""Lineages that are only read, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_lineages


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
