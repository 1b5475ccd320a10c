"""What moved beyond its margin, and what was held all the same: the sentence that goes with every change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collapse_audit.reports.document import Finding, Outcome, counted
from collapse_audit.reports.plain import called
from collapse_audit.run.overview.stage import GateOf


def moved(findings: Iterable[Finding], gate_of: GateOf) -> list[str]:
    """A sentence where something moved: what, and what of tails, types, labels and diversity was held, with the worst
    bound of all generations. It claims no more than the findings do: what is open is not called held, and where
    anything failed there is nothing to reassure anybody of."""
    gating = [finding for finding in findings if finding.gating]
    changed = [finding for finding in gating if counted(finding) is Outcome.CHANGED]
    if not changed or any(counted(finding) is Outcome.FAIL for finding in gating):
        return []
    what = ", ".join(dict.fromkeys(map(called, changed)))
    numbers = ", ".join(map(str, sorted({finding.generation for finding in changed})))
    where = changed[0].judged or f"generation {numbers}"
    said = f"warning: {what} moved beyond the margin in {where}; a move alone is no loss"
    if changed[0].judged:
        return [said]
    groups: dict[str, list[Finding]] = {}
    for finding in gating:
        groups.setdefault(gate_of(finding).held, []).append(finding)
    held = [clause for name, group in groups.items() if name and (clause := _held(name, group))]
    return [
        f"{said}; held: {', '.join(held)}" if held else f"{said}, and nothing else was measured that could tell one"
    ]


def _held(name: str, group: Sequence[Finding]) -> str:
    """``distinct types (at least 0.97 of the baseline's; 0.9 is the least allowed)``, or "" where it was not held."""
    measured = [finding for finding in group if finding.outcome is not Outcome.NOT_MEASURED]
    bounds = [finding.interval.low for finding in measured if finding.interval is not None]
    known = [bound for bound in bounds if bound is not None]
    if not measured or len(known) < len(measured) or any(finding.outcome is not Outcome.PASS for finding in measured):
        return ""
    least = [finding.margin if finding.pass_margin is None else finding.pass_margin for finding in measured]
    return f"{name} (at least {min(known):.2f} of the baseline's; {max(filter(None, least)):g} is the least allowed)"
