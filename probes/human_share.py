"""CA701: how much of the training data did people write, as far as a reference can show?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collapse_audit.probes.pairs.training_data import TrainingData
from collapse_audit.probes.statistics.counted import beyond_chance, bounds
from collapse_audit.probes.statistics.design import MIN_UNITS, IntArray
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading
from collapse_audit.probes.text.tokens import folded_words
from collapse_audit.probes.types import data_probe

_NOTHING = 0.01
"""Share of the data under which next to none of them stands in the reference."""
_SMALL = 0.5
"""Share of the number of data under which a reference is small."""
_FOREIGN = 0.35
"""Share of words that the reference does not know, above what it does not know of itself, from which the data are of
another subject or language: texts of models, after five generations, up to .25
(docs/decisions/0025-training-data.md)."""


@data_probe(
    name="human-share",
    code="CA701",
    needs=("text", "reference"),
    gates=(
        Gate(
            statistic="human-share",
            unit="share of documents",
            worse="lower",
            margin=0.10,
            because="with a tenth of the original data in every generation Shumailov et al. 2024 see only minor "
            "degradation; whoever wants the three tenths that practitioners advise sets 0.3",
            plain="texts of people",
            says="the reference shows {value} of the training texts to be people's",
        ),
    ),
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y (10% of original data preserved); Clopper & Pearson "
    "1934, doi 10.1093/biomet/26.4.404",
    since="0.2",
)
def human_share(data: TrainingData) -> Reading:
    """How much of the training data did people write, as far as a reference can show?

    What it measures
        The share of the training texts that stand in the reference, word for word or as near-copies. What people wrote
        and the reference does not hold is not seen.

    Formula and unit
        Texts are equal if a reader sees no difference; near-copies as in ``diversity``. Each text of the reference
        counts as often as it stands there: five human texts written a hundred times are five. Copies found: e of all
        texts. Of the reference's own texts a share m has a copy among the others; so many would match by chance. The
        share is (e - m)/(1 - m), the larger of that of copies and of near-copies. It lies at least there with the upper
        95% bound of m, and at most at the near-copies that were found. All texts are read, so nothing else is uncertain
        (where only a part was drawn, Clopper & Pearson's bounds of e).

    Why it signals collapse
        A model that is trained on what models wrote forgets what people write; with a tenth of human text in every
        generation the loss is small, without any it is not (Shumailov et al. 2024).

    When it misleads
        The reference must hold all human text that may have gone into the data: of others nothing can be said. Whoever
        rewrites human texts makes them models' texts here, and a model that recites them makes its texts people's.
        Texts out of one template are near-copies of each other whoever filled it in, so of reports like that only a
        range can be told.

    Needs
        Text, and a reference (``--reference``).
    """
    n = len(data.generation)
    exact, near = _Found.of(data, data.text), _Found.of(data, data.near)
    if near.known < MIN_UNITS:
        return _open(f"the reference holds {near.known:,} texts; {MIN_UNITS} are the least that can show anything")
    if near.hits < _NOTHING * n and (foreign := _foreign(data)):
        return _open(foreign)
    complete = data.generation.n_read == n
    high = bounds(near.hits, n, complete=complete)[1]
    if data.baseline.n_read > len(data.baseline):
        high = 1.0
    value = max(beyond_chance(each.hits / n, each.alone / each.known) for each in (exact, near))
    low = max(each.least(n, complete=complete) for each in (exact, near))
    remarks = _explained(data, exact, near)
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        method="counted over all texts, chance from the reference's own copies",
        p_value=None,
        n_baseline=len(data.baseline),
        n_generation=n,
        raw={
            "copies": exact.hits / n,
            "near_copies": near.hits / n,
            "copies_by_chance": exact.alone / exact.known,
            "near_copies_by_chance": near.alone / near.known,
            "repeated": exact.repeated / n,
        },
        notes=("range",) if remarks else (),
        explanation=remarks,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Texts that are written (not empty) by what they are copies of."""

    hits: int
    """Texts of the data that stand in the reference, each as often as it stands there at most."""
    repeated: int
    """Those that stand there, beyond that."""
    alone: int
    """Texts of the reference that have a copy among its others."""
    known: int
    """All texts of the reference."""

    @classmethod
    def of(cls, data: TrainingData, kind: IntArray) -> _Found:
        """By what ``kind`` calls equal; shape (R + N,)."""
        code, side = kind[data.written], data.side[data.written]
        theirs, mine = (np.bincount(code[side == which], minlength=int(kind.max()) + 1) for which in (0, 1))
        hits = int(np.minimum(mine, theirs).sum())
        return cls(
            hits=hits,
            repeated=int(mine[theirs > 0].sum()) - hits,
            alone=int(theirs[theirs > 1].sum()),
            known=int(theirs.sum()),
        )

    def least(self, n: int, *, complete: bool) -> float:
        """The share of people's text among ``n`` that is certain."""
        return beyond_chance(bounds(self.hits, n, complete=complete)[0], bounds(self.alone, self.known)[1])


def _explained(data: TrainingData, exact: _Found, near: _Found) -> str:
    """What a reader should know besides the share."""
    n, remarks = len(data.generation), []
    if data.baseline.n_read > len(data.baseline):
        remarks.append("only a part of the reference was looked through (max_documents), so that more may stand in it")
    if near.hits > exact.hits:
        remarks.append(
            f"{near.hits / n:.1%} are near-copies of texts in the reference, whose own texts are so of each other in "
            f"{near.alone / near.known:.1%}: templates, which anybody may have filled in"
        )
    if near.known < n * _SMALL:
        remarks.append(f"the reference holds {near.known:,} texts, {near.known / n:.1%} of so many as the data")
    if exact.repeated:
        remarks.append(f"{exact.repeated:,} more repeat texts of the reference, and count once")
    return "; ".join(remarks)


def _foreign(data: TrainingData) -> str:
    """Why the reference is no reference of these data, or nothing: most words of one half of it stand in its other
    half, and those of the data do not."""
    code, _ = folded_words(data.both.vocabulary)
    ids, document = code[data.both.ids], np.repeat(np.arange(data.side.size), data.both.lengths)
    first = np.zeros(data.side.size, dtype=np.bool_)
    order = data.stream("human-share half").permutation(len(data.baseline))
    first[order[: order.size // 2]] = True
    known = np.zeros(int(code.max(initial=0)) + 1, dtype=np.bool_)
    word = ids >= 0
    known[ids[word & first[document]]] = True
    own, mine = (word & ~first[document] & (data.side[document] == which) for which in (0, 1))
    if not own.any() or not mine.any():
        return ""
    strange, usual = (float(1 - known[ids[which]].mean()) for which in (mine, own))
    if strange - usual < _FOREIGN:
        return ""
    return (
        f"next to none of the data stands in the reference, which does not know {strange:.0%} of their words either: "
        "it is of another subject or language, and says nothing of who wrote them"
    )


def _open(why: str) -> NotMeasured:
    """Nothing was said, so nothing passes."""
    return NotMeasured(reason=why, neutral=False)
