"""Whether generation 0 writes as people do, before anything is said to collapse from it.

A model that stammers from the start cannot show collapse: what later generations lose it never had. So what generation
0 wrote is measured beside the human text that it answers, once, when it is made. A degenerate one is not refused (a
person may want just that) but marked, in the manifest and on the terminal, at every run.

=============  ======================================================================================================
looping        share of texts in which a span of 1 to 100 words stands three times back to back, less people's share
distinct-2     distinct pairs of neighbouring words over all, at equally many pairs of both, over people's
empty          share of texts of white space only, less people's share
=============  ======================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from collapse_audit.probes.text.loops import token_loops
from collapse_audit.probes.text.ngrams import ngrams
from collapse_audit.probes.text.tokens import WORDS, Tokens

MOST_LOOPING = 0.05
"""Share of texts more than people's. Of wikitext's blocks of 64 tokens hardly any loops."""
LEAST_DISTINCT = 0.8
"""Of people's distinct-2. Two halves of one human corpus differ by about .02 at 250 texts of 50 words."""
MOST_EMPTY = 0.05
"""Share of texts more than people's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What generation 0 wrote beside what people did; shares between 0 and 1."""

    texts: int
    looping: float
    looping_people: float
    distinct_2: float
    """Over people's; 1 where neither has a pair of words."""
    empty: float
    empty_people: float

    def complaints(self) -> list[str]:
        """Why it is degenerate; none where it is not."""
        return list(self._complaints())

    def _complaints(self) -> Iterator[str]:
        if self.looping - self.looping_people > MOST_LOOPING:
            yield f"{self.looping:.0%} of its texts loop, {self.looping_people:.0%} of people's"
        if self.distinct_2 < LEAST_DISTINCT:
            yield f"distinct-2 is {self.distinct_2:.0%} of people's at equal n"
        if self.empty - self.empty_people > MOST_EMPTY:
            yield f"{self.empty:.0%} of its texts are empty, {self.empty_people:.0%} of people's"

    def recorded(self) -> dict[str, Any]:
        """As the manifest has it; ``degenerate`` is there only where there are complaints."""
        values = {key: round(value, 4) for key, value in asdict(self).items()}
        complaints = self.complaints()
        return {**values, "degenerate": complaints} if complaints else values


def examine(written: Sequence[str], people: Sequence[str]) -> Health:
    """Measure ``written`` beside ``people``; neither is empty."""
    ours, theirs = _tokens(written), _tokens(people)
    return Health(
        texts=len(written),
        looping=float(token_loops(ours).mean()),
        looping_people=float(token_loops(theirs).mean()),
        distinct_2=_distinct_ratio(ours, theirs),
        empty=_empty(written),
        empty_people=_empty(people),
    )


def _tokens(texts: Sequence[str]) -> Tokens:
    return WORDS(pa.array(texts, type=pa.large_string()))


def _distinct_ratio(ours: Tokens, theirs: Tokens) -> float:
    """Both cut to as many pairs as the shorter has: distinct shares fall with n."""
    pairs = [ngrams(tokens, 2)[0] for tokens in (ours, theirs)]
    n = min(len(pairs_of) for pairs_of in pairs)
    if n == 0:
        return 1.0 if len(pairs[0]) == len(pairs[1]) else float(len(pairs[0]) > 0)
    mine, human = (len(np.unique(pairs_of[:n])) for pairs_of in pairs)
    return mine / human


def _empty(texts: Sequence[str]) -> float:
    return sum(not text.strip() for text in texts) / len(texts)


def warning(where: str, complaints: Sequence[str]) -> str:
    """The line for people."""
    return (
        f"WARNING: {where} is degenerate from the start: {'; '.join(complaints)}. What it never had cannot be lost: "
        "train it longer, from a larger base, or decode it otherwise, before anything is concluded from its successors"
    )
