"""Runs of neighbouring blocks as units of their own: what is counted within one needs no text of another to be told.

Which types two blocks share is not in a pack, and neither, then, is how many a relabelled side would have. But how many
a run of blocks has is a number of that run alone, and runs may be permuted as blocks are.
"""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.packs.packed_pair import PackedPair, of_blocks
from collapse_audit.probes.packs.sketch import Sketch, run_lengths
from collapse_audit.probes.statistics.design import FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import Scale, permutation_p, studentised_changes
from collapse_audit.probes.statistics.readings import Worse


class Runs:
    """The runs of a comparison: as long as leaves 8 a side, for the longer, the more they see of what texts share."""

    def __init__(self, pair: PackedPair) -> None:
        lengths = run_lengths(pair.blocks.count)
        self.at, self.length = len(lengths) - 1, lengths[-1]
        self.count = pair.blocks.count // self.length
        self._design = of_blocks(self.count, pair.before.size * self.length)
        self._drawn = self._design.relabellings(pair.permutations, pair.stream("runs"))

    def both(self, before: IntArray | FloatArray, after: IntArray | FloatArray) -> FloatArray:
        """Values of both sides' runs, the baseline's first."""
        return np.concatenate((before[: self.count], after[: self.count])).astype(np.float64)

    def p_value(self, top: FloatArray, bottom: FloatArray, *, scale: Scale, worse: Worse) -> float:
        """Exact p-value of "no change" of sum(top)/sum(bottom)."""
        changes = studentised_changes(top, bottom, design=self._design, relabellings=self._drawn, scale=scale)
        return permutation_p(changes, worse=worse)


def in_runs(values: IntArray, length: int) -> FloatArray:
    """Sums over runs of ``length`` neighbouring blocks; blocks that fill no run are left out."""
    runs = values.size // length
    return np.asarray(values[: runs * length].reshape(runs, length).sum(axis=1, dtype=np.float64))


def token_pairs(side: Sketch, length: int) -> FloatArray:
    """Ordered pairs of tokens of two different documents in each run of ``length`` blocks."""
    return in_runs(side.at[-1].tokens, length) ** 2 - in_runs(side.squared_lengths, length)


def beyond_length(distinct: FloatArray, tokens: FloatArray) -> FloatArray:
    """ln distinct types of runs, less what the length of their texts explains: residuals of one line for both sides.

    The line knows nothing of sides, so residuals may be permuted as the runs themselves. Without it, runs of longer
    texts drown what is lost: distinct types grow with nearly the square root of the tokens.
    """
    x, y = np.log(np.maximum(tokens, 1.0)), np.log(np.maximum(distinct, 0.5))
    spread = x.var()
    slope = float(((x - x.mean()) * y).mean() / spread) if spread > 0 else 0.0
    return np.asarray(y - slope * x)
