"""``collapse-lineage train``: the command line of ``lineages.training``."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from collapse_audit.console import stderr, stdout
from collapse_audit.exit_codes import ExitCode
from collapse_audit.probes.errors import UsageError

_EPILOG = """\
Everything is decided by [recipe] of lineage.toml. What is there is kept: an interrupted training goes on where it
stopped when the same command is run again, and arrives at the same lineage.

examples:
  collapse-lineage train lineages/mistral_recursive --dry-run
  collapse-lineage train lineages/mistral_recursive --out runs/mine --seed 0
  collapse-lineage train runs/mistral_cross runs/llama_cross
  accelerate launch --num_processes 4 -m collapse_audit.lineage_cli train runs/mine
"""
_QUIET_SECONDS = 20.0
"""Where nobody watches a bar: seconds between two lines of one piece of work."""


def add_train(commands: Any) -> None:
    """Add ``train`` to the subparsers of ``collapse-lineage``."""
    parser = commands.add_parser(
        "train",
        help="train the generations that a lineage lacks",
        description="Train each missing generation, write its texts, score them, add it to the manifest.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    text = "a folder with lineage.toml; lineages that exchange texts are named together"
    parser.add_argument("lineages", metavar="LINEAGE", nargs="+", type=Path, help=text)
    text = "train in a new folder, from this lineage's recipe, human text and base"
    parser.add_argument("--out", metavar="DIR", type=Path, help=text)
    parser.add_argument("--profile", metavar="NAME", help="a recipe of [recipe.profile]; needs --out or --dry-run")
    text = "only this seed of the recipe's; may be given several times"
    parser.add_argument("--seed", metavar="N", type=int, action="append", default=[], help=text)
    text = "say what would be trained, at what cost; touch no weights and write nothing"
    parser.add_argument("--dry-run", action="store_true", help=text)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.set_defaults(handler=_train)


def _train(args: argparse.Namespace) -> int:
    if args.out is not None and len(args.lineages) > 1:
        raise UsageError("--out makes one new lineage; name one LINEAGE", slug="out")
    if args.profile is not None and args.out is None and not args.dry_run:
        raise UsageError("a profile makes another lineage: name its folder with --out", slug="profile")
    if args.dry_run:
        return _dry_run(args)
    from collapse_audit.lineages.training.missing import require_training_stack

    require_training_stack()
    from collapse_audit.lineages.training.loop import train
    from collapse_audit.lineages.training.run import open_run, start_run

    folders = args.lineages
    if args.out is not None:
        start_run(args.lineages[0], args.out, profile=args.profile)
        folders = [args.out]
    runs = [open_run(folder, seeds=args.seed) for folder in folders]
    first = os.environ.get("RANK", "0") == "0"  # of the processes that accelerate launch has started
    try:
        with _progress(quiet=args.quiet or not first) as progress:
            train(runs, progress)
    except KeyboardInterrupt:
        stderr().print("what was finished is kept: run the same command again to go on")
        raise
    console = stdout()
    for run in runs if first else ():
        console.print(f"{run.where}: complete; collapse-audit {run.where}")
    return ExitCode.PASS


def _dry_run(args: argparse.Namespace) -> int:
    from collapse_audit.lineages.training.dry_run import describe

    console = stdout()
    for folder in args.lineages:
        console.print(describe(folder, profile=args.profile, seeds=args.seed))
    return ExitCode.PASS


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


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Any]:
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
