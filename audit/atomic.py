"""Files and folders that appear whole or not at all: written beside their place, then moved there in one step."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from collapse_audit.regular import NotRegularError, read_regular

UNFINISHED = ".unfinished.json"
"""The note in a folder that says which files take which names there: file -> its new content, null where it goes."""
_LARGEST_NOTE = 1 << 16
_LONGEST_NAME = 255


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its name only when the block ends without an error; folders are made as needed.

    An older file at ``path`` is as it was until then; a stream of the system's (/dev/stdout) is written to as it is.
    Raises OSError where nothing can be written there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _takes_its_name(path) as file:
        yield file


@contextmanager
def _takes_its_name(path: Path) -> Iterator[IO[bytes]]:
    if _of_the_system(path):
        with path.open("wb") as file:
            yield file
        return
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


def _of_the_system(path: Path) -> bool:
    """Whether it is a stream or a device (/dev/stdout, /dev/fd/63), to be written to and never to be replaced."""
    place = path.absolute().as_posix()
    return place.startswith(("/dev/", "/proc/")) and not place.startswith("/dev/shm/")


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
    """Put every content at its path, or leave all of them as they were; several paths must lie in one folder.

    Nothing takes its name before all is written. Then a note (:data:`UNFINISHED`) says what takes whose place, and a
    command that dies from there on is finished by the next that writes there: the note's own name is the one step by
    which all files become new. Where one cannot take its name, those that have give it back. Two commands that write
    the same folder at once do so one after the other. Raises OSError, of the path that it names, where one cannot be
    written.
    """
    if len(contents) == 1:
        ((path, content),) = contents.items()
        _refuse_folder(path)
        with _takes_its_name(path) as file:
            file.write(content)
        return
    (folder,) = {path.parent for path in contents}
    with _alone(folder):
        finish_together(folder)
        _write_together(folder, {path.name: content for path, content in contents.items()})


def _write_together(folder: Path, contents: Mapping[str, bytes]) -> None:
    new = {name: _beside(folder / name).name for name in contents}
    older = {name: _beside(folder / name).name for name in contents}
    forth, back = _beside(folder / UNFINISHED), _beside(folder / UNFINISHED)
    try:
        for name, content in contents.items():
            _refuse_folder(folder / name)
            _put_durably(folder / new[name], content)
        there = {name: kept if _second_name(folder / name, folder / kept) else None for name, kept in older.items()}
        _put_durably(forth, json.dumps(new).encode())
        _put_durably(back, json.dumps(there).encode())
        with _uninterrupted():
            try:
                forth.replace(folder / UNFINISHED)
                finish_together(folder)
            except BaseException:
                back.replace(folder / UNFINISHED)
                finish_together(folder)
                raise
    finally:
        for temporary in (forth, back, *(folder / name for name in (*new.values(), *older.values()))):
            with contextlib.suppress(OSError):
                temporary.unlink()  # gone already, unless something failed


def finish_together(folder: Path) -> None:
    """Bring to an end what a note in ``folder`` says was begun; nothing where there is none. Raises OSError.

    The note leads nowhere else: it names files of this folder, and such as only :func:`write_together` leaves there.
    What is no such note as a whole says nothing, and goes.
    """
    note = folder / UNFINISHED
    for name, temporary in _moves(note).items():
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            continue  # a folder never was one of the files
        if temporary is None:
            (folder / name).unlink(missing_ok=True)
        elif os.path.lexists(folder / temporary):
            (folder / temporary).replace(folder / name)
    note.unlink(missing_ok=True)


def _moves(note: Path) -> dict[str, str | None]:
    """What a note says; nothing where there is none, or none that :func:`write_together` wrote."""
    if not note.is_file() or note.is_symlink():
        return {}
    try:
        moves = json.loads(read_regular(note, most=_LARGEST_NOTE))
    except (NotRegularError, ValueError, RecursionError):
        return {}
    ours = isinstance(moves, dict) and all(
        _plain(name) and (temporary is None or _is_beside(temporary, name)) for name, temporary in moves.items()
    )
    return moves if ours else {}


def unfinished(folder: Path) -> bool:
    """Whether a command died while it put new files into ``folder``; one that is still at it is waited for."""
    note = folder / UNFINISHED
    if not note.is_file():
        return False
    with _alone(folder):
        return note.is_file()


def _plain(name: str) -> bool:
    if name in ("", ".", "..") or set(name) & {"/", "\\", "\0"}:
        return False
    try:
        return len(os.fsencode(name)) <= _LONGEST_NAME
    except UnicodeEncodeError:
        return False


def _is_beside(temporary: object, name: str) -> bool:
    return (
        isinstance(temporary, str) and re.fullmatch(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}\.tmp", temporary) is not None
    )


def _refuse_folder(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def _put_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other command is in such a block for ``folder``; where the system cannot lock a folder, nobody waits."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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


def _second_name(path: Path, kept: Path) -> bool:
    """What is at ``path``, where anything is, also at ``kept``; whether anything is."""
    if not os.path.lexists(path):
        return False
    try:
        os.link(path, kept, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
            raise
        shutil.copy2(path, kept, follow_symlinks=False)  # a file system without links
    return True


def write_text(path: Path, text: str) -> None:
    """Put ``text`` (UTF-8, lines end as they do in it) at ``path``."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path``."""
    with atomic_file(path) as file:
        file.write(content)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
