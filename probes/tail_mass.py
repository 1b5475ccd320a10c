"""CA201: how much probability did the rare tail lose?"""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.packs import answers
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.tail import cross_fitted, head, lone, set_aside, tail_p, tail_ratio, tail_tokens
from collapse_audit.probes.prompts import compared
from collapse_audit.probes.statistics.design import MIN_UNITS
from collapse_audit.probes.statistics.estimates import ratio_error
from collapse_audit.probes.statistics.readings import Gate, NotMeasured, Reading
from collapse_audit.probes.trends import followed
from collapse_audit.probes.types import probe


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
            trend="tail-mass",
            part="tail",
            mechanism="sharpening",
            held="the rare tail's probability",
            plain="use of rare words",
            says="{generation} uses rare words {value} as often as {baseline}",
        ),
    ),
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y; Chung & Romano 2013, doi 10.1214/13-AOS1090; "
    "Chernozhukov et al. 2018, doi 10.1111/ectj.12097",
    since="0.1",
    followed=followed.tail_mass,
    compared=compared.tail_mass,
    packed=answers.tail_mass,
)
def tail_mass(pair: Pair) -> Reading:
    """How much probability did the rare tail lose?

    What it measures
        The share of tokens outside the baseline's frequent 90%, generation over baseline.

    Formula and unit
        Half of the baseline (A) defines the head: the most frequent types that hold 90% of A's tokens. The tail is
        everything else, types unseen in A included. Ratio m(generation)/m(other half of the baseline), m = tail share;
        m is the mean over 20 random halvings and both of their halves (cross-fitting: Chernozhukov et al. 2018). p is
        the larger of two: of these means relabelled, and of a single half, exact because that A is compared with
        nothing.

    Why it signals collapse
        Sharpened or truncated decoding takes mass from the tail. Finite-sample drift does not (tail mass is a
        martingale under resampling), so tail mass down means sharpening, and coverage down at equal mass means drift.

    When it misleads
        Junk tokens are "rare": where the generation's mass of unseen types that no second text holds is over 1.25 times
        the baseline's, these do not count, and the finding says so. Junk that comes again and again counts as tail. The
        interval is that of the tail which this baseline defines, not of the language's. Against its own training texts
        a generation seems to lose tail mass that it has not lost: the finding may then pass but not fail.

    Needs
        Text.
    """
    table, design = pair.words, pair.design
    documents = np.unique(design.unit[~design.side & (table.lengths > 0)]).size
    if documents < 2 or (documents < MIN_UNITS <= design.units) or not table.lengths[design.side].any():
        return NotMeasured(reason="too few texts with tokens to split the baseline in two halves")
    everything, novel = cross_fitted(
        table,
        baseline=~design.side,
        unit=design.unit,
        key=design.stratum if design.paired else np.arange(design.side.size),
        rng=pair.stream("tail-mass halvings"),
    )
    relabelled = tail_p(everything, novel, table.lengths, design=design, drawn=pair.relabellings)
    exact, error = _held_out(pair)
    return tail_ratio(
        everything,
        novel,
        table.lengths,
        design=design,
        p_value=max(relabelled, exact),
        deciding=error,
        one_sided=pair.one_sided,
        raw={"head_types": int(np.count_nonzero(head(table.on(~design.side), pair.stream("tail-mass ties"))))},
    )


def _held_out(pair: Pair) -> tuple[float, float]:
    """The test in which one half defines the tail, and only the other one and the generation are relabelled.

    Its p-value, and the standard error behind it on the scale of the logarithm (0 where a side has no tail).
    """
    defining, compared = set_aside(pair.design.side, pair.design.unit, pair.stream("tail-mass half"))
    counts, tokens = pair.words.on(defining), pair.words.lengths[compared]
    design = pair.design.restricted(compared)
    most_frequent = head(counts, pair.stream("tail-mass ties"))
    everything, novel = tail_tokens(pair.words, most_frequent, lone(pair.words, counts))[:, compared]
    drawn = design.relabellings(pair.permutations, pair.stream("tail-mass"))
    both = everything[design.side].any() and everything[~design.side].any()
    error = ratio_error(everything, tokens, design=design, scale="log") if both else 0.0
    return tail_p(everything, novel, tokens, design=design, drawn=drawn), error
