"""From what was measured to findings: Holm over the family, the one rule for each gate, and what is waived."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

from collapse_audit.probes.statistics.design import Units
from collapse_audit.probes.statistics.readings import LEVEL, Estimate, Gate, NotMeasured, Reading
from collapse_audit.probes.types import Probe
from collapse_audit.reports.document import Finding, Interval, Outcome, counted
from collapse_audit.run.plan import Comparison
from collapse_audit.settings.config import AuditConfig
from collapse_audit.verdicts.family import judge_family
from collapse_audit.verdicts.rule import Judgement
from collapse_audit.verdicts.sentences import sentence, sentence_without
from collapse_audit.verdicts.waivers import apply_waivers


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One gate of one probe on one comparison, not yet judged."""

    comparison: Comparison
    probe: Probe
    gate: Gate
    """With the margin in force."""
    reading: Reading | str
    """An estimate, "not measured", or what went wrong."""
    seconds: float
    units: Units | None = None
    """What n counts, where that is not documents."""
    permutations: int | None = None
    """Drawn for the reading's p-value."""
    first_p: float | None = None
    """The p-value of the first look, where some findings were looked at again."""
    again: bool | None = None
    """Whether this one was; None where nothing was."""

    @property
    def of_words(self) -> bool:
        """Whether it is what a probe of files could only have said of words: of numbers that needs no mention."""
        neutral = isinstance(self.reading, NotMeasured) and self.reading.neutral
        return neutral and self.probe.needs == {"files"}


def fails(measured: list[Measured], config: AuditConfig, size: int, today: date) -> bool:
    return any(f.gating and counted(f) is Outcome.FAIL for f in judged(measured, config, frozenset(), size, today))


def judged(
    measured: list[Measured], config: AuditConfig, asked_for: frozenset[str], size: int, today: date
) -> list[Finding]:
    """Judge a family of ``size`` planned tests, then apply what is waived."""
    estimates = {index: m.reading for index, m in enumerate(measured) if isinstance(m.reading, Estimate)}
    judgements = judge_family(
        estimates,
        {index: measured[index].gate for index in estimates},
        alpha=config.alpha,
        planned=size,
        context={index for index in estimates if not measured[index].comparison.gating},
        later={index for index, m in enumerate(measured) if m.again is False},
        first_look={index: m.first_p for index, m in enumerate(measured) if m.first_p is not None},
    )
    # Who names a probe asks for what it can say: one that measured some of its statistics has answered.
    answered = {(measured[index].comparison.name, measured[index].probe.name) for index in estimates}
    findings = [
        _finding(m, frozenset() if (m.comparison.name, m.probe.name) in answered else asked_for, judgements.get(index))
        for index, m in enumerate(measured)
    ]
    return list(apply_waivers(findings, config.waivers, today)[0])


def _finding(m: Measured, asked_for: frozenset[str], judgement: Judgement | None) -> Finding:
    gate = m.gate
    common: dict[str, Any] = {
        "probe": m.probe.name,
        "code": m.probe.code,
        "statistic": gate.statistic,
        "seed": m.comparison.seed,
        "generation": m.comparison.generation,
        "baseline": m.comparison.baseline.name,
        "judged": None if m.comparison.entry is not None else m.comparison.current.name,
        "gating": m.comparison.gating,
        "unit": gate.unit,
        "worse": gate.worse,
        "kind": gate.kind if judgement is None else judgement.kind,
        "margin": gate.margin,
        "pass_margin": None if gate.pass_margin == gate.margin else gate.pass_margin,
        "margin_reason": gate.because,
        "seconds": m.seconds,
    }
    if isinstance(m.reading, str):
        said = sentence_without(gate, m.reading)
        return Finding(outcome=Outcome.ERROR, reason=m.reading, sentence=said, **common)
    if isinstance(m.reading, NotMeasured):
        required = {m.probe.name.lower(), m.probe.code.lower()} & asked_for
        outcome = Outcome.NOT_MEASURED if m.reading.neutral else Outcome.INCONCLUSIVE
        outcome = Outcome.ERROR if required else outcome
        reason = f"asked for by name, but {m.reading.reason}" if required else m.reading.reason
        return Finding(outcome=outcome, reason=reason, sentence=sentence_without(gate, m.reading), **common)
    assert judgement is not None, "every estimate is judged"
    common["sentence"] = sentence(
        gate,
        m.reading,
        judgement,
        judged=common["judged"] or f"generation {m.comparison.generation}",
        baseline=m.comparison.baseline.name,
        units=m.units,
        records="records" if "numeric" in m.probe.needs else "texts",
    )
    if m.units is not None:
        common |= {"n_units": m.units.count, "units": m.units.name}
    common["permutations"] = None if m.reading.p_value is None else m.permutations
    return _estimated(m.reading, judgement, common)


def _estimated(estimate: Estimate, judgement: Judgement, common: dict[str, Any]) -> Finding:
    return Finding(
        outcome=judgement.outcome,
        value=estimate.value,
        interval=Interval(
            low=estimate.low if math.isfinite(estimate.low) else None,
            high=estimate.high if math.isfinite(estimate.high) else None,
            level=LEVEL,
            method=estimate.method,
        ),
        p_value=estimate.p_value,
        p_adjusted=judgement.p_adjusted,
        n_baseline=estimate.n_baseline,
        n_generation=estimate.n_generation,
        minimum_detectable=estimate.minimum_detectable,
        n_needed=judgement.n_needed,
        raw=estimate.raw,
        evidence=estimate.evidence,
        notes=judgement.notes,
        reason=judgement.reason,
        **common,
    )
