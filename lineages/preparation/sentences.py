"""Takes a text that names several labels apart into the sentences that name them, each with its own.

As Bobrova et al. do with long conclusions ("extends the features by 8.4%"): their fig. 1 shows three nodules in one
text, each sentence followed by its category, with or without a full stop between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from collapse_audit.lineages.preparation.columns import Columns
from collapse_audit.lineages.preparation.labels import named_categories
from collapse_audit.lineages.preparation.ledger import Ledger, Row

PAPER_SHARE = 0.084
"""By how much the paper's records grew."""
_BOUNDARY = re.compile(
    r"(?<=[.!?;…])\s+(?=[^\W\d_a-zа-яё]|\d+[.)]\s)"  # a sentence ends and a capital, or an item's number, follows
    r"|(?<=[0-9IVІabcабв)\]])\s+(?=[А-ЯЁA-Z][а-яёa-z ])"  # "EU-TIRADS 4 В правой доле": a category and no full stop
    r"|\n+"
)


def sentence_parts(text: str) -> list[str]:
    """The text in parts, each up to the next sentence that names a category; what follows the last is part of it.

    Put together they are the text. A text in which fewer than two sentences name a category stays whole.
    """
    ends = [match.end() for match in _BOUNDARY.finditer(text)]
    parts: list[str] = []
    start = 0
    for end in [*ends, len(text)]:
        if named_categories(text[start:end]):
            parts.append(text[start:end])
            start = end
    if len(parts) < 2:
        return [text]
    parts[-1] += text[start:]
    named = {label for part in parts for label in named_categories(part)}
    return parts if named == set(named_categories(text)) else [text]  # a cut went through a mention


def split_sentences(rows: Sequence[Row], columns: Columns, ledger: Ledger) -> list[Row]:
    """Rows whose texts are taken apart where that is possible; the parts keep the description and the patient."""
    result: list[Row] = []
    for row in rows:
        parts = sentence_parts(row.cells[columns.text] or "")
        if len(parts) == 1:
            result.append(row)
            continue
        ledger.add(len(parts) - 1)
        for number, part in enumerate(parts, start=1):
            cells = {**row.cells, columns.text: part.strip()}
            result.append(replace(row, cells=cells, labels=named_categories(part), part=number))
    return result
