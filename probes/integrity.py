"""CA501: is this really a new generation?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from scipy.special import betaincinv

from collapse_audit.probes.pair import Pair
from collapse_audit.probes.sample import Sample
from collapse_audit.probes.types import Estimate, Gate, Reading, probe

_ALPHA = 0.05
_ENOUGH = 10
"""Distinct texts from which two corpora cannot be identical by chance."""


@probe(
    name="integrity",
    code="CA501",
    needs=("files",),
    gates=(
        Gate(
            statistic="empty",
            unit="share of documents",
            worse="higher",
            margin=0.05,
            because="one text in twenty more holds nothing but white space",
        ),
        Gate(
            statistic="constant",
            unit="share of documents",
            worse="higher",
            margin=0.95,
            because="a model that answers the same text in 19 of 20 cases has collapsed whatever its baseline does",
        ),
        Gate(
            statistic="unchanged",
            unit="share of documents",
            worse="higher",
            margin=0.999,
            because="a new generation does not write another corpus over again, text for text",
        ),
    ),
    source="",
    since="0.1",
)
def integrity(pair: Pair) -> Iterator[Reading]:
    """Is this really a new generation?

    What it measures
        What the files alone can show: texts with nothing in them, one text over and over, and a corpus that is
        another corpus of the lineage.

    Formula and unit
        empty: rise of the share of texts that hold only white space. constant: share of the most frequent text.
        unchanged: the largest share of texts that stand, one for one, in another corpus of the lineage (counted only
        where there are at least 10 distinct texts).

    Why it signals collapse
        A model that writes nothing, or one thing, has collapsed, and so has one whose baseline did so already. A
        generation that is a copy of another was never audited: passing it would be a silent false pass.

    When it misleads
        Short answers from a closed set repeat legitimately; that is why only a complete copy counts as unchanged.

    Needs
        The files.
    """
    side = pair.design.side[pair.design.block]
    empty = np.concatenate((pair.baseline.empty, pair.generation.empty))[pair.design.kept].astype(np.float64)
    yield pair.compare(
        empty,
        scale="linear",
        worse="higher",
        share=True,
        statistic="empty",
        raw={"baseline": float(empty[~side].mean()), "generation": float(empty[side].mean())},
    )
    yield _constant(pair)
    yield _unchanged(pair)


def _constant(pair: Pair) -> Estimate:
    counts = _text_counts(pair.generation)
    most, n = int(counts.field("counts").to_numpy().max()), len(pair.generation)
    return Estimate(
        statistic="constant",
        value=most / n,
        low=float(betaincinv(most, n - most + 1, _ALPHA)),
        high=float(betaincinv(most + 1, n - most, 1 - _ALPHA)) if most < n else 1.0,
        method="Clopper-Pearson",
        p_value=None,
        n_baseline=len(pair.baseline),
        n_generation=n,
        raw={"distinct_texts": len(counts)},
    )


def _unchanged(pair: Pair) -> Estimate:
    overlaps = [(_overlap(pair.generation, other), other.name) for other in pair.others]
    overlaps += [(1.0, f"{name} (the same file)") for name in pair.same_bytes]
    most, name = max(overlaps, default=(0.0, ""))
    distinct = len(_text_counts(pair.generation))
    counted = most if distinct >= _ENOUGH else 0.0
    return Estimate(
        statistic="unchanged",
        value=counted,
        low=counted,
        high=counted,
        method="counted",
        p_value=None,
        n_baseline=len(pair.baseline),
        n_generation=len(pair.generation),
        raw={"largest_overlap": most, "distinct_texts": distinct},
        explanation=f"{most:.1%} of the texts also stand in {name}" if most else "",
    )


def _overlap(generation: Sample, other: Sample) -> float:
    """Share of texts that can be matched one to one with texts of ``other``."""
    mine, theirs = _text_counts(generation), _text_counts(other)
    shared = np.minimum(*_aligned(mine, theirs)).sum()
    return float(shared / max(len(generation), len(other)))


def _text_counts(sample: Sample) -> pa.StructArray:
    return sample.folded.value_counts()


def _aligned(mine: pa.StructArray, theirs: pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the texts that stand in both."""
    where = pa.compute.index_in(mine.field("values"), theirs.field("values"))
    found = pa.compute.is_valid(where)
    counts = theirs.field("counts").take(where.filter(found))
    return mine.field("counts").filter(found).to_numpy(), counts.to_numpy()
