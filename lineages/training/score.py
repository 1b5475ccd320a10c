"""How surprised a model is by texts: the mean negative log-likelihood of each, in nats per token.

With generation 0 as the model this is the axis of the perplexity histograms in Shumailov et al. 2024 (Fig. 1b, c):
exp of it is the perplexity. Taken over the tokens that training takes its loss on, the end of the text included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_audit.lineages.training.examples import Encoder, Example, collate, in_batches_by_length, on_device
from collapse_audit.lineages.training.progress import Progress

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


def score(
    model: Any, examples: Sequence[Example], *, pad: int, batch_size: int, what: str, progress: Progress
) -> FloatArray:
    """Nats per token of each example, shape (len(examples),); NaN where an example has no token to score."""
    nll = np.full(len(examples), np.nan)
    scored = [i for i, example in enumerate(examples) if len(example.ids) > example.start]
    batches = in_batches_by_length([len(examples[i].ids) for i in scored], batch_size)
    progress.start(what, len(batches))
    for number, places in enumerate(batches, start=1):
        batch = [scored[place] for place in places]
        nll[batch] = score_batch(model, collate([examples[i] for i in batch], pad))
        progress.update(number)
    return nll


def add_nll(
    model: Any, encoder: Encoder, records: Sequence[dict[str, Any]], *, batch_size: int, what: str, progress: Progress
) -> None:
    """Adds ``nll``, nats per token under ``model``, to each record; None where there is no token to score."""
    nll = score(model, encoder.of(records), pad=encoder.pad, batch_size=batch_size, what=what, progress=progress)
    for record, value in zip(records, nll.tolist(), strict=True):
        record["nll"] = None if np.isnan(value) else round(value, 6)


def score_batch(model: Any, batch: dict[str, Any]) -> FloatArray:
    """Nats per labelled token of each row, shape (B,)."""
    import torch
    from torch.nn.functional import cross_entropy

    batch = on_device(model, batch)
    labels = batch.pop("labels")[:, 1:]
    with torch.inference_mode():
        logits = model(**batch).logits[:, :-1].float()
        losses = cross_entropy(logits.transpose(1, 2), labels, ignore_index=-100, reduction="none").double()
    counts = (labels != -100).sum(dim=1)
    means: FloatArray = (losses.sum(dim=1) / counts).cpu().numpy()
    return means
