"""What the names of files and folders say: which generation, which seed, or nothing clear."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collapse_audit.lineages.corpora.parts import about, shard_stem
from collapse_audit.lineages.corpora.readers.formats import split_name
from collapse_audit.lineages.files.natural_order import natural_key

GENERATION = re.compile(r"(?:gens?|generations?)[ _.-]?(\d+)", re.IGNORECASE)
SEED = re.compile(r"seed_([\w.=@+-]+)|(?i:seeds?)[ -]?(\d+)")
_COUNTED = re.compile(
    r"(iter|iteration|it|epoch|ep|step|global_step|checkpoint|ckpt|run|round|cycle|stage|loop|version|v|completion)"
    r"s?[ _.-]?(\d+)",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}(?:[T _-]?\d{2}[-:h]?\d{2}(?:[-:m]?\d{2})?s?Z?)?")
_NUMBER = re.compile(r"\d{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """One file or folder whose name has a place in an order."""

    name: str
    """As it stands in the folder."""
    stem: str
    role: str
    """``texts``, ``holdout`` or ``control``."""
    family: str
    """What is counted (``checkpoint``, ``date``, …): only names of one family are in one order."""


def generation_number(stem: str) -> int | None:
    """Of ``gen_3``, ``gen3``, ``Generation-3``; None for any other name."""
    match = GENERATION.fullmatch(stem)
    return None if match is None else int(match[1])


def seed_of(name: str) -> str | None:
    """Of ``seed_7``, ``seed7``, ``seed-7``; None for any other name."""
    match = SEED.fullmatch(name)
    return None if match is None else match[1] or match[2]


def family_of(stem: str, *, is_text: bool) -> str:
    """What the name counts; empty where it counts nothing. A bare number or date may be a document of a folder."""
    counted = _COUNTED.fullmatch(stem)
    if counted is not None:
        return counted[1].lower()
    if is_text:
        return ""
    if _DATE.fullmatch(stem):
        return "date"
    return "number" if _NUMBER.fullmatch(stem) else ""


def in_order(entries: Sequence[Ordered]) -> list[str]:
    """The stems of the one family in natural order, each once; empty where there are several families."""
    if len({entry.family for entry in entries}) != 1:
        return []
    return sorted({entry.stem for entry in entries}, key=natural_key)


def told_order(stems: Sequence[str]) -> str:
    """Which name was taken as which generation, for a note."""
    pairs = ", ".join(f"{index} = {stem}" for index, stem in enumerate(stems))
    return f"generations by the order of their names: {pairs}"


def corpora_among(names: Iterable[str]) -> list[str]:
    """The names that corpora could have, in natural order."""
    return sorted((name for name in names if split_name(name) is not None and not about(name)), key=natural_key)


def stem_of(name: str) -> tuple[str, bool] | None:
    """The stem of a corpus' name (of a shard's: of the set's), and whether it is the first of its set."""
    parts = split_name(name)
    if parts is None:
        return None
    shard = shard_stem(parts[0])
    return (parts[0], True) if shard is None else (shard[0], shard[1] == 0)
