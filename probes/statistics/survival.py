"""What became of one category: the share of its baseline frequency that it retained, with exact bounds and test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, betaln, logsumexp

from collapse_audit.probes.statistics.design import BoolArray, Design, FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import ratio_of_sums, settling_n
from collapse_audit.probes.statistics.readings import Estimate

_ALPHA = 0.05
LOST, DEPLETED = 0.25, 0.5
"""Retained shares: under a quarter is as good as lost, under half is depleted."""
_FIRST_WIDTH = 1024
"""Weights on either side of the largest that are looked at first."""
_UNFELT = -50.0
"""Logarithm of a share of a sum that double precision does not hold."""


def _spent(chances: FloatArray) -> bool:
    """Whether all weights before these come to nothing beside them.

    Hypergeometric weights are log-concave: before the first one they fall at least as fast as from the second to it.
    """
    ratio = chances[0] - chances[1]
    return bool(ratio < 0 and chances[0] - chances.max() - np.log(-np.expm1(ratio)) < _UNFELT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """One category: how many texts carried it on both sides, and what that says about the share it retained."""

    label: str
    baseline: int
    generation: int
    n_baseline: int
    n_generation: int
    by_text: tuple[float, float] = (math.inf, math.inf)
    """Where texts come in groups or by prompts: clustered bounds of the share retained among *texts*. "Any text of the
    group carries it" saturates, so it alone would overlook a category that most texts have lost."""

    @property
    def retained(self) -> float:
        """Share of its baseline frequency that the category kept."""
        return (self.generation / self.n_generation) / (self.baseline / self.n_baseline)

    @property
    def bounds(self) -> tuple[float, float]:
        """One-sided 95% bounds of the retained share, given how often the category was seen in all.

        Given the total, the generation's count is binomial with odds n_generation : n_baseline times the retained
        share, so Clopper-Pearson bounds carry over (Przyborowski & Wilenski 1940, doi 10.1093/biomet/31.3-4.313).
        """
        total, odds = self.baseline + self.generation, self.n_generation / self.n_baseline
        low = betaincinv(self.generation, self.baseline + 1, _ALPHA) if self.generation else 0.0
        high = betaincinv(self.generation + 1, self.baseline, 1 - _ALPHA) if self.generation < total else 1.0
        return min(_odds(low) / odds, self.by_text[0]), min(_odds(high) / odds, self.by_text[1])

    @property
    def p_value(self) -> float:
        """Fisher's exact test, one-sided: so few carriers in the generation by chance?"""
        carriers = self.baseline + self.generation
        log_p = logsumexp(self._log_chances()) - _log_choose(self.n_generation + self.n_baseline, carriers)
        return float(np.clip(np.exp(log_p), 1e-300, 1.0))

    def _log_chances(self) -> FloatArray:
        """Logarithms of the hypergeometric weights of as many carriers or fewer; those that no sum would feel are left
        out, or there would be one for each of a hundred million texts."""
        carriers, texts = self.baseline + self.generation, self.n_generation + self.n_baseline
        lowest, highest = max(0, carriers - self.n_baseline), self.generation
        likeliest = (carriers + 1) * (self.n_generation + 1) // (texts + 2)
        centre = min(max(likeliest, lowest), highest)
        width = _FIRST_WIDTH
        while True:
            fewer = np.arange(max(lowest, centre - width), min(highest, centre + width) + 1)
            chances = _log_choose(self.n_generation, fewer) + _log_choose(self.n_baseline, carriers - fewer)
            if (fewer[0] == lowest or _spent(chances)) and (fewer[-1] == highest or _spent(chances[::-1])):
                return np.asarray(chances)
            width *= 4

    @property
    def is_settled(self) -> bool:
        """Whether the bounds say depleted or present."""
        low, high = self.bounds
        return high < DEPLETED or low > LOST

    @property
    def status(self) -> str:
        """lost, depleted, present or untestable (too rare to tell at this n)."""
        low, high = self.bounds
        if high < DEPLETED:
            return "lost" if self._surely_absent() else "depleted"
        return "present" if low > LOST else "untestable"

    def _surely_absent(self) -> bool:
        """Nothing seen, and even the most that "0 of n" allows is under a quarter of the least the baseline had."""
        if self.generation:
            return False
        most = 1 - _ALPHA ** (1 / self.n_generation)
        least = betaincinv(self.baseline, self.n_baseline - self.baseline + 1, _ALPHA)
        return bool(most < LOST * least)

    def scaled(self, factor: float) -> Survival:
        """The same shares at ``factor`` times as many texts."""
        counts = (round(factor * x) for x in (self.baseline, self.generation, self.n_baseline, self.n_generation))
        baseline, generation, n_baseline, n_generation = counts
        return Survival(
            label=self.label,
            baseline=baseline,
            generation=generation,
            n_baseline=n_baseline,
            n_generation=n_generation,
            by_text=self.by_text,
        )


def _log_choose(n: int, k: npt.NDArray[np.int64] | int) -> npt.NDArray[np.float64]:
    return np.asarray(-betaln(1 + n - k, 1 + k) - np.log(n + 1))


def _odds(share: float) -> float:
    return float(share / (1 - share)) if share < 1 else math.inf


def by_text(design: Design, carried: BoolArray) -> tuple[float, float]:
    """90% interval of the ratio of the shares of texts that carry something, groups or prompts as units.

    ``carried``, shape (D,): which of the design's documents do.
    """
    ratio = ratio_of_sums(
        design.per_block(carried.astype(np.float64)),
        design.per_block(np.ones(carried.size)),
        design=design,
        relabellings=np.asarray(design.side, dtype=np.uint8)[None],
        scale="log",
        worse="lower",
    )
    return (ratio.low, ratio.high) if isinstance(ratio, Estimate) else (0.0, math.inf)


def by_unit(carried: BoolArray, unit: IntArray) -> BoolArray:
    """Whether any text of a unit carries the category, shape (U, categories); ``carried``: (D, categories)."""
    units, row = np.unique(unit, return_inverse=True)
    any_of = np.zeros((units.size, carried.shape[1]), dtype=np.bool_)
    np.logical_or.at(any_of, row, carried)
    return any_of


def worst_of(rows: Sequence[Survival]) -> tuple[Survival, list[Survival], float, float]:
    """The category that stands worst, those that are depleted, the least lower bound of all, and Fisher's p of it
    before it is corrected for how many there are."""
    depleted = [row for row in rows if row.bounds[1] < DEPLETED]
    worst = min(rows, key=lambda row: (row.bounds[1 if depleted else 0], row.retained, row.label))
    p_value = min((row.p_value for row in depleted), default=worst.p_value)
    return worst, depleted, min(min(row.bounds[0] for row in rows), worst.bounds[1]), p_value


def needed_of(table: Sequence[Survival]) -> float:
    """Texts a side at which every category would be told present or depleted, were its shares to stay as they are."""
    n = max(table[0].n_baseline, table[0].n_generation)
    # Thousands of labels are few different pairs of counts, and one that was not told is asked first again.
    waiting = list({(row.baseline, row.generation, row.by_text): row for row in table}.values())

    def settled(factor: float) -> bool:
        for at, row in enumerate(waiting):
            if not row.scaled(factor).is_settled:
                waiting.insert(0, waiting.pop(at))
                return False
        return True

    return settling_n(n, settled)
