"""A lineage of corpora that are named one by one, in their order: files, folders, or texts in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collapse_audit.engines.engine import Engine
from collapse_audit.errors import InputError, Problem, UsageError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.corpora.memory import in_memory
from collapse_audit.lineages.corpora.named import is_pattern, open_named, redirections
from collapse_audit.lineages.corpora.parts import corpus_folder
from collapse_audit.lineages.corpora.readers.fields import Reading
from collapse_audit.lineages.disk.folder import scan_folder
from collapse_audit.lineages.disk.manifest import MANIFEST
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.digest import json_digest
from collapse_audit.lineages.files.urls import is_url
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage


def is_corpus(path: str | os.PathLike[str]) -> bool:
    """Whether the path is one corpus rather than a lineage: a file, a URL, a pattern of either, or a folder that holds
    one and no generations."""
    if is_url(os.fspath(path)) or is_pattern(os.fspath(path)):
        return True
    place = Path(path)
    if not place.is_dir():
        return place.is_file() and place.name != MANIFEST
    if os.path.lexists(place / MANIFEST):
        return False
    try:
        manifest, _, _ = scan_folder(place.resolve(), where=str(path))
        if manifest.get("generation") or manifest.get("reference"):
            return False
        return not isinstance(corpus_folder(place, str(path)), Broken)
    except OSError:
        return False


def listed_lineage(
    generations: Sequence[Any],
    *,
    names: Sequence[str] | None = None,
    reading: Reading | None = None,
    engine: Engine | None = None,
) -> Lineage:
    """A lineage whose generation k is the k-th of ``generations``: paths, URLs, patterns, or what ``in_memory`` takes.

    ``names``: what those in memory are called. ``engine``: who reads URLs for their digests (None: here). Raises
    InputError with the problems of all files together, UsageError for what is neither a path nor texts.
    """
    _refuse_twice(generations)
    corpora: list[Corpus] = []
    problems: list[Problem] = []
    for index, texts in enumerate(generations):
        name = names[index] if names is not None else f"generation {index}"
        try:
            if isinstance(texts, str | os.PathLike):
                corpora.append(open_named(texts, reading=reading, engine=engine))
            else:
                corpora.append(_held(texts, name, reading))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    if not corpora:
        raise UsageError("no generations; name at least one corpus, and what it is compared with")
    entries = tuple(GenerationEntry(index=index, texts=corpus) for index, corpus in enumerate(corpora))
    called = [corpus.shown for corpus in corpora]
    return Lineage(
        name=called[0] if len(called) == 1 else f"{called[0]} to {called[-1]}",
        root=Path.cwd(),
        digest=json_digest({"format": 1, "generations": [corpus.digest for corpus in corpora]}),
        generations=entries,
        notes=(
            f"generations as named: {', '.join(f'{index} = {name}' for index, name in enumerate(called))}",
            *(note for corpus in corpora for note in redirections(corpus)),
        ),
        folder=False,
    )


def _refuse_twice(generations: Sequence[Any]) -> None:
    """A file that is named twice would be compared with itself. (A copy of it is audited, and found out.)"""
    seen: set[Path] = set()
    for texts in generations:
        named = isinstance(texts, str | os.PathLike) and not is_url(os.fspath(texts))
        if named and os.path.exists(texts):  # noqa: PTH110 - a pattern is no path
            place = Path(texts).resolve()
            if place in seen:
                raise UsageError(f"{os.fspath(texts)} is named twice; name what is before, and what is after")
            seen.add(place)


def _held(texts: Any, name: str, reading: Reading | None) -> Corpus:
    held = in_memory(texts, what=name)
    return Corpus(path=Path(name), shown=name, digest=held.digest(), memory=held, reading=reading or Reading())
