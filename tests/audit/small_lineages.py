"""Lineages on disk, small enough to be audited in a tenth of a second.

Documents are independent draws from a Zipf vocabulary, so what is true of them is known: two samples of one vocabulary
are exchangeable, and a generation that draws from a small part of it has lost the rest.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

VOCABULARY = 300


def documents(seed: int, count: int, *, vocabulary: int = VOCABULARY, length: int = 30) -> list[str]:
    """``count`` documents of ``length`` words w0, w1, … with weights 1/10, 1/11, 1/12, …; loops are rare then."""
    rng = random.Random(seed)
    words = [f"w{rank}" for rank in range(vocabulary)]
    weights = [1 / (rank + 10) for rank in range(vocabulary)]
    return [" ".join(rng.choices(words, weights, k=length)) for _ in range(count)]


def write(path: Path, records: Iterable[str | Mapping[str, Any]]) -> Path:
    """A ``.jsonl`` file; a plain string is a record with only a text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": record} if isinstance(record, str) else record) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def lineage(root: Path, *generations: Iterable[str | Mapping[str, Any]]) -> Path:
    """A folder with these generations, 0 first; every one is at the same time its held-out sample's twin in name only.

    Texts and held-out texts must differ, or the one would be what the next generation was trained on: what is given
    is the held-out sample, and beside it lie other texts, which no comparison reads.
    """
    for index, records in enumerate(generations):
        write(root / f"gen_{index}" / "texts.jsonl", [f"training text of generation {index}"])
        write(root / f"gen_{index}" / "holdout.jsonl", records)
    return root


def healthy(root: Path, *, generations: int = 2, count: int = 400) -> Path:
    """Generation 0 and more samples of the very same source."""
    return lineage(root, *(documents(index + 1, count) for index in range(generations + 1)))


def collapsed(root: Path, *, count: int = 200) -> Path:
    """Generation 1 knows only 40 of the 300 words."""
    return lineage(root, documents(1, count), documents(2, count, vocabulary=40))


def tiny(root: Path) -> Path:
    """Eight documents a side: too few to tell anything."""
    return lineage(root, documents(1, 8), documents(2, 8))


def only_context(root: Path) -> Path:
    """A reference and generation 0: nothing that the verdict could rest on."""
    write(root / "reference.jsonl", documents(1, 50))
    write(root / "gen_0" / "holdout.jsonl", documents(2, 50))
    write(root / "gen_0" / "texts.jsonl", documents(3, 50))
    return root


CRASHING = '''
from collapse_audit import probe

@probe(name="crashing", unit="share", worse="higher", margin=0.1)
def crashing(pair):
    """Does it crash?"""
    raise ZeroDivisionError("no such luck")
'''
"""A file of probes, as a user writes one: it crashes."""

LETTERS = '''
from collapse_audit import probe

@probe(name="letter-e", unit="share of documents", worse="higher", margin=0.05)
def letter_e(pair):
    """Do texts use the letter e?"""
    return pair.mean_rise(lambda text: "e" in text, share=True)
'''
"""A file of probes: the words of these lineages have no e, so nothing changes."""
