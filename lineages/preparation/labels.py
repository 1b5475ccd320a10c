"""One label, or several, for every report: however they are written, and wherever they stand.

Two rules. ``eu-tirads``: the categories that the label columns, the text and the description name, in any form that
``collapse_audit.probes.text.eu_tirads`` reads; ``field``: the label columns alone, forms that differ only by white
space and case being one label, spelled as most rows spell it.

What agrees: two label columns that say the same; and a column, a text and a description each of which says part of what
the next one says. (A column often holds the highest category of several nodules.) The fullest of them is taken.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from collapse_audit.lineages.preparation.columns import Columns
from collapse_audit.lineages.preparation.ledger import Ledger, Row
from collapse_audit.probes.text.eu_tirads import UNLABELLED_MENTION, eu_tirads
from collapse_audit.probes.text.labels import AUTO_SHARE

Named = frozenset[str]
_WHOLE = re.compile(r"(?<![\d.,])([1-5])[.,]0+(?![\d.,])")
"""A whole number as programs write it that know only decimals."""


def named_categories(text: str | None) -> tuple[str, ...]:
    """The EU-TIRADS categories that a text names, sorted; a mention without a category names none."""
    return tuple(label for label in eu_tirads(text or "") if label != UNLABELLED_MENTION)


def cell_categories(cell: str | None) -> tuple[str, ...]:
    """The same of a cell in a label column, where the number alone will do: ``4``, ``4.0``, ``IV``, ``3; 4``."""
    cell = None if cell is None else _WHOLE.sub(r"\1", cell).replace(";", ",")
    return named_categories(cell) or named_categories(f"EU-TIRADS {cell}" if cell else None)


def choose_rule(rows: Sequence[Row], columns: Columns) -> str:
    """``eu-tirads`` where at least 5% of the rows name it in a label column, the text or the description."""
    places = [place for place in (*columns.labels, columns.text, columns.prompt) if place is not None]
    naming = sum(any(eu_tirads(row.cells[place] or "") for place in places) for row in rows)
    return "eu-tirads" if naming >= AUTO_SHARE * len(rows) and naming else "field"


def settle_labels(
    rows: Sequence[Row], columns: Columns, ledger: Ledger, *, rule: str, contradictory: str
) -> tuple[list[Row], dict[str, str]]:
    """Give every row its labels, or drop it; and what each form in a label column was taken for.

    ``contradictory``: ``drop`` the row, or believe the ``column`` or the ``text``.
    """
    forms = _forms(rows, columns, rule)
    kept = []
    for row in rows:
        sources = _sources(row, columns, forms, rule)
        unread = [name for name in columns.labels if row.cells[name] is not None and not sources.columns[name]]
        labels = _agreed(sources)
        if labels is None and contradictory != "drop":
            believed = sources.text if contradictory == "text" else next(iter(sources.distinct_columns()), frozenset())
            labels = believed if len(sources.distinct_columns()) <= 1 or contradictory == "text" else None
            if labels:
                said = f"contradictory labels ({sources}): the {contradictory} was believed"
                ledger.repair(row.number, "contradictory-labels", said, row.cells)
        if labels is None:
            ledger.drop(row.number, "contradictory-labels", str(sources), row.cells)
        elif not labels:
            reason = "unknown-label" if unread else "no-label"
            ledger.drop(row.number, reason, _unlabelled(row, unread), row.cells)
        else:
            if columns.labels and not any(sources.columns.values()):
                said = f"no label in {_listed(columns.labels)}: taken from the text ({', '.join(sorted(labels))})"
                ledger.repair(row.number, "label-from-text", said, row.cells)
            kept.append(replace(row, labels=tuple(sorted(labels))))
    return kept, {form: ", ".join(labels) for form, labels in sorted(forms.items()) if labels}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What each place says of one report."""

    columns: Mapping[str, Named]
    text: Named
    description: Named

    def distinct_columns(self) -> set[Named]:
        return {named for named in self.columns.values() if named}

    def __str__(self) -> str:
        places = {**{f'"{name}"': named for name, named in self.columns.items()}}
        places |= {"the text": self.text, "the description": self.description}
        return "; ".join(f"{place}: {', '.join(sorted(named))}" for place, named in places.items() if named)


def _sources(row: Row, columns: Columns, forms: Mapping[str, tuple[str, ...]], rule: str) -> _Found:
    by_column = {name: frozenset(forms.get(row.cells[name] or "", ())) for name in columns.labels}
    if rule == "field":
        return _Found(columns=by_column, text=frozenset(), description=frozenset())
    description = row.cells[columns.prompt] if columns.prompt else None
    return _Found(
        columns=by_column,
        text=frozenset(named_categories(row.cells[columns.text])),
        description=frozenset(named_categories(description)),
    )


def _agreed(sources: _Found) -> Named | None:
    """The fullest of what is said where each says part of the next; None where something contradicts."""
    if len(sources.distinct_columns()) > 1:
        return None
    said = sorted([*sources.columns.values(), sources.text, sources.description], key=len)
    chain = all(fewer <= more for fewer, more in pairwise(said))
    return said[-1] if chain else None


def _forms(rows: Sequence[Row], columns: Columns, rule: str) -> dict[str, tuple[str, ...]]:
    """Every form that stands in a label column -> the labels that it is taken for."""
    written = Counter(cell for row in rows for name in columns.labels if (cell := row.cells[name]) is not None)
    read: Callable[[str], tuple[str, ...]] = cell_categories if rule == "eu-tirads" else _spelled(written)
    return {form: read(form) for form in written}


def _spelled(written: Counter[str]) -> Callable[[str], tuple[str, ...]]:
    """A label as most rows spell it, of the forms that a reader would take for one."""
    best: dict[str, str] = {}
    for form, _ in sorted(written.items(), key=lambda item: (-item[1], item[0])):
        best.setdefault(_key(form), " ".join(form.split()))
    return lambda form: (best[_key(form)],)


def _key(form: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", form).split()).casefold()


def _unlabelled(row: Row, unread: Sequence[str]) -> str:
    if unread:
        return "; ".join(f'"{name}": {row.cells[name]!r} is no label' for name in unread)
    return "no label in any column, and none named in the text"


def _listed(names: Sequence[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)
