"""The example pipeline is let through with people's notes and stopped with its own: real verdicts of a real audit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from collapse_audit import audit
from collapse_audit.lineages.checks.adapters import read_adapter
from collapse_audit.reports.document import Outcome, Verdict

for _name in ("torch", "transformers", "peft", "accelerate"):
    pytest.importorskip(_name)

FOLDER = Path(__file__).parents[2] / "examples" / "gate_finetune"


def pipeline(run: Path, data: str) -> int:
    """Its exit code, as CI would see it."""
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, str(FOLDER / "pipeline.py"), "--run", str(run), "--data", data]
    ended = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False, cwd=run.parent)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode


@pytest.mark.slow
def test_a_healthy_generation_is_let_through_and_a_collapsed_one_is_stopped(tmp_path: Path) -> None:
    fresh, own = tmp_path / "fresh", tmp_path / "own"
    assert pipeline(fresh, "fresh") == 0
    for part in ("base", "gen_0"):
        shutil.copytree(fresh / part, own / part)  # generation 0 was approved once
    assert pipeline(own, "own") == 1

    healthy, collapsed = (audit(run, generations="last") for run in (fresh, own))
    assert healthy.verdict is Verdict.PASS
    assert {finding.outcome for finding in healthy.findings} == {Outcome.PASS, Outcome.NOT_MEASURED}
    assert collapsed.verdict is Verdict.COLLAPSE
    failed = {finding.probe for finding in collapsed.findings if finding.outcome is Outcome.FAIL}
    assert "tail-mass" in failed  # what drawing at a low temperature takes away
    for report in (healthy, collapsed):  # the gate was not red because of the files
        [unchanged] = [finding for finding in report.findings if finding.statistic == "unchanged"]
        assert unchanged.outcome is Outcome.PASS
        assert unchanged.raw["facts_broken"] == 0
    digests = {
        read_adapter(run / gen / "adapter", where="").digest for run in (fresh, own) for gen in ("gen_0", "gen_1")
    }
    assert len(digests) == 3


def test_the_scripts_are_short_enough_to_be_read() -> None:
    for script in FOLDER.glob("*.py"):
        assert len(script.read_text().splitlines()) < 200, script.name
