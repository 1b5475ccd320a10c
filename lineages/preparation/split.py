"""70 / 15 / 15: labels alike in all three parts, and no patient in two of them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from collapse_audit.errors import UsageError
from collapse_audit.lineages.preparation.columns import Columns
from collapse_audit.lineages.preparation.ledger import Row

PARTS = {"train": 14, "validation": 3, "holdout": 3}
"""Part -> how many of twenty equal folds it is made of."""
_FOLDS = sum(PARTS.values())


def groups_of(rows: Sequence[Row], columns: Columns) -> list[str]:
    """The patient of each row, by a number in the order of the table; where none is named, each report is its own."""
    numbers: dict[str, int] = {}
    names = []
    for row in rows:
        named = row.cells[columns.group] if columns.group else None
        numbers.setdefault(f"report {row.number}" if named is None else f"patient {named}", len(numbers) + 1)
        names.append(f"patient-{numbers[f'report {row.number}' if named is None else f'patient {named}']:05d}")
    return names


def split(rows: Sequence[Row], groups: Sequence[str], *, seed: int) -> npt.NDArray[np.str_]:
    """The part of each row, shape (N,): ``train``, ``validation`` or ``holdout``.

    Stratified by a report's highest label (scikit-learn's StratifiedGroupKFold over twenty folds). Raises UsageError
    where there are fewer than twenty patients.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    patients = len(set(groups))
    if patients < _FOLDS:
        raise UsageError(
            f"{len(rows)} reports of {patients} patients are left, too few to split 70/15/15 by patient; "
            f"allowed are {_FOLDS} patients or more",
            slug="too-few-patients",
        )
    strata = _strata(rows)
    folds = StratifiedGroupKFold(n_splits=_FOLDS, shuffle=True, random_state=seed)
    number = np.empty(len(rows), np.int64)
    with warnings.catch_warnings():  # a label that fewer than twenty reports carry cannot be in every fold
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for fold, (_, members) in enumerate(folds.split(np.zeros(len(rows)), strata, groups)):
            number[members] = fold
    names = np.array([part for part, count in PARTS.items() for _ in range(count)])
    return np.asarray(names[number])


def _strata(rows: Sequence[Row]) -> list[str]:
    """The highest label of each row; labels too rare for twenty folds are one stratum, the rarest of all if need be."""
    highest = [row.labels[-1] for row in rows]
    counts = Counter(highest)
    if max(counts.values()) < _FOLDS:  # scikit-learn refuses; with labels so rare, nothing can be stratified
        return ["any"] * len(rows)
    return highest
