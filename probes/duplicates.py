"""CA702: how many of the training texts are copies of another one?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from collapse_audit.probes.pairs.near_copies import template
from collapse_audit.probes.pairs.training_data import TrainingData
from collapse_audit.probes.statistics.counted import bounds, repeated_among
from collapse_audit.probes.statistics.design import IntArray
from collapse_audit.probes.statistics.readings import Estimate, Gate, Reading
from collapse_audit.probes.types import data_probe

_SHOWN = 5


@data_probe(
    name="duplicates",
    code="CA702",
    needs=("text",),
    gates=(
        Gate(
            statistic="copies",
            unit="share of documents",
            worse="higher",
            margin=0.05,
            because="one training text in twenty is paid for twice; people's paragraphs, stories and abstracts hold at "
            "most .001 of them, and short reports .065",
            plain="copies of one text",
            says="the share of training texts that are copies of another lies {value} above that of people's",
        ),
        Gate(
            statistic="near-copies",
            unit="share of documents",
            worse="higher",
            margin=0.15,
            because="Lee et al. 2022 find .004 (Wiki-40B) to .14 (RealNews) in corpora that models are trained on",
            kind="move",
            plain="near-copies",
            says="the share of training texts that are another's copy but for names and the like lies {value} above "
            "that of people's",
        ),
    ),
    source="Lee et al. 2022, doi 10.18653/v1/2022.acl-long.577 (deduplicating training data)",
    since="0.2",
)
def duplicates(data: TrainingData) -> Iterator[Reading]:
    """How many of the training texts are copies of another one?

    What it measures
        Texts that repeat an earlier one, word for word, and those that repeat it but for names, places and the like.

    Formula and unit
        copies: 1 - distinct texts/texts, where a reader sees no difference; empty texts are one text. near-copies: 1 -
        distinct templates/texts, as in ``diversity``. Counted over all texts: facts of the file, without chance.

    Why it signals collapse
        A model that is trained on copies learns them by heart and writes them again, and the next generation is trained
        on more of them. Deduplicated data need fewer steps for the same loss (Lee et al. 2022).

    When it misleads
        Who repeats people's texts on purpose, to give them weight, has copies. Forms and reports are near-copies of
        each other whoever writes them: give a reference of the same kind. Near-copies beyond the margin are
        ``changed``, and no loss by themselves. Where only a part of the data was read (``max_documents``), there are
        more copies than were found: that may fail, but not pass.

    Needs
        Text.
    """
    yield _repeats(data, data.text, "copies")
    yield _repeats(data, data.near, "near-copies")


def _repeats(data: TrainingData, kind: IntArray, statistic: str) -> Reading:
    """By what ``kind`` calls copies of each other; shape (R + N,)."""
    mine, theirs = (np.bincount(kind[data.side == which], minlength=int(kind.max()) + 1) for which in (1, 0))
    n, known = len(data.generation), len(data.baseline)
    alike = min(n, known) if known else n
    share, usual = repeated_among(mine, alike), repeated_among(theirs, alike) if known else 0.0
    least, most = bounds(round(usual * alike), alike) if usual else (0.0, 0.0)
    complete = data.generation.n_read == n
    remarks = [] if complete else [f"among {n:,} of {data.generation.n_read:,} texts, and there are more in all"]
    if usual:
        remarks.append(f"of {alike:,} texts {share:.1%} are, and {usual:.1%} of as many of the reference's")
    return Estimate(
        statistic=statistic,
        value=share - usual,
        low=share - max(most, usual),
        high=share - min(least, usual) if complete else 1.0,
        method="counted over all texts",
        p_value=None,
        n_baseline=known,
        n_generation=n,
        raw={"share": share, "share_of_reference": usual, "among": alike, "most_frequent": int(mine.max())},
        evidence=tuple(_evidence(data, kind[data.side == 1], mine)),
        notes=("range",) if remarks else (),
        explanation="; ".join(remarks),
    )


def _evidence(data: TrainingData, kind: IntArray, of_each: IntArray) -> Iterator[dict[str, Any]]:
    """The largest groups: how many texts, and the words that most of them hold where enough of them differ."""
    if data.evidence == "none":
        return
    text = data.text[data.side == 1]
    for which in np.argsort(-of_each, kind="stable")[:_SHOWN]:
        rows = np.flatnonzero(kind == which)
        if rows.size > 1:
            words = template(data.generation.tokens, rows, text[rows])
            shown = {"kind": "template", "term": words} if words else {"kind": "text"}
            yield {**shown, "copies": int(rows.size)}
