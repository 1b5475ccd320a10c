"""CA305: do texts still hold different numbers?"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.richness import distinct_ratio, richness
from collapse_audit.probes.statistics.design import MIN_UNITS, Design, IntArray, equal_blocks, equal_documents
from collapse_audit.probes.statistics.readings import Gate, NotMeasured, Reading
from collapse_audit.probes.statistics.tables import count_table
from collapse_audit.probes.text.ngrams import recoded
from collapse_audit.probes.text.tokens import Tokens
from collapse_audit.probes.types import probe

_CARRY = 0.10
"""Share of the baseline's texts that must hold a number."""
_POINTS = pa.array([".", ","])


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
    ),
    source="Hurlbert 1971, doi 10.2307/1934145 (rarefaction)",
    since="0.2",
)
def numbers(pair: Pair) -> Reading:
    """Do texts still hold different numbers?

    What it measures
        Distinct numbers (sizes, years, amounts) in equally many texts that hold any.

    Formula and unit
        Ratio of distinct numbers, generation to baseline, in equally many texts with a number, cut to one length where
        lengths differ. A number is a token that begins with a digit; two around a point or comma are one.

    Why it signals collapse
        A model that writes "0.9 x 0.5 x 0.7" whatever it is asked has lost its numbers, and where they are a few tokens
        among many, neither types nor tail mass show it.

    When it misleads
        Another subject may hold other kinds of numbers: years are more than doses. Texts that no longer hold any number
        are left out, and for others to find.

    Needs
        Text, a tenth of the baseline's with a number, and 10 such texts a side.
    """
    tokens = pair.matched
    types, document = _numbers(tokens)
    block = pair.design.block[document]
    carries = np.bincount(block, minlength=pair.design.side.size) > 0
    share = float(np.unique(document[~pair.design.side[block]]).size) / pair.design.documents(False)
    if share < _CARRY:
        return NotMeasured(reason=f"{share:.0%} of the baseline's texts hold a number, and a tenth is needed")
    rng = pair.stream("numbers")
    design = pair.design.restricted(carries)
    design = equal_documents(design.restricted(equal_blocks(design.stratum, design.side, rng)), rng)
    if design.units < MIN_UNITS:
        return NotMeasured(reason=f"fewer than {MIN_UNITS} {design.kind}s a side hold a number")
    # The block of each document of the pair among those that are compared; -1: of none.
    place = np.full(pair.design.block.size, -1)
    place[np.isin(pair.design.kept, design.kept)] = design.block
    taken = place[document] >= 0
    table = count_table(place[document[taken]], recoded(types[taken]), design.side.size)
    sub = _Compared(design, design.relabellings(pair.permutations, rng))
    distinct = richness([table], sub)
    return distinct_ratio(
        sub,
        distinct,
        what="numbers",
        raw={
            "baseline": int(distinct.distinct[0, 0]),
            "generation": int(distinct.distinct[1, 0]),
            "texts_with_numbers": share,
        },
        notes=("length-matched",) if pair.matched_length is not None else (),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Compared:
    design: Design
    relabellings: npt.NDArray[np.uint8]


def _numbers(tokens: Tokens) -> tuple[IntArray, IntArray]:
    """A code of every number, equal where the numbers are, and the document it stands in; each of shape (M,)."""
    digit = pc.match_substring_regex(tokens.vocabulary, r"^\p{N}").to_numpy(zero_copy_only=False)[tokens.ids]
    point = pc.is_in(tokens.vocabulary, value_set=_POINTS.cast(tokens.vocabulary.type))
    point = point.to_numpy(zero_copy_only=False)[tokens.ids]
    document = np.repeat(np.arange(tokens.lengths.size), tokens.lengths)
    joined = np.zeros(tokens.ids.size, dtype=np.bool_)  # a number, a point and a number from here on
    joined[:-2] = digit[:-2] & point[1:-1] & digit[2:] & (document[:-2] == document[2:])
    start = digit.copy()
    start[2:] &= ~joined[:-2]
    first = np.flatnonzero(start)
    code = tokens.ids[first].astype(np.int64) * (len(tokens.vocabulary) + 1)
    pairs = np.flatnonzero(joined[first])
    code[pairs] += 1 + tokens.ids[first[pairs] + 2]
    return code, document[first]
