"""The one place where files of text are opened: plain, or packed by gzip, zstd or xz, as the end of the name says.

Every reader of corpora goes through :func:`open_bytes` and :func:`read_some`, so that a device is never read, a pipe
never waited for, and a packed file never unpacked beyond what :mod:`~collapse_audit.lineages.files.door` allows.
"""

from __future__ import annotations

import gzip
import lzma
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from collapse_audit.lineages.files.door import limits
from collapse_audit.lineages.files.failures import Unreadable, check_lines, check_ratio, too_much
from collapse_audit.lineages.files.remote import Place, Remote, open_remote

PACKINGS = {".gz": "gzip", ".zst": "zstd", ".xz": "xz"}
"""End of a name -> what the file is packed with."""


def split_packing(name: str) -> tuple[str, str]:
    """``("a.jsonl", ".gz")`` of ``a.jsonl.gz``; the second part is empty where the name ends in no packing."""
    for packing in PACKINGS:
        if name.lower().endswith(packing):
            return name[: -len(packing)], packing
    return name, ""


def open_bytes(place: Place, *, packing: str = "") -> BinaryIO:
    """The file's bytes, unpacked; the caller closes it. ``packing``: a key of :data:`PACKINGS`, or empty.

    Raises OSError, and Unreadable for what is no regular file and what cannot be fetched.
    """
    file, size = (open_remote(place), place.size) if isinstance(place, Remote) else _open_local(place)
    if packing == ".gz":
        return cast(BinaryIO, _Unpacked(gzip.GzipFile(fileobj=file, mode="rb"), file, size))
    if packing == ".xz":
        return cast(BinaryIO, _Unpacked(lzma.open(file, "rb"), file, size))
    if packing == ".zst":
        return cast(BinaryIO, _Unpacked(pa.CompressedInputStream(pa.PythonFile(file), "zstd"), file, size))
    return file


def _open_local(path: Path) -> tuple[BinaryIO, int]:
    """The file, and how many bytes it has."""
    # Not blocking: a FIFO that nobody writes to would be waited for without end.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Unreadable("neither a file nor a folder, but a device or a pipe", "a regular file", "not-a-file")
    return os.fdopen(descriptor, "rb"), status.st_size


class _Unpacked:
    """What a packed file unpacks to, as far as that is within the limits."""

    def __init__(self, stream: Any, file: BinaryIO, packed: int) -> None:
        self._stream, self._file = stream, file
        self._packed, self._unpacked, self._lines = packed, 0, 0

    def __enter__(self) -> _Unpacked:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._file.close()

    def read(self, size: int) -> bytes:
        data = bytes(self._stream.read(size))
        self._unpacked += len(data)
        if self._unpacked > limits().unpacked:
            raise too_much("packed bytes that unpack to more bytes", "unpacked")
        check_ratio(self._packed, self._unpacked)
        self._lines += data.count(b"\n")
        check_lines(self._packed, self._lines)
        return data


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
    """All of a file that has to be held as a whole."""
    size = 0
    while piece := stream.read(1 << 20):
        size += len(piece)
        if size > limits().whole:
            raise too_much("more bytes to be held at once", "whole")
        yield piece


def _cut_off(kind: str) -> Unreadable:
    return Unreadable(f"a {kind} file that ends too early", "the whole file; write it again", "gzip-truncated")
