"""How far a model's work has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from collapse_audit.commands.console import stderr

_QUIET_SECONDS = 20.0
"""Where nobody watches a bar: seconds between two lines of one piece of work."""


@contextmanager
def progress(*, quiet: bool) -> Iterator[Any]:
    """What training, writing and scoring report to (``lineages.training.progress.Progress``)."""
    from collapse_audit.lineages.training.progress import Silent

    console = stderr()
    if quiet:
        yield Silent()
    elif not console.is_terminal:
        yield _Lines()
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        times = (TextColumn("{task.fields[note]}"), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, *times, console=console, transient=True) as bar:
            yield _Bar(bar)


class _Bar:
    """One bar on a terminal: what is done, how far, the loss, the time that is left."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def start(self, what: str, total: int) -> None:
        self._end()
        self._task = self._bar.add_task(what, total=total, note="")

    def update(self, done: int, note: str = "") -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=done, note=note)

    def say(self, message: str) -> None:
        self._end()
        self._bar.console.print(message)

    def _end(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None


class _Lines:
    """Where there is no terminal: a line at the start of each piece of work, and one now and then."""

    def __init__(self) -> None:
        self._console = stderr()
        self._what, self._total = "", 0
        self._began = self._last = 0.0

    def start(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._began = self._last = time.monotonic()

    def update(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if done == self._total:
            self.say(f"{self._what}: {done} of {self._total} in {now - self._began:.0f} s {note}".rstrip())
        elif now - self._last > _QUIET_SECONDS:
            left = (now - self._began) / done * (self._total - done)
            self.say(f"{self._what}: {done} of {self._total}, {left:.0f} s left {note}".rstrip())
            self._last = now

    def say(self, message: str) -> None:
        self._console.print(message)
