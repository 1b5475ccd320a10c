"""One generation's training: LoRA on a frozen 4-bit base, by ``transformers.Trainer``. (QLoRA: arXiv 2305.14314.)

What comes out is an adapter folder that is whole or not there. Killed at any point and run again, training goes on
from its last checkpoint and arrives at the same adapter.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse_audit.atomic import atomic_file, atomic_folder
from collapse_audit.lineages.measured.hushed import hushed
from collapse_audit.lineages.training import guards
from collapse_audit.lineages.training.base import BaseModel, load_base
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.examples import Example, collate, on_device, training_order
from collapse_audit.lineages.training.progress import Progress
from collapse_audit.lineages.training.randomness import INIT, ORDER, derived_rng, derived_seed
from collapse_audit.lineages.training.ranks import Ranks
from collapse_audit.lineages.training.recipe import Recipe
from collapse_audit.lineages.training.torch_setup import build_trainer, training_arguments

_PROBED = 4
"""Examples of the batch with which gradients are checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One training: which model, from where, with what, into which folder."""

    seed: int
    index: int
    where: str
    """How messages name this generation."""
    base: BaseModel
    parent: Path | None
    """The adapter to start from; None starts a fresh one."""
    folder: Path
    """The generation's folder: ``adapter/`` and ``train.jsonl`` appear in it."""


def finetune(work: Work, examples: Sequence[Example], recipe: Recipe, ranks: Ranks, progress: Progress) -> Path:
    """Train the adapter on the examples; returns its folder, at once where it is there already.

    Raises TrainingError where nothing could be learned or what came out is no adapter.
    """
    adapter, checkpoints = work.folder / "adapter", work.folder / "checkpoints"
    if adapter.exists():
        if ranks.first:
            shutil.rmtree(checkpoints, ignore_errors=True)
        return adapter
    with hushed():
        model, tokenizer = load_base(work.base, recipe)
        model = attach(model, recipe, derived_seed(work.seed, work.index, INIT), parent=work.parent)
    before = adapter_tensors(model) if work.parent is not None else None
    pad = tokenizer.pad_token_id
    guards.check_gradients(model, on_device(model, collate(longest(examples, _PROBED), pad)))
    with hushed():
        arguments = _arguments(recipe, checkpoints, derived_seed(work.seed, work.index, INIT))
        watch = _watch(work, recipe.training.epochs_of(len(examples)), ranks, progress)
        trainer = build_trainer(model, arguments, _in_order(work, examples, recipe), pad=pad, callback=watch)
        trainer.train(resume_from_checkpoint=_last_checkpoint(checkpoints))
    tensors = adapter_tensors(model)
    guards.check_adapter(tensors, before, work.where)
    if ranks.first:
        with atomic_folder(adapter) as temporary:
            model.save_pretrained(temporary)
            (temporary / "README.md").unlink(missing_ok=True)  # peft's model card: a form that nobody filled in
            local = Path(work.base.name).name if recipe.base.hub is None else None
            _settle_config(temporary / "adapter_config.json", local)
        shutil.rmtree(checkpoints, ignore_errors=True)
    ranks.wait()
    return adapter


def _settle_config(path: Path, base: str | None) -> None:
    """The same file on every machine: peft writes a set in whatever order, and the absolute path of a local base."""
    config = json.loads(path.read_text("utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    if base is not None:
        config["base_model_name_or_path"] = base
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def attach(model: Any, recipe: Recipe, seed: int, *, parent: Path | None = None) -> Any:
    """The base with a trainable adapter: a fresh one drawn from the seed, or the parent's, to go on from."""
    import torch
    from peft import PeftModel, get_peft_model, prepare_model_for_kbit_training

    if recipe.quantization == "nf4":
        model = prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=recipe.training.gradient_checkpointing
        )
    elif recipe.training.gradient_checkpointing:
        model.enable_input_require_grads()
    if parent is not None:
        return PeftModel.from_pretrained(model, str(parent), is_trainable=True)
    torch.manual_seed(seed)
    return get_peft_model(model, lora_config(recipe))


def lora_config(recipe: Recipe) -> Any:
    """The recipe's adapter as peft has it."""
    from peft import LoraConfig

    lora = recipe.lora
    targets = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    return LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, task_type="CAUSAL_LM"
    )


def adapter_tensors(model: Any) -> dict[str, Any]:
    """A copy of every adapter matrix, by name."""
    return {name: p.detach().clone().cpu() for name, p in model.named_parameters() if "lora_" in name}


def longest(examples: Sequence[Example], count: int) -> list[Example]:
    """The longest few: if they fit the memory, all do; and none of them is without a token to learn."""
    return sorted(examples, key=lambda example: -len(example.ids))[:count]


def _in_order(work: Work, examples: Sequence[Example], recipe: Recipe) -> list[Example]:
    """Every example as often as it is read, in the order in which it is read."""
    rng = derived_rng(work.seed, work.index, ORDER)
    lengths = [len(example.ids) for example in examples]
    epochs = recipe.training.epochs_of(len(examples))
    order = training_order(lengths, epochs, recipe.training.batch_size, rng)
    return [examples[i] for i in order.tolist()]


def _arguments(recipe: Recipe, folder: Path, seed: int) -> Any:
    training = recipe.training
    return training_arguments(
        folder,
        seed=seed,
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.schedule,
        warmup_steps=training.warmup,
        per_device_train_batch_size=training.batch_size,
        gradient_accumulation_steps=training.accumulate,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        optim=training.optimizer,
        gradient_checkpointing=training.gradient_checkpointing,
        save_steps=training.checkpoint_steps,
        save_total_limit=1,
        logging_steps=1,
        ddp_find_unused_parameters=False,
    )


def _last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that is whole."""
    whole = [path for path in folder.glob("checkpoint-*") if _is_whole(path)]
    newest = max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    return None if newest is None else str(newest)


def _is_whole(checkpoint: Path) -> bool:
    """The Trainer writes trainer_state.json last: where it can be read, all else has been written."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _watch(work: Work, epochs: float, ranks: Ranks, progress: Progress) -> Any:
    """The callback that writes train.jsonl, moves the bar, and stops a training that has gone wrong."""
    from transformers import TrainerCallback

    log = work.folder / "train.jsonl"

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:  # noqa: ARG002
            if ranks.first:
                _keep_steps(log, state.global_step)
            progress.start(f"{work.where}: training", state.max_steps)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:  # noqa: ARG002
            if not logs or "loss" not in logs:
                return
            line = {"step": state.global_step, "epoch": round(logs["epoch"] * epochs, 4)}
            line |= {key: float(logs[key]) for key in ("loss", "grad_norm", "learning_rate")}
            if not all(math.isfinite(value) for value in line.values()):
                message = (
                    f"{work.where}: step {line['step']} has loss {line['loss']} and gradient norm {line['grad_norm']}; "
                    "lower the learning rate; nothing was written but train.jsonl"
                )
                raise TrainingError(message, slug="training-nan")
            if ranks.first:
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            progress.update(state.global_step, f"loss {line['loss']:.3f}")

    return Watch()


def _keep_steps(log: Path, steps: int) -> None:
    """Steps after the checkpoint that training goes on from will be taken, and logged, again."""
    lines = log.read_text("utf-8").splitlines() if log.exists() else []
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= steps]
    with atomic_file(log) as file:
        file.write("".join(line + "\n" for line in kept).encode())
