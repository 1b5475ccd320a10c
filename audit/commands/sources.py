"""Which of the paths on a command line are lineages, and which are the corpora of one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from collapse_audit.errors import UsageError


def sources(paths: Sequence[str], generations: Sequence[str]) -> list[str | list[str]]:
    """A path for each lineage in a folder, a list of paths for one whose corpora are named.

    Raises UsageError where the paths are partly one and partly the other, or there is none.
    """
    if generations and paths:
        raise UsageError("a lineage and --generations; name the one or the other")
    if generations:
        return [list(generations)]
    if not paths:
        raise UsageError("no lineage; name a folder, or two files: collapse-audit BEFORE AFTER")
    if len(paths) == 1 and not Path(paths[0]).is_file():
        return list(paths)
    from collapse_audit.lineages.disk.listed import is_corpus

    corpora = [is_corpus(path) for path in paths]
    if all(corpora):
        return [list(paths)]
    if not any(corpora):
        return list(paths)
    if not all(Path(path).exists() for path in paths):
        return [list(paths)]  # which says of every one what is wrong with it
    files = [path for path, corpus in zip(paths, corpora, strict=True) if corpus]
    folders = [path for path, corpus in zip(paths, corpora, strict=True) if not corpus]
    raise UsageError(
        f"corpora ({', '.join(files)}) and lineages ({', '.join(folders)}) in one command; audit each lineage by "
        f"itself, or name all corpora in their order: collapse-audit --generations {shlex.join(paths)}"
    )
