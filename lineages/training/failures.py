"""What the machine says when it is too small, or may not be written to, in words that help: it has many names."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from collapse_audit.lineages.training.errors import TrainingError

_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")
_DISK = ("no space left on device", "disk quota exceeded")
_MAY_NOT = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
_READ_ONLY = ("read-only file system", "permission denied")
_AGAIN = "What was finished is kept: run the same command again to go on"


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turns errors of memory, disk and permission into a TrainingError that says what to do; lets all else through."""
    try:
        yield
    except TrainingError:
        raise
    except MemoryError as error:
        raise _memory(where) from error
    except Exception as error:
        words = str(error).lower()
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(part in words for part in _DISK):
            message = (
                f"{where}: the disk is full ({error}). {_AGAIN} when there is space; --dry-run says how much it takes"
            )
            raise TrainingError(message, slug="disk") from error
        if any(part in words for part in _MEMORY):
            raise _memory(where) from error
        if getattr(error, "errno", None) in _MAY_NOT or any(part in words for part in _READ_ONLY):
            message = f"{where}: its folder cannot be written to ({error}). {_AGAIN} when it can"
            raise TrainingError(message, slug="unwritable") from error
        raise


def _memory(where: str) -> TrainingError:
    message = (
        f"{where}: the memory is too small. Lower recipe.training.batch_size (and raise accumulate by as much), set "
        "gradient_checkpointing = true, or lower recipe.decoding.batch_size if it was writing; --dry-run estimates the "
        f"need. {_AGAIN}, but a changed recipe starts a new lineage (--out)"
    )
    return TrainingError(message, slug="memory")
