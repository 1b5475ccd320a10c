"""The comparisons of one seed: read once each, planned as one family of tests, and measured."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, TypeVar

from collapse_audit.calibration.bench import auto_margins
from collapse_audit.calibration.settled import Key
from collapse_audit.engines.engine import Engine
from collapse_audit.errors import UsageError
from collapse_audit.lineages.checks.provenance import Provenance
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.measured.concentration import asked_of
from collapse_audit.lineages.measured.lm_eval_results import read_results
from collapse_audit.lineages.measured.scores import scores_beside
from collapse_audit.lineages.model.lineage import GenerationEntry
from collapse_audit.probes.models.contexts import Asked, Contexts, not_asked
from collapse_audit.probes.models.model_facts import Fact
from collapse_audit.probes.models.task_results import Evaluated, TaskResults, not_evaluated
from collapse_audit.probes.packs.packed_pair import PackedPair, PackedSample
from collapse_audit.probes.pairs.copying import copied
from collapse_audit.probes.pairs.pair import NO_MODEL, Embed, Pair
from collapse_audit.probes.registry import follows_of
from collapse_audit.probes.statistics.design import Units
from collapse_audit.probes.statistics.readings import NotMeasured
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.sample import Sample, with_prompts_of
from collapse_audit.probes.text.tokens import Tokenizer
from collapse_audit.probes.trends.decoding import decoding_splits
from collapse_audit.probes.types import Probe
from collapse_audit.reports.document import UNIT_NOTE
from collapse_audit.run.judge import Measured, fails
from collapse_audit.run.measure import measured_by
from collapse_audit.run.not_carried import not_carried
from collapse_audit.run.one_scorer import under_one_scorer
from collapse_audit.run.plan import Comparison, Plan, Side, reference_side
from collapse_audit.run.reading import label_rule_of, read_side
from collapse_audit.run.second_look import finer, looked_at_again
from collapse_audit.settings.config import AuditConfig
from collapse_audit.settings.merged import GateSettings
from collapse_audit.verdicts.sequential import can_reject, check_room, permutations_for

T = TypeVar("T")
Progress = Callable[[str], None]
"""Called with a line of what is being done now, before it is done."""


class SeedAudit:
    """The comparisons of one seed: their samples, read once each, and the number of tests they make."""

    def __init__(
        self,
        comparisons: tuple[Comparison, ...],
        config: AuditConfig,
        cutter: Tokenizer,
        plan: Plan,
        provenance: Provenance,
        today: date,
        engine: Engine | None = None,
        embed: Embed | None = None,
    ) -> None:
        self.engine = engine
        self.embed = embed
        self.comparisons = comparisons
        self.today = today
        self.config = config
        self.cutter = cutter
        self.plan = plan
        self.provenance = provenance
        self.samples: dict[Corpus, Sample] = {}
        self.contexts: dict[GenerationEntry, Contexts | None] = {}
        self.results: dict[GenerationEntry, TaskResults | None] = {}
        self.rule: LabelRule | None = None
        self.settled: dict[tuple[Corpus, int, bool], Mapping[Key, GateSettings]] = {}
        self.notes: list[str] = []
        self.units: dict[str, None] = {}

    def measure(self, progress: Progress, stop_at_first: bool) -> tuple[list[Measured], int]:
        """Everything measured, and the size of the family of tests it was planned as."""
        for comparison in self.comparisons:
            for side in (comparison.baseline, comparison.current):
                self._read(side, progress)
            # What it was trained on is read only to find copies of it.
            if comparison.predecessor is not None and any("files" in probe.needs for probe in comparison.probes):
                self._read(comparison.predecessor, progress)
            if comparison.control is not None:
                self._read(comparison.control, progress)
        people = reference_side(self.plan.lineage)
        if people is not None and any(comparison.gating for comparison in self.comparisons):
            self._read(people, progress)  # the baseline is judged beside it
        self._share_prompts()
        self.samples, notes = under_one_scorer(self.samples, self._compared())
        self.notes.extend(notes)
        decisive = next((c for c in self.comparisons if c.gating), self.comparisons[0])
        self.rule = label_rule_of(self.config, self.plan, self.samples[decisive.baseline.corpus])
        self._check_labels()
        size = sum(self._tests(comparison) for comparison in self.comparisons if comparison.gating)
        first, second = self._permutations(size)
        measured: list[Measured] = []
        for comparison in self.comparisons:
            measured.extend(self._compare(comparison, first, progress))
            if stop_at_first and fails(measured, self.config, size, self.today):
                break
        if second > first:
            measured = looked_at_again(
                measured, lambda comparison: self._compare(comparison, second, progress), alpha=self.config.alpha
            )
        return measured, size

    def _permutations(self, size: int) -> tuple[int, int]:
        """How many permutations a family of ``size`` tests draws, and how many where the verdict hangs on them."""
        blocks, alpha = self._most_documents(), self.config.alpha
        check_room(self.config.permutations, blocks)
        first = max(self.config.permutations, 20 * size)
        needed = permutations_for(size, alpha, least=first, blocks=blocks)
        second = finer(needed, blocks)
        if not can_reject(size, alpha, needed):
            self.notes.append(
                f"no p-value can be significant: {size} findings at alpha = {alpha:.3g} need more than the "
                f"{needed:,} permutations that are drawn at most; audit fewer generations (--generation last), "
                "lower max_documents, or start a new history"
            )
        if first > self.config.permutations:
            self.notes.append(f"{first:,} permutations were drawn, as {size} gating findings need")
        if needed > first:
            share = f"as {size} gating findings need at alpha = {alpha:.3g}"
            self.notes.append(f"{second:,} permutations were drawn where the verdict hangs on them, {share}")
        return first, second

    def _check_labels(self) -> None:
        """Raises UsageError where labels are asked for by field and no record has one."""
        samples = self.samples.values()
        if self.config.labels == "field" and all(
            not isinstance(sample, PackedSample) and sample.label_field is None for sample in samples
        ):
            raise UsageError(
                'labels = "field": no record has a "label" or "labels"; name the field with --label FIELD, or find '
                "classes in the texts with --labels regex:PATTERN"
            )

    def _share_prompts(self) -> None:
        """Where only one side of a comparison names its prompts, the other side's texts may begin with them too."""
        for comparison in self.comparisons:
            corpora = comparison.baseline.corpus, comparison.current.corpus
            if isinstance(self.samples[corpora[0]], PackedSample):
                continue
            for corpus, other in (corpora, corpora[::-1]):
                before = self.samples[corpus]
                self.samples[corpus] = with_prompts_of(before, self.samples[other], self.cutter)
                self.notes.extend(f"{corpus.shown}: {note}" for note in self.samples[corpus].notes[len(before.notes) :])

    def _compared(self) -> set[Corpus]:
        return {side.corpus for comparison in self.comparisons for side in (comparison.baseline, comparison.current)}

    def _most_documents(self) -> int:
        """Of any comparison, both sides together; no comparison has more blocks."""
        sides = [(c.baseline.corpus, c.current.corpus) for c in self.comparisons]
        return max(2 * min(len(self.samples[before]), len(self.samples[other])) for before, other in sides)

    def _read(self, side: Side, progress: Progress) -> None:
        if side.corpus in self.samples:
            return
        progress(f"reading {side.corpus.shown}")
        lineage = self.plan.lineage
        seed = self.comparisons[0].seed
        scores, stale = scores_beside(lineage.root, side.corpus, seed) if lineage.folder else ([], [])
        self.notes.extend(stale)
        sample = read_side(side, self.config, self.cutter, scores, self.engine)
        if sample.n_read > len(sample):
            drawn = f"{len(sample):,} of {sample.n_read:,} documents"
            self.notes.append(f"{side.corpus.shown}: {drawn} were drawn at random (max_documents)")
        if isinstance(sample, PackedSample):
            size = sample.pack.sketch.size
            self.notes.append(f"{side.corpus.shown}: a reference pack, {len(sample):,} documents in blocks of {size}")
        self.notes.extend(f"{side.corpus.shown}: {note}" for note in sample.notes)
        self.samples[side.corpus] = sample

    def _tests(self, comparison: Comparison) -> int:
        """How many p-values the comparison will bring; facts without one are counted too, which is on the safe side."""
        return sum(len(probe.gates) for probe in comparison.probes if not self._missing(probe, comparison))

    def _missing(self, probe: Probe, comparison: Comparison) -> NotMeasured | None:
        """What input of the probe is not there. What only one side has is no absence: it leaves the finding open."""
        baseline, current = (self.samples[side.corpus] for side in (comparison.baseline, comparison.current))
        missing = not_carried(probe, baseline, current, self.rule)
        if missing is not None:
            return missing
        if "embeddings" in probe.needs and self.embed is None:
            return NotMeasured(reason=NO_MODEL)
        if "contexts" in probe.needs:
            return not_asked(self._contexts(comparison))
        if "tasks" in probe.needs:
            return not_evaluated(self._tasks(comparison))
        return None

    def _contexts(self, comparison: Comparison) -> Asked | None:
        """What both models expect at fixed contexts, read once each; None where the baseline is no earlier generation.

        Raises InputError where a file cannot be read, or is of another model than the generation's.
        """
        return self._of_both(comparison, self.contexts, lambda entry: asked_of(entry, self.plan.lineage.root))

    def _tasks(self, comparison: Comparison) -> Evaluated | None:
        """What lm-eval measured on both models, read once each; None where the baseline is no earlier generation."""
        return self._of_both(comparison, self.results, read_results)

    def _of_both(
        self, comparison: Comparison, kept: dict[GenerationEntry, T], read: Callable[[GenerationEntry], T]
    ) -> tuple[T, T] | None:
        """What ``read`` finds beside the baseline's generation and the one compared; None where either is none."""
        before, after = self.plan.writer(comparison, comparison.baseline.corpus), comparison.entry
        if before is None or after is None:
            return None
        for entry in (before, after):
            if entry not in kept:
                kept[entry] = read(entry)
        return kept[before], kept[after]

    def _compare(self, comparison: Comparison, permutations: int, progress: Progress) -> list[Measured]:
        baseline, current = (self.samples[side.corpus] for side in (comparison.baseline, comparison.current))
        kind: type[Pair] = PackedPair if isinstance(baseline, PackedSample) else Pair
        pair = kind(
            baseline=baseline,
            generation=current,
            permutations=permutations,
            seed=self.config.seed,
            label_rule=self.rule,
            trained_on_baseline=comparison.trained_on_baseline or self._from_training_texts(baseline),
            others=tuple(self._earlier(comparison)),
            training=self._training(comparison),
            same_bytes=comparison.same_bytes,
            facts=self._facts(comparison),
            contexts=self._contexts(comparison)
            if any("contexts" in each.needs for each in comparison.probes)
            else None,
            tasks=self._tasks(comparison) if any("tasks" in probe.needs for probe in comparison.probes) else None,
            evidence=self.config.evidence,
            unit=self.config.unit,
            embed=self.embed,
        )
        units = self._tell_unit(pair, comparison)
        if pair.inseparable is not None:
            self.notes.append(f"{comparison.name}: {pair.inseparable}")
        config = self._settle(comparison, progress)
        measured: list[Measured] = []
        for probe in comparison.probes:
            progress(f"{comparison.name}: {probe.name}")
            missing = self._missing(probe, comparison)
            measured += self._asked(probe, pair, missing, config, comparison=comparison, units=units)
        return [m for m in measured if current.numeric is None or not m.of_words]

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

    def _settle(self, comparison: Comparison, progress: Progress) -> AuditConfig:
        """The settings with every automatic margin settled on the baseline's own text, for this many documents."""
        wanted = self.config.automatic(comparison.probes)
        if not wanted:
            return self.config
        baseline, current = (self.samples[side.corpus] for side in (comparison.baseline, comparison.current))
        if isinstance(baseline, PackedSample):
            self.notes.append("margin = auto: a reference pack holds no texts to settle margins on; the defaults hold")
            return self.config
        key = (comparison.baseline.corpus, min(len(baseline), len(current)), comparison.trained_on_baseline)
        if key not in self.settled:
            progress(f"{comparison.name}: settling margins")
            self.settled[key] = auto_margins(
                baseline,
                key[1],
                [probe for probe in comparison.probes if any(name == probe.name for name, _ in wanted)],
                self.config,
                labels=self.rule,
                trained_on_baseline=key[2],
                false_alarms=self.config.alpha,
            )
        automatic = {name: gate for name, gate in self.settled[key].items() if name in wanted}
        return dataclasses.replace(self.config, gates={**self.config.gates, **automatic})

    def copies(self) -> list[dict[str, Any]]:
        """Of every generation that was compared: what of it stands in the texts it was trained on."""
        facts = []
        for comparison in self.comparisons:
            current = self.samples.get(comparison.current.corpus)
            training = None if comparison.predecessor is None else self.samples.get(comparison.predecessor.corpus)
            if current is not None and training is not None and current.numeric is None:
                about = {"seed": comparison.seed, "generation": comparison.generation, "training": training.name}
                facts.append(about | dataclasses.asdict(copied(current, training)))
        return facts

    def decoding(self, probes: Iterable[Probe]) -> list[dict[str, Any]]:
        """Of every generation with a control: what decoding did to what ``probes`` follow, and what training did."""
        follow = follows_of(probes)
        facts = []
        for comparison in self.comparisons:
            if comparison.control is None:
                continue
            sides = (comparison.baseline, comparison.control, comparison.current)
            splits = decoding_splits(
                *(self.samples[side.corpus] for side in sides),
                permutations=self.config.permutations,
                seed=self.config.seed,
                follow=follow,
                labels=self.rule,
                trained_on_baseline=comparison.trained_on_baseline,
                unit=self.config.unit,
            )
            about = {"seed": comparison.seed, "generation": comparison.generation}
            untold: dict[str, list[str]] = {}
            for split in splits:
                if isinstance(split, NotMeasured):
                    untold.setdefault(split.reason, []).append(split.statistic)
                else:
                    facts.append(about | split.as_dict())
            shown = comparison.control.corpus.shown
            self.notes.extend(
                f"{shown}: {', '.join(names)} not told apart into decoding and training ({why})"
                for why, names in untold.items()
            )
        return facts

    def _facts(self, comparison: Comparison) -> tuple[Fact, ...]:
        """Of the generation's model, and of generation 0's where that is the baseline: no gate looks at it itself."""
        if comparison.entry is None or not any("files" in probe.needs for probe in comparison.probes):
            return ()
        facts = self.provenance.facts(comparison.entry)
        for other in self.plan.lineage.of_seed(comparison.seed):
            own = [corpus for corpus in (other.texts, other.holdout) if corpus is not None]
            if other.index == 0 and other is not comparison.entry and comparison.baseline.corpus in own:
                facts += tuple(fact for fact in self.provenance.facts(other) if fact.ok is not True)
        self.notes.extend(fact.sentence for fact in facts if fact.noted)
        return facts

    def _from_training_texts(self, baseline: Sample) -> bool:
        """Whether the baseline is a pack of texts that models are trained on; of which models, a pack cannot tell."""
        return isinstance(baseline, PackedSample) and not (baseline.pack.held_out or self.plan.lineage.independent)

    def _training(self, comparison: Comparison) -> Sample | None:
        """What the generation was trained on, unless that is the very baseline, which holds all of its own words."""
        before = comparison.predecessor
        if before is None or before.corpus == comparison.baseline.corpus:
            return None
        return self.samples.get(before.corpus)

    def _earlier(self, comparison: Comparison) -> Iterable[Sample]:
        """Samples that the generation may be a copy of: its baseline, what it was trained on, generations before it."""
        sides = [comparison.baseline, *([comparison.predecessor] if comparison.predecessor else [])]
        sides += [other.current for other in self.comparisons if other.generation < comparison.generation]
        corpora = dict.fromkeys(side.corpus for side in sides if side.corpus != comparison.current.corpus)
        return (self.samples[corpus] for corpus in corpora if corpus in self.samples)
