"""Log-perplexities of a seed's corpora in common bins, so that they can be drawn over each other.

As Shumailov et al. 2024 show them (doi 10.1038/s41586-024-07566-y, Fig. 1b, c). A report holds the counts' shares and
not the texts, and every corpus is cut at the same edges: histograms of different bins cannot be compared by eye.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.probes.statistics.histogram import edges, shares
from collapse_audit.probes.text.sample import Sample
from collapse_audit.run.plan import Comparison, Side

FloatArray = npt.NDArray[np.float64]


def histograms(comparisons: Sequence[Comparison], samples: Mapping[Corpus, Sample]) -> list[dict[str, Any]]:
    """The entry of one seed, or none where no corpus that was compared has a log-perplexity. Everything as in a report.

    Bins follow the first gating comparison's baseline: generation 0, as a rule.
    """
    sides: dict[Corpus, tuple[Side, int | None]] = {}
    for comparison in sorted(comparisons, key=lambda each: (each.gating, each.generation)):
        sides.setdefault(comparison.baseline.corpus, (comparison.baseline, None))
    for comparison in comparisons:
        sides[comparison.current.corpus] = (comparison.current, comparison.generation)
    known = {corpus: _scored(samples.get(corpus)) for corpus in sides}
    measured = [(side, index, known[corpus]) for corpus, (side, index) in sides.items() if known[corpus].size]
    if not measured:
        return []
    gating = next((c for c in comparisons if c.gating), comparisons[0])
    first = known[gating.baseline.corpus]
    cuts = edges(first if first.size else measured[0][2], np.concatenate([values for _, _, values in measured]))
    return [
        {
            "seed": comparisons[0].seed,
            "statistic": "log-perplexity",
            "unit": "nats per token",
            "edges": cuts.tolist(),
            "series": [
                {"name": _plain(side.name), "generation": _generation(side, index), **shares(values, cuts)}
                for side, index, values in sorted(measured, key=_order)
            ],
        }
    ]


def _scored(sample: Sample | None) -> FloatArray:
    if sample is None or sample.nll is None:
        return np.empty(0)
    return sample.nll[np.isfinite(sample.nll)]


def _plain(name: str) -> str:
    """``generation 0 (held-out)`` is generation 0 in a picture."""
    return name.removesuffix(" (held-out)").removesuffix(" (texts)")


def _generation(side: Side, index: int | None) -> int | None:
    """The baseline's too, where it is a generation and is not compared itself."""
    if index is not None or not side.name.startswith("generation "):
        return index
    return int(side.name.split()[1])


def _order(histogram: tuple[Side, int | None, FloatArray]) -> int:
    generation = _generation(histogram[0], histogram[1])
    return -1 if generation is None else generation
