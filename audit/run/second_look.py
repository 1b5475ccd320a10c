"""Findings that hang on their p-value are measured again with more permutations: draws follow the need.

The smallest p-value of B permutations is 1 / (B + 1), and Holm multiplies it by the number of findings. A look that
shares alpha with many others needs a large B before anything can be significant, and at the least such B a single
permutation as bad as the observed one undoes it. But a finding can only fail where its bound lies beyond the margin,
which never depends on p. So all are measured with few permutations first, and those :data:`FINER` times as many as are
needed are drawn, anew, where the bound lies there: a healthy generation pays nothing.

This is exact. A finding can fail only where its bound lies beyond the margin, hence only by its second p-value, and
P(second p <= t, looked at again) <= P(second p <= t) <= t under "no change", whatever the choice depends on (that of
"beyond the margin" moves a little with the first draws). Holm's correction for them counts all others as if they came
last in its order, which can only make theirs larger; the others keep the first look's, and none of them can fail.
In-training looks do the same (:mod:`collapse_audit.in_training.look`), since their share of alpha is small.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.reports.document import Outcome
from collapse_audit.run.judge import Measured
from collapse_audit.run.plan import Comparison
from collapse_audit.settings.config import AuditConfig
from collapse_audit.verdicts.rule import judge
from collapse_audit.verdicts.sequential import can_reject, check_room, permutations_for

FINER = 4
"""Times as many permutations: the least that Holm can say becomes a quarter of alpha, at four times the price."""
_CELLS = 1 << 28
"""Blocks times permutations that are looked at in one comparison: memory and time stay bounded."""


def finer(permutations: int, blocks: int) -> int:
    """How many permutations the second look draws; no more than the first where there is no room for them."""
    return max(permutations, min(FINER * permutations, _CELLS // max(blocks, 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """How many permutations a family of tests draws, and how many of what the verdict hangs on."""

    first: int
    second: int
    notes: tuple[str, ...]
    """What a reader should know of them."""


def draws_for(size: int, config: AuditConfig, blocks: int) -> Draws:
    """The draws of ``size`` tests where no comparison has more than ``blocks`` blocks.

    Raises UsageError where the user asks for more than memory holds.
    """
    check_room(config.permutations, blocks)
    # Twenty a finding, so that a shift within its margin may be told; of a very long lineage that is too much to ask.
    first = min(max(config.permutations, 20 * size), FINER * config.permutations)
    needed = permutations_for(size, config.alpha, least=first, blocks=blocks)
    second = finer(needed, blocks)
    notes = []
    if not can_reject(size, config.alpha, needed):
        notes.append(
            f"no p-value can be significant: {size} findings at alpha = {config.alpha:.3g} need more than the "
            f"{needed:,} permutations that are drawn at most; audit fewer generations (--generation last), "
            "lower max_documents, or start a new history"
        )
    if config.permutations < first == 20 * size:
        notes.append(f"{first:,} permutations were drawn, as {size} gating findings need")
    if needed > first:
        share = f"as {size} gating findings need at alpha = {config.alpha:.3g}"
        notes.append(f"{second:,} permutations were drawn where the verdict hangs on them, {share}")
    return Draws(first=first, second=second, notes=tuple(notes))


def looked_at_again(
    measured: Sequence[Measured],
    compare: Callable[[Sequence[Comparison]], Iterable[Sequence[Measured]]],
    *,
    alpha: float,
) -> list[Measured]:
    """``measured`` with what hangs on its p-value measured anew by ``compare``, which draws more permutations."""
    hanging = {_key(m) for m in measured if _hangs(m, alpha)}
    if not hanging:
        return list(measured)
    again = []
    for comparison in {m.comparison.name: m.comparison for m in measured}.values():
        probes = tuple(p for p in comparison.probes if any(key[:2] == (comparison.name, p.name) for key in hanging))
        if probes:
            again.append(dataclasses.replace(comparison, probes=probes))
    anew = {_key(m): m for found in compare(again) for m in found}
    both = []
    for m in measured:
        second = anew.get(_key(m)) if _key(m) in hanging else None
        if second is not None and isinstance(second.reading, Estimate):
            seconds = m.seconds + second.seconds
            both.append(
                dataclasses.replace(second, comparison=m.comparison, seconds=seconds, first_p=_p(m), again=True)
            )
        else:
            both.append(dataclasses.replace(m, first_p=_p(m), again=False))
    return both


def _key(m: Measured) -> tuple[str, str, str]:
    return m.comparison.name, m.probe.name, m.gate.statistic


def _p(m: Measured) -> float | None:
    return m.reading.p_value if isinstance(m.reading, Estimate) else None


def _hangs(m: Measured, alpha: float) -> bool:
    """Whether p decides: the finding would fail, or have changed, were p as small as can be."""
    if not m.comparison.gating or not isinstance(m.reading, Estimate) or m.reading.p_value is None:
        return False
    least = judge(m.reading, m.gate, p_adjusted=0.0, alpha=alpha)
    return least.outcome in (Outcome.FAIL, Outcome.CHANGED)
