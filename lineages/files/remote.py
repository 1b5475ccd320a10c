"""A file that a URL names, as it was when first read: its digest is known, and every later reading is held to it.

A file is read once for its digest and once for its texts, as a local one is. What is read in one direction is streamed;
what has to be read from its end (Parquet, Arrow) lies in a temporary folder while it is read.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from collapse_audit.lineages.files.digest import PREFIX, file_digest
from collapse_audit.lineages.files.failures import Unreadable
from collapse_audit.lineages.files.stores import Fetched, open_url
from collapse_audit.lineages.files.urls import Url

_PIECE = 2**20
_KEPT = 4
"""Copies that an audit keeps: of each side the file that is looked into before it is read, most often."""


@dataclass(frozen=True, slots=True)
class Remote:
    """One file."""

    url: Url
    digest: str
    """``sha256:…`` of its bytes."""
    size: int
    """Bytes."""
    redirected: str = ""
    """The server that it came from, where it is another one than the URL's."""

    @property
    def name(self) -> str:
        """As it would be called on a disk."""
        return self.url.name


Place = Path | Remote
"""Where the bytes of a corpus are."""


@dataclass
class _Held:
    """What an audit knows of files elsewhere while it runs."""

    seen: dict[str, Remote] = field(default_factory=dict)
    folder: Path | None = None
    copies: list[tuple[Remote, Path]] = field(default_factory=list)


_HELD: ContextVar[_Held | None] = ContextVar("_HELD", default=None)


@contextmanager
def fetching() -> Iterator[None]:
    """Within it each URL stands for what was read there first; at its end no copy is left."""
    if _HELD.get() is not None:
        yield
        return
    held = _Held()
    before = _HELD.set(held)
    try:
        yield
    finally:
        _HELD.reset(before)
        if held.folder is not None:
            shutil.rmtree(held.folder, ignore_errors=True)


def known(url: Url) -> Remote | None:
    """The file as it was read before, in the same audit."""
    held = _HELD.get()
    return None if held is None else held.seen.get(url.full)


def remember(remote: Remote) -> None:
    """Let :func:`known` find it, within :func:`fetching`."""
    held = _HELD.get()
    if held is not None:
        held.seen[remote.url.full] = remote


def pin(url: Url) -> Remote:
    """Read the file once, for its digest. Raises Unreadable, UsageError."""
    digest, size = hashlib.sha256(), 0
    with open_url(url) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            size += len(piece)
        return Remote(url=url, digest=f"{PREFIX}{digest.hexdigest()}", size=size, redirected=stream.redirected)


class _Checked(io.RawIOBase):
    """The same bytes as when the file was pinned, or an Unreadable at the end of them."""

    def __init__(self, remote: Remote, stream: Fetched) -> None:
        super().__init__()
        self._remote, self._stream, self._digest, self._size = remote, stream, hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(buffer)
        self._digest.update(memoryview(buffer)[:count])
        self._size += count
        changed = self._size > self._remote.size
        if len(buffer) and not count:
            changed = f"{PREFIX}{self._digest.hexdigest()}" != self._remote.digest
        if changed:
            expected = "a file that nobody writes to while it is read; run again"
            raise Unreadable("other bytes than when it was read for its digest", expected, "remote-changed")
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_remote(remote: Remote) -> BinaryIO:
    """The file's bytes, from the first one on; the caller closes it. Raises Unreadable."""
    return cast(BinaryIO, io.BufferedReader(_Checked(remote, open_url(remote.url)), 2**18))


@contextmanager
def on_disk(place: Place) -> Iterator[Path]:
    """The file where it can be read from any place: itself, or a copy for as long. Raises Unreadable, OSError."""
    if isinstance(place, Path):
        yield place
        return
    held = _HELD.get()
    with ExitStack() as stack:
        if held is None:
            yield _copied(place, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="collapse-audit-"))))
            return
        yield _kept(place, held)


def _kept(remote: Remote, held: _Held) -> Path:
    """A copy that stays until so many others have been wanted, or the audit ends."""
    found = next((entry for entry in held.copies if entry[0] == remote), None)
    if found is None:
        if held.folder is None:
            held.folder = Path(tempfile.mkdtemp(prefix="collapse-audit-"))
        while len(held.copies) >= _KEPT:
            held.copies.pop(0)[1].unlink(missing_ok=True)
        found = (remote, _copied(remote, held.folder))
    else:
        held.copies.remove(found)
    held.copies.append(found)
    return found[1]


def _copied(remote: Remote, folder: Path) -> Path:
    path = folder / hashlib.sha256(remote.url.full.encode()).hexdigest()
    with open_remote(remote) as stream, path.open("wb") as file:
        shutil.copyfileobj(stream, file, _PIECE)
    return path


def size_of(place: Place) -> int:
    """Bytes. Raises OSError."""
    return place.size if isinstance(place, Remote) else place.stat().st_size


def digest_of(place: Place) -> str:
    """Of its bytes. Raises OSError."""
    return place.digest if isinstance(place, Remote) else file_digest(place)
