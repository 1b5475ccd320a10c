"""Do records depend on each other? Exact tests, how strong it is, and how long runs of neighbours must be.

*Neighbours.* The variance ratio of runs of m records, VR(m): the variance of sums over runs, in units of what it would
be were the order chance. It is 1 where neighbours are no more alike than random pairs, and 1 + (m - 1) rho where
records of one run correlate by rho: the design effect of a document-level error bar, and so what is at stake. Several
views of a record are looked at (its words, weighted two ways, and numbers such as its length), at m = 2, 4, 8, …; the
largest standardised ln VR of all is compared with the same of shuffled orders. Under an exchangeable order all of them
are alike, so p = (1 + #{T_b >= T}) / (B + 1) is exact.

*Answers to shared prompts.* Where answers are independent given their prompt, two of one side are as alike as one of
either side, once every side's own mean is taken off (a change that all prompts share is no dependence). By how much two
of one side are more alike, on the side where that is less, is compared with what swapping sides within prompts gives.

*Clumps* (copies, shared openings). Where records are draws from a population with popular values, two of one side
agree as often as one of either. Where a side agrees with itself alone, and each does, values were drawn once and then
repeated. Compared with what relabelling records gives.

All three take the least of all sides: what only one side shows may be its damage, and damage must stay found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

FloatArray = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

SHUFFLES = 99
"""Of what answers and clumps are compared with."""
_ORDERS = 199
"""Of a file's order: many scales and views are looked at, and 99 shuffles tell their spreads too roughly."""
_FIRST = 39
"""Shuffles after which a file that more than ``_BEATEN`` of them beat is left alone: most independent files are."""
_BEATEN = 2
LEVEL = 0.01
"""At most so many shuffles may do as well, of one corpus at least."""
LIKELY = 0.05
"""The same, of the other one: independent files then lose their documents in 1 of 1,000 pairs."""
MATERIAL = 1.5
"""Variance ratio from which dependence counts: error bars that are short by a factor of sqrt(1.5)."""
_FEWEST_RUNS = 8
"""Runs from which a variance ratio is taken."""
_APART = 3.0
"""Standard deviations of the shuffles that a variance ratio must lie above 1 to be spoken of."""
_NOTHING = 1e-10
"""Variance below which a view is constant."""
_REACHED = 0.8
"""Share of the largest variance ratio that runs must hold; they are then made twice as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """What the order of one file says."""

    p_value: float
    """Exact: are neighbours as alike as random pairs?"""
    inflation: float
    """The largest variance ratio that shuffles do not explain; 1 where there is none."""
    run: int
    """Records from which runs are about independent of each other; 1 where records are."""
    records: int

    @property
    def dependent(self) -> bool:
        """Whether neighbours resemble each other, beyond chance and by as much as matters."""
        return self.likely and self.p_value <= LEVEL

    @property
    def likely(self) -> bool:
        """The same, told well enough where another file of the comparison shows it clearly."""
        return self.p_value <= LIKELY and self.inflation >= MATERIAL


def neighbours(views: Mapping[str, Features], rng: np.random.Generator, *, shuffles: int = _ORDERS) -> Neighbours:
    """Test the order of N records; every view has shape (N, columns).

    Costs ``shuffles`` passes over the views, and a fifth of that for 37 of 40 files whose order is chance.
    """
    sizes = [view.shape[1] for view in views.values()]
    joined = np.concatenate(list(views.values()), axis=1)
    joined = joined - joined.mean(axis=0)
    ends = np.cumsum([0, *sizes])[:-1]
    count = len(joined)
    scales = [1 << k for k in range(1, 40) if count // (1 << k) >= _FEWEST_RUNS]
    if not scales:
        return Neighbours(p_value=1.0, inflation=1.0, run=1, records=count)
    ratios = np.empty((shuffles + 1, len(scales), len(sizes)))
    ratios[0] = _log_variance_ratios(joined, scales, ends)
    for row in range(1, shuffles + 1):
        ratios[row] = _log_variance_ratios(joined[rng.permutation(count)], scales, ends)
        if row == _FIRST and (p_value := _exact(ratios[: row + 1])[0]) > (_BEATEN + 1) / (row + 1):
            # Beaten too often to be among the first of all, and this p is exact itself.
            return Neighbours(p_value=p_value, inflation=1.0, run=1, records=count)
    p_value, apart = _exact(ratios)
    ratio = np.exp(ratios[0])
    there = apart & (ratio > 1)
    inflation = float(ratio[there].max(initial=1.0))
    run = max((_run(ratio[:, view], scales) for view in np.flatnonzero(there.any(axis=0))), default=1)
    return Neighbours(p_value=p_value, inflation=inflation, run=run, records=count)


def _run(ratio: FloatArray, scales: list[int]) -> int:
    """Twice the shortest run that holds nearly all of the largest variance ratio."""
    enough = int(np.argmax(ratio >= 1 + _REACHED * (ratio.max() - 1)))
    return 2 * scales[enough]


def _log_variance_ratios(columns: Features, scales: list[int], starts: IntArray) -> FloatArray:
    """ln VR of every scale and view; shape (scales, views). Columns must be centred."""
    count = len(columns)
    alone = np.add.reduceat(_squares(columns), starts) / count
    ratios = np.zeros((len(scales), len(starts)))
    sums = columns
    for row, scale in enumerate(scales):
        sums = sums[: len(sums) // 2 * 2]
        sums = sums[0::2] + sums[1::2]
        squares = np.add.reduceat(_squares(sums), starts) / len(sums)
        # Sums over runs drawn from a finite file vary a little less than m times as much as a record.
        expected = alone * scale * (count - scale) / max(count - 1, 1)
        defined = (alone > _NOTHING) & (squares > 0)
        ratios[row, defined] = np.log(squares[defined] / expected[defined])
    return ratios


def _squares(columns: Features) -> FloatArray:
    """Sum of squares of every column. No matrix product: threads of BLAS that wait for each other take a hundred times
    as long for so few columns where other work shares the cores."""
    return np.asarray(np.einsum("ij,ij->j", columns, columns), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """How much more alike two records of one side's key are than chance, or the other side, explains."""

    p_value: float
    inflation: float
    """Design effect: by how much a record-level variance is too small."""

    @property
    def dependent(self) -> bool:
        """Whether it is beyond chance and matters."""
        return self.p_value <= LEVEL and self.inflation >= MATERIAL


NOTHING_SHARED = Shared(p_value=1.0, inflation=1.0)


def within_prompts(
    views: Mapping[str, Features],
    prompt: IntArray,
    side: IntArray,
    rng: np.random.Generator,
    *,
    shuffles: int = SHUFFLES,
) -> Shared:
    """Do answers of one side to one prompt depend on each other, on every side? Arrays of N answers; 0 <= side < S."""
    sides = int(side.max()) + 1
    answers = np.bincount(prompt * sides + side, minlength=sides * (int(prompt.max()) + 1)).reshape(-1, sides)
    several = np.asarray(np.all(answers >= 2, axis=1))
    if np.count_nonzero(several) < 2:
        return NOTHING_SHARED
    kept = several[prompt]
    prompt, side = np.unique(prompt[kept], return_inverse=True)[1], side[kept]
    answers = answers[several]
    sizes = [view.shape[1] for view in views.values()]
    columns = np.concatenate([view[kept] for view in views.values()], axis=1)
    columns = columns - columns.mean(axis=0)
    starts = np.cumsum([0, *sizes])[:-1]
    order = np.lexsort((rng.random(prompt.size), prompt))
    ratios = np.empty((shuffles + 1, len(sizes)))
    ratios[0] = _closer(columns, prompt, side, answers, starts)
    for row in range(1, shuffles + 1):
        swapped = np.empty_like(side)
        swapped[order] = side[np.lexsort((rng.random(prompt.size), prompt))]
        ratios[row] = _closer(columns, prompt, swapped, answers, starts)
    p_value, apart = _exact(ratios)
    there = apart & _on_every_side(columns, prompt, side, answers, starts)
    size = float((answers**2).sum() / answers.sum())
    return Shared(p_value=p_value, inflation=1 + (size - 1) * float(ratios[0][there].max(initial=0.0)))


def _closer(columns: Features, prompt: IntArray, side: IntArray, answers: IntArray, starts: IntArray) -> FloatArray:
    """Correlation of two answers of one side and prompt less that of one of either; the least of all sides, a view."""
    within, across, alone = _products(columns, prompt, side, answers, starts)
    pairs = (answers * (answers - 1)).sum(axis=0)
    least = (within.sum(axis=0) / pairs[:, None]).min(axis=0)
    either = across.sum(axis=0) / (answers.sum(axis=1) ** 2 - (answers**2).sum(axis=1)).sum()
    return np.asarray((least - either) / np.maximum(alone.sum(axis=0) / answers.sum() - either, 1e-30))


def _on_every_side(
    columns: Features, prompt: IntArray, side: IntArray, answers: IntArray, starts: IntArray
) -> npt.NDArray[np.bool_]:
    """Whether prompts agree, a view, that two of one side are closer, on every side by itself. Swapping cannot say so:
    where one side alone is dependent, it gives both of them a half of that."""
    within, across, _ = _products(columns, prompt, side, answers, starts)
    own = within / (answers * (answers - 1))[:, :, None]
    either = across / (answers.sum(axis=1) ** 2 - (answers**2).sum(axis=1))[:, None]
    excess = own - either[:, None]
    error = excess.std(axis=0, ddof=1) / np.sqrt(len(excess))
    return np.asarray((excess.mean(axis=0) > _APART * error).all(axis=0))


def _products(
    columns: Features, prompt: IntArray, side: IntArray, answers: IntArray, starts: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sums of products, a prompt and view, of two answers of one side (P, S, views), of two sides (P, views), and of an
    answer with itself; every side's mean is taken off first."""
    count, sides = answers.shape
    own = np.empty_like(columns)
    for which in range(sides):
        own[side == which] = columns[side == which] - columns[side == which].mean(axis=0)
    cell = csr_array(
        (np.ones(side.size, np.float32), prompt * sides + side, np.arange(side.size + 1)), (side.size, count * sides)
    ).T
    sums = (cell @ own).reshape(count, sides, -1).astype(np.float64)
    squares = (cell @ own**2).reshape(count, sides, -1).astype(np.float64)
    across = sums.sum(axis=1) ** 2 - (sums**2).sum(axis=1)
    parts = [np.add.reduceat(part, starts, axis=-1) for part in (sums**2 - squares, across, squares.sum(axis=1))]
    return parts[0], parts[1], parts[2]


def clumps(code: IntArray, side: IntArray, rng: np.random.Generator, *, shuffles: int = SHUFFLES) -> Shared:
    """Do records of one side share ``code`` with each other and not with the other sides, on every side?

    ``inflation`` is 1 + the partners that a record has on its own side, on the side where that is less.
    """
    ratios = np.empty((shuffles + 1, 1))
    partners, ratios[0] = _together(code, side)
    if partners < MATERIAL - 1 or ratios[0, 0] <= 0:
        return Shared(p_value=1.0, inflation=1 + partners)
    for row in range(1, shuffles + 1):
        ratios[row] = _together(code, rng.permutation(side))[1]
    return Shared(p_value=_exact(ratios)[0], inflation=1 + partners)


def _together(code: IntArray, side: IntArray) -> tuple[float, float]:
    """Partners of a record on its own side, and by how much two of one side agree more often than twice one of either;
    the least of all sides."""
    sides = int(side.max()) + 1
    counts = np.bincount(code * sides + side, minlength=sides * (int(code.max()) + 1)).reshape(-1, sides).astype(float)
    sizes = counts.sum(axis=0)
    within = (counts * (counts - 1)).sum(axis=0) / np.maximum(sizes * (sizes - 1), 1)
    across = ((counts.sum(axis=1) ** 2).sum() - (counts**2).sum()) / (sizes.sum() ** 2 - (sizes**2).sum())
    return float((within * (sizes - 1)).min()), float(within.min() - 2 * across)


def _exact(ratios: FloatArray) -> tuple[float, npt.NDArray[np.bool_]]:
    """p of the largest standardised statistic of row 0 among all rows, and which of its columns stand out."""
    spread, centre = ratios.std(axis=0), ratios.mean(axis=0)
    # All rows are standardised alike, the observed one among them: that keeps the test exact.
    most = ((ratios - centre) / np.where(spread > 0, spread, 1.0)).reshape(len(ratios), -1).max(axis=1)
    p_value = float(np.count_nonzero(most >= most[0] - 1e-9)) / len(ratios)
    others = ratios[1:].std(axis=0)
    return p_value, ratios[0] - ratios[1:].mean(axis=0) > _APART * np.where(others > 0, others, np.inf)
