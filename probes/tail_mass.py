"""CA201: how much probability did the rare tail lose?"""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.design import BoolArray, Design, FloatArray
from collapse_audit.probes.estimates import ratio_of_sums
from collapse_audit.probes.pair import CURE, Pair
from collapse_audit.probes.types import Estimate, Gate, NotMeasured, probe

_HEAD = 0.90
_JUNK = 1.25
"""From this ratio of novel mass on, the generation writes so many unseen types that they must not count as tail."""


@probe(
    name="tail-mass",
    code="CA201",
    needs=("text",),
    gates=(
        Gate(
            statistic="tail-mass-ratio",
            unit="ratio",
            worse="lower",
            margin=0.80,
            because="a fifth of the rare tail's probability gone; token probabilities sharpened to p^1.07 lose as much",
        ),
    ),
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y; Chung & Romano 2013, doi 10.1214/13-AOS1090",
    since="0.1",
)
def tail_mass(pair: Pair) -> Estimate | NotMeasured:
    """How much probability did the rare tail lose?

    What it measures
        The share of tokens outside the baseline's frequent 90%, generation over baseline.

    Formula and unit
        Half of the baseline (A) defines the head: the most frequent types that hold 90% of A's tokens. The tail is
        everything else, types unseen in A included. Ratio m(generation)/m(other half of the baseline), m = tail share.

    Why it signals collapse
        Sharpened or truncated decoding takes mass from the tail. Finite-sample drift does not (tail mass is a
        martingale under resampling), so tail mass down means sharpening, and coverage down at equal mass means drift.

    When it misleads
        Junk tokens are "rare": where the generation's mass of unseen types is over 1.25 times the baseline's, only tail
        types seen in A count, and the finding says so. Against its own training texts a generation seems to lose tail
        mass that it has not lost: the finding may then pass but not fail.

    Needs
        Text.
    """
    table, side = pair.words, pair.design.side
    defining = _defining_half(pair)
    compared = ~np.isin(pair.design.unit, pair.design.unit[defining])  # a pair leaves whole
    counts = table.on(defining)
    if not counts.any() or not table.lengths[compared & ~side].any() or not table.lengths[compared & side].any():
        return NotMeasured(reason="too few texts with tokens to split the baseline in two halves")
    seen = counts > 0
    tail = ~_head(counts)
    novel = _share(pair.design, table.counts.T @ (~seen).astype(np.float64), table.lengths, compared)
    junk = novel[1] > _JUNK * novel[0]
    in_tail = np.asarray(table.counts.T @ (tail & seen if junk else tail).astype(np.float64))
    top, bottom, design = in_tail[compared], table.lengths[compared], pair.design.restricted(compared)
    if not top[~design.side].any():
        return NotMeasured(reason="the baseline has no rare tail: its most frequent types hold all of its tokens")
    if not top[design.side].any():
        # ln 0 has no interval: half an occurrence gives an upper bound of about three expected ones.
        top[np.flatnonzero(design.side)[0]] = 0.5
    return ratio_of_sums(
        top,
        bottom,
        design=design,
        relabellings=design.relabellings(pair.permutations, pair.stream("tail-mass")),
        scale="log",
        worse="lower",
        can_fail=pair.one_sided is None,
        raw={
            "tail_mass_baseline": float(top[~design.side].sum() / bottom[~design.side].sum()),
            "tail_mass_generation": float(top[design.side].sum() / bottom[design.side].sum()),
            "novel_mass_baseline": novel[0],
            "novel_mass_generation": novel[1],
            "head_types": int(np.count_nonzero(~tail)),
        },
        notes=(*(("one-sided",) if pair.one_sided else ()), *(("unseen-types-left-out",) if junk else ())),
        explanation=f"may pass but not fail, because {pair.one_sided}; {CURE}" if pair.one_sided else "",
    )


def _defining_half(pair: Pair) -> BoolArray:
    """A random half of the baseline's blocks: it defines the tail and is compared with nothing (no regression to the
    mean: types rare in the sample that defines rarity come back at a different rate)."""
    blocks = np.flatnonzero(~pair.design.side)
    chosen = pair.stream("tail-mass half").permutation(blocks)[: blocks.size // 2]
    half = np.zeros(pair.design.side.size, dtype=np.bool_)
    half[chosen] = True
    return half


def _head(counts: FloatArray) -> BoolArray:
    """The smallest set of most frequent types that holds 90% of the tokens; shape (V,)."""
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    head = np.zeros(counts.size, dtype=np.bool_)
    head[order] = before < _HEAD * counts.sum()
    return head & (counts > 0)


def _share(design: Design, top: FloatArray, bottom: FloatArray, compared: BoolArray) -> tuple[float, float]:
    sides = (compared & ~design.side, compared & design.side)
    baseline, generation = (float(top[which].sum() / bottom[which].sum()) for which in sides)
    return baseline, generation
