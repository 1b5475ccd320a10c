"""What a text can tell at its n: null pairs made of a baseline's own documents, damage planted in one half, margins.

A trial splits the baseline at random into two halves without replacement and measures them as an audit would. Nothing
is planted (``null``), or damage of a stated strength in one half. Everything is a function of the seed, the scenario
and the number of the trial, so trials may run in any order and in any process.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collapse_audit.calibration import planted_numbers
from collapse_audit.calibration.rows import taken
from collapse_audit.calibration.settled import Key, Trial, rounded, settled, unchanged, usable
from collapse_audit.calibration.two_samples import numbers_of, trial
from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation import damage
from collapse_audit.lineages.simulation.chain import WordChain
from collapse_audit.lineages.simulation.wright_fisher import wright_fisher
from collapse_audit.probes.pairs.units import in_runs
from collapse_audit.probes.statistics.design import MIN_UNITS
from collapse_audit.probes.statistics.readings import Estimate, Gate, Reading
from collapse_audit.probes.statistics.survival import Survival
from collapse_audit.probes.text.folding import visible
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import Tokenizer, tokenizer
from collapse_audit.probes.types import Probe
from collapse_audit.settings.config import AuditConfig
from collapse_audit.settings.merged import GateSettings

IntArray = npt.NDArray[np.int64]

NULL, NULL_HALF = "null", "null-half"
_AUTO_PERMUTATIONS = 99
_AUTO_DOCUMENTS = 4_000
_AUTO_SPLITS = (2, 8)
"""Fewest and most null pairs behind an automatic margin; in between, as many as hold _AUTO_DOCUMENTS together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strengths:
    """How much damage is planted."""

    gamma: float = 1.2
    """Word probabilities to this power."""
    top_p: float = 0.9
    drift: float = 0.5
    """Documents that the model of a Wright-Fisher generation has seen, as a share of n."""
    loops: float = 0.1
    duplicates: float = 0.2
    shift: float = 0.2
    """Added to every nll, nats per token."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A baseline and everything else that trials on it depend on."""

    baseline: Sample
    n: int
    """Documents a side; at most half of the baseline's."""
    probes: tuple[Probe, ...]
    config: AuditConfig
    """Only ``permutations``, ``seed``, ``tokens`` and ``unit`` count: margins come in when trials are judged."""
    rule: LabelRule | None = None
    trained_on_baseline: bool = False
    strengths: Strengths = Strengths()

    @cached_property
    def scenarios(self) -> dict[str, str]:
        """What can be planted in this text: name to what it says in words. Nothing planted comes first."""
        how = self.strengths
        words = {NULL: "nothing planted", NULL_HALF: f"nothing planted, {self.n // 2:,} documents a side"}
        if self.baseline.numeric is not None:
            return words | planted_numbers.described(how.gamma, how.top_p, round(how.drift * self.n))
        words |= {
            "sharpen-words": f"words drawn from p^{how.gamma:g}",
            "sharpen-pairs": f"words after words drawn from p^{how.gamma:g}",
            "top-p": f"words drawn from the most probable {how.top_p:.0%}",
            "wright-fisher": f"words resampled from {round(how.drift * self.n):,} documents",
            "loop": f"{how.loops:.0%} of texts loop",
            "duplicate": f"{how.duplicates:.0%} of texts are copies",
        }
        if self.lost_label is not None:
            words["label-loss"] = f"a label of {self._carried(self.lost_label).mean():.2%} of texts is lost"
        if self.baseline.nll is not None:
            words["perplexity-shift"] = f"nll moved by {how.shift:+g} nats per token"
        if not self.baseline.tokens.ids.size:
            words = {name: text for name, text in words.items() if name not in _DRAWN}
        return words

    @cached_property
    def lost_label(self) -> str | None:
        """The rarest category whose complete loss could be told at this n; None where there is none."""
        if self.rule is None:
            return None
        labels, share = self.baseline.labels(self.rule), self.n / len(self.baseline)
        counts = {name: self._carried(name).sum() for name in labels.categories if name in labels.names}
        family = max(len(counts), 1) * sum(len(probe.gates) for probe in self.probes)
        for name, count in sorted(counts.items(), key=lambda item: (item[1], item[0])):
            seen = int(count * share)
            if seen == 0 or 4 * count > len(self.baseline):
                continue
            gone = Survival(label=name, baseline=seen, generation=0, n_baseline=self.n, n_generation=self.n)
            if gone.status in ("lost", "depleted") and gone.p_value * family <= self.config.alpha:
                return name
        return None

    def run(self, scenario: str, index: int) -> Trial:
        """Trial number ``index`` of ``scenario``: made and measured."""
        number = int.from_bytes(hashlib.sha256(scenario.encode()).digest()[:4])
        rng = np.random.default_rng([self.config.seed, number, index])
        baseline, generation = _MAKERS[scenario](self, rng)
        drawn = scenario in _DRAWN
        result = trial(
            baseline,
            generation,
            probes=self.probes,
            config=dataclasses.replace(self.config, gates={}),
            labels=self.rule if drawn or self.rule is None else dataclasses.replace(self.rule, extract=None),
            trained_on_baseline=self.trained_on_baseline,
        )
        readings = {key: reading for key, (reading, _) in result.items() if _counts(reading)}
        # Only what judging needs, and the very numbers that a file would keep.
        return Trial.from_json(Trial(scenario=scenario, index=index, readings=readings).to_json())

    @cached_property
    def parted(self) -> Sample:
        """The baseline; where its records depend on their neighbours, with runs of them as groups, which stay whole."""
        return in_runs(self.baseline, self.config.seed) if self.config.unit in ("auto", "run") else self.baseline

    @cached_property
    def documents(self) -> Sample:
        """The baseline with its labels in the records' field, so that no half has to look for them again."""
        if self.rule is None:
            return dataclasses.replace(self.parted, label_field=None)
        labels = self.baseline.labels(self.rule)
        names = np.array(labels.names, dtype=object)
        rows = [list(names[row]) for row in np.split(labels.carried.indices, labels.carried.indptr[1:-1])]
        return dataclasses.replace(self.parted, label_field=pa.array(rows, pa.list_(pa.string())))

    def halves(self, n: int, rng: np.random.Generator) -> tuple[Sample, Sample]:
        """Two disjoint random samples of ``n`` documents each (groups whole, so about ``n``)."""
        first, second, _ = split(self.parted, n, rng)
        return taken(self.documents, first), taken(self.documents, second)

    def chain(self, order: int) -> WordChain:
        """A model of the whole baseline's words."""
        if order not in self._chains:
            self._chains[order] = WordChain.fit(self.baseline.texts.to_pylist(), order=order)
        return self._chains[order]

    @cached_property
    def _chains(self) -> dict[int, WordChain]:
        return {}

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return tokenizer(self.config.tokens)

    def _carried(self, label: str) -> npt.NDArray[np.bool_]:
        assert self.rule is not None
        return self.baseline.labels(self.rule).column(label)

    def written(self, texts: Sequence[str], like: Sample | None = None) -> Sample:
        """``texts`` as a sample; keys and labels, where texts replace those of another sample, are that one's."""
        digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
        array = pa.array(texts, pa.large_string())
        return Sample(
            name="planted",
            digest=digest,
            n_read=len(texts),
            texts=array,
            tokens=self._tokenizer(visible(array)),
            label_field=None if like is None else like.label_field,
            prompts=None if like is None else like.prompts,
            groups=None if like is None else like.groups,
            nll=None,
        )

    def _drawn(self, control: WordChain, harmed: WordChain, rng: np.random.Generator) -> tuple[Sample, Sample]:
        """Both sides written by a model, because a model's text differs from human text whatever is done to it."""
        return self.written(control.sample(self.n, rng)), self.written(harmed.sample(self.n, rng))

    def _sharpened(self, order: int, rng: np.random.Generator) -> tuple[Sample, Sample]:
        plain = self.chain(order)
        return self._drawn(plain, plain.sharpened(self.strengths.gamma), rng)

    def _cut(self, rng: np.random.Generator) -> tuple[Sample, Sample]:
        return self._drawn(self.chain(1), self.chain(1).truncated(self.strengths.top_p), rng)

    def _drifted(self, rng: np.random.Generator) -> tuple[Sample, Sample]:
        """The generation's model knows the words of one finite sample of the baseline's model, and their shares."""
        plain = self.chain(1)
        seen = max(1, round(self.strengths.drift * self.n * plain.lengths.mean()))
        shares = wright_fisher(plain.probability, seen, 0, rng)[0] / seen
        return self._drawn(plain, dataclasses.replace(plain, probability=shares), rng)

    def _looped(self, rng: np.random.Generator) -> tuple[Sample, Sample]:
        baseline, other = self.halves(self.n, rng)
        texts = damage.loop(other.texts.to_pylist(), self.strengths.loops, rng)
        return dataclasses.replace(baseline, nll=None), self.written(texts, like=other)

    def _copied(self, rng: np.random.Generator) -> tuple[Sample, Sample]:
        first, second, _ = split(self.parted, self.n, rng)
        places = np.array(damage.duplicate_indices(second.size, self.strengths.duplicates, rng), dtype=np.int64)
        return taken(self.documents, first), taken(self.documents, second[places], keys=second)

    def _unlabelled(self, rng: np.random.Generator) -> tuple[Sample, Sample]:
        """All texts with the label give way to texts without it that stand nowhere else in the comparison."""
        assert self.lost_label is not None
        carried = self._carried(self.lost_label)
        n = min(self.n, (len(self.baseline) - int(carried.sum())) // 2)
        first, second, left = split(self.parted, n, rng)
        spare, kept = left[~carried[left]], second[~carried[second]]
        return taken(self.documents, first), taken(
            self.documents, np.concatenate((kept, spare[: second.size - kept.size]))
        )

    def _shifted(self, rng: np.random.Generator) -> tuple[Sample, Sample]:
        baseline, other = self.halves(self.n, rng)
        assert other.nll is not None
        scored = np.isfinite(other.nll)
        moved = other.nll.copy()
        moved[scored] = damage.shift_perplexity(moved[scored], rng, shift=self.strengths.shift)
        return baseline, dataclasses.replace(other, nll=moved)

    def _inner(self, rng: np.random.Generator) -> tuple[Sample, Sample]:
        first, second, _ = split(self.parted, self.n, rng)
        rows = planted_numbers.cut(np.asarray(self.documents.numeric)[second], self.strengths.top_p, rng)
        return taken(self.documents, first), taken(self.documents, second[rows], keys=second)

    def _redrawn(self, rng: np.random.Generator) -> tuple[Sample, Sample]:
        first, second, _ = split(self.parted, self.n, rng)
        rows = planted_numbers.drifted(second.size, round(self.strengths.drift * self.n), rng)
        return taken(self.documents, first), taken(self.documents, second[rows], keys=second)

    def _nearer(self, rng: np.random.Generator) -> tuple[Sample, Sample]:
        """Numbers that stand nowhere in the file: the sample of them is made anew."""
        baseline, other = self.halves(self.n, rng)
        made = numbers_of(planted_numbers.sharpened(np.asarray(other.numeric), self.strengths.gamma), name="planted")
        return baseline, dataclasses.replace(made, groups=other.groups, prompts=other.prompts)


_MAKERS: Mapping[str, Callable[[Bench, np.random.Generator], tuple[Sample, Sample]]] = {
    NULL: lambda bench, rng: bench.halves(bench.n, rng),
    NULL_HALF: lambda bench, rng: bench.halves(bench.n // 2, rng),
    "sharpen-words": lambda bench, rng: bench._sharpened(1, rng),
    "sharpen-pairs": lambda bench, rng: bench._sharpened(2, rng),
    "top-p": Bench._cut,
    "wright-fisher": Bench._drifted,
    "loop": Bench._looped,
    "duplicate": Bench._copied,
    "label-loss": Bench._unlabelled,
    "perplexity-shift": Bench._shifted,
    planted_numbers.SHARPENED: Bench._nearer,
    planted_numbers.CUT: Bench._inner,
    planted_numbers.DRIFTED: Bench._redrawn,
}
_DRAWN = frozenset({"sharpen-words", "sharpen-pairs", "top-p", "wright-fisher"})
"""Scenarios whose texts a model writes: they carry no label field, no likelihood and no keys."""


def _counts(reading: Reading) -> bool:
    return isinstance(reading, Estimate) or not reading.neutral


def split(sample: Sample, n: int, rng: np.random.Generator) -> tuple[IntArray, IntArray, IntArray]:
    """Rows of two disjoint random parts of ``n`` documents each, and the rows left over.

    Groups stay whole, so that parts hold about ``n`` documents. Answers to one prompt are spread over both parts, as in
    an audit both sides answer each prompt. Raises UsageError where there are fewer than 2n documents, or none.
    """
    if not 1 <= n <= len(sample) // 2:
        raise UsageError(f"{sample.name}: {len(sample)} documents cannot be split into two parts of {n}")
    if sample.groups is not None and len(sample.groups.drop_null().unique()) > 1:
        part = _parts_of_groups(_codes(sample.groups), n, rng)
        return np.flatnonzero(part == 0), np.flatnonzero(part == 1), np.flatnonzero(part == 2)
    code = np.arange(len(sample)) if sample.prompts is None else _codes(sample.prompts)
    shuffled = rng.permutation(len(sample))
    order = shuffled[np.argsort(rng.permutation(int(code.max()) + 1)[code[shuffled]], kind="stable")]
    # Neighbours are answers to the same prompt as far as there are any: a coin says which goes where.
    pairs = rng.permuted(order[: 2 * n].reshape(n, 2), axis=1)
    return np.sort(pairs[:, 0]), np.sort(pairs[:, 1]), np.sort(order[2 * n :])


def _parts_of_groups(code: IntArray, n: int, rng: np.random.Generator) -> IntArray:
    """0, 1 or (left over) 2 for each document: groups in random order, each to the part that holds less so far."""
    sizes, part = np.bincount(code), np.full(int(code.max()) + 1, 2)
    held, coin = [0, 0], int(rng.integers(2))
    for group in rng.permutation(sizes.size):
        least = int(held[1] < held[0])
        if held[least] >= n:
            break
        held[least] += int(sizes[group])
        part[group] = least ^ coin
    return part[code]


def _codes(keys: pa.Array) -> IntArray:
    """Keys as integers; a document without one has one of its own. Shape (N,)."""
    encoded = keys.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    alone = codes < 0
    codes[alone] = len(encoded.dictionary) + np.arange(np.count_nonzero(alone))
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def gates_in_force(probes: Iterable[Probe], config: AuditConfig) -> dict[Key, Gate]:
    """Every gate with the margin that ``config`` gives it."""
    return {(probe.name, gate.statistic): config.gate(probe, gate) for probe in probes for gate in probe.gates}


def auto_margins(
    baseline: Sample,
    n: int,
    probes: Sequence[Probe],
    config: AuditConfig,
    *,
    labels: LabelRule | None = None,
    trained_on_baseline: bool = False,
    false_alarms: float = 0.05,
) -> dict[Key, GateSettings]:
    """The smallest changes that ``n`` documents a side can settle, from a few null pairs made of the baseline.

    They are where pass starts: a generation that writes as the baseline does passes all of its findings with
    probability 1 - ``false_alarms``. Fail starts at "no change": whatever the exact test finds counts, at the audit's
    alpha. One margin for both would have to lie beyond all that passes, and then miss what is only just beyond
    (docs/decisions/0013-automatic-margins.md).

    The baseline is split into halves of at most ``n`` documents, and where that is less than ``n`` the margins are
    carried over. A finding that is not here keeps its own margin: it has no test, it is the worst of many with limits
    of its own (label-coverage), or no margin of its range can be settled.
    """
    size = min(n, len(baseline) // 2)
    if size < MIN_UNITS:
        return {}
    bench = Bench(
        baseline=baseline,
        n=size,
        probes=tuple(probes),
        config=dataclasses.replace(config, permutations=_AUTO_PERMUTATIONS),
        rule=labels,
        trained_on_baseline=trained_on_baseline,
    )
    count = int(np.clip(_AUTO_DOCUMENTS // max(size, 1), *_AUTO_SPLITS))
    nulls = [bench.run(NULL, index) for index in range(count)]
    halves = [bench.run(NULL_HALF, index) for index in range(count)] if size < n else []
    # Where a gate has two ends only because no n was known, fail and pass are settled as of any other.
    gates = {
        key: dataclasses.replace(gate, pass_margin=None) if gate.may_be_automatic else gate
        for key, gate in gates_in_force(probes, dataclasses.replace(config, gates={})).items()
    }
    settings = settled(nulls, halves, gates, false_alarms=false_alarms, times=n / size)
    reason = (
        "auto: any change that the exact test finds fails; within the pass margin, "
        f"{1 - false_alarms:.0%} of healthy generations of {n:,} documents pass all findings"
    )
    return {
        key: GateSettings(
            margin=unchanged(gates[key]), pass_margin=rounded(setting.margin, gates[key]), reason=reason, origin="auto"
        )
        for key, setting in settings.items()
        if usable(setting.margin, gates[key]) and gates[key].may_be_automatic
    }
