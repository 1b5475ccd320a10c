"""How far collapse has gone and by which way, as Shumailov et al. 2024 tell it. Descriptive: it never gates.

Early collapse loses the tails while the bulk stands; late collapse has lost the bulk's variance. And the two probes of
the tail tell the mechanism between them: sharpened or truncated decoding takes the tail's probability, while drift by
finite samples leaves it as it was on average (it is a martingale) and loses types all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.reports.document import Finding, Outcome, Stage, Verdict
from collapse_audit.reports.plain import called

Mechanism = Literal["sharpening", "drift", "undetermined", "none"]

GateOf = Callable[[Finding], Gate]
"""The gate in force for a finding."""
_SOUND = (Verdict.PASS, Verdict.CHANGED)
_HARMLESS = (Outcome.PASS, Outcome.CHANGED, Outcome.NOT_MEASURED)
_ORDER = (Stage.LATE, Stage.EARLY, Stage.UNDETERMINED, Stage.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReading:
    """The stage of one generation."""

    seed: str | None
    generation: int
    stage: Stage
    mechanism: Mechanism
    evidence: tuple[str, ...]
    """Names of the findings that it rests on."""
    reason: str


def stages(findings: Iterable[Finding], gate_of: GateOf) -> tuple[StageReading, ...]:
    """The stage of every generation that was compared, from its gating findings.

    Which of them tell of the tail, and which of the bulk, their gates declare. Loops, duplicates and odd likelihoods
    are damage without a stage.
    """
    groups: dict[tuple[str | None, int], list[Finding]] = {}
    for finding in findings:
        if finding.gating:
            groups.setdefault((finding.seed, finding.generation), []).append(finding)
    return tuple(_read(seed, generation, group, gate_of) for (seed, generation), group in groups.items())


def overall_stage(readings: Sequence[StageReading], verdict: Verdict) -> Stage:
    """The stage of the worst generation; undetermined unless nothing was lost or something says how far it has gone."""
    worst = next((stage for stage in _ORDER if any(reading.stage is stage for reading in readings)), Stage.UNDETERMINED)
    return Stage.UNDETERMINED if worst is Stage.NONE and verdict not in _SOUND else worst


def _read(seed: str | None, generation: int, findings: Sequence[Finding], gate_of: GateOf) -> StageReading:
    failed = [finding for finding in findings if finding.outcome is Outcome.FAIL]
    # How far a text has moved says how far damage has gone, where there is damage; alone it is only another text.
    moved = [finding for finding in findings if failed and finding.outcome is Outcome.CHANGED]
    late = [finding for finding in (*failed, *moved) if _late(finding, gate_of(finding))]
    tail = [finding for finding in failed if gate_of(finding).part == "tail"]
    mechanism, how = _mechanism(findings, gate_of)
    if late:
        stage, why, rests = Stage.LATE, "the bulk has lost its variance, or become another text", late
    elif tail:
        stage, why, rests = Stage.EARLY, "tails or rare classes are lost and the bulk stands", tail
    elif failed:
        stage, why, rests = Stage.UNDETERMINED, "damaged, but no tail is known to be lost", failed
    elif all(finding.outcome in _HARMLESS for finding in findings):
        stage, why, rests = Stage.NONE, "nothing failed", []
    else:
        stage, why, rests = Stage.UNDETERMINED, "not everything could be settled", []
    return StageReading(
        seed=seed,
        generation=generation,
        stage=stage,
        mechanism=mechanism,
        evidence=tuple(called(finding) for finding in rests),
        reason=f"{why}; {how}" if how else why,
    )


def _mechanism(findings: Sequence[Finding], gate_of: GateOf) -> tuple[Mechanism, str]:
    """What the tail's probability and its types say together."""
    outcomes = {gate_of(finding).mechanism: finding.outcome for finding in findings}
    mass, coverage = outcomes.get("sharpening"), outcomes.get("drift")
    if mass is Outcome.FAIL:
        return "sharpening", "the tail lost probability: sharpened or truncated sampling"
    if coverage is not Outcome.FAIL:
        return "none", ""
    if mass is Outcome.PASS:
        return "drift", "types vanished while the tail kept its probability: drift by finite samples"
    return "undetermined", "types vanished, and whether the tail lost probability is open"


def _late(finding: Finding, gate: Gate) -> bool:
    """Whether the bulk is gone, by the bound that is kinder to the model."""
    if finding.interval is None:
        return False
    if gate.late is None:
        return gate.part == "bulk"
    low, high = finding.interval.low, finding.interval.high
    return (low is not None and low > gate.late) if gate.worse == "higher" else (high is not None and high < gate.late)
