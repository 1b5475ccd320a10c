"""Two samples set side by side: what every probe receives.

A pair knows who may swap places with whom (``design``), draws the relabellings once for all probes, and offers the
count tables of its words, word pairs, texts and patterns. Everything is computed when first asked for, and once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collapse_audit.probes.models.contexts import Asked
from collapse_audit.probes.models.model_facts import Fact
from collapse_audit.probes.models.task_results import Evaluated
from collapse_audit.probes.pairs.kinds import kinds
from collapse_audit.probes.pairs.near_copies import clusters
from collapse_audit.probes.pairs.openings import Openings, shared_openings
from collapse_audit.probes.pairs.units import Unit, UnitSetting, choose
from collapse_audit.probes.statistics import estimates, tables
from collapse_audit.probes.statistics.all_documents import compare_means
from collapse_audit.probes.statistics.design import Design, FloatArray, IntArray, by_document, by_key
from collapse_audit.probes.statistics.lengths import matched_length
from collapse_audit.probes.statistics.readings import NotMeasured, Reading, Worse
from collapse_audit.probes.text.census import Census, TextCounts
from collapse_audit.probes.text.labels import LabelRule, Labels
from collapse_audit.probes.text.ngrams import take, truncated
from collapse_audit.probes.text.sample import Sample, score_texts
from collapse_audit.probes.text.tokens import Tokens

EvidenceLevel = Literal["none", "terms", "texts"]
Embed = Callable[[pa.Array], npt.NDArray[np.float32]]
"""From N texts to their sentence embeddings, shape (N, d), each of length 1."""
NO_MODEL = "the records carry no embedding, and no sentence-embedding model was named (--embed MODEL)"

CURE = (
    "a few hundred more texts that nothing is trained on (gen_<k>.holdout.* or gen_<k>/holdout.*) make the comparison "
    "fair"
)
_ALIKE = 0.001
"""Lower-tail p of the divergence from which two samples are more alike than independent ones can be."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A generation's sample beside its baseline's."""

    baseline: Sample
    generation: Sample
    permutations: int
    seed: int
    label_rule: LabelRule | None = None
    trained_on_baseline: bool = False
    """Whether the generation, or an ancestor of it, was trained on these very baseline texts."""
    others: tuple[Sample, ...] = ()
    """The lineage's earlier corpora, for finding copies."""
    training: Sample | None = None
    """What the generation was trained on, where it is known and is not the baseline itself; for what it recites."""
    same_bytes: tuple[str, ...] = ()
    """Names of earlier corpora whose files are the generation's byte for byte."""
    facts: tuple[Fact, ...] = ()
    """What is known of the generation's model, and of the baseline's, besides the texts."""
    contexts: Asked | None = None
    """What both models expect after the same human contexts; None where the baseline is no generation's text."""
    tasks: Evaluated | None = None
    """What lm-eval measured on the two models; None where the baseline is no earlier generation."""
    evidence: EvidenceLevel = "terms"
    unit: UnitSetting = "auto"
    """What is resampled; ``auto`` asks the files."""
    solved_at: float | None = None
    """The score from which on an answer is right; None: scores are 0 and 1."""
    embed: Embed | None = None
    """Sentence embeddings of texts, where a model of them was named; else those are taken that the records bring."""

    def stream(self, purpose: str) -> np.random.Generator:
        """The only source of chance: a function of the user's seed, of what the two files hold, and of the purpose."""
        key = f"{self.seed}|{self.baseline.digest}|{self.generation.digest}|{purpose}"
        return np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))

    @cached_property
    def units(self) -> Unit:
        """What moves together, and why: chosen from both files, the same whichever is called the baseline."""
        return choose((self.baseline, self.generation), self.unit, self.seed)

    @cached_property
    def design(self) -> Design:
        """Who may swap places with whom: groups, prompts, runs of neighbours, clusters or documents."""
        chosen = self.units
        if chosen.keys is None:
            return by_document(len(self.baseline), len(self.generation), self.stream("design"))
        words = {"blocks": chosen.described, "least": chosen.least}
        if chosen.strata is not None:
            words["strata"] = chosen.strata
        baseline, generation = chosen.keys
        return by_key(baseline, generation, chosen.kind, self.stream("design"), swapped=chosen.swapped, **words)

    @cached_property
    def relabellings(self) -> npt.NDArray[np.uint8]:
        """Permutations of the sides, the observed one first; shape (B + 1, K blocks)."""
        return self.design.relabellings(self.permutations, self.stream("relabellings"))

    @cached_property
    def whole(self) -> tuple[Census, Census] | None:
        """Counts over all documents of both corpora, where more were read than drawn of either, and documents are what
        is resampled: counts know nothing of groups, prompts and neighbours."""
        if self.units.keys is not None or (self.baseline.whole is None and self.generation.whole is None):
            return None
        return self.baseline.counted, self.generation.counted

    @property
    def whole_texts_counted(self) -> tuple[TextCounts, TextCounts] | None:
        """Of :attr:`whole` what is counted of texts, where it is on both sides."""
        if self.whole is None or self.whole[0].texts is None or self.whole[1].texts is None:
            return None
        return self.whole[0].texts, self.whole[1].texts

    def compare_counted(self, values: FloatArray, counts: IntArray, *, statistic: str, **details: Any) -> Reading:
        """As :meth:`compare`, of all documents: ``counts`` (shape (2, L), the baseline's first) of each of ``values``
        (shape (L,))."""
        rng = self.stream(f"counted {statistic}")
        return compare_means(values, counts, permutations=self.permutations, rng=rng, statistic=statistic, **details)

    # Tokens of the documents that take part, and the tables made of them.

    @cached_property
    def tokens(self) -> Tokens:
        """Tokens of the D documents of the design, in one vocabulary."""
        return joined(self.baseline.tokens, self.generation.tokens, self.design.kept)

    @cached_property
    def matched_length(self) -> int | None:
        """Length to which texts are cut where vocabulary is compared; None where both sides are equally long."""
        side = self.design.side[self.design.block]
        return matched_length(self.tokens.lengths[~side], self.tokens.lengths[side])

    @cached_property
    def matched(self) -> Tokens:
        """The tokens, cut to the matched length."""
        return self.tokens if self.matched_length is None else truncated(self.tokens, self.matched_length)

    @cached_property
    def words(self) -> tables.CountTable:
        """Counts of token types."""
        return self.table(self.tokens)

    @cached_property
    def words_swept(self) -> tables.Swept:
        """Functionals of :attr:`words` under every relabelling."""
        return tables.sweep(self.words, self.relabellings)

    def table(self, tokens: Tokens) -> tables.CountTable:
        """Counts of the types of ``tokens`` (of this design's documents)."""
        return tables.count_table(np.repeat(self.design.block, tokens.lengths), tokens.ids, self.design.side.size)

    def whole_texts(self, attribute: Literal["folded", "patterns"]) -> tuple[tables.CountTable, pa.Array]:
        """Counts of whole texts, one type a document, and the texts that the types stand for."""
        texts = encoded(getattr(self.baseline, attribute), getattr(self.generation, attribute))
        types = texts.indices.to_numpy().astype(np.int64)[self.design.kept]
        return tables.count_table(self.design.block, types, self.design.side.size), texts.dictionary

    @cached_property
    def _folded(self) -> tuple[IntArray, pa.Array]:
        """Of each of the D documents its text (copies are one), and the texts."""
        texts = encoded(self.baseline.folded, self.generation.folded)
        return texts.indices.to_numpy().astype(np.int64)[self.design.kept], texts.dictionary

    @cached_property
    def near_copies(self) -> tuple[IntArray, IntArray]:
        """Of each of the D documents: its cluster of near-copies, and its text (copies are one), both 0, 1, 2, …"""
        return clusters(self.tokens, *self._folded), self._folded[0]

    @property
    def answered(self) -> IntArray:
        """Of each of the D documents: which prompt it answers, 0, 1, 2, …; -1 where it answers none."""
        columns = [
            pa.nulls(len(side), pa.string()) if side.prompts is None else side.prompts.cast(pa.string())
            for side in (self.baseline, self.generation)
        ]
        coded = encoded(*columns).indices.fill_null(-1).to_numpy().astype(np.int64)
        return np.asarray(coded[self.design.kept])

    @property
    def embedded(self) -> npt.NDArray[np.float32] | NotMeasured:
        """Sentence embeddings that the records of both sides bring, of all documents, the baseline's first; shape
        (N + M, d), or why there are none."""
        baseline, generation = self.baseline.embeddings, self.generation.embeddings
        if baseline is None or generation is None:
            return NotMeasured(reason=NO_MODEL)
        widths = baseline.shape[1], generation.shape[1]
        if widths[0] != widths[1]:
            reason = (
                f"an embedding of the baseline has {widths[0]:,} numbers, one of the generation {widths[1]:,}: embed "
                "all texts by one model"
            )
            return NotMeasured(reason=reason, neutral=False)
        return np.concatenate((baseline, generation))

    def meanings(self, rows: IntArray) -> FloatArray | NotMeasured:
        """Embeddings of the documents ``rows`` (the baseline's are counted first) by the model that was named, else
        those of the records; each of length 1, shape (N, d), or why there are none."""
        if self.embed is not None:
            texts = pa.concat_arrays([side.texts.cast(pa.large_string()) for side in (self.baseline, self.generation)])
            return self.embed(texts.take(pa.array(rows))).astype(np.float64)
        held = self.embedded
        return held if isinstance(held, NotMeasured) else directions(held[rows])

    @cached_property
    def kinds(self) -> npt.NDArray[np.bool_]:
        """Which of the D documents are of which of M nested kinds of text; shape (D, M)."""
        held = self.embedded
        return kinds(
            self.matched, *self._folded, None if isinstance(held, NotMeasured) else directions(held[self.design.kept])
        )

    @cached_property
    def numeric(self) -> FloatArray | NotMeasured:
        """The numbers of the D documents of the design, shape (D, W), or why the two sides have none to compare."""
        baseline, generation = self.baseline.numeric, self.generation.numeric
        if baseline is None or generation is None:
            neutral = baseline is None and generation is None
            return NotMeasured(reason="the records hold no numbers (numeric)", neutral=neutral)
        widths = baseline.shape[1], generation.shape[1]
        if widths[0] != widths[1]:
            reason = f"a record of the baseline holds {widths[0]} numbers, one of the generation {widths[1]}"
            return NotMeasured(reason=reason, neutral=False)
        return np.asarray(np.concatenate((baseline, generation))[self.design.kept])

    def spelled(self, ids: IntArray) -> str:
        """Token ids of this pair as text."""
        return " ".join(self.tokens.vocabulary[int(i)].as_py() for i in ids)

    def texts(self, generation: bool) -> pa.Array:
        """The texts of one side that take part in the comparison."""
        kept, n = self.design.kept, len(self.baseline)
        if generation:
            return self.generation.texts.take(pa.array(kept[kept >= n] - n))
        return self.baseline.texts.take(pa.array(kept[kept < n]))

    def labels(self) -> tuple[Labels, Labels] | None:
        """Labels of all documents of both samples (not only of the design's), or None where a side has none at all.

        A record without a label among labelled ones counts as unlabelled; a file without the field says nothing.
        """
        if self.label_rule is None or self._labelled != (True, True):
            return None
        return self.baseline.labels(self.label_rule), self.generation.labels(self.label_rule)

    @property
    def labels_on_one_side(self) -> bool:
        """Whether only one side's records carry the label field: an extractor that failed looks so."""
        return self.label_rule is not None and self._labelled in ((True, False), (False, True))

    @property
    def _labelled(self) -> tuple[bool, bool]:
        by_field = self.label_rule is not None and self.label_rule.extract is None
        has = [not by_field or sample.label_field is not None for sample in (self.baseline, self.generation)]
        return has[0], has[1]

    @cached_property
    def alike_p(self) -> float:
        """Lower-tail p of the token divergence: small where the sides are more alike than independent samples are."""
        return estimates.permutation_p(self.words_swept.divergence, worse="lower")

    @cached_property
    def one_sided(self) -> str | None:
        """Why this comparison is one-sided, or None where it is fair.

        A model imitates its training texts, noise included: against them a collapsing generation looks healthier than
        no change at all.
        """
        if self.trained_on_baseline:
            return "the generation descends from a model trained on these very baseline texts"
        if self.alike_p <= _ALIKE:
            return "the two samples are more alike than independent samples can be: they share training texts"
        return None

    @cached_property
    def openings(self) -> Openings | None:
        """Openings that pair texts of the two sides, where no field tells the prompts of both."""
        if self.baseline.prompts is not None and self.generation.prompts is not None:
            return None
        if self.baseline.numeric is not None or self.generation.numeric is not None:
            return None
        return shared_openings(self.tokens, self.design.side[self.design.block])

    @property
    def inseparable(self) -> str | None:
        """Why what the model wrote cannot be told from its prompts, or None where it can."""
        return None if self.openings is None else self.openings.sentence

    # What a probe of your own needs: a number a document in, an estimate out.

    def mean_rise(
        self, score: Callable[[str], float], *, worse: Worse = "higher", share: bool = False, **details: Any
    ) -> Reading:
        """Difference of the mean ``score`` of a text. ``share``: scores lie in [0, 1] (assumed where they all do)."""
        return self.compare(self.scores(score), scale="linear", worse=worse, share=share, **details)

    def mean_ratio(self, score: Callable[[str], float], *, worse: Worse = "lower", **details: Any) -> Reading:
        """Ratio of the mean ``score`` of a text; scores must not be negative."""
        return self.compare(self.scores(score), scale="log", worse=worse, **details)

    def scores(self, score: Callable[[str], float]) -> FloatArray:
        """``score`` of every text that takes part; shape (D,)."""
        return np.concatenate([score_texts(score, self.texts(side)) for side in (False, True)])

    def compare(
        self,
        top: FloatArray,
        bottom: FloatArray | None = None,
        *,
        scale: estimates.Scale,
        worse: Worse,
        share: bool = False,
        **details: Any,
    ) -> Reading:
        """Compare sum(top) / sum(bottom) between the sides; arrays of shape (D,), ``bottom`` defaults to ones."""
        if bottom is None and scale == "linear":
            share = share or bool(((top >= 0) & (top <= 1)).all())
        return estimates.ratio_of_sums(
            self.design.per_block(top),
            self.design.per_block(np.ones_like(top) if bottom is None else bottom),
            design=self.design,
            relabellings=self.relabellings,
            scale=scale,
            worse=worse,
            share=share,
            **details,
        )


def joined(baseline: Tokens, generation: Tokens, kept: IntArray) -> Tokens:
    """Tokens of the documents in ``kept`` (rows of the baseline's, then the generation's), in one vocabulary."""
    both = encoded(baseline.vocabulary, generation.vocabulary)
    code = both.indices.to_numpy()
    ids = np.concatenate((code[baseline.ids], code[len(baseline.vocabulary) + generation.ids]))
    offsets = np.concatenate((baseline.offsets, generation.offsets[1:] + baseline.offsets[-1]))
    return take(Tokens(ids, offsets, both.dictionary), kept)


def directions(embeddings: npt.NDArray[np.float32]) -> FloatArray:
    """Embeddings brought to length 1. Those of zeros only mean the same, and what no other one means."""
    made = embeddings.astype(np.float64)
    length = np.linalg.norm(made, axis=1, keepdims=True)
    made /= np.where(length > 0, length, 1.0)
    return made if (length > 0).all() else np.hstack((made, length == 0))


def encoded(baseline: pa.Array, generation: pa.Array) -> pa.DictionaryArray:
    """Both sides' strings, the baseline's first, as codes into one dictionary."""
    return pa.concat_arrays([baseline, generation]).dictionary_encode()
