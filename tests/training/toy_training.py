"""A lineage small enough to be trained in seconds: thirty reports with a rule in them, and a model that learns it.

The report's kind follows from the size by a fixed rule, so the model can know when a text is over and stop.
"""

from __future__ import annotations

import copy
import gzip
import json
import shutil
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from collapse_audit.lineage_cli import main
from collapse_audit.lineages.disk.manifest import Manifest, parse_manifest
from collapse_audit.lineages.training import loop
from collapse_audit.lineages.training.recipe import Recipe, read_recipe

Copy = Callable[..., Path]

KINDS = ("cyst", "node", "scar", "none")
RECORDS = [
    {"id": f"r{side}{size}", "prompt": f"{side} {size} mm", "text": f"{KINDS[size // 3 % 4]} {side}."}
    for side in ("left", "right")
    for size in range(1, 16)
]
REFERENCE, HOLDOUT = RECORDS[:24], RECORDS[24:]
RECIPE: dict[str, Any] = {
    "task": "completion",
    "generations": 3,
    "seeds": [0, 1],
    "base": {
        "architecture": "llama",
        "hidden": 64,
        "layers": 1,
        "heads": 2,
        "feed_forward": 64,
        "vocabulary": 300,
        "pretrain": {"texts": "pretrain.jsonl", "epochs": 4, "block": 16, "batch_size": 8, "learning_rate": 0.01},
    },
    "lora": {"r": 4},
    "training": {
        "epochs": 8,
        "learning_rate": 0.01,
        "batch_size": 8,
        "max_grad_norm": 1.0,
        "checkpoint_steps": 5,
    },
    "text": {"context": 48},
    "decoding": {"max_new_tokens": 16, "batch_size": 8},
}
"""24 examples, 8 epochs, batches of 8: 24 steps, checkpoints after 5, 10, 15, 20 (and at the end)."""
QUICK = {"seeds": [0], "training": {"epochs": 1, "learning_rate": 0.01, "batch_size": 8}}
"""Changes to it: three steps a generation."""


def changed(table: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with keys replaced; ``training__epochs=1`` reaches into a table, and None takes a key out."""
    result = copy.deepcopy(dict(table))
    for path, value in changes.items():
        *tables, key = path.split("__")
        inner = result
        for name in tables:
            inner = inner.setdefault(name, {})
        if value is None:
            inner.pop(key, None)
        else:
            inner[key] = value
    return result


def manifest_of(recipe: Mapping[str, Any], *, scheme: Any = "recursive") -> Manifest:
    """A manifest with this recipe; scheme None leaves the key out."""
    head: dict[str, Any] = {"format": 1, "name": "toy", "recipe": dict(recipe)}
    if scheme is not None:
        head["scheme"] = scheme
    return parse_manifest(tomli_w.dumps(head))


def recipe_of(**changes: Any) -> Recipe:
    """The toy's recipe with keys replaced, as ``changed``."""
    crosses = "partner" in changes
    return read_recipe(manifest_of(changed(RECIPE, **changes), scheme="cross" if crosses else "recursive"))


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def write_toy(root: Path, *, scheme: Any = "recursive", name: str = "toy", **changes: Any) -> Path:
    """The lineage's folder before any training; ``changes`` to the recipe as in ``changed``."""
    write_jsonl(root / "reference.jsonl", REFERENCE)
    write_jsonl(root / "reference.holdout.jsonl", HOLDOUT)
    write_jsonl(root / "pretrain.jsonl", [{"text": f"{one['prompt']}\n{one['text']}"} for one in RECORDS * 8])
    manifest = {
        "format": 1,
        "name": name,
        "scheme": scheme,
        "recipe": changed(RECIPE, **changes),
        "reference": {"texts": "reference.jsonl", "holdout": "reference.holdout.jsonl"},
    }
    (root / "lineage.toml").write_text(tomli_w.dumps(manifest), encoding="utf-8")
    return root


def read_toml(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "lineage.toml").read_text(encoding="utf-8"))


def train(*folders: Path, more: tuple[str, ...] = ()) -> int:
    """The command's exit code."""
    return main(["train", "--quiet", *map(str, folders), *more])


def generations_of(root: Path) -> list[tuple[int, int]]:
    """(seed, index) of the manifest's entries, in their order."""
    return [(entry["seed"], entry["index"]) for entry in read_toml(root).get("generation", [])]


def edit(root: Path, old: str, new: str) -> None:
    """Replace the first such words in the manifest."""
    text = (root / "lineage.toml").read_text()
    assert old in text
    (root / "lineage.toml").write_text(text.replace(old, new, 1))


def texts_of(index: int) -> str:
    """The manifest's name for what a generation of seed 0 wrote."""
    return f"seed_0/gen_{index}/texts.jsonl.gz"


def records_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def contents(root: Path) -> dict[str, bytes]:
    """Every file but the locks, which are empty and always there, and the base."""
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock")
    named = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in named.items() if not name.startswith("base/")}


def without_last(short: Path, root: Path) -> Path:
    """The short lineage before its last generation."""
    shutil.copytree(short, root)
    shutil.rmtree(root / "seed_0" / "gen_1")
    text = (root / "lineage.toml").read_text()
    (root / "lineage.toml").write_text(text[: text.rindex("\n[[generation]]")])
    return root


@contextmanager
def texts_made_up(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """In place of what a model writes: the generation and the position, "2 17", and then it ends."""

    def write(_model: Any, _tokenizer: Any, prompts: Any, _decoding: Any, sample: Any, **_: Any) -> Any:
        return [{"text": f"{sample.index} {i}", "n_tokens": 3, "ended": True} for i in range(len(prompts))]

    with patch.context() as inner:
        inner.setattr(loop, "generate", write)
        yield
