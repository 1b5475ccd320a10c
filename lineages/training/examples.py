"""From records to tokens: what a model reads and on which of it the loss is taken.

Two tasks. ``completion``: prompt, then text, loss on the text and its end-of-text token only. ``blocks``: text in
blocks of so many tokens, loss on all of them (Shumailov et al. 2024: "we block training sequences to be 64 tokens").

Padding is masked by position and never by token: where a tokenizer pads with its end-of-text token, a mask by token
would hide the real one too, and the model would never learn to stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.recipe import Recipe

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_STRETCH = 32
"""Batches among which examples are sorted by length."""
_IGNORED = -100
"""The label that PyTorch's cross-entropy leaves out."""


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence and where its loss begins."""

    ids: IntArray
    """Token ids, shape (T,)."""
    start: int
    """Position of the first token that is learned; those before it are only read."""
    prompt: str | None = None
    """Of the record that it was made of; None where that has none, as a block of people's text."""
    text: str = ""
    """Of the same record; of a block its tokens as text."""
    source: str = ""
    """The corpus that it comes from, as the manifest names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a model is given to write on."""

    id: str
    shown: str | None
    """The prompt as it stands in the records."""
    group: str | None
    ids: IntArray
    """Token ids that the model continues, shape (T,)."""


def read_records(corpus: Corpus) -> list[dict[str, Any]]:
    """The records of a corpus, in the order of the file."""
    return [record for batch in corpus.batches() for record in batch.to_pylist()]


class Encoder:
    """One tokenizer and one recipe: records to examples and prompts. All generations ask the same: it remembers it."""

    def __init__(self, tokenizer: Any, recipe: Recipe) -> None:
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        self._eos = [tokenizer.eos_token_id]
        self.pad: int = tokenizer.pad_token_id
        self._asked: dict[str, list[int]] = {}
        """Framed prompts and their tokens."""

    def human(self, corpus: Corpus) -> list[Example]:
        """Examples of text that people wrote. Raises TrainingError where one does not fit the context."""
        if self._recipe.task == "blocks":
            return [
                Example(np.array([*self._bos, *block]), len(self._bos) or 1, text=self._shown(block))
                for block in self._blocks(corpus)
            ]
        records = read_records(corpus)
        sequences = self._sequences(records)
        self._require_room(corpus, [len(ids) for ids, _ in sequences], 0)
        return self._cut(sequences, records)

    def of(self, records: Sequence[dict[str, Any]]) -> list[Example]:
        """Examples of what a model wrote, one a record: of ``text`` and, under the task ``completion``, ``prompt``.

        Under ``blocks`` the end-of-text token is no part of them: every block is of full length and none ends.
        A text that grew in being written down and read again is cut where the context ends.
        """
        return self._cut(self._sequences(records), records)

    def _sequences(self, records: Sequence[dict[str, Any]]) -> list[tuple[list[int], int]]:
        """The tokens of each record, and where those that are learned begin."""
        texts = self._encode([record["text"] for record in records])
        if self._recipe.task == "blocks":
            return [([*self._bos, *text], len(self._bos) or 1) for text in texts]
        prompts = self._encode_prompts(records)
        return [
            ([*self._bos, *prompt, *text, *self._eos], len(self._bos) + len(prompt))
            for prompt, text in zip(prompts, texts, strict=True)
        ]

    def _cut(self, sequences: Sequence[tuple[list[int], int]], records: Sequence[dict[str, Any]]) -> list[Example]:
        context = self._recipe.text.context
        return [
            Example(np.array(ids[:context], dtype=np.int64), start, record.get("prompt"), record["text"])
            for (ids, start), record in zip(sequences, records, strict=True)
        ]

    def prompts(self, corpus: Corpus) -> list[Prompt]:
        """What a model is asked, from a human corpus. Raises TrainingError where one leaves no room to answer."""
        if self._recipe.task == "blocks":
            return [self._block_prompt(number, block) for number, block in enumerate(self._blocks(corpus))]
        records = read_records(corpus)
        tokens = self._encode_prompts(records)
        self._require_room(corpus, [len(ids) + 1 for ids in tokens], self._recipe.decoding.max_new_tokens)
        return [
            Prompt(
                id=record["id"] or str(number),
                shown=record["prompt"],
                group=record["group"],
                ids=np.array([*self._bos, *ids], dtype=np.int64),
            )
            for number, (record, ids) in enumerate(zip(records, tokens, strict=True))
        ]

    def _block_prompt(self, number: int, block: Sequence[int]) -> Prompt:
        ids = np.array([*self._bos, *block], dtype=np.int64)
        return Prompt(id=f"block-{number:05d}", shown=self._shown(block), group=None, ids=ids)

    def _shown(self, block: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(block), clean_up_tokenization_spaces=False))

    def _encode_prompts(self, records: Sequence[dict[str, Any]]) -> list[list[int]]:
        framed = [self._framed(record) for record in records]
        new = [text for text in dict.fromkeys(framed) if text not in self._asked]
        self._asked.update(zip(new, self._encode(new), strict=True))
        return [self._asked[text] for text in framed]

    def _framed(self, record: dict[str, Any]) -> str:
        if record["prompt"] is None:
            problem = f"record {record['id'] or '(without id)'} has no prompt; the task completion needs one in each"
            raise TrainingError(problem, slug="no-prompt")
        return self._recipe.text.template.replace("{prompt}", record["prompt"])

    def _blocks(self, corpus: Corpus) -> Iterator[list[int]]:
        """All text end to end, cut into blocks; what is left over is dropped, as in the published code."""
        size = self._recipe.text.block
        tokens = [token for text in self._encode([r["text"] for r in read_records(corpus)]) for token in text]
        if len(tokens) < size:
            found = f"{corpus.where or corpus.shown} holds {len(tokens)} tokens; one block alone takes {size}"
            raise TrainingError(found, slug="too-little-text")
        return (tokens[at : at + size] for at in range(0, len(tokens) - size + 1, size))

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text alone, without the tokens that a tokenizer would put around it."""
        if not texts:
            return []
        ids: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _require_room(self, corpus: Corpus, lengths: Sequence[int], more: int) -> None:
        context = self._recipe.text.context
        long = [number for number, length in enumerate(lengths, start=1) if length + more > context]
        if long:
            longest = max(lengths)
            answer = f" and {more} new tokens" if more else ""
            message = (
                f"{corpus.where or corpus.shown}: {len(long)} of {len(lengths)} records do not fit the context of "
                f"{context} tokens{answer} (the first is record {long[0]}, the longest has {longest} tokens); "
                "raise recipe.text.context, lower recipe.decoding.max_new_tokens, or shorten the prompts"
            )
            raise TrainingError(message, slug="context")


def collate(examples: Sequence[Example], pad: int) -> dict[str, Any]:
    """A batch for ``model(**batch)``: ``input_ids``, ``attention_mask``, ``position_ids``, ``labels`` as tensors.

    Padded on the left, so that what is learned stands at the end and logits are computed for it alone: of
    ``input_ids`` (B, T) the last K columns, ``labels`` (B, K), with ``logits_to_keep`` K. In prompt -> completion
    data most tokens are prompt, and the logits are most of the work of a small model and of the memory of a large one.
    Mask and labels come from each example's length: ``pad`` may be any token.
    """
    import torch

    width = max(len(example.ids) for example in examples)
    ids = np.full((len(examples), width), pad, dtype=np.int64)
    skipped = np.array([width - len(example.ids) for example in examples])[:, None]
    starts = skipped + np.array([example.start for example in examples])[:, None]
    for row, example in zip(ids, examples, strict=True):
        row[width - len(example.ids) :] = example.ids
    place = np.arange(width)[None, :]
    kept = min(width, max(len(example.ids) - example.start for example in examples) + 1)
    labels = np.where(place >= starts, ids, _IGNORED)[:, width - kept :]
    return {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy((place >= skipped).astype(np.int64)),
        "position_ids": torch.from_numpy(np.maximum(place - skipped, 0)),
        "labels": torch.from_numpy(labels.copy()),
        "logits_to_keep": kept,
    }


def on_device(model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    """The batch where the model is."""
    return {key: value.to(model.device) if hasattr(value, "to") else value for key, value in batch.items()}


def training_order(lengths: Sequence[int], epochs: float, batch_size: int, rng: np.random.Generator) -> IntArray:
    """The order in which examples are read, all epochs in a row, shape (round(epochs * n),).

    Every epoch is a permutation. Within stretches of many batches, examples of similar length share a batch (little
    padding) and the batches stand in random order. Drawn before training begins, so an interrupted one goes on in it.
    """
    n = len(lengths)
    total = max(1, round(epochs * n))
    order = np.concatenate([rng.permutation(n) for _ in range(-(-total // n))])[:total]
    by_length = np.asarray(lengths)
    parts = []
    for at in range(0, total, _STRETCH * batch_size):
        stretch = order[at : at + _STRETCH * batch_size]
        stretch = stretch[np.argsort(by_length[stretch], kind="stable")]
        whole = len(stretch) // batch_size * batch_size
        batches = stretch[:whole].reshape(-1, batch_size)
        parts += [rng.permutation(batches).ravel(), stretch[whole:]]
    return np.concatenate(parts)


def in_batches_by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indices in batches of similar length: little padding, and always the same batches for the same lengths."""
    order = np.argsort(np.asarray(lengths), kind="stable").tolist()
    return [order[at : at + size] for at in range(0, len(order), size)]
