"""Labels of documents: from a field of the records, from EU-TIRADS mentions, or from a regular expression."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import re2
from scipy.sparse import coo_array, csr_array

from collapse_audit.errors import UsageError
from collapse_audit.probes.text.census import MOST_LABELS
from collapse_audit.probes.text.eu_tirads import CATEGORIES, UNLABELLED_MENTION, eu_tirads

_LONGEST_PATTERN = 10_000
"""Characters of a regular expression for labels."""
_MOST_GROUPS = 100
"""Groups of it: RE2 keeps track of all of them at every character, in time that grows with their square."""
AUTO_SHARE = 0.05
"""``auto`` takes EU-TIRADS where at least this share of the baseline's texts mention it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Which of K labels each of N documents carries; a document may carry none or several."""

    rule: str
    names: tuple[str, ...]
    """The K labels, sorted."""
    carried: csr_array
    """Shape (N, K): a one where a document carries a label; see :func:`ones`."""
    categories: tuple[str, ...]
    """Names that are real categories (not "mentioned without category"); may hold ones that nobody carries."""

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which documents carry any label; shape (N,)."""
        return np.asarray(np.diff(self.carried.indptr) > 0)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many documents carry each label; shape (K,)."""
        return np.bincount(self.carried.indices, minlength=len(self.names))

    def column(self, name: str) -> npt.NDArray[np.bool_]:
        """Which documents carry the label called ``name``; shape (N,)."""
        return np.asarray(self.carried[:, [self.names.index(name)]].toarray()[:, 0] > 0)


def ones(
    document: npt.NDArray[np.integer[Any]], label: npt.NDArray[np.integer[Any]], shape: tuple[int, int]
) -> csr_array:
    """Who carries what, of pairs of a document and a label; what is told twice counts once. int64, indices sorted."""
    table = coo_array((np.ones(len(document), dtype=np.int64), (document, label)), shape=shape).tocsr()
    table.sum_duplicates()
    table.data[:] = 1
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRule:
    """A named way to find labels: of a text, or in the records' own field (``extract`` is None)."""

    name: str
    extract: Callable[[str], Iterable[str]] | None
    categories: tuple[str, ...] | None = None
    """The closed set of categories, where there is one."""
    not_categories: frozenset[str] = frozenset()

    def apply(self, texts: pa.Array, field: pa.Array | None) -> Labels:
        """Label N documents from their ``texts`` (strings) or their ``field`` (lists of strings, may be null)."""
        if self.extract is None:
            rows = [tuple(labels or ()) for labels in field.to_pylist()] if field is not None else [()] * len(texts)
        else:
            rows = [tuple(self.extract(text)) for text in texts.to_pylist()]
        return self._table(rows)

    def _table(self, rows: Sequence[tuple[str, ...]]) -> Labels:
        names = sorted({label for row in rows for label in row}.union(self.categories or ()))
        if len(names) > MOST_LABELS:
            raise UsageError(
                f"{len(rows):,} texts carry {len(names):,} different labels by the rule {self.name!r}; allowed are "
                f"{MOST_LABELS:,}: name coarser labels (--labels regex:…), other ones (--label FIELD), or none "
                "(--labels none)",
                slug="too-many-labels",
            )
        column = {label: k for k, label in enumerate(names)}
        document = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        label = np.array([column[label] for row in rows for label in row], dtype=np.int64)
        carried = ones(document, label, (len(rows), len(names)))
        return Labels(
            rule=self.name,
            names=tuple(names),
            carried=carried,
            categories=tuple(label for label in names if label not in self.not_categories),
        )


def spelled_alike(*sides: Labels) -> tuple[tuple[str, ...], ...]:
    """Labels that anybody carries and that a reader would take for one: they differ only by white space or case."""
    groups: dict[str, set[str]] = {}
    for labels in sides:
        for name, carried in zip(labels.names, labels.counts.tolist(), strict=True):
            if carried:
                key = " ".join(unicodedata.normalize("NFC", name).split()).casefold()
                groups.setdefault(key, set()).add(name)
    return tuple(tuple(sorted(names)) for _, names in sorted(groups.items()) if len(names) > 1)


def told_alike(groups: Sequence[tuple[str, ...]], *, named: bool) -> str:
    """What :func:`spelled_alike` found, in a sentence; ``named`` says whether labels may be quoted. Empty for none."""
    if not groups:
        return ""
    what = f"{sum(map(len, groups))} labels are spelled like another"
    if named:
        what = f"{' and '.join(map(repr, groups[0]))} are two labels here"
        what += f" ({len(groups) - 1} more such)" if len(groups) > 1 else ""
    return f"{what} and differ only by white space or case: spell them alike on both sides"


EU_TIRADS = LabelRule(
    name="eu-tirads", extract=eu_tirads, categories=CATEGORIES, not_categories=frozenset({UNLABELLED_MENTION})
)


def _pattern(text: str) -> Callable[[str], set[str]]:
    """What ``text`` matches, found in time linear in the text whatever the pattern: a lineage may bring its own.

    By RE2, which knows neither look-around nor back references, and holds a pattern to 8 MB of automaton.
    """
    if len(text) > _LONGEST_PATTERN:
        raise UsageError(f"labels = regex: a pattern of {len(text):,} characters; allowed are {_LONGEST_PATTERN:,}")
    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile(text, options=options)
    except (re2.error, ValueError, OverflowError) as error:
        raise UsageError(
            f"labels = {'regex:' + text!r}: not a regular expression that RE2 knows: {_said(error)}; it is plain, "
            "without look-around (?=…) and back references \\1"
        ) from None
    if pattern.groups > _MOST_GROUPS:
        raise UsageError(
            f"labels = regex: a pattern of {pattern.groups:,} groups; allowed are {_MOST_GROUPS}, the first is the "
            "label: write (?:…) for the others"
        )
    group = min(pattern.groups, 1)

    def extract(text: str) -> set[str]:
        return {match[group] for match in pattern.finditer(text) if match[group]}

    return extract


def _said(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def label_rule(name: str, *, classes: tuple[str, ...] | None = None) -> LabelRule | None:
    """Turn ``eu-tirads``, ``field``, ``regex:PATTERN`` or ``none`` into a rule (None for ``none``).

    A pattern's first group is the label, or the whole match where it has no group; every match counts.
    """
    if name == "none":
        return None
    if name == "eu-tirads":
        return EU_TIRADS
    if name == "field":
        return LabelRule(name=name, extract=None, categories=classes)
    if name.startswith("regex:"):
        return LabelRule(name=name, extract=_pattern(name.removeprefix("regex:")), categories=classes)
    raise UsageError(f"labels = {name!r} is not known; allowed: auto, eu-tirads, field, regex:PATTERN, none")


def side_by_side(
    tables: Sequence[Labels], rows: Sequence[npt.NDArray[np.integer[Any]]] | None = None, *, categories: bool = False
) -> tuple[tuple[str, ...], csr_array]:
    """The labels of several samples in one table: the L names in the order of their spelling, and who carries which.

    The table has shape (D, L). ``rows``: documents of each sample that take part, in their order; None: all.
    ``categories``: real categories alone.
    """
    used = [table.categories if categories else table.names for table in tables]
    names = tuple(sorted({name for each in used for name in each}))
    column = {name: k for k, name in enumerate(names)}
    documents, labels, start = [], [], 0
    for number, (table, own) in enumerate(zip(tables, used, strict=True)):
        carried = (table.carried if rows is None else table.carried[rows[number]]).tocoo()
        taken = set(own)
        to = np.array([column[name] if name in taken else -1 for name in table.names], dtype=np.int64)
        label = to[carried.coords[1]]
        documents.append(start + carried.coords[0][label >= 0])
        labels.append(label[label >= 0])
        start += carried.shape[0]
    return names, ones(np.concatenate(documents), np.concatenate(labels), (start, len(names)))
