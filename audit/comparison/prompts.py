"""Two lineages that answered the same prompts: which one changed more, with the prompts as the units.

For a statistic r of a corpus, the change of a lineage is r(generation k) - r(baseline), or the logarithm of their
ratio, and the double difference is the change of A less the change of B. All four corpora answer the same prompts, so a
prompt is one unit, and its answers of A and of B may swap places, generation k and the baseline together.

The p-value is exact for "on every prompt the two lineages answer alike": swapping is then a symmetry of the data. For
the weaker "both changed equally much" it holds in large samples only, and only because the double difference is divided
by its standard error under every swap (Chung & Romano 2013, doi 10.1214/13-AOS1090). ``diversity / duplicates`` is no
sum over prompts; its double difference is not divided, and its p-value is for the first hypothesis alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.prompts.compared import Compare, Duplicates, Ratio
from collapse_audit.probes.prompts.quartet import Answers, Quartet
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.estimates import Scale, jackknife, permutation_p
from collapse_audit.probes.statistics.readings import RULE_OF_THREE, Worse, Z
from collapse_audit.probes.statistics.tables import count_table, sweep_distinct

_SIGNS = np.array([-1.0, 1.0, 1.0, -1.0])
"""How the four corpora enter the double difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleDifference:
    """By how much more A changed than B, in one statistic."""

    probe: str
    statistic: str
    unit: str
    worse: Worse
    scale: Scale
    change_a: float
    """On ``scale``: a difference, or the natural logarithm of a ratio."""
    change_b: float
    difference: float
    """``change_a - change_b``."""
    error: float
    """Standard error of ``difference``, prompts as units; inf where there is none to be had."""
    p_value: float
    """Two-sided, over random swaps of A and B within prompts."""


def double_differences(
    answers: Answers, compares: Iterable[tuple[str, Compare]], *, permutations: int
) -> tuple[DoubleDifference, ...]:
    """The double difference of every statistic of ``compares`` (by the probe's name) whose input is there."""
    units = answers.four.units
    swaps = np.zeros((permutations + 1, units), dtype=np.uint8)
    swaps[1:] = answers.rng.integers(0, 2, size=(permutations, units), dtype=np.uint8)
    return tuple(
        _of_sums(answers.four, probe, each, swaps)
        if isinstance(each, Ratio)
        else _of_duplicates(answers.four, probe, each, swaps)
        for probe, compare in compares
        for each in compare(answers)
    )


# -------------------------------------------------------------------------------------------------------------- test


def _of_sums(four: Quartet, probe: str, of: Ratio, swaps: npt.NDArray[np.uint8]) -> DoubleDifference:
    """The double difference of a ratio of sums, its linearised error, and its studentised test."""
    # Columns: top and bottom of the four corpora, one after the other; a swap turns the first four into the last.
    features = np.stack((four.sums(of.top), four.sums(of.bottom)), axis=2).reshape(four.units, 8)
    sums = _under_swaps(features, np.roll(features, 4, axis=1), swaps)
    # Half an occurrence more in every corpus keeps the logarithm of nothing finite (Haldane 1956).
    top, bottom = sums[:, 0::2] + (0.5 if of.scale == "log" else 0.0), sums[:, 1::2]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = top / bottom
        changes = np.log(ratio) if of.scale == "log" else ratio
        weight = _SIGNS / bottom / (ratio if of.scale == "log" else 1.0)
        # The influence of a prompt is linear in its eight columns, so its square needs only their products.
        slope = np.stack((weight, -weight * ratio), axis=2).reshape(-1, 8)
        products = _products(features), _products(np.roll(features, 4, axis=1))
        squares = _under_swaps(*products, swaps).reshape(-1, 8, 8)
        variance = np.einsum("bi,bij,bj->b", slope, squares, slope) * four.units / (four.units - 1)
        # What is left of a spread of nothing after rounding is no spread.
        scale = np.einsum("bi,bii->b", slope**2, squares)
        errors = np.sqrt(np.where(variance > 1e-12 * scale, variance, 0.0))
        difference = changes @ _SIGNS
        difference[np.abs(difference) < 1e-12 * np.abs(changes).max(axis=1)] = 0.0
        studentised = np.where((difference != 0) & np.isfinite(difference), difference / errors, difference)
    error = float(errors[0])
    if of.unit.startswith("share"):
        error = max(error, _floor(four.units))
    return DoubleDifference(
        probe=probe,
        statistic=of.statistic,
        unit=of.unit,
        worse=of.worse,
        scale=of.scale,
        change_a=float(changes[0, 1] - changes[0, 0]),
        change_b=float(changes[0, 3] - changes[0, 2]),
        difference=float(difference[0]),
        error=error if error > 0 else math.inf,
        p_value=permutation_p(np.abs(np.nan_to_num(studentised, nan=0.0, posinf=np.inf)), worse="higher"),
    )


def _floor(units: int) -> float:
    """Error below which no difference of shares is claimed: each of the four, seen 0 times in n, may still be 3/n."""
    return 2 * RULE_OF_THREE / (Z * units)


def _products(features: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ui,uj->uij", features, features).reshape(len(features), -1))


def _under_swaps(columns: FloatArray, swapped: FloatArray, swaps: npt.NDArray[np.uint8]) -> FloatArray:
    """Sums of ``columns`` (shape (U, c)) with some units replaced by ``swapped`` ones, for each of ``swaps``
    (shape (B + 1, U)); gives (B + 1, c)."""
    moved = swapped - columns
    parts = [swaps[start : start + 64].astype(np.float64) @ moved for start in range(0, len(swaps), 64)]
    return np.asarray(columns.sum(axis=0) + np.concatenate(parts))


def _of_duplicates(four: Quartet, probe: str, of: Duplicates, swaps: npt.NDArray[np.uint8]) -> DoubleDifference:
    """1 - distinct texts / texts of a corpus; under a swap the texts are counted anew."""
    coded = of.texts
    sides = np.concatenate((swaps, 1 - swaps), axis=1)
    documents = four.rows[0].size
    shares = np.empty((4, len(swaps)))
    for later in (0, 1):
        here = four.corpus % 2 == later
        block = four.unit[here] + four.units * (four.corpus[here] // 2)
        table = count_table(block, coded[here], 2 * four.units)
        shares[[later, 2 + later]] = 1.0 - sweep_distinct([table], sides) / documents
    influence = np.zeros(four.units)
    for corpus, sign in enumerate(_SIGNS):
        here = four.corpus == corpus
        table = count_table(four.unit[here], coded[here], four.units)
        left = 1.0 - (table.types.size - table.hapaxes) / np.maximum(documents - table.lengths, 1.0)
        influence += sign * jackknife(1.0 - table.types.size / documents, left)
    spread = math.sqrt(float((influence**2).sum()) * four.units / (four.units - 1))
    # Counts, so that what is equal is equal: differences of shares differ by rounding.
    difference = np.rint(documents * (_SIGNS @ shares)) / documents
    return DoubleDifference(
        probe=probe,
        statistic=of.statistic,
        unit=of.unit,
        worse=of.worse,
        scale="linear",
        change_a=float(shares[1, 0] - shares[0, 0]),
        change_b=float(shares[3, 0] - shares[2, 0]),
        difference=float(difference[0]),
        error=max(spread, _floor(four.units)),
        p_value=permutation_p(np.abs(difference), worse="higher"),
    )
