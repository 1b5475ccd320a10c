"""Log-likelihoods of token sequences: batched by length, in bounded memory, the same whatever stands beside them.

Padding stands on the right and is never looked at: a causal model's earlier positions do not see later ones, so no mask
is needed and positions count from zero in every row. Sequences longer than the model reads go through it in windows,
each token predicted once (the rule of lm-eval's ``loglikelihood_rolling``: Gao et al., doi 10.5281/zenodo.12608602): a
window's first prediction has one token before it, and the last window reaches back as far as the model reads.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.lineages.training.examples import Example
from collapse_audit.lineages.training.progress import Progress

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_LOGITS = 1 << 25
"""Logits held at once (128 MiB in float32, and about as much again while they are made into probabilities)."""


@dataclass(frozen=True, slots=True)
class Window:
    """One pass through the model: ``ids[begin:end]`` goes in, and ``ids[first:end + 1]`` is predicted by it."""

    sequence: int
    begin: int
    end: int
    first: int


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model predicted of N sequences; each array has shape (N,)."""

    nll: FloatArray
    """Sum of -ln p over the predicted tokens, nats."""
    entropy: FloatArray | None
    """Sum of the entropies of the next-token distributions, nats; None where nobody asked."""
    top1: FloatArray | None
    """Sum of the probabilities of the most probable tokens; None where nobody asked."""
    count: IntArray
    """Tokens predicted."""


def windows(sequence: int, length: int, start: int, longest: int) -> Iterator[Window]:
    """The passes that predict tokens ``start`` to ``length`` - 1 of a sequence once each, ``longest`` tokens a pass."""
    predicted = 1
    while predicted < length:
        end = min(predicted + longest, length)
        if end > start:
            yield Window(sequence, max(end - 1 - longest, 0), end - 1, max(predicted, start))
        predicted = end


def predict(
    model: Any,
    examples: Sequence[Example],
    *,
    longest: int,
    batch_size: int,
    spread: bool = False,
    progress: Progress,
    done: int = 0,
) -> Predictions:
    """Go once through ``examples``; ``progress`` is told of sequences, of which ``done`` were before these.

    ``spread``: entropies and largest probabilities too. ``longest``: the most tokens that the model reads at once.
    """
    sums = np.zeros((len(examples), 3 if spread else 1))
    passes = [
        window
        for number, example in enumerate(examples)
        for window in windows(number, len(example.ids), example.start, longest)
    ]
    passes.sort(key=lambda window: window.begin - window.end)  # the longest first: memory runs out at once or never
    left = np.bincount([window.sequence for window in passes], minlength=len(examples))
    finished = int(np.count_nonzero(left == 0))
    for batch in _batches(passes, batch_size, _vocabulary(model)):
        rows = [window.sequence for window in batch]
        np.add.at(sums, rows, _run(model, examples, batch, spread=spread).T)
        np.subtract.at(left, rows, 1)
        finished += int(np.count_nonzero(left[np.unique(rows)] == 0))
        progress.update(done + finished)
    return Predictions(
        nll=sums[:, 0],
        entropy=sums[:, 1] if spread else None,
        top1=sums[:, 2] if spread else None,
        count=np.array([max(len(example.ids) - example.start, 0) for example in examples], dtype=np.int64),
    )


def _batches(passes: Sequence[Window], size: int, vocabulary: int) -> Iterator[list[Window]]:
    """Neighbours in length, as many as ``size`` and the memory for logits allow."""
    batch: list[Window] = []
    kept = 0
    for window in passes:
        wide = max(kept, _kept(batch[:1] or [window], window))
        if batch and (len(batch) == size or wide * (len(batch) + 1) * vocabulary > _LOGITS):
            yield batch
            batch, wide = [], window.end - window.first + 1
        batch.append(window)
        kept = wide
    if batch:
        yield batch


def _kept(longest: Sequence[Window], window: Window) -> int:
    """Positions from the first that ``window`` predicts at to the end of the batch, whose longest pass is given."""
    return (longest[0].end - longest[0].begin) - (window.first - 1 - window.begin)


def _run(model: Any, examples: Sequence[Example], batch: Sequence[Window], *, spread: bool) -> FloatArray:
    """Sums over the predicted tokens of each pass; shape (1 or 3, B)."""
    import torch

    width = max(window.end - window.begin for window in batch)
    skipped = min(window.first - 1 - window.begin for window in batch)
    ids = np.zeros((len(batch), width), dtype=np.int64)
    targets = np.zeros((len(batch), width - skipped), dtype=np.int64)
    asked = np.zeros(targets.shape, dtype=bool)
    for row, window in enumerate(batch):
        sequence = examples[window.sequence].ids
        ids[row, : window.end - window.begin] = sequence[window.begin : window.end]
        at = slice(window.first - 1 - window.begin - skipped, window.end - window.begin - skipped)
        targets[row, at] = sequence[window.first : window.end + 1]
        asked[row, at] = True
    place = model.device
    with torch.inference_mode():
        given, wanted, counted = (torch.from_numpy(array).to(place) for array in (ids, targets, asked))
        sums = torch.zeros((3 if spread else 1, len(batch)), dtype=torch.float64, device=place)
        for at, logits in _logits(model, given, skipped):
            sums += _summed(logits, wanted[:, at], counted[:, at], spread=spread)
        return np.asarray(sums.cpu().numpy())


def _summed(logits: Any, targets: Any, asked: Any, *, spread: bool) -> Any:
    """-ln p of the targets, and with ``spread`` entropy and largest probability, summed over what is asked; (.., B)."""
    import torch

    logs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
    sums = [-logs.gather(-1, targets[..., None])[..., 0]]
    if spread:
        entropy = torch.where(logs.isneginf(), 0.0, logs.exp() * logs).sum(dim=-1).neg()  # p ln p is 0 where p is
        sums += [entropy, logs.amax(dim=-1).exp()]
    return torch.stack([torch.where(asked, values, 0.0).double().sum(dim=-1) for values in sums])


def _logits(model: Any, ids: Any, skipped: int) -> Iterator[tuple[slice, Any]]:
    """The logits from position ``skipped`` on, and where among those they stand: in one piece, or as fits in memory."""
    rows, width = ids.shape
    step = max(_LOGITS // (rows * _vocabulary(model)), 1)
    if width - skipped <= step or rows > 1:
        kept = {"logits_to_keep": width - skipped} if skipped and _keeps(model) else {}
        logits = model(input_ids=ids, use_cache=False, **kept).logits
        yield slice(0, width - skipped), logits[:, logits.shape[1] - (width - skipped) :]
        return
    cache = None
    for at in range(0, width, step):
        out = model(input_ids=ids[:, at : at + step], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        begin = max(at, skipped)
        if begin < at + out.logits.shape[1]:
            yield slice(begin - skipped, at + out.logits.shape[1] - skipped), out.logits[:, begin - at :]


def _keeps(model: Any) -> bool:
    """Whether the model can be told to compute the logits of the last positions alone."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(inner.forward).parameters


def _vocabulary(model: Any) -> int:
    return int(model.config.get_text_config().vocab_size)
