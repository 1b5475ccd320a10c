"""The texts of whatever is to be described: a corpus, or a table as prepare reads it, with all of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.corpora.readers.fields import Reading
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.preparation.clean import clean_cells
from collapse_audit.lineages.preparation.columns import Choice, assign_columns
from collapse_audit.lineages.preparation.ledger import Ledger
from collapse_audit.lineages.preparation.read_table import read_table

_TABLES = (".csv", ".tsv", ".xlsx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """N records."""

    name: str
    digest: str
    texts: Sequence[str]
    """N texts; an absent one is empty."""
    labels: Sequence[tuple[str, ...] | None]
    """What the records' own label field says; None where it says nothing."""
    missing: Mapping[str, int]
    """Column -> records that say nothing there; of columns in which any record says something, and the text's."""
    cells: bool = False
    """Whether the labels are cells of a table, each written as somebody wrote it."""
    unreadable: int = 0
    """Rows of a table that could not be read, and are none of the N."""


def read_source(path: Path, *, text: str | None = None) -> Source:
    """Read ``path``. ``text``: the column or field that holds the texts, where its name does not say so.

    Raises InputError where it cannot be read, UsageError where the text cannot be told.
    """
    if path.suffix.lower() in _TABLES:
        return _table(path, text)
    corpus = open_corpus(path, reading=Reading(text=(text,) if text else ()))
    if corpus.width():
        raise UsageError(f"{path}: the records hold numbers; what a corpus is made of is told of texts")
    rows = [row for batch in corpus.batches() for row in batch.to_pylist()]
    missing = {name: sum(row[name] in (None, "") for row in rows) for name in rows[0]}
    return Source(
        name=path.name,
        digest=corpus.digest,
        texts=[row["text"] for row in rows],
        labels=[None if row["labels"] is None else tuple(row["labels"]) for row in rows],
        missing={name: count for name, count in missing.items() if name == "text" or count < len(rows)},
    )


def _table(path: Path, text: str | None) -> Source:
    ledger = Ledger()
    table = read_table(path, ledger)
    columns = assign_columns(table, Choice(text=text), ledger)
    rows = clean_cells(table.rows, table.columns)
    missing = {name: sum(row.cells[name] is None for row in rows) for name in table.columns}
    own = columns.labels
    return Source(
        name=path.name,
        digest=file_digest(path),
        texts=[row.cells[columns.text] or "" for row in rows],
        labels=[tuple(dict.fromkeys(cell for name in own if (cell := row.cells[name]))) or None for row in rows],
        missing=missing,
        cells=True,
        unreadable=ledger.dropped().total(),
    )
