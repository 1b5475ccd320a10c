"""Columns of words to columns of numbers: measures as they are, days as days since 1970, categories as codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.lineages.corpora.readers.records import MOST_NUMERIC
from collapse_audit.lineages.preparation.columns import Columns
from collapse_audit.lineages.preparation.ledger import Ledger, Row

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
MOST_CATEGORIES = 50
"""A column of more different values is free text, or names one row each: it is not encoded."""
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?")
_DAY = re.compile(r"(?:(\d{4})-(\d{2})-(\d{2})|(\d{1,2})\.(\d{1,2})\.(\d{4}))(?:[ T].*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column as numbers."""

    name: str
    kind: str
    """``number``, ``day`` (days since 1970-01-01) or ``category``."""
    values: FloatArray
    """Shape (N,); NaN where nothing is said, until it is filled."""
    gaps: BoolArray
    """Shape (N,): where the table says nothing, filled or not."""
    categories: tuple[str, ...] = ()
    """Of which value k is the code k."""

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        codes = {"codes": {category: code for code, category in enumerate(self.categories)}} if self.categories else {}
        return {"column": self.name, "kind": self.kind, "missing": int(self.gaps.sum()), **codes}


def encode(rows: Sequence[Row], columns: Columns, ledger: Ledger) -> list[Feature]:
    """Every feature column that is one; a warning for each that is not."""
    encoded = []
    for name in columns.features:
        cells = [row.cells[name] for row in rows]
        said = {cell for cell in cells if cell is not None}
        gaps = np.array([cell is None for cell in cells], np.bool_)
        if not said:
            ledger.warnings.append(f'the column "{name}" is empty and is left out')
            continue
        for kind, read in (("number", _number), ("day", _day)):
            values = [None if cell is None else read(cell) for cell in cells]
            if all((value is None) == (cell is None) for value, cell in zip(values, cells, strict=True)):
                encoded.append(Feature(name=name, kind=kind, values=_array(values), gaps=gaps))
                break
        else:
            if len(said) > MOST_CATEGORIES:
                ledger.warnings.append(
                    f'the column "{name}" has {len(said):,} different values, more than {MOST_CATEGORIES}: '
                    "taken for free text, and left out"
                )
                continue
            encoded.append(_categories(name, cells, gaps))
    return encoded


def _categories(name: str, cells: Sequence[str | None], gaps: BoolArray) -> Feature:
    """Codes in the order of the categories' names; forms that differ by case and white space are one category."""
    from sklearn.preprocessing import OrdinalEncoder

    folded = [None if cell is None else " ".join(cell.split()).casefold() for cell in cells]
    encoder = OrdinalEncoder(dtype=np.float64)
    codes = encoder.fit_transform(np.array([[cell] for cell in folded], dtype=object))
    names = tuple(str(category) for category in encoder.categories_[0] if category is not None)
    return Feature(name=name, kind="category", values=codes[:, 0], gaps=gaps, categories=names)


def _number(cell: str) -> float | None:
    value = float(cell.replace(",", ".")) if _NUMBER.fullmatch(cell) else None
    return value if value is not None and abs(value) <= MOST_NUMERIC else None  # beyond it variances overflow


def _day(cell: str) -> float | None:
    match = _DAY.fullmatch(cell)
    if match is None:
        return None
    year, month, day = match.group(1, 2, 3) if match[1] else match.group(6, 5, 4)
    try:
        return float((datetime(int(year), int(month), int(day)).date() - date(1970, 1, 1)).days)
    except ValueError:
        return None


def _array(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def decoder(feature: Feature) -> Callable[[float], float | int]:
    """How a value is written: codes and days are whole."""
    return float if feature.kind == "number" else int
