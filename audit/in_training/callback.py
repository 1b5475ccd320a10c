"""Audit a model while it is trained, and stop the training when it collapses.

::

    from collapse_audit.in_training.callback import CollapseAuditCallback

    trainer.add_callback(CollapseAuditCallback("runs/latest/gen_0/holdout.jsonl", tokenizer=tokenizer, every_steps=500))

Every ``every_steps`` steps the model writes samples as it would after training, and these are judged against the
baseline by the rule of every audit. The training itself is left as it would be without: mode, random numbers and
weights are the same afterwards, bit for bit. This is the only module beside the trainer that imports torch.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from transformers import GenerationConfig, TrainerCallback

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.errors import CollapseAuditError, UsageError
from collapse_audit.in_training.look import LookResult, take_look
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.corpora.drawn import drawn_from
from collapse_audit.lineages.training.guards import keep_gradients
from collapse_audit.lineages.training.randomness import TEXTS, derived_seed
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.sample import sample_of as drawn_sample
from collapse_audit.probes.text.tokens import WORDS
from collapse_audit.reports.document import Verdict
from collapse_audit.settings.config import AuditConfig

_LOOK = "collapse_audit_look"
"""Key of ``state.log_history`` by which looks before a checkpoint are counted when training goes on from it."""
_DECODING = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": 64}

logger = logging.getLogger("collapse_audit")


class AuditError(CollapseAuditError):
    """An audit during a training could not be made; raised when the training is over."""

    exit_code = 3
    slug = "audit-in-training"


class CollapseAuditCallback(TrainerCallback):  # type: ignore[misc]
    """For ``transformers.Trainer``: judge what the model writes every ``every_steps`` steps.

    ``baseline``: texts, or a corpus file; best is a held-out sample of the generation before, written under the same
    decoding, that nothing is trained on. ``prompts``: what the model continues, one a sample; by default those of the
    baseline's records, put into ``template``, and where there are none the start of a text. ``decoding``: arguments of
    ``transformers.GenerationConfig``; what is left unset is taken from the model's own. ``alpha``: the false-alarm
    rate of the whole training. ``stop``: whether collapse stops it; it is logged either way.
    """

    def __init__(
        self,
        baseline: Sequence[str] | str | os.PathLike[str],
        *,
        tokenizer: Any = None,
        every_steps: int = 500,
        samples: int = 500,
        batch_size: int = 32,
        prompts: Sequence[str] | None = None,
        template: str = "{prompt}",
        decoding: Mapping[str, Any] | None = None,
        alpha: float = 0.05,
        stop: bool = True,
        seed: int = 0,
    ) -> None:
        for name, value in (("every_steps", every_steps), ("samples", samples), ("batch_size", batch_size)):
            if value < 1:
                raise UsageError(f"{name} = {value}: a whole number of at least 1 is needed")
        if not 0 < alpha < 1:
            raise UsageError(f"alpha = {alpha}: a number between 0 and 1 is needed")
        self.baseline = _read(baseline)
        if len(self.baseline) == 0:
            raise UsageError("the baseline holds no text", slug="no-record")
        self.tokenizer = tokenizer
        self.every_steps, self.samples, self.batch_size = every_steps, samples, batch_size
        self.decoding = {**_DECODING, **(decoding or {})}
        self.stop, self.seed = stop, seed
        self.config = AuditConfig(alpha=alpha, seed=seed)
        self.looks: list[LookResult] = []
        """What every look found, oldest first; on the first process only."""
        self.errors: list[Exception] = []
        self._shown, self._paired = _prompts(self.baseline, prompts, samples, seed)
        self._template = _checked(template)

    # ------------------------------------------------------------------------------------- what the Trainer calls

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:  # noqa: ARG002
        """Refuse what could not be audited, before a step is taken."""
        if getattr(args, "fsdp", None) or getattr(args, "deepspeed", None):
            raise UsageError(
                "CollapseAuditCallback lets the first process write by itself, and under FSDP or DeepSpeed no process "
                "has the whole model; audit checkpoints instead: collapse-audit RUN --generation last"
            )
        tokenizer = self._tokenizer(rest)
        if tokenizer is None:
            raise UsageError("CollapseAuditCallback has no tokenizer: give tokenizer=…, or processing_class to Trainer")
        self._refuse_long_prompts(tokenizer, _context(rest.get("model")))

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:  # noqa: ARG002
        """Audit where it is time to."""
        if state.global_step % self.every_steps:
            return control
        collapsed = state.is_world_process_zero and self._audit(state, rest)
        if _told_to_all(bool(collapsed)) and self.stop:
            control.should_training_stop = True
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:  # noqa: ARG002
        """An audit that failed did not end the training, and does not pass for one that found nothing."""
        if self.errors:
            first = self.errors[0]
            message = (
                f"{len(self.errors)} of {len(self.errors) + len(self.looks)} audits during this training could not be "
                f"made, the first because of {type(first).__name__}: {first}"
            )
            raise AuditError(message) from first
        if state.is_world_process_zero and not any(_LOOK in entry for entry in state.log_history):
            logger.warning(
                "training ended at step %d and was never audited: every_steps = %d; nothing is known of collapse",
                state.global_step,
                self.every_steps,
            )

    # ------------------------------------------------------------------------------------------------- one look

    def _audit(self, state: Any, rest: Mapping[str, Any]) -> bool:
        """One look; whether it found collapse."""
        number = 1 + sum(1 for entry in state.log_history if _LOOK in entry)
        try:
            with undisturbed(rest["model"]):
                written = self._write(rest["model"], self._tokenizer(rest), number)
                look = take_look(self.baseline, written, number=number, config=self.config)
        except Exception as error:
            self.errors.append(error)
            logger.exception("step %d: the audit could not be made; training goes on", state.global_step)
            return False
        self.looks.append(look)
        values = {f"collapse_audit_{probe}_{name}": value for (probe, name), value in look.values.items()}
        about = {_LOOK: number, "collapse_audit_verdict": look.verdict.value, "collapse_audit_failed": len(look.failed)}
        state.log_history.append({**about, **values, "step": state.global_step, "epoch": state.epoch})
        collapsed = look.verdict is Verdict.COLLAPSE
        level = logging.WARNING if collapsed else logging.INFO
        reasons = f" ({', '.join(look.failed)})" if collapsed else ""
        logger.log(level, "step %d: look %d: %s%s", state.global_step, number, look.verdict.value, reasons)
        return collapsed

    def _tokenizer(self, rest: Mapping[str, Any]) -> Any:
        return self.tokenizer if self.tokenizer is not None else rest.get("processing_class")

    def _write(self, model: Any, tokenizer: Any, number: int) -> Sample:
        """What the model writes now, a batch at a time."""
        pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        settings = {"pad_token_id": pad, "eos_token_id": tokenizer.eos_token_id, "use_cache": True, **self.decoding}
        rows = [self._ids(tokenizer, prompt) for prompt in self._shown]
        texts = [""] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            torch.manual_seed(derived_seed(self.seed, number, TEXTS, start))
            ids, mask = _left_padded([rows[i] for i in batch], pad)
            output = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                generation_config=GenerationConfig(**settings),
            )
            answers = tokenizer.batch_decode(output[:, ids.shape[1] :].cpu(), skip_special_tokens=True)
            for i, text in zip(batch, answers, strict=True):
                texts[i] = text
        prompts = [str(prompt) for prompt in self._shown] if self._paired else None
        return sample_of(texts, prompts=prompts, name=f"look {number}")

    def _ids(self, tokenizer: Any, prompt: str | None) -> list[int]:
        """Of one prompt; the start of a text where there is none, or it has no token."""
        ids = [] if prompt is None else list(tokenizer(self._template.format(prompt=prompt))["input_ids"])
        start = tokenizer.bos_token_id
        return ids or [tokenizer.eos_token_id if start is None else start]

    def _refuse_long_prompts(self, tokenizer: Any, context: int | None) -> None:
        """A prompt cut to fit would be another prompt than the baseline answered."""
        if context is None:
            return
        lengths = [len(self._ids(tokenizer, prompt)) for prompt in self._shown]
        longest = max(lengths)
        if longest >= context:
            raise UsageError(
                f"{sum(n >= context for n in lengths)} of {len(lengths)} prompts leave no room to answer: the "
                f"longest has {longest:,} tokens, and the model holds {context:,}; shorten or leave out such prompts",
                slug="context",
            )


def _context(model: Any) -> int | None:
    """Tokens that the model can read, as its configuration says; None where it does not."""
    context = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    return context if isinstance(context, int) and context > 0 else None


def _read(baseline: Sequence[str] | str | os.PathLike[str]) -> Sample:
    if isinstance(baseline, str | os.PathLike):
        settings = AuditConfig()
        corpus = open_corpus(Path(baseline))
        found = drawn_from(corpus, most=settings.max_documents, seed=settings.seed, tokens=settings.tokens)
        return drawn_sample(found.draw, name=corpus.shown, digest=corpus.digest, tokenizer=WORDS)
    return sample_of(list(baseline), name="baseline")


def _checked(template: str) -> str:
    try:
        if "mark" in template.format(prompt="mark"):
            return template
    except (LookupError, ValueError):
        pass
    raise UsageError(f"template = {template!r}: it must hold {{prompt}}, and braces of its own only doubled")


def _prompts(
    baseline: Sample, given: Sequence[str] | None, samples: int, seed: int
) -> tuple[Sequence[str | None], bool]:
    """What the samples continue, and whether the baseline's texts continue the same."""
    if given is not None:
        if not given:
            raise UsageError("prompts is empty; leave it out to let the model write from the start of a text")
        return [given[i % len(given)] for i in range(samples)], False
    if baseline.prompts is None or baseline.prompts.null_count:
        return [None] * samples, False
    chosen = np.random.default_rng(seed).permutation(len(baseline))[:samples]
    prompts: list[str] = baseline.prompts.take(pa.array(chosen)).to_pylist()
    return prompts, True


def _left_padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Any, Any]:
    """Token ids and attention mask, shape (B, longest): a model continues from the right end."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for at, row in enumerate(rows):
        ids[at, width - len(row) :] = torch.tensor(row, dtype=torch.long)
        mask[at, width - len(row) :] = 1
    return ids, mask


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """Within: evaluation mode and no gradients. Afterwards: every module's mode and all random states are as before."""
    modes = [(module, module.training) for module in model.modules()]
    if any(type(module).__name__ == "Linear4bit" for module, _ in modes):
        keep_gradients(model)  # else bitsandbytes packs 4-bit layers in evaluation, and gradients stop there
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - others draw from it, and go on as before
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():  # inference_mode would leave its mark on buffers
            model.eval()
            yield
    finally:
        for module, training in modes:
            module.training = training
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


def _told_to_all(collapsed: bool) -> bool:
    """What the first process found, on every process: all stop at the same step, or none does."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return collapsed
    collapsed_anywhere = [collapsed]
    torch.distributed.broadcast_object_list(collapsed_anywhere, src=0)
    return collapsed_anywhere[0]
