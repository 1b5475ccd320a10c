"""What every corpus reader has in common: blocks of records, things that stand for unreadable ones, raw lines.

A file is never held in memory: it is read in blocks of about :data:`BLOCK_BYTES` (longer only where one line is).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.door import limits
from collapse_audit.lineages.files.failures import Unreadable, too_much
from collapse_audit.lineages.files.opening import open_bytes, read_some
from collapse_audit.lineages.files.remote import Place

BLOCK_BYTES = 1024 * 1024
BOM = b"\xef\xbb\xbf"
_HEAD = 4096

# What the first bytes of a file that is not what its name says usually are.
_MAGIC = (
    (b"\x1f\x8b", "gzip-compressed bytes", 'plain text, or a name that ends in ".gz"'),
    (b"PAR1", "a Parquet file", 'plain text, or a name that ends in ".parquet"'),
    (b"PK\x03\x04", "a zip archive", "plain text; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed bytes", 'plain text, or a name that ends in ".zst"'),
    (b"\xfd7zXZ\x00", "xz-compressed bytes", 'plain text, or a name that ends in ".xz"'),
    (b"\xff\xfe\x00\x00", "UTF-32 text", "UTF-8; convert it: iconv -f UTF-32 -t UTF-8 OLD > NEW"),
    (b"\xff\xfe", "UTF-16 text", "UTF-8; convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW"),
    (b"\xfe\xff", "UTF-16 text", "UTF-8; convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW"),
    (b"version https://git-lfs", "a Git LFS pointer in place of the file", 'the file itself; run "git lfs pull"'),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some consecutive records of a file."""

    lines: Sequence[int | None]
    """1-based line (Parquet: row) of each record."""
    records: Sequence[Any]
    """Parsed, not yet checked: a dict where all is well, any other JSON value, or a :class:`Broken`."""
    files: Sequence[str] | None = None
    """The file of each record as it is shown, where a corpus has several."""

    def places(self) -> Iterator[tuple[str | None, int | None, Any]]:
        """File (None: the corpus' own), line and value of each record."""
        names = self.files if self.files is not None else [None] * len(self.lines)
        return zip(names, self.lines, self.records, strict=True)


def raw_line_blocks(path: Place, *, packing: str, block_bytes: int) -> Iterator[bytes]:
    """The file's bytes in blocks that end at a line end (the last one may not), without a byte order mark.

    Raises Unreadable for a damaged packed file and for files that are plainly something else.
    """
    first = True
    with open_bytes(path, packing=packing) as stream:
        for block in _whole_lines(stream, block_bytes, packing):
            if first:
                refuse_other_formats(block)
                block = block.removeprefix(BOM)
                first = False
            if block:
                yield block


def _whole_lines(stream: BinaryIO, block_bytes: int, packing: str) -> Iterator[bytes]:
    pending: list[bytes] = []  # pieces of a line longer than a block; joined once
    line, waiting = 1, 0
    while chunk := read_some(stream, block_bytes, packing=packing):
        end = chunk.rfind(b"\n") + 1
        waiting += len(chunk) if end == 0 else chunk.index(b"\n")
        if waiting > limits().line:
            raise too_much("a line of more bytes", "line", line=line)
        if end == 0:
            pending.append(chunk)
            continue
        pending.append(chunk[:end])
        yield b"".join(pending)
        line += chunk.count(b"\n")
        pending = [chunk[end:]] if end < len(chunk) else []
        waiting = len(chunk) - end
    if pending:
        yield b"".join(pending)


def refuse_other_formats(start: bytes) -> None:
    """Raise Unreadable where the first bytes of a file of text are those of something else."""
    for magic, found, expected in _MAGIC:
        if start.startswith(magic):
            raise Unreadable(found, expected, "not-text")
    head = start[:_HEAD]
    for offset, name in ((1, "UTF-16LE"), (0, "UTF-16BE")):  # without a byte order mark, Latin text is half zeros
        if len(head) >= 8 and head[offset::2].count(0) > len(head) // 4 > 4 * head[1 - offset :: 2].count(0):
            convert = f"UTF-8; convert it: iconv -f {name} -t UTF-8 OLD > NEW"
            raise Unreadable("UTF-16 text without a byte order mark", convert, "not-text")


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
    """The problem of a line that is not UTF-8, with the command that would make it so."""
    guess = _encoding(error.object[:_HEAD])
    return Broken(
        found=f"bad UTF-8 (byte 0x{error.object[error.start]:02x} at byte {error.start + 1} of the line)",
        expected=f"UTF-8 text; if it is {guess}: iconv -f {guess} -t UTF-8 OLD > NEW",
        slug="bad-utf8",
    )


def _encoding(line: bytes) -> str:
    """What a line that is not UTF-8 probably is: Cyrillic has bytes over 0x7f in a row, Latin text single ones."""
    high = [byte > 0x7F for byte in line]
    together = sum(a and b for a, b in pairwise(high))
    return "windows-1251" if 2 * together >= sum(high) > 1 else "windows-1252"
