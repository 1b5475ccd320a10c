"""Where this many texts tell smaller changes than the margins ask for: one line that names the setting for it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from scipy.special import ndtri

from collapse_audit.probes.statistics.readings import Z_POWER, Gate, Z
from collapse_audit.reports.document import FINER_NOTE, Finding, Outcome, counted
from collapse_audit.reports.plain import called
from collapse_audit.run.overview.stage import GateOf
from collapse_audit.settings.config import AuditConfig

_WORTH = 0.5
"""Share of the margin, in logarithms, from which on a finer one is not worth a line."""


def finer(findings: Sequence[Finding], config: AuditConfig, gate_of: GateOf) -> list[str]:
    """At most one note. Where a loss is significant and its default margin allows it, or leaves it open: that it would
    fail. Else, where everything passed: the loss that would be found with 90% power at the level that Holm leaves for
    the first of as many tests, of the ratio whose default margin is the widest beside it. Nothing where something has
    failed already, since no other margin changes that."""
    gating = [finding for finding in findings if finding.gating]
    said = {counted(finding) for finding in gating}
    if said & {Outcome.FAIL, Outcome.ERROR}:
        return []
    known = [finding for finding in gating if _could_be_finer(finding, config, gate_of)]
    real = [f for f in known if f.p_adjusted is not None and f.p_adjusted <= config.alpha and f.waiver is None]
    if real:
        least = min(real, key=lambda finding: finding.p_adjusted or 0.0)
        more = f"; {len(real) - 1} more" if len(real) > 1 else ""
        what = gate_of(least).plain or called(least)
        return [
            f"{FINER_NOTE}would fail on {what} ({least.value:.3g} {least.unit}, p = {least.p_adjusted:.2g} after "
            f"Holm), which the margin {least.margin:g} allows or leaves open{more}"
        ]
    if said - {Outcome.NOT_MEASURED} != {Outcome.PASS}:
        return []
    tests = Counter(finding.seed for finding in gating if finding.p_value is not None)
    ratios = [finding for finding in known if finding.unit == "ratio" and finding.worse == "lower"]
    seen = [(_seen(f, tests[f.seed], config.alpha), gate_of(f)) for f in ratios if f.minimum_detectable]
    fitting = [(size, gate) for size, gate in seen if size < _WORTH * -math.log(gate.margin)]
    if not fitting:
        return []
    size, gate = min(fitting, key=lambda each: each[0] / -math.log(each[1].margin))
    return [
        f"{FINER_NOTE}at this n a fall of {_percent(-math.expm1(-size))} in {gate.plain or gate.statistic} would be "
        f"seen, where the margin allows {_percent(1 - gate.margin)}"
    ]


def _could_be_finer(finding: Finding, config: AuditConfig, gate_of: GateOf) -> bool:
    """Whether it is a loss that is judged by its default margin, which a text can settle, in a fair comparison."""
    gate: Gate = gate_of(finding)
    return (
        (finding.probe, finding.statistic) not in config.gates
        and gate.may_be_automatic
        and not gate.along
        and finding.kind == "loss"
        and finding.value is not None
        and finding.outcome in (Outcome.PASS, Outcome.INCONCLUSIVE)
        and "one-sided" not in finding.notes
    )


def _seen(finding: Finding, tests: int, alpha: float) -> float:
    """The smallest loss (ln) that is found with 90% power at the level ``alpha / tests``; the finding's own is at
    5%."""
    assert finding.minimum_detectable is not None
    least = -math.log(finding.minimum_detectable)
    return float(least * (-ndtri(alpha / max(tests, 1)) + Z_POWER) / (Z + Z_POWER))


def _percent(share: float) -> str:
    """No finer than it is: 2.31% as 2.4%, towards more."""
    return f"{math.ceil(round(1000 * share, 6)) / 10:g}%"
