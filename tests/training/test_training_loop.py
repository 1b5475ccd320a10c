"""A lineage from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from toy_training import (
    HOLDOUT,
    REFERENCE,
    Copy,
    contents,
    read_toml,
    recipe_of,
    records_of,
    train,
    without_last,
    write_toy,
)

from collapse_audit.lineage_cli import main
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.training import finetune, loop
from collapse_audit.lineages.training.base import BaseModel, load_tokenizer

torch = pytest.importorskip("torch")
for _name in ("transformers", "peft", "bitsandbytes", "accelerate", "filelock"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_lineage_of_two_seeds_and_three_generations_is_whole_and_loads(finished: Path) -> None:
    lineage = load_lineage(finished)  # every digest in the manifest is that of its file
    assert [(entry.seed, entry.index) for entry in lineage.generations] == [(s, k) for s in "01" for k in range(3)]
    assert main(["validate", str(finished)]) == 0
    entries = read_toml(finished)["generation"]
    # all seeds generation by generation
    assert [(one["seed"], one["index"]) for one in entries] == [(s, k) for k in range(3) for s in (0, 1)]
    for one in entries:
        seed, index = one["seed"], one["index"]
        folder = f"seed_{seed}/gen_{index}"
        source = "reference" if index == 0 else f"seed_{seed}/gen_{index - 1}/texts.jsonl.gz"
        digest = {"digest": file_digest(finished / "reference.jsonl")} if index == 0 else {}
        assert one["trained_on"] == [{"corpus": source, **digest, "share": 1.0}]
        assert (one["texts"], one["holdout"]) == (f"{folder}/texts.jsonl.gz", f"{folder}/holdout.jsonl.gz")
        assert (one["adapter"], one["train_log"]) == (f"{folder}/adapter", f"{folder}/train.jsonl")
        assert one["init_from"] == "base"
        assert one["decoding"]["max_new_tokens"] == 16
        assert one["model"]["adapter_digest"] == file_digest(finished / folder / "adapter/adapter_model.safetensors")
        assert one["model"]["recipe"] == recipe_of().digest
        assert (one["model"]["base"], one["model"]["examples"]) == ("base", 24)
        assert one["software"]["torch"] == torch.__version__


def test_every_prompt_is_answered_in_its_place_and_every_text_scored(finished: Path) -> None:
    for path, prompts in (("texts.jsonl.gz", REFERENCE), ("holdout.jsonl.gz", HOLDOUT)):
        for folder in sorted(finished.glob("seed_*/gen_*")):
            records = records_of(folder / path)
            assert [(one["id"], one["prompt"]) for one in records] == [(one["id"], one["prompt"]) for one in prompts]
            assert all(one["nll"] > 0 and one["n_tokens"] >= 0 for one in records)
    entry = read_toml(finished)["generation"][0]
    ended = [one["ended"] for one in records_of(finished / "seed_0" / "gen_0" / "texts.jsonl.gz")]
    assert entry["model"]["ended"] == round(sum(ended) / 24, 4)


def test_every_step_is_logged_once(finished: Path) -> None:
    """24 examples, 8 epochs, batches of 8: 24 steps, of which 0.03 * 24, rounded up, warm up; then down to zero."""
    for path in sorted(finished.glob("seed_*/gen_*/train.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(1, 25))
        assert [line["epoch"] for line in lines] == [round(step / 3, 4) for step in range(1, 25)]
        rates = [line["learning_rate"] for line in lines]
        assert rates == pytest.approx([0.0, *(0.01 * (24 - step) / 23 for step in range(1, 24))])
        assert all(line["loss"] > 0 and line["grad_norm"] > 0 for line in lines)


def test_seeds_and_generations_differ(finished: Path) -> None:
    for name in ("texts.jsonl.gz", "holdout.jsonl.gz", "adapter/adapter_model.safetensors"):
        digests = [file_digest(path / name) for path in finished.glob("seed_*/gen_*")]
        assert len(set(digests)) == 6, name


def test_only_the_lineage_is_left_behind(finished: Path) -> None:
    generation = {"adapter/adapter_config.json", "adapter/adapter_model.safetensors"}
    generation |= {"texts.jsonl.gz", "holdout.jsonl.gz", "train.jsonl"}
    expected = {f"seed_{seed}/gen_{index}/{name}" for seed in (0, 1) for index in range(3) for name in generation}
    human = {"lineage.toml", "pretrain.jsonl", "reference.jsonl", "reference.holdout.jsonl"}
    assert set(contents(finished)) == expected | human


def test_a_finished_lineage_is_left_as_it_is(finished: Path, copy_of: Copy) -> None:
    root = copy_of(finished)
    assert train(root) == 0
    assert contents(root) == contents(finished)


def test_one_seed_after_the_other_is_the_same_as_both_together(finished: Path, untrained: Path, copy_of: Copy) -> None:
    """Only the order of the entries in the manifest tells."""
    root = copy_of(untrained)
    assert train(root, more=("--seed", "1")) == 0
    assert {entry["seed"] for entry in read_toml(root)["generation"]} == {1}
    assert train(root, more=("--seed", "0")) == 0
    ours, theirs = contents(root), contents(finished)
    ours.pop("lineage.toml")
    theirs.pop("lineage.toml")
    assert ours == theirs
    key = lambda entry: (entry["seed"], entry["index"])  # noqa: E731
    assert sorted(read_toml(root)["generation"], key=key) == sorted(read_toml(finished)["generation"], key=key)


def test_the_base_is_made_once_and_is_the_same_again(untrained: Path, tmp_path: Path) -> None:
    root = write_toy(tmp_path / "toy", generations=1, seeds=[0])
    assert train(root) == 0
    names = [path.name for path in (untrained / "base").iterdir()]
    assert sorted(path.name for path in (root / "base").iterdir()) == sorted(names)
    for name in names:
        assert (root / "base" / name).read_bytes() == (untrained / "base" / name).read_bytes(), name


def test_writing_changes_neither_its_own_adapter_nor_any_other(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = without_last(short, tmp_path / "toy")
    first = root / "seed_0/gen_0/adapter/adapter_model.safetensors"
    before = file_digest(first)
    seen: list[tuple[dict[str, Any], str]] = []
    inner = loop.generate

    def watched(model: Any, *args: Any, **rest: Any) -> Any:
        file = root / "seed_0/gen_1/adapter/adapter_model.safetensors"
        tensors, digest = finetune.adapter_tensors(model), file_digest(file)
        records = inner(model, *args, **rest)
        after = finetune.adapter_tensors(model)
        assert all(torch.equal(tensors[name], after[name]) for name in tensors)
        assert file_digest(file) == digest
        seen.append((after, digest))
        return records

    monkeypatch.setattr(loop, "generate", watched)
    assert train(root) == 0
    assert len(seen) == 2
    assert file_digest(first) == before


def test_from_its_parent_a_generation_goes_on_where_the_parent_ended(
    untrained: Path, copy_of: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    root = copy_of(untrained)
    write_toy(root, seeds=[0], generations=3, init_from="parent")
    starts: list[dict[str, Any]] = []
    inner = finetune.attach

    def watched(*args: Any, **rest: Any) -> Any:
        model = inner(*args, **rest)
        tensors = finetune.adapter_tensors(model)
        starts.append({name.replace(".default.", "."): value for name, value in tensors.items()})
        return model

    monkeypatch.setattr(finetune, "attach", watched)
    assert train(root) == 0
    entries = read_toml(root)["generation"]
    assert [entry["init_from"] for entry in entries] == ["base", "parent", "parent"]
    for index in (1, 2):
        parent = load_file(root / f"seed_0/gen_{index - 1}/adapter/adapter_model.safetensors")
        assert starts[index].keys() == parent.keys()
        assert all(torch.equal(starts[index][name], parent[name]) for name in parent)
    for entry in entries:  # nobody wrote into the parent's folder
        assert entry["model"]["adapter_digest"] == file_digest(root / entry["adapter"] / "adapter_model.safetensors")


def test_texts_are_scored_under_generation_0(finished: Path) -> None:
    """The same text to the same prompt has the same score, whichever generation wrote it."""
    scores: dict[tuple[str, str], float] = {}
    repeated = 0
    for path in sorted(finished.glob("seed_0/gen_*/*.jsonl.gz")):
        for one in records_of(path):
            key = (one["prompt"], one["text"])
            repeated += key in scores
            assert one["nll"] == pytest.approx(scores.setdefault(key, one["nll"]), abs=1e-5)
    assert repeated > 5


def test_blocks_are_trained_and_written_from_end_to_end(tmp_path: Path) -> None:
    root = write_toy(
        tmp_path / "toy",
        task="blocks",
        seeds=[0],
        generations=2,
        base__architecture="opt",
        text={"block": 8, "context": 32},
        decoding={"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False, "num_beams": 2, "batch_size": 8},
    )
    assert train(root) == 0
    tokenizer = load_tokenizer(BaseModel(name=str(root / "base"), revision=None, digest=None))
    texts = [one["text"] for batch in open_corpus(root / "reference.jsonl").batches() for one in batch.to_pylist()]
    blocks = sum(len(tokenizer(text)["input_ids"]) for text in texts) // 8
    for index in range(2):
        records = records_of(root / f"seed_0/gen_{index}/texts.jsonl.gz")
        assert [one["id"] for one in records] == [f"block-{number:05d}" for number in range(blocks)]
        assert all(one["n_tokens"] == 8 for one in records)
    assert main(["validate", str(root)]) == 0
