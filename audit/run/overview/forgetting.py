"""Forgotten or collapsed? What tasks and texts say together where a task was lost.

A model that was trained on something else loses an old task, gains a new one, and still writes all that it wrote:
catastrophic forgetting (McCloskey & Cohen 1989, doi 10.1016/S0079-7421(08)60536-8). A model that was trained on its own
output loses tails and variance of its texts, whatever becomes of tasks. One task alone cannot tell the two apart, so
the sentence asks for a task that held or rose, and for texts of which nothing was lost. It changes no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from collapse_audit.reports.document import Finding, Outcome
from collapse_audit.reports.plain import called
from collapse_audit.run.overview.stage import GateOf

_SOUND = (Outcome.PASS, Outcome.CHANGED)


def forgotten(findings: Iterable[Finding], gate_of: GateOf) -> list[str]:
    """A sentence a seed, on the last generation that lost a task: forgotten, collapsed, or why that is open."""
    gating = [finding for finding in findings if finding.gating]
    last: dict[str | None, Finding] = {}
    for finding in gating:
        if finding.outcome is Outcome.FAIL and gate_of(finding).part == "task":
            before = last.get(finding.seed)
            last[finding.seed] = finding if before is None or finding.generation > before.generation else before
    return [
        _told(lost, [f for f in gating if (f.seed, f.generation) == (seed, lost.generation)], gate_of)
        for seed, lost in last.items()
    ]


def _told(lost: Finding, together: Sequence[Finding], gate_of: GateOf) -> str:
    seed = "" if lost.seed is None else f" of seed {lost.seed}"
    who, fell = f"generation {lost.generation}{seed}", " and ".join(_fallen(lost))
    of_texts = [finding for finding in together if gate_of(finding).part in ("tail", "bulk")]
    gone = [finding for finding in of_texts if finding.outcome is Outcome.FAIL]
    if gone:
        names = ", ".join(map(called, gone))
        return f"warning: {who} collapsed and did not only forget: {fell}, and its texts lost as well ({names})"
    measured = [finding for finding in of_texts if finding.outcome is not Outcome.NOT_MEASURED]
    settled = [finding for finding in measured if finding.outcome in _SOUND]
    kept = list(_kept(lost))
    if measured and len(settled) == len(measured) and kept:
        names = ", ".join(map(called, settled))
        return (
            f"warning: {who} forgot and did not collapse: {fell}, while {' and '.join(kept)}, and of its texts nothing "
            f"was lost ({names})"
        )
    if not measured:
        why = "nothing was measured of its texts"
    elif len(settled) < len(measured):
        why = f"its texts leave it open ({', '.join(map(called, [f for f in measured if f not in settled]))})"
    else:
        why = "there is no task that held; evaluate what it was trained for, too"
    return f"warning: whether {who} forgot or collapsed cannot be told: {fell}, and {why}"


def _rows(lost: Finding) -> Iterator[Mapping[str, Any]]:
    """The tasks that were judged, each with bounds of its drop."""
    yield from (row for row in lost.evidence if "drop_high" in row)


def _fallen(lost: Finding) -> Iterator[str]:
    rows = list(_rows(lost))
    sure = [row for row in rows if row["drop_low"] > (lost.margin or 0)]
    for row in sure or sorted(rows, key=lambda row: row["generation"] - row["baseline"])[:1]:
        yield f"{row['metric']} fell from {row['baseline']:.2f} to {row['generation']:.2f}"


def _kept(lost: Finding) -> Iterator[str]:
    """What rose, or else what held: both surely."""
    rows = [row for row in _rows(lost) if row["drop_high"] <= (lost.margin or 0)]
    rose = [row for row in rows if row["drop_high"] < 0]
    for row in rose or rows:
        verb = "rose" if rose else "held"
        yield f"{row['metric']} {verb} ({row['baseline']:.2f} to {row['generation']:.2f})"
