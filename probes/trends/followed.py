"""The statistics that are followed along generations: of every column, and of every generation when relabelled.

A probe names the function here that follows it (``followed`` of the probe).

Each is computed from a generation's documents alone (and from what the baseline calls rare), so a relabelling
of the documents changes it as it would have been had they been written by other generations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from collapse_audit.probes.pairs.tail import cross_fitted, known_tail
from collapse_audit.probes.statistics.design import FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import Scale, jackknife
from collapse_audit.probes.statistics.readings import Gate, NotMeasured, Z
from collapse_audit.probes.statistics.tables import CountTable, count_table
from collapse_audit.probes.text.labels import side_by_side
from collapse_audit.probes.text.repeats import repeated_grams
from collapse_audit.probes.text.sample import score_texts
from collapse_audit.probes.trends.succession import Succession, scaled

Direction = Literal["higher", "lower", "either"]

_MISSING = 0.05
"""Share of texts without nll from which the others are not taken for all."""
_UNEQUAL = 0.02
"""Relative difference of documents that distinct types tolerate."""
_NONE = 0.5
"""What stands for no occurrence at all under a logarithm."""
_LEAST = 1e-12
"""What stands for nothing at all under a logarithm that only relabellings, or a baseline that is left out, reach."""
_EQUAL = 1e-9
"""Heterozygosity up to which all texts are alike, but for rounding."""
HETEROZYGOSITY = "heterozygosity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """One statistic of all columns, on the scale of its slope: itself, or its natural logarithm ("log")."""

    statistic: str
    unit: str
    scale: Scale
    worse: Direction
    values: FloatArray
    """Shape (C,): the baseline's, then the generations'."""
    replicates: FloatArray
    """Shape (B + 1, G): the generations' under every relabelling, the observed first."""
    influence: FloatArray
    """Shape (K,): effect of every block on its own column's value."""
    no_baseline: str = ""
    """Why the baseline's value cannot be compared with the generations', where it cannot."""
    least_error: float = 0.0
    """Standard error below which no column's is believed."""
    notes: tuple[str, ...] = ()


Follow = Callable[[Succession], Iterable[Followed | NotMeasured]]
"""What a probe follows along generations: one or more statistics of all columns."""


def tail_mass(line: Succession) -> Iterator[Followed | NotMeasured]:
    """Share of tokens outside the most frequent types that hold 90% of half the baseline, unseen types included."""
    tail = _rare(
        line,
        line.words,
        line.words.lengths,
        statistic="tail-mass",
        unit="share of tokens",
    )
    if isinstance(tail, Followed) and line.trained_on_baseline:
        why = "the generations descend from a model trained on these very baseline texts, and seem to lose tail to them"
        tail = dataclasses.replace(tail, no_baseline=why)
    yield tail


def rare_labels(line: Succession) -> Iterator[Followed | NotMeasured]:
    """Labels outside the most frequent ones that make 90% of those of half the baseline, per document."""
    if line.label_rule is None:
        return
    _, carried = side_by_side([sample.labels(line.label_rule) for sample in line.samples])
    document, label = carried[line.layout.kept].nonzero()
    table = count_table(line.layout.block[document], label, line.layout.column.size)
    documents = np.bincount(line.layout.block).astype(np.float64)
    yield _rare(line, table, documents, statistic="rare-labels", unit="labels per document")


def mean_of_texts(score: Callable[[str], float], gate: Gate) -> Follow:
    """Follows the mean of a number of each text, as the gate of a probe made of it judges it."""

    def follow(line: Succession) -> Iterator[Followed | NotMeasured]:
        try:
            x = score_texts(score, line.texts)
        except Exception as error:  # the user's function: its finding is an error, its trend a reason
            yield NotMeasured(statistic=gate.statistic, reason=f"{type(error).__name__}: {error}")
            return
        if not np.isfinite(x).all():
            yield NotMeasured(statistic=gate.statistic, reason="a text has a value that is not a finite number")
            return
        yield ratio(
            line,
            line.layout.per_block(x),
            line.layout.per_block(np.ones_like(x)),
            scale="linear",
            worse=gate.worse,
            statistic=gate.statistic,
            unit=gate.unit,
        )

    return follow


def _rare(line: Succession, table: CountTable, bottom: FloatArray, **details: Any) -> Followed | NotMeasured:
    """Occurrences of types outside the frequent 90% of half the baseline, over ``bottom`` (shape (K,)), cross-fitted.

    Where a prompt's or group's baseline text defines what is rare, what the generations write to it stands aside too:
    it shares that text's words, and those are no longer rare then.
    """
    first, statistic = line.layout.column == 0, details["statistic"]
    if np.unique(line.layout.unit[first & (table.lengths > 0)]).size < 2:
        return NotMeasured(statistic=statistic, reason="fewer than two texts of the baseline hold any to define it")
    halvings = line.stream(statistic, of_baseline=True)
    everything, novel = cross_fitted(table, baseline=first, unit=line.layout.unit, key=line.layout.key, rng=halvings)
    top, junk = known_tail(everything, novel, table.lengths, first)
    return ratio(
        line,
        top,
        bottom,
        scale="log",
        worse="lower",
        notes=("unseen-types-left-out",) if junk else (),
        **details,
    )


def seq_rep(line: Succession) -> Iterator[Followed | NotMeasured]:
    """Repeated 4-grams of a text over its 4-grams, mean over the texts that have any (Welleck et al. 2019)."""
    repeats = repeated_grams(line.tokens)
    long_enough = line.layout.per_block(repeats.counted)
    yield ratio(
        line,
        line.layout.per_block(repeats.share),
        long_enough,
        scale="linear",
        worse="higher",
        statistic="seq-rep-4",
        unit="share of 4-grams",
        # Rule of three: where no text of n repeats anything, 3 in n still may.
        least_error=3.0 / (Z * max(float(line.layout.per_column(long_enough)[1:].min()), 1.0)),
    )


def log_perplexity(line: Succession) -> Iterator[Followed | NotMeasured]:
    """Mean of the texts' negative log-likelihood under generation 0. It falls as texts pile up where generation 0 is
    sure, and rises with a tail of texts that it would never write: either way is damage."""
    statistic = "log-perplexity"
    if any(sample.nll is None for sample in line.generations):
        yield NotMeasured(statistic=statistic, reason="the records of a generation carry no nll")
        return
    nll = [np.full(len(sample), np.nan) if sample.nll is None else sample.nll for sample in line.samples]
    x = np.concatenate(nll)[line.layout.kept]
    scored = line.layout.per_block(np.isfinite(x).astype(np.float64))
    documents = line.layout.documents[1:]
    missing = (documents - line.layout.per_column(scored)[1:]) / documents
    if missing.max() > _MISSING:
        yield NotMeasured(statistic=statistic, reason=f"{missing.max():.0%} of the texts of a generation carry no nll")
        return
    yield ratio(
        line,
        line.layout.per_block(np.nan_to_num(x)),
        scored,
        scale="linear",
        worse="either",
        statistic=statistic,
        unit="nats per token",
    )


def ratio(
    line: Succession, top: FloatArray, bottom: FloatArray, *, scale: Scale, statistic: str, **details: Any
) -> Followed | NotMeasured:
    """sum(top)/sum(bottom) of every column, or its logarithm; per-block sums of shape (K,)."""
    layout = line.layout
    below = layout.per_column(bottom)
    if not below[1:].all():
        return NotMeasured(statistic=statistic, reason="a generation holds nothing to count it in")
    if scale == "log":
        if not layout.per_column(top)[1:].any():
            return NotMeasured(statistic=statistic, reason="no generation holds any of it")
        top = _never_nothing(top, layout.column, layout.per_column(top))
    sums = line.sums(np.stack((top, bottom), axis=1))
    least = _NONE if scale == "log" else 0.0
    replicates = np.maximum(sums[:, :, 0], least) / np.maximum(sums[:, :, 1], 1.0)
    values = layout.per_column(top) / np.maximum(below, 1.0)
    influence = (top - values[layout.column] * bottom) / np.maximum(below, 1.0)[layout.column]
    if scale == "log":
        influence /= values[layout.column]
        values, replicates = np.log(values), np.log(replicates)
    return Followed(
        statistic=statistic,
        scale=scale,
        values=values,
        replicates=replicates,
        influence=influence,
        no_baseline="" if below[0] else "the baseline holds nothing to count it in",
        **details,
    )


def _never_nothing(top: FloatArray, column: IntArray, totals: FloatArray) -> FloatArray:
    """Half an occurrence in every column that has none: ln 0 has no interval; this one ends near 3 expected ones."""
    floored = top.copy()
    for empty in np.flatnonzero(totals == 0):
        floored[np.flatnonzero(column == empty)[0]] = _NONE
    return floored


def diversity(line: Succession) -> Iterator[Followed | NotMeasured]:
    """Effective tokens and heterozygosity.

    With s_a the shares of the types in block a, and means over the blocks of one generation: C = mean of s_a.s_b over
    pairs of different blocks, W = mean of s_a.s_a. Effective tokens are 1/C (over the blocks that hold any token), and
    heterozygosity is W - C: half the mean squared distance of two blocks' shares, which for texts of one word is the
    chance that two of them differ. Unbiased for what the model writes, however many texts there are.
    """
    swept = line.swept
    observed = _meetings(line, swept.squares)
    among_full = swept.meetings / np.maximum(swept.full * (swept.full - 1), 1.0)
    among_all = swept.meetings / np.maximum(swept.blocks * (swept.blocks - 1), 1.0)
    yield _effective_tokens(line, swept.held, observed, among_full)
    yield _heterozygosity(line, swept.squares, observed, swept.within / swept.blocks - among_all)


def distinct_types(line: Succession) -> Iterator[Followed | NotMeasured]:
    """Distinct types, where the generations hold equally many documents."""
    yield _distinct_types(line, line.swept.distinct)


def _meetings(line: Succession, squares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum of s_a.s_b over ordered pairs of different blocks of a column, and what is left of it without each block.

    Shapes (C,) and (K,).
    """
    shares, column = scaled(line.words, np.float64), line.layout.column
    totals = shares @ (column[:, None] == np.arange(line.layout.columns)).astype(np.float64)
    met = np.einsum("vc,vc->c", totals, totals) - line.layout.per_column(squares)
    its_own = (shares.T @ totals)[np.arange(column.size), column] - squares
    return met, met[column] - 2 * its_own


def _effective_tokens(
    line: Succession, held: FloatArray, observed: tuple[FloatArray, FloatArray], replicates: FloatArray
) -> Followed | NotMeasured:
    met, met_without = observed
    column, statistic = line.layout.column, "effective-tokens"
    full = line.layout.per_column(held)
    if not (met[1:] > _LEAST * full[1:] ** 2).all():
        return NotMeasured(statistic=statistic, reason="no two texts of a generation share a token")
    values = met / np.maximum(full * (full - 1), 1.0)
    left = full[column] - held
    without = met_without / np.maximum(left * (left - 1), 1.0)
    return Followed(
        statistic=statistic,
        unit="tokens",
        scale="log",
        worse="lower",
        values=-np.log(np.maximum(values, _LEAST)),
        replicates=-np.log(np.maximum(replicates, _LEAST)),
        influence=-_jackknifed(line, values, without),
        no_baseline="" if values[0] > _LEAST else "no two texts of the baseline share a token",
    )


def _heterozygosity(
    line: Succession, squares: FloatArray, observed: tuple[FloatArray, FloatArray], replicates: FloatArray
) -> Followed | NotMeasured:
    (met, met_without), column = observed, line.layout.column
    n, within = line.layout.per_column(np.ones_like(squares)), line.layout.per_column(squares)
    values = within / n - met / np.maximum(n * (n - 1), 1.0)
    if not (values[1:] > _EQUAL).all():
        return NotMeasured(
            statistic=HETEROZYGOSITY, reason="all texts of a generation are alike: nothing is left to lose"
        )
    left = n[column] - 1
    without = (within[column] - squares) / np.maximum(left, 1.0) - met_without / np.maximum(left * (left - 1), 1.0)
    return Followed(
        statistic=HETEROZYGOSITY,
        unit="half the mean squared distance of two texts' word shares",
        scale="log",
        worse="lower",
        values=np.log(np.maximum(values, _LEAST)),
        replicates=np.log(np.maximum(replicates, _LEAST)),
        influence=_jackknifed(line, values, without),
        no_baseline="" if values[0] > _EQUAL else "all texts of the baseline are alike",
    )


def _distinct_types(line: Succession, replicates: FloatArray) -> Followed | NotMeasured:
    documents, column = line.layout.documents, line.layout.column
    if documents[1:].max() > (1 + _UNEQUAL) * documents[1:].min():
        return NotMeasured(
            statistic="distinct-types", reason="groups hold more texts in some generations than in others"
        )
    present = line.words.counts > 0
    holders = present.astype(np.float64) @ (column[:, None] == np.arange(line.layout.columns)).astype(np.float64)
    values = np.count_nonzero(holders, axis=0).astype(np.float64)
    if not values[1:].all():
        return NotMeasured(statistic="distinct-types", reason="a generation holds no tokens")
    entries = present.tocoo()
    block = entries.coords[1]
    lone = np.bincount(block[holders[entries.coords[0], column[block]] == 1], minlength=column.size)
    fair = abs(documents[0] - documents[1]) <= _UNEQUAL * documents[1] and values[0] > 0
    return Followed(
        statistic="distinct-types",
        unit="types",
        scale="log",
        worse="lower",
        values=np.log(np.maximum(values, 1.0)),
        replicates=np.log(np.maximum(replicates, _NONE)),
        influence=_jackknifed(line, values, values[column] - lone),
        no_baseline="" if fair else "the baseline holds fewer texts than a generation, and types grow with texts",
    )


def _jackknifed(line: Succession, values: FloatArray, without: FloatArray) -> FloatArray:
    """Influence on the logarithm of ``values`` (shape (C,)) from its values without each block; both of shape (K,)."""
    influence = np.zeros_like(without)
    for column, value in enumerate(values):
        inside = line.layout.column == column
        influence[inside] = jackknife(value, without[inside]) / max(value, _LEAST)
    return influence
