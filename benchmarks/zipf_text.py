"""Made-up text of any amount: words by Zipf's law with Mandelbrot's correction, document lengths lognormal, seeded.

Only speed and memory are measured on it. It asks for more than real text does: its words are independent of each
other, so nearly every pair of neighbours outside the commonest is a new one. Standard library only (see fresh_process).
"""

from __future__ import annotations

import itertools
import json
import math
import random
import string
from collections.abc import Iterator
from pathlib import Path

VOCABULARY = 30_000
SHIFT = 2.7
"""Mandelbrot's shift: weight of rank r is 1 / (r + 2.7), the value he gives for English words."""
SPREAD = 0.4
"""Standard deviation of the logarithm of a document's length."""


def write_corpora(folder: Path, names: list[str], *, documents: int, words: int, seed: int = 0) -> None:
    """Write ``folder/<name>.jsonl`` for each name: ``documents`` records of ``words`` words on average."""
    vocabulary = [spelled(rank) for rank in range(VOCABULARY)]
    weights = list(itertools.accumulate(1 / (rank + 1 + SHIFT) for rank in range(VOCABULARY)))
    for name in names:
        chance = random.Random(f"{seed} {name}")
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for length in _lengths(chance, documents, words):
                text = " ".join(chance.choices(vocabulary, cum_weights=weights, k=length))
                file.write(json.dumps({"text": text}) + "\n")


def _lengths(chance: random.Random, documents: int, mean: float) -> Iterator[int]:
    """Words a document; the mean of a lognormal is exp(mu + sigma^2 / 2)."""
    middle = math.log(mean) - SPREAD**2 / 2
    return (max(1, round(chance.lognormvariate(middle, SPREAD))) for _ in range(documents))


def spelled(rank: int) -> str:
    """The rank in letters, so that common words are short: a, b, … z, aa, ab, …"""
    letters = ""
    number = rank + 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = string.ascii_lowercase[letter] + letters
    return letters
