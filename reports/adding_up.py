"""What findings add up to: one rule for an audit that ends and for a report that is read back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from collapse_audit.reports.document import Finding, Outcome, Verdict, counted, worst

FailOnChange = bool | Collection[str]
"""Of which probes a move ends an audit with 7: of none (False), of all (True), or of those with these names."""

VERDICTS = {
    Outcome.FAIL: Verdict.COLLAPSE,
    Outcome.ERROR: Verdict.ERROR,
    Outcome.INCONCLUSIVE: Verdict.INCONCLUSIVE,
    Outcome.CHANGED: Verdict.CHANGED,
    Outcome.PASS: Verdict.PASS,
    Outcome.NOT_MEASURED: Verdict.NOT_MEASURED,
}
"""What the outcomes of all gating findings together make of the whole."""
CODES = {
    Verdict.COLLAPSE: 1,
    Verdict.ERROR: 3,
    Verdict.INCONCLUSIVE: 6,
    Verdict.NOT_MEASURED: 5,
    Verdict.CHANGED: 7,
    Verdict.PASS: 0,
}
"""Exit code of each verdict where nothing is allowed (``verdicts/exit_codes.py`` says what they mean)."""


def fail_on_change(config: Mapping[str, Any]) -> FailOnChange:
    """The setting of that name, as a report's ``config`` has it; older reports have none."""
    asked = config.get("fail_on_change", False)
    return asked if isinstance(asked, bool) else frozenset(map(str, asked))


def unwanted(finding: Finding, fail_on_change: FailOnChange) -> bool:
    """Whether ``finding`` is a move of a probe whose moves are asked to fail; waived ones are not."""
    if counted(finding) is not Outcome.CHANGED or not finding.gating:
        return False
    return fail_on_change if isinstance(fail_on_change, bool) else finding.probe in fail_on_change


def added_up(
    findings: Iterable[Finding], *, allow_inconclusive: bool = False, fail_on_change: FailOnChange = False
) -> tuple[Verdict, int]:
    """Verdict and exit code: the first of collapse (1), error (3), inconclusive (6), changed (0 or 7), pass (0) that a
    gating finding says; ``not_measured`` (5) where none says any of them. A waived finding counts as a pass.

    What is allowed decides nothing: an inconclusive finding that is tolerated does not hide a change that is not.
    """
    gating = [finding for finding in findings if finding.gating]
    verdict = VERDICTS[worst(map(counted, gating))]
    moved = any(unwanted(finding, fail_on_change) for finding in gating)
    if verdict is Verdict.INCONCLUSIVE and allow_inconclusive:
        return (Verdict.CHANGED, CODES[Verdict.CHANGED]) if moved else (verdict, 0)
    if verdict is Verdict.CHANGED and not moved:
        return verdict, 0
    return verdict, CODES[verdict]
