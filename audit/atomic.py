"""Files and folders that appear whole or not at all: written beside their place, then moved there in one step."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its name only when the block ends without an error; folders are made as needed.

    An older file at ``path`` is as it was until then. Raises OSError where nothing can be written there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()  # gone already, unless something failed


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """An empty folder that takes the place of ``path``, nothing or an empty folder, when the block ends without error.

    Folders above it are made as needed. Raises OSError where none can be made, or ``path`` holds something.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Put every content at its path, or leave all of them as they were.

    Nothing takes its name before all is written, and where one cannot take its name those that have give it back.
    Raises OSError, of the path that it names, where one cannot be written.
    """
    temporaries = {path: _beside(path) for path in contents}
    older = {path: _beside(path) for path in contents if len(contents) > 1}
    try:
        for path, content in contents.items():
            if path.is_dir() and not path.is_symlink():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            with temporaries[path].open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path, kept in older.items():
            _second_name(path, kept)
        with _uninterrupted():
            _rename_together(temporaries, older)
    finally:
        for temporary in (*temporaries.values(), *older.values()):
            with contextlib.suppress(OSError):
                temporary.unlink()  # gone already, unless something failed


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A Ctrl-C within the block is heard at its end: of files that belong together, none is left behind."""
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not default or threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if heard:
        raise KeyboardInterrupt


def _second_name(path: Path, kept: Path) -> None:
    """What is at ``path``, where anything is, also at ``kept``."""
    if not os.path.lexists(path):
        return
    try:
        os.link(path, kept, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
            raise
        shutil.copy2(path, kept, follow_symlinks=False)  # a file system without links


def _rename_together(temporaries: Mapping[Path, Path], older: Mapping[Path, Path]) -> None:
    named = []
    try:
        for path, temporary in temporaries.items():
            temporary.replace(path)
            named.append(path)
    except BaseException:
        for path in named:
            if os.path.lexists(older[path]):
                older[path].replace(path)
            else:
                path.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """Put ``text`` (UTF-8, lines end as they do in it) at ``path``."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path``."""
    with atomic_file(path) as file:
        file.write(content)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
