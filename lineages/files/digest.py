"""Digests: of a file's bytes, and of any value that JSON can hold. Always written ``sha256:<64 hex digits>``."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

PREFIX = "sha256:"


def file_digest(path: Path) -> str:
    """Digest of the file's bytes, read in blocks. Raises OSError where it cannot be read, or is no regular file."""
    # Not blocking: a FIFO that nobody writes to would be waited for without end, and a device has none.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "neither a file nor a folder, but a device or a pipe", str(path))
        return PREFIX + hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """One spelling for equal values: sorted keys, no spaces, UTF-8. Dates (TOML has them) are written as ISO text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str).encode(
        "utf-8", "surrogatepass"
    )


def json_digest(value: Any) -> str:
    """Digest of :func:`canonical_json` of ``value``."""
    return PREFIX + hashlib.sha256(canonical_json(value)).hexdigest()
