"""The fixtures ``lineage``, ``generation`` and ``baseline``: measured values for tests of your own.

::

    def test_the_vocabulary_stays_alive(generation, baseline):
        finding = generation["diversity/distinct-2"]
        assert finding.value > 0.9, f"{finding.reason} (against {baseline.name})"
        assert len(generation.sample.texts) >= 500

They exist only under ``pytest --collapse-audit LINEAGE``. A test that takes ``generation`` or ``baseline`` runs once
for each generation that the audit judges, one that takes only ``lineage`` once for each lineage.
"""

from __future__ import annotations

import difflib
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from collapse_audit.api import Prepared
from collapse_audit.errors import CollapseAuditError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import tokenizer
from collapse_audit.reports.document import AuditReport, Finding
from collapse_audit.run.plan import Comparison, Plan, Side
from collapse_audit.run.reading import read_side
from collapse_audit.verdicts.history import open_history


class Audit:
    """An audit that runs once, when its report is first asked for."""

    def __init__(self, prepared: Prepared, history: str | None) -> None:
        self.prepared = prepared
        self.history = history
        """File to which what is found is appended."""
        self.error: Exception | None = None
        self._report: AuditReport | None = None

    @property
    def started(self) -> bool:
        """Whether the report has been asked for before."""
        return self._report is not None or self.error is not None

    def report(self) -> AuditReport:
        """The report. Raises what the audit raised, each time it is asked for."""
        if self.error is not None:
            raise self.error
        if self._report is None:
            try:
                # A project that turns warnings into errors must get the outcome that the command line gives.
                with warnings.catch_warnings():
                    warnings.simplefilter("default")
                    with nullcontext() if self.history is None else open_history(Path(self.history)) as opened:
                        report = self.prepared.run(history=opened)
                    self._report = report
            except Exception as error:
                self.error = error
                raise
        return self._report

    def report_or_fail(self) -> AuditReport:
        """The report; where the lineage cannot be read, a failure that says why, the first time in full."""
        told_before = self.started
        try:
            return self.report()
        except CollapseAuditError as error:
            reason = "the lineage could not be audited: its first error says why" if told_before else str(error)
        # Outside of the except block, whose error pytest would show a second time.
        pytest.fail(reason, pytrace=False)


class AuditedLineage:
    """A lineage that this session audits; what the fixture ``lineage`` gives."""

    def __init__(self, name: str, prepared: Prepared, history: str | None = None) -> None:
        self.name = name
        self.whole = Audit(prepared, history)
        self.selected = self.whole
        """The audit of the items that have been selected; the whole one if all have."""
        self._samples: dict[Corpus, Sample] = {}

    @property
    def root(self) -> Path:
        """The lineage's folder."""
        return self.whole.prepared.lineage.root

    @property
    def report(self) -> AuditReport:
        """Everything that the audit found, whichever items are selected."""
        return self.whole.report()

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The comparisons that are judged; context is not among them."""
        return tuple(each for each in self.whole.prepared.plan.comparisons if each.gating)

    def select(self, checks: set[tuple[str, str]]) -> None:
        """Let the items' audit be of these (comparison, probe) only, as ``collapse-audit -k`` would."""
        whole = self.whole
        plan = _restricted(whole.prepared.plan, checks)
        alone = plan == whole.prepared.plan
        self.selected = whole if alone else Audit(replace(whole.prepared, plan=plan), whole.history)

    def sample(self, side: Side) -> Sample:
        """The documents of ``side`` that were compared, read when they are first asked for."""
        if side.corpus not in self._samples:
            config = self.whole.prepared.config
            self._samples[side.corpus] = read_side(side, config, tokenizer(config.tokens))
        return self._samples[side.corpus]


def _restricted(plan: Plan, checks: set[tuple[str, str]]) -> Plan:
    probes = {probe for _, probe in checks}
    comparisons = []
    for each in plan.comparisons:
        kept = tuple(
            probe
            for probe in each.probes
            if ((each.name, probe.name) in checks if each.gating else probe.name in probes)
        )
        if kept:
            comparisons.append(replace(each, probes=kept))
    return replace(plan, comparisons=tuple(comparisons))


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a generation was compared with; what the fixture ``baseline`` gives."""

    lineage: AuditedLineage
    side: Side

    @property
    def name(self) -> str:
        """As reports show it, such as ``generation 0 (held-out)``."""
        return self.side.name

    @property
    def sample(self) -> Sample:
        """The documents that were compared."""
        return self.lineage.sample(self.side)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedGeneration:
    """One generation and what was found in it; what the fixture ``generation`` gives."""

    lineage: AuditedLineage
    comparison: Comparison

    @property
    def index(self) -> int:
        """Which generation it is."""
        return self.comparison.generation

    @property
    def seed(self) -> str | None:
        """The seed that it belongs to, where the lineage has several."""
        return self.comparison.seed

    @property
    def baseline(self) -> Baseline:
        """What it was compared with."""
        return Baseline(lineage=self.lineage, side=self.comparison.baseline)

    @property
    def sample(self) -> Sample:
        """The documents that were compared (``.texts`` and more)."""
        return self.lineage.sample(self.comparison.current)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, one finding a statistic."""
        place = (self.seed, self.index)
        return tuple(each for each in self.lineage.report.findings if (each.seed, each.generation) == place)

    def __getitem__(self, name: str) -> Finding:
        """The finding ``probe/statistic``, or ``probe`` where it has one, or one move. Raises KeyError."""
        known = {f"{finding.probe}/{finding.statistic}": finding for finding in self.findings}
        of_probe = [finding for finding in self.findings if finding.probe == name]
        of_probe = [finding for finding in of_probe if finding.kind == "move"] or of_probe
        if name in known:
            return known[name]
        if len(of_probe) == 1:
            return of_probe[0]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise KeyError(f"no finding is called {name!r}; {hint}known: {', '.join(known)}")


Point = tuple[AuditedLineage, AuditedGeneration | None]
"""What a test runs for: a lineage, or one of its generations."""

NAMES = ("lineage", "generation", "baseline")

LINEAGES = pytest.StashKey[tuple[AuditedLineage, ...]]()
"""Where the session's lineages are, in the stash of its config."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a fixture of ours once for each point. A project's own of the same name is not ours."""
    if "_collapse_audit_point" not in metafunc.fixturenames:
        return
    lineages = metafunc.config.stash[LINEAGES]
    points: list[Point] = [(lineage, None) for lineage in lineages]
    if "_collapse_audit_generation" in metafunc.fixturenames:
        points = [
            (lineage, AuditedGeneration(lineage=lineage, comparison=comparison))
            for lineage in lineages
            for comparison in lineage.comparisons
        ]
    ids = [lineage.name if each is None else f"{lineage.name}-{each.comparison.name}" for lineage, each in points]
    metafunc.parametrize("_collapse_audit_point", points, ids=ids, indirect=True, scope="session")


# Two hidden fixtures carry the point, so that ``lineage`` and ``generation`` in one test belong together.


@pytest.fixture(scope="session")
def _collapse_audit_point(request: pytest.FixtureRequest) -> Point:
    """The point that a test runs for, with its lineage audited."""
    if not hasattr(request, "param"):
        pytest.fail("lineage, generation and baseline must be arguments of the test (getfixturevalue comes too late)")
    point: Point = request.param
    point[0].whole.report_or_fail()
    return point


@pytest.fixture(scope="session")
def _collapse_audit_generation(_collapse_audit_point: Point) -> AuditedGeneration:
    generation = _collapse_audit_point[1]
    assert generation is not None, "pytest_generate_tests gave a lineage where a generation is needed"
    return generation


@pytest.fixture(scope="session")
def lineage(_collapse_audit_point: Point) -> AuditedLineage:
    """The audited lineage: name, root, report (verdict, summary, findings of all generations)."""
    return _collapse_audit_point[0]


@pytest.fixture(scope="session")
def generation(_collapse_audit_generation: AuditedGeneration) -> AuditedGeneration:
    """A generation that the audit judges: index, seed, sample, findings, generation["diversity/distinct-2"]."""
    return _collapse_audit_generation


@pytest.fixture(scope="session")
def baseline(_collapse_audit_generation: AuditedGeneration) -> Baseline:
    """What the generation was compared with: name, sample."""
    return _collapse_audit_generation.baseline
