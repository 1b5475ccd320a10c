"""``pytest --collapse-audit LINEAGE``: one item for each probe and generation, with the outcome that JUnit reads too.

=============  =======================================================
fail           failed, with the findings instead of a traceback
error          error
inconclusive   failed; skipped with its reason where that is allowed
not_measured   skipped with its reason
waived         skipped with who accepts it, until when and why
changed        passed with a warning; failed where --fail-on-change asks for it
pass           passed
=============  =======================================================

Context (generation 0 against the reference) is no item, as it is no test case in ``junit.xml``. What ``-k`` and its
like leave over is audited as one family of tests, as by ``collapse-audit -k``; an audit runs when its first item does.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collapse_audit.probes.types import Probe
from collapse_audit.pytest_plugin.fixtures import AuditedLineage
from collapse_audit.reports import as_junit
from collapse_audit.reports.adding_up import fail_on_change, unwanted
from collapse_audit.reports.document import AuditReport, Cell, Finding, Outcome, cells, counted
from collapse_audit.run.plan import Comparison, id_part


class CollapseAuditWarning(UserWarning):
    """Something moved beyond its margin, and nothing was lost."""


class Lineage(pytest.Collector):
    """A lineage: its folder's name in ids."""

    def __init__(self, *, lineage: AuditedLineage, **details: Any) -> None:
        super().__init__(**details, path=lineage.root)
        self.lineage = lineage

    def collect(self) -> Iterator[pytest.Collector]:
        """A node for each generation that is judged."""
        for comparison in self.lineage.comparisons:
            yield Generation.from_parent(self, name=comparison.name, lineage=self.lineage, comparison=comparison)


class Generation(pytest.Collector):
    """One generation against its baseline."""

    def __init__(self, *, lineage: AuditedLineage, comparison: Comparison, **details: Any) -> None:
        super().__init__(**details)
        self.lineage = lineage
        self.comparison = comparison

    def collect(self) -> Iterator[pytest.Item]:
        """An item for each probe."""
        for probe in self.comparison.probes:
            yield Check.from_parent(
                self, name=id_part(probe.name), lineage=self.lineage, comparison=self.comparison, probe=probe
            )


class Check(pytest.Item):
    """One probe on one generation."""

    def __init__(self, *, lineage: AuditedLineage, comparison: Comparison, probe: Probe, **details: Any) -> None:
        super().__init__(**details)
        self.lineage = lineage
        self.comparison = comparison
        self.probe = probe
        self.extra_keyword_matches.add(probe.code)
        # What conftest.py files and plugins read of every item, as of pytest's own doctests: it uses no fixture.
        self.fixturenames: list[str] = []
        self.funcargs: dict[str, Any] = {}
        self.obj = None

    def setup(self) -> None:
        """Audit the lineage, unless that is done. What fails here is an error to pytest, what fails below a failure."""
        report, cell = self._measured()
        if cell.waived:
            pytest.skip("; ".join(dict.fromkeys(finding.reason for finding in cell.waived)))
        tolerated = cell.outcome is Outcome.INCONCLUSIVE and report.config["allow_inconclusive"]
        if tolerated or cell.outcome is Outcome.NOT_MEASURED:
            pytest.skip("; ".join(dict.fromkeys(finding.reason for finding in _deciding(cell))))
        if cell.outcome is Outcome.ERROR:
            pytest.fail(_message(cell, report), pytrace=False)

    def runtest(self) -> None:
        """Fail with what was found, or do nothing."""
        report, cell = self._measured()
        if cell.outcome is Outcome.PASS:
            return
        message = _message(cell, report)
        asked = fail_on_change(report.config)
        if cell.outcome is Outcome.CHANGED and not any(unwanted(finding, asked) for finding in cell.findings):
            # Told, and never raised: a project that turns warnings into errors must get the command line's outcome.
            with warnings.catch_warnings():
                warnings.simplefilter("always", CollapseAuditWarning)
                warnings.warn(CollapseAuditWarning(message), stacklevel=1)
            return
        pytest.fail(message, pytrace=False)

    def _measured(self) -> tuple[AuditReport, Cell]:
        report = self.lineage.selected.report_or_fail()
        place = (self.comparison.seed, self.comparison.generation, self.probe.name)
        by_cell = {(cell.seed, cell.generation, cell.probe): cell for cell in cells(report.findings)}
        return report, by_cell[place]

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the lineage lies, and the heading of a failure."""
        return self.path, 0, f"{self.probe.name} in {self.comparison.name} of {self.lineage.name}"


def _deciding(cell: Cell) -> list[Finding]:
    """The findings that make the cell's outcome."""
    return [finding for finding in cell.findings if finding.gating and counted(finding) is cell.outcome]


def _message(cell: Cell, report: AuditReport) -> str:
    return as_junit.body(_deciding(cell), report).strip("\n")
