"""``junit.xml``: what continuous-integration servers read. The structure is that of Jenkins' junit-10.xsd.

A test suite is one seed of one lineage; a test case is one gating probe on one generation. Its result is the worst of
the probe's statistics:

==============  =================================================================================
fail            ``<failure type="collapse">``
error           ``<error>``
inconclusive    ``<failure type="inconclusive">``; ``<skipped>`` where inconclusive is allowed
not_measured    ``<skipped>``
waived          ``<skipped type="waived">`` with who accepts it, until when and why
changed         nothing, and what moved in ``<system-out>``; ``<failure type="changed">`` where it is asked to fail
pass            nothing, and the numbers that say what would have been seen in ``<system-out>``
==============  =================================================================================

Context (``gating: false``) is no test: it stands in the ``<system-out>`` of the suite, where it can neither break a
build nor train anyone to overlook skipped tests.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence

from collapse_audit.reports._exhibits import exhibits, raw
from collapse_audit.reports._format import WORDS, alpha, degenerate, inert, sentence, settings, title, where
from collapse_audit.reports.adding_up import fail_on_change, unwanted
from collapse_audit.reports.document import AuditReport, Cell, Finding, Outcome, cells, counted
from collapse_audit.reports.plain import to_dict

_EXHIBITS = 20
_REASON = 1000
"""Characters of a reason that are kept."""


def render(report: AuditReport) -> str:
    """``report`` as JUnit XML. Valid whatever the text in it holds; no timestamp and no host name, so bytes repeat.

    Raises ProbeError, naming the finding, for a number that is not finite.
    """
    return render_all((report,))


def render_all(reports: Sequence[AuditReport]) -> str:
    """Several lineages in one file; their names then lead the class names, so that no two test cases read the same."""
    suites = [suite for report in reports for suite in _suites(report, named=len(reports) > 1)]
    root = ET.Element("testsuites", {"name": "collapse-audit", **_totals(suites, "tests", "failures", "errors")})
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _totals(suites: Sequence[ET.Element], *names: str) -> dict[str, str]:
    return {name: str(sum(int(suite.get(name, "0")) for suite in suites)) for name in names}


def _suites(report: AuditReport, *, named: bool) -> list[ET.Element]:
    to_dict(report)  # refuses, by name, what no report may hold
    everything = cells(report.findings)
    seeds = dict.fromkeys(cell.seed for cell in everything) or {None: None}
    return [_suite(report, seed, [cell for cell in everything if cell.seed == seed], named=named) for seed in seeds]


def _suite(report: AuditReport, seed: str | None, group: Sequence[Cell], *, named: bool) -> ET.Element:
    lineage = inert(report.lineage["name"])
    prefix = f"{lineage}: " if named else ""
    cases = [_case(report, cell, prefix) for cell in group if cell.gating]
    suite = ET.Element("testsuite", name=lineage if seed is None else f"{lineage} (seed {inert(seed)})")
    suite.set("tests", str(len(cases)))
    for total, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(total, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", _time(finding for cell in group for finding in cell.findings))
    suite.append(_properties(report))
    suite.extend(cases)
    context = [_described(finding, report) for cell in group if not cell.gating for finding in cell.findings]
    lines = [inert(line, limit=_REASON) for line in (report.summary, *degenerate(report), *report.notes)]
    ET.SubElement(suite, "system-out").text = "\n".join(["", *lines, *context, ""])
    return suite


def _properties(report: AuditReport) -> ET.Element:
    properties = ET.Element("properties")
    facts = {
        "tool": f"{report.tool['name']} {report.tool['version']}",
        "verdict": report.verdict,
        "exit_code": report.exit_code,
        "stage": report.stage,
        "summary": report.summary,
        "seed": report.seed,
    }
    facts |= {"baseline": "; ".join(sentences)} if (sentences := degenerate(report)) else {}
    for name, value in (facts | settings(report.lineage, "lineage.")).items():
        ET.SubElement(properties, "property", name=name, value=inert(value, limit=_REASON))
    return properties


def _case(report: AuditReport, cell: Cell, prefix: str) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=prefix + where(cell),
        name=inert(cell.probe),
        time=_time(cell.findings),
    )
    result = _result(cell, report)
    deciding: tuple[Finding, ...] = ()
    if result is not None:
        deciding = cell.waived or tuple(f for f in cell.findings if f.gating and counted(f) is cell.outcome)
    others = [finding for finding in cell.findings if finding not in deciding]
    if result is not None:
        result.set("message", "; ".join(inert(finding.reason, limit=_REASON) for finding in deciding))
        result.text = body(deciding, report)
        case.append(result)
    if others:
        ET.SubElement(case, "system-out").text = body(others, report)
    return case


def _result(cell: Cell, report: AuditReport) -> ET.Element | None:
    outcome = cell.outcome
    allow_inconclusive = report.config.get("allow_inconclusive") is True
    if cell.waived:
        return ET.Element("skipped", type="waived")
    if outcome is Outcome.PASS:
        return None
    if outcome is Outcome.CHANGED:
        asked = fail_on_change(report.config)
        moved = any(unwanted(finding, asked) for finding in cell.findings)
        return ET.Element("failure", type="changed") if moved else None
    if outcome is Outcome.FAIL:
        return ET.Element("failure", type="data" if cell.judged else "collapse")
    if outcome is Outcome.ERROR:
        return ET.Element("error", type="error")
    if outcome is Outcome.INCONCLUSIVE and not allow_inconclusive:
        return ET.Element("failure", type="inconclusive")
    return ET.Element("skipped", type=outcome.value)


def body(findings: Iterable[Finding], report: AuditReport) -> str:
    """The findings of one test case as plain lines: what JUnit and pytest show of it."""
    lines = []
    for finding in findings:
        lines.append(_described(finding, report))
        pieces = exhibits(finding.evidence)
        for piece in pieces[:_EXHIBITS]:
            quoted = [] if piece.quoted is None else [f'"{piece.quoted}"']
            lines.append("    " + "  ".join(filter(None, [piece.facts, *quoted])))
        if len(pieces) > _EXHIBITS:
            lines.append(f"    and {len(pieces) - _EXHIBITS:,} more in report.json")
    return "\n".join(["", *lines, ""])


def _described(finding: Finding, report: AuditReport) -> str:
    numbers = sentence(finding, alpha=alpha(report))
    tags = f" [{', '.join(map(inert, finding.notes))}]" if finding.notes else ""
    lead = WORDS[finding.outcome] + ("" if finding.gating else " (context, outside the verdict)")
    which = f"{title(finding)} ({inert(finding.code)}), {where(finding)}"
    against = f" against {inert(finding.baseline)}" if finding.baseline else ""
    measured = f": {numbers}" if numbers else ""
    beside = f"\n    raw: {raw(finding)}" if raw(finding) else ""
    return f"{lead}: {which}{against}{measured}{tags}\n    {inert(finding.reason, limit=_REASON)}{beside}"


def _time(findings: Iterable[Finding]) -> str:
    return f"{sum(finding.seconds or 0.0 for finding in findings):.3f}"
