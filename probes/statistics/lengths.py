"""Equal token budgets: where one side writes shorter texts, both are cut so that vocabulary is compared fairly."""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.statistics.design import IntArray

SIGNIFICANT = 3.0
"""Standard errors of the mean length from which a difference is real."""
MATERIAL = 0.02
"""Relative difference of token budgets that is tolerated."""
MEASURABLE = 4
"""Tokens of the shortest text that takes part in finding a cut: it has one 4-gram. A side that writes nothing in some
of its texts has lost what they held, and must not have the other side's texts cut away to a word each for it."""


def matched_length(baseline: IntArray, generation: IntArray) -> int | None:
    """The longest cut at which both sides have nearly equal token budgets; None where no cut is needed.

    ``baseline`` and ``generation`` are tokens a document, shapes (n,) and (m,). Cutting throws text away, so it happens
    only where mean lengths differ by more than three standard errors and by more than 2%. Where no cut balances the
    budgets the lower quartile of the shorter side is used. Texts of fewer than 4 tokens are left out of all this.
    """
    baseline, generation = baseline[baseline >= MEASURABLE], generation[generation >= MEASURABLE]
    if min(baseline.size, generation.size) < 2:
        return None
    means = baseline.mean(), generation.mean()
    error = np.sqrt(baseline.var(ddof=1) / baseline.size + generation.var(ddof=1) / generation.size)
    apart = abs(means[0] - means[1])
    if apart <= SIGNIFICANT * error or apart <= MATERIAL * max(means):
        return None
    cuts = np.unique(np.quantile(np.concatenate((baseline, generation)), np.linspace(0.0, 1.0, 201)).astype(np.int64))
    cuts = cuts[cuts > 0]
    budgets = [np.array([np.minimum(side, cut).mean() for cut in cuts]) for side in (baseline, generation)]
    balanced = np.abs(budgets[0] - budgets[1]) <= MATERIAL * np.maximum(*budgets)
    if balanced.any():
        return int(cuts[balanced].max())
    return max(1, int(min(np.quantile(baseline, 0.25), np.quantile(generation, 0.25))))


def least_cut(baseline: IntArray, generation: IntArray) -> int:
    """Tokens below which texts are not cut where each is measured by itself: 25% of neither side are shorter.

    What is a mean over texts needs no equal budgets, and a few short texts would otherwise dictate the cut: of loops
    with a period of ten words nothing is left in seven.
    """
    sides = [side[side >= MEASURABLE] for side in (baseline, generation)]
    return max(MEASURABLE, min((int(np.quantile(side, 0.25)) for side in sides if side.size), default=0))
