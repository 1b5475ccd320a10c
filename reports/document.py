"""The audit's result as one frozen document. Computed once, then only read: renderers never decide anything.

Field names are those of ``report.json`` (format_version 1). History of the format:

* 1: first version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

FORMAT_VERSION = 1


class Outcome(StrEnum):
    """What one probe says about one generation."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_MEASURED = "not_measured"
    ERROR = "error"


class Verdict(StrEnum):
    """What the whole audit says."""

    PASS = "pass"
    COLLAPSE = "collapse"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    NOT_MEASURED = "not_measured"


class Stage(StrEnum):
    """How far collapse has gone (Shumailov et al. 2024: early loses the tails, late loses the variance)."""

    NONE = "none"
    EARLY = "early"
    LATE = "late"
    UNDETERMINED = "undetermined"


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
    gating: bool
    outcome: Outcome
    value: float | None = None
    unit: str
    worse: str
    """``higher`` or ``lower``: the direction of damage."""
    interval: Interval | None = None
    margin: float | None = None
    margin_reason: str | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    n_baseline: int | None = None
    n_generation: int | None = None
    minimum_detectable: float | None = None
    n_needed: int | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    """Short tags: ``shift`` (significant but immaterial), ``one-sided``, ``length-confounded``, …"""
    reason: str
    """One sentence for a person: why this outcome."""
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """Everything that one audit of one lineage found."""

    format_version: int = FORMAT_VERSION
    tool: Mapping[str, str]
    """``{"name": "collapse-audit", "version": …}``."""
    lineage: Mapping[str, Any]
    """``{"name", "digest", "path", "scheme", "seeds", "generations", "tokens", "labels", "baseline"}``; name is untrusted text."""
    config: Mapping[str, Any]
    seed: int
    verdict: Verdict
    exit_code: int
    stage: Stage
    summary: str
    """The verdict in one sentence, as it is printed on the last line."""
    findings: tuple[Finding, ...]
    trends: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    """One line each, about the whole audit: what was not measured and why, one-sided baselines, subsampling."""
    environment: Mapping[str, Any] = field(default_factory=dict)
