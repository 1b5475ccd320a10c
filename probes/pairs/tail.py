"""The rare tail of a vocabulary: where it begins, when unseen words must not count as it, and what is left of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.pairs.pair import CURE
from collapse_audit.probes.statistics.design import BoolArray, Design, FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import permutation_p, ratio_of_sums, studentised_changes
from collapse_audit.probes.statistics.readings import NotMeasured, Reading
from collapse_audit.probes.statistics.tables import CountTable, side_sums

HEAD = 0.90
"""Share of the tokens that the most frequent types hold together; the tail is everything else."""
HALVINGS = 20
"""How often the baseline is halved: from one halving to 20, the spread between seeds falls by a factor of 3 to 5."""
JUNK = 1.25
"""From this ratio of novel mass on, there are so many lone types that they must not count as tail."""


def head(counts: FloatArray | IntArray, rng: np.random.Generator | None, *, tokens: float | None = None) -> BoolArray:
    """The smallest set of most frequent types that holds 90% of the tokens, or all of them; shape (V,).

    ``tokens``: how many there are, where ``counts`` (V,) does not hold all types. Ties are broken at random: most
    orders in which a table holds its types know of the texts that are compared. Without ``rng`` they stand in the
    order of ``counts``, for a table whose order (the spelling, say) does not.
    """
    order = np.argsort(-counts, kind="stable") if rng is None else np.lexsort((rng.random(counts.size), -counts))
    total = counts.sum() if tokens is None else tokens
    first = np.zeros(counts.size, dtype=np.bool_)
    first[order] = np.cumsum(counts[order]) - counts[order] < HEAD * total
    return first & (counts > 0)


def tail_tokens(table: CountTable, head: BoolArray, unseen: BoolArray) -> FloatArray:
    """Tokens of every block outside the head, and those of ``unseen`` types among them; shape (2, K).

    ``head``, ``unseen``: types, shape (V,). Every statistic of the tail is a ratio of sums of these.
    """
    types = np.stack((~head, unseen), axis=1).astype(np.float64)
    return np.asarray(table.counts.T @ types).T


def lone(table: CountTable, counts: FloatArray) -> BoolArray:
    """Types that ``counts`` (V,), of whatever defines a tail, do not hold, and of all blocks one alone; shape (V,).

    Gibberish seldom comes twice. The words of another subject do: they are a tail as good as the one they replace,
    and were they left out, a subject that moved would look like a tail that was lost. No relabelling changes them.
    """
    return np.asarray((counts == 0) & (table.frequency == 1))


def cross_fitted(
    table: CountTable, *, baseline: BoolArray, unit: IntArray, key: IntArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Tokens of the tail in every block, and those of types that are :func:`lone`; each of shape (K,).

    Types that are rare in the sample that defines rarity come back at another rate, so no text may stand in the tail
    that it defined. The baseline's units are halved at random, time and again; each half defines a tail, which is
    counted in the blocks of all other units, and a block's count is the mean over the tails that it may be counted in
    (cross-fitting; Chernozhukov et al. 2018, doi 10.1111/ectj.12097). One half alone would let chance decide on which
    side of the edge a word stands that the generation repeats.

    ``baseline`` (K,): blocks that may define. ``unit`` (K,): blocks of one unit stand aside together. ``key`` (K,):
    blocks of one key are written to the same prompt, and share its words.
    """
    sums, times = np.zeros((2, unit.size)), np.zeros(unit.size)
    definitions = halves(unit[baseline], rng)
    unit = partnered(unit, key, baseline, rng)
    for half in definitions:
        aside = np.isin(unit, half)
        counts = table.on(aside & baseline)
        if counts.any():
            sums += tail_tokens(table, head(counts, rng), lone(table, counts)) * ~aside
            times += ~aside
    everything, novel = np.divide(sums, times, out=np.zeros_like(sums), where=times > 0)
    return everything, novel


def partnered(unit: IntArray, key: IntArray, baseline: BoolArray, rng: np.random.Generator) -> IntArray:
    """The units by which blocks stand aside while a half defines the tail, as labels; shape (K,).

    A baseline's block keeps its own: it is never counted in a tail that it defined. So does a generation's block that
    shares its unit with one of the baseline's (a pair). Every other block of the generation takes the unit of a
    baseline block drawn at random from those of its ``key``, and stands aside whenever that one defines: answers to one
    prompt share its words, so without this a generation would meet its prompt's words in the tail more often than the
    baseline's own answers may. A block whose key no baseline block has keeps its unit.
    """
    drawn = unit.copy()
    place = np.flatnonzero(baseline)[np.argsort(key[baseline], kind="stable")]
    unpaired = np.flatnonzero(~baseline & ~np.isin(unit, unit[baseline]))
    first, last = (np.searchsorted(key[place], key[unpaired], side) for side in ("left", "right"))
    chosen = first + (rng.random(unpaired.size) * (last - first)).astype(np.int64)
    shares = first < last
    drawn[unpaired[shares]] = unit[place[chosen[shares]]]
    return drawn


def set_aside(side: BoolArray, unit: IntArray, rng: np.random.Generator) -> tuple[BoolArray, BoolArray]:
    """Blocks that define what is rare, and blocks that are compared; all of shape (K,).

    A random half of the baseline's units defines and is compared with nothing (no regression to the mean: what is rare
    in the sample that defines rarity comes back at a different rate). A pair leaves the comparison whole.
    """
    units = np.unique(unit[~side])
    taken = np.isin(unit, rng.permutation(units)[: units.size // 2])
    return taken & ~side, ~taken


def halves(units: IntArray, rng: np.random.Generator) -> list[IntArray]:
    """Both halves of every halving of the distinct ``units``."""
    distinct = np.unique(units)
    return [half for _ in range(HALVINGS) for half in np.split(rng.permutation(distinct), [distinct.size // 2])]


def known_tail(
    everything: FloatArray, novel: FloatArray, tokens: FloatArray, baseline: BoolArray
) -> tuple[FloatArray, bool]:
    """The tail that counts, and whether lone types are left out of it; per-block sums, shape (K,).

    Decided on all that is not ``baseline`` together, so that no relabelling of it changes the answer.
    """
    before, after = (novel[on].sum() / max(tokens[on].sum(), 1.0) for on in (baseline, ~baseline))
    junk = bool(after > JUNK * before)
    return (everything - novel if junk else everything), junk


def tail_p(
    everything: FloatArray, novel: FloatArray, tokens: FloatArray, *, design: Design, drawn: npt.NDArray[np.uint8]
) -> float:
    """p-value of "the tail's share did not fall" under the relabellings ``drawn``; per-block sums, shape (K,).

    Exact where the definition of the tail knows of no block that is relabelled: whether lone types count is decided
    anew under every relabelling.
    """
    both, known = (
        studentised_changes(top, tokens, design=design, relabellings=drawn, scale="log")
        for top in (everything, everything - novel)
    )
    return permutation_p(np.where(_junk(novel, tokens, drawn), known, both), worse="lower")


def tail_ratio(
    everything: FloatArray,
    novel: FloatArray,
    tokens: FloatArray,
    *,
    design: Design,
    p_value: float,
    one_sided: str | None,
    raw: Mapping[str, Any],
    notes: tuple[str, ...] = (),
    deciding: float = 0.0,
) -> Reading:
    """Share of ``everything`` outside the head in ``tokens``, generation over baseline; per-block sums, shape (K,).

    ``novel``: those of it that are :func:`lone`. Where there are too many, they do not count.
    ``deciding``: the standard error behind ``p_value``, where it is not the interval's.
    """
    junk = bool(_junk(novel, tokens, design.side[None].astype(np.uint8))[0])
    top = everything - novel if junk else everything
    if not top[~design.side].any():
        held = "hold all of its tokens but lone ones, left out as junk" if junk else "hold all of its tokens"
        return NotMeasured(reason=f"the baseline has no rare tail: its most frequent types {held}")
    shares = {
        f"{name}_mass_{which}": float(mass[on].sum() / tokens[on].sum())
        for name, mass in (("tail", top), ("novel", novel))
        for which, on in (("baseline", ~design.side), ("generation", design.side))
    }
    return ratio_of_sums(
        top,
        tokens,
        design=design,
        p_value=p_value,
        deciding=deciding,
        scale="log",
        worse="lower",
        can_fail=one_sided is None,
        raw={**shares, **raw},
        notes=(*(("one-sided",) if one_sided else ()), *(("unseen-types-left-out",) if junk else ()), *notes),
        explanation=f"may pass but not fail, because {one_sided}; {CURE}" if one_sided else "",
    )


def _junk(novel: FloatArray, tokens: FloatArray, drawn: npt.NDArray[np.uint8]) -> BoolArray:
    """Under every relabelling: does the generation write so many lone types that they must not count as tail?"""
    baseline, generation = side_sums(np.stack((novel, tokens), axis=1), drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(generation[:, 0] / generation[:, 1] > JUNK * baseline[:, 0] / baseline[:, 1])
