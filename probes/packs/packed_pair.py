"""A generation beside a reference pack: both in blocks of equally many documents, sketched alike.

Whatever needs words sees the pack's common words, and ``<rare>`` for all others on both sides: pooling never raises a
divergence (data processing), so what is found is there. Blocks are permuted, and tests stay exact, because nothing
about the compared blocks was chosen by looking at them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array, hstack

from collapse_audit.errors import UsageError
from collapse_audit.probes.packs.pack import Pack, independent, kinds, rule_key, tokens_key
from collapse_audit.probes.packs.sketch import NLL_STEP, UNCUT, Cut, Sketch, sketch
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.units import Unit, neighbours_of
from collapse_audit.probes.statistics.design import MIN_UNITS, BoolArray, Design, IntArray
from collapse_audit.probes.statistics.lengths import MATERIAL, SIGNIFICANT
from collapse_audit.probes.statistics.readings import NotMeasured
from collapse_audit.probes.text.labels import EU_TIRADS, LabelRule, Labels, label_rule, ones
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import Tokens

RARE = "<rare>"
"""Stands for every word, and every label, that the pack does not name."""
_SOMETHING = "…"
"""Stands for a text of which only this is known: that it is not empty."""
_UNSCORED = 0.05
"""Share of the generation's texts without nll up to which the others are taken for all."""


class Blocks(Design):
    """Equally many blocks a side, of equally many documents that are independent of each other."""

    __slots__ = ()

    @property
    def count(self) -> int:
        """Blocks a side."""
        return int(np.count_nonzero(~self.side))

    @property
    def units(self) -> int:
        """Independent units a side: documents, which is what a share of "0 of n" speaks of."""
        return self.documents(False)

    @property
    def described(self) -> str:
        """What was resampled, for the report."""
        return f"blocks of {self.units // max(self.count, 1)} documents"

    def restricted(self, keep: BoolArray) -> Design:
        """The design of the blocks where ``keep`` (shape (K,)) is True."""
        plain = Design.restricted(self, keep)
        return Blocks(**{field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)})


def of_blocks(count: int, size: int, rows: IntArray | None = None, *, baseline: int = 0) -> Blocks:
    """``count`` blocks of ``size`` documents a side, the baseline's first.

    ``rows`` are the generation's documents in the order of its blocks; ``baseline`` documents stand before them.
    """
    side = np.repeat([False, True], count)
    inside = np.arange(count * size)
    return Blocks(
        kind="document",
        kept=np.concatenate((inside, baseline + (inside if rows is None else rows[: inside.size]))),
        block=np.repeat(np.arange(2 * count), size),
        side=side,
        stratum=np.zeros(2 * count, dtype=np.int64),
        unit=np.arange(2 * count),
        cell=side.astype(np.int64),
    )


@dataclass(frozen=True, kw_only=True)
class PackedSample(Sample):
    """A baseline of which there is only a pack. Its texts are nulls: they are not here."""

    pack: Pack

    def labels(self, rule: LabelRule) -> Labels:
        """The categories that the pack names, on as many documents as carry them; on which ones is not known.

        Those that it does not name share one label, which is no category.
        """
        totals, scarce = (self.pack.labels.totals, self.pack.labels.scarce) if self.pack.labels else ({}, 0)
        carried = np.arange(len(self))[:, None] < np.array([*totals.values(), scarce], dtype=np.int64)
        return Labels(
            rule=rule.name, names=(*totals, RARE), carried=csr_array(carried, dtype=np.int64), categories=tuple(totals)
        )


def packed_sample(pack: Pack, *, name: str, digest: str, tokens: str) -> PackedSample:
    """The pack as a baseline; ``digest`` is its file's, ``tokens`` names the tokeniser in force.

    Raises UsageError where the pack was made with another tokeniser.
    """
    if tokens_key(tokens) != pack.tokens:
        raise UsageError(f"tokens = {tokens_key(tokens)!r}: the pack was made with {pack.tokens!r}; use the same")
    by_field = pack.labels is not None and pack.labels.rule == "field"
    known = {
        "label_field": pa.nulls(pack.documents, pa.list_(pa.string())) if by_field else None,
        "nll": None if pack.sketch.nll is None else pack.sketch.nll.ravel() * NLL_STEP,
    }
    return PackedSample(**_columns(pack.documents, name, digest) | known, pack=pack)


def packed_rule(pack: Pack, setting: str, *, classes: tuple[str, ...] | None = None) -> LabelRule | None:
    """The rule that reads a generation's labels as the pack's were read; ``setting`` is what the user says of labels.

    Raises UsageError where that is another rule.
    """
    if pack.labels is None or setting == "none":
        return None
    if setting == "auto" and pack.labels.rule in ("field", EU_TIRADS.name):
        return label_rule(pack.labels.rule, classes=classes)
    rule = None if setting == "auto" else label_rule(setting, classes=classes)
    if rule is None or rule_key(rule) != pack.labels.rule:
        raise UsageError(f"labels = {setting!r}: the pack's labels were read by {pack.labels.rule}; name the same rule")
    return rule


def _columns(count: int, name: str, digest: str) -> dict[str, Any]:
    """The fields of a sample of ``count`` documents of which nothing is known."""
    return {
        "name": name,
        "digest": digest,
        "n_read": count,
        "texts": pa.nulls(count, pa.large_string()),
        "tokens": Tokens(np.zeros(0, np.int32), np.zeros(count + 1, np.int64), pa.array([], pa.large_string())),
        "label_field": None,
        "prompts": None,
        "groups": None,
        "nll": None,
    }


@dataclass(frozen=True, kw_only=True)
class InBlocks(Pair):
    """What an ordinary probe receives: a sample of which some columns are known, and the generation's, in blocks."""

    blocks: Blocks
    labels_named: tuple[Labels, Labels] | None = None

    whole = None  # of a part of the documents nothing is known over all of them

    @cached_property
    def design(self) -> Design:
        """The blocks."""
        return self.blocks

    def labels(self) -> tuple[Labels, Labels] | None:
        """Labels of both sides' documents."""
        return self.labels_named


@dataclass(frozen=True, kw_only=True)
class PackedPair(Pair):
    """A generation's sample beside a pack."""

    baseline: PackedSample

    @property
    def pack(self) -> Pack:
        """What is known of the baseline."""
        return self.baseline.pack

    @property
    def before(self) -> Sketch:
        """The baseline's."""
        return self.pack.sketch

    @cached_property
    def units(self) -> Unit:
        """Blocks of documents in random order, one of each group or prompt: of a pack no order is known."""
        alone = self.generation.groups is None and self.generation.prompts is None
        if not (alone and neighbours_of(self.generation, self.seed).dependent):
            return Unit(kind="document")
        return Unit(
            kind="document",
            why="records that stand next to each other resemble each other; beside a reference pack they are taken for "
            "independent all the same: error bars may be too narrow",
        )

    @cached_property
    def rows(self) -> IntArray:
        """The generation's independent documents, in random order."""
        return independent(self.generation, self.stream("blocks"))

    @property
    def inseparable(self) -> None:
        """A pack holds no openings of texts; which of them both sides share, nobody can tell."""

    @property
    def too_short(self) -> NotMeasured | None:
        """What to say where the generation does not fill enough blocks."""
        size = self.before.size
        if self.rows.size >= MIN_UNITS * size:
            return None
        reason = (
            f"{self.rows.size} independent texts of the generation are too few beside this pack: "
            f"it takes {MIN_UNITS} blocks of {size}"
        )
        return NotMeasured(reason=reason, neutral=False)

    @cached_property
    def blocks(self) -> Blocks:
        """As many blocks as both sides have."""
        return self._blocks(self.before.blocks, self.rows)

    def _blocks(self, packed: int, rows: IntArray) -> Blocks:
        """At most ``packed`` blocks, the generation's filled with ``rows``."""
        size = self.before.size
        return of_blocks(min(packed, rows.size // size), size, rows, baseline=packed * size)

    @cached_property
    def drawn(self) -> npt.NDArray[np.uint8]:
        """Relabellings of :attr:`blocks`, the observed one first."""
        return self.blocks.relabellings(self.permutations, self.stream("relabellings"))

    @cached_property
    def cut(self) -> int:
        """Which of the pack's cuts makes both sides equally long: the last one, whole texts, where they are."""
        lengths = self.generation.tokens.lengths[self.rows[: self.blocks.units]]
        return shared_cut(self.before, lengths, self.blocks.count)

    @cached_property
    def after(self) -> Sketch:
        """The generation's, at the common length and whole."""
        cuts = dict.fromkeys((self.before.at[self.cut].length, UNCUT))
        plain = dataclasses.replace(self.generation, nll=None)
        return sketch(plain, self.rows[: self.blocks.units], size=self.before.size, cuts=cuts)

    @property
    def cuts(self) -> tuple[Cut, Cut]:
        """Both sides at the common length."""
        return self.before.at[self.cut], self.after.at[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a finding at the common length says of it."""
        return () if self.before.at[self.cut].length == UNCUT else ("length-matched",)

    # Ordinary pairs, for the probes that one can answer.

    @cached_property
    def named(self) -> InBlocks:
        """The blocks that are compared word by word: bags of common words, and labels."""
        pack, tokens = self.pack, self.generation.tokens
        known = None
        if pack.labels is not None and self.label_rule is not None:
            labels, names = self.generation.labels(self.label_rule), (*pack.labels.names, RARE)
            sides = dealt(pack.labels.carriers, self.before.size), carried_kinds(labels, pack.labels.names)
            both = [
                Labels(rule=labels.rule, names=names, carried=csr_array(side, dtype=np.int64), categories=names)
                for side in sides
            ]
            known = both[0], both[1]
        return self._ordinary(
            self._blocks(pack.compared, self.rows),
            pack.compared * self.before.size,
            {"tokens": bags(pack)},
            {"tokens": coarse(tokens, pack.words)},
            labels_named=known,
        )

    @cached_property
    def categories(self) -> InBlocks:
        """All documents, and which categories they carry."""
        assert self.label_rule is not None
        labels = self.generation.labels(self.label_rule)
        known = self.baseline.labels(self.label_rule), dataclasses.replace(labels, carried=labels.carried[self.rows])
        return self._ordinary(self.blocks, len(self.baseline), {}, {}, labels_named=known)

    @cached_property
    def scored(self) -> InBlocks:
        """Log-perplexities, those of the generation in steps as wide as the pack's."""
        nll, rows = self.generation.nll, self.rows
        if nll is not None and np.isnan(nll[rows]).mean() <= _UNSCORED:
            rows = rows[~np.isnan(nll[rows])]
        return self._ordinary(
            self._blocks(self.before.blocks, rows),
            len(self.baseline),
            {"nll": self.baseline.nll},
            {"nll": None if nll is None else np.round(nll / NLL_STEP) * NLL_STEP},
        )

    @cached_property
    def readable(self) -> InBlocks:
        """The generation's texts; of the baseline's, which are empty."""
        full = np.arange(self.before.size) >= self.before.empty[:, None]
        texts = pa.array(np.where(full, _SOMETHING, "").ravel().tolist(), pa.large_string())
        return self._ordinary(self.blocks, len(self.baseline), {"texts": texts}, {})

    def _ordinary(
        self,
        blocks: Blocks,
        count: int,
        baseline: dict[str, Any],
        generation: dict[str, Any],
        *,
        labels_named: tuple[Labels, Labels] | None = None,
    ) -> InBlocks:
        """A pair of the baseline's ``count`` documents, of which only those columns are known, and the generation."""
        return InBlocks(
            baseline=Sample(**_columns(count, self.baseline.name, self.baseline.digest) | baseline),
            generation=dataclasses.replace(self.generation, **generation),
            permutations=self.permutations,
            seed=self.seed,
            label_rule=self.label_rule,
            trained_on_baseline=self.trained_on_baseline,
            others=tuple(other for other in self.others if not isinstance(other, PackedSample)),
            same_bytes=self.same_bytes,
            facts=self.facts,
            evidence=self.evidence,
            blocks=blocks,
            labels_named=labels_named,
        )


def bags(pack: Pack) -> Tokens:
    """Tokens of the compared documents in no order: which of a block's texts held one is not known, so they are dealt
    out evenly."""
    size, tokens = pack.sketch.size, pack.sketch.at[-1].tokens[: pack.compared]
    rare = tokens - np.asarray(pack.counts.sum(axis=1)).astype(np.int64)
    full = csr_array(hstack((pack.counts, csr_array(rare[:, None])), format="csr"))
    ends = (np.cumsum(tokens) - tokens)[:, None] + tokens[:, None] * np.arange(1, size + 1) // size
    return Tokens(
        np.repeat(full.indices, full.data.astype(np.int64)).astype(np.int32),
        np.concatenate(([0], ends.ravel())),
        _vocabulary(pack.words),
    )


def coarse(tokens: Tokens, words: tuple[str, ...]) -> Tokens:
    """The same documents, with every token that is none of ``words`` replaced by ``<rare>``."""
    code = pc.index_in(tokens.vocabulary, value_set=pa.array(words, pa.large_string())).fill_null(len(words))
    return Tokens(code.to_numpy().astype(np.int32)[tokens.ids], tokens.offsets, _vocabulary(words))


def _vocabulary(words: tuple[str, ...]) -> pa.LargeStringArray:
    rare = RARE
    while rare in words:  # somebody's word is called like all others together
        rare += "'"
    return pa.array([*words, rare], pa.large_string())


def dealt(carriers: IntArray, size: int) -> BoolArray:
    """Labels on documents so that as many of a block carry each label, and none, as ``carriers`` says.

    Shape (blocks * size, L): labels are dealt out in turn to the documents that carry any.
    """
    each, labelled = carriers[:, None, :-1], size - carriers[:, None, -1:]
    start = np.cumsum(each, axis=2) - each
    document = np.arange(size)[None, :, None]
    turn = (document - start) % np.maximum(labelled, 1)
    return ((turn < each) & (document < labelled)).reshape(-1, each.shape[2])


def carried_kinds(labels: Labels, names: tuple[str, ...]) -> BoolArray:
    """Who carries each of ``names``, and who any other label; shape (N, len(names) + 1)."""
    missing = [name for name in names if name not in labels.names]
    documents, known = labels.carried.shape
    document, label = labels.carried.nonzero()
    carried = ones(document, label, (documents, known + len(missing)))
    column = {name: k for k, name in enumerate((*labels.names, *missing))}
    return kinds(carried, np.array([column[name] for name in names], dtype=np.int64))[:, :-1]


def shared_cut(sketch: Sketch, lengths: IntArray, count: int) -> int:
    """Index of the longest cut at which ``count`` blocks of ``sketch`` and texts of these ``lengths`` are equally long.

    By the rule of :func:`collapse_audit.probes.statistics.lengths.matched_length`, at the cuts that the sketch has. The
    last one, whole texts, unless the lengths differ really and materially; the first where none balances them.
    """
    n = count * sketch.size
    tokens, squares = sketch.at[-1].tokens[:count].sum(), sketch.squared_lengths[:count].sum()
    means, variance = (tokens / n, lengths.mean()), (squares - tokens**2 / n) / (n - 1)
    error = np.sqrt(variance / n + lengths.var(ddof=1) / lengths.size)
    apart = abs(means[0] - means[1])
    whole = len(sketch.at) - 1
    if apart <= SIGNIFICANT * error or apart <= MATERIAL * max(means):
        return whole
    budgets = np.array(
        [(cut.tokens[:count].sum() / n, np.minimum(lengths, cut.length).mean()) for cut in sketch.at[:-1]]
    ).reshape(-1, 2)
    balanced = np.abs(budgets[:, 0] - budgets[:, 1]) <= MATERIAL * budgets.max(axis=1)
    return int(np.flatnonzero(balanced)[-1]) if balanced.any() else 0
