"""Regular files of bounded size: what is a pipe or a device, and what would fill memory, is not read."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotRegularError(Exception):
    """Neither waited for nor held; ``str`` of it says what was found."""


def read_regular(path: Path, *, most: int) -> bytes:
    """The content of a regular file of at most ``most`` bytes. Raises NotRegularError, OSError."""
    # Not blocking: a FIFO that nobody writes to would be waited for without end.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotRegularError("neither a file nor a folder, but a device or a pipe")
        content = file.read(most + 1)
    if len(content) > most:
        raise NotRegularError(f"a file of more than {most:,} bytes")
    return content
