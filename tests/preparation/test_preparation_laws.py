"""What holds of any table: no row is lost, no patient is on two sides, texts taken apart are the text."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse_audit.errors import CollapseAuditError, InputError, UsageError
from collapse_audit.lineages.preparation.labels import named_categories
from collapse_audit.lineages.preparation.ledger import Ledger, Row
from collapse_audit.lineages.preparation.sentences import sentence_parts
from collapse_audit.lineages.preparation.split import PARTS, split
from tests.preparation.tables import prepared, records, report, write

CELL = st.text(st.characters(exclude_categories=["C"], exclude_characters='"'), max_size=12)
FAULTY = st.fixed_dictionaries(
    {},
    optional={
        "conclusion": st.one_of(
            CELL, st.sampled_from(["", "-", "см. выше", "Узел. EU-TIRADS 2 В доле узел. TIRADS 4"])
        ),
        "EU-TIRADS": st.one_of(CELL, st.sampled_from(["", "2", "IV", "7", "категория 3"])),
        "age": st.sampled_from(["", "н/д", "43", "старше"]),
        "description": CELL,
        "patient": st.sampled_from(["P1", "P2", ""]),
    },
)


@settings(max_examples=40)
@given(st.lists(FAULTY, min_size=1, max_size=8), st.integers(0, 7))
def test_rows_in_are_rows_out_and_rejects_and_parts_added(faults: list[dict[str, str]], again: int) -> None:
    rows = [report(number) for number in range(1, 61)]
    rows += [report(100 + at, **fault) for at, fault in enumerate(faults)]
    rows += [dict(rows[-1 - at % len(faults)]) for at in range(again)]
    with TemporaryDirectory() as place:
        made = prepared(write(Path(place) / "table.csv", rows))
    gone = [entry.row for entry in made.ledger.entries if entry.action == "dropped"]
    left = {int(record["id"].split("-")[1]) for record in records(made)}
    assert len(gone) == len(set(gone))
    assert not left & set(gone)
    assert sorted([*left, *gone]) == list(range(2, len(rows) + 2))
    steps = made.ledger.steps
    assert sum(len(part) for part in made.parts.values()) == len(rows) - len(gone) + sum(step.added for step in steps)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 60), min_size=60, max_size=150), st.integers(0, 3))
def test_no_patient_is_on_two_sides_whatever_the_table(patients: list[int], seed: int) -> None:
    patients = [*range(1, 31), *patients]
    rows = [Row(number=at, cells={}, labels=(f"EU-TIRADS {at % 5 + 1}",)) for at in range(len(patients))]
    groups = [f"patient-{patient}" for patient in patients]
    part = split(rows, groups, seed=seed)
    sides = {group: {name for name, other in zip(part, groups, strict=True) if other == group} for group in groups}
    assert all(len(side) == 1 for side in sides.values())
    assert set(part.tolist()) == set(PARTS)


def test_with_a_patient_a_report_and_labels_enough_the_split_is_exactly_70_15_15() -> None:
    rows = [Row(number=at, cells={}, labels=(f"EU-TIRADS {at % 5 + 1}",)) for at in range(400)]
    part = split(rows, [f"patient-{at}" for at in range(400)], seed=3)
    for label in range(5):  # 80 reports a label: 56, 12 and 12
        counts = {name: int(np.sum(part[label::5] == name)) for name in PARTS}
        assert counts == {"train": 56, "validation": 12, "holdout": 12}


PIECE = st.sampled_from(
    [
        "Узел справа. ",
        "EU-TIRADS 3 ",
        "EU-TIRADS 4. ",
        "В левой доле узел 0,5 см. ",
        "TI-RADS 2, ",
        "и ",
        "IV ",
        "\n",
        "3-4 ",
    ]
)


@given(st.lists(PIECE, max_size=12).map("".join))
def test_the_parts_of_a_text_are_the_text_and_name_what_it_names(text: str) -> None:
    parts = sentence_parts(text)
    assert "".join(parts) == text
    if len(parts) > 1:
        assert all(named_categories(part) for part in parts)
        assert {label for part in parts for label in named_categories(part)} == set(named_categories(text))


def test_a_step_that_loses_a_row_is_stopped() -> None:
    rows = [Row(number=number, cells={}) for number in range(3)]
    with pytest.raises(AssertionError, match="lost rows"):
        Ledger().run("careless", lambda given: list(given[1:]), rows)


BYTES = st.binary(max_size=300)


@given(BYTES, st.sampled_from(["csv", "tsv", "jsonl", "xlsx", "parquet"]))
def test_any_bytes_at_all_are_refused_with_a_message_or_read(data: bytes, suffix: str) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / f"table.{suffix}"
        path.write_bytes(data)
        outcome: Any = None
        try:
            outcome = prepared(path)
        except (InputError, UsageError) as error:
            outcome = error
    assert not isinstance(outcome, CollapseAuditError) or outcome.exit_code == 4
