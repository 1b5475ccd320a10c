"""Base and adapter as they are loaded: what the recipe says, what the files hold, or a message."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_models import base_of, four_bit, with_adapter
from toy_training import recipe_of

from collapse_audit.lineages.training.base import load_base
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.finetune import adapter_tensors, attach
from collapse_audit.lineages.training.models import load_generation

torch = pytest.importorskip("torch")
for _name in ("transformers", "peft", "bitsandbytes", "accelerate"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def adapters(finished: Path, tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        shutil.copytree(finished / "seed_0" / "gen_1" / "adapter", tmp_path / name)
        return tmp_path / name

    return copy


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


def load(finished: Path, writer: Path, scorer: Path) -> Any:
    return load_generation(base_of(finished / "base"), recipe_of(), writer=writer, scorer=scorer)


def test_nothing_is_trainable_in_a_model_that_writes(finished: Path) -> None:
    folder = finished / "seed_0" / "gen_1" / "adapter"
    model, _ = load(finished, folder, folder)
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == []


def test_writer_and_scorer_are_what_their_files_hold(finished: Path) -> None:
    from safetensors.torch import load_file

    folders = {name: finished / "seed_0" / gen / "adapter" for name, gen in (("writer", "gen_1"), ("scorer", "gen_0"))}
    model, _ = load(finished, folders["writer"], folders["scorer"])
    assert not model.training
    tensors = adapter_tensors(model)
    for name, folder in folders.items():
        stored = load_file(folder / "adapter_model.safetensors")
        loaded = {key.replace(f".{name}.", "."): value for key, value in tensors.items() if f".{name}." in key}
        assert loaded.keys() == stored.keys()
        assert all(torch.equal(loaded[key], stored[key]) for key in stored)


def test_an_adapter_file_that_lacks_a_matrix_is_refused_though_peft_would_only_warn(
    finished: Path, adapters: Callable[[str], Path]
) -> None:
    whole, lacking = adapters("whole"), adapters("lacking")
    rewrite(lacking, lambda tensors: tensors.pop(sorted(tensors)[0]))
    for writer, scorer in ((lacking, whole), (whole, lacking)):
        with pytest.raises(TrainingError) as caught:
            load(finished, writer, scorer)
        assert str(caught.value) == f"{lacking}: 1 adapter matrices are not in the model as they are in the file"


def test_an_adapter_that_holds_only_zeros_is_refused(finished: Path, adapters: Callable[[str], Path]) -> None:
    zeros = adapters("zeros")
    rewrite(zeros, lambda tensors: tensors.update({name: value * 0 for name, value in tensors.items()}))
    with pytest.raises(TrainingError, match="the adapter is loaded and changes nothing"):
        load(finished, zeros, adapters("whole"))


def damage(folder: Path, how: str) -> None:
    weights, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    if how == "no weights":
        weights.unlink()
    elif how == "half the weights":
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    elif how == "another rank":
        config.write_text(json.dumps(json.loads(config.read_text()) | {"r": 7}))
    else:
        config.write_text(config.read_text()[:40])


@pytest.mark.parametrize(
    "how",
    [
        "no weights",
        "another rank",
        "half the configuration",
        "half the weights",
    ],
)
def test_an_adapter_folder_that_is_not_whole_is_refused(
    finished: Path, adapters: Callable[[str], Path], how: str
) -> None:
    damaged = adapters("damaged")
    damage(damaged, how)
    for writer, scorer in ((damaged, adapters("whole")), (finished / "seed_0" / "gen_1" / "adapter", damaged)):
        with pytest.raises(TrainingError, match="an adapter cannot be loaded"):
            load(finished, writer, scorer)


def test_a_context_longer_than_the_model_reads_is_refused(bases: dict[str, Path]) -> None:
    recipe = recipe_of(text={"context": 49})
    with pytest.raises(TrainingError) as caught:
        load_base(base_of(bases["llama"]), recipe)
    assert str(caught.value) == f"{bases['llama']} reads 48 tokens at most; recipe.text.context is 49"


def test_a_tokenizer_without_an_end_is_refused_and_one_without_padding_pads_with_its_end(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    for lacking in ("pad_token", "eos_token"):
        folder = tmp_path / lacking
        shutil.copytree(bases["llama"], folder)
        config = json.loads((folder / "tokenizer_config.json").read_text())
        del config[lacking]
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    _, tokenizer = load_base(base_of(tmp_path / "pad_token"), recipe_of())
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 1
    with pytest.raises(TrainingError, match=r"its tokenizer has no end-of-text token$"):
        load_base(base_of(tmp_path / "eos_token"), recipe_of())


def test_the_recipe_decides_the_adapter(bases: dict[str, Path]) -> None:
    """Llama has seven linear layers beside the head, which stays as it is (QLoRA: all linear layers)."""
    names = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    for targets, expected in (("all-linear", names), (["q_proj", "v_proj"], {"q_proj", "v_proj"})):
        model = with_adapter(bases["llama"], lora={"r": 3, "alpha": 6, "target_modules": targets})
        layers = {name.rpartition(".lora_B")[0]: p for name, p in model.named_parameters() if "lora_B" in name}
        assert {name.rpartition(".")[2] for name in layers} == expected
        assert all(parameter.shape[1] == 3 for parameter in layers.values())
        trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert trainable == {name for name, _ in model.named_parameters() if "lora_" in name}
    config = next(iter(model.peft_config.values()))
    assert (config.lora_alpha, config.lora_dropout) == (6, 0.05)


def test_the_adapters_first_weights_follow_from_the_seed(bases: dict[str, Path]) -> None:
    def first(seed: int, *, before: int) -> Any:
        recipe = recipe_of()
        model, _ = load_base(base_of(bases["llama"]), recipe)
        torch.manual_seed(before)  # whatever was drawn earlier
        return adapter_tensors(attach(model, recipe, seed))

    once, again, other = first(0, before=5), first(0, before=6), first(1, before=6)
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not any(torch.equal(once[name], other[name]) for name in once if "lora_A" in name)


def test_quantization_is_four_bit_normal_float_with_double_quantization(bases: dict[str, Path]) -> None:
    model, _ = load_base(base_of(bases["llama"]), recipe_of())
    states = [layer.weight.quant_state for layer in four_bit(model).values()]
    assert {(state.quant_type, state.nested) for state in states} == {("nf4", True)}
    plain, _ = load_base(base_of(bases["llama"]), dataclasses.replace(recipe_of(), quantization="none"))
    assert not four_bit(plain)
