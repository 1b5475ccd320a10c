"""A family of tests, judged together: Holm over its p-values, then the one rule for each. The only place that does so.

An audit, a trial of ``calibrate``, a look at a model in training and a claim about a recipe are all judged here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Hashable, Mapping
from typing import TypeVar

from collapse_audit.probes.statistics.readings import Estimate, Gate
from collapse_audit.verdicts.rule import Judgement, holm, judge

K = TypeVar("K", bound=Hashable)


def judge_family(
    estimates: Mapping[K, Estimate],
    gates: Mapping[K, Gate],
    *,
    alpha: float,
    planned: int = 0,
    context: Collection[K] = (),
    later: Collection[K] = (),
    first_look: Mapping[K, float] | None = None,
    unit: str = "documents a side",
) -> dict[K, Judgement]:
    """The judgement of every estimate, in their order; ``gates`` holds the gate of each, with the margin in force.

    Holm's correction is over all estimates with a p-value, but for ``context``, which belongs to no family: its own
    p-value stands in for the adjusted one. ``planned`` is how many tests there would have been, where fewer were made
    (a run that stopped at its first failure). Tests in ``later`` count as if they came last in Holm's order, where they
    can reject nothing: their p-values were measured too coarsely to be any of the others' equals. Where all of a family
    had a p-value before some were measured again (``first_look``), ``later`` ones are corrected by these among all.
    """
    p_values = {
        key: estimate.p_value
        for key, estimate in estimates.items()
        if estimate.p_value is not None and key not in context
    }
    first = {key: p for key, p in p_values.items() if key not in later}
    family = max(planned, len(p_values))
    coarse = {key: p for key, p in (first_look or {}).items() if key in p_values}
    adjusted = dict.fromkeys(p_values, 1.0) | dict(zip(coarse, holm(list(coarse.values()), family=family), strict=True))
    adjusted |= dict(zip(first, holm(list(first.values()), family=family), strict=True))
    return {
        key: dataclasses.replace(
            judge(
                estimate,
                gates[key],
                p_adjusted=estimate.p_value if key in context else adjusted.get(key),
                alpha=alpha,
                unit=unit,
            ),
            p_adjusted=adjusted.get(key),
        )
        for key, estimate in estimates.items()
    }
