"""The comparisons of one seed: planned as one family of tests, and measured."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from collapse_audit.probes.models.contexts import not_asked
from collapse_audit.probes.models.model_facts import Fact
from collapse_audit.probes.models.task_results import not_evaluated
from collapse_audit.probes.packs.packed_pair import PackedPair, PackedSample
from collapse_audit.probes.pairs.pair import Embed, Pair
from collapse_audit.probes.statistics.design import Units
from collapse_audit.probes.statistics.readings import NotMeasured
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.types import Need, Probe
from collapse_audit.reports.document import UNIT_NOTE
from collapse_audit.run.judge import Measured, fails
from collapse_audit.run.measure import measured_by
from collapse_audit.run.not_carried import no_embeddings, not_carried
from collapse_audit.run.plan import Comparison
from collapse_audit.run.second_look import draws_for, looked_at_again
from collapse_audit.run.seed_models import SeedModels
from collapse_audit.run.seed_texts import Progress, SeedTexts
from collapse_audit.run.settled_margins import SettledMargins
from collapse_audit.settings.config import AuditConfig


class SeedAudit:
    """The comparisons of one seed, and the number of tests they make."""

    def __init__(
        self,
        texts: SeedTexts,
        models: SeedModels,
        today: date,
        embed: Embed | None = None,
    ) -> None:
        self.comparisons = texts.comparisons
        self.texts = texts
        self.models = models
        self.margins = SettledMargins(texts)
        self.config = texts.config
        self.today = today
        self.embed = embed
        self.notes = texts.notes
        """Of the whole seed, in the order in which they were made."""
        self.units: dict[str, None] = {}

    def measure(self, progress: Progress, stop_at_first: bool) -> tuple[list[Measured], int]:
        """Everything measured, and the size of the family of tests it was planned as."""
        self.texts.read_all(progress)
        size = sum(self._tests(comparison) for comparison in self.comparisons if comparison.gating)
        draws = draws_for(size, self.config, self.texts.most_documents)
        self.notes.extend(draws.notes)
        measured: list[Measured] = []
        for comparison in self.comparisons:
            measured.extend(self._compare(comparison, draws.first, progress))
            if stop_at_first and fails(measured, self.config, size, self.today):
                break
        if draws.second > draws.first:
            measured = looked_at_again(
                measured, lambda comparison: self._compare(comparison, draws.second, progress), alpha=self.config.alpha
            )
        return measured, size

    def _tests(self, comparison: Comparison) -> int:
        """How many p-values the comparison will bring; facts without one are counted too, which is on the safe side."""
        meant = self.embed is not None or no_embeddings(*self.texts.compared(comparison)) is None
        return sum(
            sum(meant or not gate.embeddings for gate in probe.gates)
            for probe in comparison.probes
            if not self._missing(probe, comparison)
        )

    def _missing(self, probe: Probe, comparison: Comparison) -> NotMeasured | None:
        """What input of the probe is not there. What only one side has is no absence: it leaves the finding open."""
        samples = self.texts.compared(comparison)
        missing = not_carried(probe, *samples, self.texts.rule)
        if missing is not None:
            return missing
        if "embeddings" in probe.needs and self.embed is None:
            return no_embeddings(*samples)
        if "contexts" in probe.needs:
            return not_asked(self.models.contexts(comparison))
        if "tasks" in probe.needs:
            return not_evaluated(self.models.tasks(comparison))
        return None

    def _compare(self, comparison: Comparison, permutations: int, progress: Progress) -> list[Measured]:
        pair = self._pair(comparison, permutations)
        units = self._tell_unit(pair, comparison)
        if pair.inseparable is not None:
            self.notes.append(f"{comparison.name}: {pair.inseparable}")
        config = self.margins.config(comparison, progress)
        measured: list[Measured] = []
        for probe in comparison.probes:
            progress(f"{comparison.name}: {probe.name}")
            missing = self._missing(probe, comparison)
            measured += self._asked(probe, pair, missing, config, comparison=comparison, units=units)
        return [m for m in measured if pair.generation.numeric is None or not m.of_words]

    def _pair(self, comparison: Comparison, permutations: int) -> Pair:
        """The two samples, with everything that the comparison's probes ask for."""
        baseline, current = self.texts.compared(comparison)
        asked: set[Need] = {need for probe in comparison.probes for need in probe.needs}
        kind: type[Pair] = PackedPair if isinstance(baseline, PackedSample) else Pair
        return kind(
            baseline=baseline,
            generation=current,
            permutations=permutations,
            seed=self.config.seed,
            label_rule=self.texts.rule,
            trained_on_baseline=comparison.trained_on_baseline or self._from_training_texts(baseline),
            others=tuple(self.texts.earlier(comparison)),
            training=self.texts.training(comparison),
            same_bytes=comparison.same_bytes,
            facts=self._facts(comparison) if "files" in asked else (),
            contexts=self.models.contexts(comparison) if "contexts" in asked else None,
            tasks=self.models.tasks(comparison) if "tasks" in asked else None,
            evidence=self.config.evidence,
            unit=self.config.unit,
            embed=self.embed,
            solved_at=self.config.solved_at,
        )

    @staticmethod
    def _asked(
        probe: Probe, pair: Pair, missing: NotMeasured | None, config: AuditConfig, **about: Any
    ) -> list[Measured]:
        """Every gate of a probe on a pair, with the time that it took; ``about``: what it was asked of."""
        start = time.perf_counter()
        readings = measured_by(probe.beside_pack() if isinstance(pair, PackedPair) else probe, pair, missing)
        seconds = (time.perf_counter() - start) / len(probe.gates)
        about |= {"probe": probe, "seconds": seconds, "permutations": pair.permutations}
        return [
            Measured(gate=config.gate(probe, gate), reading=reading, **about)
            for gate, reading in zip(probe.gates, readings, strict=True)
        ]

    def _tell_unit(self, pair: Pair, comparison: Comparison) -> Units | None:
        """Choose the unit before anything is tested, and say it. Raises UsageError where there is none as asked."""
        blocks = pair.blocks if isinstance(pair, PackedPair) else pair.design
        self.units[blocks.described] = None
        units = blocks.dependent
        if pair.units.why is not None:
            about = UNIT_NOTE if units is not None and units.inferred else ""
            self.notes.append(f"{about}{comparison.current.corpus.shown}: {pair.units.why}")
        return units

    def _facts(self, comparison: Comparison) -> tuple[Fact, ...]:
        facts = self.models.facts(comparison)
        self.notes.extend(fact.sentence for fact in facts if fact.noted)
        return facts

    def _from_training_texts(self, baseline: Sample) -> bool:
        """Whether the baseline is a pack of texts that models are trained on; of which models, a pack cannot tell."""
        return isinstance(baseline, PackedSample) and not (
            baseline.pack.held_out or self.texts.plan.lineage.independent
        )
