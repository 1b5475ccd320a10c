"""What a model expects after the same human contexts as another: numbers that need no generated text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.statistics.readings import NotMeasured

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contexts:
    """One model's next-token distributions on C contexts, as numbers; each array of shape (C,)."""

    ids: tuple[str, ...]
    entropy: FloatArray
    """Mean entropy over the context's positions, nats."""
    top1: FloatArray
    """Mean probability of the most probable token."""
    n_positions: npt.NDArray[np.int64]
    digest: str
    """Of the contexts: texts, tokens and positions."""
    model: str
    """Digest of the base."""
    adapter: str
    """Digest of the adapter."""


Asked = tuple[Contexts | None, Contexts | None]
"""What the baseline's model and the generation's expect."""


def not_asked(asked: Asked | None) -> NotMeasured | None:
    """Why two models cannot be compared, if so. ``asked`` is None where the baseline is no generation's text."""
    if asked is None:
        return NotMeasured(reason="contexts compare a model with an earlier generation's, and the baseline is none")
    before, after = asked
    if before is None and after is None:
        return NotMeasured(reason="no model was asked at fixed contexts (collapse-lineage score --contexts does it)")
    if before is None or after is None:
        side = "generation" if before is None else "baseline"
        reason = f"only the {side}'s model was asked at fixed contexts: ask both, or neither"
        return NotMeasured(reason=reason, neutral=False)
    if before.digest != after.digest or before.ids != after.ids:
        reason = "the two models were asked at different contexts; run collapse-lineage score --contexts on all of them"
        return NotMeasured(reason=reason, neutral=False)
    if before.model != after.model:
        reason = "the two models have different bases; run collapse-lineage score --contexts on all of them"
        return NotMeasured(reason=reason, neutral=False)
    if before.adapter == after.adapter:
        reason = "both files are of the same adapter: run collapse-lineage score --contexts on all generations"
        return NotMeasured(reason=reason, neutral=False)
    return None
