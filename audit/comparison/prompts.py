"""Two lineages that answered the same prompts: which one changed more, with the prompts as the units.

For a statistic r of a corpus, the change of a lineage is r(generation k) - r(baseline), or the logarithm of their
ratio, and the double difference is the change of A less the change of B. All four corpora answer the same prompts, so a
prompt is one unit, and its answers of A and of B may swap places, generation k and the baseline together.

The p-value is exact for "on every prompt the two lineages answer alike": swapping is then a symmetry of the data. For
the weaker "both changed equally much" it holds in large samples only, and only because the double difference is divided
by its standard error under every swap (Chung & Romano 2013, doi 10.1214/13-AOS1090). ``diversity / duplicates`` is no
sum over prompts; its double difference is not divided, and its p-value is for the first hypothesis alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.pairs.tail import cross_fitted, known_tail, leading
from collapse_audit.probes.statistics.design import MIN_UNITS, BoolArray, FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import Scale, jackknife, permutation_p
from collapse_audit.probes.statistics.lengths import matched_length
from collapse_audit.probes.statistics.readings import Worse, Z
from collapse_audit.probes.statistics.tables import count_table, sweep_distinct
from collapse_audit.probes.text.folding import visible
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.ngrams import truncated
from collapse_audit.probes.text.repeats import repeated_grams
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import Tokenizer, Tokens

Four = tuple[Sample, Sample, Sample, Sample]
"""Baseline and generation k of A, baseline and generation k of B: everywhere in this order."""

_SIGNS = np.array([-1.0, 1.0, 1.0, -1.0])
"""How the four corpora enter the double difference."""
_MISSING = 0.05
"""Share of answers without nll from which the others are not taken for all."""
_RULE_OF_THREE = -math.log(0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleDifference:
    """By how much more A changed than B, in one statistic."""

    probe: str
    statistic: str
    unit: str
    worse: Worse
    scale: Scale
    change_a: float
    """On ``scale``: a difference, or the natural logarithm of a ratio."""
    change_b: float
    difference: float
    """``change_a - change_b``."""
    error: float
    """Standard error of ``difference``, prompts as units; inf where there is none to be had."""
    p_value: float
    """Two-sided, over random swaps of A and B within prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quartet:
    """The answers that are compared: D of them, to U prompts that all four corpora answered."""

    samples: Four
    kind: Literal["prompts", "groups"]
    """What the units are."""
    rows: tuple[IntArray, ...]
    """Rows of each sample that take part; each of shape (D / 4,)."""
    unit: IntArray
    """Shape (D,): the prompt of each answer."""
    corpus: IntArray
    """Shape (D,): 0 to 3, the sample it stands in."""
    units: int

    def column(self, columns: Sequence[pa.Array]) -> pa.Array:
        """Values of the answers that take part, shape (D,); ``columns`` holds an array for each sample."""
        kept = [column.take(pa.array(rows)) for column, rows in zip(columns, self.rows, strict=True)]
        return pa.concat_arrays(kept)

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum per-answer ``values`` over prompts and corpora: (D,) to (U, 4)."""
        place = 4 * self.unit + self.corpus
        return np.bincount(place, weights=values, minlength=4 * self.units).reshape(-1, 4).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Score:
    """A statistic sum(top) / sum(bottom) of a corpus; arrays of shape (D,)."""

    probe: str
    statistic: str
    unit: str
    worse: Worse
    top: FloatArray
    bottom: FloatArray
    scale: Scale = "linear"


def quartet(samples: Four) -> Quartet | str:
    """Match the four corpora by group where all have groups, else by prompt; or say why that is not possible.

    Where a prompt has several answers, each corpus keeps as many as the one that has fewest, the first in its file.
    """
    kinds: tuple[Literal["prompts", "groups"], ...] = ("groups", "prompts")
    keyed = [(kind, [getattr(sample, kind) for sample in samples]) for kind in kinds]
    shared = [(kind, keys) for kind, keys in keyed if all(column is not None for column in keys)]
    if not shared:
        return "the records carry no prompts, so no answers can be matched"
    kind, keys = shared[0]
    coded = pa.concat_arrays(keys).dictionary_encode().indices.fill_null(-1).to_numpy()
    codes = np.split(coded.astype(np.int64), np.cumsum([len(sample) for sample in samples])[:-1])
    known = int(coded.max(initial=-1)) + 1
    counts = np.stack([np.bincount(code[code >= 0], minlength=known) for code in codes])
    quota = counts.min(axis=0)
    units = int(np.count_nonzero(quota))
    if units < MIN_UNITS:
        return f"{units} {kind} are answered in all four corpora; at least {MIN_UNITS} are needed"
    rows = tuple(np.flatnonzero((code >= 0) & (_rank(code) < quota[code])) for code in codes)
    dense = np.cumsum(quota > 0) - 1
    return Quartet(
        samples=samples,
        kind=kind,
        rows=rows,
        unit=np.concatenate([dense[code[kept]] for code, kept in zip(codes, rows, strict=True)]),
        corpus=np.repeat(np.arange(4), [kept.size for kept in rows]),
        units=units,
    )


def _rank(codes: IntArray) -> IntArray:
    """How many of the same code stand before each; shape as ``codes``."""
    order = np.argsort(codes, kind="stable")
    first = np.searchsorted(codes[order], codes[order], side="left")
    rank = np.empty_like(codes)
    rank[order] = np.arange(codes.size) - first
    return rank


def double_differences(
    four: Quartet,
    *,
    tokenizer: Tokenizer,
    rule: LabelRule | None,
    permutations: int,
    rng: np.random.Generator,
    fair: bool = True,
    same_scorer: bool = True,
) -> tuple[DoubleDifference, ...]:
    """The double difference of every statistic whose input is there.

    ``fair``: no generation descends from its baseline's very texts; else tail mass is left out. ``same_scorer``: the
    nll of both lineages comes from the same generation 0; else it is left out.
    """
    swaps = np.zeros((permutations + 1, four.units), dtype=np.uint8)
    swaps[1:] = rng.integers(0, 2, size=(permutations, four.units), dtype=np.uint8)
    tokens = tokenizer(visible(four.column([sample.texts for sample in four.samples])))
    scores = [*_repetition(four, tokens), _empty(four)]
    if fair:
        scores += _tail_mass(four, tokens, rng)
    if rule is not None:
        scores += _rare_labels(four, rule)
    if same_scorer:
        scores += _perplexity(four)
    return (*(_of_sums(four, score, swaps) for score in scores), _duplicates(four, swaps))


# -------------------------------------------------------------------------------------------------------- statistics


def _repetition(four: Quartet, tokens: Tokens) -> Iterator[_Score]:
    # Lengths decide whether, and where, texts are cut: where A and B answer alike no cut is made but by rare chance.
    lengths = [tokens.lengths[four.corpus == corpus] for corpus in range(4)]
    cuts = [matched_length(*two) for two in itertools.combinations(lengths, 2)]
    known = [cut for cut in cuts if cut is not None]
    repeats, grams, _, _ = repeated_grams(truncated(tokens, min(known)) if known else tokens)
    long_enough = grams > 0
    # Where a corpus has no text of 4 tokens there is no mean to compare.
    if four.sums(long_enough.astype(np.float64)).sum(axis=0).all():
        yield _Score(
            probe="repetition",
            statistic="seq-rep-4",
            unit="share of 4-grams",
            worse="higher",
            top=repeats / np.maximum(grams, 1),
            bottom=long_enough.astype(np.float64),
        )
    loops = [sample.loops[rows] for sample, rows in zip(four.samples, four.rows, strict=True)]
    yield _share("repetition", "looping", "higher", np.concatenate(loops))


def _empty(four: Quartet) -> _Score:
    texts = four.column([sample.folded for sample in four.samples])
    return _share("integrity", "empty", "higher", np.asarray(pc.equal(texts, "")))


def _share(probe: str, statistic: str, worse: Worse, hits: BoolArray, known: BoolArray | None = None) -> _Score:
    bottom = np.ones(hits.size) if known is None else known.astype(np.float64)
    top = hits.astype(np.float64)
    return _Score(probe=probe, statistic=statistic, unit="share of documents", worse=worse, top=top, bottom=bottom)


def _tail_mass(four: Quartet, tokens: Tokens, rng: np.random.Generator) -> Iterator[_Score]:
    """The rare tail of both baselines together; a prompt is counted in the tails that other prompts tell."""
    baseline, documents = four.corpus % 2 == 0, four.unit.size
    table = count_table(np.repeat(np.arange(documents), tokens.lengths), tokens.ids, documents)
    # Nothing in it knows which lineage a text is of, so swapping A and B leaves the tails as they are.
    everything, novel = cross_fitted(table, baseline=baseline, unit=four.unit, key=four.unit, rng=rng)
    tail, _ = known_tail(everything, novel, table.lengths, baseline)
    if not four.sums(table.lengths).sum(axis=0).all() or not tail[baseline].any():
        return
    yield _Score(
        probe="tail-mass",
        statistic="tail-mass-ratio",
        unit="ratio",
        worse="lower",
        top=tail,
        bottom=table.lengths,
        scale="log",
    )


def _rare_labels(four: Quartet, rule: LabelRule) -> Iterator[_Score]:
    """Documents that carry a label outside the frequent ones that hold 90% of both baselines' labels together."""
    if rule.extract is None and any(sample.label_field is None for sample in four.samples):
        return
    tables = [sample.labels(rule) for sample in four.samples]
    names = sorted({name for table in tables for name in table.categories})
    carried = np.zeros((four.unit.size, len(names)), dtype=np.bool_)
    for corpus, (table, rows) in enumerate(zip(tables, four.rows, strict=True)):
        for name in table.categories:
            carried[four.corpus == corpus, names.index(name)] = table.carried[rows, table.names.index(name)]
    counts = carried[four.corpus % 2 == 0].sum(axis=0)
    rare = (counts > 0) & ~leading(counts, np.argsort(-counts, kind="stable"), counts.sum())
    if rare.any():
        yield _share("label-coverage", "rare-labels", "lower", np.asarray(carried[:, rare].any(axis=1)))


def _perplexity(four: Quartet) -> Iterator[_Score]:
    """Texts below the first quartile, and above the 95th percentile, of both baselines together.

    Two shares and not the mean, to which a pile of sure texts and a long right tail cancel each other.
    """
    columns = [sample.nll for sample in four.samples]
    kept = [column[rows] for column, rows in zip(columns, four.rows, strict=True) if column is not None]
    if len(kept) < 4 or max(float(np.isnan(x).mean()) for x in kept) > _MISSING:
        return
    x = np.concatenate(kept)
    known = ~np.isnan(x)
    low, high = np.quantile(x[known & (four.corpus % 2 == 0)], (0.25, 0.95))
    yield _share("perplexity", "left-mass", "higher", known & (x <= low), known)
    yield _share("perplexity", "right-mass", "higher", known & (x > high), known)


# -------------------------------------------------------------------------------------------------------------- test


def _of_sums(four: Quartet, score: _Score, swaps: npt.NDArray[np.uint8]) -> DoubleDifference:
    """The double difference of a ratio of sums, its linearised error, and its studentised test."""
    # Columns: top and bottom of the four corpora, one after the other; a swap turns the first four into the last.
    features = np.stack((four.sums(score.top), four.sums(score.bottom)), axis=2).reshape(four.units, 8)
    sums = _under_swaps(features, np.roll(features, 4, axis=1), swaps)
    # Half an occurrence more in every corpus keeps the logarithm of nothing finite (Haldane 1956).
    top, bottom = sums[:, 0::2] + (0.5 if score.scale == "log" else 0.0), sums[:, 1::2]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = top / bottom
        changes = np.log(ratio) if score.scale == "log" else ratio
        weight = _SIGNS / bottom / (ratio if score.scale == "log" else 1.0)
        # The influence of a prompt is linear in its eight columns, so its square needs only their products.
        slope = np.stack((weight, -weight * ratio), axis=2).reshape(-1, 8)
        products = _products(features), _products(np.roll(features, 4, axis=1))
        squares = _under_swaps(*products, swaps).reshape(-1, 8, 8)
        variance = np.einsum("bi,bij,bj->b", slope, squares, slope) * four.units / (four.units - 1)
        # What is left of a spread of nothing after rounding is no spread.
        scale = np.einsum("bi,bii->b", slope**2, squares)
        errors = np.sqrt(np.where(variance > 1e-12 * scale, variance, 0.0))
        difference = changes @ _SIGNS
        difference[np.abs(difference) < 1e-12 * np.abs(changes).max(axis=1)] = 0.0
        studentised = np.where((difference != 0) & np.isfinite(difference), difference / errors, difference)
    error = float(errors[0])
    if score.unit.startswith("share"):
        error = max(error, _floor(four.units))
    return DoubleDifference(
        probe=score.probe,
        statistic=score.statistic,
        unit=score.unit,
        worse=score.worse,
        scale=score.scale,
        change_a=float(changes[0, 1] - changes[0, 0]),
        change_b=float(changes[0, 3] - changes[0, 2]),
        difference=float(difference[0]),
        error=error if error > 0 else math.inf,
        p_value=permutation_p(np.abs(np.nan_to_num(studentised, nan=0.0, posinf=np.inf)), worse="higher"),
    )


def _floor(units: int) -> float:
    """Error below which no difference of shares is claimed: each of the four, seen 0 times in n, may still be 3/n."""
    return 2 * _RULE_OF_THREE / (Z * units)


def _products(features: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ui,uj->uij", features, features).reshape(len(features), -1))


def _under_swaps(columns: FloatArray, swapped: FloatArray, swaps: npt.NDArray[np.uint8]) -> FloatArray:
    """Sums of ``columns`` (shape (U, c)) with some units replaced by ``swapped`` ones, for each of ``swaps``
    (shape (B + 1, U)); gives (B + 1, c)."""
    moved = swapped - columns
    parts = [swaps[start : start + 64].astype(np.float64) @ moved for start in range(0, len(swaps), 64)]
    return np.asarray(columns.sum(axis=0) + np.concatenate(parts))


def _duplicates(four: Quartet, swaps: npt.NDArray[np.uint8]) -> DoubleDifference:
    """1 - distinct texts / texts of a corpus; under a swap the texts are counted anew."""
    coded = four.column([sample.folded for sample in four.samples]).dictionary_encode().indices.to_numpy()
    sides = np.concatenate((swaps, 1 - swaps), axis=1)
    documents = four.rows[0].size
    shares = np.empty((4, len(swaps)))
    for later in (0, 1):
        here = four.corpus % 2 == later
        block = four.unit[here] + four.units * (four.corpus[here] // 2)
        table = count_table(block, coded[here].astype(np.int64), 2 * four.units)
        shares[[later, 2 + later]] = 1.0 - sweep_distinct([table], sides) / documents
    influence = np.zeros(four.units)
    for corpus, sign in enumerate(_SIGNS):
        here = four.corpus == corpus
        table = count_table(four.unit[here], coded[here].astype(np.int64), four.units)
        left = 1.0 - (table.types.size - table.hapaxes) / np.maximum(documents - table.lengths, 1.0)
        influence += sign * jackknife(1.0 - table.types.size / documents, left)
    spread = math.sqrt(float((influence**2).sum()) * four.units / (four.units - 1))
    # Counts, so that what is equal is equal: differences of shares differ by rounding.
    difference = np.rint(documents * (_SIGNS @ shares)) / documents
    return DoubleDifference(
        probe="diversity",
        statistic="duplicates",
        unit="share of documents",
        worse="higher",
        scale="linear",
        change_a=float(shares[1, 0] - shares[0, 0]),
        change_b=float(shares[3, 0] - shares[2, 0]),
        difference=float(difference[0]),
        error=max(spread, _floor(four.units)),
        p_value=permutation_p(np.abs(difference), worse="higher"),
    )
