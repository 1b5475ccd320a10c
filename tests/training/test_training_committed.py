"""The thyroid lineages in this repository are what their manifests say, and training can go on in them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.training.base import prepare_base
from collapse_audit.lineages.training.run import Run, open_run

LINEAGES = Path(__file__).resolve().parents[2] / "lineages"
SEEDS = {
    **dict.fromkeys(("mistral_recursive", "llama_recursive", "mistral_cross", "llama_cross"), ("0", "1", "2")),
    **dict.fromkeys(("mistral_cross_unlike", "llama_cross_unlike"), ("0",)),
}


class _Refuses:
    """Progress of a training that must not begin."""

    def start(self, what: str, total: int) -> None:
        raise AssertionError(f"{what} began ({total} pieces)")

    def update(self, done: int, note: str = "") -> None:
        raise AssertionError(f"{done} {note}")

    def say(self, message: str) -> None:
        raise AssertionError(message)


@pytest.fixture(params=SEEDS)
def run(request: pytest.FixtureRequest) -> Run:
    """A lineage as it lies here."""
    return open_run(LINEAGES / request.param)


def test_the_base_belongs_to_the_manifest(run: Run) -> None:
    base = prepare_base(run.root, run.recipe, _Refuses())  # type: ignore[arg-type]
    written = {entry.details["model"]["base_digest"] for entry in run.lineage().generations}
    assert written == {base.digest}


def test_every_generation_was_made_by_the_manifests_recipe(run: Run) -> None:
    assert {entry.details["model"]["recipe"] for entry in run.lineage().generations} == {run.recipe.digest}


def test_every_adapter_is_the_one_that_was_recorded(run: Run) -> None:
    """Those of seed 0 are kept: three seeds' would be a third of the repository."""
    for entry in run.lineage().generations:
        if entry.adapter is None:
            assert entry.seed != "0"
            continue
        assert file_digest(entry.adapter / "adapter_model.safetensors") == entry.details["model"]["adapter_digest"]


def test_every_seed_has_all_generations_and_its_losses(run: Run) -> None:
    lineage = run.lineage()
    assert lineage.seeds == SEEDS[run.root.name]
    for seed in lineage.seeds:
        entries = lineage.of_seed(seed)
        assert [entry.index for entry in entries] == list(range(run.recipe.generations)) == [0, 1, 2, 3, 4]
        for entry in entries:
            assert entry.train_log is not None
            losses = [json.loads(line)["loss"] for line in entry.train_log.read_text("utf-8").splitlines()]
            if entry.index:  # the bases know people's reports before generation 0
                assert sum(losses[-10:]) < sum(losses[:10])


def test_all_lineages_together_stay_small() -> None:
    """A repository of 100 MB is as much as people like to clone."""
    kept = subprocess.run(["git", "ls-files", "-z", "."], cwd=LINEAGES, capture_output=True, text=True, check=True)
    assert sum((LINEAGES / name).stat().st_size for name in kept.stdout.split("\0") if name) < 80e6
