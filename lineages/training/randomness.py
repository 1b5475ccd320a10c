"""Every random draw of a training comes from a seed of its own, derived from the run's seed and what it is for."""

from __future__ import annotations

import numpy as np

INIT, ORDER, MIX, TEXTS, HOLDOUT, CONTROL = range(6)
"""What a seed is for: the adapter's first weights and dropout, the order of examples, the mixture, the two samples, and
generation 0's sample under another generation's decoding."""


def derived_seed(seed: int, generation: int, purpose: int, *more: int) -> int:
    """A seed below 2**32 (numpy.random.SeedSequence, so streams of different purposes do not overlap)."""
    return int(np.random.SeedSequence([seed, generation, purpose, *more]).generate_state(1)[0])


def derived_rng(seed: int, generation: int, purpose: int) -> np.random.Generator:
    """A numpy generator for the same."""
    return np.random.default_rng([seed, generation, purpose])
