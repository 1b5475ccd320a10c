"""CA204: is every kind of text still written, and has none taken over?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from collapse_audit.probes.pairs.kinds import Names
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import BoolArray
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading
from collapse_audit.probes.statistics.survival import DEPLETED, LOST, Survival, by_text, by_unit, needed_of, worst_of
from collapse_audit.probes.types import probe

_WIDE = 0.15
"""Share of both sides' texts from which a kind can have taken over: one that doubled to a fifth, or tripled."""
_REPLACED = 5
"""What came anew in place of a fifth of what went is another subject, as in token-divergence (vanished)."""
_SHOWN = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind of text on both sides."""

    column: int
    kept: Survival
    grown: Survival
    """The same with the sides exchanged: what was kept of the generation's share in the baseline."""

    @property
    def change(self) -> float:
        """Share of the generation's texts less that of the baseline's."""
        return self.kept.generation / self.kept.n_generation - self.kept.baseline / self.kept.n_baseline


@probe(
    name="mode-coverage",
    code="CA204",
    needs=("text",),
    gates=(
        Gate(
            statistic="kinds-kept",
            unit="ratio",
            worse="lower",
            margin=DEPLETED,
            pass_margin=LOST,
            because="under half of a kind's baseline share is depleted, under a quarter is as good as lost",
            part="tail",
            worst_of_many=True,
            held="every kind of text",
            plain="share of every kind of text",
            says="in {generation} the kind of text that fell most keeps {value} of its share in {baseline}",
        ),
        Gate(
            statistic="dominance",
            unit="ratio",
            worse="higher",
            margin=1 / DEPLETED,
            pass_margin=1 / LOST,
            because="a kind with twice its share takes over; where one of three is gone the others grow by half",
            worst_of_many=True,
            kind="move",
            plain="the kind of text that grew most",
            says="in {generation} one kind of text has {value} of its share in {baseline}",
        ),
    ),
    source="Fisher 1935; Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404; Lloyd 1982, doi 10.1109/TIT.1982.1056489",
    since="0.2",
    exempt={"renaming-words": "kinds are started from texts in the order of their letters, which other words change"},
)
def mode_coverage(pair: Pair) -> Iterator[Reading]:
    """Is every kind of text still written, and has none taken over?

    What it measures
        The share of every kind of text (a language, a subject, a register), before and after. Kinds are found in both
        sides together, by the words of the texts alone, or by their embeddings where the records of both sides bring
        these, from 8 groups to 40 as there are more texts, and what neighbouring groups are together. Where one side is
        longer, words are those of both sides' texts cut to a length that balances them, as for distinct words.

    Formula and unit
        kinds-kept: retained share (x/n of the generation)/(x/n of the baseline) of the kind that stands worst, with
        exact conditional bounds, and Fisher's exact test, Bonferroni-corrected over the kinds, as label-coverage has
        them: depleted if the upper bound lies under .5, present if the lower one lies over .25. dominance: the largest
        growth of a kind that holds at least .15 of both sides' texts, generation to baseline, tested the same way.
        Kinds do not depend on which text is on which side, so both tests are exact.

    Why it signals collapse
        A model that trains on what models wrote first forgets what is written seldom: a language, a subject, a source.
        Then a few kinds take the place of the others.

    When it misleads
        A kind that comes anew is no damage. Where kinds that were hardly there before hold a fifth of what went, or
        more, another subject may have taken its place: then a kind that is gone is ``changed`` and no collapse by
        itself. Growth alone is no loss either, only ``changed``: what it displaces is told by kinds-kept. Kinds are
        told by words: two sources that write alike are one kind, and what they lose is seen late. Embeddings tell what
        their model tells apart. A kind of fewer than
        60 texts on both sides together is part of a larger one.

    Needs
        Text, and where there is one the field ``embedding``. With groups, prompts or runs, whoever holds a text of a
        kind counts once.
    """
    table = _table(pair)
    if not table:
        reason = "too few texts, or words, to tell kinds of text apart"
        return iter([NotMeasured(statistic=gate.statistic, reason=reason) for gate in mode_coverage.gates])
    names = None if pair.evidence == "none" else Names(pair.tokens)
    return iter((_kept(pair, table, names), _dominance(pair, table, names)))


def _table(pair: Pair) -> list[_Kind]:
    """Every kind, on both sides; groups, prompts and runs count once."""
    design, member = pair.design, pair.kinds
    side = design.side[design.block]
    sides = [member[side == which] for which in (False, True)]
    if design.kind != "document":
        sides = [
            by_unit(carried, design.unit[design.block[side == which]])
            for carried, which in zip(sides, (False, True), strict=True)
        ]
    n, counts = [len(carried) for carried in sides], [carried.sum(axis=0) for carried in sides]
    rows = []
    for column in range(member.shape[1]):
        bounds = (math.inf, math.inf) if design.kind == "document" else by_text(design, member[:, column])
        before, after = int(counts[0][column]), int(counts[1][column])
        kept = _survival(column, before, after, n[0], n[1], bounds)
        inverse = tuple(1 / bound if bound else math.inf for bound in reversed(bounds))
        grown = _survival(column, after, before, n[1], n[0], (inverse[0] or math.inf, inverse[1] or math.inf))
        rows.append(_Kind(column=column, kept=kept, grown=grown))
    return rows


def _survival(
    column: int, before: int, after: int, n_before: int, n_after: int, bounds: tuple[float, float]
) -> Survival:
    return Survival(
        label=f"{column:03d}",
        baseline=before,
        generation=after,
        n_baseline=n_before,
        n_generation=n_after,
        by_text=bounds,
    )


def _kept(pair: Pair, table: Sequence[_Kind], names: Names | None) -> Reading:
    rows = [kind.kept for kind in table if kind.kept.baseline]
    if not rows:
        return NotMeasured(statistic="kinds-kept", reason="no kind of text stands in the baseline")
    worst, depleted, low, p_value = worst_of(rows)
    gone = max((-kind.change for kind in table if kind.kept in depleted), default=0.0)
    came = _came(pair, table)
    replaced = _replaced(gone, came)
    return Estimate(
        statistic="kinds-kept",
        value=worst.retained,
        low=low,
        high=worst.bounds[1],
        method=f"exact conditional (Clopper-Pearson); the lower bound is the least of all kinds{_by(pair)}",
        p_value=min(1.0, len(table) * p_value),
        n_baseline=worst.n_baseline,
        n_generation=worst.n_generation,
        n_needed=lambda _margin: needed_of(rows),
        raw={"kinds": len(rows), "kinds_depleted": len(depleted), "share_that_came_anew": came},
        evidence=_evidence(pair, table, sorted(rows, key=lambda row: (row.bounds[1], row.label)), names),
        kind="move" if replaced else None,
        explanation=f"{came:.0%} of the texts are of kinds that came anew" if replaced else "",
    )


def _dominance(pair: Pair, table: Sequence[_Kind], names: Names | None) -> Reading:
    """The bounds of growth are those of what the generation's share would have kept, exchanged and turned over."""
    texts = pair.kinds.shape[0]
    wide = [kind for kind in table if pair.kinds[:, kind.column].sum() >= _WIDE * texts]
    rows = [kind for kind in wide if kind.kept.baseline and kind.kept.generation]
    if not rows:
        return NotMeasured(statistic="dominance", reason="no kind of text is wide enough to take over")
    most = max(rows, key=lambda kind: (1 / kind.grown.bounds[1], kind.kept.label))
    if most.grown.bounds[1] >= DEPLETED:
        most = max(rows, key=lambda kind: (1 / max(kind.grown.bounds[0], 1e-9), kind.kept.label))
    low, high = (1 / bound if bound else math.inf for bound in reversed(most.grown.bounds))
    value = 1 / most.grown.retained
    return Estimate(
        statistic="dominance",
        value=value,
        low=min(low, value),
        high=max(high, value),
        method=f"exact conditional (Clopper-Pearson), of the kind that grew most{_by(pair)}",
        p_value=min(1.0, len(wide) * most.grown.p_value),
        n_baseline=most.kept.n_baseline,
        n_generation=most.kept.n_generation,
        n_needed=lambda _margin: needed_of([kind.grown for kind in rows]),
        raw={"kinds": len(wide)},
        evidence=_evidence(pair, table, [most.kept], names),
    )


def _by(pair: Pair) -> str:
    return "" if isinstance(pair.embedded, NotMeasured) else "; kinds of embeddings"


def _replaced(gone: float, came: float) -> bool:
    """Whether kinds that were hardly there before have taken the place of what went."""
    return gone > 0 and came * _REPLACED >= gone


def _came(pair: Pair, table: Sequence[_Kind]) -> float:
    """Share of the generation's texts that are of a kind hardly there before."""
    new = np.zeros(pair.kinds.shape[0], dtype=np.bool_)
    for kind in table:
        if kind.grown.bounds[1] < LOST and kind.kept.generation:
            new |= pair.kinds[:, kind.column]
    side: BoolArray = pair.design.side[pair.design.block]
    return float(new[side].mean())


def _evidence(
    pair: Pair, table: Sequence[_Kind], rows: Sequence[Survival], names: Names | None
) -> tuple[dict[str, object], ...]:
    """The words that name a kind, and how many texts of it either side holds."""
    if names is None:
        return ()
    columns = {kind.kept.label: kind.column for kind in table}
    shown = []
    for row in rows[:_SHOWN]:
        entry: dict[str, object] = {
            "kind": "kind of text",
            "status": row.status,
            "baseline_count": row.baseline,
            "generation_count": row.generation,
        }
        if words := names.of(pair.kinds[:, columns[row.label]]):
            entry["term"] = words
        shown.append(entry)
    return tuple(shown)
