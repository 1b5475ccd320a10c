"""Made-up texts that calibrations are tried on."""

from __future__ import annotations

import random
from typing import Any

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.text.sample import Sample


def words(count: int, *, seed: int = 1, length: int = 12) -> list[str]:
    """Documents of words with weights 1/1, 1/2, 1/3, …; each ends with a word of its own, so none is a duplicate."""
    rng = random.Random(seed)
    names = [f"w{rank}" for rank in range(200)]
    weights = [1 / (rank + 1) for rank in range(200)]
    return [" ".join([*rng.choices(names, weights, k=length), f"d{seed}x{index}"]) for index in range(count)]


def pool(count: int = 240, **columns: Any) -> Sample:
    """Such documents as a sample, with the given columns."""
    return sample_of(words(count), name="pool", **columns)
