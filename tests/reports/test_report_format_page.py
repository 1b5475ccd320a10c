"""docs/reference/report-format.md names what the code has, and nothing it has not."""

from __future__ import annotations

import re
from pathlib import Path

from collapse_audit.reports import _matrix
from collapse_audit.reports.document import FORMAT_VERSION, Outcome, Stage, Verdict
from collapse_audit.reports.from_json import schema
from collapse_audit.reports.write import FILES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "report-format.md").read_text(encoding="utf-8")


def first_column(after: str, before: str) -> set[str]:
    """Names in code in the first column of the table between two headings or sentences."""
    rows = PAGE.split(after)[1].split(before)[0].splitlines()
    return {name for row in rows if row.startswith("| `") for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_field_of_the_report_is_explained() -> None:
    assert first_column("## report.json", "A finding:") == set(schema()["properties"])


def test_every_field_of_a_finding_is_explained() -> None:
    assert first_column("A finding:", "In Python,") == set(schema()["$defs"]["finding"]["properties"])


def test_every_word_that_a_program_may_meet_is_named() -> None:
    for word in (*Outcome, *Verdict, *Stage, *schema()["properties"]["lineage"]["properties"]):
        assert f"`{word}`" in PAGE


def test_every_file_and_mark_is_named() -> None:
    assert all(f"`{file}`" in PAGE for file in FILES.values())
    assert all(f"`{mark}`" in PAGE for mark in _matrix.MARKS.values())
    assert f"`format_version` | {FORMAT_VERSION}." in PAGE
