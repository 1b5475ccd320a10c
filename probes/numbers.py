"""CA305: do texts still hold different numbers, and as far apart?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.richness import distinct_ratio, richness
from collapse_audit.probes.pairs.written_numbers import Written, spread, written_numbers
from collapse_audit.probes.statistics.design import (
    MIN_UNITS,
    Design,
    FloatArray,
    IntArray,
    equal_blocks,
    equal_documents,
)
from collapse_audit.probes.statistics.estimates import estimate, exponential, permutation_p, studentised
from collapse_audit.probes.statistics.readings import RULE_OF_THREE, Gate, Kind, NotMeasured, Reading, Z
from collapse_audit.probes.statistics.tables import count_table
from collapse_audit.probes.text.ngrams import recoded
from collapse_audit.probes.types import probe

_CARRY, _ENOUGH = 0.10, 150
"""Share of the baseline's texts that must hold a number, or how many of them: halves of one corpus pass 59 times in 60
where 145 do, and 56 times where 95 do (docs/decisions/0020-rare-texts.md)."""
_ELSEWHERE = 0.10
"""How far the mean rank of the numbers may move (of 0 to 1) before they are other numbers and not some of the same."""
_ONE_FAR_OFF = 0.25
"""The most that a number of a rank elsewhere adds to the variance of ranks, for each unit of its share."""


@probe(
    name="numbers",
    code="CA305",
    needs=("text",),
    gates=(
        Gate(
            statistic="distinct-numbers",
            unit="ratio",
            worse="lower",
            margin=0.60,
            because="two in five of the distinct numbers gone; halves of real corpora, 500 texts each, keep .84 to "
            "1.20, and where three numbers stand for all, .06 to .18 are left",
            held="distinct numbers",
            plain="distinct numbers",
            says="{generation} writes {value} of the distinct numbers of {baseline}",
        ),
        Gate(
            statistic="spread",
            unit="ratio",
            worse="lower",
            margin=0.75,
            because="the numbers lie a quarter nearer to each other; halves of real corpora, 500 texts each, keep .91 "
            "to 1.11, and where all are drawn from the middle half, .48 to .77 are left",
            held="the spread of numbers",
            plain="how far numbers lie apart",
            says="the numbers of {generation} lie {value} as far apart as those of {baseline}",
        ),
    ),
    source="Hurlbert 1971, doi 10.2307/1934145 (rarefaction); Mood 1954, doi 10.1214/aoms/1177728719 (spread of "
    "ranks); Chung & Romano 2013, doi 10.1214/13-AOS1090",
    since="0.2",
)
def numbers(pair: Pair) -> Iterator[Reading]:
    """Do texts still hold different numbers, and as far apart?

    What it measures
        The numbers in texts (sizes, years, amounts): how many distinct ones there are in equally many texts that hold
        any, and how far they lie apart.

    Formula and unit
        A number is a token that begins with a digit; two around a point or comma are one. distinct-numbers: ratio of
        distinct numbers, generation to baseline, in equally many texts with a number, cut to one length where lengths
        differ. spread: ratio of the standard deviations of the numbers' ranks, from 0 to 1 among those of both sides,
        so that neither units nor a few huge numbers matter; the numbers of a text weigh one together.

    Why it signals collapse
        A model that writes "0.9 x 0.5 x 0.7" whatever it is asked has lost its numbers, and where they are a few tokens
        among many, neither types nor tail mass show it. Before it writes one number for all, it writes those in the
        middle.

    When it misleads
        Another subject may hold other kinds of numbers: years are more than doses, and lie nearer together. Where the
        mean rank moved by more than .1, the numbers are other ones: less spread is then ``changed``. Three numbers in
        the place of all may lie as far apart as all did: distinct-numbers sees these. Texts that no longer hold any
        number are left out, and for others to find.

    Needs
        Text, a tenth of the baseline's or 150 of them with a number, and 10 such texts a side.
    """
    written = written_numbers(pair.matched)
    compared = _compared(pair, written)
    if isinstance(compared, NotMeasured):
        yield from (dataclasses.replace(compared, statistic=gate.statistic) for gate in numbers.gates)
        return
    table = count_table(compared.block, recoded(compared.code), compared.design.side.size)
    distinct = richness([table], compared)
    notes = ("length-matched",) if pair.matched_length is not None else ()
    yield distinct_ratio(
        compared,
        distinct,
        what="numbers",
        statistic="distinct-numbers",
        raw={
            "baseline": int(distinct.distinct[0, 0]),
            "generation": int(distinct.distinct[1, 0]),
            "texts_with_numbers": compared.share,
        },
        notes=notes,
    )
    yield _spread(compared, notes)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """Equally many texts a side that hold a number, and their M numbers."""

    design: Design
    relabellings: npt.NDArray[np.uint8]
    share: float
    """Of the baseline's texts, those with a number."""
    code: IntArray
    value: FloatArray
    text: IntArray
    block: IntArray
    """Shape (M,)."""


def _compared(pair: Pair, written: Written) -> _Compared | NotMeasured:
    block = pair.design.block[written.document]
    carries = np.bincount(block, minlength=pair.design.side.size) > 0
    with_numbers = int(np.unique(written.document[~pair.design.side[block]]).size)
    share = with_numbers / pair.design.documents(False)
    if share < _CARRY and with_numbers < _ENOUGH:
        needed = f"a tenth or {_ENOUGH} of them are needed"
        return NotMeasured(reason=f"{with_numbers} of the baseline's texts ({share:.0%}) hold a number, and {needed}")
    rng = pair.stream("numbers")
    design = pair.design.restricted(carries)
    design = equal_documents(design.restricted(equal_blocks(design.stratum, design.side, rng)), rng)
    if design.units < MIN_UNITS:
        return NotMeasured(reason=f"fewer than {MIN_UNITS} {design.kind}s a side hold a number")
    # The block of each document of the pair among those that are compared; -1: of none.
    place = np.full(pair.design.block.size, -1)
    place[np.isin(pair.design.kept, design.kept)] = design.block
    taken = place[written.document] >= 0
    return _Compared(
        design=design,
        relabellings=design.relabellings(pair.permutations, rng),
        share=share,
        code=written.code[taken],
        value=written.value[taken],
        text=written.document[taken],
        block=place[written.document[taken]],
    )


def _spread(compared: _Compared, notes: tuple[str, ...]) -> Reading:
    design = compared.design
    found = spread(compared.value, compared.block, compared.text, design, compared.relabellings)
    before, after = np.sqrt(found.variances[:, 0])
    if before == 0:
        return NotMeasured(statistic="spread", reason="all numbers of the baseline are the same")
    # Of variances, since the error of a logarithm grows without bound as a spread falls to nothing.
    changes = studentised(found.variances, found.errors, scale="linear", paired=design.paired)
    error = design.standard_error(found.influence)
    # Of texts that hold none but these numbers, as many may hide a share 3/n of others.
    unseen = math.sqrt(after**2 + _ONE_FAR_OFF * RULE_OF_THREE / design.units) / before
    elsewhere = abs(float(found.means[1] - found.means[0]))
    kind: Kind | None = "move" if elsewhere > _ELSEWHERE else None
    return estimate(
        float(after / before),
        error,
        scale="log",
        worse="lower",
        p_value=permutation_p(changes, worse="lower"),
        design=design,
        method="linearised ratio of standard deviations of ranks, normal",
        high=max(float(after / before) * exponential(Z * error), unseen),
        statistic="spread",
        kind=kind,
        raw={"baseline": float(before), "generation": float(after), "mean_rank_moved": elsewhere},
        notes=notes,
        explanation="" if kind is None else "the numbers lie elsewhere: another subject, or other units",
    )
