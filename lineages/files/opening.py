"""The one place where files of text are opened: plain, or packed by gzip, zstd or xz, as the end of the name says.

Whoever wants a limit on what is read (bytes, bombs) puts it here: every reader of corpora goes through
:func:`open_bytes` and :func:`read_some`.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from collapse_audit.lineages.files.broken import Broken

PACKINGS = {".gz": "gzip", ".zst": "zstd", ".xz": "xz"}
"""End of a name -> what the file is packed with."""


class Unreadable(Exception):  # noqa: N818 - it is caught and reported, never shown as it is
    """The rest of a file cannot be read; ``str`` of it is never shown."""

    def __init__(self, found: str, expected: str, slug: str, *, line: int | None = None) -> None:
        super().__init__(found)
        self.broken = Broken(found=found, expected=expected, slug=slug)
        self.line = line


def split_packing(name: str) -> tuple[str, str]:
    """``("a.jsonl", ".gz")`` of ``a.jsonl.gz``; the second part is empty where the name ends in no packing."""
    for packing in PACKINGS:
        if name.endswith(packing):
            return name.removesuffix(packing), packing
    return name, ""


def open_bytes(path: Path, *, packing: str = "") -> BinaryIO:
    """The file's bytes, unpacked; the caller closes it. ``packing``: a key of :data:`PACKINGS`, or empty."""
    if packing == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if packing == ".xz":
        return cast(BinaryIO, lzma.open(path, "rb"))
    if packing == ".zst":
        return cast(BinaryIO, pa.CompressedInputStream(pa.OSFile(str(path), "rb"), "zstd"))
    return path.open("rb")


def read_some(stream: BinaryIO, size: int, *, packing: str = "") -> bytes:
    """Up to ``size`` bytes (-1: all); raises Unreadable where a packed stream is damaged or the disk refuses."""
    kind = PACKINGS.get(packing, "gzip")
    try:
        return stream.read(size) if size >= 0 else b"".join(_pieces(stream))
    except EOFError:
        raise _cut_off(kind) from None
    except gzip.BadGzipFile as error:
        raise Unreadable(f"broken gzip ({error})", "gzip data, as its name says", "gzip-broken") from None
    except (zlib.error, lzma.LZMAError) as error:
        raise Unreadable(f"broken {kind} ({error})", f"an undamaged {kind} file", "gzip-broken") from None
    except OSError as error:
        if packing == ".zst" and error.errno is None:  # pyarrow says it so
            if "truncated" in str(error).lower():
                raise _cut_off(kind) from None
            reason = str(error).splitlines()[0]
            raise Unreadable(f"broken {kind} ({reason})", f"an undamaged {kind} file", "gzip-broken") from None
        raise Unreadable(f"a file that cannot be read ({error.strerror})", "a readable file", "unreadable") from None


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(1 << 20):
        yield piece


def _cut_off(kind: str) -> Unreadable:
    return Unreadable(f"a {kind} file that ends too early", "the whole file; write it again", "gzip-truncated")
