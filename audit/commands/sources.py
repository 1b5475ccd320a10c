"""Which of the paths on a command line are lineages, which are the corpora of one, and which are training data."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from collapse_audit.errors import UsageError

_BESIDE_DATA = ("reference", "evaluation", "labelled", "phrases")
_ELSEWHERE = frozenset(":*?[")
_LONGEST_PATH = 4096
"""What a URL or a pattern holds, and hardly any folder's name."""
_OF_LINEAGES = ("lineages", "generations", "generation", "baseline", "labels", "independent")


def of_data(options: Namespace) -> bool:
    """Whether training data are to be judged. Raises UsageError where they are named beside a lineage, or are not named
    where something is held against them.
    """
    beside = [f"--{name}" for name in _BESIDE_DATA if getattr(options, name)]
    if not options.data:
        if beside:
            raise UsageError(f"{', '.join(beside)} without --data FILE; name the training data, too")
        return False
    others = [f"--{name}" if name != "lineages" else "a lineage" for name in _OF_LINEAGES if getattr(options, name)]
    if others:
        raise UsageError(
            f"--data and {', '.join(others)}; training data are no lineage, and stand beside --reference FILE, "
            "--evaluation FILE and --labelled FILE"
        )
    return True


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
    if too_long := next((path for path in (*paths, *generations) if len(path) > _LONGEST_PATH), ""):
        raise UsageError(f"{too_long[:40]}…: {len(too_long):,} characters; no file has so long a name")
    if len(paths) == 1 and not Path(paths[0]).is_file() and not _ELSEWHERE & {*paths[0]}:
        return list(paths)
    from collapse_audit.lineages.disk.listed import is_corpus

    corpora = [is_corpus(path) for path in paths]
    if all(corpora):
        return [list(paths)]
    if not any(corpora):
        return list(paths)
    if not all(corpus or Path(path).exists() for path, corpus in zip(paths, corpora, strict=True)):
        return [list(paths)]  # which says of every one what is wrong with it
    files = [path for path, corpus in zip(paths, corpora, strict=True) if corpus]
    folders = [path for path, corpus in zip(paths, corpora, strict=True) if not corpus]
    raise UsageError(
        f"corpora ({', '.join(files)}) and lineages ({', '.join(folders)}) in one command; audit each lineage by "
        f"itself, or name all corpora in their order: collapse-audit --generations {shlex.join(paths)}"
    )
