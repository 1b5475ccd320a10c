"""Commands that change files and need no model: what they start from, and how they run."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from collapse_audit.cli import main as audit_main
from collapse_audit.lineage_cli import main as lineage_main

Files = Mapping[str, bytes]


def of_one(after: Files, own: Files, rival: Files) -> str:
    """Of two that wrote the same files, what is there is of one."""
    return "" if after in (own, rival) else "two at once leave what neither leaves alone"


def of_both(after: Files, own: Files, rival: Files) -> str:
    """Of two that added lines to the same files, what is there is of both."""

    def lines(files: Files) -> set[bytes]:
        return {line for content in files.values() for line in content.split(b"\n")}

    return "" if lines(after) == lines(own) | lines(rival) else "of two at once, not all lines are there"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A command that changes files."""

    make: Callable[[Path], None]
    """Fills an empty folder with what the command starts from."""
    run: Callable[[], int]
    """Runs it in that folder; returns its exit code."""
    warm: Callable[[], object]
    """Has everything imported that it imports; in that folder, too."""
    together: tuple[str, ...] = ()
    """Files that are of one run, or of none."""
    drawn: tuple[str, ...] = ()
    """Files that are never twice the same: there or not is all that is compared."""
    rival: Callable[[], int] | None = None
    """Another command that writes the same place."""
    fits: Callable[[Files, Files, Files], str] = of_one
    """What is wrong with what the two leave, given what each leaves alone."""


@contextlib.contextmanager
def within(folder: Path) -> Iterator[None]:
    """With ``folder`` as the working directory."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


_QUIET = ("--independent", "--evidence", "none", "-k", "length")


def _lineage(folder: Path, name: str = "runs", seed: int = 0) -> Path:
    root = folder / name
    root.mkdir()
    for index in range(2):
        draw = random.Random(seed + index)
        lines = (" ".join(draw.choices("abcdefghijklmnop", k=12)) for _ in range(100))
        records = "".join(f'{{"text": "{line}", "label": "{k % 3}"}}\n' for k, line in enumerate(lines))
        (root / f"gen_{index}.jsonl").write_text(records, encoding="utf-8")
    return root


def _report(name: str = "runs") -> int:
    return audit_main([name, *_QUIET, "--report", "report"])


def _make_report(folder: Path) -> None:
    _lineage(folder)
    _lineage(folder, "other", seed=10)
    (folder / "report").mkdir()
    for name in ("report.json", "report.html", "report.md", "junit.xml"):
        (folder / "report" / name).write_text("of the run before\n", encoding="utf-8")


def _history(name: str = "runs") -> int:
    return audit_main([name, *_QUIET, "--history", "history.jsonl"])


def _make_history(folder: Path) -> None:
    for number, name in enumerate(("runs", "other", "third")):
        _lineage(folder, name, seed=10 * number)
    with within(folder), contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
        audit_main(["other", *_QUIET, "--history", "history.jsonl"])


def _simulate() -> int:
    return lineage_main(["simulate", "wright-fisher", "--out", "made", "--generations", "1", "--documents", "20"])


def _pack() -> int:
    return lineage_main(["pack", "runs", "--out", "pack.npz", "--block-size", "5"])


def _calibrate() -> int:
    """As many trials as are asked for, so that no clock decides."""
    trials = ("--trials", "1", "--processes", "1", "--minutes", "600", "--config", "quick.toml")
    kept = ("--json", "numbers.json", "--write", "settings.toml", "--force", "--state", "trials.jsonl")
    return audit_main(["calibrate", "runs", *trials, *kept])


def _make(folder: Path) -> None:
    _lineage(folder)


def _make_calibrated(folder: Path) -> None:
    _lineage(folder)
    slow = ("diversity", "mode-coverage", "token-divergence", "tail-coverage", "tail-mass", "label-divergence")
    off = "".join(f"[probes.{probe}]\nenabled = false\n" for probe in slow)
    (folder / "quick.toml").write_text(off, encoding="utf-8")


_REPORTS = tuple(f"report/{name}" for name in ("report.json", "report.html", "report.md", "junit.xml"))
TEXTS = {
    "report": Scenario(make=_make_report, run=_report, warm=_report, together=_REPORTS, rival=lambda: _report("other")),
    "history": Scenario(make=_make_history, run=_history, warm=_history, rival=lambda: _history("third"), fits=of_both),
    "simulate": Scenario(make=_make, run=_simulate, warm=_simulate),
    "pack": Scenario(make=_make, run=_pack, warm=_pack, drawn=("pack.npz",)),
    "calibrate": Scenario(make=_make_calibrated, run=_calibrate, warm=_calibrate),
}
