"""Paths into a record: names and numbers between dots, ``*`` for every element of a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def at(record: Any, path: str) -> Iterator[Any]:
    """Every value at the path, nothing where there is none. A key that is spelled like the whole path comes first."""
    if isinstance(record, dict) and path in record:
        yield record[path]
        return
    values: list[Any] = [record]
    for part in parts(path):
        values = [inner for value in values for inner in _step(value, part)]
    yield from values


def parts(path: str) -> list[str]:
    return [part for part in path.replace("[", ".").replace("]", "").split(".") if part]


def _step(value: Any, part: str) -> Iterable[Any]:
    if isinstance(value, dict):
        return (value[part],) if part in value else ()
    if isinstance(value, list):
        if part == "*":
            return value
        if part.removeprefix("-").isdecimal() and -len(value) <= int(part) < len(value):
            return (value[int(part)],)
    return ()


def spelled(path: str) -> str:
    """``response.body.choices[*].message.content``, as a report shows it."""
    made = ""
    for part in parts(path):
        number = part == "*" or part.removeprefix("-").isdecimal()
        made += f"[{part}]" if number else f".{part}" if made else part
    return made
