"""Commands that die, or are refused a file, at every point where they change one.

    python -m benchmarks.faults [report history simulate pack calibrate train score evaluate]
                                [--kills N] [--points N] [--pairs N] [--seed 0]

Each command runs once undisturbed, in a forked process whose audit hook counts what it does to files: opening one for
writing, renaming, removing, making folders. Then, for each of these points, it runs again on a fresh copy and

* dies there (``os._exit``, as by kill -9), is repeated, and must leave the very bytes that it leaves undisturbed;
* is told there that the disk is full (ENOSPC) or the file system read-only (EROFS): it must end with a documented exit
  code other than 1 and 3 and a message, leave what was there before or what it makes when all is well, file by file of
  the same run, and no temporary file; and repeated, the same bytes as undisturbed.

``--points N`` tries N of the points, evenly spread, where a command has more. ``--kills N`` adds N runs of each command
that SIGKILL ends at a random moment, inside writes too. ``--pairs N`` starts N times two commands that write the same
place at once: what is there then is of one, or of both one after the other, and never a mixture. Temporary files of a
process that was killed stay where they are and are never read. Needs ``os.fork``.

Files that belong together may be of two runs only while the note that the next command finishes lies beside them.
train, score and evaluate need torch, and evaluate lm-eval; their model is made from a configuration, and tiny.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from benchmarks.fault_models import MODELS
from benchmarks.fault_scenarios import TEXTS, Scenario, within
from collapse_audit import api, atomic

_CHANGES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "shutil.rmtree"}
)
_TEMPORARY = re.compile(r"(^|/)\.[^/]+\.tmp(/|$)")
KILLED = 137
SCENARIOS = {**TEXTS, **MODELS}
Contents = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a forked run ended."""

    code: int
    events: bytes
    """A letter for each point: r where something is removed, c where it is changed."""
    said: str


class _Noon(datetime):
    """It is always the same moment."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime(2026, 1, 1, 12, tzinfo=tz)


def forked(
    scenario: Scenario, folder: Path, *, at: int = 0, fault: int = 0, after: float = 0.0, told: str = "told"
) -> Ended:
    """Run the scenario in a child. ``at``: the point (from 1) where it dies, or gets the error number ``fault``.

    ``after``: seconds after which SIGKILL ends it. ``told``: ends the name of the file that holds what it says.
    """
    said = folder.with_name(f"{folder.name}.{told}")
    counts, into = os.pipe()
    child = os.fork()
    if child == 0:
        code = KILLED
        try:
            code = _child(scenario, folder, said, into, at=at, fault=fault)
        except BaseException:
            traceback.print_exc()
            code = 3
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(into)
    if after:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(counts, "rb") as reader:
        events = reader.read()
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), events, said.read_text("utf-8", "replace") if said.exists() else "")


def _child(scenario: Scenario, folder: Path, told: Path, into: int, *, at: int, fault: int) -> int:
    out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout = sys.stderr = os.fdopen(out, "w", encoding="utf-8")  # whatever captured them before
    # Seconds and dates would differ from run to run.
    time.perf_counter = lambda: 0.0
    api.datetime = _Noon
    home, seen = f"{folder.resolve()}{os.sep}", [0]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if not _changes(event, arguments, home):
            return
        seen[0] += 1
        os.write(into, b"r" if event == "os.remove" else b"c")
        if seen[0] == at:
            if not fault:
                os._exit(KILLED)
            raise OSError(fault, os.strerror(fault), str(arguments[0]))

    sys.addaudithook(hook)
    os.chdir(folder)
    return scenario.run()


def _changes(event: str, arguments: tuple[object, ...], home: str) -> bool:
    """Whether the event changes a file under ``home``."""
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return bool(writes) and isinstance(path, str) and _absolute(path).startswith(home)
    if event not in _CHANGES or not isinstance(arguments[0], str | os.PathLike):
        return False
    return _absolute(arguments[0]).startswith(home)


def _absolute(path: str | os.PathLike[str]) -> str:
    return str(Path.cwd() / path)


def contents(folder: Path) -> Contents:
    """Every file's bytes, but for temporary files and locks."""
    files = ((path.relative_to(folder).as_posix(), path) for path in sorted(folder.rglob("*")) if path.is_file())
    return {name: path.read_bytes() for name, path in files if not _TEMPORARY.search(name) and ".lock" not in name}


def temporaries(folder: Path) -> list[str]:
    """Files and folders that a command should have taken away."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted(name for name in names if _TEMPORARY.search(name))


class Trial:
    """One scenario, made once and copied for every run."""

    def __init__(self, scenario: Scenario, home: Path) -> None:
        self.scenario, self._home = scenario, home
        self._of_rival: Contents | None = None
        self._start = home / "start"
        self._start.mkdir()
        self.scenario.make(self._start)
        self.before = contents(self._start)
        with self.copy() as folder, within(folder), contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
            self.scenario.warm()  # so that no child imports anything
        with self.copy() as folder:
            began = time.monotonic()
            self.whole = forked(self.scenario, folder)
            self.seconds = time.monotonic() - began
            self.after = contents(folder)
        if self.whole.code in (1, 3) or self.after == self.before:
            raise RuntimeError(f"it does not run: exit {self.whole.code}\n{self.whole.said}")

    def points(self, most: int | None = None) -> list[int]:
        """Where it may die, counted from 1; ``most`` of them, evenly spread."""
        count = len(self.whole.events)
        chosen = count if most is None else min(most, count)
        return sorted({1 + round(number * (count - 1) / max(chosen - 1, 1)) for number in range(chosen)})

    @contextlib.contextmanager
    def copy(self) -> Iterator[Path]:
        """A fresh copy, always at the same path."""
        folder = self._home / "here"
        shutil.copytree(self._start, folder, symlinks=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
            for told in self._home.glob("here.*"):
                told.unlink()

    def killed(self, at: int, after: float = 0.0) -> str:
        """What is wrong once the command died at a point and was repeated; empty where nothing is."""
        with self.copy() as folder:
            dead = forked(self.scenario, folder, at=at, after=after)
            if at and dead.code != KILLED:
                return f"exit {dead.code} where it was to die"
            if told := self._mixed(contents(folder)):
                return told
            return self._repeated(folder)

    def refused(self, at: int, fault: int) -> str:
        """What is wrong once the system refused a change."""
        with self.copy() as folder:
            ended = forked(self.scenario, folder, at=at, fault=fault)
            after = contents(folder)
            if ended.code in (1, 3) or "Traceback" in ended.said:
                return f"exit {ended.code}: {ended.said.strip()[-300:]}"
            if ended.code != self.whole.code and not ended.said.strip():
                return f"exit {ended.code} and no message"
            if temporaries(folder) and self.whole.events[at - 1 : at] != b"r":  # or it was not let take them away
                return f"left {temporaries(folder)}"
            if told := self._mixed(after):
                return told
            return self._repeated(folder)

    def at_once(self, delay: float) -> str:
        """What is wrong once two commands wrote the same place, the second ``delay`` seconds later."""
        rival = self.scenario.rival
        assert rival is not None
        with self.copy() as folder:
            other = os.fork()
            if other == 0:
                time.sleep(delay)
                # Its own child tells into a file of its own, beside this one's.
                os._exit(forked(dataclasses.replace(self.scenario, run=rival), folder, told="rival").code % 256)
            ended = forked(self.scenario, folder)
            code = os.waitstatus_to_exitcode(os.waitpid(other, 0)[1])
            after = contents(folder)
            wrong = [each for each in (ended.code, code) if each in (1, 3, 253) or each < 0]
            if wrong or "Traceback" in ended.said:
                return f"two at once end with {ended.code} and {code}: {ended.said.strip()[-300:]}"
            return self.scenario.fits(after, self.after, self._rivals())

    def _rivals(self) -> Contents:
        """What the other command of two leaves where it is alone."""
        if self._of_rival is None:
            assert self.scenario.rival is not None
            with tempfile.TemporaryDirectory(dir=self._home) as home:
                folder = Path(home) / "here"
                shutil.copytree(self._start, folder, symlinks=True)
                forked(dataclasses.replace(self.scenario, run=self.scenario.rival), folder)
                self._of_rival = contents(folder)
        return self._of_rival

    def _mixed(self, after: Contents) -> str:
        """Of files that belong together, some of this run and some of the one before; empty where a note says so."""
        mixed = {after.get(name) == self.after.get(name) for name in self.scenario.together}
        folders = {Path(name).parent for name in self.scenario.together}
        if len(mixed) > 1 and not any((folder / atomic.UNFINISHED).as_posix() in after for folder in folders):
            return "some files of this run and some of the one before"
        return ""

    def _repeated(self, folder: Path) -> str:
        again = forked(self.scenario, folder)
        if again.code != self.whole.code:
            return f"repeated it ends with {again.code}: {again.said.strip()[-300:]}"
        after, expected = contents(folder), dict(self.after)
        for name in self.scenario.drawn:
            if name in after and name in expected:
                expected[name] = after[name]
        differ = sorted(name for name in {*after, *expected} if after.get(name) != expected.get(name))
        return f"repeated it leaves other bytes in {differ}" if differ else ""


def main(chosen: list[str], options: argparse.Namespace) -> int:
    """Every point of the chosen commands, and random moments; 1 where anything was lost."""
    lost = 0
    for name in chosen:
        with tempfile.TemporaryDirectory() as home:
            began = time.monotonic()
            trial = Trial(SCENARIOS[name], Path(home))
            points = trial.points(options.points)
            found = [(f"killed at {at}", trial.killed(at)) for at in points]
            for fault in (errno.ENOSPC, errno.EROFS):
                found += [(f"{errno.errorcode[fault]} at {at}", trial.refused(at, fault)) for at in points]
            draw, usual = random.Random(options.seed), trial.seconds
            found += [
                ("killed at random", trial.killed(0, draw.uniform(0.0, 1.2) * usual)) for _ in range(options.kills)
            ]
            pairs = options.pairs if trial.scenario.rival is not None else 0
            found += [("two at once", trial.at_once(draw.uniform(0.0, 0.3) * usual)) for _ in range(pairs)]
        wrong = [(what, told) for what, told in found if told]
        lost += len(wrong)
        print(
            f"{name}: {len(points)} of {len(trial.whole.events)} points, {options.kills} random kills, {pairs} pairs, "
            f"{len(found)} runs in {time.monotonic() - began:.0f} s, {len(wrong)} wrong",
            flush=True,
        )
        for what, told in wrong[:20]:
            print(f"  {what}: {told}", flush=True)
    return 1 if lost else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", default=list(SCENARIOS), help="which (default: all)")
    parser.add_argument("--kills", type=int, default=0, help="runs of each that SIGKILL ends at a random moment")
    parser.add_argument("--points", type=int, help="points of each at which it dies (default: all)")
    parser.add_argument("--pairs", type=int, default=0, help="times that two write the same place at once")
    parser.add_argument("--seed", type=int, default=0, help="of these moments")
    arguments = parser.parse_args()
    raise SystemExit(main(arguments.commands, arguments))
