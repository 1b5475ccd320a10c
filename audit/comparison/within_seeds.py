"""Of these very generations, which changed more? What two lineages' files tell within a seed.

Units are the prompts that both answered (:mod:`collapse_audit.comparison.prompts`), and the documents of tasks on which
both models were evaluated (:mod:`collapse_audit.comparison.tasks`). Each seed is a family of tests of its own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from collapse_audit.api import Prepared
from collapse_audit.comparison.claims import Contrast, Held, claims, from_scale
from collapse_audit.comparison.prompts import DoubleDifference, double_differences
from collapse_audit.comparison.seeds import ONLY_SEED, Key, margin_on_scale
from collapse_audit.comparison.tasks import LostMore, lost_more
from collapse_audit.errors import UsageError
from collapse_audit.lineages.checks.provenance import Provenance
from collapse_audit.probes.models.task_results import Evaluated
from collapse_audit.probes.prompts.quartet import Answers, Quartet, quartet
from collapse_audit.probes.registry import compares_of
from collapse_audit.probes.statistics.readings import Z
from collapse_audit.probes.text.labels import LabelRule, label_rule
from collapse_audit.probes.text.tokens import tokenizer
from collapse_audit.probes.types import Probe
from collapse_audit.reports.document import AuditReport
from collapse_audit.run.plan import Comparison
from collapse_audit.run.reading import read_side
from collapse_audit.run.seed_models import SeedModels
from collapse_audit.run.seed_texts import Progress

Planned = Mapping[tuple[str, int], Comparison]
"""The comparisons of a lineage that count, by seed and generation."""

_SAME_START = "A and B start from the same baseline texts"
_OTHER_START = "A and B start from different baseline texts, and a baseline that is damaged already has less to lose"


def within_seeds(
    both: tuple[Prepared, Prepared],
    planned: tuple[Planned, Planned],
    judged: int,
    report: AuditReport,
    defaults: Mapping[Key, float],
    progress: Progress,
) -> tuple[tuple[Contrast, ...], list[str]]:
    """The contrasts of generation ``judged`` in every seed that both lineages have, judged, and notes.

    ``report``: the audit of the first; ``defaults`` as in :func:`collapse_audit.comparison.seeds.margin_on_scale`.
    """
    margins = {(each.probe, each.statistic): margin_on_scale(each, defaults) for each in report.findings}
    rule = _rule(both[0], report)
    contrasted: list[Contrast] = []
    notes: dict[str, list[str]] = {}
    for seed, index in planned[0]:
        if index != judged or (seed, index) not in planned[1]:
            continue
        progress(f"prompts and tasks of seed {seed}")
        files = _Seed(
            both=both, sides=(planned[0][seed, index], planned[1][seed, index]), name=seed, rule=rule, margins=margins
        )
        contrasted += claims((*files.prompts(), *files.tasks()), alpha=both[0].config.alpha)
        for note in files.notes:
            notes.setdefault(note, []).append(seed)
    return tuple(contrasted), [
        f"{note} ({_listed(seeds)})" if seeds != [ONLY_SEED] else note for note, seeds in notes.items()
    ]


def _listed(seeds: Sequence[str]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"


def _rule(a: Prepared, report: AuditReport) -> LabelRule | None:
    """The label rule that both audits used; none where their seeds differ in it."""
    used = str(report.lineage["labels"])
    try:
        return label_rule(used, classes=a.lineage.label_classes)
    except UsageError:  # several, one a seed
        return None


@dataclass(frozen=True, kw_only=True)
class _Seed:
    """One seed of both lineages, at one generation."""

    both: tuple[Prepared, Prepared]
    sides: tuple[Comparison, Comparison]
    name: str
    rule: LabelRule | None
    margins: Mapping[Key, float | None]
    notes: list[str] = field(default_factory=list)
    """What was found on the way."""

    @property
    def permutations(self) -> int:
        return max(self.both[0].config.permutations, math.ceil(20 / self.both[0].config.alpha))

    @cached_property
    def same_start(self) -> bool:
        return self.sides[0].baseline.corpus.digest == self.sides[1].baseline.corpus.digest

    def _draws(self, *about: str) -> np.random.Generator:
        key = "|".join((str(self.both[0].config.seed), *about, "contrast"))
        return np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))

    # ------------------------------------------------------------------------------------------------------- prompts

    def prompts(self) -> Iterator[Contrast]:
        """The double differences over the prompts that all four corpora answered."""
        self.notes.append(_SAME_START if self.same_start else _OTHER_START)
        config = self.both[0].config
        cutter = tokenizer(config.tokens)
        read = [read_side(side, config, cutter) for each in self.sides for side in (each.baseline, each.current)]
        four = quartet((read[0], read[1], read[2], read[3]))
        if isinstance(four, str):
            self.notes.append(f"no comparison by prompts: {four}")
            return
        answers = Answers(
            four=four,
            tokenizer=cutter,
            rng=self._draws(*(sample.digest for sample in four.samples)),
            label_rule=self.rule,
            fair=not any(side.trained_on_baseline for side in self.sides),
            same_scorer=self.same_start,
        )
        compares = compares_of(self.both[0].probes)
        for measured in double_differences(answers, compares, permutations=self.permutations):
            yield self._of_prompts(measured, four)

    def _of_prompts(self, measured: DoubleDifference, four: Quartet) -> Contrast:
        finite = math.isfinite(measured.error)
        reach = Z * measured.error
        return Contrast(
            level="documents",
            probe=measured.probe,
            statistic=measured.statistic,
            seed=self.name,
            generation=self.sides[0].generation,
            unit=measured.unit,
            worse=measured.worse,
            scale=measured.scale,
            a={self.name: from_scale(measured.change_a, measured.scale)},
            b={self.name: from_scale(measured.change_b, measured.scale)},
            difference=from_scale(measured.difference, measured.scale),
            low=from_scale(measured.difference - reach, measured.scale) if finite else None,
            high=from_scale(measured.difference + reach, measured.scale) if finite else None,
            margin=self.margins.get((measured.probe, measured.statistic)),
            n=four.units,
            units=four.kind,
            p_value=measured.p_value if finite else None,
            b_may_be_worse=True,
            reason=f"swaps of A and B within {four.kind}" if finite else "no spread, so there is no interval",
            outcome=Held.OPEN,
        )

    # --------------------------------------------------------------------------------------------------------- tasks

    def tasks(self) -> Iterator[Contrast]:
        """What either model lost more of the tasks that both were evaluated on."""
        probe = next((each for each in self.both[0].probes if "tasks" in each.needs), None)
        if probe is None:
            return
        a, b = (
            SeedModels(prepared.plan, Provenance(prepared.lineage)).tasks(side)
            for prepared, side in zip(self.both, self.sides, strict=True)
        )
        if a in _NOTHING and b in _NOTHING:
            return
        draws = self._draws(*(side.current.corpus.digest for side in self.sides), "tasks")
        found = lost_more(a, b, permutations=self.permutations, rng=draws)
        if isinstance(found, str):
            self.notes.append(f"no comparison by tasks: {found}")
            return
        for measured in found:
            yield self._of_task(measured, probe)

    def _of_task(self, measured: LostMore, probe: Probe) -> Contrast:
        gate = next(gate for gate in probe.gates if gate.statistic == measured.statistic)
        finite = math.isfinite(measured.low) and math.isfinite(measured.high)
        return Contrast(
            level="documents",
            probe=probe.name,
            statistic=f"{gate.statistic} ({measured.name})",
            seed=self.name,
            generation=self.sides[0].generation,
            unit=gate.unit,
            worse=gate.worse,
            scale="linear",
            a={self.name: measured.lost_a},
            b={self.name: measured.lost_b},
            difference=measured.difference,
            low=measured.low if finite else None,
            high=measured.high if finite else None,
            margin=self.margins.get((probe.name, gate.statistic)) if measured.bounded else None,
            n=measured.documents,
            units="documents of tasks",
            p_value=measured.p_value if finite else None,
            b_may_be_worse=True,
            reason="swaps of A and B within documents" if finite else "too few documents for an interval",
            outcome=Held.OPEN,
        )


_NOTHING: tuple[Evaluated | None, ...] = (None, (None, None))
"""Of a lineage on which no task was evaluated."""
