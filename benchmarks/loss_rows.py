"""Rows for `real_text.py --folder`: real text changed as people's texts really change, and losses planted in it.

Every file of the folder is a source of its own (a genre, a language, a subject), in the order of the file.
"""

from __future__ import annotations

import gzip
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np

Texts = list[str]
Sources = list[Texts]
Row = Callable[[Sources, int, np.random.Generator], "tuple[Texts, Texts]"]
Edit = Callable[[str, np.random.Generator], str]

_HEADERS = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software to deal in it.",
    "Redistribution and use in source and binary forms, with or without modification, are permitted as follows.",
    "This program is free software: you can redistribute it under the terms of the license as published.",
)
_INVISIBLE = ("\u200b", "\ufeff", "\u2060")


def read_folder(folder: Path, *, min_words: int) -> Sources:
    """A list of sentences for every `.txt`, `.jsonl` (field ``text``) and their `.gz` in ``folder`` and below."""
    sources = []
    for file in sorted(file for file in folder.rglob("*") if re.search(r"\.(txt|jsonl)(\.gz)?$", file.name)):
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        lines = data.decode("utf-8").splitlines()
        texts = [json.loads(line)["text"] for line in lines] if ".jsonl" in file.name else lines
        folded = [" ".join(text.split()) for text in texts if not re.match(r"\s*=", text)]
        cut = [sentence for text in folded for sentence in re.split(r"(?<=[.!?])\s+", text)]
        sources.append([sentence for sentence in cut if len(sentence.split()) >= min_words])
    return [source for source in sources if source]


class NotEnoughError(ValueError):
    """A source holds fewer sentences than a pair asks for. Drawn twice, they would be duplicates on one side alone."""


def _drawn(texts: Texts, wanted: int, rng: np.random.Generator) -> Texts:
    """``wanted`` of ``texts``, none of them twice. Raises NotEnoughError."""
    if wanted > len(texts):
        raise NotEnoughError(f"not enough text: {wanted} sentences of a source that has {len(texts)} to draw from")
    return [texts[i] for i in rng.permutation(len(texts))[:wanted]]


def mixed(sources: Sources, shares: tuple[list[float], list[float]], n: int, rng: np.random.Generator) -> list[Texts]:
    """Two samples of n sentences, no sentence in both, of the sources in the given shares. Raises NotEnoughError."""
    sides: list[Texts] = [[], []]
    counts = [rng.multinomial(n, np.array(share) / sum(share)) for share in shares]
    for position, source in enumerate(sources):
        order = rng.permutation(len(source))
        for side, half in zip((0, 1), np.array_split(order, 2), strict=True):
            wanted = int(counts[side][position])
            sides[side] += _drawn([source[i] for i in half], wanted, rng)
    return [[side[i] for i in rng.permutation(n)] for side in sides]


def even(sources: Sources, n: int, rng: np.random.Generator) -> list[Texts]:
    """Two samples of all sources in equal parts."""
    return mixed(sources, ([1.0] * len(sources), [1.0] * len(sources)), n, rng)


def edited(edit: Edit, share: float = 1.0) -> Row:
    """``edit`` in a share of the generation's texts."""

    def make(sources: Sources, n: int, rng: np.random.Generator) -> tuple[Texts, Texts]:
        before, after = even(sources, n, rng)
        return before, [edit(text, rng) if rng.random() < share else text for text in after]

    return make


def without_source(kept: float) -> Row:
    """One source, another one in every trial, thinned to ``kept`` of its share."""

    def make(sources: Sources, n: int, rng: np.random.Generator) -> tuple[Texts, Texts]:
        shares = [1.0] * len(sources)
        shares[rng.integers(len(sources))] = kept
        before, after = mixed(sources, ([1.0] * len(sources), shares), n, rng)
        return before, after

    return make


def halves(sources: Sources, n: int, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """Nothing happened."""
    before, after = even(sources, n, rng)
    return before, after


def windows(sources: Sources, n: int, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """Consecutive sentences of the longest source, in the order of its file."""
    longest = max(sources, key=len)
    n = min(n, len(longest) // 2)
    start = rng.integers(0, len(longest) - 2 * n + 1)
    return longest[start : start + n], longest[start + n : start + 2 * n]


def sorted_by_source(sources: Sources, n: int, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """One file of all sources, one after the other, cut in the middle."""
    counts = rng.multinomial(2 * n, [1 / len(sources)] * len(sources))
    file = [text for k in rng.permutation(len(sources)) for text in _drawn(sources[k], counts[k], rng)]
    return file[:n], file[n:]


def other_subject(sources: Sources, n: int, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """One source before, another one after."""
    one, other = rng.choice(len(sources), size=2, replace=False)
    return even([sources[one]], n, rng)[0], even([sources[other]], n, rng)[1]


def new_genres(sources: Sources, n: int, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """One source before; 30% of the others beside it after."""
    shares = [0.3 / (len(sources) - 1)] * len(sources)
    shares[first := int(rng.integers(len(sources)))] = 0.7
    before, after = mixed(sources, ([float(k == first) for k in range(len(sources))], shares), n, rng)
    return before, after


def headers(sources: Sources, n: int, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """A licence's first sentence before 30% of the texts, another licence's on the other side."""
    chosen = rng.choice(len(_HEADERS), size=2, replace=False)
    before, after = (
        [f"{_HEADERS[k]} {text}" if rng.random() < 0.3 else text for text in side]
        for k, side in zip(chosen, even(sources, n, rng), strict=True)
    )
    return before, after


def answers(sources: Sources, n: int, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """Other prompts on either side, 10 answers each that share half of their words; no record holds a prompt."""
    sides = []
    for side in even(sources, n, rng):
        pool = [text.split() for text in side]
        sides.append(
            [
                " ".join(pool[k - k % 10][: len(pool[k - k % 10]) // 2] + pool[k][len(pool[k]) // 2 :])
                for k in range(len(pool))
            ]
        )
    return sides[0], sides[1]


def hidden_duplicates(sources: Sources, n: int, rng: np.random.Generator) -> tuple[Texts, Texts]:
    """11% copies of one text each, that differ by an invisible character."""
    before, after = even(sources, n, rng)
    for row in rng.choice(n, size=round(0.11 * n), replace=False):
        source = after[int(rng.integers(n))]
        place = int(rng.integers(len(source)))
        after[row] = source[:place] + str(rng.choice(_INVISIBLE)) + source[place:]
    return before, after


ROWS: dict[str, tuple[Row, str]] = {
    "random halves": (halves, "pass"),
    "windows in file order": (windows, "never collapse"),
    "sorted by source": (sorted_by_source, "never collapse"),
    "other subject": (other_subject, "never collapse"),
    "30% new genres": (new_genres, "never collapse"),
    "licence headers": (headers, "changed"),
    "10 answers a prompt": (answers, "never collapse"),
    "lower case": (edited(lambda text, _: text.lower()), "changed"),
    "bullets": (edited(lambda text, _: f"- {text}"), "changed"),
    "curly quotes": (edited(lambda text, _: re.sub(r'"([^"]*)"', "“\\1”", text).replace("'", "’")), "changed"),
    "NFD": (edited(lambda text, _: unicodedata.normalize("NFD", text)), "pass"),
    "half the length": (edited(lambda text, _: " ".join(text.split()[: len(text.split()) // 2])), "changed"),
    "a source lost": (without_source(0.0), "collapse"),
    "a source to a tenth": (without_source(0.1), "collapse"),
    "numbers to one": (edited(lambda text, _: re.sub(r"\d+", "0", text)), "collapse"),
    "loops inside words, 30%": (edited(lambda text, _: text + " " + text.split()[0][:3] * 40, 0.3), "collapse"),
    "invisible texts, 12%": (edited(lambda _, rng: str(rng.choice(_INVISIBLE)) * 3, 0.12), "collapse"),
    "hidden duplicates, 11%": (hidden_duplicates, "collapse"),
}
"""How each is made, and what should be said of it."""
