"""What ends the reading of a file: said with what was found, what is expected, and what to do."""

from __future__ import annotations

from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.door import limits, raised

LET_UNPACK = 2**28
"""Bytes that any packed file may unpack to, however small it is: a model that writes one text for ever packs well."""
LET_LINES = 5 * 10**6
"""Lines, likewise: what is nothing but line ends packs best of all, and each may be a document."""
A_LINE = 4
"""Bytes for which a line counts at least."""


class Unreadable(Exception):  # noqa: N818 - it is caught and reported, never shown as it is
    """The rest of a file cannot be read; ``str`` of it is never shown."""

    def __init__(self, found: str, expected: str, slug: str, *, line: int | None = None) -> None:
        super().__init__(found)
        self.broken = Broken(found=found, expected=expected, slug=slug)
        self.line = line


def too_much(what: str, limit: str, *, line: int | None = None) -> Unreadable:
    """What is beyond the limit called ``limit``: what it is, how much is allowed, and how a user raises it."""
    most = getattr(limits(), limit)
    return Unreadable(f"{what} than {most:,}", f"at most {most:,}; {raised(limit)}", "limit-exceeded", line=line)


def check_ratio(packed: int, unpacked: int) -> None:
    """Raises Unreadable where so much comes of so little that the file was made for it."""
    if unpacked > max(LET_UNPACK, limits().ratio * packed):
        raise too_much(f"{packed:,} packed bytes that unpack to {unpacked:,} and more, more times", "ratio")


def check_lines(packed: int, lines: int) -> None:
    """Raises Unreadable where so many lines come of so little that the file was made for it."""
    if lines > max(LET_LINES, limits().ratio * packed // A_LINE):
        raise too_much(f"{packed:,} packed bytes that unpack to {lines:,} lines and more, more times", "ratio")
