"""A lineage with everything that integrity looks at, whole: three generations, adapters, digests, training records."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tomli_w
from safetensors.numpy import load_file, save_file

from collapse_audit.lineages.files.digest import file_digest

Tensors = dict[str, npt.NDArray[Any]]
RANK, INNER, OUTER, LAYERS = 2, 6, 4, 3
DECODING = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "batch_size": 8}
WEIGHTS = "adapter_model.safetensors"


def layer(number: int) -> str:
    return f"base_model.model.model.layers.{number}.self_attn.q_proj"


def tensors(seed: int) -> Tensors:
    """A LoRA adapter of three layers that change 4x6 matrices."""
    rng = np.random.default_rng(seed)
    found: Tensors = {}
    for number in range(LAYERS):
        found[f"{layer(number)}.lora_A.weight"] = rng.normal(size=(RANK, INNER)).astype(np.float32)
        found[f"{layer(number)}.lora_B.weight"] = rng.normal(size=(OUTER, RANK)).astype(np.float32)
    return found


def write_adapter(folder: Path, found: Tensors, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(found, folder / WEIGHTS)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": RANK, **config}))
    return folder


def documents(seed: int, count: int = 40) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(f"w{rng.randrange(50)}" for _ in range(20)) for _ in range(count)]


def write_texts(path: Path, texts: Iterable[str]) -> str:
    """Returns the file's digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return file_digest(path)


class Folder:
    """The lineage's folder, and its manifest as a table to be changed before ``save``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manifest: dict[str, Any] = {"format": 1, "name": "whole", "scheme": "preserve"}

    def save(self) -> Path:
        (self.root / "lineage.toml").write_text(tomli_w.dumps(self.manifest))
        return self.root

    @property
    def generations(self) -> list[dict[str, Any]]:
        return list(self.manifest["generation"])

    def adapter(self, index: int) -> Path:
        return self.root / f"gen_{index}" / "adapter"

    def rewrite(self, index: int, change: Callable[[Tensors], object]) -> None:
        """Change an adapter's tensors, and the digest that the manifest records of its file."""
        found = load_file(self.adapter(index) / WEIGHTS)
        change(found)
        save_file(found, self.adapter(index) / WEIGHTS)
        self.record(index)

    def record(self, index: int) -> None:
        self.generations[index]["model"]["adapter_digest"] = file_digest(self.adapter(index) / WEIGHTS)


def whole(root: Path) -> Folder:
    """Generation 0 of people's text, each later one of a tenth of that and the texts of the one before."""
    folder = Folder(root)
    reference = documents(1)
    digest = write_texts(root / "reference.jsonl", reference)
    write_texts(root / "reference.holdout.jsonl", documents(2))
    folder.manifest |= {"reference": {"texts": "reference.jsonl", "holdout": "reference.holdout.jsonl"}}
    folder.manifest["generation"] = []
    base = {f"{layer(k).removeprefix('base_model.model.')}.weight": np.ones((OUTER, INNER)) for k in range(LAYERS)}
    (root / "base").mkdir()
    save_file(base, root / "base" / "model.safetensors")
    before, sources = reference, [{"corpus": "reference", "share": 1.0, "digest": digest}]
    for index in range(3):
        people = round(sources[0]["share"] * 40)
        training = [*reference[:people], *before[people:]]
        texts = documents(10 + index)
        name = f"gen_{index}/texts.jsonl"
        write_texts(root / f"gen_{index}" / "holdout.jsonl", documents(20 + index))
        write_adapter(folder.adapter(index), tensors(index))
        entry = {
            "index": index,
            "texts": name,
            "texts_digest": write_texts(root / name, texts),
            "holdout": f"gen_{index}/holdout.jsonl",
            "training": f"gen_{index}/training.jsonl",
            "training_digest": write_texts(root / f"gen_{index}" / "training.jsonl", training),
            "trained_on": sources,
            "init_from": "base",
            "decoding": dict(DECODING),
            "model": {"base": "base", "base_digest": file_digest(root / "base" / "model.safetensors")},
        }
        folder.manifest["generation"].append(entry)
        folder.record(index)
        previous = {"corpus": name, "share": 0.9, "digest": entry["texts_digest"]}
        before, sources = texts, [{"corpus": "reference", "share": 0.1, "digest": digest}, previous]
    return folder
