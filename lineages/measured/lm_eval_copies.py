"""One evaluation under several generations: the same answers, or the same files, cannot be of two models."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.digest import file_digest, json_digest
from collapse_audit.lineages.files.failures import Unreadable
from collapse_audit.lineages.measured.lm_eval_older import sample_blocks

_FOLDER = re.compile(r"gen_\d+")
_DISTINCT = 10
"""Different generated answers from which on equal ones are a copy: models that collapsed may say one sentence alike."""

Files = Mapping[str, tuple[Path, Path, bool]]
"""Task -> its results file, its samples, and whether its answers are likelihoods."""


def answers(samples: Path, *, likelihoods: bool) -> str | None:
    """Digest of everything that the model answered; None where two models may well answer alike, or of broken files."""
    about = samples.stat()
    return _answers(samples, about.st_mtime_ns, about.st_size, likelihoods)


@functools.lru_cache(maxsize=1024)
def _answers(samples: Path, changed: int, size: int, likelihoods: bool) -> str | None:  # noqa: ARG001 - the cache's key
    try:
        rows = [row for block in sample_blocks(samples) for row in block.records]
    except (Unreadable, OSError):
        return None
    if any(isinstance(row, Broken) or not isinstance(row, dict) for row in rows):
        return None
    given = sorted((str(row.get("filter")), str(row.get("doc_id")), json_digest(row.get("resps"))) for row in rows)
    distinct = len({digest for _, _, digest in given})
    return json_digest(given) if distinct >= (1 if likelihoods else _DISTINCT) else None


def neighbours(place: Path) -> Iterator[Path]:
    """Where other generations of the same seed have their results, if they lie as these do: ``gen_<k>/lm_eval…``."""
    own = next((candidate for candidate in (place, *place.parents) if _FOLDER.fullmatch(candidate.name)), None)
    if own is None:
        return
    for folder in sorted(own.parent.iterdir()):
        if folder != own and _FOLDER.fullmatch(folder.name) and folder.is_dir():
            candidates = [folder / "lm_eval.json", folder / "lm_eval", *sorted(folder.glob("lm_eval_*.json"))]
            yield from (candidate for candidate in candidates if candidate.exists())


def shared(own: Files, other: Files) -> Sequence[str]:
    """Tasks whose answers, or whose results and samples byte for byte, are those of the other generation."""
    return [task for task in sorted(own.keys() & other.keys()) if _is_same(own[task], other[task])]


def _is_same(file: tuple[Path, Path, bool], other: tuple[Path, Path, bool]) -> bool:
    said = answers(file[1], likelihoods=file[2])
    if said is not None and said == answers(other[1], likelihoods=other[2]):
        return True
    # Results carry the date of their run, so equal files are one run, however little the answers say.
    return all(_same_bytes(first, second) for first, second in zip(file[:2], other[:2], strict=True))


def _same_bytes(file: Path, other: Path) -> bool:
    return file.stat().st_size == other.stat().st_size and file_digest(file) == file_digest(other)
