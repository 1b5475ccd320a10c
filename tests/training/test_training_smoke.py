"""The smoke profile that a lineage of this repository carries: trained for real, and audited."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_training import edit, generations_of, train

from collapse_audit import audit
from collapse_audit.lineages.training.run import start_run
from collapse_audit.reports.document import Verdict

for _name in ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "filelock"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")

LINEAGE = Path(__file__).resolve().parents[2] / "lineages" / "mistral_recursive"


def test_two_generations_of_the_smoke_profile_are_trained_and_judged(tmp_path: Path) -> None:
    root = tmp_path / "smoke"
    start_run(LINEAGE, root, profile="smoke")
    edit(root, "generations = 5", "generations = 2")  # five take a minute; two show all that can go wrong
    assert train(root) == 0
    assert generations_of(root) == [(0, 0), (0, 1)]
    report = audit(root)
    assert report.verdict in (Verdict.COLLAPSE, Verdict.INCONCLUSIVE, Verdict.PASS)
    assert {finding.generation for finding in report.findings if finding.gating} == {1}
    assert report.lineage["labels"] == "eu-tirads"
