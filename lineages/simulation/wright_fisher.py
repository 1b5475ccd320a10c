"""The Wright-Fisher process: every generation is a finite sample of the one before, and what no sample caught is gone.

Model 0 is p itself, as a perfect model of the reference would be. ``counts[k] ~ Multinomial(n, q_k)`` is what model k
writes, and model k + 1 is nothing but its shares, ``q_{k+1} = counts[k] / n``. In closed form, with q_0 = p::

    E q_k = p        E(1 - sum q_k^2) = (1 - 1/n)^k (1 - sum p^2)        E types(q_1) = sum 1 - (1 - p_i)^n
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation.words import IntArray

FloatArray = npt.NDArray[np.float64]

_CONSONANTS, _VOWELS = "bdfghjklmnprstvz", "aeiou"


def zipf(types: int, exponent: float = 1.0) -> FloatArray:
    """Zipf's law: p_i proportional to 1 / i^exponent for i = 1..types; exponent 0 is uniform. Shape (types,)."""
    if types < 1 or not np.isfinite(exponent):
        raise UsageError(f"{types} types with exponent {exponent:g}; allowed: 1 type or more and a finite exponent")
    weights = np.arange(1, types + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum(), np.float64)


def wright_fisher(p: FloatArray, n: int, generations: int, rng: np.random.Generator) -> IntArray:
    """Counts of one path, shape (generations + 1, types): row 0 is drawn from ``p``, each other from the one before."""
    if n < 1 or generations < 0:
        raise UsageError(f"n = {n}, {generations} generations; allowed: n of 1 or more, generations of 0 or more")
    counts = np.empty((generations + 1, len(p)), np.int64)
    shares = p
    for row in range(generations + 1):
        counts[row] = rng.multinomial(n, shares)
        shares = counts[row] / n
    return counts


def expected_heterozygosity(p: FloatArray, n: int, draws: int) -> float:
    """E(1 - sum q^2) after ``draws`` samplings of size ``n``, the first from ``p``: (1 - 1/n)^draws (1 - sum p^2)."""
    return float((1 - 1 / n) ** draws * (1 - (p**2).sum()))


def expected_types(p: FloatArray, n: int) -> float:
    """E of the number of types in a sample of size ``n`` from ``p``: sum 1 - (1 - p_i)^n."""
    return float((1 - (1 - p) ** n).sum())


def type_names(types: int) -> list[str]:
    """A different made-up word for each type, all of the same length: "baba", "babe", …

    Letters only: the audit's patterns mask numbers, and ``type 17`` would be the same pattern as ``type 4``.
    """
    syllables = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
    places = 1
    while len(syllables) ** places < types:
        places += 1
    names = []
    for index in range(types):
        name = ""
        for _ in range(places):
            index, syllable = divmod(index, len(syllables))
            name = syllables[syllable] + name
        names.append(name)
    return names


def documents(counts: IntArray, words_per_document: int, rng: np.random.Generator) -> list[str]:
    """The counted words in random order, cut into documents of ``words_per_document``, which must divide them."""
    names = type_names(len(counts))
    words = [names[index] for index in rng.permutation(np.repeat(np.arange(len(counts)), counts))]
    if len(words) % words_per_document:
        raise ValueError(f"{len(words)} words cannot be cut into documents of {words_per_document}")
    return [" ".join(words[at : at + words_per_document]) for at in range(0, len(words), words_per_document)]
