"""The texts of a seed's comparisons: read once each, made comparable, and the label rule that reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from collapse_audit.engines.engine import Engine
from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.measured.scores import scores_beside
from collapse_audit.probes.packs.packed_pair import PackedSample
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.sample import Sample, with_prompts_of
from collapse_audit.probes.text.tokens import Tokenizer
from collapse_audit.run.one_scorer import under_one_scorer
from collapse_audit.run.plan import Comparison, Plan, Side, reference_side
from collapse_audit.run.reading import label_rule_of, read_side
from collapse_audit.settings.config import AuditConfig

Progress = Callable[[str], None]
"""Called with a line of what is being done now, before it is done."""


class SeedTexts:
    """A sample of every corpus that the comparisons of one seed need."""

    def __init__(
        self,
        comparisons: tuple[Comparison, ...],
        config: AuditConfig,
        cutter: Tokenizer,
        plan: Plan,
        engine: Engine | None = None,
    ) -> None:
        self.comparisons = comparisons
        self.config = config
        self.cutter = cutter
        self.plan = plan
        self.engine = engine
        self.samples: dict[Corpus, Sample] = {}
        self.rule: LabelRule | None = None
        self.notes: list[str] = []

    def read_all(self, progress: Progress) -> None:
        """Read what is compared and what it is held against. Raises InputError, and UsageError where labels are not."""
        for comparison in self.comparisons:
            for side in (comparison.baseline, comparison.current):
                self.read(side, progress)
            # What it was trained on is read only to find copies of it.
            if comparison.predecessor is not None and any("files" in probe.needs for probe in comparison.probes):
                self.read(comparison.predecessor, progress)
            if comparison.control is not None:
                self.read(comparison.control, progress)
        people = reference_side(self.plan.lineage)
        if people is not None and any(comparison.gating for comparison in self.comparisons):
            self.read(people, progress)  # the baseline is judged beside it
        self._share_prompts()
        self.samples, notes = under_one_scorer(self.samples, self._compared())
        self.notes.extend(notes)
        decisive = next((c for c in self.comparisons if c.gating), self.comparisons[0])
        self.rule = label_rule_of(self.config, self.plan, self.samples[decisive.baseline.corpus])
        self._check_labels()

    def read(self, side: Side, progress: Progress) -> Sample:
        """The sample of one side, read where it was not before."""
        if side.corpus in self.samples:
            return self.samples[side.corpus]
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
        return sample

    def compared(self, comparison: Comparison) -> tuple[Sample, Sample]:
        """The baseline and the generation."""
        return self.samples[comparison.baseline.corpus], self.samples[comparison.current.corpus]

    def training(self, comparison: Comparison) -> Sample | None:
        """What the generation was trained on, unless that is the very baseline, which holds all of its own words."""
        before = comparison.predecessor
        if before is None or before.corpus == comparison.baseline.corpus:
            return None
        return self.samples.get(before.corpus)

    def earlier(self, comparison: Comparison) -> Iterable[Sample]:
        """Samples that the generation may be a copy of: its baseline, what it was trained on, generations before it."""
        sides = [comparison.baseline, *([comparison.predecessor] if comparison.predecessor else [])]
        sides += [other.current for other in self.comparisons if other.generation < comparison.generation]
        corpora = dict.fromkeys(side.corpus for side in sides if side.corpus != comparison.current.corpus)
        return (self.samples[corpus] for corpus in corpora if corpus in self.samples)

    @property
    def most_documents(self) -> int:
        """Of any comparison, both sides together; no comparison has more blocks."""
        sides = map(self.compared, self.comparisons)
        return max(2 * min(len(before), len(after)) for before, after in sides)

    def _compared(self) -> set[Corpus]:
        return {side.corpus for comparison in self.comparisons for side in (comparison.baseline, comparison.current)}

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
