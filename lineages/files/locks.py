"""One process at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collapse_audit.errors import UsageError


@contextmanager
def locked(path: Path, *, busy: str = "") -> Iterator[None]:
    """No other process is in such a block for the lock ``path``, which falls with the process, however it ends.

    ``busy``: what is said where one is; empty: it is waited for. Raises UsageError, too, where the lock cannot be had:
    it is a link or a folder that somebody put there, or nothing can be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0 if busy else -1)
    except Timeout:
        raise UsageError(busy, slug="locked") from None
    except (OSError, NotImplementedError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        message = f"{path}: cannot be locked ({why}); remove it, or make its folder writable"
        raise UsageError(message, slug="locked") from None
    try:
        yield
    finally:
        lock.release()
