"""What generation k is trained on: a scheme's shares as named sources, and which example comes from which.

Generation 0 learns from the reference. For k > 0 (Shumailov et al. 2024, eq. for the training mix: shares alpha of the
previous model, beta of the earlier ones, gamma of people; Bobrova et al., section VI, for cross):

    recursive   {previous: 1}
    cross       {partner: 1}, the partner's generation k - 1
    preserve    {reference: .1, previous: .9}
    accumulate  the reference and every generation before, all of each (Gerstgrasser et al. 2024, arXiv 2404.01413)
    a table     any shares of reference, previous, earlier and partner

>>> shares_of("preserve", 2)
{'reference': 0.1, 'generation 1': 0.9}
>>> shares_of({"reference": 0.2, "earlier": 0.2, "previous": 0.6}, 3)
{'reference': 0.2, 'generation 0': 0.1, 'generation 1': 0.1, 'generation 2': 0.6}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from collapse_audit.errors import UsageError

PRESERVED = 0.1
"""Share of human text under ``preserve`` (Nature: "10% of original training data preserved")."""
REFERENCE = "reference"
_T = TypeVar("_T")


def shares_of(scheme: str | Mapping[str, float], index: int) -> dict[str, float]:
    """Source to share, summing to 1: ``reference``, ``generation j`` (of this lineage), ``partner j``."""
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

    add(REFERENCE, shares.get("reference", 0.0))
    earlier = shares.get("earlier", 0.0)
    for j in range(index - 1):
        add(f"generation {j}", earlier / (index - 1))
    add(f"generation {index - 1}", shares.get("previous", 0.0) + (earlier if index == 1 else 0.0))
    add(f"partner {index - 1}", shares.get("partner", 0.0))
    return sources


def mix(
    sources: Mapping[str, Sequence[_T]], shares: Mapping[str, float], rng: np.random.Generator, *, whole: bool
) -> list[_T]:
    """The training set: all examples of every source (``whole``), or at each position one source's example.

    Position i of every source answers the same prompt i, so a mixture asks every prompt once: a random part of the
    positions, in proportion to the shares (largest remainders), goes to each source.
    Raises UsageError where the sources have different lengths.
    """
    if whole or len(shares) == 1:
        return [example for name in shares for example in sources[name]]
    sizes = {name: len(sources[name]) for name in shares}
    total = min(sizes.values())
    if max(sizes.values()) != total:
        found = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise UsageError(f"corpora of different sizes cannot be mixed prompt by prompt: {found}", slug="mix")
    counts = _largest_remainders([shares[name] for name in shares], total)
    places = np.repeat(np.arange(len(counts)), counts)
    names = list(shares)
    return [sources[names[place]][i] for i, place in enumerate(rng.permutation(places).tolist())]


def _largest_remainders(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers in proportion to the shares that sum to ``total``; ties go to the first."""
    exact = np.asarray(shares) * total
    counts = np.floor(exact + 1e-9).astype(np.int64)
    missing = total - int(counts.sum())
    counts[np.argsort(-(exact - counts), kind="stable")[:missing]] += 1
    return [int(count) for count in counts]
