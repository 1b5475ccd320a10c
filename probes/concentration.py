"""CA402: is the model surer of the next word of human text than it was?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from collapse_audit.probes.models.contexts import Contexts, not_asked
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import Design, FloatArray, by_key
from collapse_audit.probes.statistics.estimates import Scale, ratio_of_sums
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading, Worse
from collapse_audit.probes.types import probe

_REASON = "next-token probabilities to the power 1.1 move it to .83-.90, 1.2 to .72-.82, in small models of two kinds"


@probe(
    name="concentration",
    code="CA402",
    needs=("contexts",),
    gates=(
        Gate(
            statistic="entropy",
            unit="ratio",
            worse="lower",
            margin=0.80,
            because=_REASON,
            plain="doubt about the next word",
            says="{generation} has {value} of the doubt of {baseline} about the next word",
        ),
        Gate(
            statistic="top-1",
            unit="share of probability",
            worse="higher",
            margin=0.05,
            because="a twentieth of all probability moved to the leading token; p^1.1 moves .03-.04, p^1.2 .05-.09",
            plain="weight of the likeliest word",
            says="the probability of the likeliest next word {rise} in {generation}",
        ),
    ),
    source="Gambetta et al. 2024, arXiv 2410.12341 (concentration of next-token probability under collapse)",
    since="0.2",
)
def concentration(pair: Pair) -> Iterator[Reading]:
    """Is the model surer of the next word of human text than it was?

    What it measures
        The next-token distributions of the generation's own model and of the baseline's, at the same places of human
        text that neither has read: their mean entropy, and the mean probability of the most probable token.

    Formula and unit
        entropy: ratio of the means over contexts of H = -sum p ln p (nats). top-1: difference of the means of max p.
        Each context is paired with itself; the test swaps the two models' values context by context, and is exact.

    Why it signals collapse
        A model that narrows puts its probability on fewer tokens wherever it is asked. It shows before any text is
        drawn, and no setting of the decoding can hide or cause it.

    When it misleads
        A model that has learned its subject better is surer too: look at its task score. One that was pushed away from
        repeating itself may be less sure and collapse all the same.

    Needs
        ``gen_<k>/concentration.jsonl`` of both generations, as ``collapse-lineage score --contexts`` writes it.
    """
    why = not_asked(pair.contexts)
    before, after = pair.contexts or (None, None)
    if why is not None or before is None or after is None:
        reason = why or NotMeasured(reason="")
        yield from (dataclasses.replace(reason, statistic=name) for name in ("entropy", "top-1"))
        return
    number = np.arange(len(before.ids))
    design = by_key(number, number, "prompt", pair.stream("contexts design"))
    yield _compared(pair, design, before, after, "entropy", before.entropy, after.entropy, scale="log", worse="lower")
    yield _compared(pair, design, before, after, "top-1", before.top1, after.top1, scale="linear", worse="higher")


def _compared(
    pair: Pair,
    design: Design,
    before: Contexts,
    after: Contexts,
    statistic: str,
    first: FloatArray,
    second: FloatArray,
    *,
    scale: Scale,
    worse: Worse,
) -> Reading:
    """The change of a mean over contexts, paired."""
    values = np.concatenate((first, second))[design.kept]
    raw: dict[str, Any] = {
        "mean_baseline": float(first.mean()),
        "mean_generation": float(second.mean()),
        "positions": int(before.n_positions.sum()),
        "contexts": before.digest,
        "adapter": after.adapter,
    }
    reading = ratio_of_sums(
        design.per_block(values),
        design.per_block(np.ones_like(values)),
        design=design,
        relabellings=design.relabellings(pair.permutations, pair.stream(f"contexts {statistic}")),
        scale=scale,
        worse=worse,
        statistic=statistic,
        raw=raw,
    )
    return (
        dataclasses.replace(reading, method="linearised ratio, normal; contexts, paired")
        if isinstance(reading, Estimate)
        else reading
    )
