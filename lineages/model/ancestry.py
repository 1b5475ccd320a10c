"""Which corpora a generation has seen in training, itself or through those it descends from.

A generation must not be compared with such a corpus as if the two were independent samples (its model imitates that
very sample), so this decides which comparisons become one-sided. Where the manifest does not say, a chain is assumed:
generation k trained on the texts of the one before it, the first on the reference. Where it names a corpus of another
lineage and not what that one descends from, everything older in this lineage is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.files.paths import shown_name
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage


def trained_on(lineage: Lineage, entry: GenerationEntry, corpus: Corpus) -> bool:
    """Whether ``corpus`` (or a file with the same bytes) is in the training data of ``entry`` or of an ancestor.

    Never a held-out corpus, and none where the user states that no corpus was trained on another.
    """
    if lineage.independent or corpus.split == "holdout" or corpus.path in _held_out(lineage):
        return False
    return any(corpus.path == seen.path or corpus.digest == seen.digest for seen in training_corpora(lineage, entry))


def training_corpora(lineage: Lineage, entry: GenerationEntry) -> list[Corpus]:
    """Every corpus of this lineage that ``entry`` or an ancestor of it was trained on, each once."""
    corpora: dict[str, Corpus] = {}
    visited: set[tuple[str | None, int]] = set()
    waiting = [entry]
    while waiting:
        current = waiting.pop()
        if (current.seed, current.index) in visited:
            continue
        visited.add((current.seed, current.index))
        for name in _read_by(lineage, current):
            if name == "reference" and lineage.reference is not None:
                corpora[lineage.reference.shown] = lineage.reference
            for author in _authors(lineage, name):
                corpora[author.texts.shown] = author.texts
                waiting.append(author)
        if current.details.get("init_from") == "parent":  # the parent's weights carry what the parent has read
            waiting.extend(_before(lineage, current)[-1:])
    return list(corpora.values())


def _held_out(lineage: Lineage) -> set[object]:
    holdouts: Iterable[Corpus | None] = (lineage.reference_holdout, *(e.holdout for e in lineage.generations))
    return {corpus.path for corpus in holdouts if corpus is not None and corpus.split is None}


def _authors(lineage: Lineage, name: str) -> list[GenerationEntry]:
    return [entry for entry in lineage.generations if entry.texts.shown == name]


def _before(lineage: Lineage, entry: GenerationEntry) -> tuple[GenerationEntry, ...]:
    return tuple(other for other in lineage.of_seed(entry.seed) if other.index < entry.index)


def _read_by(lineage: Lineage, entry: GenerationEntry) -> list[str]:
    """Names of this lineage's corpora that the entry was directly trained on ("reference" for that one, "fresh" for
    human text that is no corpus of it)."""
    older = [other.texts.shown for other in _before(lineage, entry)]
    if entry.trained_on is None:
        return older[-1:] or ["reference"]
    names: list[str] = []
    for source in entry.details["trained_on"]:
        if "lineage" not in source:
            names.append(source["corpus"])
        elif "descends_from" in source:
            names.extend(source["descends_from"])
        else:
            names.extend(["reference", *older])
    reference = None if lineage.reference is None else lineage.reference.shown
    return ["reference" if name == reference else name for name in map(shown_name, names)]
