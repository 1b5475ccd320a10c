"""Tiny lineages, made once and only read."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import workplace


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a healthy lineage, a collapsed one and one that is too small to tell."""
    root = tmp_path_factory.mktemp("workspace")
    workplace.lineage(root / "healthy", seed=1, words=(300, 300), count=600)  # enough to settle every finding
    workplace.lineage(root / "collapsed", seed=2, words=(300, 60))
    for index in (0, 1):
        (root / "tiny").mkdir(exist_ok=True)
        texts = workplace.texts(index, 8, 300)
        (root / "tiny" / f"gen_{index}.txt").write_text("".join(f"{text}\n" for text in texts), "utf-8")
    return root
