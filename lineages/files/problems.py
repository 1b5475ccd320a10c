"""Collecting what is wrong with one file: everything is counted, the first twenty are worded."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

from collapse_audit.errors import Problem

MOST_LISTED = 20
_DETAILS = re.compile(r"\(.*\)|\d+")
_ANYWHERE = frozenset({"bad-utf8", "broken-json", "cell-count", "not-an-object"})
"""Slugs of problems that are the same one whatever the value, and wherever in its line it stands."""
_MOST_CHARACTERS = 1000


def problem(where: str, found: str, expected: str, slug: str, *, line: int | None = None) -> Problem:
    """A Problem whose words are safe to print, whatever names and values the files hold."""
    return Problem(where=printable(where), line=line, found=printable(found), expected=printable(expected), slug=slug)


def printable(text: str) -> str:
    """The text without anything that a terminal obeys (escapes, line ends, direction marks), and of bearable length."""
    cut = text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in cut
    )


class ProblemList:
    """The problems of one file, in the order in which they are added. What is said already is only counted."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._listed: list[Problem] = []
        self._again: dict[int, list[int | None]] = {}
        self._places: dict[tuple[str, str, str, str], int] = {}
        self._count = self._told = 0

    def __len__(self) -> int:
        return self._count

    def add(self, found: str, expected: str, slug: str, *, line: int | None = None, where: str | None = None) -> None:
        """``where``: the file, where it is not the one of the whole list."""
        self._count += 1
        place = where or self.where
        key = (_DETAILS.sub("#", found) if slug in _ANYWHERE else found, expected, slug, place)
        if key in self._places:
            self._told += 1
            self._again[self._places[key]].append(line)
        elif len(self._listed) < MOST_LISTED:
            self._told += 1
            self._places[key] = len(self._listed)
            self._again[len(self._listed)] = []
            self._listed.append(problem(place, found, expected, slug, line=line))

    def join(self, later: ProblemList) -> None:
        """Add the problems of another file, as if they had been added one by one."""
        for at, listed in enumerate(later._listed):
            times = 1 + len(later._again[at])
            if len(self._listed) < MOST_LISTED:
                self._again[len(self._listed)] = later._again[at]
                self._listed.append(listed)
                self._told += times
            self._count += times
        self._count += later._count - later._told

    def as_tuple(self) -> tuple[Problem, ...]:
        """The problems; where there are more than are listed, the last one says how many."""
        listed = tuple(_with_count(each, self._again[at]) for at, each in enumerate(self._listed))
        more = self._count - self._told
        if more == 0:
            return listed
        found = "1 more problem" if more == 1 else f"{more} more problems"
        last = problem(self.where, found, f"none; the first {MOST_LISTED} are listed", "more-problems")
        return (*listed, last)


def _with_count(problem: Problem, lines: list[int | None]) -> Problem:
    """A problem that was found on further lines too, said once."""
    if not lines:
        return problem
    some = [str(line) for line in lines[:3] if line is not None]
    places = f" (line {', '.join(some)}{', …' if len(lines) > len(some) else ''})" if some else ""
    return replace(problem, found=f"{problem.found}, and {len(lines)} more like it{places}")


def shorten(value: object, limit: int = 60) -> str:
    """A value that stood in a file, as JSON people write it, cut to ``limit`` characters and always on one line."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str | bytes):
        value = value[: limit + 1]  # never repr a text of megabytes
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
