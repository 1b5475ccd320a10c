"""A whole audit of records that bring their embeddings: measured without the extra, and refused where it must be."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from collapse_audit import audit
from collapse_audit.errors import InputError
from collapse_audit.reports.document import AuditReport, Outcome


def records(count: int, seed: int, *, directions: int, field: str = "embedding") -> list[dict[str, Any]]:
    """Texts of six words of sixty, that mean one of so many things."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(f"w{k}" for k in rng.integers(60, size=6)) for _ in range(count)]
    meant = np.eye(24)[rng.integers(directions, size=count)] + 0.05 * rng.normal(size=(count, 24))
    return [{"text": text, field: row} for text, row in zip(texts, meant.tolist(), strict=True)]


def outcomes(report: AuditReport) -> dict[str, Outcome]:
    return {f.statistic: f.outcome for f in report.findings if f.probe == "semantic-diversity"}


@pytest.fixture(autouse=True)
def _without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)


@pytest.mark.parametrize("field", ["embedding", "vector"])
def test_meanings_that_are_gone_are_found(field: str) -> None:
    sides = records(150, 1, directions=20, field=field), records(150, 2, directions=4, field=field)
    named = {"embedding": field} if field != "embedding" else {}
    report = audit(before=sides[0], after=sides[1], **named)
    assert outcomes(report)["effective-meanings"] is Outcome.FAIL
    healthy = audit(before=sides[0], after=records(150, 3, directions=20, field=field), **named)
    assert Outcome.FAIL not in outcomes(healthy).values()


def test_embeddings_on_one_side_only_leave_the_findings_open() -> None:
    sides = records(60, 1, directions=20), records(60, 2, directions=20, field="other")
    report = audit(before=sides[0], after=sides[1])
    assert set(outcomes(report).values()) == {Outcome.INCONCLUSIVE}
    finding = next(f for f in report.findings if f.probe == "semantic-diversity")
    assert "the records of the generation carry no embedding" in finding.reason


def test_records_without_embeddings_are_neutral_and_no_test_of_the_family() -> None:
    sides = [[{"text": record["text"]} for record in records(60, seed, directions=20)] for seed in (1, 2)]
    report = audit(before=sides[0], after=sides[1])
    assert set(outcomes(report).values()) == {Outcome.NOT_MEASURED}


def test_what_is_wrong_with_one_is_said_with_its_record() -> None:
    broken = records(60, 1, directions=20)
    broken[17]["embedding"] = [0.0] * 23
    with pytest.raises(InputError, match="18: found an embedding of 23 numbers; expected 24, as in the first record"):
        audit(before=broken, after=records(60, 2, directions=20))
