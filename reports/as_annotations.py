"""GitHub's workflow commands: findings as annotations of a job and of the pull request it ran for.

GitHub shows ten errors, ten warnings and ten notices of a step and drops the rest without a word. So what does not fit
is counted in the tenth.
"""

from __future__ import annotations

from collections.abc import Sequence

from collapse_audit.reports._format import alpha, degenerate, inert, sentence, title, where
from collapse_audit.reports._margins import worst_first
from collapse_audit.reports.adding_up import fail_on_change, unwanted
from collapse_audit.reports.document import AuditReport, Finding, Outcome

_SHOWN = 10
"""Annotations of one level that GitHub shows of a step."""
_LONGEST = 600
"""Characters of a reason that are kept."""


def render(report: AuditReport) -> str:
    """``report`` as workflow commands: ``::error`` for what failed, ``::warning`` for what is inconclusive or has
    changed (``::error`` where that is asked to fail), and the verdict as ``::notice``."""
    return render_all((report,))


def render_all(reports: Sequence[AuditReport]) -> str:
    """Several lineages, which share the ten annotations of a level; a line each."""
    levels: dict[str, list[tuple[str, str]]] = {"error": [], "warning": []}
    for report in reports:
        asked = fail_on_change(report.config)
        allowed = report.config.get("allow_inconclusive") is True
        for finding in _each_statistic_first(report):
            if finding.outcome in (Outcome.FAIL, Outcome.ERROR) or unwanted(finding, asked):
                levels["error"].append(_message(report, finding))
            elif finding.outcome is Outcome.CHANGED or (finding.outcome is Outcome.INCONCLUSIVE and not allowed):
                levels["warning"].append(_message(report, finding))
    lines = [line for level, messages in levels.items() for line in _fitting(level, messages)]
    lines += [
        _command("notice", _named(report, "collapse-audit"), "; ".join([inert(report.summary), *degenerate(report)]))
        for report in reports[:_SHOWN]
    ]
    return "".join(f"{line}\n" for line in lines)


def refusal(message: str) -> str:
    """What ended the audit before there was a report, as one annotation."""
    return _command("error", "collapse-audit", message) + "\n"


def _each_statistic_first(report: AuditReport) -> list[Finding]:
    """What counts, of every statistic the worst finding before any second one."""
    groups: dict[tuple[Outcome, str, str], list[Finding]] = {}
    for finding in report.findings:
        if finding.gating and finding.waiver is None:
            groups.setdefault((finding.outcome, finding.probe, finding.statistic), []).append(finding)
    ranked = [each for group in groups.values() for each in enumerate(worst_first(group))]
    return [finding for _, finding in sorted(ranked, key=lambda each: each[0])]


def _message(report: AuditReport, finding: Finding) -> tuple[str, str]:
    """Title and message."""
    numbers = sentence(finding, alpha=alpha(report))
    message = inert(finding.reason, limit=_LONGEST) + (f" ({numbers})" if numbers else "")
    return _named(report, f"{title(finding)}, {where(finding)}"), message


def _named(report: AuditReport, what: str) -> str:
    return f"{inert(report.lineage['name'], limit=60)}: {what}"


def _fitting(level: str, messages: Sequence[tuple[str, str]]) -> list[str]:
    if len(messages) <= _SHOWN:
        return [_command(level, *each) for each in messages]
    rest = len(messages) - _SHOWN + 1
    lines = [_command(level, *each) for each in messages[: _SHOWN - 1]]
    return [
        *lines,
        _command(level, f"collapse-audit: {rest} more", f"{rest} more findings; the report has all of them"),
    ]


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    """As the runner undoes it: a line end would end the command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
