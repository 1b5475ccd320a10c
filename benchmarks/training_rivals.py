"""Ours and others' ways to do the same training and the same generation, each a function of a task, timed.

Each runs in a process that benchmarks/training.py starts. The training stack is imported inside the functions.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.lineages.measured.hushed import hushed
from collapse_audit.lineages.training.base import BaseModel, load_base, load_tokenizer, prepare_base
from collapse_audit.lineages.training.examples import (
    Encoder,
    Example,
    Prompt,
    collate,
    in_batches_by_length,
    read_records,
    training_order,
)
from collapse_audit.lineages.training.finetune import Work, attach, finetune, lora_config
from collapse_audit.lineages.training.generate import Sample, generate, generation_config
from collapse_audit.lineages.training.models import load_generation
from collapse_audit.lineages.training.progress import Silent
from collapse_audit.lineages.training.randomness import INIT, ORDER, TEXTS, derived_rng, derived_seed
from collapse_audit.lineages.training.ranks import Ranks
from collapse_audit.lineages.training.recipe import Decoding, Recipe, Training
from collapse_audit.lineages.training.run import open_run, start_run

BEAM_BATCH = 32
"""Prompts at a time with beams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be done: the lineage in this folder, this many of its examples or prompts."""

    folder: Path
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A piece of work that was done."""

    seconds: float
    tokens: int
    """Without padding."""
    outcome: tuple[float, ...]
    """Of every step the loss, or of every text the number of tokens: alike where the same was computed."""
    unit: str
    """What ``outcome`` is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What is ready before anything is timed."""

    recipe: Recipe
    base: BaseModel
    records: list[dict[str, Any]]
    examples: list[Example]
    prompts: list[Prompt]
    pad: int

    @property
    def tokens(self) -> int:
        return sum(len(example.ids) for example in self.examples)


def prepare(task: Task, lineage: Path) -> None:
    """The lineage's recipe, human text and base in the task's folder; a base that is not there is trained (minutes)."""
    start_run(lineage, task.folder, profile=None)
    run = open_run(task.folder)
    prepare_base(run.root, run.recipe, Silent())


@functools.cache
def _made(task: Task) -> _Made:
    run = open_run(task.folder)
    recipe = dataclasses.replace(run.recipe, training=dataclasses.replace(run.recipe.training, epochs=1, accumulate=1))
    base = prepare_base(run.root, run.recipe, Silent())
    tokenizer = load_tokenizer(base)
    corpus = run.reference(run.lineage())
    encoder = Encoder(tokenizer, recipe)
    records = read_records(corpus)[: task.records]
    return _Made(
        recipe=recipe,
        base=base,
        records=records,
        examples=encoder.of(records),
        prompts=encoder.prompts(corpus)[: task.records],
        pad=tokenizer.pad_token_id,
    )


def _order(made: _Made) -> list[int]:
    """The order in which ours reads the examples."""
    lengths = [len(example.ids) for example in made.examples]
    order: list[int] = training_order(lengths, 1, made.recipe.training.batch_size, derived_rng(0, 0, ORDER)).tolist()
    return order


class _Clock(Silent):
    """Our trainer says when it begins and when a step is over."""

    began = ended = 0.0

    def start(self, what: str, total: int) -> None:  # noqa: ARG002
        self.began = time.perf_counter()

    def update(self, done: int, note: str = "") -> None:  # noqa: ARG002
        self.ended = time.perf_counter()


def train_ours(task: Task) -> Timed:
    """``finetune``: transformers' Trainer, its checks, its log."""
    made, clock = _made(task), _Clock()
    with tempfile.TemporaryDirectory() as parent:
        finetune(_work(made, Path(parent)), made.examples, made.recipe, Ranks(), clock)
        steps = [json.loads(line) for line in Path(parent, "train.jsonl").read_text("utf-8").splitlines()]
    return _timed(clock.ended - clock.began, made.tokens, [step["loss"] for step in steps])


def train_bare(task: Task, *, all_logits: bool = False, shuffled: bool = False) -> Timed:
    """The loop that anybody would write. ``all_logits``: at every position, padded on the right, as is usual."""
    import torch
    from transformers import get_scheduler

    made = _made(task)
    training = made.recipe.training
    model = _adapted(made)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=training.learning_rate, weight_decay=training.weight_decay)
    order = np.random.default_rng(0).permutation(len(made.examples)).tolist() if shuffled else _order(made)
    size = training.batch_size
    batches = [[made.examples[i] for i in order[at : at + size]] for at in range(0, len(order), size)]
    warmup = math.ceil(training.warmup * len(batches))
    schedule = get_scheduler(training.schedule, optimizer, warmup, len(batches))
    losses = []
    model.train()
    began = time.perf_counter()
    for batch in batches:
        loss = model(**(_usual(batch, made.pad) if all_logits else collate(batch, made.pad))).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, training.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return _timed(time.perf_counter() - began, made.tokens, losses)


def train_trl(task: Task, *, our_batches: bool = False, float32_adapter: bool = False, **settings: Any) -> Timed:
    """TRL's SFTTrainer as its documentation has it: a dataset of prompt and completion, so loss on the completion.

    Its own defaults but for the recipe's optimizer; ``settings`` override them. ``our_batches``: the examples in our
    order, read one after the other. ``float32_adapter``: undoes SFTTrainer's cast of the adapter to bfloat16.
    """
    with hushed():
        datasets, trl = import_module("datasets"), import_module("trl")
    datasets.disable_progress_bars()
    made = _made(task)
    clock = _trl_clock()
    with hushed(), tempfile.TemporaryDirectory() as folder:
        model, tokenizer = load_base(made.base, made.recipe)
        order = "sequential" if our_batches else "random"
        trainer = trl.SFTTrainer(
            model,
            trl.SFTConfig(folder, train_sampling_strategy=order, **_trl_settings(made.recipe.training), **settings),
            train_dataset=datasets.Dataset.from_list(_trl_rows(made, our_batches)),
            processing_class=tokenizer,
            peft_config=lora_config(made.recipe),
            callbacks=[clock],
        )
        trainer.remove_callback(import_module("transformers").PrinterCallback)
        if float32_adapter:
            for weight in trainer.model.parameters():
                weight.data = weight.data.float() if weight.requires_grad else weight.data
        trainer.train()
        tokens = sum(map(len, trainer.train_dataset["input_ids"]))
    return _timed(clock.times[-1] - clock.times[0], tokens, [])


def _trl_rows(made: _Made, our_order: bool) -> list[dict[str, str]]:
    """The space between the two goes to the completion: TRL warns where tokens would merge across the boundary."""
    records = [made.records[i] for i in _order(made)] if our_order else made.records
    frames = [made.recipe.text.template.replace("{prompt}", record["prompt"]) for record in records]
    return [
        {"prompt": frame.rstrip(" "), "completion": " " + record["text"]}
        for frame, record in zip(frames, records, strict=True)
    ]


def _trl_settings(training: Training) -> dict[str, Any]:
    import torch

    return {
        "num_train_epochs": 1,
        "per_device_train_batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.schedule,
        "warmup_steps": training.warmup,
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "optim": training.optimizer,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
    }


def _trl_clock() -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):  # type: ignore[misc]
        """When training began, and the end of every step."""

        def __init__(self) -> None:
            self.times: list[float] = []

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.times.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.times.append(time.perf_counter())

    return Clock()


def generate_ours(task: Task, *, beams: int) -> Timed:
    """``generate``: batches by length, a file of them, decoded texts."""
    made = _made(task)
    model, tokenizer = _writer(task.folder)
    with tempfile.TemporaryDirectory() as folder:
        sample = Sample(seed=0, index=0, purpose=TEXTS, what="", part=Path(folder, "texts"))
        began = time.perf_counter()
        rows = generate(
            model, tokenizer, made.prompts, _decoding(made, beams), sample, ranks=Ranks(), progress=Silent()
        )
        seconds = time.perf_counter() - began
    return _timed_texts(seconds, [row["n_tokens"] for row in rows])


def generate_bare(task: Task, *, beams: int) -> Timed:
    """``model.generate`` on the same batches, which are ready as tensors; nothing is decoded or written."""
    import torch

    made = _made(task)
    model, tokenizer = _writer(task.folder)
    decoding = _decoding(made, beams)
    settings = generation_config(tokenizer, decoding)
    batches = in_batches_by_length([len(prompt.ids) for prompt in made.prompts], decoding.batch_size)
    inputs = [collate([Example(made.prompts[i].ids, 0) for i in batch], made.pad) for batch in batches]
    outputs = []
    began = time.perf_counter()
    with hushed():
        for number, ready in enumerate(inputs):
            torch.manual_seed(derived_seed(0, 0, TEXTS, number))
            ids, mask = ready["input_ids"], ready["attention_mask"]
            written = model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
            outputs.append(written[:, ids.shape[1] :])
    seconds = time.perf_counter() - began
    lengths = np.zeros(len(made.prompts), dtype=int)
    for batch, output in zip(batches, outputs, strict=True):
        ended = (output == tokenizer.eos_token_id).numpy()
        lengths[batch] = np.where(ended.any(axis=1), ended.argmax(axis=1), output.shape[1])
    return _timed_texts(seconds, lengths.tolist())


@functools.cache
def _writer(folder: Path) -> tuple[Any, Any]:
    """Generation 0 after one epoch on everything: it ends its texts, as a generation does."""
    made = _made(Task(folder=folder, records=1_000_000))
    work = _work(made, folder / "trained")
    work.folder.mkdir(exist_ok=True)
    adapter = finetune(work, made.examples, made.recipe, Ranks(), Silent())
    return load_generation(made.base, made.recipe, writer=adapter, scorer=adapter)


def _decoding(made: _Made, beams: int) -> Decoding:
    """The recipe's sampling, or beams."""
    if beams == 1:
        return made.recipe.decoding
    longest = made.recipe.decoding.max_new_tokens
    return Decoding(do_sample=False, num_beams=beams, max_new_tokens=longest, batch_size=BEAM_BATCH)


def _work(made: _Made, folder: Path) -> Work:
    return Work(seed=0, index=0, where="benchmark", base=made.base, parent=None, folder=folder)


def _adapted(made: _Made) -> Any:
    """The model that ours trains: the same base, the same first weights."""
    with hushed():
        model, _ = load_base(made.base, made.recipe)
        return attach(model, made.recipe, derived_seed(0, 0, INIT))


def _usual(batch: Sequence[Example], pad: int) -> dict[str, Any]:
    """Padded on the right, labels as wide as the ids: so the logits of prompts and padding are computed as well."""
    import torch

    width = max(len(example.ids) for example in batch)
    ids = torch.full((len(batch), width), pad)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for row, example in enumerate(batch):
        length = len(example.ids)
        ids[row, :length] = torch.from_numpy(example.ids)
        mask[row, :length] = 1
        labels[row, example.start : length] = ids[row, example.start : length]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _timed(seconds: float, tokens: int, losses: Sequence[float]) -> Timed:
    return Timed(seconds=seconds, tokens=tokens, outcome=tuple(losses), unit="losses")


def _timed_texts(seconds: float, lengths: Sequence[int]) -> Timed:
    return Timed(seconds=seconds, tokens=sum(lengths), outcome=tuple(map(float, lengths)), unit="text lengths")
