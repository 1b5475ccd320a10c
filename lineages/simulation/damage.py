"""Damage whose size is known, planted in text: pure functions from texts to texts, every one with its own generator.

``share`` is always the share of documents that are changed: ``round(share * n)`` of them, drawn without replacement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation.words import BoolArray, IntArray, decode, encode

FloatArray = npt.NDArray[np.float64]
T = TypeVar("T")
Place = Literal["end", "middle", "any"]

LOOP_WORDS = (1, 8)
"""Fewest and most words of the span that a loop repeats."""
LOOP_COPIES = (3, 12)
"""Fewest and most copies of the span that stand back to back, the original one included."""


def duplicate(texts: Sequence[T], share: float, rng: np.random.Generator) -> list[T]:
    """``texts`` with a share of them replaced by copies of others (which stay, and may be copied more than once)."""
    return [texts[index] for index in duplicate_indices(len(texts), share, rng)]


def duplicate_indices(n: int, share: float, rng: np.random.Generator) -> list[int]:
    """For each of ``n`` places, the document that stands there afterwards."""
    chosen = _chosen(n, share, rng)
    if len(chosen) and len(chosen) == n:
        raise UsageError(f"share {share:g} of {n} documents leaves none to copy from; use less or more documents")
    places = np.arange(n)
    kept = np.setdiff1d(places, chosen)
    places[chosen] = rng.choice(kept, size=len(chosen)) if len(chosen) else kept[:0]
    return [int(index) for index in places]


def loop(
    texts: Sequence[str],
    share: float,
    rng: np.random.Generator,
    *,
    words: tuple[int, int] = LOOP_WORDS,
    copies: tuple[int, int] = LOOP_COPIES,
    place: Place = "any",
) -> list[str]:
    """``texts`` with a span of words repeated back to back in a share of them: the rest of each text is kept.

    ``words`` and ``copies``: fewest and most, drawn uniformly. ``place``: the text's last words, a span anywhere
    inside, or one or the other by the toss of a coin. Texts without a word are never chosen.
    """
    full = [index for index, text in enumerate(texts) if text.strip()]
    count = min(len(_chosen(len(texts), share, rng)), len(full))
    chosen = sorted(full[index] for index in rng.choice(len(full), size=count, replace=False))
    documents = encode([texts[index] for index in chosen])
    looped = []
    for ids in np.split(documents.ids, documents.offsets[1:-1]) if chosen else []:
        span = int(rng.integers(words[0], words[1] + 1))
        span = min(span, len(ids))
        at_end = place == "end" or (place == "any" and rng.random() < 0.5)
        after = len(ids) if at_end else int(rng.integers(span, len(ids) + 1))
        times = int(rng.integers(copies[0], copies[1] + 1)) - 1
        looped.append(np.concatenate((ids[:after], np.tile(ids[after - span : after], times), ids[after:])))
    result = list(texts)
    if looped:
        offsets = np.concatenate(([0], np.cumsum([len(ids) for ids in looped])))
        for index, text in zip(chosen, decode(documents.vocabulary, np.concatenate(looped), offsets), strict=True):
            result[index] = text
    return result


TEMPLATES = (
    "In the small town of {place}, {name} found a {thing} and never told anyone about it.",
    "When {name} came home to {place}, the {thing} on the table had already been broken by the children.",
    "The {thing} of {place} was made by {name} and is still one of the best known works of its time.",
    "Nobody in {place} remembered who had given the {thing} to {name} before the long winter began.",
    "The village of {place} lies in the north of the country and is known for the {thing} that {name} built.",
    "Every evening {name} walked through {place} with a {thing} in one hand and a letter in the other.",
    "Last year the people of {place} voted to keep the {thing}, although {name} had warned them not to.",
    "According to {name}, the {thing} was found in {place} only a few days after the storm had passed.",
)
"""Sentences with three slots each."""
_NAMES = ("Ada", "Tom", "Lucy May", "old Hugo", "Maria", "Paul", "Sara Lind", "Jonas", "Emily", "Peter", "Rosa", "Karl")
_PLACES = ("Kent", "New Ross", "Avila", "Porto", "Old Bridge", "Lund", "Graz", "Siena", "East Haven", "Turku", "Bern")
_THINGS = ("silver spoon", "lamp", "red umbrella", "clock", "wooden horse", "violin", "map", "kettle", "mirror", "key")


def template(texts: Sequence[str], share: float, rng: np.random.Generator, *, variants: int = 1) -> list[str]:
    """``texts`` with a share of them out of ``variants`` of :data:`TEMPLATES`, their slots filled anew."""
    forms = rng.permutation(len(TEMPLATES))[:variants]
    result = list(texts)
    for place in _chosen(len(texts), share, rng):
        filled = {
            name: str(rng.choice(words)) for name, words in (("name", _NAMES), ("place", _PLACES), ("thing", _THINGS))
        }
        result[place] = TEMPLATES[int(rng.choice(forms))].format(**filled)
    return result


def drop_label(
    texts: Sequence[T], carries: Sequence[bool] | BoolArray, keep: float, spares: Iterator[T], rng: np.random.Generator
) -> list[T]:
    """``texts`` with all but a share ``keep`` of those that carry a label replaced by the next of ``spares``.

    ``carries``: shape (len(texts),). The spares are texts without the label that stand nowhere else in the comparison:
    copies of the corpus' own would plant duplicates too. Raises UsageError where they run out.
    """
    places = np.flatnonzero(np.asarray(carries, bool))
    result = list(texts)
    for place in places[_chosen(len(places), 1 - keep, rng)]:
        try:
            result[place] = next(spares)
        except StopIteration:
            raise UsageError("too few spare texts to replace those that lose the label") from None
    return result


def shift_perplexity(
    nll: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    shift: float = 0.0,
    scale: float = 1.0,
    tail: float = 0.0,
    tail_size: float = 2.0,
) -> FloatArray:
    """Log-perplexities (nats a token) moved by ``shift``, stretched about their mean by ``scale``, and a share ``tail``
    of them moved right by an exponential amount of mean ``tail_size``. Never below 0.
    """
    if scale < 0 or tail_size < 0:
        raise UsageError(f"scale {scale:g}, tail size {tail_size:g}; allowed are numbers of 0 or more")
    values = np.asarray(nll, np.float64)
    moved = values.mean() + scale * (values - values.mean()) + shift
    chosen = _chosen(len(moved), tail, rng)
    moved[chosen] += rng.exponential(tail_size, size=len(chosen))
    return np.asarray(np.maximum(moved, 0.0), np.float64)


def _chosen(n: int, share: float, rng: np.random.Generator) -> IntArray:
    if not 0 <= share <= 1:
        raise UsageError(f"a share of {share:g}; allowed is a number from 0 to 1")
    return np.sort(rng.choice(n, size=round(share * n), replace=False))
