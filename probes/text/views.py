"""A record as a few numbers, by which records can be told to resemble each other: its words, its length."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from collapse_audit.probes.text.tokens import Tokens

Features = npt.NDArray[np.float32]
_COLUMNS = 8
"""Random projections of a record's words. Products keep their expectation whatever their number."""
_RARE = 5
"""Tokens of a type in the file up to which it is rare."""


def views(tokens: Tokens, rng: np.random.Generator) -> dict[str, Features]:
    """Features of N records by name, each of shape (N, columns). One pass over the tokens.

    ``words`` gives every type the same weight in total (the chi-square metric, in which rare words count), ``shares``
    lets frequent ones count; ``length`` and ``rare`` are a record's length and its share of rare tokens.
    """
    count = np.bincount(tokens.ids, minlength=max(len(tokens.vocabulary), 1)).astype(np.float64)
    share = count / max(count.sum(), 1.0)
    weight = np.where(count > 1, 1 / np.sqrt(np.maximum(share, 1e-30)), 0.0)  # what stands once resembles nothing
    signs = rng.choice(np.array([-1.0, 1.0], np.float32), size=(count.size, _COLUMNS))
    weighted = (signs * weight[:, None]).astype(np.float32)
    table = csr_array(
        (np.ones(tokens.ids.size, np.float32), tokens.ids, tokens.offsets), (tokens.lengths.size, count.size)
    )
    length = tokens.lengths[:, None].astype(np.float32)
    least = np.maximum(length, 1)
    rare = table @ (count <= _RARE).astype(np.float32)
    by_name = {
        "words": (table @ weighted - (share @ weighted).astype(np.float32) * length) / np.sqrt(least),
        "shares": (table @ signs) / least,
        "length": np.log1p(length),
        "rare": rare[:, None] / least,
    }
    return {name: np.ascontiguousarray(columns, dtype=np.float32) for name, columns in by_name.items()}
