"""Texts of both sides that begin alike, one with one: the same prompts stand inside the texts, and no field says so.

Templates begin alike too, but as often within a side as across. Answers to the same prompts pair up across the sides:
of every opening both sides hold equally many, far more evenly than chance deals texts out. That is what is tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc

from collapse_audit.probes.statistics.design import BoolArray, IntArray
from collapse_audit.probes.text.tokens import Tokens

SHORTEST = 8
"""Tokens of the shortest opening that is looked at: eight words in a row are seldom begun with twice by chance."""
_LENGTHS = (SHORTEST, 16, 32, 64, 128)
_SHORTER = (4, 2, 1)
"""The same behind a heading, where no longer ones pair up: ``Write a story about`` and a word or two."""
_HEADING = 3
"""Tokens of the shortest heading behind which they are looked for."""
_MOST = 0.5
"""Share of the texts that must stand in openings that both sides hold."""
_LEAST = 20
"""Openings that both sides must share."""
_EVEN = 1e-6
"""Probability that chance deals the openings as evenly."""
_SAME = 0.7
"""Share of tokens from which what follows the openings is no other answer but an edited copy of the same text."""
_TRIFLE = 0.2
"""Share of a text that may follow at its end where it is still the same text."""
_LOOKED_AT = 500
"""Openings whose continuations are compared."""
_AGAIN = 0.05
"""Rise of the share of repeated continuations that is said."""
_SEED = 0x6F70656E
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings:
    """Openings that both sides hold."""

    count: int
    length: int
    """Tokens that are known to be shared; prompts may be longer."""
    share: float
    """Of the texts: those that begin with one."""
    repeated: tuple[float, float]
    """Share of what follows the longest shared opening that stands behind another one too: baseline, generation."""

    @property
    def sentence(self) -> str:
        """What to say of them, and what to do."""
        again = ""
        if self.repeated[1] > self.repeated[0] + _AGAIN:
            again = f", and {self.repeated[1]:.0%} of what follows repeats (baseline {self.repeated[0]:.0%})"
        return (
            f"texts of both sides share {self.count:,} openings of {self.length} tokens or more ({self.share:.0%} of "
            f"the texts): the same prompts stand inside the texts{again}; give the prompt in a field (--prompt FIELD), "
            "so that only what the model wrote is judged"
        )


def shared_openings(tokens: Tokens, side: BoolArray) -> Openings | None:
    """Openings that pair texts of the two sides, or None where texts begin as exchangeable ones do.

    ``side``: which of the D documents are the generation's. What most texts of both sides begin with (a system prompt,
    a few examples) is passed over first.
    """
    names = np.random.default_rng(_SEED).integers(0, 2**64, size=max(len(tokens.vocabulary), 1), dtype=np.uint64)
    skipped = _common(tokens)
    longest = None
    for length, codes in _beginnings(tokens, names, skipped, _LENGTHS):
        known = _paired(codes, side)
        if known is None:
            break
        longest = length, codes, known
    if longest is None and skipped >= _HEADING:
        shorter = reversed([*_beginnings(tokens, names, skipped, _SHORTER)])
        found = ((length, codes, _paired(codes, side)) for length, codes in shorter)
        longest = next(((length, codes, known) for length, codes, known in found if known is not None), None)
    if longest is None:
        return None
    length, codes, (count, share) = longest
    rests = _continuations(tokens, side, codes)
    if np.median([_alike(*two) for two in rests[:_LOOKED_AT]]) >= _SAME:
        return None
    before, after = (_copies([two[which] for two in rests]) for which in (0, 1))
    return Openings(count=count, length=length, share=share, repeated=(before, after))


def _beginnings(
    tokens: Tokens, names: IntArray, skipped: int, lengths: Sequence[int]
) -> Iterator[tuple[int, IntArray]]:
    """A code of the first tokens behind ``skipped`` ones, as many as each length; 0 for texts that end there or before.

    In ascending order of length.
    """
    codes = np.zeros(tokens.lengths.size, dtype=np.uint64)
    for at in range(max(lengths)):
        longer = np.flatnonzero(tokens.lengths > skipped + at + 1)
        codes[tokens.lengths <= skipped + at + 1] = 0
        codes[longer] = codes[longer] * _ODD + names[tokens.ids[tokens.offsets[longer] + skipped + at]]
        if at + 1 in lengths:
            yield at + 1, codes.copy()


def _paired(codes: IntArray, side: BoolArray) -> tuple[int, float] | None:
    """Openings on both sides and the share of texts in them, where they are dealt out more evenly than by chance.

    Of an opening that k texts share, a on one side and b on the other, (a - b)^2 is k on average with variance
    2 k (k - 1) where every text falls on either side with probability 1/2. The sum is taken for a multiple of a
    chi-square variable of its mean and variance.
    """
    of = np.unique(codes, return_inverse=True)[1]
    size = np.bincount(of)
    b = np.bincount(of, weights=side)
    a = size - b
    there = (size > 1) & (np.unique(codes) != 0)
    both = there & (a > 0) & (b > 0)
    count, share = int(both.sum()), float(size[both].sum() / codes.size)
    if count < _LEAST or share < _MOST:
        return None
    uneven, mean = float(((a - b)[there] ** 2).sum()), float(size[there].sum())
    spread = float((2.0 * size * (size - 1))[there].sum())
    evenness = gammainc(mean**2 / spread, uneven * mean / spread)  # chi-square's, of 2 mean^2 / variance degrees
    return (count, share) if evenness <= _EVEN else None


def _common(tokens: Tokens) -> int:
    """Tokens that most of all texts begin with."""
    alive = np.arange(tokens.lengths.size)
    most, at = _MOST * alive.size, 0
    while alive.size:
        alive = alive[tokens.lengths[alive] > at]
        if not alive.size:
            break
        values, count = np.unique(tokens.ids[tokens.offsets[alive] + at], return_counts=True)
        best = int(count.argmax())
        if count[best] < most:
            break
        alive = alive[tokens.ids[tokens.offsets[alive] + at] == values[best]]
        at += 1
    return at


def _continuations(tokens: Tokens, side: BoolArray, codes: IntArray) -> list[tuple[IntArray, IntArray]]:
    """What follows where two texts part, the baseline's and the generation's, for the first texts of each opening."""
    first: list[dict[int, int]] = [{}, {}]
    for document, (code, later) in enumerate(zip(codes.tolist(), side.tolist(), strict=True)):
        if code:
            first[later].setdefault(code, document)
    rests = []
    for code, document in first[0].items():
        if code in first[1]:
            first_text, other = (
                tokens.ids[tokens.offsets[d] : tokens.offsets[d + 1]] for d in (document, first[1][code])
            )
            least = min(first_text.size, other.size)
            differ = np.flatnonzero(first_text[:least] != other[:least])
            parted = int(differ[0]) if differ.size else least
            longest = max(first_text.size, other.size)
            same = parted == least and longest - parted <= _TRIFLE * longest
            rests.append((first_text[:0], other[:0]) if same else (first_text[parted:], other[parted:]))
    return rests


def _alike(left: IntArray, other: IntArray) -> float:
    """Share of the shorter one's tokens that stand in the other too, as often; 1 where there is nothing on either."""
    if not left.size and not other.size:
        return 1.0
    first, second = (dict(zip(*np.unique(ids, return_counts=True), strict=True)) for ids in (left, other))
    common = sum(min(n, second.get(token, 0)) for token, n in first.items())
    return float(common / max(min(left.size, other.size), 1))


def _copies(rests: list[IntArray]) -> float:
    """Share that is a copy of another."""
    return 1.0 - len({rest.tobytes() for rest in rests}) / max(len(rests), 1)
