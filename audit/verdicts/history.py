"""The stored history: one line of JSON for each finding of each look, appended and never rewritten.

Numbers and names only, no text of a corpus. ``docs/reference/history.md`` describes the format.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineages.files.door import Refused, limits, read_bytes
from collapse_audit.lineages.files.problems import ProblemList, shorten
from collapse_audit.lineages.files.schema import Misfit, Schema
from collapse_audit.reports.document import Finding

FORMAT = 1
"""Version of the lines."""
_SCHEMA = Schema.file("collapse_audit.verdicts", "history.schema.json", whole="the line")
_MOST_WRONG = 1000
"""Lines that are not as documented; what has so many is no history, and is looked into no further."""
PATIENCE = 600.0
"""Seconds to wait for another audit that has the history open."""
_START = b'{"alpha":'
"""How every line begins, because its keys are sorted: what else stands at the end of a file was not torn off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One audit of one lineage: what is the same in all its lines."""

    look: str
    """Digest of everything that its p-values depend on: the same inputs are the same look."""
    time: str
    """When it was judged first: UTC, ``2027-01-31T09:30:00Z``."""
    tool: str
    """Version of collapse-audit."""
    lineage: str
    """Name of the lineage, as its author wrote it."""
    digest: str
    """The lineage's."""
    alpha: float
    """What this look might spend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Look):
    """One line: a finding of a look. A number that was not measured is None, and absent in the file."""

    probe: str
    code: str
    statistic: str
    seed: str | None = None
    generation: int
    baseline: str
    gating: bool
    outcome: str
    waived: bool
    value: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    unit: str
    worse: str
    margin: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    n_baseline: int | None = None
    n_generation: int | None = None

    @property
    def place(self) -> tuple[str, str | None, int, str, str]:
        """What may stand in a history once: look, seed, generation, probe, statistic."""
        return self.look, self.seed, self.generation, self.probe, self.statistic


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that a history holds, in the order in which it was written."""

    entries: tuple[Entry, ...] = ()
    torn: bool = False
    """Whether the file ends in a piece of a line: a run was interrupted while it wrote. The piece is not read."""

    @property
    def looks(self) -> tuple[str, ...]:
        """Digest of every look, once, oldest first."""
        return tuple(dict.fromkeys(entry.look for entry in self.entries))

    @property
    def spent(self) -> tuple[float, ...]:
        """What every look spent of alpha, in the order of :attr:`looks`."""
        first = {entry.look: entry.alpha for entry in reversed(self.entries)}
        return tuple(first[look] for look in self.looks)

    def fresh(self, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        """Those of ``entries`` that are not there yet; the first of several in one place."""
        there = {entry.place for entry in self.entries}
        new: dict[tuple[str, str | None, int, str, str], Entry] = {}
        for entry in entries:
            if entry.place not in there:
                new.setdefault(entry.place, entry)
        return tuple(new.values())


def entries_of(look: Look, findings: Iterable[Finding]) -> tuple[Entry, ...]:
    """The lines of a look, one for each of its findings."""
    common = {each.name: getattr(look, each.name) for each in fields(Look)}
    return tuple(_entry(common, finding) for finding in findings)


_COPIED = (
    *("probe", "code", "statistic", "seed", "generation", "baseline", "gating", "value", "unit", "worse", "margin"),
    *("p_value", "p_adjusted", "n_baseline", "n_generation"),
)
"""Fields of a finding that a line takes over. Its evidence, raw values and reason may quote a corpus, and stay out."""


def _entry(common: Mapping[str, Any], finding: Finding) -> Entry:
    interval = finding.interval
    bounds: dict[str, Any] = (
        {} if interval is None else {"low": interval.low, "high": interval.high, "level": interval.level}
    )
    copied = {name: getattr(finding, name) for name in _COPIED}
    return Entry(**common, **copied, **bounds, outcome=finding.outcome.value, waived=finding.waiver is not None)


# ------------------------------------------------------------------------------------------------------------- reading


def read_history(path: Path) -> History:
    """The history in the file ``path``; an empty one where there is no file yet.

    Raises InputError, with line numbers and all problems together, for lines that are not as documented. Only a piece
    of a line at the very end is no error.
    """
    return _loaded(path)[0]


def _loaded(path: Path) -> tuple[History, int]:
    """The history, and how many bytes of the file it takes: all but a torn end."""
    try:
        data = read_bytes(path, most=limits().json)
    except FileNotFoundError:
        return History(), 0
    except (Refused, OSError) as error:
        problems = ProblemList(str(path))
        found = (isinstance(error, OSError) and error.strerror) or str(error)
        problems.add(found, "a readable file of JSON lines", "history-unreadable")
        raise InputError(problems.as_tuple()) from error
    tail = data[data.rfind(b"\n") + 1 :]
    # A piece of one of our lines never is a whole JSON object, so what is one lost nothing but its line end.
    torn = bool(tail) and tail[: len(_START)] == _START[: len(tail)] and not _is_json(tail)
    problems = ProblemList(str(path))
    entries, seen = [], _Seen()
    for number, line in enumerate(io.BytesIO(data[: len(data) - len(tail)] if torn else data), start=1):
        try:
            entries.append(_line(line.removesuffix(b"\n"), seen))
        except _WrongLineError as wrong:
            problems.add(wrong.found, wrong.expected, "history-line", line=number)
        if len(problems) >= _MOST_WRONG:
            break
    if len(problems):
        raise InputError(problems.as_tuple())
    return History(entries=tuple(entries), torn=torn), len(data) - (len(tail) if torn else 0)


class _WrongLineError(Exception):
    """A line that is not as documented."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found)
        self.found, self.expected = found, expected


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _line(line: bytes, seen: _Seen) -> Entry:
    try:
        data = json.loads(line.decode("utf-8"), object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:  # bad UTF-8 and broken JSON are both
        raise _WrongLineError(f"{shorten(line)} ({error})", "one finding as a JSON object") from None
    if not isinstance(data, dict):
        raise _WrongLineError(shorten(data), "one finding as a JSON object")
    version = data.get("format")
    if version != FORMAT:
        newer = isinstance(version, int) and version > FORMAT
        hint = "; a newer collapse-audit wrote this line, so upgrade" if newer else ""
        raise _WrongLineError(f"format = {shorten(version)}", f"{FORMAT}{hint}")
    misfits = list(seen.misfits(data))
    missing = [misfit.value for misfit in misfits if misfit.kind == "missing"]
    if missing:
        raise _WrongLineError(f"no {', no '.join(missing)}", "every key of a finding that was written")
    for misfit in misfits:
        key = misfit.path[0]
        if misfit.kind == "unknown":
            raise _WrongLineError(f"the key {shorten(key)}", f"one of {', '.join(misfit.known)}")
        raise _WrongLineError(f"{key} = {shorten(misfit.value)}", misfit.allowed)
    return Entry(**{key: value for key, value in data.items() if key != "format"})


class _Seen:
    """Lines held against the schema. It asks something of the keys and of each value by itself, so a value that stood
    under its key before is not looked at twice: a history repeats itself, and most of a long one's reading is this."""

    def __init__(self) -> None:
        self._keys: set[frozenset[str]] = set()
        self._values: set[tuple[str, str]] = set()

    def misfits(self, line: Mapping[str, Any]) -> Iterator[Misfit]:
        """What is wrong with a line."""
        keys, values = frozenset(line), {(key, repr(value)) for key, value in line.items()}
        new = {key: line[key] for key, _ in values - self._values} if keys in self._keys else line
        misfits = [misfit for misfit in _SCHEMA.misfits(new) if new is line or misfit.kind != "missing"]
        if not misfits:
            self._keys.add(keys)
            self._values |= values
        yield from misfits


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key stands there twice")
    return data


# ------------------------------------------------------------------------------------------------------------- writing


class OpenHistory:
    """A history that no other audit reads or writes before it is closed; what is added is appended then."""

    def __init__(self, path: Path, history: History, length: int) -> None:
        self._path = path
        self._stored = history
        self._length = length
        self._added: tuple[Entry, ...] = ()

    @property
    def history(self) -> History:
        """What is stored and what has been added."""
        return History(entries=(*self._stored.entries, *self._added), torn=self._stored.torn)

    def add(self, entries: Iterable[Entry]) -> None:
        """Have ``entries`` appended, less those that are there already."""
        self._added += self.history.fresh(entries)

    def append(self) -> None:
        """Write what has been added: all of it, or the file is left as it was. Raises UsageError."""
        if not self._added:
            return
        lines = b"".join(map(_written, self._added))
        try:
            # Made where it is not there, and never emptied where it is: no mode of open() does both.
            with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
                _put(file, lines, self._length)
        except OSError as error:
            _refuse(self._path, error.strerror or str(error), error)


def _put(file: Any, lines: bytes, length: int) -> None:
    """Put ``lines`` behind the first ``length`` bytes of ``file``; cut them off again where that fails."""
    file.truncate(length)
    try:
        if length and _byte_before(file, length) != b"\n":
            lines = b"\n" + lines
        file.seek(length)
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    except BaseException:
        file.truncate(length)
        raise


def _byte_before(file: Any, position: int) -> Any:
    file.seek(position - 1)
    return file.read(1)


def _written(entry: Entry) -> bytes:
    data = {key: value for key, value in dataclasses.asdict(entry).items() if value is not None}
    text = json.dumps({"format": FORMAT, **data}, sort_keys=True, allow_nan=False, separators=(",", ":"))
    line = text.encode("ascii")
    try:
        _line(line, _Seen())  # what cannot be read back would make the whole history unreadable, for good
    except _WrongLineError as wrong:
        found = f"{entry.lineage}: {wrong.found}, which a history cannot hold; expected {wrong.expected}"
        raise UsageError(found, slug="history") from None
    return line + b"\n"


@contextlib.contextmanager
def open_history(path: Path, *, patience: float = PATIENCE) -> Iterator[OpenHistory]:
    """The history in ``path``, held until the block ends; what has been added is appended if it ends well.

    Two audits with one history so run one after the other, and no two looks get the same number. Waits ``patience``
    seconds for another one. Raises UsageError where the file cannot be locked or written, InputError like
    :func:`read_history`.
    """
    from filelock import FileLock, Timeout

    if path.is_dir():
        raise UsageError(f"--history {path}: is a folder; a file is needed there", slug="history")
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _refuse(path, f"its folder cannot be made: {error.strerror or error}", error)
    file = path.resolve()  # through a link, too, it is the same history
    lock = FileLock(file.with_name(f".{file.name}.lock"))
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise UsageError(
            f"--history {path}: another audit has had it open for {patience:g} seconds; let that one end first",
            slug="history",
        ) from None
    except (OSError, NotImplementedError) as error:
        _refuse(path, f"cannot be locked: {error}", error)
    try:
        opened = OpenHistory(path, *_loaded(path))
        yield opened
        opened.append()
    finally:
        lock.release()


def _refuse(path: Path, why: str, error: BaseException) -> NoReturn:
    raise UsageError(f"--history {path}: {why}; name a file that you may read and write", slug="history") from error
