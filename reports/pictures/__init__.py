"""Which pictures a report can show. Only what is in the report is drawn, and only here is anything drawn.

``drawing`` turns panels into SVG; every other module makes panels from one part of a report.
"""

from __future__ import annotations

from collections.abc import Callable

from collapse_audit.reports.document import AuditReport
from collapse_audit.reports.pictures.beside import coverage, divergence, training, trend, unique
from collapse_audit.reports.pictures.common import Picture
from collapse_audit.reports.pictures.gated import forest, statistics
from collapse_audit.reports.pictures.labels import label_shares, survival
from collapse_audit.reports.pictures.perplexity import histograms, perplexity, ridges
from collapse_audit.reports.pictures.surprise import surprise

_MAKERS: tuple[Callable[[AuditReport], Picture | None], ...] = (
    statistics,
    forest,
    histograms,
    ridges,
    perplexity,
    surprise,
    divergence,
    unique,
    label_shares,
    survival,
    coverage,
    trend,
    training,
)


def pictures(report: AuditReport) -> tuple[Picture, ...]:
    """Every picture that ``report`` has the numbers for, in the order in which a reader needs them."""
    return tuple(picture for make in _MAKERS if (picture := make(report)) is not None and picture.panels)
