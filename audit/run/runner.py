"""Run an audit: measure one family of comparisons a seed, judge it, and write down what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from collapse_audit.engines.engine import Engine
from collapse_audit.lineages.checks.provenance import Provenance
from collapse_audit.lineages.measured.sentence_model import SentenceModel
from collapse_audit.probes.text.tokens import tokenizer
from collapse_audit.probes.trends.trend import Trend
from collapse_audit.probes.types import Probe
from collapse_audit.reports.document import AuditReport, Finding, Outcome, counted
from collapse_audit.run.along import along
from collapse_audit.run.assemble import assembled
from collapse_audit.run.data_audit import DataAudit
from collapse_audit.run.judge import judged
from collapse_audit.run.overview.baselines import baselines
from collapse_audit.run.overview.copying import copying
from collapse_audit.run.overview.decoding import decoding
from collapse_audit.run.overview.examples import examples
from collapse_audit.run.overview.histograms import histograms
from collapse_audit.run.overview.trends import trend_rows
from collapse_audit.run.plan import Plan, reference_side
from collapse_audit.run.seed_audit import SeedAudit
from collapse_audit.run.seed_models import SeedModels
from collapse_audit.run.seed_texts import Progress, SeedTexts
from collapse_audit.settings.config import AuditConfig
from collapse_audit.verdicts.waivers import apply_waivers

_TABLES = ("baselines", "copying", "histograms", "examples", "decoding")
"""Fields of the report that are made from texts."""


def run(
    plan: Plan,
    config: AuditConfig,
    probes: Sequence[Probe],
    *,
    today: date,
    asked_for: frozenset[str] = frozenset(),
    stop_at_first: bool = False,
    progress: Progress = lambda _: None,
    engine: Engine | None = None,
) -> AuditReport:
    """Audit ``plan``. ``asked_for`` are probes the user named (in lower case): one that cannot run is then an error.
    ``engine`` reads and measures (None: this process), to the same report.
    ``today`` decides which waivers have expired, and nothing else.

    Raises InputError where a corpus cannot be read. A probe that crashes makes its own findings errors and no more.
    """
    cutter = tokenizer(config.tokens)
    provenance = Provenance(plan.lineage)  # of all seeds together: every adapter is read once
    findings: list[Finding] = []
    notes = list(plan.notes)
    embed = _embedder(plan, config, notes)
    rules: set[str] = set()
    units: dict[str, None] = {}
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in _TABLES}
    slopes: dict[str | None, tuple[Trend, ...]] = {}
    done = 0
    for seed in dict.fromkeys(comparison.seed for comparison in plan.comparisons):
        kind = SeedAudit if plan.data is None else DataAudit
        texts = SeedTexts(plan.of_seed(seed), config, cutter, plan, engine)
        of_seed = kind(texts, SeedModels(plan, provenance), today, embed)
        measured, size = of_seed.measure(progress, stop_at_first)
        for name, rows in _tables(texts, () if stop_at_first else probes):
            tables[name] += rows
        rules.add(texts.rule.name if texts.rule else "none")
        units |= of_seed.units
        notes.extend(of_seed.notes)
        findings.extend(judged(measured, config, asked_for, size, today))
        done += len(dict.fromkeys(m.comparison.name for m in measured))
        if not stop_at_first or (config.gate_trend and not _failed(findings)):
            progress("trends" if seed is None else f"trends of seed {seed}")
            found, gated = along(of_seed, measured, probes)
            slopes[seed] = tuple(each for each in found if isinstance(each, Trend))
            findings.extend(judged(gated, config, frozenset(), 0, today))
        if stop_at_first and _failed(findings):
            break
    if done < len(plan.comparisons):
        notes.append(f"stopped at the first failure (-x): {len(plan.comparisons) - done} comparisons were not measured")
    notes.extend(apply_waivers(findings, config.waivers, today)[1])
    return assembled(
        plan,
        config,
        probes,
        findings,
        notes=notes,
        tokens=cutter.name,
        labels=sorted(rules),
        units=list(units),
        tables={**tables, "trends": trend_rows(slopes)},
    )


def _tables(texts: SeedTexts, follow: Sequence[Probe]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Rows of every table that is made from the texts of a seed; ``follow``: probes to split by decoding."""
    comparisons, samples, config = texts.comparisons, texts.samples, texts.config
    yield "copying", copying(comparisons, samples)
    yield "baselines", baselines(comparisons, samples, reference_side(texts.plan.lineage))
    yield "histograms", histograms(comparisons, samples)
    if config.evidence == "texts":
        yield "examples", examples(comparisons, samples)
    if follow:
        rows, untold = decoding(comparisons, samples, follow, config, texts.rule)
        texts.notes += untold
        yield "decoding", rows


def _embedder(plan: Plan, config: AuditConfig, notes: list[str]) -> SentenceModel | None:
    """The model that texts are embedded by, noted. Raises UsageError where it cannot be had."""
    if not config.embed or plan.data is not None:
        return None
    model = SentenceModel(config.embed)
    notes.append(f"meanings are those of {model.named} ({model.digest})")
    return model


def _failed(findings: Sequence[Finding]) -> bool:
    return any(finding.gating and counted(finding) is Outcome.FAIL for finding in findings)
