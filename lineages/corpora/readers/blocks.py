"""What every corpus reader has in common: blocks of records, things that stand for unreadable ones, raw lines.

A file is never held in memory: it is read in blocks of about :data:`BLOCK_BYTES` (longer only where one line is).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from collapse_audit.lineages.files.broken import Broken

BLOCK_BYTES = 1024 * 1024
BOM = b"\xef\xbb\xbf"

# What the first bytes of a file that is not what its name says usually are.
_MAGIC = (
    (b"\x1f\x8b", "gzip-compressed bytes", 'plain text, or a name that ends in ".gz"'),
    (b"PAR1", "a Parquet file", 'plain text, or a name that ends in ".parquet"'),
    (b"PK\x03\x04", "a zip archive", "plain text; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed bytes", "plain text or gzip; unpack it first"),
    (b"\xff\xfe", "UTF-16 text", "UTF-8; convert it first"),
    (b"\xfe\xff", "UTF-16 text", "UTF-8; convert it first"),
    (b"version https://git-lfs", "a Git LFS pointer in place of the file", 'the file itself; run "git lfs pull"'),
)


class Unreadable(Exception):  # noqa: N818 - it is caught and reported, never shown as it is
    """The rest of a file cannot be read; ``str`` of it is never shown."""

    def __init__(self, found: str, expected: str, slug: str, *, line: int | None = None) -> None:
        super().__init__(found)
        self.broken = Broken(found=found, expected=expected, slug=slug)
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some consecutive records of a file."""

    lines: Sequence[int | None]
    """1-based line (Parquet: row) of each record."""
    records: Sequence[Any]
    """Parsed, not yet checked: a dict where all is well, any other JSON value, or a :class:`Broken`."""


def raw_line_blocks(path: Path, *, gzipped: bool, block_bytes: int) -> Iterator[bytes]:
    """The file's bytes in blocks that end at a line end (the last one may not), without a byte order mark.

    Raises Unreadable for a damaged gzip file and for files that are plainly something else.
    """
    first = True
    with open_bytes(path, gzipped=gzipped) as stream:
        for block in _whole_lines(stream, block_bytes):
            if first:
                _refuse_other_formats(block)
                block = block.removeprefix(BOM)
                first = False
            if block:
                yield block


def open_bytes(path: Path, *, gzipped: bool) -> BinaryIO:
    """The file's bytes, unpacked; the caller closes it."""
    return cast(BinaryIO, gzip.open(path, "rb")) if gzipped else path.open("rb")


def _whole_lines(stream: BinaryIO, block_bytes: int) -> Iterator[bytes]:
    pending: list[bytes] = []  # pieces of a line longer than a block; joined once
    while chunk := read_some(stream, block_bytes):
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            pending.append(chunk)
            continue
        pending.append(chunk[:end])
        yield b"".join(pending)
        pending = [chunk[end:]] if end < len(chunk) else []
    if pending:
        yield b"".join(pending)


def read_some(stream: BinaryIO, size: int) -> bytes:
    """Up to ``size`` bytes; raises Unreadable where a gzip stream is damaged or the disk refuses."""
    try:
        return stream.read(size)
    except EOFError:
        raise Unreadable(
            "a gzip file that ends too early", "the whole file; write it again", "gzip-truncated"
        ) from None
    except gzip.BadGzipFile as error:
        raise Unreadable(f"broken gzip ({error})", "gzip data, as its name says", "gzip-broken") from None
    except zlib.error as error:
        raise Unreadable(f"broken gzip ({error})", "an undamaged gzip file", "gzip-broken") from None
    except OSError as error:
        raise Unreadable(f"a file that cannot be read ({error.strerror})", "a readable file", "unreadable") from None


def _refuse_other_formats(start: bytes) -> None:
    for magic, found, expected in _MAGIC:
        if start.startswith(magic):
            raise Unreadable(found, expected, "not-text")


def decode_lines(block: bytes) -> list[str | Broken]:
    """The lines of a block without their ends; a line that is not UTF-8 becomes a Broken."""
    try:
        # str.splitlines would also split at U+2028 and other characters that may stand inside a text.
        lines: list[str | Broken] = list(block.decode("utf-8").split("\n"))
    except UnicodeDecodeError:
        lines = [_decode_line(line) for line in block.split(b"\n")]
    if block.endswith(b"\n"):
        lines.pop()
    if b"\r\n" in block:
        lines = [line.removesuffix("\r") if isinstance(line, str) else line for line in lines]
    return lines


def _decode_line(line: bytes) -> str | Broken:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        return bad_utf8(error)


def first_repeated(names: Iterable[str]) -> str | None:
    """The first name that has been there before."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def bad_utf8(error: UnicodeDecodeError) -> Broken:
    """The problem of a line that is not UTF-8."""
    return Broken(
        found=f"bad UTF-8 (byte 0x{error.object[error.start]:02x} at byte {error.start + 1} of the line)",
        expected="UTF-8 text",
        slug="bad-utf8",
    )
