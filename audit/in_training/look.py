"""One of many looks at a model in the making: its samples beside a baseline, at the part of alpha that this look has.

A model that is audited every few hundred steps is tested again and again; at the full alpha each time, one of twenty
looks at a healthy training would stop it. :mod:`collapse_audit.verdicts.sequential` shares alpha out instead, so that
over all looks of one training a false alarm is no more probable than alpha.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collapse_audit.calibration.two_samples import trial
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate, Gate
from collapse_audit.probes.text.labels import AUTO_SHARE, EU_TIRADS, LabelRule, label_rule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.types import Probe
from collapse_audit.reports.adding_up import VERDICTS
from collapse_audit.reports.document import Outcome, Verdict, worst
from collapse_audit.settings.config import AuditConfig
from collapse_audit.verdicts.family import judge_family
from collapse_audit.verdicts.rule import Judgement, judge
from collapse_audit.verdicts.sequential import alpha_at, permutations_for

Key = tuple[str, str]
"""Probe and statistic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookResult:
    """What one look found."""

    number: int
    """From 1."""
    alpha: float
    """What it might spend."""
    verdict: Verdict
    values: Mapping[Key, float]
    judgements: Mapping[Key, Judgement]

    @property
    def failed(self) -> tuple[str, ...]:
        """Probe and statistic of every failure, as reports name them."""
        return tuple(
            f"{key[0]}/{key[1]}" for key, judgement in self.judgements.items() if judgement.outcome is Outcome.FAIL
        )

    @property
    def changed(self) -> tuple[str, ...]:
        """Likewise what moved beyond its margin: told, and no reason to stop a training."""
        return tuple(
            f"{key[0]}/{key[1]}" for key, judgement in self.judgements.items() if judgement.outcome is Outcome.CHANGED
        )


def take_look(
    baseline: Sample,
    generation: Sample,
    *,
    number: int,
    config: AuditConfig,
    probes: Sequence[Probe] = BUILTIN,
) -> LookResult:
    """Judge ``generation`` against ``baseline`` as the ``number``-th of all looks (from 1) that share ``config.alpha``.

    Most looks cost what an audit at 999 permutations does. Only where a bound lies beyond its margin, so that a failure
    is possible, are those probes measured again with as many permutations as so small an alpha needs. The tests that
    are left out then count in Holm's correction as if they came last, so the look's error rate holds.
    """
    spent = alpha_at(number, config.alpha)
    config = dataclasses.replace(config, alpha=spent)
    rule = _label_rule(baseline, config)
    probes = [probe for probe in probes if probe.needs <= _at_hand(rule) and probe.name not in config.disabled]
    measured = trial(baseline, generation, probes=probes, config=config, labels=rule)
    gates = {(probe.name, gate.statistic): config.gate(probe, gate) for probe in probes for gate in probe.gates}
    readings = {key: reading for key, (reading, _) in measured.items() if isinstance(reading, Estimate)}
    size = sum(1 for reading in readings.values() if reading.p_value is not None)
    # A test that cannot reject however small its p-value needs no finer one.
    suspected = {key for key, reading in readings.items() if _beyond(reading, gates[key], spent)}
    blocks = 2 * min(len(baseline), len(generation))
    permutations = permutations_for(size, spent, least=config.permutations, blocks=blocks)
    if permutations > config.permutations and any(readings[key].p_value is not None for key in suspected):
        again = [probe for probe in probes if any(key[0] == probe.name for key in suspected)]
        finer = dataclasses.replace(config, permutations=permutations)
        closer = trial(baseline, generation, probes=again, config=finer, labels=rule)
        readings |= {key: reading for key, (reading, _) in closer.items() if isinstance(reading, Estimate)}
    judgements = judge_family(readings, gates, alpha=spent, later=readings.keys() - suspected)
    return LookResult(
        number=number,
        alpha=spent,
        verdict=VERDICTS[worst(reading.outcome for reading in judgements.values())],
        values={key: reading.value for key, reading in readings.items()},
        judgements=judgements,
    )


def _beyond(estimate: Estimate, gate: Gate, alpha: float) -> bool:
    return judge(estimate, gate, p_adjusted=0.0, alpha=alpha).outcome in (Outcome.FAIL, Outcome.CHANGED)


def _label_rule(baseline: Sample, config: AuditConfig) -> LabelRule | None:
    """A rule that reads labels out of texts: a model writes no label field."""
    if config.labels == "auto":
        mentions = baseline.labels(EU_TIRADS).labelled
        return EU_TIRADS if mentions.mean() >= AUTO_SHARE else None
    rule = label_rule(config.labels)
    return None if rule is None or rule.extract is None else rule


def _at_hand(rule: LabelRule | None) -> frozenset[str]:
    """What samples in memory can answer."""
    return frozenset({"text", "files"} if rule is None else {"text", "files", "labels"})
