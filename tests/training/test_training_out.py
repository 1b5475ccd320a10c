"""A new lineage from another's recipe (--out)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_training import QUICK, Copy, edit, generations_of, read_toml, texts_of, train, write_toy

from collapse_audit.lineages.training import run

for _name in ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "filelock"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_new_lineage_takes_the_recipe_the_human_text_and_the_base_and_no_generation(
    short: Path, tmp_path: Path
) -> None:
    out = tmp_path / "runs" / "mine"
    assert train(short, more=("--out", str(out))) == 0
    for name in ("reference.jsonl", "pretrain.jsonl", "base/model.safetensors", texts_of(0), texts_of(1)):
        assert (out / name).read_bytes() == (short / name).read_bytes()
    assert read_toml(out)["name"] == "mine"
    assert train(short, more=("--out", str(out))) == 0  # it is complete
    assert generations_of(out) == [(0, 0), (0, 1)]


def test_a_folder_that_is_no_lineage_or_one_of_another_recipe_is_not_written_to(
    short: Path, untrained: Path, copy_of: Copy, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    message = "is there already and no lineage; name a folder that is new or empty"
    assert refusal(short, more=("--out", str(tmp_path / "full"))) == f"{tmp_path}/full {message}"
    other = copy_of(untrained)
    edit(other, "epochs = 8", "epochs = 9")
    assert refusal(short, more=("--out", str(other))) == f"{other} holds a lineage of another recipe; name a new folder"


def test_a_profile_makes_a_lineage_of_its_own(tmp_path: Path, refusal: Callable[..., str]) -> None:
    root = write_toy(tmp_path / "toy", **QUICK, profile={"half": {"generations": 1, "text": {"context": 47}}})
    assert refusal(root, more=("--profile", "half")) == "a profile makes another lineage: name its folder with --out"
    out = tmp_path / "half"
    assert train(root, more=("--profile", "half", "--out", str(out))) == 0
    assert generations_of(out) == [(0, 0)]
    assert read_toml(out)["recipe"]["text"] == {"context": 47}
    assert "profile" not in read_toml(out)["recipe"]
    assert json.loads((out / "base/tokenizer_config.json").read_text())["model_max_length"] == 47


def test_a_new_lineage_from_a_model_in_a_folder_can_be_gone_on_with(
    base_in_a_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    root, out = base_in_a_folder("llama"), tmp_path / "out"
    run.start_run(root, out, profile=None)
    run.start_run(root, out, profile=None)


def test_a_new_lineage_that_was_interrupted_while_it_was_copied_is_begun_anew(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_manifest", interrupted)
        assert train(short, more=("--out", str(tmp_path / "out"))) == 2
    run.start_run(short, tmp_path / "out", profile=None)


@pytest.mark.parametrize("name", ["reference.jsonl", "reference.holdout.jsonl", "pretrain.jsonl"])
def test_a_new_lineage_is_not_gone_on_with_where_the_text_that_it_copied_was_edited_since(
    short: Path, copy_of: Copy, tmp_path: Path, refusal: Callable[..., str], name: str
) -> None:
    """It would go on with its old copy, silently."""
    root, out = copy_of(short), tmp_path / "out"
    run.start_run(root, out, profile=None)
    with (root / name).open("a") as file:
        file.write('{"prompt": "left 99 mm", "text": "node left."}\n')
    assert refusal(root, more=("--out", str(out))) == (
        f"{root / name} is another file than {out / name}, which was copied from it; put it back, or name a new folder"
    )


def test_one_new_folder_takes_one_lineage(short: Path, tmp_path: Path, refusal: Callable[..., str]) -> None:
    assert refusal(short, short, more=("--out", str(tmp_path / "x"))) == "--out makes one new lineage; name one LINEAGE"
