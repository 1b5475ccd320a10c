"""CA805: is every group of numbers still there?"""

from __future__ import annotations

import math
import warnings

import numpy as np

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import BoolArray, FloatArray, IntArray
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading
from collapse_audit.probes.statistics.survival import DEPLETED, LOST, Survival, by_text, by_unit, needed_of, worst_of
from collapse_audit.probes.types import probe

_EACH = 60
"""Records of both sides together for every group that is looked for …"""
_MOST = 16
"""… and the most of them."""
_REPLACED = 5
"""What came anew in place of a fifth of what went is another distribution, as in mode-coverage."""
_ANEW = 100
"""Times its share in the baseline that a group must hold to have come anew: one that only grew took the place of those
that were lost, as states do that drift."""
_SHOWN = 5


@probe(
    name="numeric-modes",
    code="CA805",
    needs=("numeric",),
    gates=(
        Gate(
            statistic="groups-kept",
            unit="ratio",
            worse="lower",
            margin=DEPLETED,
            pass_margin=LOST,
            because="under half of a group's baseline share is depleted, under a quarter is as good as lost",
            part="tail",
            worst_of_many=True,
            held="every group of numbers",
            plain="share of every group of numbers",
            says="in {generation} the group of numbers that fell most keeps {value} of its share in {baseline}",
        ),
    ),
    source="Fisher 1935; Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404; Lloyd 1982, doi "
    "10.1109/TIT.1982.1056489; Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y (modes that thin out and merge)",
    since="0.2",
)
def numeric_modes(pair: Pair) -> Reading:
    """Is every group of numbers still there?

    What it measures
        The share of every group of numbers (a mode, a state of a chain, a kind of picture), before and after. Groups
        are found in both sides together: values themselves where there are at most 16 of them, else k-means.

    Formula and unit
        Retained share (x/n of the generation)/(x/n of the baseline) of the group that stands worst, with exact
        conditional bounds, and Fisher's exact test, Bonferroni-corrected over the groups: depleted if the upper bound
        lies under .5, present if the lower one lies over .25. One group for every 60 records of both sides, 2 to 16;
        every number in standard deviations of both sides. Groups do not depend on who is on which side, so the test is
        exact.

    Why it signals collapse
        A mixture that is fitted to its own output loses its smaller mode and merges the others; a chain of states
        loses those that no sample caught, for good.

    When it misleads
        Of one hump the groups are slices: a lost outer slice is a lost tail. Where groups that were hardly there before
        hold a fifth of what went, the numbers have moved: then a group that is gone is ``changed`` and no loss by
        itself. A group with a hundredth of its share in the baseline was hardly there.

    Needs
        ``numeric``: a number, or equally many numbers, in every record. With groups, prompts or runs of records,
        whoever holds a number of a group counts once.
    """
    x = pair.numeric
    if isinstance(x, NotMeasured):
        return x
    group, centres = _groups(x, pair.stream("numeric-modes"))
    if len(centres) < 2:
        return NotMeasured(reason="all numbers of both sides are alike", neutral=False)
    rows = _table(pair, group, len(centres))
    kept = [row for row in rows if row.baseline]
    worst, depleted, low, p_value = worst_of(kept)
    came = _came(rows, pair, group)
    gone = max((row.baseline / row.n_baseline - row.generation / row.n_generation for row in depleted), default=0.0)
    moved = gone > 0 and came * _REPLACED >= gone
    return Estimate(
        value=worst.retained,
        low=low,
        high=worst.bounds[1],
        method="exact conditional (Clopper-Pearson); the lower bound is the least of all groups",
        p_value=min(1.0, len(rows) * p_value),
        n_baseline=worst.n_baseline,
        n_generation=worst.n_generation,
        n_needed=lambda _margin: needed_of(kept),
        raw={"groups": len(kept), "groups_depleted": len(depleted), "share_that_came_anew": came},
        evidence=_evidence(pair, kept, centres),
        kind="move" if moved else None,
        explanation=f"{came:.0%} of the numbers are of groups that came anew" if moved else "",
    )


def _groups(x: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """The group of each of D records, and the M groups' centres, shape (M, W)."""
    values, which = np.unique(x, axis=0, return_inverse=True)
    if len(values) <= _MOST:
        return which.ravel(), values
    from scipy.cluster.vq import kmeans2

    spread = x.std(axis=0)
    scaled = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a group that stays empty: it is left out below
        which = kmeans2(scaled, min(max(len(x) // _EACH, 2), _MOST), minit="++", seed=rng)[1]
    which = np.unique(which, return_inverse=True)[1]
    centres = [x[which == number].mean(axis=0) for number in range(int(which.max()) + 1)]
    order = np.lexsort(np.array(centres).T[::-1])
    return np.argsort(order)[which], np.array(centres)[order]


def _table(pair: Pair, group: IntArray, count: int) -> list[Survival]:
    """Every group on both sides; groups of records, prompts and runs count once."""
    design, side = pair.design, pair.design.side[pair.design.block]
    member: BoolArray = group[:, None] == np.arange(count)
    sides = [member[side == which] for which in (False, True)]
    if design.kind != "document":
        sides = [
            by_unit(carried, design.unit[design.block[side == which]])
            for carried, which in zip(sides, (False, True), strict=True)
        ]
    return [
        Survival(
            label=f"{column:03d}",
            baseline=int(sides[0][:, column].sum()),
            generation=int(sides[1][:, column].sum()),
            n_baseline=len(sides[0]),
            n_generation=len(sides[1]),
            by_text=(math.inf, math.inf) if design.kind == "document" else by_text(design, member[:, column]),
        )
        for column in range(count)
    ]


def _came(rows: list[Survival], pair: Pair, group: IntArray) -> float:
    """Share of the generation's records in groups that were hardly there before."""
    shares = [(row.baseline / row.n_baseline, row.generation / row.n_generation) for row in rows]
    new = [place for place, (before, after) in enumerate(shares) if _ANEW * before < after]
    return float(np.isin(group[pair.design.side[pair.design.block]], new).mean())


def _evidence(pair: Pair, rows: list[Survival], centres: FloatArray) -> tuple[dict[str, object], ...]:
    """The groups that stand worst: where they lie, and how many records of them either side holds."""
    if pair.evidence == "none":
        return ()
    return tuple(
        {
            "kind": "group of numbers",
            "term": "around " + ", ".join(f"{number:.3g}" for number in centres[int(row.label)][:8]),
            "status": row.status,
            "baseline_count": row.baseline,
            "generation_count": row.generation,
        }
        for row in sorted(rows, key=lambda row: (row.bounds[1], row.label))[:_SHOWN]
    )
