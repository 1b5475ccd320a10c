"""Fills what is missing in feature columns, from the training part alone: what is held out must not leak into it.

scikit-learn's imputers. ``median``: of the numbers, and the most frequent category; ``mode``: the most frequent value
of both; ``constant``: a number, and the category ``missing``; ``predicted``: from the other columns, the mean of the
five nearest training rows, for a category the one that most of them have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from collapse_audit.lineages.preparation.columns import Columns
from collapse_audit.lineages.preparation.encode import BoolArray, Feature, FloatArray
from collapse_audit.lineages.preparation.ledger import Ledger, Row

STRATEGIES = ("drop", "constant", "median", "mode", "predicted")
MISSING = "missing"
"""The category of what is missing, under ``constant``."""
_NEIGHBOURS = 5


def drop_incomplete(rows: Sequence[Row], columns: Columns, ledger: Ledger) -> list[Row]:
    """Rows without a value in some feature column go; columns in which nothing stands are not asked."""
    asked = [name for name in columns.features if any(row.cells[name] is not None for row in rows)]
    kept = []
    for row in rows:
        missing = [name for name in asked if row.cells[name] is None]
        if missing:
            ledger.drop(row.number, "missing-value", f"nothing in {', '.join(missing)}", row.cells)
        else:
            kept.append(row)
    return kept


def impute(features: Sequence[Feature], training: BoolArray, *, strategy: str, fill: float = 0.0) -> list[Feature]:
    """The features without a gap. ``training``, shape (N,): the rows from which the imputers learn.

    Raises ValueError for another strategy than those above, or where a column has no value in the training rows.
    """
    if not features:
        return []
    empty = [feature.name for feature in features if np.isnan(feature.values[training]).all()]
    if empty and strategy != "constant":
        raise ValueError(f"no value in the training rows of {empty[0]!r}")
    if strategy == "predicted":
        return _predicted(features, training)
    if strategy == "constant":
        return [_constant(feature, fill) for feature in features]
    if strategy not in ("median", "mode"):
        raise ValueError(f"no strategy {strategy!r}; there are {', '.join(STRATEGIES)}")
    from sklearn.impute import SimpleImputer

    filled = []
    for feature in features:
        how = "median" if strategy == "median" and feature.kind != "category" else "most_frequent"
        values = _filled(SimpleImputer(strategy=how), feature.values[:, None], training)[:, 0]
        filled.append(replace(feature, values=np.round(values) if feature.kind == "day" else values))
    return filled


def _constant(feature: Feature, fill: float) -> Feature:
    gaps = np.isnan(feature.values)
    if feature.kind != "category" or not gaps.any():
        return replace(feature, values=np.where(gaps, fill, feature.values))
    code = float(len(feature.categories))
    return replace(feature, values=np.where(gaps, code, feature.values), categories=(*feature.categories, MISSING))


def _predicted(features: Sequence[Feature], training: BoolArray) -> list[Feature]:
    """Nearest by the columns that both rows have: numbers in units of their spread, categories by same or not."""
    from sklearn.impute import KNNImputer

    blocks = [_block(feature, training) for feature in features]
    whole = _filled(KNNImputer(n_neighbors=_NEIGHBOURS), np.hstack(blocks), training)
    ends = np.cumsum([block.shape[1] for block in blocks])
    result = []
    for feature, block in zip(features, np.split(whole, ends[:-1], axis=1), strict=True):
        gaps = np.isnan(feature.values)
        if feature.kind == "category":
            guessed = np.argmax(block, axis=1).astype(np.float64)
        else:
            centre, spread = _scale(feature, training)
            guessed = block[:, 0] * spread + centre
            guessed = np.round(guessed) if feature.kind == "day" else guessed
        result.append(replace(feature, values=np.where(gaps, guessed, feature.values)))
    return result


def _block(feature: Feature, training: BoolArray) -> FloatArray:
    """The feature as columns among which distances can be taken, shape (N, 1) or (N, categories)."""
    if feature.kind != "category":
        centre, spread = _scale(feature, training)
        scaled: FloatArray = (feature.values[:, None] - centre) / spread
        return scaled
    same: FloatArray = (feature.values[:, None] == np.arange(len(feature.categories))).astype(np.float64)
    same[feature.gaps] = np.nan
    return same


def _scale(feature: Feature, training: BoolArray) -> tuple[float, float]:
    values = feature.values[training]
    return float(np.nanmean(values)), float(np.nanstd(values)) or 1.0


def _filled(imputer: Any, values: FloatArray, training: BoolArray) -> FloatArray:
    imputer.fit(values[training])
    return np.asarray(imputer.transform(values), np.float64)
