"""Corpora for the tests of packs: words of a Zipf vocabulary, spelt so that none is found by accident."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.packs.pack import Pack, make_pack
from collapse_audit.probes.packs.packed_pair import PackedPair, packed_sample
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate, Reading
from collapse_audit.probes.text.labels import LabelRule, label_rule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.types import Probe

DIGEST = "0" * 64


def spelling(number: int) -> str:
    """A word of nine letters for every number, no two alike."""
    letters = "bcdfghjklmnpqrstvwxz"
    word = ""
    for _ in range(9):
        number, letter = divmod(number * 7 + 11, 20)
        word += letters[letter]
    return word


def rows(
    n: int, seed: int, *, types: int = 300, gamma: float = 1.0, length: float = 15.0
) -> list[npt.NDArray[np.int64]]:
    """``n`` texts as numbers of words, lengths Poisson."""
    rng = np.random.default_rng([17, seed])
    p = (1 / (np.arange(1, types + 1) + 2.7)) ** gamma
    lengths = rng.poisson(length, n)
    return [rng.choice(types, size=k, p=p / p.sum()) for k in lengths]


NAMES = [f"{spelling(number)}{number:04d}x" for number in range(5000)]
"""Words that stand in no header and no member's name."""


def texts(n: int, seed: int, **shape: Any) -> list[str]:
    """``n`` texts of Zipf words."""
    return [" ".join(NAMES[number] for number in row) for row in rows(n, seed, **shape)]


def packed_pair(
    baseline: Sample | Sequence[str],
    generation: Sample | Sequence[str],
    *,
    size: int = 5,
    seed: int = 0,
    permutations: int = 99,
    rule: LabelRule | None = None,
    held_out: bool = True,
    **details: Any,
) -> PackedPair:
    """A pack of ``baseline`` beside ``generation``."""
    before, after = (side if isinstance(side, Sample) else sample_of(side) for side in (baseline, generation))
    return PackedPair(
        baseline=packed_sample(pack_of(before, seed, size=size, rule=rule, held_out=held_out), **KNOWN),
        generation=dataclasses.replace(after, digest=DIGEST[1:] + "1"),
        permutations=permutations,
        seed=0,
        label_rule=rule,
        **details,
    )


KNOWN = {"name": "pack", "digest": DIGEST, "tokens": "words"}


def pack_of(sample: Sample, seed: int = 0, **details: Any) -> Pack:
    """A pack of ``sample`` in blocks drawn by a known generator."""
    return make_pack(sample, np.random.default_rng(seed), **{"tokens": "words", "held_out": True, "size": 5, **details})


def order_of(n: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """In which order :func:`pack_of` puts the documents of a sample without keys into blocks."""
    return np.random.default_rng(seed).permutation(n)


PROBES = {built.name: built for built in BUILTIN}
FIELD = label_rule("field")


def reading(pair: Pair, name: str, statistic: str | None = None) -> Reading:
    asked: Probe = PROBES[name].beside_pack() if isinstance(pair, PackedPair) else PROBES[name]
    wanted = statistic or asked.gates[0].statistic
    return next(r for gate, r in zip(asked.gates, asked(pair), strict=True) if gate.statistic == wanted)


def found(pair: Pair, name: str, statistic: str | None = None) -> Estimate:
    one = reading(pair, name, statistic)
    assert isinstance(one, Estimate), one
    return one


def ordinary(baseline: Sample, generation: Sample, *, rule: LabelRule | None = None, permutations: int = 99) -> Pair:
    """The audit of the texts themselves, with the chance of the packed one."""
    return Pair(
        baseline=dataclasses.replace(baseline, digest=DIGEST),
        generation=dataclasses.replace(generation, digest=DIGEST[1:] + "1"),
        permutations=permutations,
        seed=0,
        label_rule=rule,
    )


def rich(n: int = 150, seed: int = 1) -> Pack:
    """A pack with everything that a pack can hold."""
    labels = [["abc"[d % 3], *(["rare"] if d == 7 else [])] for d in range(n)]
    sample = sample_of(texts(n, seed), labels=labels, nll=[3.0 + (d % 11) / 7 for d in range(n)])
    return pack_of(sample, rule=FIELD)


def numbers(pack: Any) -> Iterator[Any]:
    """Everything in a pack, arrays as lists, to be compared."""
    if dataclasses.is_dataclass(pack):
        for field in dataclasses.fields(pack):
            yield field.name
            yield from numbers(getattr(pack, field.name))
    elif hasattr(pack, "toarray"):
        yield pack.toarray().tolist()
    elif isinstance(pack, tuple):
        for one in pack:
            yield from numbers(one)
    else:
        yield pack.tolist() if isinstance(pack, np.ndarray) else pack


def contents(path: Path) -> bytes:
    """The bytes of the file, and of everything in it unpacked, names and comments included."""
    with zipfile.ZipFile(path) as archive:
        inside = [
            archive.read(info) + info.filename.encode() + info.comment + info.extra for info in archive.infolist()
        ]
        return path.read_bytes() + archive.comment + b"".join(inside)


def holds(haystack: bytes, word: str) -> bool:
    """Whether the word stands there, in any of the usual encodings."""
    return any(word.encode(code) in haystack for code in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"))
