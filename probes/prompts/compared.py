"""What is compared between two lineages that answered the same prompts: numbers an answer, that add up over prompts.

A probe names the function here that compares it (``compared`` of the probe).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from collapse_audit.probes.pairs.tail import cross_fitted, head, known_tail
from collapse_audit.probes.prompts.quartet import Answers
from collapse_audit.probes.statistics.design import BoolArray, FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import Scale
from collapse_audit.probes.statistics.readings import Gate, Worse
from collapse_audit.probes.statistics.tables import count_table
from collapse_audit.probes.text.labels import side_by_side
from collapse_audit.probes.text.repeats import repeated_grams
from collapse_audit.probes.text.sample import score_texts

_MISSING = 0.05
"""Share of answers without nll from which the others are not taken for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A statistic sum(top) / sum(bottom) of a corpus; arrays of shape (D,)."""

    statistic: str
    unit: str
    worse: Worse
    top: FloatArray
    bottom: FloatArray
    scale: Scale = "linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """1 - distinct texts / texts of a corpus, which is no sum over prompts."""

    statistic: str
    unit: str
    worse: Worse
    texts: IntArray
    """Shape (D,): equal where two texts are."""


Compare = Callable[[Answers], Iterable[Ratio | Duplicates]]
"""What a probe compares between two lineages."""


def repetition(answers: Answers) -> Iterator[Ratio]:
    """Share of repeated 4-grams of a text, and texts that loop."""
    repeats = repeated_grams(answers.matched)
    share, counted = repeats.share, repeats.counted
    if answers.everywhere(counted):
        yield Ratio(statistic="seq-rep-4", unit="share of 4-grams", worse="higher", top=share, bottom=counted)
    yield _share("looping", "higher", answers.loops)


def empty(answers: Answers) -> Iterator[Ratio]:
    """Texts of nothing but white space."""
    yield _share("empty", "higher", np.asarray(pc.equal(answers.folded, "")))


def duplicates(answers: Answers) -> Iterator[Duplicates]:
    """Texts that are copies of others of their corpus."""
    yield Duplicates(
        statistic="duplicates",
        unit="share of documents",
        worse="higher",
        texts=answers.folded.dictionary_encode().indices.to_numpy().astype(np.int64),
    )


def mean_of_texts(score: Callable[[str], float], gate: Gate) -> Compare:
    """Compares the mean of a number of each text; nothing where the function fails, as the audits then say."""

    def compare(answers: Answers) -> Iterator[Ratio]:
        try:
            x = score_texts(score, answers.texts)
        except Exception:  # the user's function: the findings of both audits are errors already
            return
        if np.isfinite(x).all():
            yield Ratio(statistic=gate.statistic, unit=gate.unit, worse=gate.worse, top=x, bottom=np.ones_like(x))

    return compare


def _share(statistic: str, worse: Worse, hits: BoolArray, known: BoolArray | None = None) -> Ratio:
    bottom = np.ones(hits.size) if known is None else known.astype(np.float64)
    top = hits.astype(np.float64)
    return Ratio(statistic=statistic, unit="share of documents", worse=worse, top=top, bottom=bottom)


def tail_mass(answers: Answers) -> Iterator[Ratio]:
    """The rare tail of both baselines together; a prompt is counted in the tails that other prompts tell."""
    if not answers.fair:
        return
    unit, baseline, tokens = answers.four.unit, answers.baseline, answers.tokens
    table = count_table(np.repeat(np.arange(unit.size), tokens.lengths), tokens.ids, unit.size)
    # Nothing in it knows which lineage a text is of, so swapping A and B leaves the tails as they are.
    everything, novel = cross_fitted(table, baseline=baseline, unit=unit, key=unit, rng=answers.rng)
    tail, _ = known_tail(everything, novel, table.lengths, baseline)
    if answers.everywhere(table.lengths) and tail[baseline].any():
        yield Ratio(
            statistic="tail-mass-ratio", unit="ratio", worse="lower", top=tail, bottom=table.lengths, scale="log"
        )


def rare_labels(answers: Answers) -> Iterator[Ratio]:
    """Documents that carry a label outside the frequent ones that hold 90% of both baselines' labels together."""
    rule, four = answers.label_rule, answers.four
    if rule is None or (rule.extract is None and any(sample.label_field is None for sample in four.samples)):
        return
    tables = [sample.labels(rule) for sample in four.samples]
    _, carried = side_by_side(tables, four.rows, categories=True)
    counts = carried[answers.baseline].sum(axis=0)
    rare = (counts > 0) & ~head(counts, None)  # the names stand in the order of their spelling
    if rare.any():
        yield _share("rare-labels", "lower", np.asarray(carried[:, rare].sum(axis=1) > 0))


def perplexity(answers: Answers) -> Iterator[Ratio]:
    """Texts below the first quartile, and above the 95th percentile, of both baselines together.

    Two shares and not the mean, to which a pile of sure texts and a long right tail cancel each other.
    """
    if not answers.same_scorer:
        return
    four = answers.four
    columns = [sample.nll for sample in four.samples]
    kept = [column[rows] for column, rows in zip(columns, four.rows, strict=True) if column is not None]
    if len(kept) < 4 or max(float(np.isnan(x).mean()) for x in kept) > _MISSING:
        return
    x = np.concatenate(kept)
    known = ~np.isnan(x)
    low, high = np.quantile(x[known & answers.baseline], (0.25, 0.95))
    yield _share("left-mass", "higher", known & (x <= low), known)
    yield _share("right-mass", "higher", known & (x > high), known)
