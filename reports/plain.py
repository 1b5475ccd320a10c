"""The report as plain JSON values, and the one place that refuses what a report may not hold."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from collapse_audit.errors import ProbeError
from collapse_audit.reports.document import AuditReport, Cell, Finding

_SURROGATE = re.compile("[\ud800-\udfff]")


def to_dict(report: AuditReport) -> dict[str, Any]:
    """``report`` as dicts, lists, strings, booleans and finite numbers; what is None is absent.

    Half a surrogate pair, which no UTF-8 file and few JSON parsers can carry, becomes the six visible characters of
    its escape. Raises ProbeError, naming the finding, for a number that is not finite or a value JSON does not know.
    """
    return {
        each.name: (
            [_finding(finding) for finding in report.findings]
            if each.name == "findings"
            else plain(getattr(report, each.name), each.name)
        )
        for each in fields(report)
    }


def _finding(finding: Finding) -> Any:
    return plain(finding, f"finding {called(finding)} of {place(finding)}")


def plain(value: Any, where: str) -> Any:
    """``value`` in JSON's own types; ``where`` leads the message of the ProbeError for what cannot be."""
    if hasattr(value, "item"):  # a numpy scalar; probes that users write hand them over
        value = value.item()
    if isinstance(value, str):
        return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ProbeError(f"{where} is {value}; numbers in a report are finite, or absent", slug="not-finite")
        return value
    if is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, Mapping):
        return _mapping(value, where)
    if isinstance(value, list | tuple):
        return [plain(each, f"{where}[{position}]") for position, each in enumerate(value)]
    raise ProbeError(
        f"{where} is of type {type(value).__name__}; a report holds text, finite numbers, booleans, lists and mappings",
        slug="not-plain",
    )


def _mapping(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, each in value.items():
        if each is None:
            continue
        name = plain(str(key), where)
        if name in result:
            raise ProbeError(f"{where} has two entries that both read {name!r}", slug="not-plain")
        result[name] = plain(each, f"{where}: {name}")
    return result


def called(finding: Finding) -> str:
    """``repetition / looping``; just the probe's name where it has a single statistic of the same name."""
    if finding.statistic in ("", finding.probe):
        return finding.probe
    return f"{finding.probe} / {finding.statistic}"


def place(about: Finding | Cell) -> str:
    """``generation 2 (seed 1)``, the seed only where the lineage has several; ``the data`` where it is none."""
    return judged(about) if about.seed is None else f"{judged(about)} (seed {about.seed})"


def judged(about: Finding | Cell) -> str:
    """``generation 2``, or ``the data``."""
    return about.judged or f"generation {about.generation}"
