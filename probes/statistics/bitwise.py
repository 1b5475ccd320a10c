"""What becomes of a count table under every relabelling, 64 relabellings at a time.

A relabelling says of a block one bit: on which side it is. So a count is a sum of bits, and 64 relabellings of a block
are one word of the processor. Words are added as numbers are on paper, digit by digit (a carry-save adder: Warren 2013,
Hacker's Delight, 5-1): two become one of a binary digit more, until one number a type is left. That takes about ten
operations for 64 relabellings of an occurrence, where a product takes 64 multiplications and as many additions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Words = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.unsignedinteger[Any]]

_TOGETHER = 1 << 17
"""Words that are added up at once: 1 MiB, which the processor's cache holds."""
_CELLS = 1 << 17
"""Counts that are handed out at once."""


def packed(relabellings: npt.NDArray[np.uint8]) -> Words:
    """The sides of every block under all relabellings, 64 to a word; from zeros and ones (B + 1, K) to (K, W)."""
    replicates, blocks = relabellings.shape
    eights = np.zeros((-(-replicates // 64) * 8, blocks), dtype=np.uint8)
    for row, of in enumerate(relabellings):
        eights[row // 8] |= of << np.uint8(7 - row % 8)  # row by row: numpy's packbits of columns takes longer
    return np.ascontiguousarray(eights.T).view(np.uint64)


def counted(counts: csr_array, bits: Words, replicates: int) -> Iterator[tuple[slice, Counts]]:
    """``counts`` (V, K), whole numbers, on the side of ones under every relabelling: (v, B + 1), v types at a time.

    ``bits``: what :func:`packed` makes of the ``replicates`` = B + 1 relabellings.
    """
    bits = np.concatenate((bits, np.zeros((1, bits.shape[1]), dtype=np.uint64)))  # the last block is nobody's
    times = counts.data.astype(np.int64)
    occurrences = np.append(0, np.cumsum(times))[counts.indptr]
    first, most, fit = 0, max(1, _CELLS // replicates), _fit(bits)
    while first < counts.shape[0]:
        # Types are few where one of them is frequent, so that a rare one is not filled up to a frequent one.
        within = np.diff(occurrences[first : first + most + 1])
        longest = np.maximum.accumulate(within)
        taken = max(1, int(np.count_nonzero(longest * np.arange(1, within.size + 1) <= fit)))
        entries = slice(counts.indptr[first], counts.indptr[first + taken])
        block = np.repeat(counts.indices[entries], times[entries])
        yield slice(first, first + taken), _summed(block, within[:taken], bits, replicates)
        first += taken


def present(counts: csr_array, bits: Words) -> Iterator[tuple[Words, Words]]:
    """Whether each type stands among the zeros, and among the ones; two of shape (v, W), v types at a time."""
    most = max(1, _fit(bits) // 8)
    for first in range(0, counts.shape[0], most):
        bounds = counts.indptr[first : first + most + 1]
        held = bits.take(counts.indices[bounds[0] : bounds[-1]], axis=0, mode="clip")
        starts = bounds[:-1] - bounds[0]
        yield ~np.bitwise_and.reduceat(held, starts), np.bitwise_or.reduceat(held, starts)


def total(words: Words, replicates: int) -> Counts:
    """How many rows of ``words`` (n, W) hold a one, at every place; shape (B + 1,)."""
    counts: Counts = _spelled(_added([words[:, None]]), replicates)[0]
    return counts


def _summed(block: npt.NDArray[Any], occurrences: npt.NDArray[np.int64], bits: Words, replicates: int) -> Counts:
    """How many of the ``block`` of each type, one after the other, are on the side of ones; shape (v, B + 1)."""
    fit = _fit(bits)
    if occurrences.size == 1 and block.size > fit:
        pieces = [block[start : start + fit] for start in range(0, block.size, fit)]
        each = (_summed(piece, np.array([piece.size]), bits, replicates) for piece in pieces)
        together: Counts = np.sum(list(each), axis=0, dtype=np.uint32)
        return together
    places = np.full((occurrences.size, max(1, int(occurrences.max()))), len(bits) - 1)
    places[np.arange(places.shape[1]) < occurrences[:, None]] = block
    return _spelled(_added([bits.take(places.T, axis=0, mode="clip")]), replicates)


def _fit(bits: Words) -> int:
    """How many occurrences are added up at once."""
    return max(1, _TOGETHER // int(bits.shape[1]))


def _added(digits: list[Words]) -> list[Words]:
    """The sum of n numbers of shape (n, v, W), as binary digits of shape (v, W) from the lowest."""
    while len(digits[0]) > 1:
        digits = _halved(digits)
    return [digit[0] for digit in digits]


def _spelled(digits: list[Words], replicates: int) -> Counts:
    """Binary digits, from the lowest, as numbers; shape (v, B + 1)."""
    kind = np.uint8 if len(digits) <= 8 else np.uint16 if len(digits) <= 16 else np.uint32
    sums = np.zeros((len(digits[0]), replicates), dtype=kind)
    for digit in reversed(digits):
        sums += sums
        sums |= np.unpackbits(np.ascontiguousarray(digit).view(np.uint8), axis=1, count=replicates)
    return sums


def _halved(digits: list[Words]) -> list[Words]:
    """Numbers along the first axis, as binary digits from the lowest, added in pairs."""
    half = len(digits[0]) // 2
    odd = len(digits[0]) % 2
    added: list[Words] = []
    carry: Words | None = None
    for digit in digits:
        one, other = digit[:half], digit[half : 2 * half]
        either = one ^ other
        both = one & other
        if carry is None:
            low, carry = either, both
        else:
            low, carry = either ^ carry, both | (either & carry)
        added.append(np.concatenate((low, digit[2 * half :])) if odd else low)
    assert carry is not None
    added.append(np.concatenate((carry, np.zeros_like(carry[:1]))) if odd else carry)
    return added
