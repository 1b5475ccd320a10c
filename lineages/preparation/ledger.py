"""The rows that are prepared, and the ledger in which every one of them is accounted for at every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from collapse_audit.lineages.preparation.personal import masked

Cells = Mapping[str, str | None]
"""What stands in the columns of a row; None where nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One report, on its way from the table to the reference."""

    number: int
    """The line or row of the source that it begins on, from 1: the header of a table is row 1."""
    cells: Cells
    labels: tuple[str, ...] = ()
    """Sorted and distinct; () before they are settled."""
    part: int = 0
    """Which part of the report it is, from 1; 0 where it was not taken apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the rejects file: what was dropped or repaired, where, and why."""

    action: Literal["dropped", "repaired"]
    step: str
    reason: str
    """One of a few permanent names, to count by: ``no-label``, ``duplicate``, …"""
    said: str
    """What was found, and what was done."""
    row: int | None
    """The line or row of the source; None where it is about a column or the whole file."""
    cells: Cells
    """What stood there."""


@dataclass(slots=True, kw_only=True)
class Step:
    """How many rows a step was given, what became of them, and how many it gave on."""

    name: str
    rows_in: int
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason -> rows."""
    repaired: Counter[str] = field(default_factory=Counter)
    """Reason -> lines in the rejects file; a row may have several, a whole column has one."""
    added: int = 0
    rows_out: int = 0

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "step": self.name,
            "rows_in": self.rows_in,
            "dropped": dict(sorted(self.dropped.items())),
            "repaired": dict(sorted(self.repaired.items())),
            "added": self.added,
            "rows_out": self.rows_out,
        }


@dataclass(slots=True)
class Ledger:
    """What happened, in order. :meth:`run` refuses a step whose rows do not add up."""

    steps: list[Step] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def begin(self, name: str, rows: int) -> None:
        """Open a step that is given so many rows."""
        self.steps.append(Step(name=name, rows_in=rows))

    def read(self, rows: int) -> None:
        """More rows of the source: for the step that reads, which knows only at its end how many it was given."""
        self.steps[-1].rows_in += rows

    def drop(self, row: int, reason: str, said: str, cells: Cells) -> None:
        """A row goes no further."""
        self.steps[-1].dropped[reason] += 1
        self._enter("dropped", reason, said, row, cells)

    def repair(self, row: int | None, reason: str, said: str, cells: Cells) -> None:
        """Something was changed by a rule; ``row`` None: in a whole column, or in the whole file."""
        self.steps[-1].repaired[reason] += 1
        self._enter("repaired", reason, said, row, cells)

    def add(self, rows: int) -> None:
        """Rows that were not there before: parts of one that was taken apart."""
        self.steps[-1].added += rows

    def end(self, rows: int) -> None:
        """Close the step that gives on so many rows."""
        step = self.steps[-1]
        step.rows_out = rows
        if step.rows_in - step.dropped.total() + step.added != rows:
            raise AssertionError(f"the step {step.name!r} lost rows: {step.as_json()}")

    def run(self, name: str, step: Callable[[Sequence[Row]], list[Row]], rows: Sequence[Row]) -> list[Row]:
        """Run one step from rows to rows."""
        self.begin(name, len(rows))
        after = step(rows)
        self.end(len(after))
        return after

    def dropped(self) -> Counter[str]:
        """Reason -> rows, of all steps."""
        return sum((step.dropped for step in self.steps), Counter())

    def lines(self, hidden: frozenset[str]) -> Iterator[dict[str, Any]]:
        """The rejects file, without the columns that are hidden, and with what looks personal masked in the others."""
        for entry in self.entries:
            shown = {name: cell for name, cell in entry.cells.items() if name not in hidden and cell is not None}
            cells = {name: masked(cell) for name, cell in shown.items()}
            entry_line = {"action": entry.action, "step": entry.step, "reason": entry.reason, "row": entry.row}
            yield {**entry_line, "said": entry.said, "cells": cells}

    def _enter(
        self, action: Literal["dropped", "repaired"], reason: str, said: str, row: int | None, cells: Cells
    ) -> None:
        step = self.steps[-1].name
        self.entries.append(Entry(action=action, step=step, reason=reason, said=said, row=row, cells=cells))
