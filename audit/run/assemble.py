"""The report: the verdict, what the findings say together, and everything needed to repeat the audit."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from collapse_audit.lineages.disk.pack import is_pack
from collapse_audit.lineages.files.urls import redacted
from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.probes.types import Probe
from collapse_audit.reports.adding_up import added_up
from collapse_audit.reports.document import AuditReport, Finding, Outcome, Verdict
from collapse_audit.reports.plain import plain
from collapse_audit.run.along import followed_gates
from collapse_audit.run.overview.baselines import with_losses
from collapse_audit.run.overview.changed import moved
from collapse_audit.run.overview.finer import finer
from collapse_audit.run.overview.forgetting import forgotten
from collapse_audit.run.overview.label_survival import survival
from collapse_audit.run.overview.recipe_claims import recipe_claims
from collapse_audit.run.overview.stage import GateOf, overall_stage, stages
from collapse_audit.run.overview.training_log import training_losses
from collapse_audit.run.plan import Plan
from collapse_audit.settings.config import AuditConfig
from collapse_audit.verdicts.exit_codes import ExitCode
from collapse_audit.version import __version__


def assembled(
    plan: Plan,
    config: AuditConfig,
    probes: Iterable[Probe],
    findings: list[Finding],
    *,
    notes: list[str],
    tokens: str,
    labels: list[str],
    units: list[str],
    tables: Mapping[str, list[dict[str, Any]]],
) -> AuditReport:
    """The report of judged ``findings``. ``tables``: fields of the report that are made from texts, by name."""
    gates = {(probe.name, gate.statistic): config.gate(probe, gate) for probe in probes for gate in probe.gates}
    trends = [(probe.name, config.gate(probe, gate).of_trend()) for probe, gate in followed_gates(probes)]
    gates |= {(name, gate.statistic): gate for name, gate in trends}

    def gate_of(finding: Finding) -> Gate:
        return gates[finding.probe, finding.statistic]

    claims = recipe_claims(findings, gate_of, alpha=config.alpha)
    readings = stages(findings, gate_of)
    losses, log_notes = training_losses(plan.lineage)
    verdict, number = added_up(
        findings, allow_inconclusive=config.allow_inconclusive, fail_on_change=config.fail_on_change
    )
    code = ExitCode(number)
    lineage = plan.lineage
    tables_shown = {**tables, "baselines": with_losses(tables["baselines"], findings, gate_of)}
    from_texts: dict[str, Any] = {name: tuple(plain(rows, name)) for name, rows in tables_shown.items()}
    return AuditReport(
        tool={"name": "collapse-audit", "version": __version__},
        lineage={
            "name": lineage.name,
            "digest": lineage.digest,
            "scheme": lineage.scheme,
            "seeds": [seed for seed in lineage.seeds if seed is not None],
            "generations": [] if plan.data else sorted({entry.index for entry in lineage.generations}),
            "baseline": _baseline(plan, config),
            "tokens": tokens,
            "labels": ", ".join(labels) or "none",
            "text": plan.text,
            "unit": "; ".join(units) or "none",
        },
        config=config.echo(probes),
        seed=config.seed,
        verdict=verdict,
        exit_code=int(code),
        stage=overall_stage(readings, verdict),
        stages=() if plan.data else tuple(plain(readings, "stages")),
        survival=tuple(plain(survival(findings), "survival")),
        recipe=tuple(plain(claims, "recipe")),
        training=tuple(plain(losses, "training")),
        **from_texts,
        summary=_summary(findings, verdict, code),
        findings=tuple(findings),
        notes=tuple(dict.fromkeys([*_of_findings(findings, plan, config, gate_of), *notes, *log_notes])),
        environment=_environment(),
    )


def _of_findings(findings: list[Finding], plan: Plan, config: AuditConfig, gate_of: GateOf) -> Iterable[str]:
    """What findings say together, in sentences."""
    yield from forgotten(findings, gate_of)
    yield from moved(findings, gate_of)
    if plan.data is None and not any(is_pack(each.baseline.corpus.path) for each in plan.comparisons):
        yield from finer(findings, config, gate_of)  # a pack holds no texts to settle margins on


def _summary(findings: list[Finding], verdict: Verdict, code: ExitCode) -> str:
    """The verdict in one sentence: the last line printed, and the first of every report."""
    gating = [finding for finding in findings if finding.gating]
    data = any(finding.judged is not None for finding in findings)
    decisive = {
        Verdict.COLLAPSE: (Outcome.FAIL, "failed"),
        Verdict.ERROR: (Outcome.ERROR, "could not be measured"),
        Verdict.INCONCLUSIVE: (Outcome.INCONCLUSIVE, "are inconclusive"),
        Verdict.CHANGED: (Outcome.CHANGED, "moved beyond the margin"),
        Verdict.PASS: (Outcome.PASS, "passed"),
    }
    if verdict is Verdict.NOT_MEASURED:
        if gating:
            why = "no probe found what it needs"
        elif findings:
            why = "only generation 0 was compared, and only as context: try --baseline reference"
        else:
            why = "nothing was selected that has a baseline"
        return f"{verdict.value}: {why} [exit {int(code)}]"
    outcome, verb = decisive[verdict]
    decisive_ones = [finding for finding in gating if finding.waiver is None and finding.outcome is outcome]
    total = sum(1 for finding in gating if finding.outcome is not Outcome.NOT_MEASURED)
    where = "" if verdict is Verdict.PASS else f", first {_where(decisive_ones[0])}"
    word = "fail" if data and verdict is Verdict.COLLAPSE else verdict.value
    waived = sum(1 for finding in gating if finding.waiver is not None)
    beside = f", {waived} waived" if waived else ""
    if (
        verdict is Verdict.CHANGED
        and not data
        and not any(finding.outcome is Outcome.INCONCLUSIVE for finding in gating)
    ):
        beside = f", nothing lost{beside}"
    return f"{word}: {len(decisive_ones)} of {total} findings {verb}{where}{beside} [exit {int(code)}]"


def _where(finding: Finding) -> str:
    seed = "" if finding.seed is None else f" of seed {finding.seed}"
    if finding.judged is not None:
        return finding.probe
    return f"{finding.probe} in generation {finding.generation}{seed}"


def _environment() -> dict[str, Any]:
    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "absent"

    packages = {package: installed(package) for package in ("numpy", "scipy", "pyarrow")}
    return {"python": platform.python_version(), "platform": platform.platform(), **packages}


def _baseline(plan: Plan, config: AuditConfig) -> str:
    """What generations are compared with: the reference takes the place of a generation 0 that is not there."""
    gates = [each.baseline.name for each in plan.comparisons if each.gating]
    if config.baseline == "generation-0" and gates and all(name.startswith("reference") for name in gates):
        return "reference"
    return redacted(config.baseline)
