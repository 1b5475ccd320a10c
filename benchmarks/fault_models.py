"""Commands that change files and need a model: a tiny one, made from a configuration and never trained before."""

from __future__ import annotations

import json
import os
from pathlib import Path

from benchmarks.fault_scenarios import Scenario, within
from collapse_audit.lineage_cli import main

_RECORDS = [
    {"id": f"r{side}{size}", "prompt": f"{side} {size} mm", "text": f"{('cyst', 'node', 'scar')[size % 3]} {side}."}
    for side in ("left", "right")
    for size in range(1, 25)
]
_MANIFEST = """\
format = 1
name = "toy"
scheme = "recursive"

[reference]
texts = "reference.jsonl"
holdout = "reference.holdout.jsonl"

[recipe]
task = "blocks"
generations = 2
seeds = [0]
quantization = "none"
base = { folder = "../model" }
lora = { r = 2 }
training = { epochs = 3, learning_rate = 0.05, batch_size = 4, checkpoint_steps = 2 }
text = { context = 48, block = 12 }
decoding = { max_new_tokens = 12, batch_size = 4 }
"""


def _toy(folder: Path) -> None:
    """A lineage that nothing was trained in, and its base beside it."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from collapse_audit.lineages.training.base import train_tokenizer

    torch.set_num_threads(1)
    root = folder / "runs"
    root.mkdir()
    for name, records in (("reference", _RECORDS[:36]), ("reference.holdout", _RECORDS[36:])):
        (root / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    (root / "lineage.toml").write_text(_MANIFEST, "utf-8")
    tokenizer = train_tokenizer([f"{one['prompt']}\n{one['text']}" for one in _RECORDS], 300, 48)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=48, pad_token_id=tokenizer.pad_token_id, **sizes, **ends
    )
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")


def _trained(folder: Path) -> None:
    """The same, with its generations; trained by another process, so that this one never ran a step."""
    _toy(folder)
    child = os.fork()
    if child == 0:
        with within(folder):
            os._exit(_train())
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise RuntimeError("the tiny lineage cannot be trained")


def _train() -> int:
    return main(["train", "--quiet", "runs"])


def _score() -> int:
    return main(["score", "runs", "--in-place", "-q"]) or main(["score", "runs", "--contexts", "4", "-q"])


def _evaluate() -> int:
    return main(["evaluate", "runs", "--task", "collapse_reference_perplexity", "--batch-size", "4", "--quiet"])


def _imports() -> None:
    """What training imports; a step in this process would start threads that a fork does not have."""
    import peft  # noqa: F401
    import torch  # noqa: F401
    import transformers  # noqa: F401

    from collapse_audit.lineages.training import finetune, generate, loop, torch_setup  # noqa: F401


def _harness() -> None:
    _imports()
    from collapse_audit.lineages.evaluation import evaluate  # noqa: F401


MODELS = {
    "train": Scenario(make=_toy, run=_train, warm=_imports, rival=_train),
    "score": Scenario(make=_trained, run=_score, warm=_imports, rival=_score),
    "evaluate": Scenario(make=_trained, run=_evaluate, warm=_harness, rival=_evaluate),
}
