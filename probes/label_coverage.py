"""CA203: is every category still produced, and could we have seen it at this n?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from collapse_audit.probes.packs import answers
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.prompts import compared
from collapse_audit.probes.statistics.design import Design
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured
from collapse_audit.probes.statistics.survival import DEPLETED, LOST, Survival, by_text, needed_of
from collapse_audit.probes.statistics.unseen import expected_seen
from collapse_audit.probes.text.labels import Labels, ones, spelled_alike, told_alike
from collapse_audit.probes.trends import followed
from collapse_audit.probes.types import probe


@probe(
    name="label-coverage",
    code="CA203",
    needs=("labels",),
    gates=(
        Gate(
            statistic="retained-share",
            unit="ratio",
            worse="lower",
            margin=DEPLETED,
            pass_margin=LOST,
            because="under half of a category's baseline frequency is depleted, under a quarter is as good as lost",
            part="tail",
            worst_of_many=True,
            held="every label",
            plain="share of every label",
            says="in {generation} the label that fell most keeps {value} of its share in {baseline}",
        ),
    ),
    source="Fisher 1935; Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404",
    since="0.1",
    followed=followed.rare_labels,
    compared=compared.rare_labels,
    packed=answers.named_categories,
)
def label_coverage(pair: Pair) -> Estimate | NotMeasured:
    """Is every category still produced, and could we have seen it at this n?

    What it measures
        For every category that the baseline holds: the share of its baseline frequency that the generation retained.
        The finding shows the category that stands worst, and its evidence shows all of them. Its lower bound is the
        least of all categories: all must be present for a pass.

    Formula and unit
        Retained share = (x/n of the generation)/(x/n of the baseline), with exact conditional bounds, and Fisher's
        exact test, Bonferroni-corrected over the categories. A category is depleted if its upper bound lies under .5;
        it is called lost if it was not seen at all and "0 of n" leaves less than a quarter of its baseline share. It is
        present if its lower bound lies over .25. Neither: this n cannot tell, and the probe never passes. How many
        categories to expect is estimated from all counts together (Good 1953): who was seen once was lucky.

    Why it signals collapse
        Rare categories go first. In a medical corpus they are the ones that matter.

    When it misleads
        A label rule that fails on degraded text looks like a lost class; label-divergence shows the rise of ``∅``.
        Labels that differ only by white space or case are labels of their own, and are noted: one spelled otherwise
        looks like one that was lost.

    Needs
        Labels. All texts of both sides are used, not only equally many; with groups or prompts, equally many of those.
    """
    labels = pair.labels()
    if labels is None:
        return NotMeasured(reason="no labels", neutral=not pair.labels_on_one_side)
    table = _survival(pair, *labels)
    if not table:
        return NotMeasured(reason="no baseline text carries a category")
    depleted = [row for row in table if row.bounds[1] < DEPLETED]
    worst = _worst(depleted or table, by=1 if depleted else 0)
    # Of several that are depleted the one that chance explains least is the test, and the gravest is shown.
    p_value = min((row.p_value for row in depleted), default=worst.p_value)
    seen = sum(1 for row in table if row.generation)
    counts = np.array([row.baseline for row in table], dtype=np.int64)
    expected = expected_seen(counts, table[0].n_baseline, table[0].n_generation)
    alike = spelled_alike(*labels)
    low = min(row.bounds[0] for row in table)
    return Estimate(
        value=worst.retained,
        low=min(low, worst.bounds[1]),
        high=worst.bounds[1],
        method="exact conditional (Clopper-Pearson); the lower bound is the least of all categories",
        p_value=min(1.0, len(table) * p_value),
        n_baseline=worst.n_baseline,
        n_generation=worst.n_generation,
        minimum_detectable=None,
        n_needed=lambda _margin: needed_of(table),
        raw={
            "categories": len(table),
            "categories_seen": seen,
            "categories_expected": expected,
            "categories_never_in_baseline": len({*labels[0].categories} - {row.label for row in table}),
            "unseen_mass_baseline": _unseen_mass(labels[0]),
            "unseen_mass_generation": _unseen_mass(labels[1]),
        },
        evidence=tuple(_evidence(row) for row in table) if pair.evidence != "none" else (),
        notes=("labels-spelled-alike",) if alike else (),
        explanation="; ".join(
            filter(
                None,
                (
                    _explanation(depleted or [worst], seen, len(table), expected, named=pair.evidence != "none"),
                    told_alike(alike, named=pair.evidence != "none"),
                ),
            )
        ),
    )


def _unseen_mass(labels: Labels) -> float | None:
    """Good-Turing: the share of label mentions whose label has not been seen yet, N1/N; None where nobody carries one.

    Good 1953, doi 10.1093/biomet/40.3-4.237.
    """
    categories = set(labels.categories)
    counts = labels.counts[[name in categories for name in labels.names]]
    return float(np.count_nonzero(counts == 1) / counts.sum()) if counts.any() else None


def _survival(pair: Pair, baseline: Labels, generation: Labels) -> tuple[Survival, ...]:
    """One row a category that the baseline carries. Groups and prompts count once: texts of one patient, or answers to
    one prompt, are not independent."""
    counted = _counted(pair)
    if counted is not None:
        return counted
    design, sides = pair.design, []
    for labels, side, first in ((baseline, False, 0), (generation, True, len(pair.baseline))):
        carried = labels.carried
        if design.kind != "document":
            here = design.side[design.block] == side
            carried = _by_unit(carried[design.kept[here] - first], design.unit[design.block[here]])
        sides.append((carried.shape[0], dict(zip(labels.names, carried.sum(axis=0).tolist(), strict=True))))
    (n_baseline, before), (n_generation, after) = sides
    return tuple(
        Survival(
            label=label,
            baseline=before[label],
            generation=after.get(label, 0),
            n_baseline=n_baseline,
            n_generation=n_generation,
            by_text=(math.inf, math.inf)
            if design.kind == "document"
            else _by_text(design, label, baseline, generation),
        )
        for label in baseline.categories
        if before[label]
    )


def _counted(pair: Pair) -> tuple[Survival, ...] | None:
    """The same over all documents, where labels stand in a field and were counted."""
    if pair.whole is None or pair.label_rule is None or pair.label_rule.extract is not None:
        return None
    before, after = (side.labels for side in pair.whole)
    if before is None or after is None:
        return None
    return tuple(
        Survival(
            label=label,
            baseline=before[label],
            generation=after.get(label, 0),
            n_baseline=pair.whole[0].documents,
            n_generation=pair.whole[1].documents,
        )
        for label in sorted(before)
    )


def _by_text(design: Design, label: str, *sides: Labels) -> tuple[float, float]:
    """90% interval of the ratio of the shares of texts that carry ``label``, groups or prompts as units."""
    carried = np.concatenate(
        [s.column(label) if label in s.names else np.zeros(s.carried.shape[0], bool) for s in sides]
    )[design.kept]
    return by_text(design, carried)


def _by_unit(carried: csr_array, unit: npt.NDArray[np.int64]) -> csr_array:
    """Whether any text of a unit carries the label; one row a unit."""
    units, row = np.unique(unit, return_inverse=True)
    document, label = carried.nonzero()
    return ones(row[document], label, (units.size, carried.shape[1]))


def _worst(rows: Sequence[Survival], *, by: int) -> Survival:
    """The category that retained least, by its lower (0) or upper (1) bound."""
    return min(rows, key=lambda row: (row.bounds[by], row.retained, row.label))


def _evidence(row: Survival) -> dict[str, object]:
    low, high = row.bounds
    return {
        "kind": "label",
        "label": row.label,
        "status": row.status,
        "baseline_count": row.baseline,
        "generation_count": row.generation,
        "expected_count": row.baseline / row.n_baseline * row.n_generation,
        "retained": row.retained,
        "retained_low": low,
        "retained_high": high if math.isfinite(high) else None,
        "p_value": row.p_value,
    }


def _explanation(rows: Sequence[Survival], seen: int, categories: int, expected: float, *, named: bool) -> str:
    """Every depleted category, or the worst of those that are not, the gravest first."""
    counts = "; ".join(
        f"{row.label if named else 'a category'}: {row.generation} of {row.n_generation} texts against "
        f"{row.baseline} of {row.n_baseline}"
        for row in sorted(rows, key=lambda row: (row.bounds[1], row.label))
    )
    return f"{seen} of {categories} categories seen, {expected:.2f} expected; {counts}"
