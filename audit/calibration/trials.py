"""Trials in several processes, the finished ones kept in a file: killed and started again, a calibration goes on.

What a trial gives depends on nothing but the set-up, its scenario and its number, so neither the number of processes
nor an interruption changes it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path

from collapse_audit.calibration.bench import NULL, Bench, Strengths
from collapse_audit.calibration.settled import Trial
from collapse_audit.errors import CollapseAuditError, ProbeError, UsageError
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.door import Refused, limits, read_bytes
from collapse_audit.probes.registry import NUMERIC, all_probes
from collapse_audit.probes.text.labels import label_rule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import tokenizer
from collapse_audit.settings.config import AuditConfig
from collapse_audit.version import __version__

Place = tuple[str, int]
"""A scenario and the number of a trial."""

NULLS = 4
"""Trials with nothing planted to one of each damage: false alarms are rare, and margins are made of these."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a :class:`Bench` is made of, as it travels to another process: rules and probes by name."""

    baseline: Sample
    n: int
    config: AuditConfig
    rule: str | None
    classes: tuple[str, ...] | None
    probe_files: tuple[Path, ...]
    probe_names: tuple[str, ...]
    trained_on_baseline: bool
    strengths: Strengths

    def bench(self) -> Bench:
        """The bench itself."""
        return Bench(
            baseline=self.baseline,
            n=self.n,
            probes=tuple(each for each in (*all_probes(self.probe_files), *NUMERIC) if each.name in self.probe_names),
            config=self.config,
            rule=None if self.rule is None else label_rule(self.rule, classes=self.classes),
            trained_on_baseline=self.trained_on_baseline,
            strengths=self.strengths,
        )

    def key(self) -> str:
        """A digest of everything that the numbers of a trial depend on."""
        parts = {
            "version": __version__,
            "baseline": [self.baseline.digest, len(self.baseline), self.config.max_documents],
            "n": self.n,
            "seed": self.config.seed,
            "permutations": self.config.permutations,
            "tokens": tokenizer(self.config.tokens).name,
            "labels": [self.rule, self.classes],
            "probes": [list(self.probe_names), [file_digest(file) for file in self.probe_files]],
            "trained_on_baseline": self.trained_on_baseline,
            "strengths": dataclasses.asdict(self.strengths),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def schedule(scenarios: Iterable[str], rounds: int) -> list[Place]:
    """The order of trials: round by round, so that wherever it stops all scenarios have had their share."""
    scenarios = tuple(scenarios)
    return [
        (scenario, number)
        for turn in range(rounds)
        for scenario in scenarios
        for number in (range(NULLS * turn, NULLS * (turn + 1)) if scenario == NULL else (turn,))
    ]


class Kept:
    """Finished trials in a file of JSON lines, the set-up's key first; without a path they are kept nowhere."""

    def __init__(self, path: Path | None, key: str) -> None:
        self.path = path
        self.trials: list[Trial] = []
        """What the file held when it was opened."""
        if path is not None:
            self._open(path, json.dumps({"collapse_audit_trials": 1, "key": key}))

    def _open(self, path: Path, head: str) -> None:
        try:
            content = read_bytes(path, most=limits().json) if path.exists() else b""
        except (Refused, OSError) as error:
            why = (isinstance(error, OSError) and error.strerror) or error
            raise UsageError(f"--state {path}: cannot be read: {why}", slug="state") from error
        # A line that was being written when it was interrupted is not there.
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", "replace").splitlines()
        if content and (not lines or lines[0] != head):
            what = "trials of another calibration" if _is_head(lines) else "no trials"
            raise UsageError(
                f"--state {path}: found {what}; expected those of the same text, settings and version: remove "
                "the file, or name another",
                slug="state",
            )
        for number, line in enumerate(lines[1:], start=2):
            try:
                self.trials.append(Trial.from_json(json.loads(line)))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise UsageError(
                    f"--state {path}:{number}: found no trial ({error}); remove the file", slug="state"
                ) from error
        try:
            with path.open("r+b" if path.exists() else "xb") as file:
                file.truncate(len(whole))
                if not whole:
                    file.write(f"{head}\n".encode())
        except OSError as error:
            raise UsageError(f"--state {path}: cannot be written: {error.strerror or error}", slug="state") from error

    def add(self, trial: Trial) -> None:
        """Put one more trial at the end of the file."""
        if self.path is not None:
            line = json.dumps(trial.to_json(), allow_nan=False)
            with self.path.open("ab") as file:
                file.write(f"{line}\n".encode())


def _is_head(lines: Sequence[str]) -> bool:
    return bool(lines) and lines[0].startswith('{"collapse_audit_trials"')


def run_trials(
    setup: Setup,
    places: Sequence[Place],
    *,
    kept: Kept,
    processes: int,
    deadline: float,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Trial]:
    """The trials of ``places`` that were kept or could be started before ``deadline``, in the order of ``places``.

    ``deadline`` is a time of :func:`time.monotonic`; each scenario is tried at least once whatever it says.
    ``progress`` is called with the number of finished trials. Raises ProbeError where a trial could not be made.
    """
    done = {(trial.scenario, trial.index): trial for trial in kept.trials}
    missing = [place for place in places if place not in done]
    covered = {scenario for scenario, _ in done}
    first = {scenario: number for scenario, number in reversed(missing) if scenario not in covered}

    def due() -> Iterator[Place]:
        for place in missing:
            if time.monotonic() < deadline or first.get(place[0]) == place[1]:
                yield place

    if missing:
        run = _in_turn(setup, due()) if processes == 1 else _side_by_side(setup, due(), processes)
        for trial in run:
            kept.add(trial)
            done[trial.scenario, trial.index] = trial
            progress(len(done))
    return [done[place] for place in places if place in done]


def _in_turn(setup: Setup, places: Iterator[Place]) -> Iterator[Trial]:
    bench = setup.bench()
    return (_made(bench, place) for place in places)


def _made(bench: Bench, place: Place) -> Trial:
    try:
        return bench.run(*place)
    except UsageError:
        raise
    except Exception as error:
        raise ProbeError(f"trial {place[1]} of {place[0]}: {type(error).__name__}: {error}") from error


def _side_by_side(setup: Setup, places: Iterator[Place], processes: int) -> Iterator[Trial]:
    """Trials as they are finished; no more than ``processes`` are under way at any time."""
    context = multiprocessing.get_context("spawn")
    with (
        _one_thread_each(),
        ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(setup,)) as pool,
    ):
        running: set[Future[Trial]] = {pool.submit(_remote, place) for place in itertools.islice(places, processes)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(_remote, place) for place in itertools.islice(places, len(done))}
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise CollapseAuditError(
                "a process of the calibration was ended from outside (out of memory?); with --state, the trials that "
                "are finished are kept: run it again, or with --processes 1",
                slug="calibration-process",
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started here keep to one core each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_bench: list[Bench] = []
"""The one bench of a process that runs trials for another."""


def _start(setup: Setup) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked; it ends this one
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _bench[:] = [setup.bench()]


def _leave_with_parent() -> None:
    """A parent that was killed can tell nobody: without this its processes would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _remote(place: Place) -> Trial:
    return _made(_bench[0], place)
