"""The comparisons of one seed: planned as one family of tests, and measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from collapse_audit.engines.engine import Engine, Local
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
from collapse_audit.run.not_carried import no_embeddings, not_carried
from collapse_audit.run.plan import Comparison
from collapse_audit.run.question import Answer, Question, answered, asked, may_travel
from collapse_audit.run.second_look import draws_for, looked_at_again
from collapse_audit.run.seed_models import SeedModels
from collapse_audit.run.seed_texts import Progress, SeedTexts
from collapse_audit.run.settled_margins import SettledMargins
from collapse_audit.settings.config import AuditConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A comparison about to be measured: what is settled before anything is tested."""

    comparison: Comparison
    pair: Pair
    units: Units | None
    config: AuditConfig
    """With every automatic margin settled."""
    missing: Mapping[str, NotMeasured | None]
    """What input of a probe is not there, by the probe's name."""

    @property
    def question(self) -> Question:
        """What any process can answer."""
        probes = {p.name: self.missing[p.name] for p in self.comparison.probes if may_travel(p)}
        return Question(of=self.comparison.name, pair=self.pair, probes=probes)


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
        # A model of sentences stays here, and so do the comparisons that ask it.
        self.engine: Engine = Local() if texts.engine is None or embed is not None else texts.engine
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
        # One at a time where the first failure ends it: none is prepared, and noted, in vain.
        for together in [[each] for each in self.comparisons] if stop_at_first else [self.comparisons]:
            for found in self._compared(together, draws.first, progress):
                measured.extend(found)
            if stop_at_first and fails(measured, self.config, size, self.today):
                break
        if draws.second > draws.first:
            measured = looked_at_again(
                measured, lambda again: self._compared(again, draws.second, progress), alpha=self.config.alpha
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

    def _compared(
        self, comparisons: Iterable[Comparison], permutations: int, progress: Progress
    ) -> Iterator[list[Measured]]:
        """What is measured of each comparison, by whoever is free; one after the other, as they are asked for."""
        prepared: deque[_Prepared] = deque()

        def questions() -> Iterator[Question]:
            for comparison in comparisons:
                prepared.append(self._prepared(comparison, permutations, progress))
                yield prepared[-1].question

        for answers in self.engine.each(questions(), answered, progress, called=lambda question: question.of):
            yield self._measured(prepared.popleft(), answers, progress)

    def _prepared(self, comparison: Comparison, permutations: int, progress: Progress) -> _Prepared:
        """Raises UsageError where there is no unit as asked."""
        pair = self._pair(comparison, permutations)
        units = self._tell_unit(pair, comparison)
        if pair.inseparable is not None:
            self.notes.append(f"{comparison.name}: {pair.inseparable}")
        return _Prepared(
            comparison=comparison,
            pair=pair,
            units=units,
            config=self.margins.config(comparison, progress),
            missing={probe.name: self._missing(probe, comparison) for probe in comparison.probes},
        )

    def _measured(self, of: _Prepared, answers: Mapping[str, Answer], progress: Progress) -> list[Measured]:
        """What was answered; the user's own probes are asked here."""
        measured: list[Measured] = []
        for probe in of.comparison.probes:
            answer = answers.get(probe.name)
            if answer is None:
                progress(f"{of.comparison.name}: {probe.name}")
                answer = asked(probe, of.pair, of.missing[probe.name])
            about = {"comparison": of.comparison, "units": of.units, "permutations": of.pair.permutations}
            measured += self._of(probe, answer, of.config, **about)
        return [m for m in measured if of.pair.generation.numeric is None or not m.of_words]

    def _pair(self, comparison: Comparison, permutations: int) -> Pair:
        """The two samples, with everything that the comparison's probes ask for."""
        baseline, current = self.texts.compared(comparison)
        needs: set[Need] = {need for probe in comparison.probes for need in probe.needs}
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
            facts=self._facts(comparison) if "files" in needs else (),
            contexts=self.models.contexts(comparison) if "contexts" in needs else None,
            tasks=self.models.tasks(comparison) if "tasks" in needs else None,
            evidence=self.config.evidence,
            unit=self.config.unit,
            embed=self.embed,
            solved_at=self.config.solved_at,
        )

    @staticmethod
    def _of(probe: Probe, answer: Answer, config: AuditConfig, **about: Any) -> list[Measured]:
        """Every gate of a probe, as it was answered; ``about``: what the probe was asked of."""
        about |= {"probe": probe, "seconds": answer.seconds / len(probe.gates)}
        return [
            Measured(gate=config.gate(probe, gate), reading=reading, **about)
            for gate, reading in zip(probe.gates, answer.readings, strict=True)
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
