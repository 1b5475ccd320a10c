"""What each document of a record has for itself, where one record holds several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collapse_audit.lineages.files.broken import Broken

_A = {"embedding": "an embedding", "score": "a score"}


def own_of_each(shared: Mapping[str, Any], documents: int) -> Sequence[Mapping[str, Any]] | Broken:
    """What only one of the documents of a record has, its embedding and its score, of as many as there are."""
    own: list[dict[str, Any]] = [{} for _ in range(documents)]
    for name, kind in (("embedding", "lists of numbers"), ("score", "scores")):
        values = shared.get(name)
        if documents < 2 or values is None:
            continue
        fits = isinstance(values, list) and len(values) == documents
        if not fits or (name == "embedding" and not all(isinstance(each, list) for each in values)):
            return Broken(
                found=f"{documents} texts, and {_A[name]} that is no list of {documents} {kind}",
                expected=f"{_A[name]} of each text",
                slug="bad-embedding" if name == "embedding" else "bad-score",
            )
        for place, value in enumerate(values):
            own[place][name] = value
    return own
