"""A small fine-tuning pipeline with a gate at its end: the next model is trained, writes samples, and is audited.

    python examples/gate_finetune/pipeline.py --run /tmp/fresh --data fresh; echo $?     0: let through
    python examples/gate_finetune/pipeline.py --run /tmp/own --data own; echo $?         1: stopped

Nothing here but the last function knows of collapse-audit. The model is tiny and the notes are made up, so that it runs
on one CPU core in about a minute; the pipeline is what it would be with a model from the hub and notes of people.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Trainer, TrainingArguments, set_seed
from transformers.utils import logging

LENGTH = 40
"""The most tokens of a note."""
NOTES = 2000
"""Notes that a model is trained on."""
SAMPLES = 2000
"""Notes that a model writes: as many again are held out."""


# --------------------------------------------------------------------------------------------------- what people wrote

MACHINES, FAULTS, PARTS, DEEDS, PEOPLE = (
    line.split()
    for line in """\
press lathe mixer conveyor pump furnace kiln drill grinder crane boiler extruder sorter shredder laser
vibrates leaks stalls overheats whistles jams smells flickers drifts rattles sticks slips
bearing belt valve seal fuse motor sensor gearbox filter hose relay shaft nozzle clutch spring cable
replaced cleaned tightened oiled adjusted ordered inspected reset
Ada Ben Cleo Dan Eva Finn Gus Hana Ivo June Kai Lena
""".splitlines()
)
BAYS = [str(number) for number in range(10, 100)]


def human_notes(seed: int, count: int) -> list[str]:
    """Notes of a workshop. Some machines, faults and parts are frequent and others rare, as in life."""
    rng = random.Random(seed)

    def one(words: list[str]) -> str:
        return rng.choices(words, [1 / (rank + 2) for rank in range(len(words))])[0]

    def note() -> str:
        start = f"{one(MACHINES)} in bay {one(BAYS)} {one(FAULTS)}"
        if rng.random() < 0.4:
            start += f" and {one(FAULTS)}"
        end = f"{one(PARTS)} {one(DEEDS)} by {one(PEOPLE)}"
        return f"{start}, {end}." if rng.random() < 0.7 else f"{start}. {end} and {one(PEOPLE)}, {one(PARTS)} too."

    return [note() for _ in range(count)]


# --------------------------------------------------------------------------------------------- an ordinary fine-tuning


def make_base(folder: Path) -> None:
    """Stands in for a model from the hub: a tokenizer and a tiny Llama, trained on other notes."""
    notes = human_notes(0, 5000)
    cutter = Tokenizer(models.BPE())
    cutter.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    cutter.decoder = decoders.ByteLevel()
    cutter.train_from_iterator(notes, trainers.BpeTrainer(vocab_size=512, special_tokens=["<s>", "</s>", "<pad>"]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=cutter, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    set_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    fit(model, tokenizer, notes, folder / "work", epochs=2, learning_rate=3e-3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def fit(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    texts: list[str],
    work: Path,
    *,
    epochs: int,
    learning_rate: float,
) -> None:
    """Loss on every token and on the end of the text; padding is masked by position, or no model learns to stop."""

    def collate(batch: list[str]) -> dict[str, torch.Tensor]:
        rows = [tokenizer(f"<s>{text}</s>", truncation=True, max_length=LENGTH)["input_ids"] for text in batch]
        width = max(map(len, rows))
        padded = [row + [2] * (width - len(row)) for row in rows]
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        ids = torch.tensor(padded)
        return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}

    arguments = TrainingArguments(
        output_dir=str(work), num_train_epochs=epochs, learning_rate=learning_rate, per_device_train_batch_size=32,
        lr_scheduler_type="cosine", save_strategy="no", report_to="none", disable_tqdm=True, logging_strategy="no",
        remove_unused_columns=False, use_cpu=True,
    )  # fmt: skip
    Trainer(model=model, args=arguments, train_dataset=texts, data_collator=collate).train()


def write(model: torch.nn.Module, count: int, *, seed: int, temperature: float = 1.0) -> list[str]:
    """What the model writes from nothing. Every text counts, the empty ones too."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(model.config.name_or_path)
    set_seed(seed)
    texts: list[str] = []
    while len(texts) < count:
        start = torch.zeros((min(250, count - len(texts)), 1), dtype=torch.long)
        rows = model.generate(
            input_ids=start, attention_mask=torch.ones_like(start), do_sample=True, temperature=temperature, top_k=0,
            max_new_tokens=LENGTH, pad_token_id=2, eos_token_id=1,
        )  # fmt: skip
        texts += tokenizer.batch_decode(rows, skip_special_tokens=True)
    return texts


def finetune(base: Path, texts: list[str], folder: Path, *, seed: int) -> PeftModel:
    """The next model: LoRA on the base. Its adapter is kept beside what it writes."""
    set_seed(seed)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(LlamaForCausalLM.from_pretrained(base), lora)
    fit(model, tokenizer, texts, folder / "work", epochs=3, learning_rate=2e-3)
    model.save_pretrained(folder / "adapter")
    return model.eval()


# ------------------------------------------------------------------------------------------------------------ the gate


def save(texts: list[str], path: Path) -> None:
    """One JSON object a line: all that an audit needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def gate(run: Path) -> int:
    """What CI would run: ``collapse-audit RUN --generation last -q``; its exit code is the pipeline's."""
    command = [sys.executable, "-m", "collapse_audit.cli", str(run), "--generation", "last", "-q"]
    return subprocess.run(command, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a folder; a base and a generation 0 in it are kept")
    parser.add_argument("--data", choices=["fresh", "own"], required=True, help="what generation 1 is trained on")
    options = parser.parse_args()
    logging.disable_progress_bar()
    run, base = options.run, options.run / "base"
    if not base.exists():
        make_base(base)
    if not (run / "gen_0").exists():  # approved once: trained on what people wrote; its samples are the baseline
        model = finetune(base, human_notes(1, NOTES), run / "gen_0", seed=1)
        save(write(model, SAMPLES, seed=10), run / "gen_0" / "texts.jsonl")
        save(write(model, SAMPLES, seed=11), run / "gen_0" / "holdout.jsonl")

    # Generation 1: on new notes of people, or on what generation 0 writes when it plays safe.
    if options.data == "own":
        parent = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base), run / "gen_0" / "adapter").eval()
        texts = write(parent, NOTES, seed=12, temperature=0.4)
    else:
        texts = human_notes(2, NOTES)
    model = finetune(base, texts, run / "gen_1", seed=2)
    save(write(model, SAMPLES, seed=20), run / "gen_1" / "texts.jsonl")
    save(write(model, SAMPLES, seed=21), run / "gen_1" / "holdout.jsonl")
    return gate(run)


if __name__ == "__main__":
    sys.exit(main())
