"""A page for a terminal: what is drawn on it, and how its last line ends it."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.text import Text

NARROWEST = 20
"""Columns under which nothing is laid out."""


def drawn(parts: Iterable[RenderableType], last: Text, *, width: int, color: bool) -> str:
    """``parts`` on ``width`` columns and ``last``, unbroken. Depends on nothing else, no terminal, no environment."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(width, NARROWEST),
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
        force_jupyter=False,
    )
    for part in parts:
        console.print(part)
    console.print(last, soft_wrap=True)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
