"""How many of the categories that one sample showed another one would show, had nothing changed."""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.statistics.design import IntArray

_ROUNDS = 300
"""Steps of the fit; three times as many move the answer by less than it is uncertain."""
_GRID = 80


def expected_seen(counts: IntArray, n: int, m: int) -> float:
    """How many of K categories, carried by ``counts`` (shape (K,), each >= 1) of n texts, m new texts would show.

    A category that was seen once is, as a rule, rarer than 1 in n: that it was seen is luck, which its own share x/n
    does not know. Of 3,000 Zipf categories 2,000 texts show 709; as many new ones show 307 of these again, where the
    shares x/n promise 514. So shares are estimated from all categories together, as Good and Turing do for what was
    never seen (Good 1953, doi 10.1093/biomet/40.3-4.237): the distribution of shares is the one that makes the counts
    likeliest, given that each was seen (the maximum over all distributions: Kiefer & Wolfowitz 1956, doi
    10.1214/aoms/1177728066; by EM), and a category counts with its chance under that distribution, given its count.
    """
    if not counts.size:
        return 0.0
    seen, times = np.unique(counts, return_counts=True)
    share = np.unique(np.concatenate((np.geomspace(0.02, 1.2 * seen.max(), _GRID), seen)) / n)
    share = np.append(share[share < 1], [1 - 1e-9] if n in seen else [])
    missing = np.log1p(-share)
    log_chance = seen[:, None] * np.log(share) + (n - seen[:, None]) * missing - np.log(-np.expm1(n * missing))
    chance = np.exp(log_chance - log_chance.max(axis=1, keepdims=True))
    weight = np.full(share.size, 1 / share.size)
    for _ in range(_ROUNDS):
        given = _given(chance, weight)
        weight = times @ given / counts.size
    return float(times @ _given(chance, weight) @ -np.expm1(m * missing))


def _given(chance: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The distribution of the share given each count, rows summing to 1."""
    joint = chance * weight
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))
