"""Run the command, and pytest with the plugin, inside of a test."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import pytest

# All that an audit imports is imported here: pytester unloads what is first imported inside of it, and numpy, for one,
# cannot be loaded twice.
import collapse_audit.pytest_plugin.session  # noqa: F401
from collapse_audit.cli import main
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.reports.document import AuditReport
from collapse_audit.reports.from_json import read

PROBES = len(BUILTIN)
"""Items of one generation."""
_SILENT = [
    probe
    for probe in BUILTIN
    if probe.needs & {"labels", "nll", "contexts", "tasks", "prompts", "embeddings"} or probe.name == "numbers"
]
WITHOUT_INPUT = len(_SILENT)
"""Of them those that find nothing to measure in records of text alone, where no word begins with a digit."""
WITH_INPUT = PROBES - WITHOUT_INPUT
FINDINGS = sum(len(probe.gates) for probe in BUILTIN if probe not in _SILENT)
"""Of one generation of such records."""


def command(*arguments: object) -> int:
    """``collapse-audit`` in this process; its exit code."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as left:
        return int(left.code or 0)


def report_of(lineage: Path, folder: Path, *arguments: object) -> AuditReport:
    """What the command reports of ``lineage``."""
    command(lineage, "--report", folder, "-q", *arguments)
    return read(folder / "report.json")


ALONE = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""Write nothing beside the tests, and spare each run a second of somebody else's imports."""


def audited(pytester: pytest.Pytester, *lineages: Path, arguments: Sequence[object] = ()) -> pytest.RunResult:
    """``pytest --collapse-audit`` of these lineages, in this process."""
    options = [f"--collapse-audit={lineage}" for lineage in lineages]
    return pytester.runpytest(*ALONE, *options, *map(str, arguments))


def item_ids(result: pytest.RunResult) -> list[str]:
    """What ``--collect-only -q`` listed."""
    return [line for line in result.outlines if re.fullmatch(r"\S+::\S+::\S+", line)]


def literal(line: str) -> str:
    """``line`` as a pattern that matches nothing else."""
    return line.replace("[", "[[]")


Result = dict[tuple[str, str], str]
"""(generation, probe) -> passed, failure, error or skipped."""


def junit(file: Path) -> Result:
    """Test cases of either file: ``generation 1 (seed 0)`` and ``seeds.seed-0-generation-1`` are the same place."""
    results: Result = {}
    for case in ET.parse(file).iter("testcase"):
        place = (case.get("classname") or "").rpartition(".")[2]
        match = re.fullmatch(r"(?:seed-(\S+)-)?generation[ -](\d+)(?: \(seed (\S+)\))?", place)
        assert match is not None
        seed = match[1] or match[3]
        name = f"generation-{match[2]}" if seed is None else f"seed-{seed}-generation-{match[2]}"
        outcomes = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        assert len(outcomes) <= 1
        key = (name, case.get("name") or "")
        assert key not in results
        results[key] = outcomes[0] if outcomes else "passed"
    return results
