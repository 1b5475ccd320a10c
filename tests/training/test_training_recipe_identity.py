"""The recipe's digest: of everything that decides what a generation is, and of nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from toy_training import RECIPE, changed, manifest_of, recipe_of

from collapse_audit.lineages.training.recipe import (
    Base,
    Decoding,
    Lora,
    Pretraining,
    Recipe,
    Selection,
    Text,
    Training,
    read_recipe,
)

TABLES = {
    "": Recipe,
    "base": Base,
    "base__pretrain": Pretraining,
    "lora": Lora,
    "training": Training,
    "selection": Selection,
    "text": Text,
    "decoding": Decoding,
}
FULL = changed(RECIPE, base__architecture="mistral", base__heads=4, partner="../other")
OLD: dict[str, Any] = {
    "task": "blocks",
    "seeds": [0, 1, 2],
    "base": {
        "architecture": "opt",
        "vocabulary": 1024,
        "pretrain": {"texts": "docstrings.jsonl.gz", "epochs": 6},
    },
    "lora": {"dropout": 0},
    "training": {"epochs": 5, "learning_rate": 0.002, "batch_size": 16},
    "text": {"context": 192},
    "decoding": {"do_sample": False, "num_beams": 5, "min_new_tokens": 64, "max_new_tokens": 64, "batch_size": 32},
}
"""Of three lineages whose generations wrote its digest down before recipes had all of their fields."""
ANOTHER: dict[str, Any] = {
    "task": "blocks",
    "generations": 4,
    "seeds": [0, 1, 2],
    "init_from": "parent",
    "partner": "../third",
    "fresh": "people.jsonl",
    "quantization": "none",
    "base__hub": "a/b",
    "base__revision": "v2",
    "base__folder": "elsewhere",
    "base__gguf": "b.gguf",
    "base__architecture": "opt",
    "base__hidden": 128,
    "base__layers": 3,
    "base__heads": 8,
    "base__kv_heads": 2,
    "base__feed_forward": 128,
    "base__sliding_window": 16,
    "base__vocabulary": 400,
    "base__pretrain__texts": "b.jsonl",
    "base__pretrain__epochs": 5,
    "base__pretrain__learning_rate": 0.5,
    "base__pretrain__batch_size": 3,
    "base__pretrain__block": 33,
    "base__pretrain__packed": False,
    "base__pretrain__seed": 1,
    "lora__r": 8,
    "lora__alpha": 8,
    "lora__dropout": 0.5,
    "lora__target_modules": ["q_proj"],
    "training__epochs": 2,
    "training__examples": 100,
    "training__learning_rate": 0.5,
    "training__schedule": "cosine",
    "training__warmup": 0.5,
    "training__batch_size": 4,
    "training__accumulate": 2,
    "training__weight_decay": 0.5,
    "training__max_grad_norm": 0.5,
    "training__optimizer": "paged_adamw_8bit",
    "training__gradient_checkpointing": True,
    "training__checkpoint_steps": 7,
    "selection__drop_duplicates": True,
    "selection__perplexity": [0.1, 0.9],
    "selection__burstiness": [0.25, 1.0],
    "text__template": "{prompt}: ",
    "text__context": 99,
    "text__block": 8,
    "decoding__do_sample": False,
    "decoding__temperature": 0.5,
    "decoding__top_p": 0.5,
    "decoding__top_k": 5,
    "decoding__num_beams": 3,
    "decoding__repetition_penalty": 1.5,
    "decoding__min_new_tokens": 2,
    "decoding__max_new_tokens": 17,
    "decoding__batch_size": 9,
}
"""Another value of every field there is."""
IGNORED = {"seeds", "generations", "partner", "fresh", "training__checkpoint_steps", "base__folder", "base__gguf"}


def with_field(recipe: Recipe, path: str, value: Any) -> Recipe:
    """The record with one field replaced, whether or not a manifest could say so."""
    value = tuple(value) if isinstance(value, list) else value

    def put(record: Any, names: list[str]) -> Any:
        if len(names) == 1:
            return dataclasses.replace(record, **{names[0]: value})
        return dataclasses.replace(record, **{names[0]: put(getattr(record, names[0]), names[1:])})

    changed_recipe: Recipe = put(recipe, path.split("__"))
    return changed_recipe


def test_every_field_is_tried() -> None:
    fields = {
        f"{table}__{field.name}".removeprefix("__")
        for table, record in TABLES.items()
        for field in dataclasses.fields(record)
    }
    assert set(ANOTHER) == fields - {"base", "base__pretrain", "lora", "training", "selection", "text", "decoding"}


@pytest.mark.parametrize("path", ANOTHER)
def test_the_identity_is_everything_but_seeds_generations_partner_and_checkpoints(path: str) -> None:
    recipe = read_recipe(manifest_of(FULL, scheme="cross"))
    other = with_field(recipe, path, ANOTHER[path])
    assert other != recipe
    assert (other.digest == recipe.digest) == (path in IGNORED)


def test_the_identity_does_not_depend_on_the_order_of_keys_or_on_notes() -> None:
    backwards = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(RECIPE.items())
    }
    assert read_recipe(manifest_of(backwards)).digest == recipe_of().digest
    assert recipe_of(notes={"why": "because"}).digest == recipe_of().digest
    assert recipe_of(profile={"other": {"seeds": [5]}}).digest == recipe_of().digest


def test_the_identity_does_not_tell_three_from_three_point_zero() -> None:
    whole, broken = changed(RECIPE, training__epochs=3, lora__alpha=32), changed(RECIPE, training__epochs=3.0)
    assert read_recipe(manifest_of(whole)) == read_recipe(manifest_of(broken))
    assert read_recipe(manifest_of(whole)).digest == read_recipe(manifest_of(broken)).digest


@pytest.mark.parametrize(
    ("changes", "digest"),
    [
        ({}, "sha256:74f06f3916417b61f79b588713d4c3402b44c821a777137e92a619d316e45062"),
        (
            {"training__epochs": 10, "base__folder": "../opt_replace/base"},
            "sha256:55124c375cd40d770491b773d22ac15d39ab3e9706ac3bd4bc301bacd0a690ee",
        ),
        (
            {"decoding__repetition_penalty": 2.0, "base__folder": "../opt_replace/base"},
            "sha256:184b74e2ec3c947741da4bea5b798f06177b1a997166c57bb7522e55d0257e92",
        ),
    ],
)
def test_lineages_from_before_there_were_selections_and_gguf_files_keep_their_identity(
    changes: dict[str, Any], digest: str
) -> None:
    assert read_recipe(manifest_of(changed(OLD, **changes))).digest == digest


def test_a_selection_from_before_there_was_burstiness_keeps_its_identity() -> None:
    table = dataclasses.asdict(recipe_of(selection={"perplexity": [0.1, 0.9]}))
    assert table["selection"] == {"drop_duplicates": False, "perplexity": (0.1, 0.9), "burstiness": (0.0, 1.0)}
    one, other = ({"selection": {"perplexity": [0.1, 0.9], **more}} for more in ({}, {"burstiness": [0.0, 1.0]}))
    assert recipe_of(**one).digest == recipe_of(**other).digest != recipe_of().digest
