"""Whether many readings are a mixture of those of two known kinds, and how far they are from being one.

Where texts of two kinds are mixed, and nothing else changes, every distribution of what is read off a text is
x M + (1 - x) H: of machines' and of human texts, with one share x. The distance is the largest difference between the
distribution functions of the data and of the mixture, over all that is read off a text, at the share that makes it
smallest. It says how much a share that is read off at any cut could be wrong for another reason than chance, and has no
opinion about the texts that are shifted along the line from H to M: these are a mixture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collapse_audit.probes.statistics.design import FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import effective_size

_CUTS = 32
"""Equal parts of the known texts, and of the data, at whose ends distribution functions are compared."""
_SHARES = np.linspace(0, 1, 101)
_DRAWS = 500
_AT_ONCE = 20
"""Draws that are held together."""
_CHANCE = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """How far data are from any mixture of two kinds."""

    distance: float
    """Largest difference of distribution functions at the best share, in [0, 1]."""
    by_chance: float
    """What is as small in 99 of 100 samples, of a mixture."""
    share: float
    """The share of the second kind at which the distance is smallest."""

    @property
    def beyond(self) -> float:
        """The part of the distance that chance does not explain."""
        return max(self.distance - self.by_chance, 0.0)


def misfit(
    kinds: tuple[FloatArray, FloatArray],
    data: FloatArray,
    rng: np.random.Generator,
    *,
    sizes: tuple[float, float, float] | None = None,
) -> Misfit:
    """How far ``data``, N texts with V readings each (N, V), are from a mixture of ``kinds``, (H, V) and (M, V).

    ``sizes``: how many independent texts each of the three is worth, where some are copies of others.

    By chance: texts of either kind are drawn anew from those known, and data from the mixture that fits best.
    """
    codes, edges = _cells((*kinds, data))
    counts = [np.bincount(code, minlength=len(edges)).astype(np.float64) for code in codes]
    shares = [count / count.sum() for count in counts]
    distance, best = _nearest(*(_functions(share[None], edges) for share in shares))
    worth = [max(round(size), 1) for size in sizes or (len(kinds[0]), len(kinds[1]), len(data))]
    x = float(best[0])
    mixture = x * shares[1] + (1 - x) * shares[0]
    drawn = [(worth[k], share / share.sum()) for k, share in enumerate((shares[0], shares[1], mixture))]
    parts = []
    for _ in range(0, _DRAWS, _AT_ONCE):
        anew = [rng.multinomial(size, share, size=_AT_ONCE) / size for size, share in drawn]
        parts.append(_nearest(*(_functions(share, edges) for share in anew))[0])
    chance = np.concatenate(parts)
    return Misfit(distance=float(distance[0]), by_chance=float(np.quantile(chance, _CHANCE, method="higher")), share=x)


def worth(keys: IntArray) -> float:
    """How many independent texts N are worth of which those of one key are copies: N²/sum of squared counts.

    >>> worth(np.array([7, 7, 7, 7])), worth(np.array([1, 2, 3, 4]))
    (1.0, 4.0)
    """
    counts = np.unique(keys, return_counts=True)[1].astype(np.float64)
    return effective_size(counts) if counts.size else 0.0


def _cells(samples: tuple[FloatArray, FloatArray, FloatArray]) -> tuple[list[IntArray], IntArray]:
    """The cell of each text, for every sample, and where each of C cells lies between the cuts: (C, V)."""
    known, everything = np.concatenate(samples[:2]), np.concatenate(samples)
    parts = np.linspace(0, 1, _CUTS + 1)[1:-1]
    places = []
    for column in range(everything.shape[1]):
        cuts = np.quantile(known[:, column], parts), np.quantile(samples[2][:, column], parts)
        places.append(np.searchsorted(np.unique(np.concatenate(cuts)), everything[:, column]))
    cells, code = np.unique(np.stack(places, axis=1), axis=0, return_inverse=True)
    ends = np.cumsum([len(sample) for sample in samples])
    return np.split(code.ravel(), ends[:-1]), cells


def _functions(shares: FloatArray, cells: IntArray) -> FloatArray:
    """Distribution functions at all cuts of all readings, of B samples with C cells each (B, C); one row a sample."""
    parts = []
    for column in cells.T:
        among = np.zeros((column.size, int(column.max()) + 1))
        among[np.arange(column.size), column] = 1
        parts.append(np.cumsum(shares @ among, axis=1))
    return np.concatenate(parts, axis=1)


def _nearest(human: FloatArray, machine: FloatArray, data: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The distance of each of B samples from its nearest mixture, and the share there; both of shape (B,)."""
    away, apart = data - human, machine - human
    distance = np.stack([np.abs(away - share * apart).max(axis=1) for share in _SHARES])
    best = distance.argmin(axis=0)
    return distance[best, np.arange(best.size)], _SHARES[best]
