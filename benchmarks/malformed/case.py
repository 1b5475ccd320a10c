"""One malformed input: what is damaged, the command that reads it, and what must become of it."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.fuzz import write_whole
from benchmarks.fuzz_beside import write_beside
from collapse_audit.cli import main as audit_main
from collapse_audit.lineage_cli import main as lineage_main

REFUSED = frozenset({4})
READ_OR_REFUSED = frozenset({0, 4, 6})
"""Where it is a matter of taste whether a file is read all the same; healthy texts are never a collapse."""
AUDIT = ("runs", "--independent", "--evidence", "none")
SECONDS, GIGABYTES = 20.0, 2.0
_ENDED_AFTER = 40
"""CPU seconds; what waits for something instead is ended after six times as many by the clock."""
_TEXTS = 40

Damage = Callable[[Path], None]
"""Damages what lies in a folder: the ground, freshly copied."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A malformed input."""

    name: str
    damage: Damage
    says: tuple[str, ...] = ()
    """Of these the message of a refusal holds one: the file, the setting."""
    codes: frozenset[int] = REFUSED
    ground: str = "lineage"
    """Key of :data:`GROUNDS`: what lies in the folder before it is damaged."""
    command: tuple[str, ...] = AUDIT
    program: str = "audit"
    """``audit`` or ``lineage``: which of the two programs reads it."""
    writes: frozenset[str] = frozenset()
    """Files that an audit that ends well may write to."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the command ended."""

    code: int
    said: str
    seconds: float
    gigabytes: float
    changed: tuple[str, ...]


def broken(case: Case, ended: Ended, *, seconds: float = SECONDS) -> str:
    """The promise that was not kept; empty where all were."""
    if ended.code not in case.codes:
        return f"exit code {ended.code}, not one of {sorted(case.codes)}"
    if "Traceback" in ended.said or "defect of collapse-audit" in ended.said:
        return "a traceback"
    changed = [name for name in ended.changed if ended.code == 4 or name not in case.writes]
    if changed:
        return f"{', '.join(changed[:3])} was written to"
    if ended.code == 4 and case.says and not any(word in ended.said for word in case.says):
        return f"the message does not name {case.says[0]}"
    if ended.seconds > seconds:
        return f"{ended.seconds:.0f} CPU seconds"
    return f"{ended.gigabytes:.1f} GB" if ended.gigabytes > GIGABYTES else ""


def run(case: Case, grounds: Grounds, home: Path) -> Ended:
    """Damage a copy of the case's ground in ``home``, which is made, and run its command in a child of this process.

    The child is a fork: nothing is imported again, and whatever it does to itself, SIGSEGV included, stays there.
    """
    shutil.copytree(grounds.of(case.ground), home, symlinks=True)
    case.damage(home)
    before = state(home)
    told = home.with_name(f"{home.name}.told")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 3
        try:
            code = _child(case, home, told)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status, used = os.wait4(child, 0)
    after = state(home)
    changed = tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))
    unit = 1 if sys.platform == "darwin" else 1024
    return Ended(
        os.waitstatus_to_exitcode(status),
        told.read_text("utf-8", "replace"),
        used.ru_utime + used.ru_stime,
        used.ru_maxrss * unit / 1e9,
        changed,
    )


def _child(case: Case, home: Path, told: Path) -> int:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (_ENDED_AFTER, _ENDED_AFTER))
    signal.alarm(6 * _ENDED_AFTER)  # the default action ends the process: a hang is an exit code of its own
    out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout = sys.stderr = os.fdopen(out, "w", encoding="utf-8", errors="backslashreplace")
    os.chdir(home)
    return (audit_main if case.program == "audit" else lineage_main)(list(case.command))


def state(folder: Path) -> dict[str, tuple[int, ...]]:
    """What can be told of every file without opening it; locks, which hold nothing, aside."""
    found = {}
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(top, name)
            if name.endswith(".lock"):
                continue
            status = path.lstat()
            times = () if path.is_dir() and not path.is_symlink() else (status.st_size, status.st_mtime_ns)
            found[path.relative_to(folder).as_posix()] = (status.st_mode, status.st_ino, *times)
    return found


class Grounds:
    """What is damaged, made once each and copied for every case."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def of(self, name: str) -> Path:
        """The folder of a key of :data:`GROUNDS`."""
        folder = self._home / name
        if not folder.exists():
            GROUNDS[name](folder)
        return folder


def _whole(folder: Path) -> None:
    write_whole(folder / "runs")
    for index in (2, 3):  # two generations hold one of each kind of file
        shutil.rmtree(folder / "runs" / f"gen_{index}")
    manifest = folder / "runs" / "lineage.toml"
    manifest.write_text("\n[[generation]]\n".join(manifest.read_text().split("\n[[generation]]\n")[:3]))


def _bare(folder: Path) -> None:
    (folder / "runs").mkdir(parents=True)
    for index in range(2):
        lines = (f'{{"text": "{texts(index, k)}", "label": "{k % 3}"}}\n' for k in range(_TEXTS))
        (folder / "runs" / f"gen_{index}.jsonl").write_text("".join(lines), encoding="utf-8")


def texts(index: int, number: int) -> str:
    """A healthy text: no two are alike."""
    return " ".join(f"w{(index + 7 * number + k * k) % 50}" for k in range(12))


GROUNDS: dict[str, Damage] = {"lineage": _whole, "bare": _bare, "beside": write_beside}
"""``lineage``: with a manifest and everything that can lie beside texts. ``bare``: two files of texts. ``beside``: a
lineage and what is read beside one (a pack, a history, reports, waivers, a tokenizer's file)."""


def put(name: str, content: bytes | str) -> Damage:
    """The file ``name`` holds ``content``."""
    return partial(_put, name=name, content=content)


def _put(home: Path, *, name: str, content: bytes | str) -> None:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def changed(name: str, change: Callable[[bytes], bytes]) -> Damage:
    """The file ``name`` holds what ``change`` makes of it."""
    return lambda home: _put(home, name=name, content=change((home / name).read_bytes()))


def added(name: str, content: bytes | str) -> Damage:
    """The file ``name`` ends in ``content``."""
    return changed(name, lambda data: data + (content.encode() if isinstance(content, str) else content))
