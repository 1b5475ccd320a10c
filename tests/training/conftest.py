"""One tokenizer, one small model of each architecture and one finished lineage for all tests of the trainer."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toy_training import QUICK, RECORDS, recipe_of, train, write_toy

ARCHITECTURES = ("mistral", "llama", "opt")


os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported; nothing here may ask the network


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """The same sums in the same order as in the processes that the tests start."""
    torch = sys.modules.get("torch")  # tests of the recipe do without
    before = torch.get_num_threads() if torch else 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        if torch:
            torch.set_num_threads(1)
        yield
        if torch:
            torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """A byte-level tokenizer of at most 300 tokens: <s> 0, </s> 1, <pad> 2."""
    from collapse_audit.lineages.training.base import train_tokenizer

    return train_tokenizer([f"{one['prompt']}\n{one['text']}" for one in RECORDS], 300, 48)


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> dict[str, Path]:
    """A folder with a model of each architecture; its weights are random, and so large that its words differ."""
    import torch

    from collapse_audit.lineages.training.base import build

    root = tmp_path_factory.mktemp("bases")
    for architecture in ARCHITECTURES:
        recipe = recipe_of(
            base__architecture=architecture,
            base__kv_heads=1 if architecture == "mistral" else None,
            base__sliding_window=16 if architecture == "mistral" else None,
        )
        torch.manual_seed(0)
        model = build(recipe.base, tokenizer, 48)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(4)
        model.save_pretrained(root / architecture)
        tokenizer.save_pretrained(root / architecture)
    return {architecture: root / architecture for architecture in ARCHITECTURES}


@pytest.fixture(scope="session")
def quiet() -> Any:
    from collapse_audit.lineages.training.progress import Silent

    return Silent()


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory, quiet: Any) -> Path:
    """The toy's folder with its base and no generation."""
    from collapse_audit.lineages.training.base import prepare_base

    root = write_toy(tmp_path_factory.mktemp("untrained") / "toy")
    prepare_base(root, recipe_of(), quiet)
    return root


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, untrained: Path) -> Path:
    """Two seeds, three generations, never interrupted. Only to be read."""
    root = tmp_path_factory.mktemp("finished") / "toy"
    shutil.copytree(untrained, root)
    assert train(root) == 0
    return root


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory, untrained: Path) -> Path:
    """One seed, two generations, never interrupted. Only to be read."""
    root = tmp_path_factory.mktemp("short") / "toy"
    shutil.copytree(untrained, root)
    write_toy(root, seeds=[0], generations=2)
    assert train(root) == 0
    return root


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a lineage, to be changed; under the name ``toy`` unless told."""

    def copy(root: Path, name: str = "toy") -> Path:
        shutil.copytree(root, tmp_path / name)
        return tmp_path / name

    return copy


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The message with which a training exits with 4."""

    def message(*folders: Path, more: tuple[str, ...] = ()) -> str:
        capsys.readouterr()
        code = train(*folders, more=more)
        words = capsys.readouterr().err
        assert code == 4, words
        return words.removeprefix("collapse-lineage: error: ").rstrip("\n")

    return message


@pytest.fixture
def base_in_a_folder(tmp_path: Path, bases: dict[str, Path]) -> Callable[[str], Path]:
    """A lineage whose base is the model of that architecture in the folder beside it."""

    def make(architecture: str) -> Path:
        shutil.copytree(bases[architecture], tmp_path / "model")
        return write_toy(tmp_path / "toy", **QUICK, base={"folder": "../model"})

    return make
