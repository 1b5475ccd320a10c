"""What every training here shares: device, number format, quiet libraries, and how the Trainer is set up."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from collapse_audit.lineages.training.examples import Example, collate


def device() -> tuple[Any, Any]:
    """Where this process computes, and in what: its own GPU in bfloat16 where there is one, else the CPU in float32."""
    import torch

    if torch.cuda.is_available():
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return place, torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.device("cpu"), torch.float32


def training_arguments(folder: Path, *, seed: int, **settings: Any) -> Any:
    """``transformers.TrainingArguments`` with what is the same in every training here."""
    import torch
    from transformers import TrainingArguments

    _, dtype = device()
    return TrainingArguments(
        output_dir=str(folder),
        seed=seed,
        num_train_epochs=1,  # the examples come in their order for all epochs (examples.training_order)
        train_sampling_strategy="sequential",
        use_cpu=not torch.cuda.is_available(),
        bf16=dtype is torch.bfloat16,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        logging_nan_inf_filter=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        **settings,
    )


def build_trainer(model: Any, arguments: Any, examples: Sequence[Example], *, pad: int, callback: Any) -> Any:
    """A ``transformers.Trainer`` on these examples, in this order, that prints nothing by itself."""
    from transformers import PrinterCallback, Trainer

    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=list(examples),
        data_collator=lambda batch: collate(batch, pad),
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def software() -> dict[str, Any]:
    """What the numbers depend on: versions, device, threads."""
    import torch

    packages = ("collapse-audit", "torch", "transformers", "peft", "bitsandbytes", "accelerate", "tokenizers")
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {platform.machine()}"
    return {
        **{name: version(name) for name in packages},
        "python": platform.python_version(),
        "device": where,
        "threads": torch.get_num_threads(),
    }
