"""Earlier runs on the page: the worst of each, in margins, in the order of the runs."""

from __future__ import annotations

from typing import Any

import lxml.html
import pytest
from examples import finding, healthy, report

from collapse_audit.reports import as_html
from collapse_audit.reports.document import Outcome, Verdict
from collapse_audit.reports.pictures.runs import runs
from collapse_audit.verdicts.history import Entry, Look, entries_of

NAME = "pydocs_ngram"


def look(number: int, lineage: str = NAME) -> Look:
    time = f"2027-01-{number:02d}T00:00:00Z"
    return Look(look=f"sha256:{number}", time=time, tool="0.1.0", lineage=lineage, digest="sha256:0", alpha=0.05)


def told(number: int, *values: float, gate: str = "looping", **details: Any) -> tuple[Entry, ...]:
    """The lines of one run: a generation a value."""
    findings = [
        finding(gate, k, Outcome.FAIL if v > 0.05 else Outcome.PASS, (v, v, v)) for k, v in enumerate(values, start=1)
    ]
    return entries_of(look(number, **details), findings)


def test_a_line_a_statistic_with_the_worst_generation_of_every_run() -> None:
    past = (*told(1, 0.01, 0.02), *told(2, 0.1, 0.0), *told(3, 0.03, 0.04))
    (run,) = runs(healthy(), past)
    assert run.title == "repetition / looping"
    assert list(run.panel.lines[0].y) == pytest.approx([0.4, 2.0, 0.8])  # margin .05
    assert list(run.panel.lines[0].x) == [0.0, 1.0, 2.0]
    assert (run.runs, run.last, run.change) == (3, "0.80", "-1.20")
    assert run.outcomes == ("pass", "fail", "pass")


def test_one_run_is_no_history_and_other_lineages_are_not_this_one() -> None:
    assert runs(healthy(), told(1, 0.01)) == ()
    assert runs(healthy(), (*told(1, 0.01), *told(2, 0.01, lineage="another"))) == ()


def test_a_statistic_that_was_not_measured_in_a_run_has_no_point_there() -> None:
    absent = entries_of(look(2), [finding("looping", 1, Outcome.NOT_MEASURED)])
    (run,) = runs(healthy(), (*told(1, 0.01), *absent, *told(3, 0.02)))
    assert list(run.panel.lines[0].x) == [0.0, 2.0]
    assert run.outcomes == ("pass", "not_measured", "pass")


def test_what_falls_is_worse_below_its_margin() -> None:
    past = (*told(1, 0.9, gate="tail-mass"), *told(2, 0.8, 0.6, gate="tail-mass"))
    (run,) = runs(healthy(), past)
    assert list(run.panel.lines[0].y) == pytest.approx([0.5, 2.0])  # margin .8 from 1


def test_the_page_shows_it_only_where_there_is_a_history() -> None:
    made = report([finding("looping", 1, Outcome.PASS, (0.0, 0.0, 0.0))], Verdict.PASS, 0, "pass [exit 0]")
    assert "run over run" not in as_html.render(made).lower()
    root = lxml.html.document_fromstring(as_html.render(made, past=(*told(1, 0.01), *told(2, 0.1))))
    (row,) = root.xpath("//section[@id='runs']//tbody/tr")
    assert row.find("th").text == "repetition / looping"
    assert [each.get("title") for each in row.xpath(".//td[@class='past']/span")] == ["pass", "fail"]
