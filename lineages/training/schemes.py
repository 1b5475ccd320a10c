"""What generation k is trained on: a scheme's shares as named sources, and which example comes from which.

Generation 0 learns from the reference. For k > 0 (Shumailov et al. 2024, eq. for the training mix: shares alpha of the
previous model, beta of the earlier ones, gamma of people; Bobrova et al., section VI, for cross):

    recursive   {previous: 1}
    cross       {partner: 1}, the partner's generation k - 1
    preserve    {reference: .1, previous: .9}
    accumulate  the reference and every generation before, all of each (Gerstgrasser et al. 2024, arXiv 2404.01413)
    a table     any shares of reference, fresh, previous, earlier and partner; fresh is human text that no generation
                has read before

>>> shares_of("preserve", 2)
{'reference': 0.1, 'generation 1': 0.9}
>>> shares_of({"reference": 0.2, "earlier": 0.2, "previous": 0.6}, 3)
{'reference': 0.2, 'generation 0': 0.1, 'generation 1': 0.1, 'generation 2': 0.6}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from collapse_audit.errors import UsageError

PRESERVED = 0.1
"""Share of human text under ``preserve`` (Nature: "10% of original training data preserved")."""
REFERENCE = "reference"
FRESH = "fresh"
_T = TypeVar("_T")


def shares_of(scheme: str | Mapping[str, float], index: int) -> dict[str, float]:
    """Source to share, summing to 1: ``reference``, ``fresh``, ``generation j`` (of this lineage), ``partner j``."""
    if index == 0:
        return {REFERENCE: 1.0}
    if scheme == "accumulate":
        names = [REFERENCE, *(f"generation {j}" for j in range(index))]
        return dict.fromkeys(names, 1 / len(names))
    shares = _NAMED[scheme] if isinstance(scheme, str) else scheme
    return _named_sources(shares, index)


_NAMED: Mapping[str, Mapping[str, float]] = {
    "recursive": {"previous": 1.0},
    "cross": {"partner": 1.0},
    "preserve": {"reference": PRESERVED, "previous": 1 - PRESERVED},
}


def _named_sources(shares: Mapping[str, float], index: int) -> dict[str, float]:
    """``earlier`` in equal parts over what there is before the previous one; before there is any, the previous."""
    sources: dict[str, float] = {}

    def add(name: str, share: float) -> None:
        if share:
            sources[name] = sources.get(name, 0.0) + share

    add(REFERENCE, shares.get(REFERENCE, 0.0))
    add(FRESH, shares.get(FRESH, 0.0))
    earlier = shares.get("earlier", 0.0)
    for j in range(index - 1):
        add(f"generation {j}", earlier / (index - 1))
    add(f"generation {index - 1}", shares.get("previous", 0.0) + (earlier if index == 1 else 0.0))
    add(f"partner {index - 1}", shares.get("partner", 0.0))
    return sources


def mix(
    sources: Mapping[str, Sequence[_T | None]],
    shares: Mapping[str, float],
    rng: np.random.Generator,
    *,
    whole: bool = False,
    turn: int = 0,
) -> list[_T]:
    """The training set: all examples of every source (``whole``), or at each position one source's example.

    Position i of every source answers the same prompt i, so a mixture asks every prompt once: a random part of the
    positions, in proportion to the shares (largest remainders), goes to each source. None is a text that was not
    selected: its position stays empty. ``FRESH`` answers prompts of its own: the c positions that are its share are
    filled with c of its examples in their order, and where this is the ``turn``-th time (from 0), with those after the
    c * turn that were read before.
    Raises UsageError where the others have different lengths, and where there is too little fresh text.
    """
    if whole or len(shares) == 1:
        return [example for name in shares for example in sources[name] if example is not None]
    sizes = {name: len(sources[name]) for name in shares if name != FRESH}
    total = min(sizes.values())
    if max(sizes.values()) != total:
        found = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise UsageError(f"corpora of different sizes cannot be mixed prompt by prompt: {found}", slug="mix")
    counts = _largest_remainders([shares[name] for name in shares], total)
    places = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    mixed: list[_T | None] = [None] * total
    for name, mine in zip(shares, (np.flatnonzero(places == number) for number in range(len(counts))), strict=True):
        read = mine if name != FRESH else _next_of(len(sources[name]), len(mine), turn)
        for place, at in zip(mine.tolist(), read.tolist(), strict=True):
            mixed[place] = sources[name][at]
    return [example for example in mixed if example is not None]


def _next_of(available: int, count: int, turn: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Which ``count`` of the fresh examples come next. Raises UsageError where there are too few."""
    if available < count * (turn + 1):
        message = (
            f"{available:,} fresh examples are too few: {count:,} a generation, this is time {turn + 1}; "
            "give more human text, a smaller share of fresh, or fewer generations"
        )
        raise UsageError(message, slug="fresh")
    return np.arange(count * turn, count * (turn + 1))


def _largest_remainders(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers in proportion to the shares that sum to ``total``; ties go to the first."""
    exact = np.asarray(shares) * total
    counts = np.floor(exact + 1e-9).astype(np.int64)
    missing = total - int(counts.sum())
    counts[np.argsort(-(exact - counts), kind="stable")[:missing]] += 1
    return [int(count) for count in counts]
