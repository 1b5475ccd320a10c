"""CA202: how many rare types vanished beyond what sampling explains?"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from collapse_audit.probes.packs import answers
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.richness import Richness, distinct_ratio, lengths_of, lone_types, richness
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, RawPanel
from collapse_audit.probes.statistics.tables import COARSE_BLOCKS, CountTable
from collapse_audit.probes.text.tokens import Tokens, in_one_case, uncased
from collapse_audit.probes.trends import followed
from collapse_audit.probes.types import probe

_SHOWN = 10
_ONE_CASE = 0.1
"""Share of all texts in one case from which case is a habit of the writer, and no word is lost with it."""


@probe(
    name="tail-coverage",
    code="CA202",
    needs=("text",),
    gates=(
        Gate(
            statistic="distinct-types",
            unit="ratio",
            worse="lower",
            margin=0.90,
            because="one distinct type in ten gone at equal n; word probabilities sharpened to p^1.05 keep .91 to .94",
            trend="distinct-types",
            part="tail",
            mechanism="drift",
            depends_on_n=True,
            held="distinct types",
            panels=(
                RawPanel(
                    picture="unique",
                    title="Unique patterns",
                    unit="share of texts",
                    baseline="unique_patterns_baseline",
                    generation="unique_patterns_generation",
                ),
            ),
            plain="distinct words",
            says="{generation} uses {value} of the distinct words of {baseline}",
        ),
    ),
    source="Hurlbert 1971, doi 10.2307/1934145; Efron & Stein 1981, doi 10.1214/aos/1176345462; "
    "Cochran 1977, Sampling Techniques, ch. 7 (regression estimator)",
    since="0.1",
    followed=followed.distinct_types,
    packed=answers.tail_coverage,
)
def tail_coverage(pair: Pair) -> Estimate | NotMeasured:
    """How many rare types vanished beyond what sampling explains?

    What it measures
        Distinct token types of the generation over those of its baseline, in equally many documents (and, where one
        side writes shorter texts, in equally many tokens). Where one text in ten of both sides together is written in
        small letters or capitals only, "The" and "the" are one type: a change of case loses no word.

    Formula and unit
        Ratio S(generation)/S(baseline), S = number of distinct types, less what the mean lengths explain that
        chance left unequal (least squares over texts). 1 = no change.

    Why it signals collapse
        Resampling from finite data makes rare types vanish for good although their expected mass stays the same
        (Shumailov et al. 2024, theorem 3.1): coverage falls first, and tail mass alone is blind to it.

    When it misleads
        A generator that emits junk tokens has many distinct types; look at token-divergence then.

    Needs
        Text.

    Raw numbers
        Share of unique patterns (numbers masked, white space folded) of both sides at equal n, and frequent baseline
        types that the generation never wrote, beside how many chance would make vanish.
    """
    tokens = _comparable(pair)
    if tokens is pair.tokens:
        table = pair.words
        types = Richness(
            distinct=pair.words_swept.distinct,
            lone=lone_types(table, pair.design.side),
            single=table.hapaxes,
            types=table.types.size,
        )
    else:
        table = pair.table(tokens)
        types = richness([table], pair)
    gone = _vanished(table, pair.design.side)
    return distinct_ratio(
        pair,
        types,
        what="tokens",
        lengths=lengths_of(tokens, pair.design),
        raw={
            "distinct_baseline": int(types.distinct[0, 0]),
            "distinct_generation": int(types.distinct[1, 0]),
            "vanished_types": int(gone.size),
            "vanished_types_by_chance": _vanished_by_chance(table, pair.design.side),
            **_unique_patterns(pair),
            "coverage_by_rank": _by_rank(table, pair.design.side),
        },
        evidence=_terms(pair, tokens, table, gone) if pair.evidence != "none" else (),
        notes=(
            *(("length-matched",) if pair.matched_length is not None else ()),
            *(("case-folded",) if tokens is not pair.matched else ()),
        ),
    )


def _comparable(pair: Pair) -> Tokens:
    """The tokens at the common length, without case where many texts are written in one.

    Asked of all texts, whichever side they stand on, so that swapping stays exact.
    """
    if in_one_case(pair.tokens).mean() < _ONE_CASE:
        return pair.matched
    folded = uncased(pair.matched)
    return folded if len(folded.vocabulary) < len(pair.matched.vocabulary) else pair.matched


def _vanished(table: CountTable, side: np.ndarray) -> np.ndarray:
    """Rows of types in at least 5 baseline blocks and in none of the generation's, the most frequent first."""
    baseline = table.blocks_on(~side)
    rows = np.flatnonzero((baseline >= COARSE_BLOCKS) & (baseline == table.frequency))
    return rows[np.argsort(-baseline[rows], kind="stable")]


def _vanished_by_chance(table: CountTable, side: np.ndarray) -> float:
    """Expected number of types of 5 or more blocks that all fall on the baseline's side: sum C(n, f)/C(N, f)."""
    n, total = np.count_nonzero(~side), side.size
    f = table.frequency[: table.coarse]
    f = f[f <= n]
    return float(np.exp(gammaln(n + 1) - gammaln(n - f + 1) - gammaln(total + 1) + gammaln(total - f + 1)).sum())


def _by_rank(table: CountTable, side: np.ndarray) -> list[dict[str, int]]:
    """Distinct types of both sides in classes of types, from the most frequent to the rarest.

    A class holds the types that stand in 1, 2, 3 to 4, 5 to 8, … blocks of the two sides together: types of one
    frequency, whose ranks are tied, are never parted, and neither side is favoured. ``rank`` is that of its last type.
    """
    present = [table.blocks_on(which) > 0 for which in (~side, side)]
    classes = np.ceil(np.log2(table.frequency)).astype(np.int64)
    ends = np.flatnonzero(np.diff(classes, append=-1)) + 1
    return [
        {
            "rank": int(end),
            "baseline": int(np.count_nonzero(present[0][start:end])),
            "generation": int(np.count_nonzero(present[1][start:end])),
        }
        for start, end in zip((0, *ends)[:-1], ends, strict=True)
    ]


def _unique_patterns(pair: Pair) -> dict[str, float]:
    table, _ = pair.whole_texts("patterns")
    return {
        f"unique_patterns_{name}": float(np.count_nonzero(table.on(side)) / max(table.lengths[side].sum(), 1.0))
        for name, side in (("baseline", ~pair.design.side), ("generation", pair.design.side))
    }


def _terms(pair: Pair, tokens: Tokens, table: CountTable, rows: np.ndarray) -> tuple[dict[str, object], ...]:
    return tuple(
        {
            "kind": "vanished",
            "term": tokens.vocabulary[int(table.types[row])].as_py(),
            f"baseline_{pair.design.kind}s": int(table.frequency[row]),
            f"generation_{pair.design.kind}s": 0,
        }
        for row in rows[:_SHOWN]
    )
