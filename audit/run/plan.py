"""What will be compared with what: a pure function of the lineage, the settings and the selection."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.corpora.named import is_pattern
from collapse_audit.lineages.files.problems import printable
from collapse_audit.lineages.files.urls import is_url
from collapse_audit.lineages.model.ancestry import trained_on
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.probes.types import Probe
from collapse_audit.settings.config import AuditConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One corpus and what the report calls it."""

    name: str
    corpus: Corpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One generation against its baseline, and the probes that look at the two."""

    seed: str | None
    generation: int
    current: Side
    baseline: Side
    gating: bool
    """False for generation 0 against the reference: context, outside the verdict."""
    trained_on_baseline: bool
    """Whether the generation descends from a model trained on these baseline texts."""
    probes: tuple[Probe, ...]
    control: Side | None = None
    """What the baseline's author, generation 0, wrote under this generation's decoding."""
    predecessor: Side | None = None
    """The texts that the generation was trained on, where they are its predecessor's (or the reference)."""
    entry: GenerationEntry | None = None
    """What the lineage says of the generation besides its texts."""
    same_bytes: tuple[str, ...] = ()
    """Earlier corpora whose files equal one of the generation's own byte for byte."""

    @property
    def name(self) -> str:
        """As pytest and ``-k`` call it."""
        return _slug(self.seed, self.generation)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSources:
    """What training data are held against, as far as the user named it."""

    reference: Side | None = None
    evaluation: Side | None = None
    labelled: Side | None = None
    phrases: tuple[str, ...] = ()
    """Phrases that give a chat model away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All comparisons of an audit, ordered by seed and generation."""

    lineage: Lineage
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    text: str = "text"
    """What was taken as the text of the records, in words."""
    data: DataSources | None = None
    """Where it is an audit of training data: what these stand beside."""

    def writer(self, comparison: Comparison, corpus: Corpus) -> GenerationEntry | None:
        """The generation of the comparison's seed that wrote ``corpus``; None where none did."""
        entries = self.lineage.of_seed(comparison.seed)
        return next((entry for entry in entries if corpus in (entry.texts, entry.holdout)), None)

    def of_seed(self, seed: str | None) -> tuple[Comparison, ...]:
        """The comparisons of one seed: one family of tests."""
        return tuple(comparison for comparison in self.comparisons if comparison.seed == seed)


def plan(
    lineage: Lineage,
    config: AuditConfig,
    probes: tuple[Probe, ...],
    *,
    generations: str | None = None,
    keep: Callable[[str], bool] = lambda _: True,
    baseline_corpus: Corpus | None = None,
) -> Plan:
    """Lay out the audit. ``generations`` is ``3``, ``1-4`` or ``last``; ``keep`` decides by "probe code generation".

    ``baseline_corpus`` is the opened corpus where ``config.baseline`` is a path. Where no baseline is to be had for a
    generation it is left out, and a note says why. Raises UsageError where there is none for any.
    """
    if baseline_corpus is None:
        _require_baseline(lineage, config)
    probes = tuple(probe for probe in probes if probe.name not in config.disabled)
    _check_range(lineage, generations)
    comparisons, notes = [], []
    for seed in lineage.seeds:
        entries = lineage.of_seed(seed)
        chosen = selected(entries, generations)
        for entry in entries:
            if entry.index not in chosen:
                continue
            kept = tuple(p for p in probes if keep(_described(p, seed, entry.index)))
            compared_with = _baseline(lineage, config, entry, entries, baseline_corpus)
            if compared_with is not None and compared_with[0].corpus.path in _own_files(entry):
                notes.append(f"generation {entry.index} is the baseline and is not compared with itself")
            elif compared_with is None:
                if entry.index > 0 or generations is not None:
                    of_seed = "" if seed is None else f" of seed {seed}"
                    notes.append(f"generation {entry.index}{of_seed} has no baseline to be compared with")
            elif kept:
                baseline, gating, trained_on = compared_with
                comparisons.append(
                    Comparison(
                        seed=seed,
                        generation=entry.index,
                        current=_side(entry),
                        baseline=baseline,
                        gating=gating,
                        trained_on_baseline=trained_on,
                        probes=kept,
                        control=_control(entry, entries, baseline),
                        predecessor=_predecessor(lineage, entry, entries),
                        entry=entry,
                        same_bytes=_same_bytes(lineage, entry),
                    )
                )
    return Plan(lineage=lineage, comparisons=tuple(comparisons), notes=tuple(dict.fromkeys(notes)))


def fits(probe: Probe, numbers: bool) -> bool:
    """Whether ``probe`` has anything to say of records that hold numbers (else texts): what looks at files does, of
    both."""
    return ("numeric" in probe.needs) is numbers or probe.needs == {"files"}


def fitting(plan: Plan, *, numbers: bool, asked_for: frozenset[str]) -> Plan:
    """The plan without probes that have nothing to say of its records, unless the user named them."""
    comparisons = (
        replace(each, probes=tuple(p for p in each.probes if fits(p, numbers) or named(p, asked_for)))
        for each in plan.comparisons
    )
    return replace(plan, comparisons=tuple(each for each in comparisons if each.probes))


def named(probe: Probe, asked_for: frozenset[str]) -> bool:
    """Whether the user asked for it by its name or its code."""
    return not asked_for.isdisjoint({probe.name.lower(), probe.code.lower()})


def described(lineage: Lineage, probes: tuple[Probe, ...]) -> tuple[str, ...]:
    """Everything that ``-k`` looks into, of every probe on every generation."""
    return tuple(_described(probe, entry.seed, entry.index) for entry in lineage.generations for probe in probes)


def _described(probe: Probe, seed: str | None, index: int) -> str:
    """What ``-k`` looks into."""
    statistics = " ".join(gate.statistic for gate in probe.gates)
    return f"{probe.name} {probe.code} {statistics} {_slug(seed, index)}"


def _own_files(entry: GenerationEntry) -> set[Path]:
    return {corpus.path for corpus in (entry.texts, entry.holdout) if corpus is not None}


def _control(entry: GenerationEntry, entries: tuple[GenerationEntry, ...], baseline: Side) -> Side | None:
    """Where it is at hand, and generation 0 is the baseline."""
    first = next((other for other in entries if other.index == 0), None)
    if entry.control is None or first is None or baseline.corpus.path not in _own_files(first):
        return None
    return Side(name=f"generation 0 (decoded as generation {entry.index})", corpus=entry.control)


def _predecessor(lineage: Lineage, entry: GenerationEntry, entries: tuple[GenerationEntry, ...]) -> Side | None:
    """The texts that a chain trains ``entry`` on."""
    before = [other for other in entries if other.index < entry.index]
    if before:
        return Side(name=_named(before[-1], "texts"), corpus=before[-1].texts)
    return None if lineage.reference is None else Side(name="reference", corpus=lineage.reference)


def _same_bytes(lineage: Lineage, entry: GenerationEntry) -> tuple[str, ...]:
    """Corpora of the reference, of earlier generations, and of the same or earlier ones of earlier seeds, whose files
    equal one of the entry's own."""
    own = {corpus.digest for corpus in (entry.texts, entry.holdout) if corpus is not None}
    turn = {seed: number for number, seed in enumerate(lineage.seeds)}
    earlier = [lineage.reference, lineage.reference_holdout]
    for other in lineage.generations:
        before = other.seed == entry.seed and other.index < entry.index
        if before or turn[other.seed] < turn[entry.seed]:
            earlier += [other.texts, other.holdout]
    return tuple(corpus.shown for corpus in earlier if corpus is not None and corpus.digest in own)


def _slug(seed: str | None, index: int) -> str:
    return f"generation-{index}" if seed is None else f"seed-{seed}-generation-{index}"


def id_part(name: str) -> str:
    """A name as a part of ids such as ``lineage::generation-1::probe``: printable, without what ids are built with."""
    return re.sub(r"[:\[\]]", "_", printable(name))


def _require_baseline(lineage: Lineage, config: AuditConfig) -> None:
    """Refuse a baseline that the lineage does not have."""
    if reference_side(lineage) is not None or config.baseline == "previous":
        return
    missing = ""
    if config.baseline == "reference":
        missing = "the lineage has no reference"
    elif all(entry.index > 0 for entry in lineage.generations):
        missing = "the lineage has neither a generation 0 nor a reference"
        if lineage.folder and len({entry.index for entry in lineage.generations}) > 1:
            first = lineage.generations[0]
            missing += f" (its first is {first.index}: --generations takes any files in their order)"
    if missing:
        raise UsageError(f"baseline = {config.baseline!r}: {missing}; allowed here: previous, or a corpus file")


def _baseline(
    lineage: Lineage,
    config: AuditConfig,
    entry: GenerationEntry,
    entries: tuple[GenerationEntry, ...],
    corpus: Corpus | None,
) -> tuple[Side, bool, bool] | None:
    """The baseline of ``entry``, whether it gates, and whether ``entry`` descends from it."""
    if corpus is not None:
        return Side(name=corpus.shown, corpus=corpus), True, _descends(lineage, entry, corpus)
    earlier = [other for other in entries if other.index < entry.index]
    if config.baseline == "previous" and earlier:
        return _against(lineage, entry, _side(earlier[-1]), gating=True)
    if config.baseline == "generation-0" and earlier and earlier[0].index == 0:
        return _against(lineage, entry, _side(earlier[0]), gating=True)
    reference = reference_side(lineage)
    if reference is None:
        return None
    # Generation 0 against people's text is context, unless people's text is what the user wants to be compared with.
    context = entry.index == 0 and config.baseline != "reference"
    return _against(lineage, entry, reference, gating=not context)


def _against(lineage: Lineage, entry: GenerationEntry, side: Side, *, gating: bool) -> tuple[Side, bool, bool]:
    return side, gating, _descends(lineage, entry, side.corpus)


def _descends(lineage: Lineage, entry: GenerationEntry, corpus: Corpus) -> bool:
    """Trained on that corpus, by name, or on a file with the same bytes (a "held-out" copy of the training texts)."""
    if lineage.independent:
        return False
    same = [c for c in _corpora(lineage) if c.digest == corpus.digest and c.split == corpus.split]
    return any(trained_on(lineage, entry, c) for c in (corpus, *same))


def _corpora(lineage: Lineage) -> list[Corpus]:
    corpora = [lineage.reference, lineage.reference_holdout]
    for entry in lineage.generations:
        corpora += [entry.texts, entry.holdout]
    return [corpus for corpus in corpora if corpus is not None]


def _side(entry: GenerationEntry) -> Side:
    if entry.holdout is not None:
        return Side(name=_named(entry, "held-out"), corpus=entry.holdout)
    return Side(name=_named(entry, "texts"), corpus=entry.texts)


def _named(entry: GenerationEntry, part: str) -> str:
    return f"generation {entry.index} ({part})"


def reference_side(lineage: Lineage) -> Side | None:
    """People's text: the part that nothing is trained on, where there is one."""
    if lineage.reference_holdout is not None:
        return Side(name="reference (held-out)", corpus=lineage.reference_holdout)
    if lineage.reference is not None:
        return Side(name="reference", corpus=lineage.reference)
    return None


def selected(entries: tuple[GenerationEntry, ...], expression: str | None) -> set[int]:
    """The numbers of the generations that ``3``, ``1-4``, ``last`` or None (all) chooses. Raises UsageError."""
    indices = {entry.index for entry in entries}
    if expression is None:
        return indices
    if expression == "last":
        return {max(indices)}
    match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", expression)
    if match is None:
        raise UsageError(f"--generation {expression!r}: expected a number, a range such as 1-4, or last")
    first, last = int(match[1]), int(match[2] or match[1])
    chosen = {index for index in indices if first <= index <= last}
    if not chosen:
        have = ", ".join(str(index) for index in sorted(indices))
        raise UsageError(f"--generation {expression}: the lineage has no such generation; it has {have}")
    return chosen


def _check_range(lineage: Lineage, expression: str | None) -> None:
    """Raises UsageError where ``1-9`` reaches beyond the generations of all seeds."""
    match = re.fullmatch(r"(\d{1,18})-(\d{1,18})", expression or "")
    indices = sorted({entry.index for entry in lineage.generations})
    if match is None or not indices:
        return
    first, last = int(match[1]), int(match[2])
    lacking = last if last > indices[-1] else first if first < indices[0] else None
    if lacking is not None and first <= last:
        have = ", ".join(map(str, indices))
        raise UsageError(f"--generation {expression}: the lineage has no generation {lacking}; it has {have}")


def baseline_path(config: AuditConfig) -> str | None:
    """The corpus (a path, a pattern or a URL) that ``config.baseline`` names, if it is none of the three words."""
    name = config.baseline
    if name in ("generation-0", "reference", "previous"):
        return None
    if not (is_url(name) or is_pattern(name) or Path(name).exists()):
        raise UsageError(
            f"baseline = {name!r}: not a file; allowed: generation-0, reference, previous, or a corpus file"
        )
    return name
