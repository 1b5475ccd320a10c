"""The numbers that stand in texts: which are the same, what they amount to, and how far apart they lie."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from collapse_audit.probes.statistics.design import Design, FloatArray, IntArray
from collapse_audit.probes.statistics.tables import side_sums
from collapse_audit.probes.text.tokens import Tokens

_GROUP = 3
"""Digits behind a comma that make it one of thousands: 1,000 is a thousand, and 0,9 nine tenths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The M numbers of D documents, in their order."""

    code: IntArray
    """Shape (M,): equal where the numbers are spelled alike, but for point and comma."""
    document: IntArray
    """Shape (M,)."""
    value: FloatArray
    """Shape (M,): what each amounts to, 0 or more."""


def written_numbers(tokens: Tokens) -> Written:
    """Every token that begins with a digit; two of them around a point or comma are one number."""
    digit = pc.match_substring_regex(tokens.vocabulary, r"^\p{N}").to_numpy(zero_copy_only=False)[tokens.ids]
    comma, point = (pc.equal(tokens.vocabulary, sign).to_numpy(zero_copy_only=False)[tokens.ids] for sign in (",", "."))
    document = np.repeat(np.arange(tokens.lengths.size), tokens.lengths)
    joined = np.zeros(tokens.ids.size, dtype=np.bool_)  # a number, a point and a number from here on
    joined[:-2] = digit[:-2] & (comma | point)[1:-1] & digit[2:] & (document[:-2] == document[2:])
    start = digit.copy()
    start[2:] &= ~joined[:-2]
    first = np.flatnonzero(start)
    whole, size = _amounts(tokens, tokens.ids[digit])
    code = tokens.ids[first].astype(np.int64) * (len(tokens.vocabulary) + 1)
    value = whole[tokens.ids[first]]
    pairs = np.flatnonzero(joined[first])
    behind = tokens.ids[first[pairs] + 2]
    code[pairs] += 1 + behind
    thousands = comma[first[pairs] + 1] & (size[behind] == _GROUP)
    value[pairs] = np.where(
        thousands, 1000 * value[pairs] + whole[behind], value[pairs] + whole[behind] * 10.0 ** -size[behind]
    )
    return Written(code=code, document=document[first], value=value)


def _amounts(tokens: Tokens, ids: IntArray) -> tuple[FloatArray, FloatArray]:
    """Of every word of the vocabulary (V,) that stands among ``ids``: the number that it begins with, and its digits;
    ``3rd`` is 3, with one digit."""
    whole, size = np.zeros(len(tokens.vocabulary)), np.zeros(len(tokens.vocabulary))
    for word in np.unique(ids):
        text = tokens.vocabulary[int(word)].as_py()
        digits = re.match(r"\d*", text)
        assert digits is not None
        size[word] = min(len(digits[0]), 300)
        whole[word] = float(digits[0][:300]) if digits[0] else abs(unicodedata.numeric(text[0], 0.0))
    return whole, size


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far apart the numbers of the two sides lie, under every relabelling, the observed one first."""

    variances: FloatArray
    """Shape (2, B + 1): of their ranks, as shares of both sides' numbers."""
    errors: FloatArray
    """Shape (2, B + 1): the standard error of each."""
    means: FloatArray
    """Shape (2,): mean rank of either side, as it is."""
    influence: FloatArray
    """Shape (K,): of each block on ln of the ratio of standard deviations, as it is."""


def spread(value: FloatArray, block: IntArray, text: IntArray, design: Design, drawn: npt.NDArray[np.uint8]) -> Spread:
    """Of numbers in blocks and texts of a design; ``value``, ``block``, ``text``: shape (M,); ``drawn``: (B + 1, K).

    A number is a rank, the share of both sides' numbers below it and half of those equal to it: neither units nor a
    few huge numbers matter. The numbers of a text weigh one together, so that no table outweighs all texts.
    """
    weight = 1.0 / np.bincount(text)[text]
    rank = _mid_ranks(value, weight)
    columns = np.stack([np.bincount(block, weight * rank**power, design.side.size) for power in (0, 1, 2)], axis=1)
    products = np.stack([columns[:, i] * columns[:, j] for i in range(3) for j in range(i, 3)], axis=1)
    blocks = np.ones((design.side.size, 1))
    sums = side_sums(np.hstack((columns, products, blocks)), drawn)
    total, mean, square = sums[..., 0], sums[..., 1] / sums[..., 0], sums[..., 2] / sums[..., 0]
    variance = np.maximum(square - mean**2, 0.0)
    # A block moves the variance by (b - 2ma + (2m^2 - q)w)/W, with its own sums w, a, b of 1, rank and rank^2.
    pull = np.stack((2 * mean**2 - square, -2 * mean, np.ones_like(mean)), axis=-1)
    form = np.stack([pull[..., i] * pull[..., j] * (1 + (i < j)) for i in range(3) for j in range(i, 3)], axis=-1)
    n = sums[..., 9]
    spreads = np.maximum(np.einsum("sbc,sbc->sb", form, sums[..., 3:9]), 0.0) / total**2 * n / np.maximum(n - 1, 1)
    influence = np.empty(design.side.size)
    for row, which, sign in ((0, ~design.side, -1.0), (1, design.side, 1.0)):
        moved = columns[which] @ pull[row, 0] / total[row, 0]
        influence[which] = sign * moved / (2 * max(variance[row, 0], 1e-12))
    return Spread(
        variances=variance,
        errors=np.sqrt(spreads),
        means=mean[:, 0],
        influence=influence,
    )


def _mid_ranks(value: FloatArray, weight: FloatArray) -> FloatArray:
    """The share of all weight below each value, and half of that on it; shape (M,)."""
    kinds, of = np.unique(value, return_inverse=True)
    on = np.bincount(of, weight, kinds.size)
    return np.asarray(((np.cumsum(on) - on / 2) / on.sum())[of])
