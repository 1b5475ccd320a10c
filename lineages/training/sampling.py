"""Two ways to write the same texts in half the time: the adapter in the weights, and top-p without sorting everything.

Both compute what they stand for but for rounding. On two cores, SmolLM2-135M in 32 bits with an adapter on all linear
layers, 66 texts at a time: 1.4 s a token without them, of which .33 s is the sort of 49,152 logits a text.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MOST_LIKELY = 2048
"""Tokens that nearly always hold top-p of the probability; where they do not, all are sorted."""


@contextmanager
def merged(model: Any) -> Iterator[None]:
    """Within: the active adapter is added to the base's weights, where these are not packed into 4 bits."""
    mergeable = hasattr(model, "merge_adapter") and not getattr(model, "is_quantized", False)
    if not mergeable:
        yield
        return
    model.merge_adapter()
    try:
        yield
    finally:
        model.unmerge_adapter()


def in_place_of_sorting(settings: Any) -> tuple[Any, dict[str, Any]]:
    """Generation settings, and what else to give to ``generate``, that sample as ``settings`` do, by :class:`TopP`."""
    if settings is None or not settings.do_sample or settings.top_k or settings.top_p is None or settings.top_p >= 1.0:
        return settings, {}
    from transformers import LogitsProcessorList
    from transformers.generation.logits_process import TemperatureLogitsWarper

    processors = [TopP(settings.top_p)]  # transformers puts them behind its own, before its temperature
    if settings.temperature is not None and settings.temperature != 1.0:
        processors.insert(0, TemperatureLogitsWarper(settings.temperature))
    plain = copy.deepcopy(settings)
    plain.temperature, plain.top_p = 1.0, 1.0
    return plain, {"logits_processor": LogitsProcessorList(processors)}


class TopP:
    """Keeps the fewest most likely tokens that together have a probability of at least ``top_p``.

    A token stays where those that are more likely have less than that together (Holtzman et al. 2019,
    arXiv:1904.09751); tokens as likely as the last one that stays, stay too.
    """

    def __init__(self, top_p: float) -> None:
        self._top_p = top_p

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002
        """``scores``: logits, shape (texts, vocabulary); those of tokens that go become minus infinity."""
        size = scores.shape[-1]
        last = self._last_kept(scores, min(_MOST_LIKELY, size))
        if last is None:
            last = self._last_kept(scores, size)
        return scores.masked_fill(scores < last, float("-inf"))

    def _last_kept(self, scores: Any, count: int) -> Any:
        """The least logit that stays, shape (texts, 1); None where the ``count`` most likely are not enough."""
        top = scores.topk(count, dim=-1).values
        shares = (top - scores.logsumexp(dim=-1, keepdim=True)).exp()
        together = shares.cumsum(dim=-1)
        if count < scores.shape[-1] and bool((together[:, -1] < self._top_p).any()):
            return None
        kept = (together - shares < self._top_p).sum(dim=-1, keepdim=True).clamp(min=1)
        return top.gather(-1, kept - 1)
