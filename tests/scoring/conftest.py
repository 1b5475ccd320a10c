"""Small models and one small lineage, as the tests of the trainer make them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
sys.path.insert(0, str(Path(__file__).parents[1] / "probes"))

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported; nothing here may ask the network


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        torch = sys.modules.get("torch")
        before = torch.get_num_threads() if torch else 0
        if torch:
            torch.set_num_threads(1)
        yield
        if torch:
            torch.set_num_threads(before)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with a model of each architecture: 48 tokens at most, random weights so large that its words differ."""
    import torch
    from toy_training import RECORDS, recipe_of

    from collapse_audit.lineages.training.base import build, train_tokenizer

    root = tmp_path_factory.mktemp("models")
    tokenizer = train_tokenizer([f"{one['prompt']}\n{one['text']}" for one in RECORDS], 300, 48)
    for architecture in ("mistral", "llama", "opt"):
        sliding = {"base__kv_heads": 1, "base__sliding_window": 16} if architecture == "mistral" else {}
        recipe = recipe_of(base__architecture=architecture, **sliding)
        torch.manual_seed(0)
        model = build(recipe.base, tokenizer, 48)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(4)
        model.save_pretrained(root / architecture)
        tokenizer.save_pretrained(root / architecture)
    return {path.name: path for path in root.iterdir()}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds, two generations of three training steps each. Only to be read."""
    from toy_training import QUICK, train, write_toy

    root = tmp_path_factory.mktemp("trained") / "toy"
    write_toy(root, **(QUICK | {"seeds": [0, 1]}), generations=2, decoding__min_new_tokens=2)
    assert train(root) == 0
    return root


@pytest.fixture
def toy(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained lineage, to be changed."""
    shutil.copytree(trained, tmp_path / "toy")
    return tmp_path / "toy"


@pytest.fixture
def collapse_lineage(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command: ``(exit code, stdout, stderr)``."""
    from collapse_audit.lineage_cli import main

    def run(*argv: Any) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(one) for one in argv])
        except SystemExit as end:  # of the argument parser
            code = int(str(end.code))
        out, err = capsys.readouterr()
        return code, out, err

    return run
