"""``--log-to``: an audit as a run of an experiment tracker, MLflow or Weights & Biases. Off unless asked for.

Both get the same: the verdict, the value of every gating finding as a metric over generations, and the report's files.
Where a run goes is the tracker's own business (``MLFLOW_TRACKING_URI``, ``MLFLOW_RUN_ID``, ``WANDB_PROJECT``, …).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from collapse_audit.errors import CollapseAuditError, UsageError
from collapse_audit.reports.document import AuditReport
from collapse_audit.reports.write import FILES, write_report

_STRANGE = re.compile(r"[^\w.\- ]")
"""What MLflow does not take in the name of a metric; the slash between the parts of a name is put in afterwards."""


def require(names: Iterable[str]) -> None:
    """Raises UsageError where a tracker is not installed: before the audit, not after it."""
    for name in names:
        if find_spec(name) is None:
            raise UsageError(
                f"--log-to {name}: {name} is not installed; pip install 'collapse-audit[{name}]'", slug="no-tracker"
            )


def log_report(report: AuditReport, name: str, *, folder: Path | None = None) -> None:
    """Log ``report`` to the tracker ``name``, one of :data:`TRACKERS`; its files are taken from ``folder``, or written.

    Raises UsageError where the tracker is not installed, and CollapseAuditError where it fails: a warning to the
    command, whose exit code stays that of the verdict.
    """
    require([name])
    with TemporaryDirectory() as temporary:
        files = write_report(report, Path(temporary)) if folder is None else [folder / file for file in FILES.values()]
        _log(report, name, [file for file in files if file.is_file()])


def _log(report: AuditReport, name: str, files: Sequence[Path]) -> None:
    try:
        TRACKERS[name](report, files)
    except Exception as error:
        raise CollapseAuditError(
            f"--log-to {name}: the report was not logged ({type(error).__name__}: {error}); the verdict was: "
            f"{report.summary}",
            slug="tracker",
        ) from error


def metrics(report: AuditReport) -> dict[int, dict[str, float]]:
    """Generation -> ``probe/statistic`` (several seeds: ``seed-0/probe/statistic``) -> value, of gating findings."""
    by_generation: dict[int, dict[str, float]] = {}
    for finding in sorted(report.findings, key=lambda finding: finding.generation):
        if finding.gating and finding.value is not None:
            seed = () if finding.seed is None else (f"seed-{finding.seed}",)
            name = "/".join(_STRANGE.sub("_", part) for part in (*seed, finding.probe, finding.statistic))
            by_generation.setdefault(finding.generation, {})[name] = finding.value
    return by_generation


def facts(report: AuditReport) -> dict[str, str]:
    """What an audit says as a whole, as text."""
    return {
        "verdict": report.verdict.value,
        "exit_code": str(report.exit_code),
        "stage": report.stage.value,
        "summary": report.summary,
        "lineage": str(report.lineage["name"]),
        "digest": str(report.lineage["digest"]),
        "version": report.tool["version"],
    }


def _mlflow(report: AuditReport, files: Sequence[Path]) -> None:
    mlflow: Any = import_module("mlflow")
    tags = {f"collapse_audit.{name}": value for name, value in facts(report).items()}
    with mlflow.start_run(run_name=f"collapse-audit {report.lineage['name']}"):
        mlflow.set_tags(tags)
        for generation, values in metrics(report).items():
            mlflow.log_metrics(values, step=generation)
        for file in files:
            mlflow.log_artifact(str(file), artifact_path="collapse-audit")


def _wandb(report: AuditReport, files: Sequence[Path]) -> None:
    wandb: Any = import_module("wandb")
    logged = facts(report)
    # No terminal output, no code and no commit go along.
    quiet = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False)
    run = wandb.init(name=f"collapse-audit {logged['lineage']}", job_type="audit", config=logged, settings=quiet)
    try:
        run.define_metric("generation")
        run.define_metric("*", step_metric="generation")
        for generation, values in metrics(report).items():
            run.log({"generation": generation, **values})
        artifact = wandb.Artifact(f"collapse-audit-{_STRANGE.sub('_', logged['lineage']).replace(' ', '_')}", "report")
        for file in files:
            artifact.add_file(str(file))
        run.log_artifact(artifact)
        run.summary.update({"verdict": logged["verdict"], "exit_code": report.exit_code, "summary": logged["summary"]})
    finally:
        run.finish()


TRACKERS: Mapping[str, Callable[[AuditReport, Sequence[Path]], None]] = {"mlflow": _mlflow, "wandb": _wandb}
"""Name, as ``--log-to``, the extra and the package have it -> what logs there."""
