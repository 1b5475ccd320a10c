"""Phrases that give a chat model away: the list that is built in, lists of a user, and the texts that hold one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.statistics.design import BoolArray
from collapse_audit.probes.text.folding import fold

_APOSTROPHES = "[\u2018\u2019\u02bc\u0060\u00b4]"


@cache
def built_in() -> tuple[str, ...]:
    """The phrases of ``tell_tale.txt``, Russian and English."""
    return phrases_of(files("collapse_audit.probes.text").joinpath("tell_tale.txt").read_text("utf-8"))


def phrases_of(text: str) -> tuple[str, ...]:
    """The phrases of a list: one a line; empty lines and those that begin with ``#`` are none.

    >>> phrases_of("# ours\\n\\nAs an AI  model\\n")
    ('as an ai model',)
    """
    lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return tuple(dict.fromkeys(_plain(line for line in lines if line and not line.startswith("#"))))


def holding(texts: pa.Array, phrases: Iterable[str]) -> dict[str, BoolArray]:
    """Where a text holds each of the ``phrases``, no letter or digit before or behind it; each of shape (N,)."""
    folded = _folded(texts)
    held = {}
    for phrase in phrases:
        edges = rf"(?:^|[^\p{{L}}\p{{N}}]){re.escape(phrase)}(?:$|[^\p{{L}}\p{{N}}])"
        hits = pc.and_(pc.match_substring(folded, phrase), pc.match_substring_regex(folded, edges))
        held[phrase] = np.asarray(hits, dtype=np.bool_)
    return held


def _plain(phrases: Iterable[str]) -> list[str]:
    return [str(phrase) for phrase in _folded(pa.array(list(phrases), pa.large_string())).to_pylist()]


def _folded(texts: pa.Array) -> pa.Array:
    """As a reader sees them, case folded, apostrophes of one form."""
    lower = pc.utf8_lower(fold(texts.cast(pa.large_string())))
    return pc.replace_substring_regex(lower, pattern=_APOSTROPHES, replacement="'")
