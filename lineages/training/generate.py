"""What a model writes: one text a prompt, drawn with a seed of its own for every batch.

Batches are written to a file as they come, so that an interrupted generation goes on where it stopped; and since each
has its own seed, the texts are the same as if it had never been interrupted, and the same over several GPUs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse_audit.lineages.measured.hushed import hushed
from collapse_audit.lineages.training.examples import Prompt, in_batches_by_length
from collapse_audit.lineages.training.progress import Progress
from collapse_audit.lineages.training.randomness import derived_seed
from collapse_audit.lineages.training.ranks import Ranks
from collapse_audit.lineages.training.recipe import Decoding
from collapse_audit.lineages.training.sampling import in_place_of_sorting, merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample to be drawn: which run, generation and purpose, and where its batches are kept meanwhile."""

    seed: int
    index: int
    purpose: int
    what: str
    part: Path


def generate(
    model: Any, tokenizer: Any, prompts: Sequence[Prompt], decoding: Decoding, sample: Sample, *, ranks: Ranks,
    progress: Progress,
) -> list[dict[str, Any]]:  # fmt: skip
    """One record a prompt, in their order: ``text``, ``n_tokens`` (without the end) and ``ended`` (by itself).

    ``model`` and ``tokenizer`` as transformers has them. Every process returns the whole sample.
    """
    batches = in_batches_by_length([len(prompt.ids) for prompt in prompts], decoding.batch_size)
    own = _part_of(sample.part, ranks.index)
    done = set(read_parts(own))
    settings = generation_config(tokenizer, decoding)
    progress.start(sample.what, len(batches))
    own.parent.mkdir(parents=True, exist_ok=True)
    with merged(model), own.open("a", encoding="utf-8") as file:
        for number in range(ranks.index, len(batches), ranks.count):
            if number not in done:
                seed = derived_seed(sample.seed, sample.index, sample.purpose, number)
                rows = write_batch(model, tokenizer, [prompts[i] for i in batches[number]], settings, seed)
                file.write(json.dumps({"batch": number, "rows": rows}, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            progress.update(number + 1)
    ranks.wait()
    records: list[dict[str, Any]] = [{}] * len(prompts)
    for rank in range(ranks.count):
        for number, rows in read_parts(_part_of(sample.part, rank)).items():
            for i, (text, n_tokens, ended) in zip(batches[number], rows, strict=True):
                records[i] = {"text": text, "n_tokens": n_tokens, "ended": ended}
    return records


def as_records(prompts: Sequence[Prompt], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was written, each beside the prompt that it answers."""
    return [
        {"id": prompt.id, "group": prompt.group, "prompt": prompt.shown, **row}
        for prompt, row in zip(prompts, rows, strict=True)
    ]


def write_batch(
    model: Any, tokenizer: Any, prompts: Sequence[Prompt], settings: Any, seed: int
) -> list[tuple[str, int, bool]]:
    """``(text, number of tokens, ended by itself)`` for each prompt, padded on the left and masked by position."""
    import torch

    width = max(len(prompt.ids) for prompt in prompts)
    ids = torch.full((len(prompts), width), tokenizer.pad_token_id, dtype=torch.long)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt.ids) :] = torch.from_numpy(prompt.ids)
        mask[row, width - len(prompt.ids) :] = 1
    torch.manual_seed(seed)
    model.generation_config = settings  # transformers takes what a call leaves unset from the model's own settings
    settings, faster = in_place_of_sorting(settings)
    with hushed(), torch.inference_mode():
        output = model.generate(
            input_ids=ids.to(model.device), attention_mask=mask.to(model.device), generation_config=settings, **faster
        )
    written = [_until_end(row, tokenizer.eos_token_id) for row in output[:, width:].cpu().tolist()]
    texts = tokenizer.batch_decode(
        [row for row, _ in written], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return [(text, len(row), ended) for text, (row, ended) in zip(texts, written, strict=True)]


def _until_end(row: list[int], end: int) -> tuple[list[int], bool]:
    return (row[: row.index(end)], True) if end in row else (row, False)


def generation_config(tokenizer: Any, decoding: Decoding) -> Any:
    """The recipe's decoding as transformers has it; nothing is taken over from a model's own generation settings."""
    from transformers import GenerationConfig

    settings: dict[str, Any] = {
        "max_new_tokens": decoding.max_new_tokens,
        "min_new_tokens": decoding.min_new_tokens or None,
        "num_beams": decoding.num_beams,
        "do_sample": decoding.do_sample,
        "repetition_penalty": decoding.repetition_penalty,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "suppress_tokens": _never_text(tokenizer) or None,
    }
    if decoding.do_sample:
        settings |= {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": decoding.top_k}
    return GenerationConfig(**settings)


def _never_text(tokenizer: Any) -> list[int]:
    """Tokens that stand for no text: the start, the padding, and NUL, which no corpus may hold."""
    nul = [
        token for token in tokenizer("\0", add_special_tokens=False)["input_ids"] if tokenizer.decode([token]) == "\0"
    ]
    tokens = {tokenizer.bos_token_id, tokenizer.pad_token_id, *nul}
    return sorted(tokens - {None, tokenizer.eos_token_id})


def read_parts(path: Path) -> Mapping[int, list[Any]]:
    """Batch number to rows, of the batches that were written to their end; a torn last line is cut off."""
    if not path.exists():
        return {}
    whole = list(_whole_lines(path))
    with path.open("r+b") as file:
        file.truncate(sum(len(line) for line in whole))
    parts = [json.loads(line) for line in whole]
    return {part["batch"]: part["rows"] for part in parts}


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"}\n"):
                return
            yield line


def _part_of(path: Path, rank: int) -> Path:
    return path.with_name(f".{path.name}.{rank}.part")
