"""CA403: are the texts with the rarest words still written, and do texts pile up on common ones?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collapse_audit.probes.pairs.pair import CURE, Pair
from collapse_audit.probes.pairs.surprise import cross_scored, folds, standardised, surprises
from collapse_audit.probes.pairs.tail import set_aside
from collapse_audit.probes.statistics.design import MIN_UNITS, Design, FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import (
    Scale,
    permutation_p,
    ratio_error,
    ratio_of_sums,
    studentised_changes,
)
from collapse_audit.probes.statistics.histogram import edges, shares
from collapse_audit.probes.statistics.ranks import weights_of_highest
from collapse_audit.probes.statistics.readings import Gate, NotMeasured, Reading
from collapse_audit.probes.text.ngrams import take
from collapse_audit.probes.text.tokens import Tokens, folded_words
from collapse_audit.probes.types import probe

_RARE, _COMMON = 0.20, 0.25
"""Shares of all texts that are rare, and common."""
_LEAST = 0.5
"""Weight of the rare texts of a side that has none: a logarithm needs one."""
_TOO_FEW = "too few texts with words to set half of the baseline aside"


@probe(
    name="rare-texts",
    code="CA403",
    needs=("text",),
    gates=(
        Gate(
            statistic="rare",
            unit="ratio",
            worse="lower",
            margin=0.70,
            pass_margin=0.50,
            because="three in ten of the rare texts gone, weighted by how rare they are; without the tenth of all "
            "texts that has the rarest words, .29 to .59 are left",
            part="tail",
            mechanism="sharpening",
            held="texts of rare words",
            plain="texts of rare words",
            says="{generation} holds {value} of the texts of rare words of {baseline}",
        ),
        Gate(
            statistic="common",
            unit="share of documents",
            worse="higher",
            margin=0.10,
            pass_margin=0.15,
            because="one text in ten more among the quarter of the commonest words; lower case moves it by .08 at most",
            mechanism="sharpening",
            plain="texts of nothing but common words",
            says="the share of texts of nothing but common words {rise} in {generation}",
        ),
    ),
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y (Fig. 1b, c); Savage 1956, "
    "doi 10.1214/aoms/1177728170 (weights of ranks); Chung & Romano 2013, doi 10.1214/13-AOS1090",
    since="0.2",
)
def rare_texts(pair: Pair) -> Iterator[Reading]:
    """Are the texts with the rarest words still written, and do texts pile up on common ones?

    What it measures
        Where a text's words lie, from common to rare, counted in the baseline: the histogram of perplexity that
        Shumailov et al. 2024 draw, without a model.

    Formula and unit
        The surprise of a word (case folded, no signs) is -ln p under word counts of baseline texts (absolute
        discounting; all unseen words alike); that of a text is the mean over its words, in spreads that texts of its
        length have. Where one side is longer, both are cut to a length that balances them, as for distinct words. Each
        text is scored by baseline texts of other fifths than its own (cross-fitting). rare: ratio, generation to
        baseline, of the mean of max(0, ln(.2/u)), where u is the share of all texts that are more surprising: a text
        counts for more the rarer it is, and the four fifths below count for nothing. common: rise of the share of texts
        in the quarter of the least surprising. p is the larger of two: these means relabelled, and the same with a
        model of one half of the baseline, exact because that half is compared with nothing.

    Why it signals collapse
        Models forget first what they saw seldom: the texts of generation 0 with the rarest words are not written any
        more, and texts pile up on what is common. Types and tail mass hardly move when a tenth of all texts is gone.

    When it misleads
        Another subject has other words, so its texts are rare: never a loss here, and a loss that came together with it
        is hidden. Junk is rare too. Against its own training texts a generation seems to have lost rare texts: the
        finding may then pass but not fail. Which words stand together is not looked at.

    Needs
        Text.
    """
    texts, design = _written(pair)
    side, units = design.side, np.unique(design.unit[~design.side]).size
    if units < 2 or (units < MIN_UNITS <= pair.design.units) or not side.any():
        yield from (NotMeasured(statistic=gate.statistic, reason=_TOO_FEW) for gate in rare_texts.gates)
        return
    fold = folds(design, pair.stream("rare-texts folds"))[texts.block]
    x = standardised(cross_scored(texts.tokens, ~side[texts.block], fold), texts.tokens.lengths)
    drawn = pair.relabellings
    if drawn.shape[1] != side.size:
        drawn = design.relabellings(pair.permutations, pair.stream("rare-texts of written"))
    crossed, apart = _Compared(x, texts.block, design, drawn), _held_out(pair, texts, design)
    for place, gate in enumerate(rare_texts.gates):
        yield _change(pair, gate, crossed, apart, place)


@dataclass(frozen=True, slots=True)
class _Texts:
    """The D texts that hold a word, and the block of each, shape (D,)."""

    tokens: Tokens
    block: IntArray


def _written(pair: Pair) -> tuple[_Texts, Design]:
    """The texts that hold a word, and the design of the blocks that hold such texts.

    Words are compared with case folded, numbers as their digits, and signs are left out: capitals, bullets and quotes
    of another form are no other words.
    """
    matched = pair.matched
    code, words = folded_words(matched.vocabulary)
    ids = code[matched.ids]
    before = np.append(0, np.cumsum(ids >= 0))[matched.offsets]
    tokens = Tokens(ids[ids >= 0].astype(np.int32), before, pa.array(words, pa.large_string()))
    written = np.flatnonzero(tokens.lengths)
    block = pair.design.block[written]
    holds = np.bincount(block, minlength=pair.design.side.size) > 0
    design = pair.design if holds.all() else pair.design.restricted(holds)
    return _Texts(take(tokens, written), (np.cumsum(holds) - 1)[block]), design


@dataclass(frozen=True, slots=True)
class _Compared:
    """How surprising each of the D texts is that are compared, and what they are relabelled by."""

    x: FloatArray
    """Shape (D,)."""
    block: IntArray
    design: Design
    drawn: npt.NDArray[np.uint8]

    def sums(self) -> FloatArray:
        """Weight of rare texts, number of common ones, and of all, in every block; shape (3, K).

        Ranks are those among the texts of both sides, which no relabelling changes.
        """
        common = self.x <= np.quantile(self.x, _COMMON, method="inverted_cdf")
        weights = weights_of_highest(self.x, _RARE), common, np.ones(self.x.size)
        return np.stack([np.bincount(self.block, each, self.design.side.size) for each in weights])

    def shares(self) -> dict[str, float]:
        """Of the texts beyond the baseline's 90% quantile, and up to its 25% quantile."""
        side = self.design.side[self.block]
        cuts = np.quantile(self.x[~side], [0.90, 0.25])
        return {
            f"{name}_{which}": float(np.mean(self.x[on] > cuts[0] if name == "beyond_q90" else self.x[on] <= cuts[1]))
            for name in ("beyond_q90", "below_q25")
            for which, on in (("baseline", ~side), ("generation", side))
        }

    def histogram(self) -> dict[str, Any]:
        """Surprise of both sides' texts in common bins, and the baseline's 25% and 90% quantile."""
        side = self.design.side[self.block]
        baseline, generation = self.x[~side], self.x[side]
        bins = edges(baseline, self.x)
        return {
            "edges": bins.tolist(),
            "cuts": np.quantile(baseline, [0.25, 0.90]).tolist(),
            "baseline": shares(baseline, bins),
            "generation": shares(generation, bins),
        }


def _held_out(pair: Pair, texts: _Texts, whole: Design) -> _Compared:
    """Half of the baseline counts words; the other half and the generation alone are compared and relabelled."""
    counts, compared = set_aside(whole.side, whole.unit, pair.stream("rare-texts half"))
    design, kept = whole.restricted(compared), compared[texts.block]
    lengths = texts.tokens.lengths
    scored = surprises(texts.tokens, counts[texts.block])[np.repeat(kept, lengths)]
    return _Compared(
        standardised(scored, lengths[kept]),
        (np.cumsum(compared) - 1)[texts.block[kept]],
        design,
        design.relabellings(pair.permutations, pair.stream("rare-texts")),
    )


def _change(pair: Pair, gate: Gate, crossed: _Compared, apart: _Compared, place: int) -> Reading:
    """The change of row ``place`` of the sums over the number of texts, with the larger p of the two comparisons."""
    scale: Scale = "log" if gate.unit == "ratio" else "linear"
    p_values, error = [], 0.0
    for each in (crossed, apart):
        top, texts = each.sums()[[place, 2]]
        changes = studentised_changes(top, texts, design=each.design, relabellings=each.drawn, scale=scale)
        p_values.append(permutation_p(changes, worse=gate.worse))
        both = top[each.design.side].any() and top[~each.design.side].any()
        error = ratio_error(top, texts, design=each.design, scale=scale) if both else 0.0
    top, texts = crossed.sums()[[place, 2]]
    for side in (~crossed.design.side, crossed.design.side):
        if scale == "log" and not top[side].any():
            top[np.flatnonzero(side)[0]] = _LEAST
    why = pair.one_sided
    return ratio_of_sums(
        top,
        texts,
        design=crossed.design,
        p_value=max(p_values),
        deciding=error,  # that of the half
        scale=scale,
        worse=gate.worse,
        share=True,  # where nothing varies, the interval is what as many texts may hide
        statistic=gate.statistic,
        can_fail=why is None,
        raw=crossed.shares() | ({"surprise": crossed.histogram()} if place == 0 else {}),
        notes=() if why is None else ("one-sided",),
        explanation="" if why is None else f"may pass but not fail, because {why}; {CURE}",
    )
