"""The whole way from a table to a reference, a step after the other, in the order in which they are told.

After Bobrova et al., section IV: clean, normalise labels, take long texts apart, split 70/15/15, encode, fill what is
missing. One thing is done otherwise: the split comes before what is missing is filled, so that the numbers by which it
is filled come from the training part alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.problems import problem
from collapse_audit.lineages.preparation.clean import (
    clean_cells,
    drop_duplicates,
    drop_uninformative,
    guard_personal,
    repair_days,
)
from collapse_audit.lineages.preparation.columns import Choice, Columns, assign_columns
from collapse_audit.lineages.preparation.encode import Feature, decoder, encode
from collapse_audit.lineages.preparation.impute import drop_incomplete, impute
from collapse_audit.lineages.preparation.labels import choose_rule, settle_labels
from collapse_audit.lineages.preparation.ledger import Ledger, Row
from collapse_audit.lineages.preparation.read_table import read_table
from collapse_audit.lineages.preparation.sentences import split_sentences
from collapse_audit.lineages.preparation.split import PARTS, groups_of, split
from collapse_audit.probes.text.eu_tirads import CATEGORIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to prepare; the defaults are those of the command."""

    columns: Choice = field(default_factory=Choice)
    labels: str = "auto"
    """``auto``, ``eu-tirads`` or ``field``."""
    contradictory: str = "drop"
    """``drop``, or believe the ``column`` or the ``text``."""
    missing: str = "median"
    fill: float = 0.0
    """What ``constant`` fills numbers with."""
    sentences: bool = True
    personal: str = "drop"
    """What becomes of texts with personal data: ``drop``, ``mask`` or ``keep``."""
    min_words: int = 1
    sheet: str | None = None
    encoding: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The reference, and all that is to be said of how it came to be."""

    source: Mapping[str, str]
    columns: Columns
    rule: str
    forms: Mapping[str, str]
    """Every form of a label in a label column -> what it was taken for."""
    codes: Mapping[str, int]
    """Every label -> its number."""
    features: Sequence[Feature]
    parts: Mapping[str, list[dict[str, Any]]]
    """``train``, ``validation`` and ``holdout``: records as corpora hold them."""
    ledger: Ledger

    @property
    def sentence_share(self) -> float:
        """By what share the records grew when texts were taken apart."""
        step = next((step for step in self.ledger.steps if step.name == "sentences"), None)
        return step.added / step.rows_in if step is not None else 0.0


def prepare(path: Path, options: Options) -> Prepared:
    """Prepare the table at ``path``. Nothing is written.

    Raises InputError where it cannot be read or nothing of it is left, UsageError where a choice has to be made.
    """
    ledger = Ledger()
    table = read_table(path, ledger, sheet=options.sheet, encoding=options.encoding)
    columns = assign_columns(table, options.columns, ledger)
    rows = _cleaned(clean_cells(table.rows, table.columns), columns, ledger, options)
    _some(rows, path, ledger)
    rule = choose_rule(rows, columns) if options.labels == "auto" else options.labels
    if rule == "field" and not columns.labels:
        raise UsageError("no column holds a label, and no text names an EU-TIRADS category; choose one with --label")
    ledger.begin("labels", len(rows))
    rows, forms = settle_labels(rows, columns, ledger, rule=rule, contradictory=options.contradictory)
    ledger.end(len(rows))
    if options.missing == "drop":
        rows = ledger.run("missing values", lambda given: drop_incomplete(given, columns, ledger), rows)
    if options.sentences and rule == "eu-tirads":
        rows = ledger.run("sentences", lambda given: split_sentences(given, columns, ledger), rows)
    _some(rows, path, ledger)
    groups = groups_of(rows, columns)
    part = split(rows, groups, seed=options.seed)
    features = _features(rows, columns, part == "train", ledger, options)
    codes = _codes(rows, rule)
    records = [_record(row, columns, codes, features, at, groups[at]) for at, row in enumerate(rows)]
    return Prepared(
        source={"name": path.name, "digest": file_digest(path)},
        columns=columns,
        rule=rule,
        forms=forms,
        codes=codes,
        features=features,
        parts={name: [records[at] for at in np.flatnonzero(part == name)] for name in PARTS},
        ledger=ledger,
    )


def _cleaned(rows: Sequence[Row], columns: Columns, ledger: Ledger, options: Options) -> list[Row]:
    steps = {
        "days": lambda given: repair_days(given, columns, ledger),
        "texts": lambda given: drop_uninformative(given, columns, ledger, min_words=options.min_words),
        "duplicates": lambda given: drop_duplicates(given, columns, ledger),
        "personal data": lambda given: guard_personal(given, columns, ledger, how=options.personal),
    }
    for name, step in steps.items():
        rows = ledger.run(name, step, rows)
    return list(rows)


def _some(rows: Sequence[Row], path: Path, ledger: Ledger) -> None:
    if not rows:
        why = ", ".join(f"{reason}: {count:,}" for reason, count in ledger.dropped().most_common())
        found = f"no row that can be kept ({why})"
        raise InputError([problem(str(path), found, "reports with a text and a label", "nothing-prepared")])


def _features(
    rows: Sequence[Row], columns: Columns, training: npt.NDArray[np.bool_], ledger: Ledger, options: Options
) -> list[Feature]:
    features = encode(rows, columns, ledger)
    strategy = "median" if options.missing == "drop" else options.missing  # then no gap is left
    known = [feature for feature in features if strategy == "constant" or not feature.gaps[training].all()]
    for name in [feature.name for feature in features if feature.name not in {feature_of.name for feature_of in known}]:
        ledger.warnings.append(f'the column "{name}" is empty in the training part and is left out')
    return impute(known, training, strategy=strategy, fill=options.fill)


def _codes(rows: Sequence[Row], rule: str) -> dict[str, int]:
    """EU-TIRADS categories are their own numbers, others are counted from 0 in the order of their names."""
    if rule == "eu-tirads":
        return {label: number for number, label in enumerate(CATEGORIES, start=1)}
    return {label: number for number, label in enumerate(sorted({label for row in rows for label in row.labels}))}


def _record(
    row: Row, columns: Columns, codes: Mapping[str, int], features: Sequence[Feature], at: int, group: str
) -> dict[str, Any]:
    prompt = row.cells[columns.prompt] if columns.prompt else None
    values = {feature.name: decoder(feature)(float(feature.values[at])) for feature in features}
    gaps = [feature.name for feature in features if feature.gaps[at]]
    return {
        "id": f"row-{row.number:05d}" + (f"-{row.part}" if row.part else ""),
        **({"prompt": prompt} if prompt is not None else {}),
        "text": row.cells[columns.text],
        "labels": list(row.labels),
        "label_codes": [codes[label] for label in row.labels],
        "group": group,
        **({"features": values} if values else {}),
        **({"imputed": gaps} if gaps else {}),
    }


def label_counts(records: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many records carry each label, sorted by label."""
    return dict(sorted(Counter(label for record in records for label in record["labels"]).items()))
