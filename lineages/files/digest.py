"""Digests: of a file's bytes, and of any value that JSON can hold. Always written ``sha256:<64 hex digits>``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

PREFIX = "sha256:"


def file_digest(path: Path) -> str:
    """Digest of the file's bytes, read in blocks. Raises OSError where the file cannot be read."""
    with path.open("rb") as file:
        return PREFIX + hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """One spelling for equal values: sorted keys, no spaces, UTF-8. Dates (TOML has them) are written as ISO text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str).encode(
        "utf-8", "surrogatepass"
    )


def json_digest(value: Any) -> str:
    """Digest of :func:`canonical_json` of ``value``."""
    return PREFIX + hashlib.sha256(canonical_json(value)).hexdigest()
