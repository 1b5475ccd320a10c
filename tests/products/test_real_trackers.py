"""--log-to with the trackers themselves, kept on disk; skipped where they are not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from collapse_audit.reports.from_json import read

_MLFLOW = """
import sys
from mlflow.tracking import MlflowClient
client = MlflowClient()
(run,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
print(run.data.tags["collapse_audit.verdict"])
print(*sorted(run.data.metrics), sep="|")
print(*sorted(each.path for each in client.list_artifacts(run.info.run_id, "collapse-audit")), sep="|")
"""
"""Asks a store for its only run, in a process of its own: what was logged has to be on disk."""


def command(argv: list[str], place: Path, **told: str) -> subprocess.CompletedProcess[str]:
    """Run in ``place``, with a home of its own and nothing of the user's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "WANDB", "PYTEST"))}
    home = {"HOME": str(place), "GIT_PYTHON_REFRESH": "quiet"}
    return subprocess.run(argv, cwd=place, env=kept | home | told, capture_output=True, text=True, timeout=240)


def audited(stored: Path, tracker: str, place: Path, **told: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "collapse_audit", str(stored / "tiny"), "-q", "--report", "out"]
    return command([*program, "--log-to", tracker], place, **told)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed")
def test_mlflow_itself_keeps_an_audit_in_its_own_store(stored: Path, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="mlflow-skinny has no store")
    store = f"sqlite:///{tmp_path}/mlflow.db"
    done = audited(stored, "mlflow", tmp_path, MLFLOW_TRACKING_URI=store)
    assert done.returncode == 6, done.stderr
    assert "was not logged" not in done.stderr
    asked = command([sys.executable, "-c", _MLFLOW], tmp_path, MLFLOW_TRACKING_URI=store)
    verdict, metrics, files = asked.stdout.splitlines()[-3:]
    assert verdict == "inconclusive"
    findings = read(tmp_path / "out" / "report.json").findings
    logged = {f"{each.probe}/{each.statistic}" for each in findings if each.gating and each.value is not None}
    assert set(metrics.split("|")) == logged
    assert {"collapse-audit/report.json", "collapse-audit/report.html"} <= set(files.split("|"))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_itself_keeps_an_audit_offline(stored: Path, tmp_path: Path) -> None:
    done = audited(stored, "wandb", tmp_path, WANDB_MODE="offline", WANDB_DIR=str(tmp_path))
    assert done.returncode == 6, done.stderr
    assert "was not logged" not in done.stderr
    (run,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    assert b"inconclusive" in run.read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed")
def test_a_store_that_mlflow_does_not_know_leaves_the_verdict_as_it_is(stored: Path, tmp_path: Path) -> None:
    done = audited(stored, "mlflow", tmp_path, MLFLOW_TRACKING_URI="nosuch://store")
    assert done.returncode == 6, done.stderr
    assert "warning: --log-to mlflow: the report was not logged" in done.stderr
    assert done.stdout.rstrip().endswith("[exit 6]")
