"""Collecting what is wrong with one file: everything is counted, the first twenty are worded."""

from __future__ import annotations

from collapse_audit.errors import Problem

MOST_LISTED = 20
_MOST_CHARACTERS = 1000


def problem(where: str, found: str, expected: str, slug: str, *, line: int | None = None) -> Problem:
    """A Problem whose words are safe to print, whatever names and values the files hold."""
    return Problem(where=printable(where), line=line, found=printable(found), expected=printable(expected), slug=slug)


def printable(text: str) -> str:
    """The text without anything that a terminal obeys (escapes, line ends, direction marks), and of bearable length."""
    cut = text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in cut)


class ProblemList:
    """The problems of one file, in the order in which they are added."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._listed: list[Problem] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, found: str, expected: str, slug: str, *, line: int | None = None) -> None:
        self._count += 1
        if self._count <= MOST_LISTED:
            self._listed.append(problem(self.where, found, expected, slug, line=line))

    def as_tuple(self) -> tuple[Problem, ...]:
        """The problems; where there are more than are listed, the last one says how many."""
        more = self._count - len(self._listed)
        if more == 0:
            return tuple(self._listed)
        found = "1 more problem" if more == 1 else f"{more} more problems"
        last = problem(self.where, found, f"none; the first {MOST_LISTED} are listed", "more-problems")
        return (*self._listed, last)


def shorten(value: object, limit: int = 60) -> str:
    """A value that stood in a file, as JSON people write it, cut to ``limit`` characters and always on one line."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, str | bytes):
        value = value[: limit + 1]  # never repr a text of megabytes
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
