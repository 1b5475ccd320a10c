"""Read a ``report.json`` back into the document it was rendered from."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import jsonschema

from collapse_audit.atomic import UNFINISHED, unfinished
from collapse_audit.errors import InputError, Problem
from collapse_audit.regular import NotRegularError, read_regular
from collapse_audit.reports.adding_up import added_up, fail_on_change
from collapse_audit.reports.document import (
    FORMAT_VERSION,
    AuditReport,
    Finding,
    Interval,
    Outcome,
    Stage,
    Verdict,
    counted,
    worst,
)
from collapse_audit.reports.plain import called

_DIGITS = 308
_LARGEST = 1 << 27
"""Bytes of a report: some 80,000 findings."""
_TABLES = (
    "baselines",
    "stages",
    "trends",
    "survival",
    "recipe",
    "histograms",
    "copying",
    "decoding",
    "training",
    "examples",
)
"""What older reports of the same format may lack."""
_KIND_OF = {Outcome.FAIL: "loss", Outcome.CHANGED: "move"}
"""Outcomes that only one kind of statistic can have."""
_KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


@functools.cache
def schema() -> Mapping[str, Any]:
    """The JSON Schema (draft 2020-12) of ``report.json``."""
    text = resources.files("collapse_audit.reports").joinpath("report.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def read(path: Path) -> AuditReport:
    """The report in the file ``path``. Raises InputError, listing every problem, for anything but a valid report."""
    if path.is_file() and unfinished(path.parent):
        again = f"those of one run: run the audit again with --report {path.parent}, or remove {UNFINISHED} from there"
        _refuse(
            str(path),
            found="reports that were being replaced by a command that died",
            expected=again,
            slug="report-unfinished",
        )
    try:
        text = read_regular(path, most=_LARGEST).decode("utf-8")
    except NotRegularError as error:
        _refuse(str(path), found=str(error), expected="a readable report.json in UTF-8", slug="report-unreadable")
    except OSError as error:
        found = error.strerror or "that it cannot be read"
        _refuse(str(path), found=found, expected="a readable report.json in UTF-8", slug="report-unreadable")
    except UnicodeDecodeError as error:
        found = f"bytes that are not UTF-8, from byte {error.start + 1:,} on"
        _refuse(str(path), found=found, expected="a readable report.json in UTF-8", slug="report-unreadable")
    return parse(text, name=str(path))


def parse(text: str, *, name: str = "report.json") -> AuditReport:
    """The report in ``text``; ``name`` is what errors call it. Raises InputError like :func:`read`.

    A verdict that the findings contradict is refused, too: no renderer would notice.
    """
    try:
        data = json.loads(
            text, parse_constant=_not_json, parse_int=_whole, parse_float=_finite, object_pairs_hook=_distinct
        )
        _validate(data, name)
    except RecursionError:
        _refuse(name, found="brackets nested too deeply", expected="strict JSON", slug="report-json")
    except json.JSONDecodeError as error:
        found = f"text that is no JSON, at line {error.lineno}, column {error.colno}" if text.strip() else "no text"
        _refuse(name, found=found, expected="strict JSON", slug="report-json")
    except ValueError as error:
        _refuse(name, found=str(error), expected="strict JSON", slug="report-json")
    report = from_dict(data)
    _agrees(report, name)
    return report


def _agrees(report: AuditReport, name: str) -> None:
    """Refuse a verdict or an exit code other than the findings add up to, and an outcome that its kind cannot have."""
    for finding in report.findings:
        kind = _KIND_OF.get(finding.outcome, finding.kind)
        if finding.kind != kind:
            _refuse(
                name,
                found=f"a {finding.kind} that is {finding.outcome.value}: {called(finding)}",
                expected=f"only a {kind} can be {finding.outcome.value}; a report is not to be edited",
                slug="report-verdict",
            )
    gating = [finding for finding in report.findings if finding.gating]
    outcome = worst(map(counted, gating))
    allowed = report.config.get("allow_inconclusive") is True
    wanted, code = added_up(gating, allow_inconclusive=allowed, fail_on_change=fail_on_change(report.config))
    if report.verdict is not wanted or report.exit_code != code:
        many = sum(counted(finding) is outcome for finding in gating)
        word = outcome.value.replace("_", " ")
        of_these = f"{many} of {len(gating)} gating findings say {word}" if gating else "no finding gates"
        _refuse(
            name,
            found=f"the verdict {report.verdict.value} (exit {report.exit_code}), although {of_these}",
            expected=f"the verdict {wanted.value} (exit {code}); a report is not to be edited",
            slug="report-verdict",
        )


def _validate(data: Any, name: str) -> None:
    version = data.get("format_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        _refuse(
            name,
            found=f"format_version {version}",
            expected=f"{FORMAT_VERSION} or lower; a newer collapse-audit wrote this report, so upgrade",
            slug="report-version",
        )
    errors = jsonschema.Draft202012Validator(schema()).iter_errors(data)
    problems = [
        Problem(
            where=name,
            found=f"{error.json_path}: {_short(_complaint(error))}",
            expected=f"what report.schema.json allows ({error.validator}: {_short(json.dumps(error.validator_value))})",
            slug="report-schema",
        )
        for error in sorted(errors, key=lambda error: str(error.json_path))
    ]
    if problems:
        raise InputError(problems)


def _complaint(error: jsonschema.ValidationError) -> str:
    """What is wrong, in the words of JSON: the library's own name Python's types."""
    if error.validator != "type":
        return str(error.message)
    return f"{_KINDS.get(type(error.instance), 'something else')}, not {_type(error.validator_value)}"


def _type(expected: Any) -> str:
    return " or ".join(expected) if isinstance(expected, list) else str(expected)


def from_dict(data: Mapping[str, Any]) -> AuditReport:
    """The report that ``data``, which must satisfy :func:`schema`, was made from; undoes ``report.json``."""
    return AuditReport(
        **{
            **data,
            "verdict": Verdict(data["verdict"]),
            "stage": Stage(data["stage"]),
            "findings": tuple(_finding(each) for each in data["findings"]),
            **{name: tuple(data.get(name, ())) for name in _TABLES},
            "notes": tuple(data["notes"]),
        }
    )


def _finding(data: Mapping[str, Any]) -> Finding:
    interval = data.get("interval")
    return Finding(
        **{
            "seed": None,
            **data,
            "outcome": Outcome(data["outcome"]),
            "interval": interval and Interval(**{"low": None, "high": None, **interval}),
            "evidence": tuple(data["evidence"]),
            "notes": tuple(data["notes"]),
        }
    )


def _refuse(where: str, *, found: str, expected: str, slug: str) -> NoReturn:
    raise InputError([Problem(where=where, found=found, expected=expected, slug=slug)])


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"the number {constant}, which is not JSON")


def _finite(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"the number {literal[:40]}, which is too large for a float")
    return value


def _whole(digits: str) -> int:
    # Every number of a report may become a float; how many documents would be needed has dozens of digits at times.
    if len(digits) > _DIGITS:
        raise ValueError(f"a whole number of {len(digits.lstrip('-'))} digits, which is too large for a float")
    return int(digits)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} twice in one object")
    return result


def _short(message: str, limit: int = 200) -> str:
    return message if len(message) <= limit else f"{message[:limit]}..."
