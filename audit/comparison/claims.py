"""What a comparison of two lineages may claim: one statistic in both, and the rule that says which holds better."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from collapse_audit.probes.statistics.estimates import Scale, exponential
from collapse_audit.probes.statistics.readings import Worse
from collapse_audit.verdicts.rule import holm


class Held(StrEnum):
    """Which of the two holds better."""

    A = "a"
    B = "b"
    ALIKE = "alike"
    """A difference of the margin would have been seen."""
    OPEN = "open"
    NOT_COMPARED = "not_compared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One statistic of one generation in lineages A and B. A number that is not to be had is None."""

    level: Literal["recipe", "documents"]
    probe: str
    statistic: str
    seed: str | None = None
    """The seed, at the level of documents; None at the level of the recipe, which rests on all of them."""
    generation: int
    unit: str
    """Of ``a`` and ``b``."""
    worse: Worse
    scale: Scale
    """``linear``: what is compared is a - b. ``log``: it is the ratio a / b, its interval made on logarithms."""
    a: Mapping[str, float] = field(default_factory=dict)
    """Damage of A by seed: what its audit says (recipe), or its change over the shared prompts or tasks (documents)."""
    b: Mapping[str, float] = field(default_factory=dict)
    difference: float | None = None
    """a - b in ``unit``, or a / b; over seeds, its mean (the geometric one of ratios)."""
    low: float | None = None
    """One-sided 95% bound of ``difference``, as in an audit."""
    high: float | None = None
    margin: float | None = None
    """The size of change that matters, as the audit's margin has it: a distance from 0, on logarithms for ``log``."""
    n: int = 0
    """Seeds of each lineage, prompts (or groups), or documents of an evaluation's tasks."""
    units: Literal["seeds", "prompts", "groups", "documents of tasks"]
    p_value: float | None = None
    """Two-sided p of "no difference"."""
    p_adjusted: float | None = None
    """Holm over the statistics of the level (of documents: of the level and the seed)."""
    outcome: Held = Held.NOT_COMPARED
    b_may_be_worse: bool = False
    """Whether B may be damaged by the margin more than A: its bound lies beyond the margin, or there is none."""
    immaterial: bool = False
    """Whether the whole interval lies within the margin."""
    error: bool = False
    """Whether a probe crashed in either audit."""
    reason: str = ""

    @property
    def name(self) -> str:
        """``diversity / distinct-2``."""
        return f"{self.probe} / {self.statistic}"


def to_scale(value: float, scale: Scale) -> float:
    """``value`` in the reader's unit, on the scale that it is compared on."""
    return math.log(value) if scale == "log" else value


def from_scale(value: float, scale: Scale) -> float:
    """The inverse of :func:`to_scale`."""
    return exponential(value) if scale == "log" else value


def claims(contrasts: Sequence[Contrast], *, alpha: float) -> tuple[Contrast, ...]:
    """Judge a family: Holm over all of ``found`` that have a p-value, then the rule for each.

    * one holds better: "no difference" is rejected (Holm-adjusted two-sided p <= alpha);
    * alike: it is not, and the 90% interval lies within the margin on both sides, so a difference of its size would
      have been seen (two one-sided tests, Schuirmann 1987, doi 10.1007/BF01068419);
    * open: anything else.
    """
    tested = [index for index, contrast in enumerate(contrasts) if contrast.p_value is not None]
    adjusted = dict(zip(tested, holm([contrasts[index].p_value or 0.0 for index in tested]), strict=True))
    return tuple(
        _judged(contrast, adjusted[index], alpha) if index in adjusted else contrast
        for index, contrast in enumerate(contrasts)
    )


def _judged(contrast: Contrast, p_adjusted: float, alpha: float) -> Contrast:
    if contrast.difference is None or contrast.low is None or contrast.high is None:
        raise ValueError(f"{contrast.probe}/{contrast.statistic}: a p-value without an interval")
    # Damage of A less that of B: above 0, B holds better.
    sign = 1.0 if contrast.worse == "higher" else -1.0
    excess = sign * to_scale(contrast.difference, contrast.scale)
    low, high = sorted(sign * to_scale(bound, contrast.scale) for bound in (contrast.low, contrast.high))
    alike = contrast.margin is not None and -contrast.margin <= low and high <= contrast.margin
    claimed = Held.B if excess > 0 else Held.A
    unclaimed = Held.ALIKE if alike else Held.OPEN
    return dataclasses.replace(
        contrast,
        p_adjusted=p_adjusted,
        outcome=claimed if p_adjusted <= alpha else unclaimed,
        immaterial=alike,
        b_may_be_worse=contrast.margin is None or low < -contrast.margin,
    )
