"""A small model as the trainer loads it: in 4 bit, with an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toy_training import recipe_of

from collapse_audit.lineages.training.base import BaseModel, load_base
from collapse_audit.lineages.training.finetune import attach


def base_of(folder: Path) -> BaseModel:
    return BaseModel(name=str(folder), revision=None, digest=None)


def with_adapter(folder: Path, **changes: Any) -> Any:
    recipe = recipe_of(**changes)
    model, _ = load_base(base_of(folder), recipe)
    return attach(model, recipe, 0)


def four_bit(model: Any) -> dict[str, Any]:
    import bitsandbytes

    return {name: one for name, one in model.named_modules() if isinstance(one, bitsandbytes.nn.Linear4bit)}
