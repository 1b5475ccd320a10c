"""Damaged packs, histories, reports, waivers and tokenizer files end in a documented exit code and one message."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.fuzz_beside import COMMANDS, case, run_on, write_beside

SECONDS = 120.0  # of a machine that does much else; the command allows 20
GENERATED = range(12)
"""``python -m benchmarks.fuzz_beside`` tries many more, for as long as it is let."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beside") / "whole"
    write_beside(folder)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_damaged_is_read_where_it_is_whole(whole: Path, tmp_path: Path, name: str) -> None:
    if name == "tokenizer.json" and find_spec("tokenizers") is None:
        pytest.skip("no tokenizers here")
    shutil.copytree(whole, tmp_path / "case")
    outcome = run_on(tmp_path / "case", name)
    assert outcome.code in (0, 6), outcome.said


@pytest.mark.parametrize("seed", GENERATED)
def test_a_damaged_file_beside_a_lineage_keeps_every_promise(whole: Path, tmp_path: Path, seed: int) -> None:
    name, outcome = case(seed, whole, tmp_path / "case")
    assert outcome.broken(SECONDS) == "", (name, outcome.said)
