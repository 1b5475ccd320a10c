"""CA701: how much of the training data did people write, as far as a reference can show?"""

from __future__ import annotations

import numpy as np

from collapse_audit.probes.pairs.training_data import TrainingData
from collapse_audit.probes.statistics.counted import bounds
from collapse_audit.probes.statistics.design import MIN_UNITS, IntArray
from collapse_audit.probes.statistics.marked import Marked
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading
from collapse_audit.probes.text.tokens import folded_words
from collapse_audit.probes.types import data_probe

_NOTHING = 0.01
"""Share of the data under which next to none of them stands in the reference."""
_SMALL = 0.5
"""Share of the number of data under which a reference is small."""
_MARKS = 0.8
"""Share of texts of its own under which a reference is one of templates."""
_ALPHA = 0.05
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
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y (10% of original data preserved); Good 1953, "
    "doi 10.1093/biomet/40.3-4.237 (chance from pairs); Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404",
    since="0.2",
)
def human_share(data: TrainingData) -> Reading:
    """How much of the training data did people write, as far as a reference can show?

    What it measures
        The share of the training texts that stand in the reference, word for word or as near-copies. What people wrote
        and the reference does not hold is not seen.

    Formula and unit
        Texts are equal if a reader sees no difference; near-copies as in ``diversity``. A text of the reference that no
        other of it is a copy of is a mark: a share s of them all. Of texts that people wrote as many are marks, and
        each counts once: five human texts written a hundred times are five. Whoever writes independently hits a mark
        with a chance g, which the reference itself tells: the share of its texts that stand in pairs. Where u of n
        texts are marks, a share x = (u/n - g)/(s - g) is people's; the larger of that of copies and of near-copies. It
        is at least what that gives with the upper bound of g, and at most what u near-copies allow where nobody hit one
        by chance; both 95%, with the chance of who was drawn. Where all texts of the reference are marks, x = u/n.

    Why it signals collapse
        A model that is trained on what models wrote forgets what people write; with a tenth of human text in every
        generation the loss is small, without any it is not (Shumailov et al. 2024).

    When it misleads
        The reference must hold all human text that may have gone into the data, and these be like it: of others nothing
        can be said. Whoever rewrites human texts makes them models' texts here, and a model that recites them makes its
        texts people's. Texts out of one template are near-copies of each other whoever filled it in, so they are no
        marks, and human ones count by those that are: somebody who took nothing but fillings of templates, and edited
        them, is not seen. In a reference of templates alone, or whose texts all stand there twice, there are none, and
        only a range is told.

    Needs
        Text, and a reference (``--reference``).
    """
    n = len(data.generation)
    copies, near = _marked(data, data.text), _marked(data, data.near)
    if near.known < MIN_UNITS:
        return _open(f"the reference holds {near.known:,} texts; {MIN_UNITS} are the least that can show anything")
    found = _standing(data, data.near)
    if found < _NOTHING * n and (foreign := _foreign(data)):
        return _open(foreign)
    value = max(each.value for each in (copies, near))
    low = max(each.at_least(_ALPHA / 2) for each in (copies, near))
    high = min(near.at_most(_ALPHA), bounds(found, n, complete=near.complete)[1])
    if data.baseline.n_read > len(data.baseline):
        high = 1.0
    remarks = _explained(data, copies, near)
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        method="counted by the texts of the reference that nothing in it is like, chance from those in pairs",
        p_value=None,
        n_baseline=len(data.baseline),
        n_generation=n,
        raw={
            "copies": _standing(data, data.text) / n,
            "near_copies": found / n,
            "marks": near.share,
            "marks_found": near.hits / n,
            "marks_by_chance": near.chance,
            "repeated": _repeated(data) / n,
        },
        notes=("range",) if remarks else (),
        explanation=remarks,
    )


def _counts(data: TrainingData, kind: IntArray) -> tuple[IntArray, IntArray]:
    """How often each kind of text stands in the reference, and in the data; empty texts are nobody's."""
    code, side = kind[data.written], data.side[data.written]
    theirs, mine = (np.bincount(code[side == which], minlength=int(kind.max()) + 1) for which in (0, 1))
    return theirs, mine


def _marked(data: TrainingData, kind: IntArray) -> Marked:
    """What the data have in common with the marks of the reference; ``kind``: what is called equal, shape (R + N,)."""
    n = len(data.generation)
    return Marked.counted(*_counts(data, kind), n=n, complete=data.generation.n_read == n)


def _standing(data: TrainingData, kind: IntArray) -> int:
    """Texts of the data that stand in the reference, each as often as it stands there at most."""
    return int(np.minimum(*_counts(data, kind)).sum())


def _repeated(data: TrainingData) -> int:
    """Texts of the data that stand in the reference word for word, beyond that."""
    theirs, mine = _counts(data, data.text)
    return int(np.maximum(mine - theirs, 0)[theirs > 0].sum())


def _explained(data: TrainingData, copies: Marked, near: Marked) -> str:
    """What a reader should know besides the share."""
    n, remarks = len(data.generation), []
    if data.baseline.n_read > len(data.baseline):
        remarks.append("only a part of the reference was looked through (max_documents), so that more may stand in it")
    if near.share < _MARKS:
        kind = "copies" if copies.share < _MARKS else "near-copies: templates, which anybody may have filled in"
        remarks.append(
            f"{1 - near.share:.1%} of the reference's own texts are {kind}; what stands in the data is told by the "
            f"{near.marks:,} others, of which {near.hits:,} stand there, and {near.chance * n:,.0f} would by chance "
            "if people had written all of them anew"
        )
    if near.known < n * _SMALL:
        remarks.append(f"the reference holds {near.known:,} texts, {near.known / n:.1%} of so many as the data")
    if repeated := _repeated(data):
        remarks.append(f"{repeated:,} more repeat texts of the reference, and count once")
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
