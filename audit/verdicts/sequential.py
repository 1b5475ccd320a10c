"""Auditing again and again: how much of alpha each look may spend, so that all of them together spend no more than it.

A look is an audit of inputs that have not been audited before. By the union bound, P(any false alarm at any look) is at
most the sum of what the looks spend. That needs nothing of how the looks depend on each other, and they do: all are
compared with one baseline sample. It also allows to stop, to go on, and to change the pipeline after every look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from collapse_audit.errors import UsageError

HORIZON = 100
"""Looks among which the first half of alpha is shared out equally."""
_MEMORY = 1 << 31
"""Bytes that the relabellings of one comparison may take: one a block and permutation."""
_LEAST = 999
"""Permutations that any audit draws."""
_MOST = 1_000_000
"""Permutations that a small alpha may ask for: more take minutes a comparison however few blocks there are."""


def alpha_at(look: int, alpha: float) -> float:
    """What the ``look``-th look (from 1) may spend of ``alpha``.

    The first ``HORIZON`` = H looks share half of it equally. All later ones share the other half, look t taking the
    part H / (t (t - 1)) = H / (t - 1) - H / t of it; these parts telescope to 1, so the whole sums to alpha and never
    runs out (alpha spending: Lan & DeMets 1983, doi 10.1093/biomet/70.3.659).
    """
    if look <= HORIZON:
        return alpha / 2 / HORIZON
    return alpha / 2 * HORIZON / (look * (look - 1))


def alpha_for(looks: Sequence[str], look: str, alpha: float) -> float:
    """What the audit with the digest ``look`` may spend of ``alpha``, after ``looks`` (digests, oldest first).

    Inputs that have been looked at before are no new evidence: they keep the number, and so the share, of their first
    look.
    """
    return alpha_at(number_of(looks, look), alpha)


def number_of(looks: Sequence[str], look: str) -> int:
    """Which look it is, from 1; the number of its first time where it has been there before."""
    known = list(dict.fromkeys(looks))
    return (known.index(look) if look in known else len(known)) + 1


def bound(spent: Sequence[float], alpha: float) -> float:
    """What all looks together may spend: those of a history as they were, and all that are to come by the schedule."""
    scheduled = sum(alpha_at(look, alpha) for look in range(1, len(spent) + 1))
    return sum(spent) + alpha - scheduled


def permutations_for(size: int, alpha: float, *, least: int, blocks: int) -> int:
    """How many permutations a family of ``size`` tests needs at ``alpha``, with ``blocks`` blocks in a comparison.

    The smallest p-value that B permutations can give is 1 / (B + 1), and Holm's first step multiplies it by ``size``:
    from B = size / alpha on, a change that no permutation reaches is significant. At least ``least``; at most a
    million and what fits into memory, and then :func:`can_reject` may be False.
    """
    most = min(_MOST, _MEMORY // max(blocks, 1))
    return min(max(least, math.ceil(size / alpha)), max(least, most))


def check_room(asked: int, blocks: int) -> None:
    """Raises UsageError where a user asks for more permutations of ``blocks`` blocks than memory holds.

    The least that may be asked for are drawn whatever they take.
    """
    if asked > max(_LEAST, _MEMORY // max(blocks, 1)):
        raise UsageError(
            f"permutations = {asked:,}: for {blocks:,} documents memory holds {_MEMORY // blocks:,}; lower "
            "permutations, or max_documents"
        )


def can_reject(size: int, alpha: float, permutations: int) -> bool:
    """Whether any p-value of that many permutations, adjusted for ``size`` tests, can be as small as ``alpha``."""
    return size / (permutations + 1) <= alpha
