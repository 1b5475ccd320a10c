"""A generation's model as it wrote: the base and the adapter from its folder, checked to be what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from collapse_audit.lineages.measured.hushed import hushed
from collapse_audit.lineages.training import guards
from collapse_audit.lineages.training.base import BaseModel, load_base
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.recipe import Recipe


def load_generation(base: BaseModel, recipe: Recipe, *, writer: Path, scorer: Path) -> tuple[Any, Any]:
    """``(model, tokenizer)`` with two adapters on one base, ``writer`` and ``scorer``; nothing in it is trainable.

    Raises TrainingError where an adapter is not whole, or is loaded and changes nothing.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    with hushed():
        model, tokenizer = load_base(base, recipe)
        try:
            model = PeftModel.from_pretrained(model, str(writer), adapter_name="writer", is_trainable=False)
            model.load_adapter(str(scorer), adapter_name="scorer", is_trainable=False)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise TrainingError(f"an adapter cannot be loaded ({error})", slug="adapter") from error
    for name, folder in (("writer", writer), ("scorer", scorer)):
        _require_loaded(model, name, folder)
    model.eval()
    model.set_adapter("writer")
    probe = tokenizer("0", return_tensors="pt").to(model.device)
    guards.check_active(model, probe, str(writer))
    use(model, "writer")
    return model, tokenizer


def use(model: Any, adapter: str) -> None:
    """Compute with this adapter from now on. (Peft makes an adapter trainable whenever it becomes the active one.)"""
    model.set_adapter(adapter)
    model.requires_grad_(False)


def _require_loaded(model: Any, name: str, folder: Path) -> None:
    """What the file holds is what the model computes with: peft only warns about adapter weights it did not find."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    stored = load_file(folder / "adapter_model.safetensors")
    # save_embedding_layers=False: else peft asks the hub whether the vocabulary was changed
    state = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    loaded = {key: tensor.cpu() for key, tensor in state.items()}
    wrong = [key for key in stored.keys() | loaded.keys() if key not in stored or key not in loaded]
    wrong += [key for key in stored.keys() & loaded.keys() if not torch.equal(stored[key], loaded[key])]
    if wrong:
        message = f"{folder}: {len(wrong)} adapter matrices are not in the model as they are in the file"
        raise TrainingError(message, slug="adapter")
