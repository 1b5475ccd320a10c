"""Findings of task-score out of plain lists of right and wrong answers."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))

from scored_tasks import GATES, compared, evaluated, task

from collapse_audit.probes.models.task_results import TaskResults
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.reports.document import Finding, Interval
from collapse_audit.verdicts.rule import judge

__all__ = ["evaluated", "finding_of", "task"]


def finding_of(before: TaskResults, after: TaskResults, *, generation: int) -> Finding:
    """The drop, judged alone."""
    reading, gate = compared(before, after, permutations=999)["drop"], GATES["drop"]
    assert isinstance(reading, Estimate)
    judgement = judge(reading, gate, p_adjusted=reading.p_value, alpha=0.05)
    return Finding(
        probe="task-score",
        code="CA601",
        statistic="drop",
        seed=None,
        generation=generation,
        baseline="generation 0",
        gating=True,
        outcome=judgement.outcome,
        unit=gate.unit,
        worse=gate.worse,
        kind=gate.kind,
        margin=gate.margin,
        value=reading.value,
        interval=Interval(low=reading.low, high=reading.high, level=0.9, method=reading.method),
        evidence=reading.evidence,
        reason="",
    )
