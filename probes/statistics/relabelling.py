"""Permutations of labels within strata, many at a time.

A permutation test of thousands of replicates spends its time here first, so no element is shuffled where chance can be
had by the bit: two blocks of a pair swap or do not, and one large stratum of two sides is coin flips put right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_IntArray = npt.NDArray[np.integer[Any]]
_Labels = npt.NDArray[np.uint8]


def permuted_within(labels: _Labels, stratum: _IntArray, count: int, rng: np.random.Generator) -> _Labels:
    """Draw ``count`` permutations of ``labels`` (shape (K,)) within strata (shape (K,), integers from 0); row 0 is
    ``labels`` itself. Shape (count + 1, K).

    Every permutation within strata is equally likely, independently from row to row and from stratum to stratum, so
    p = (1 + #{T_b >= T}) / (count + 1) is exact (Phipson & Smyth 2010, doi 10.2202/1544-6115.1585).
    """
    order = np.argsort(stratum, kind="stable")
    sizes = np.bincount(stratum)
    starts = np.cumsum(sizes) - sizes
    columns, places = [], []
    for size in np.unique(sizes[sizes > 0]):
        # All strata of one size at once: rows of `members` are strata, permuted independently of each other.
        members = order[starts[sizes == size][:, None] + np.arange(size)]
        if size == 2:
            members = members.T  # the first of every pair, then the second of every pair
            columns.append(_pairs(labels[members], count, rng))
        elif len(members) == 1 and labels[members].max() <= 1:
            columns.append(chosen(count, int(size), int(labels[members].sum()), rng))
        else:
            observed = np.broadcast_to(labels[members], (count, *members.shape))
            columns.append(rng.permuted(observed, axis=2).reshape(count, -1))
        places.append(members.ravel())
    drawn = np.empty((count + 1, labels.size), dtype=np.uint8)
    drawn[0] = labels
    place = np.concatenate(places)
    if len(columns) == 1 and (place[1:] > place[:-1]).all():
        drawn[1:] = columns[0]
    else:
        # Columns are gathered, not scattered: reading out of order is several times cheaper than writing so.
        np.take(np.concatenate(columns, axis=1), np.argsort(place), axis=1, out=drawn[1:], mode="clip")
    return drawn


def chosen(count: int, size: int, ones: int, rng: np.random.Generator) -> _Labels:
    """``count`` rows of ``size`` zeros and ones with ``ones`` ones each, every such row equally likely.

    Coin flips first, of about that chance; then, in each row, entries of the value of which there are too many are
    turned at random. Given how many ones fell, their places are a uniform subset, and a uniform subset less (or more) a
    uniform element of it (or of the rest) is one again. For a half, about sqrt(size) / 2.5 turns a row.
    """
    rows = _coins(count, size, rng) if 2 * ones == size else _biased(count, size, ones, rng)
    surplus = rows.sum(axis=1, dtype=np.int64) - ones
    common, left = (surplus > 0).astype(np.uint8), np.abs(surplus)
    while left.any():
        # As many tries a row as it still needs turns; what is hit twice, or is rare already, is a try in vain.
        row = np.repeat(np.arange(count), left)
        place = rng.integers(size, size=row.size)
        hit = rows[row, place] == common[row]
        turned = np.unique(row[hit] * size + place[hit])
        rows.ravel()[turned] ^= 1
        left -= np.bincount(turned // size, minlength=count)
    return rows


def _pairs(labels: _Labels, count: int, rng: np.random.Generator) -> _Labels:
    """Pairs (columns of ``labels``, shape (2, S)) whose labels swap by a fair coin: shape (count, 2 S)."""
    masks = -_coins(count, labels.shape[1], rng)  # 0 or 255: of unsigned bytes, minus one is all bits
    swapped = masks & (labels[0] ^ labels[1])
    return np.concatenate((labels[0] ^ swapped, labels[1] ^ swapped), axis=1)


def _coins(count: int, size: int, rng: np.random.Generator) -> _Labels:
    """Fair coin flips, shape (count, size)."""
    width = -(-size // 8)
    flips = np.frombuffer(rng.bytes(count * width), dtype=np.uint8).reshape(count, width)
    return np.unpackbits(flips, axis=1, count=size)


def _biased(count: int, size: int, ones: int, rng: np.random.Generator) -> _Labels:
    """Flips of a coin that falls on one about ``ones`` times in ``size`` (in steps of 1/256), shape (count, size)."""
    bytes_ = np.frombuffer(rng.bytes(count * size), dtype=np.uint8).reshape(count, size)
    return (bytes_ < round(256 * ones / size)).view(np.uint8)
