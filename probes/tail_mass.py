"""CA201: how much probability did the rare tail lose?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.design import BoolArray, FloatArray
from collapse_audit.probes.estimates import ratio_of_sums, studentised_changes
from collapse_audit.probes.pair import CURE, Pair
from collapse_audit.probes.tables import CountTable, side_sums
from collapse_audit.probes.types import Gate, NotMeasured, Reading, probe

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
            because="a fifth of the rare tail's probability gone; word probabilities to the power 1.05 keep .78 to .81",
        ),
    ),
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y; Chung & Romano 2013, doi 10.1214/13-AOS1090",
    since="0.1",
)
def tail_mass(pair: Pair) -> Reading:
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
    table = pair.words
    defining, compared = _halves(pair)
    counts = table.on(defining)
    design = pair.design.restricted(compared)
    tokens = table.lengths[compared]
    if not counts.any() or not tokens[~design.side].any() or not tokens[design.side].any():
        return NotMeasured(reason="too few texts with tokens to split the baseline in two halves")
    drawn = design.relabellings(pair.permutations, pair.stream("tail-mass"))
    tail, seen = ~_head(counts, pair.stream("tail-mass ties")), counts > 0
    everything, known, novel = (_mass(table, types)[compared] for types in (tail, tail & seen, ~seen))
    junk = _junk(novel, tokens, drawn)
    # Whether unseen types count is decided anew under every relabelling: the test stays exact.
    changes = [
        studentised_changes(top, tokens, design=design, relabellings=drawn, scale="log") for top in (everything, known)
    ]
    top = known if junk[0] else everything
    if not top[~design.side].any():
        return NotMeasured(reason="the baseline has no rare tail: its most frequent types hold all of its tokens")
    one_sided = pair.one_sided
    shares = {
        f"{name}_mass_{which}": float(mass[on].sum() / tokens[on].sum())
        for name, mass in (("tail", top), ("novel", novel))
        for which, on in (("baseline", ~design.side), ("generation", design.side))
    }
    return ratio_of_sums(
        top,
        tokens,
        design=design,
        relabellings=drawn,
        studentised=np.where(junk, changes[1], changes[0]),
        scale="log",
        worse="lower",
        can_fail=one_sided is None,
        raw={**shares, "head_types": int(np.count_nonzero(~tail))},
        notes=(*(("one-sided",) if one_sided else ()), *(("unseen-types-left-out",) if junk[0] else ())),
        explanation=f"may pass but not fail, because {one_sided}; {CURE}" if one_sided else "",
    )


def _halves(pair: Pair) -> tuple[BoolArray, BoolArray]:
    """Blocks that define the tail, and blocks that are compared; both of shape (K,).

    A random half of the baseline's units defines the tail and is compared with nothing (no regression to the mean:
    types rare in the sample that defines rarity come back at a different rate). A pair leaves the comparison whole.
    """
    side, unit = pair.design.side, pair.design.unit
    units = np.unique(unit[~side])
    chosen = pair.stream("tail-mass half").permutation(units)[: units.size // 2]
    taken = np.isin(unit, chosen)
    return taken & ~side, ~taken


def _mass(table: CountTable, types: BoolArray) -> FloatArray:
    """Tokens of the given types in every block; shape (K,)."""
    return np.asarray(table.counts.T @ types.astype(np.float64))


def _junk(novel: FloatArray, tokens: FloatArray, drawn: npt.NDArray[np.uint8]) -> BoolArray:
    """Under every relabelling: does the generation write so many unseen types that they must not count as tail?"""
    baseline, generation = side_sums(np.stack((novel, tokens), axis=1), drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(generation[:, 0] / generation[:, 1] > _JUNK * baseline[:, 0] / baseline[:, 1])


def _head(counts: FloatArray, rng: np.random.Generator) -> BoolArray:
    """The smallest set of most frequent types that holds 90% of the tokens; shape (V,).

    Ties are broken at random: any order in which the table holds its types knows of the texts that are compared.
    """
    order = np.lexsort((rng.random(counts.size), -counts))
    before = np.cumsum(counts[order]) - counts[order]
    head = np.zeros(counts.size, dtype=np.bool_)
    head[order] = before < _HEAD * counts.sum()
    return head & (counts > 0)
