"""``margin = "auto"`` in an audit: what it catches that the default allows, and what it leaves alone."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import small_lineages

from collapse_audit import audit
from collapse_audit.errors import UsageError
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.simulation.damage import duplicate
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.reports.document import AuditReport, Finding, Outcome, Verdict
from collapse_audit.settings.config import load_config

AUTO = "diversity.duplicates.margin=auto"


def texts(n: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(f"w{int(rng.paretovariate(0.9)) % 3000}" for _ in range(12)) for _ in range(n)]


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,500 texts a side; 3% of generation 1's are copies of others. The default allows 5%."""
    root = tmp_path_factory.mktemp("copies")
    harmed = duplicate(texts(1500, 1), 0.03, np.random.default_rng(0))
    small_lineages.lineage(root, texts(1500, 0), harmed)
    return root


def run(root: Path, *sets: str) -> AuditReport:
    return audit(root, select="diversity", independent=True, sets=list(sets))


def finding(report: AuditReport, statistic: str) -> Finding:
    (found,) = (one for one in report.findings if one.statistic == statistic and one.gating)
    return found


def test_a_few_copies_fail_only_where_the_margin_is_automatic(copies: Path) -> None:
    default, automatic = run(copies), run(copies, AUTO)
    assert finding(default, "duplicates").outcome is Outcome.PASS
    found = finding(automatic, "duplicates")
    assert (found.outcome, found.margin, automatic.verdict) == (Outcome.FAIL, 0.0, Verdict.COLLAPSE)
    assert found.margin_reason is not None
    assert found.margin_reason.startswith("auto: any change that the exact test finds fails; ")
    # What was measured is the same: only what it is held against differs.
    assert found.value == finding(default, "duplicates").value
    for other in ("distinct-2", "effective-tokens"):
        assert finding(automatic, other).outcome is finding(default, other).outcome
    margins = automatic.config["margins"]
    assert (margins["diversity/duplicates"]["margin"], margins["diversity/distinct-2"]["margin"]) == ("auto", 0.9)


def test_a_healthy_generation_passes_at_its_automatic_margin(tmp_path: Path) -> None:
    small_lineages.lineage(tmp_path, texts(1500, 0), texts(1500, 2))
    found = finding(run(tmp_path, AUTO), "duplicates")
    assert (found.outcome, found.margin) == (Outcome.PASS, 0.0)


def test_where_the_text_settles_nothing_the_default_margin_holds(tmp_path: Path) -> None:
    small_lineages.lineage(tmp_path, texts(15, 0), texts(15, 1))
    found = finding(run(tmp_path, AUTO), "duplicates")
    assert found.margin == 0.05
    assert found.margin_reason is not None
    assert found.margin_reason.startswith("the default, where this text settles none")


def test_label_coverage_has_two_limits_of_its_own(copies: Path) -> None:
    with pytest.raises(UsageError, match=r"label-coverage\.margin = 'auto'; allowed: a ratio between 0 and 1"):
        load_config(load_lineage(copies), BUILTIN, sets=["label-coverage.margin=auto"])


def test_a_gate_with_two_ends_is_settled_as_any_other(copies: Path) -> None:
    automatic = run(copies, "diversity.near-copies.margin=auto")
    found = finding(automatic, "near-copies")
    assert (found.outcome, found.margin) == (Outcome.FAIL, 0.0)  # fail starts where nothing has changed
    assert found.margin_reason is not None
    assert found.margin_reason.startswith("auto: any change that the exact test finds fails; ")
