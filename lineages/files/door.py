"""The one door for files that strangers wrote: nothing behind it hangs, grows without bound, or brings numbers and text
that Python holds and nothing else can.

A folder that is audited may hold a FIFO, a link to a device, a number of 5,000 digits, or a table nested a thousand
deep. What passes here is a regular file of bounded size whose values every later step can hold: integers of 64 bits,
finite numbers, text without lone surrogates, bounded nesting. Everything else is one message.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from collapse_audit.errors import CollapseAuditError, InputError, UsageError
from collapse_audit.lineages.files.problems import problem
from collapse_audit.regular import NotRegularError, read_regular

VARIABLE = "COLLAPSE_AUDIT_LIMITS"
"""The environment variable by which a user raises limits: ``line=1e9,generations=500``. No lineage can set it."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of anything is read; all of them may be raised by the user (:data:`VARIABLE`)."""

    settings: int = 2**20
    """Bytes of a TOML file: a manifest or settings."""
    json: int = 2**28
    """Bytes of a JSON file that is read as a whole: results, configurations, headers."""
    unpacked: int = 2**34
    """Bytes that a compressed corpus may unpack to."""
    ratio: int = 200
    """How many times its own size a compressed corpus may unpack to, once it is beyond 256 MiB."""
    whole: int = 2**29
    """Bytes of a file that cannot be read in parts: a document that is a file, a Parquet file that is packed."""
    line: int = 2**24
    """Bytes of one line, cell or record of a corpus."""
    records: int = 10**8
    """Records of a corpus."""
    nesting: int = 64
    """Levels of tables and lists in a JSON or TOML file."""
    keys: int = 10**5
    """Keys of a TOML file, dotted parts included."""
    columns: int = 1000
    """Columns of a table."""
    cells: int = 2 * 10**6
    """Cells of a table that is prepared, which is held at once."""
    generations: int = 2000
    """Generations of a lineage, over all seeds."""
    remote: int = 2**36
    """Bytes of a file that a URL names."""
    files: int = 10**5
    """Files that a pattern or a set of shards names."""
    silence: int = 60
    """Seconds that a server may say nothing; after them it has to send a kilobyte a second."""


_IN_FORCE: ContextVar[Limits | None] = ContextVar("_IN_FORCE", default=None)


def limits(setting: str | None = None) -> Limits:
    """The limits in force; ``setting`` stands for the environment variable. Raises UsageError where it is none."""
    return (None if setting is not None else _IN_FORCE.get()) or limits_of(setting)


@contextmanager
def under(limits: Limits) -> Iterator[None]:
    """Read under these limits, wherever this process was started and by whom."""
    before = _IN_FORCE.set(limits)
    try:
        yield
    finally:
        _IN_FORCE.reset(before)


@cache
def limits_of(setting: str | None = None) -> Limits:
    """The limits that ``setting`` (None: the environment) chooses. Raises UsageError where it is no such setting."""
    text = os.environ.get(VARIABLE, "") if setting is None else setting
    known = [field.name for field in fields(Limits)]
    chosen: dict[str, int] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, _, number = item.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if name.strip() not in known or not 1 <= value < 2**62:
            raise UsageError(f"{VARIABLE}: {item!r}; expected NAME=NUMBER, NAME one of {', '.join(known)}")
        chosen[name.strip()] = int(value)
    return Limits(**chosen)


def raised(name: str) -> str:
    """What to do about a limit that is too low for an honest file."""
    return f"set {VARIABLE}={name}=NUMBER to read it all the same"


class Refused(Exception):  # noqa: N818 - it is caught and worded with its file
    """A value that is not let in; ``str`` of it is what was found."""


def read_bytes(path: Path, *, most: int) -> bytes:
    """The content of a regular file of at most ``most`` bytes. Raises Refused, OSError."""
    try:
        return read_regular(path, most=most)
    except NotRegularError as error:
        raise Refused(str(error)) from None


def stay_inside(path: Path, folder: Path) -> None:
    """A link that leads out of ``folder`` (or out of the folder of a file) is refused, as what is no regular file is.

    Raises Refused, OSError.
    """
    if not os.path.lexists(path):
        return
    home = (folder if folder.is_dir() else folder.parent).resolve()
    target = path.resolve(strict=True)
    if not target.is_relative_to(home):
        raise Refused(f"{path.name}, a link to a place outside the folder")
    if not stat.S_ISREG(target.stat().st_mode):
        raise Refused(f"{path.name}, neither a file nor a folder, but a device or a pipe")


def parse_json(text: str | bytes, *, constants: bool = False) -> Any:
    """One JSON value. ``constants``: ``NaN`` and infinities are let in, as some programs write them.

    Raises Refused, and ValueError where it is no JSON.
    """
    try:
        value = (_WITH_CONSTANTS if constants else _STRICT).decode(_text(text))
    except RecursionError:
        raise Refused("values nested too deep") from None
    _check_nesting(value)
    if _SURROGATE.search(_text(text)):
        _check_text(value)
    return value


def read_json(path: Path, *, constants: bool = False) -> Any:
    """The JSON value in a file. Raises Refused, OSError, and ValueError where it is no JSON."""
    return parse_json(read_bytes(path, most=limits().json), constants=constants)


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML document. Raises Refused, and tomllib.TOMLDecodeError where it is none."""
    # A dotted key makes a table of every part, so that a short file could hold very many.
    if text.count("=") + text.count(".") + text.count("[") > limits().keys:
        raise Refused(f"more than {limits().keys:,} keys")
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise Refused("tables nested too deep") from None
    except tomllib.TOMLDecodeError:
        raise
    except (ValueError, OverflowError) as error:  # a number of thousands of digits
        raise Refused(f"a number that cannot be held ({error})") from None
    _check_nesting(table)
    for value in _leaves(table):
        if isinstance(value, int) and value not in _INT64:
            raise Refused("a whole number of more than 64 bits")
    return table


def read_toml(path: Path) -> dict[str, Any]:
    """The TOML document in a file. Raises Refused, OSError, UnicodeDecodeError, tomllib.TOMLDecodeError."""
    return parse_toml(read_bytes(path, most=limits().settings).decode("utf-8"))


@contextmanager
def reading(where: str, expected: str, slug: str, *, beside: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Whatever fails while ``where`` is read is one InputError that names it: what a parser, or a check behind it, says
    of a file that was made to break it is never a defect of ours. ``beside``: what the caller words itself."""
    try:
        yield
    except CollapseAuditError:
        raise
    except beside:
        raise
    except Refused as error:
        raise InputError([problem(where, str(error), expected, slug)]) from error
    except RecursionError as error:
        raise InputError([problem(where, "values nested too deep", expected, slug)]) from error
    except MemoryError as error:
        raise InputError([problem(where, "more than memory holds", expected, slug)]) from error
    except OSError as error:
        raise InputError([problem(where, error.strerror or str(error), expected, slug)]) from error
    except Exception as error:
        said = (str(error).splitlines() or [""])[0][:200]
        found = f"what cannot be read ({type(error).__name__}{': ' + said if said else ''})"
        raise InputError([problem(where, found, expected, slug)]) from error


def _text(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("utf-8")


def _whole(digits: str) -> int:
    if len(digits) > 20 or int(digits) not in _INT64:
        raise Refused(f"a whole number of {len(digits.lstrip('-'))} digits, more than 64 bits hold")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise Refused(f"the number {digits[:40]}, which is beyond what a double holds")
    return value


def _no_constant(name: str) -> float:
    raise Refused(f"{name}, which is no number in JSON")


_STRICT = json.JSONDecoder(parse_int=_whole, parse_float=_number, parse_constant=_no_constant)
_WITH_CONSTANTS = json.JSONDecoder(parse_int=_whole, parse_float=_number)


def _check_nesting(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > limits().nesting + 1:
            raise Refused(f"values nested more than {limits().nesting} deep")
        level = [child for each in level for child in _children(each)]


def _check_text(value: Any) -> None:
    for leaf in _leaves(value):
        if isinstance(leaf, str) and not _sound(leaf):
            raise Refused("text with half of a surrogate pair, which no file can hold")


def _sound(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _leaves(value: Any) -> Iterator[Any]:
    """Every value that holds no other, and every key."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            yield from each.keys()
        if isinstance(each, Mapping | list):
            waiting.extend(_children(each))
        else:
            yield each
