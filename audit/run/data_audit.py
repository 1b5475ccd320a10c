"""Training data read, and asked what is asked of data: measured here, and judged where everything is judged."""

from __future__ import annotations

import dataclasses

from collapse_audit.probes.pairs.training_data import NO_TEXTS, TrainingData
from collapse_audit.probes.registry import DATA
from collapse_audit.probes.statistics.readings import NotMeasured
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.types import Need, Probe
from collapse_audit.run.judge import Measured
from collapse_audit.run.plan import Comparison, DataSources, Side
from collapse_audit.run.question import asked
from collapse_audit.run.seed_audit import SeedAudit
from collapse_audit.run.seed_texts import Progress

_MISSING: dict[Need, str] = {
    "reference": "there is no reference (--reference FILE: text that people wrote)",
    "evaluation": "there is no evaluation set (--evaluation FILE)",
    "labelled": "there is no labelled sample (--labelled FILE: texts whose label is human or machine)",
}


class DataAudit(SeedAudit):
    """The one comparison of training data, as the comparisons of a seed are: one family of tests."""

    def measure(self, progress: Progress, stop_at_first: bool) -> tuple[list[Measured], int]:  # noqa: ARG002
        """Everything measured, and the size of the family of tests it was planned as."""
        (comparison,), beside = self.comparisons, self._beside
        size = sum(len(probe.gates) for probe in comparison.probes if self._not_there(probe) is None)
        permutations = max(self.config.permutations, 20 * size)
        data = TrainingData(
            baseline=NO_TEXTS if beside.reference is None else self._sample(beside.reference, progress),
            generation=self._sample(comparison.current, progress),
            permutations=permutations,
            seed=self.config.seed,
            evidence=self.config.evidence,
            unit=self.config.unit,
            evaluation=None if beside.evaluation is None else self._sample(beside.evaluation, progress),
            labelled=None if beside.labelled is None else self._sample(beside.labelled, progress),
            phrases=beside.phrases,
        )
        if beside.reference is not None:
            self._tell_unit(data, comparison)
        if self.config.automatic(comparison.probes):
            self.notes.append("margin = auto: no text settles a margin of training data; the defaults hold")
        measured = [found for probe in comparison.probes for found in self._ask(probe, data, comparison, progress)]
        return measured, size

    @property
    def _beside(self) -> DataSources:
        assert self.texts.plan.data is not None, "a plan of training data says what they stand beside"
        return self.texts.plan.data

    def _sample(self, side: Side, progress: Progress) -> Sample:
        return self.texts.read(side, progress)

    def _ask(self, probe: Probe, data: TrainingData, comparison: Comparison, progress: Progress) -> list[Measured]:
        progress(f"the data: {probe.name}")
        for need in ("evaluation", "labelled"):
            beside = getattr(self._beside, need) if need in probe.needs else None
            comparison = comparison if beside is None else dataclasses.replace(comparison, baseline=beside)
        answer = asked(probe, data, self._not_there(probe))
        return self._of(probe, answer, self.config, comparison=comparison, permutations=data.permutations)

    def _not_there(self, probe: Probe) -> NotMeasured | None:
        """What the probe needs that the user has not named. A probe of the user's own compares a pair."""
        for need, why in _MISSING.items():
            wanted = need in probe.needs or (need == "reference" and probe not in DATA)
            if wanted and getattr(self._beside, need) is None:
                return NotMeasured(reason=why)
        return None
