"""Which line of a TOML file a key stands on: the standard library's parser does not say.

Good enough for messages: keys of tables, arrays of tables and one-line values. What stands inside an inline table or
a multi-line value is reported at the line of the key that holds it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

Path = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_LONGEST_KEY = 500  # the patterns are looked for in this much of a line
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The 1-based line of the key at ``path`` (as jsonschema gives it), or of the nearest thing that holds it."""
    lines = _index(text)
    for length in range(len(path), 0, -1):
        line = lines.get(tuple(path[:length]))
        if line is not None:
            return line
    return None


@lru_cache(maxsize=4)
def _index(text: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.split("\n"), start=1):
        header = _HEADER.match(line[:_LONGEST_KEY])
        if header is not None:
            table = _table(_parts(header[2]), counts, several=header[1] == "[[")
            lines.setdefault(table, number)
            continue
        key = _KEY.match(line[:_LONGEST_KEY])
        if key is not None:
            lines.setdefault((*table, *_parts(key[1])), number)
    return lines


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(dotted)]


def _table(parts: list[str], counts: dict[Path, int], *, several: bool) -> Path:
    """The path of a table, with the number of the entry after the name of each array of tables."""
    path: Path = ()
    for position, part in enumerate(parts):
        path = (*path, part)
        last = position == len(parts) - 1
        if several and last:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path
