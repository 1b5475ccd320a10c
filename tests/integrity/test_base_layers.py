"""Which layers of an adapter a base surely has not: by the names of its files, whatever a program calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from models_on_disk import whole, write_adapter
from safetensors.numpy import load_file, save_file

from collapse_audit.lineages.checks.base_layers import BaseLayers, read_base_layers
from collapse_audit.lineages.checks.provenance import Provenance
from collapse_audit.lineages.disk.load import load_lineage


def base(folder: Path, *names: str, kind: str = "float32") -> BaseLayers:
    folder.mkdir(exist_ok=True)
    save_file({name: np.ones((4, 6), kind) for name in names}, folder / "model.safetensors")
    return read_base_layers(folder, where="base")


# Names as published checkpoints have them (before) and as the programs that load them call the layers (after).
@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("model.layers.1.self_attn.q_proj", "base_model.model.model.layers.1.self_attn.q_proj"),
        ("decoder.layers.0.fc1", "base_model.model.model.decoder.layers.0.fc1"),  # opt, as Meta saved it
        ("h.0.attn.c_attn", "base_model.model.transformer.h.0.attn.c_attn"),  # gpt2, as OpenAI saved it
        ("model.layers.0.mlp.up_proj", "base_model.model.model.language_model.layers.0.mlp.up_proj"),  # qwen2-vl
        ("language_model.model.layers.0.mlp.up_proj", "base_model.model.model.language_model.layers.0.mlp.up_proj"),
        ("model.layers.0.block_sparse_moe.experts.3.w1", "base_model.model.model.layers.0.mlp.experts"),
        ("model.embed_tokens", "base_model.model.lm_head"),  # tied: no weight of its own
        ("model.embed_tokens", "base_model.model.model.embed_tokens"),
    ],
)
def test_a_layer_is_had_under_the_names_that_programs_give_it(tmp_path: Path, stored: str, asked: str) -> None:
    assert not base(tmp_path / "base", f"{stored}.weight").lacks(asked)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("model.layers.1.self_attn.q_proj", "base_model.model.model.layers.2.self_attn.q_proj"),
        ("model.layers.1.self_attn.q_proj", "base_model.model.model.decoder.layers.1.self_attn.q_proj"),
        ("model.layers.1.self_attn.q_proj", "base_model.model.transformer.h.1.attn.c_attn"),
        ("model.layers.1.self_attn.q_proj", "base_model.model.model.layers.1.self_attn.qkv_proj"),
        ("vision_tower.layers.1.q_proj", "base_model.model.model.layers.1.q_proj"),
        ("model.embed_tokens", "base_model.model.model.embed_positions"),
    ],
)
def test_a_layer_of_another_model_is_not_had(tmp_path: Path, stored: str, asked: str) -> None:
    assert base(tmp_path / "base", f"{stored}.weight").lacks(asked)


def test_packed_weights_tell_names_and_no_shapes(tmp_path: Path) -> None:
    """Four-bit numbers lie two a byte in one column: 4x6 of them are no shape that an adapter has to fit."""
    found = base(tmp_path / "base", "model.layers.0.q.weight", "model.layers.0.q.weight.absmax", kind="uint8")
    assert found.shape("base_model.model.model.layers.0.q") is None
    assert not found.lacks("base_model.model.model.layers.0.q")
    plain = base(tmp_path / "plain", "model.layers.0.q.weight", "model.layers.0.q.bias")
    assert plain.shape("base_model.model.model.layers.0.q") == (4, 6)


def test_a_base_that_is_not_all_there_lacks_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    base(folder, "model.layers.0.q.weight")
    names = {"model.layers.0.q.weight": "model.safetensors", "model.layers.1.q.weight": "model-2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert not read_base_layers(folder, where="base").lacks("base_model.model.model.layers.1.q")
    save_file({"model.layers.1.q.weight": np.ones((4, 6))}, folder / "model-2.safetensors")
    whole_one = read_base_layers(folder, where="base")
    assert not whole_one.lacks("base_model.model.model.layers.1.q")
    assert whole_one.lacks("base_model.model.model.layers.2.q")
    (folder / "model-2.safetensors").write_text("version https://git-lfs")
    assert not read_base_layers(folder, where="base").lacks("base_model.model.model.layers.1.q")


def told(root: Path) -> dict[str, str]:
    lineage = load_lineage(root)
    return {fact.kind: fact.sentence for fact in Provenance(lineage).facts(lineage.generations[1])}


def test_it_is_said_to_fit_the_base_only_where_its_layers_were_looked_up(tmp_path: Path) -> None:
    folder = whole(tmp_path / "whole")
    assert told(folder.save())["adapter-shape"] == "gen_1/adapter fits the base base"
    (folder.root / "base" / "part-2.safetensors").write_text("version https://git-lfs")
    assert told(folder.root)["adapter-shape"] == "gen_1/adapter fits its own configuration"


def test_a_base_that_only_the_adapter_names_is_looked_into(tmp_path: Path) -> None:
    folder = whole(tmp_path / "whole")
    del folder.generations[1]["model"]["base"]
    found = {
        name.replace("layers", "blocks"): one
        for name, one in load_file(folder.adapter(1) / "adapter_model.safetensors").items()
    }
    write_adapter(folder.adapter(1), found, base_model_name_or_path="base")
    folder.record(1)
    assert "is no layer of the base base" in told(folder.save())["adapter-shape"]
