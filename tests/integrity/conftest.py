"""What every test of integrity starts from: a lineage in which nothing is broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from models_on_disk import Folder, whole


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return whole(tmp_path / "whole")
