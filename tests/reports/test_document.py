"""The report document: which outcome wins, and what counts as one cell."""

from __future__ import annotations

from itertools import combinations

import pytest
from examples import collapsed, finding

from collapse_audit.reports.document import Cell, Outcome, cells, worst

# The order in which exit codes decide: collapse, error, inconclusive, changed, (something passed), nothing measured.
ORDER = ["fail", "error", "inconclusive", "changed", "pass", "not_measured"]


@pytest.mark.parametrize(("first", "second"), list(combinations(ORDER, 2)))
def test_of_two_outcomes_the_one_that_decides_the_exit_code_wins(first: str, second: str) -> None:
    assert worst([Outcome(second), Outcome(first)]) == first
    assert worst([Outcome(first), Outcome(second)]) == first


def test_every_outcome_has_a_place_in_the_order() -> None:
    assert sorted(ORDER) == sorted(Outcome)
    assert all(worst([outcome]) is outcome for outcome in Outcome)


def test_a_missing_input_takes_nothing_from_what_was_measured() -> None:
    assert worst([Outcome.NOT_MEASURED, Outcome.PASS]) is Outcome.PASS


def test_no_outcomes_at_all_are_nothing_measured() -> None:
    assert worst([]) is Outcome.NOT_MEASURED


def test_statistics_of_one_probe_on_one_generation_of_one_seed_make_one_cell() -> None:
    looping = finding("looping", 1, Outcome.PASS)
    rep = finding("seq-rep-4", 1, Outcome.FAIL)
    later = finding("looping", 2, Outcome.PASS)
    found = cells([looping, later, rep])
    assert [(cell.generation, len(cell.findings), cell.outcome) for cell in found] == [(1, 2, "fail"), (2, 1, "pass")]


def test_every_finding_is_in_exactly_one_cell() -> None:
    report = collapsed()
    grouped = [each for cell in cells(report.findings) for each in cell.findings]
    assert sorted(map(id, grouped)) == sorted(map(id, report.findings))


def test_context_does_not_colour_a_cell_that_gates() -> None:
    gates = finding("tail-mass", 1, Outcome.PASS)
    context = finding("tail-mass", 1, Outcome.FAIL, gating=False)
    cell = Cell(probe="tail-mass", seed=None, generation=1, findings=(gates, context))
    assert cell.gating
    assert cell.outcome is Outcome.PASS


def test_a_cell_of_context_alone_shows_its_own_outcome() -> None:
    context = finding("tail-mass", 0, Outcome.FAIL, gating=False)
    cell = Cell(probe="tail-mass", seed=None, generation=0, findings=(context,))
    assert not cell.gating
    assert cell.outcome is Outcome.FAIL
