"""Synthetic texts whose truth is known: Polya-urn documents over a Zipf-Mandelbrot vocabulary.

Within a document a token is copied from an earlier one with probability i/(c + i) at position i, so tokens of one text
depend on each other as they do in real text (concentration c = 20 at 40 tokens: a design effect of about 2.9).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.text.sample import Sample

FloatArray = npt.NDArray[np.float64]


@cache
def zipf(types: int) -> FloatArray:
    """Zipf-Mandelbrot probabilities, p_r ~ 1/(r + 2.7)."""
    weights = 1.0 / (np.arange(1, types + 1) + 2.7)
    return np.asarray(weights / weights.sum())


def sharpened(p: FloatArray, gamma: float) -> FloatArray:
    """p^gamma, normalised."""
    return np.asarray(p**gamma / (p**gamma).sum())


def truncated(p: FloatArray, mass: float) -> FloatArray:
    """Top-p: the most probable types that together hold at least ``mass``; ``p`` must be sorted."""
    kept = np.where(np.cumsum(p) - p < mass, p, 0.0)
    return np.asarray(kept / kept.sum())


def drifted(p: FloatArray, tokens: int, generations: int, rng: np.random.Generator) -> FloatArray:
    """Wright-Fisher: ``generations`` rounds of estimating p from a sample of ``tokens`` of it."""
    for _ in range(generations):
        p = rng.multinomial(tokens, p) / tokens
    return np.asarray(p)


def documents(p: FloatArray, n: int, rng: np.random.Generator, *, length: float = 40.0, urn: float = 20.0) -> Sample:
    """``n`` documents with lognormal lengths of the given mean."""
    lengths = np.maximum(1, np.round(rng.lognormal(np.log(length) - 0.125, 0.5, n))).astype(np.int64)
    fresh = rng.choice(p.size, size=(n, int(lengths.max())), p=p)
    for i in range(1, fresh.shape[1]):
        copied = rng.random(n) >= urn / (urn + i)
        fresh[copied, i] = fresh[copied, rng.integers(0, i, n)[copied]]
    return _sample(fresh, lengths, rng)


def patterns(p: FloatArray, n: int, rng: np.random.Generator) -> Sample:
    """``n`` documents of one token each: whole patterns, as Wright-Fisher has them."""
    return _sample(rng.choice(p.size, size=(n, 1), p=p), np.ones(n, dtype=np.int64), rng)


def _sample(ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], rng: np.random.Generator) -> Sample:
    names = _names(int(ids.max()) + 1)
    texts = [" ".join(names[row[:length]]) for row, length in zip(ids, lengths, strict=True)]
    # The name goes into the digest and so into the seed of the permutations: every sample gets its own.
    return sample_of(texts, name=str(rng.integers(1 << 62)))


@cache
def _names(size: int) -> npt.NDArray[np.object_]:
    return np.array([f"w{i}" for i in range(size)], dtype=object)
