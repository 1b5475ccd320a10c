"""What decoding did and what training did: one loss in two parts, with generation 0's other texts as the control.

Narrower decoding narrows what any model writes, and is easily taken for collapse (that decoding decides how much of it
is seen: Drayson and Lampos 2025, arXiv 2502.15654). Where generation 0 has also written under generation k's decoding,
the change from generation 0's texts to generation k's goes by way of those:

    value(generation k) - value(generation 0)  =  [value(control) - value(generation 0)]      decoding
                                                + [value(generation k) - value(control)]      training

on the scale on which changes add up: the value itself, or its natural logarithm. All three corpora are measured with
one yardstick (what the baseline calls rare), so the parts add up exactly. Descriptive: it never gates.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from collapse_audit.probes.pairs.units import UnitSetting
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.estimates import Scale, permutation_p
from collapse_audit.probes.statistics.readings import NotMeasured, Z
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.trends.followed import Direction, Follow, Followed
from collapse_audit.probes.trends.succession import Succession
from collapse_audit.probes.trends.trend import crossing

TOTAL, DECODING, TRAINING = np.array([[-1.0, 0.0, 1.0], [-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]])
"""Contrasts of (generation 0, control, generation k)."""
_DECIMALS = 6
"""Changes that agree to so many are ties: some counts are summed in single precision."""
_LARGEST = 700.0
"""Change of a logarithm whose exponential a double still holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One change and its 90% interval: a ratio where the scale is logarithmic, else a difference."""

    value: float
    low: float
    high: float
    """Infinite ends: too few independent units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingSplit:
    """One statistic's change from generation 0 to generation k, split."""

    statistic: str
    unit: str
    """Of the values that are compared; a ratio has none."""
    scale: Scale
    worse: Direction
    training: Part
    p_value: float
    """Exact p-value of "training changed nothing" (control and generation k exchangeable), for damage; uncorrected."""
    total: Part | None = None
    decoding: Part | None = None
    share: Part | None = None
    """Share of the total that is decoding's, on the additive scale; only where the total's interval excludes none."""
    reason: str = ""
    """Why total and decoding are not told, or have no interval."""

    def as_dict(self) -> dict[str, Any]:
        """Finite numbers; an interval that is not known is left out."""
        row: dict[str, Any] = {
            "statistic": self.statistic,
            "unit": self.unit,
            "scale": self.scale,
            "worse": self.worse,
            "p_value": self.p_value,
        }
        parts = {"total": self.total, "decoding": self.decoding, "training": self.training, "share": self.share}
        for name, part in parts.items():
            if part is not None:
                known = math.isfinite(part.low) and math.isfinite(part.high)
                row[name] = {"value": part.value, **({"low": part.low, "high": part.high} if known else {})}
        return row | ({"reason": self.reason} if self.reason else {})


def decoding_splits(
    baseline: Sample,
    control: Sample,
    generation: Sample,
    *,
    permutations: int,
    seed: int,
    follow: Iterable[Follow],
    labels: LabelRule | None = None,
    trained_on_baseline: bool = False,
    unit: UnitSetting = "auto",
) -> tuple[DecodingSplit | NotMeasured, ...]:
    """Split every statistic of ``follow``, or say why it cannot be.

    ``control``: what the baseline's author wrote under the decoding of the generation.
    ``trained_on_baseline``: the generation descends from a model trained on these very baseline texts.
    """
    line = Succession(
        baseline=baseline,
        generations=(control, generation),
        permutations=permutations,
        seed=seed,
        label_rule=labels,
        trained_on_baseline=trained_on_baseline,
        unit=unit,
    )
    return tuple(
        each if isinstance(each, NotMeasured) else _split(each, line)
        for statistics in follow
        for each in statistics(line)
    )


def _split(each: Followed, line: Succession) -> DecodingSplit:
    covariance = line.layout.covariance(each.influence)
    np.fill_diagonal(covariance, np.maximum(np.diag(covariance), each.least_error**2))
    enough = line.layout.units >= line.layout.least
    changes = np.round(each.replicates @ TRAINING[1:], _DECIMALS)
    if each.worse == "either":
        p_value = permutation_p(np.abs(changes), worse="higher")
    else:
        p_value = permutation_p(changes, worse=each.worse)
    split = DecodingSplit(
        statistic=each.statistic,
        unit=each.unit,
        scale=each.scale,
        worse=each.worse,
        training=_part(TRAINING, each, covariance, enough=bool(enough[1:].all())),
        p_value=p_value,
    )
    if each.no_baseline:
        return dataclasses.replace(split, reason=each.no_baseline)
    known = bool(enough.all())
    return dataclasses.replace(
        split,
        reason="" if known else f"no intervals: a side has fewer than {line.layout.least} independent texts",
        total=_part(TOTAL, each, covariance, enough=known),
        decoding=_part(DECODING, each, covariance, enough=known),
        share=_share(each, covariance) if known else None,
    )


def _part(contrast: FloatArray, each: Followed, covariance: FloatArray, *, enough: bool) -> Part:
    value = float(contrast @ each.values)
    # Without any spread (all alike) nothing is known of it: no interval either.
    error = math.sqrt(max(float(contrast @ covariance @ contrast), 0.0)) or math.inf
    if not enough:
        error = math.inf
    as_number = _ratio if each.scale == "log" else float
    return Part(value=as_number(value), low=as_number(value - Z * error), high=as_number(value + Z * error))


def _ratio(change: float) -> float:
    """A change of logarithms as readers know it."""
    return math.exp(change) if change < _LARGEST else math.inf


def _share(each: Followed, covariance: FloatArray) -> Part | None:
    """decoding / total, with Fieller's interval (Fieller 1954, doi 10.1111/j.2517-6161.1954.tb00159.x)."""
    contrasts = np.stack((DECODING, -TOTAL))
    apart, slope = (float(contrast @ each.values) for contrast in contrasts)
    of_both = contrasts @ covariance @ contrasts.T
    if slope**2 <= Z**2 * of_both[1, 1] or of_both[1, 1] <= 0:
        return None
    low, high = crossing(apart, slope, of_both)
    return Part(value=-apart / slope, low=float(low), high=float(high))
