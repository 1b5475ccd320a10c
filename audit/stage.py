"""How far collapse has gone, as Shumailov et al. 2024 tell it: early loses the tails, late loses the variance.

Descriptive: the stage never gates. It is read off the findings that failed.
"""

from __future__ import annotations

from collections.abc import Iterable

from collapse_audit.reports.document import Finding, Outcome, Stage, Verdict

LATE_DIVERGENCE = 0.10
"""JS-excess, nats, from which the text as a whole has become another."""
LATE_EFFECTIVE = 0.20
"""Ratio of effective tokens under which the bulk has lost its variance: p^1.2 on single words, which is early, still
keeps .39 to .41 of it on real text (docs/decisions/0005-margins.md)."""


def stage(findings: Iterable[Finding], verdict: Verdict) -> Stage:
    """The stage of the worst generation."""
    failed = [finding for finding in findings if finding.gating and finding.outcome is Outcome.FAIL]
    if any(_late(finding) for finding in failed):
        return Stage.LATE
    if failed:
        return Stage.EARLY
    return Stage.NONE if verdict is Verdict.PASS else Stage.UNDETERMINED


def _late(finding: Finding) -> bool:
    """Whether the bulk is gone, by the bound that is kinder to the model."""
    if finding.interval is None:
        return False
    low, high = finding.interval.low, finding.interval.high
    if (finding.probe, finding.statistic) == ("token-divergence", "JS-excess"):
        return low is not None and low > LATE_DIVERGENCE
    if (finding.probe, finding.statistic) == ("diversity", "effective-tokens"):
        return high is not None and high < LATE_EFFECTIVE
    return (finding.probe, finding.statistic) == ("integrity", "constant")
