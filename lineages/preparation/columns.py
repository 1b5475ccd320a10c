"""Which column holds what: chosen by the user, or by its name; and which may not go out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collapse_audit.errors import UsageError
from collapse_audit.lineages.preparation.ledger import Ledger
from collapse_audit.lineages.preparation.personal import personal_columns
from collapse_audit.lineages.preparation.read_table import Table

NONE = "none"
"""In the place of a column: there is no such one."""
_NAMES: Mapping[str, re.Pattern[str]] = {
    "text": re.compile(r"text|текст|conclusion|заключение( врача)?", re.IGNORECASE),
    "prompt": re.compile(r"prompt|description|описание|протокол", re.IGNORECASE),
    "group": re.compile(
        r"group|patient([ _]?(id|code|no))?|(код |id |№ |номер )?пациента?|(номер|№) карты", re.IGNORECASE
    ),
    "id": re.compile(r"id|№|n|номер|№ п/п", re.IGNORECASE),
}
_LABEL = re.compile(r"labels?|class|category|метка|класс|категория.*|.*(ti-?rads|тирадс).*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the user said of the columns; None: tell by the names. Names are those of the table."""

    text: str | None = None
    prompt: str | None = None
    labels: Sequence[str] | None = None
    group: str | None = None
    id: str | None = None
    drop: Sequence[str] = ()
    keep: Sequence[str] = ()
    """Columns that look personal and may go out all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The roles of the columns, each in one."""

    text: str
    prompt: str | None
    labels: tuple[str, ...]
    group: str | None
    id: str | None
    hidden: frozenset[str]
    """Left out of everything that is written."""
    features: tuple[str, ...]
    """All others: they are encoded as numbers."""

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "text": self.text,
            "prompt": self.prompt,
            "labels": list(self.labels),
            "group": self.group,
            "id": self.id,
            "left_out": sorted(self.hidden),
            "features": list(self.features),
        }


def assign_columns(table: Table, choice: Choice, ledger: Ledger) -> Columns:
    """Give every column its role; what looks personal is left out, with a warning.

    Raises UsageError for a column that is not there, and where there is none that holds the text.
    """
    for name in (*choice.drop, *choice.keep, *(choice.labels or ())):
        if name != NONE:
            _require(name, table.columns)
    roles = {role: _one(role, getattr(choice, role), table.columns) for role in _NAMES}
    text = roles["text"]
    if text is None:
        raise UsageError(f"no column is named as the text; choose one with --text ({_listed(table.columns)})")
    labels = tuple(name for name in table.columns if _LABEL.fullmatch(name)) if choice.labels is None else choice.labels
    labels = tuple(name for name in labels if name != NONE)
    used = {name for name in (*roles.values(), *labels) if name is not None}
    twice = [name for name in labels if name in roles.values()]
    if twice:
        raise UsageError(f'the column "{twice[0]}" cannot be both a label and something else')
    if text in choice.drop:
        raise UsageError(f'--drop-columns "{text}": it holds the text')
    hidden = set(choice.drop) | _personal(table, used | set(choice.drop) | set(choice.keep), ledger)
    used -= hidden
    return Columns(
        text=text,
        prompt=None if roles["prompt"] in hidden else roles["prompt"],
        labels=tuple(name for name in labels if name not in hidden),
        group=roles["group"],  # never written: patients are numbered
        id=None if roles["id"] in hidden else roles["id"],
        hidden=frozenset(hidden | ({roles["group"]} if roles["group"] else set())),
        features=tuple(name for name in table.columns if name not in hidden | used | {roles["group"]}),
    )


def _personal(table: Table, known: set[str], ledger: Ledger) -> set[str]:
    """Columns that look personal and of which nothing was said."""
    cells = {name: [row.cells[name] for row in table.rows] for name in table.columns if name not in known}
    personal = personal_columns(cells)
    for name, why in personal.items():
        ledger.warnings.append(
            f'the column "{name}" looks like personal data ({why}) and is left out; if it is none: --keep-columns'
        )
    return set(personal)


def _one(role: str, chosen: str | None, columns: Sequence[str]) -> str | None:
    if chosen == NONE:
        return None
    if chosen is not None:
        return _require(chosen, columns)
    named = [name for name in columns if _NAMES[role].fullmatch(name)]
    if len(named) > 1:
        raise UsageError(f"several columns could be the {role} ({_listed(named)}): choose one with --{role}")
    return named[0] if named else None


def _require(name: str, columns: Sequence[str]) -> str:
    if name not in columns:
        raise UsageError(f'no column "{name}"; the table has {_listed(columns)}')
    return name


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
