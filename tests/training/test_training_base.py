"""The base: whole, what was trained, inside the folder, or a message."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_training import QUICK, Copy, edit, generations_of, read_toml, train, write_jsonl, write_toy

from collapse_audit.lineages.training import base
from collapse_audit.lineages.training.recipe import Base, Pretraining
from collapse_audit.lineages.training.run import start_run

for _name in ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "filelock"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_base_that_is_not_complete_or_not_what_was_trained_is_refused(
    untrained: Path, copy_of: Copy, refusal: Callable[..., str]
) -> None:
    weights = "base/model.safetensors"
    anew = "remove it to have it made anew"
    for number, (damage, words) in enumerate(
        [
            (lambda root: (root / "base/base.json").unlink(), f"base is there and not complete; {anew}"),
            (lambda root: (root / "base/base.json").write_text("{"), f"base is there and not complete; {anew}"),
            (lambda root: (root / weights).unlink(), f"base is there and not complete; {anew}"),
            (lambda root: (root / "base/tokenizer.json").unlink(), f"base is there and not complete; {anew}"),
            (
                lambda root: shutil.rmtree(root / "base") or (root / "base").mkdir(),
                f"is there and not complete; {anew}",
            ),
            (
                lambda root: (root / weights).write_bytes((root / weights).read_bytes()[:-10]),
                "base is not what was trained: its weights have changed",
            ),
            (
                lambda root: write_jsonl(root / "pretrain.jsonl", [{"text": "other"}]),
                "base was made by another recipe than the manifest's; remove the folder to have it made anew",
            ),
        ]
    ):
        root = copy_of(untrained, f"toy{number}")
        damage(root)
        message = refusal(root)
        assert message.startswith(f"{root}/base ")
        assert message.endswith(words)
        assert generations_of(root) == []


def test_lineages_of_one_base_share_its_folder(short: Path, copy_of: Copy, refusal: Callable[..., str]) -> None:
    owner = copy_of(short, "owner")
    other = copy_of(short, "other")
    edit(other, "[recipe.base]", '[recipe.base]\nfolder = "../owner/base"')
    shutil.rmtree(other / "base")
    assert train(other) == 0  # made by the same recipe and the same base as before: nothing is left to do
    assert not (other / "base").exists()
    shutil.rmtree(owner / "base")
    assert refusal(other) == f"{owner}/base is not there, and it belongs to another lineage; train that one first"
    assert not (owner / "base").exists()


def test_a_new_lineage_gets_a_base_of_its_own(short: Path, copy_of: Copy, tmp_path: Path) -> None:
    copy_of(short, "owner")
    other = copy_of(short, "other")
    edit(other, "[recipe.base]", '[recipe.base]\nfolder = "../owner/base"')
    shutil.rmtree(other / "base")
    start_run(other, tmp_path / "new", profile=None)
    assert "folder" not in read_toml(tmp_path / "new")["recipe"]["base"]
    assert (tmp_path / "new" / "base" / "model.safetensors").read_bytes() == (
        tmp_path / "owner" / "base" / "model.safetensors"
    ).read_bytes()


def test_training_does_not_go_on_from_another_base_than_it_began_with(
    short: Path, copy_of: Copy, refusal: Callable[..., str]
) -> None:
    root = copy_of(short)
    began = read_toml(root)["generation"][0]["model"]["base_digest"]
    edit(root, began, began[:-4] + ("0000" if began[-4:] != "0000" else "1111"))
    assert refusal(root) == (
        f"{root}: generation 0 of seed 0 was made from another base than {root / 'base'} is now; put that one back, or "
        "start a new lineage with --out"
    )


def test_a_lineage_starts_from_a_model_in_a_folder(base_in_a_folder: Callable[[str], Path]) -> None:
    root = base_in_a_folder("mistral")
    edit(root, "generations = 3", "generations = 1")
    edit(root, "learning_rate = 0.01", "learning_rate = 0.05")
    edit(root, "epochs = 1", "epochs = 40")
    assert train(root) == 0
    assert read_toml(root)["generation"][0]["model"]["base"] == "model"


def test_a_model_in_a_folder_that_is_not_complete_is_refused(
    base_in_a_folder: Callable[[str], Path], tmp_path: Path, refusal: Callable[..., str]
) -> None:
    root = base_in_a_folder("llama")
    model = tmp_path / "model"
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    message = refusal(root)
    assert message.startswith(f"the base {model} cannot be loaded (")
    assert message.endswith(
        "); the folder must hold config.json, the weights (safetensors) and the tokenizer, all complete"
    )
    weights.unlink()
    (model / "config.json").unlink()
    found = "missing: config.json, weights (*.safetensors)"
    assert refusal(root) == f"the base {model} is not complete ({found})"
    shutil.rmtree(model)
    assert refusal(root) == f"the base {model} is not complete (no such folder)"


def test_a_model_on_the_hub_that_cannot_be_reached_is_refused_with_what_to_do(
    tmp_path: Path, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    root = write_toy(tmp_path / "toy", **QUICK, base={"hub": "no-such-owner/no-such-model"})
    message = refusal(root)
    assert message.startswith("the base no-such-owner/no-such-model cannot be loaded (")
    assert message.endswith(
        "); a hub id needs the network or the model in the local cache, and for some models an accepted licence and a "
        'login (hf auth login); or give recipe.base.folder = "…" with the model\'s files'
    )


def test_pretraining_blocks_longer_than_the_context_are_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    """OPT has a learned position for each token of the context and none behind it."""
    root = write_toy(tmp_path / "toy", **QUICK, base__architecture="opt", base__pretrain__block=64)
    assert "block" in refusal(root)


def test_pretraining_texts_outside_the_folder_are_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    root = write_toy(tmp_path / "toy", **QUICK, base__pretrain__texts="../outside.jsonl")
    shutil.move(root / "pretrain.jsonl", tmp_path / "outside.jsonl")
    edit(root, "generations = 3", "generations = 1")
    assert "pretrain" in refusal(root)
    assert not (root / "base").exists()


def test_a_new_lineage_writes_nothing_outside_its_folder(tmp_path: Path) -> None:
    root = write_toy(tmp_path / "a" / "toy", **QUICK, base__pretrain__texts="../outside.jsonl")
    shutil.move(root / "pretrain.jsonl", tmp_path / "a" / "outside.jsonl")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "outside.jsonl").write_text("mine")
    train(root, more=("--out", str(tmp_path / "b" / "new"), "--seed", "7"))
    assert (tmp_path / "b" / "outside.jsonl").read_text() == "mine"


def test_pretraining_reads_all_texts_end_to_end_or_each_by_itself() -> None:
    texts = [[0, 5, 6, 7, 1], [0, 8, 1], [0, 9, 1]]
    packed = base.sequences(texts, Pretraining(texts="x", block=4))
    assert [block.tolist() for block in packed] == [[0, 5, 6, 7], [1, 0, 8, 1]]  # the last three are not a block
    apart = base.sequences(texts, Pretraining(texts="x", block=4, packed=False))
    assert [block.tolist() for block in apart] == [
        [0, 5, 6, 7],
        [0, 8, 1],
        [0, 9, 1],
    ]  # a last token alone has nothing to be learned from


def test_a_base_that_is_packed_keeps_the_identity_that_it_had_before_there_was_a_choice() -> None:
    made = Base(architecture="opt", folder="somewhere", pretrain=Pretraining(texts="x"))
    assert "packed" not in made.identity()["pretrain"]
    assert not {"folder", "gguf"} & set(made.identity())
    apart = Base(architecture="opt", pretrain=Pretraining(texts="x", packed=False))
    assert apart.identity()["pretrain"]["packed"] is False
