"""The audit's result as one frozen document. Computed once, then only read: renderers never decide anything.

Field names are those of ``report.json`` (format_version 1). History of the format:

* 1: first version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from collapse_audit.reports.notebook import head

FORMAT_VERSION = 1


class Outcome(StrEnum):
    """What one probe says about one generation."""

    PASS = "pass"
    FAIL = "fail"
    CHANGED = "changed"
    INCONCLUSIVE = "inconclusive"
    NOT_MEASURED = "not_measured"
    ERROR = "error"


class Verdict(StrEnum):
    """What the whole audit says."""

    PASS = "pass"
    COLLAPSE = "collapse"
    CHANGED = "changed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    NOT_MEASURED = "not_measured"


class Stage(StrEnum):
    """How far collapse has gone (Shumailov et al. 2024: early loses the tails, late loses the variance)."""

    NONE = "none"
    EARLY = "early"
    LATE = "late"
    UNDETERMINED = "undetermined"


FINER_NOTE = "--margins auto: "
UNIT_NOTE = "unit: "
"""How a note begins that says what was resampled in place of documents because the files showed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided interval; each end is the one-sided bound that the verdict uses. None: unbounded on that side."""

    low: float | None
    high: float | None
    level: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One statistic of one probe on one generation of one seed, judged. A number that was not measured is None."""

    probe: str
    code: str
    statistic: str
    seed: str | None
    generation: int
    baseline: str
    judged: str | None = None
    """What is judged, where it is no generation: ``the data``."""
    gating: bool
    outcome: Outcome
    value: float | None = None
    unit: str
    worse: str
    """``higher`` or ``lower``: the direction of damage."""
    kind: Literal["loss", "move"] = "loss"
    """``move`` says only that two distributions differ: beyond its margin it is ``changed``, never ``fail``."""
    interval: Interval | None = None
    margin: float | None = None
    pass_margin: float | None = None
    """Where pass starts, if that is not where fail ends."""
    margin_reason: str | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    permutations: int | None = None
    """How many were drawn for the p-value, where it is one of permutation: it can be no less than 1 / (n + 1)."""
    n_baseline: int | None = None
    n_generation: int | None = None
    n_units: int | None = None
    """Independent units on the smaller side, where they are not documents."""
    units: str | None = None
    """What these are: ``runs of 64 neighbouring records``, ``groups``."""
    minimum_detectable: float | None = None
    n_needed: int | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    """Short tags: ``shift`` (significant but immaterial), ``one-sided``, ``length-confounded``, …"""
    reason: str
    """Why this outcome, by the numbers of the rule."""
    sentence: str = ""
    """The same for a person without statistics. Empty in reports of older versions."""
    waiver: Mapping[str, Any] | None = None
    """Who accepts this outcome, why and until when (``owner``, ``reason``, ``expires``, …). It then does not count."""
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """Everything that one audit of one lineage found."""

    format_version: int = FORMAT_VERSION
    tool: Mapping[str, str]
    """``{"name": "collapse-audit", "version": …}``."""
    lineage: Mapping[str, Any]
    """Always ``name`` (untrusted text) and ``digest``; where known ``path``, ``scheme``, ``seeds`` (list of str),
    ``generations`` (list of int), and what was used: ``tokens``, ``labels``, ``baseline`` (each a line of text)."""
    config: Mapping[str, Any]
    """Every setting in force, echoed by reports; renderers know ``alpha``, ``permutations``, ``allow_inconclusive``."""
    seed: int
    verdict: Verdict
    exit_code: int
    stage: Stage
    summary: str
    """The verdict in one sentence, as it is printed on the last line."""
    findings: tuple[Finding, ...]
    baselines: tuple[Mapping[str, Any], ...] = ()
    """Of every baseline that gates: how many of its texts loop, repeat another, are empty, beside people's text where
    there is some, and what it lost of that; a ``sentence`` where either is so. It changes no outcome."""
    stages: tuple[Mapping[str, Any], ...] = ()
    """Of every generation: how far, by which mechanism, and on which findings that rests."""
    trends: tuple[Mapping[str, Any], ...] = ()
    """Along the generations of a seed: slopes, and what they forecast. Where they gate (``gate_trend``), a finding on
    the last generation says so."""
    survival: tuple[Mapping[str, Any], ...] = ()
    """A row a label: its count and share in the baseline and in every generation, and when it was lost."""
    recipe: tuple[Mapping[str, Any], ...] = ()
    """What several seeds together say of the recipe that made them; it never gates."""
    histograms: tuple[Mapping[str, Any], ...] = ()
    """Of every seed: log-perplexities of its corpora in common bins, so that they can be drawn over each other."""
    copying: tuple[Mapping[str, Any], ...] = ()
    """What of a generation stands word for word in its training texts."""
    decoding: tuple[Mapping[str, Any], ...] = ()
    """Where generation 0 also wrote under a generation's decoding: which part of the change that alone makes."""
    training: tuple[Mapping[str, Any], ...] = ()
    """Loss along the training of every generation whose log is there, thinned."""
    examples: tuple[Mapping[str, Any], ...] = ()
    """What every generation wrote to the same prompt; only where whole texts may be quoted."""
    notes: tuple[str, ...] = ()
    """One line each, about the whole audit: one-sided baselines, subsampling. (What was not measured, and why, is in
    the findings; renderers say it in one line of their own.)"""
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_data(self) -> bool:
        """Whether training data were judged, and no generation."""
        return any(finding.judged is not None for finding in self.findings)

    def __repr__(self) -> str:
        return f"<AuditReport of {self.lineage['name']}: {self.summary}>"

    def _repr_html_(self) -> str:
        """The verdict and what is not well, as a notebook shows it."""
        wrong = (Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.CHANGED)
        shown = sorted(
            (f for f in self.findings if f.gating and f.outcome in wrong), key=lambda f: wrong.index(f.outcome)
        )
        rows = []
        for finding in shown:
            place = finding.judged or f"generation {finding.generation}"
            place += "" if finding.seed is None else f", seed {finding.seed}"
            outcome = f"{finding.probe} / {finding.statistic}: {finding.outcome.value}"
            rows.append((place, outcome, finding.sentence or finding.reason))
        return head(self.verdict.value, self.summary, rows, [note for note in self.notes if note.startswith("text = ")])


_DECIDES_FIRST = (
    Outcome.FAIL,
    Outcome.ERROR,
    Outcome.INCONCLUSIVE,
    Outcome.CHANGED,
    Outcome.PASS,
    Outcome.NOT_MEASURED,
)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome that several add up to: the first of fail, error, inconclusive, changed, pass and not_measured
    that is there.

    This is the order in which exit codes decide, so one rule serves a probe with several statistics and a whole audit.
    ``not_measured`` comes last because it is neutral: a missing input takes nothing away from what was measured, and
    it is the answer only where nothing was (also for no outcomes at all). An error is never outvoted by a pass.
    """
    present = set(outcomes)
    return next((outcome for outcome in _DECIDES_FIRST if outcome in present), Outcome.NOT_MEASURED)


def counted(finding: Finding) -> Outcome:
    """What ``finding`` adds to a verdict: its outcome, and where that is waived a pass."""
    return finding.outcome if finding.waiver is None else Outcome.PASS


def enough(n: int) -> str:
    """An n that would do, rounded up to two significant digits, since it is an extrapolation: 1210 -> "1,300"."""
    if n > 1_000_000:
        return "over a million"
    step = int(10 ** max(0, len(str(n)) - 2))
    return f"{-(-n // step) * step:,}"


def about(many: str) -> str:
    """What :func:`enough` says, within a sentence: ``about 1,300``, ``over a million``."""
    return many if many.startswith("over") else f"about {many}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One probe on one generation of one seed: what a matrix shows in one place and JUnit counts as one test case."""

    probe: str
    seed: str | None
    generation: int
    findings: tuple[Finding, ...]
    """At least one; gated statistics and context alike."""

    @property
    def judged(self) -> str | None:
        """What is judged, where it is no generation."""
        return self.findings[0].judged

    @property
    def gating(self) -> bool:
        """Whether any of its findings counts towards the verdict; a cell without one is context."""
        return any(finding.gating for finding in self.findings)

    @property
    def outcome(self) -> Outcome:
        """Worst outcome of the gating findings, as they count; of all of them where the whole cell is context."""
        return worst(counted(finding) for finding in self.findings if finding.gating or not self.gating)

    @property
    def waived(self) -> tuple[Finding, ...]:
        """The waived findings, where the cell would not pass without their waivers."""
        return tuple(f for f in self.findings if f.waiver is not None) if self.outcome is Outcome.PASS else ()


def cells(findings: Iterable[Finding]) -> tuple[Cell, ...]:
    """Group ``findings`` into cells, in the order in which each cell first appears."""
    groups: dict[tuple[str | None, int, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.seed, finding.generation, finding.probe), []).append(finding)
    return tuple(
        Cell(probe=probe, seed=seed, generation=generation, findings=tuple(group))
        for (seed, generation, probe), group in groups.items()
    )


def unmeasured(findings: Iterable[Finding]) -> Mapping[str, tuple[Finding, ...]]:
    """What was not measured, by its reason. Context that gates elsewhere is left out: it is told there."""
    findings = tuple(findings)
    gated = {(f.probe, f.statistic) for f in findings if f.gating}
    reasons: dict[str, list[Finding]] = {}
    for finding in findings:
        gated_elsewhere = not finding.gating and (finding.probe, finding.statistic) in gated
        if finding.outcome is Outcome.NOT_MEASURED and not gated_elsewhere:
            reasons.setdefault(finding.reason, []).append(finding)
    return {reason: tuple(group) for reason, group in reasons.items()}
