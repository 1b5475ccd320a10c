"""The head of a report as a piece of HTML, which a notebook shows in place of a repr."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

_RED, _AMBER, _GREEN, _GREY = "#b3261e", "#8a6100", "#1b6e3c", "#555"
_COLORS = {"collapse": _RED, "error": _RED, "inconclusive": _AMBER, "changed": _AMBER, "pass": _GREEN}
_MOST = 12
_HEAD = Markup('<div style="font-family: sans-serif"><p><strong style="color: {}">{}</strong></p>')
_CELL = Markup('<td style="text-align: left">{}</td>')


def head(verdict: str, summary: str, rows: Sequence[tuple[str, str, str]], notes: Sequence[str]) -> str:
    """``rows``: where, what it is called, and what is said of it. Everything is escaped: strangers wrote some of it."""
    made = _HEAD.format(_COLORS.get(verdict, _GREY), summary)
    if rows:
        lines = (Markup("<tr>{}</tr>").format(Markup().join(map(_CELL.format, row))) for row in rows[:_MOST])
        made += Markup("<table>{}</table>").format(Markup().join(lines))
    if len(rows) > _MOST:
        made += Markup("<p>and {} more</p>").format(len(rows) - _MOST)
    if notes:
        made += Markup("<p>{}</p>").format(Markup("<br>").join(notes))
    return str(made + Markup("</div>"))
