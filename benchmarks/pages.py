"""Pages with parts that a script makes: each part between its marks, put there or compared with what is there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from collapse_audit.atomic import write_text
from collapse_audit.errors import UsageError


def filled(page: str, made: Mapping[str, str], *, by: str) -> str:
    """The page with each part in its place, between the marks of the script ``by``. Raises UsageError where places and
    parts do not match."""
    block = re.compile(rf"(<!-- generated: {by} (\S+) -->\n).*?(<!-- end of generated -->)", re.DOTALL)
    places = [match[2] for match in block.finditer(page)]
    if sorted(places) != sorted(made):
        raise UsageError(
            f"the page has places for {', '.join(sorted(places))}; expected each once of {', '.join(made)}"
        )
    return block.sub(lambda match: f"{match[1]}\n{made[match[2]]}\n\n{match[3]}", page)


def fill(page: Path, made: Mapping[str, str], *, by: str, check: bool, command: str) -> int:
    """Write the page, or with ``check`` only say whether it is up to date; the exit code. ``command``: what makes it
    anew."""
    old = page.read_text("utf-8")
    new = filled(old, made, by=by)
    if not check:
        write_text(page, new)
        return 0
    print(f"{page.name}: {'up to date' if new == old else f'out of date; run {command}'}")
    return int(new != old)
