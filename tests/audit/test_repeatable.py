"""The same input and seed give the same bytes, wherever the files lie and in whatever order the documents stand."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import small_lineages
from stub_probes import FINE, constant, run

from collapse_audit import audit
from collapse_audit.reports.as_json import render
from collapse_audit.reports.document import AuditReport


def bytes_of(report: AuditReport, *without: str) -> str:
    """The report as it is written, less what may differ: seconds, environment, and what is named."""
    data = json.loads(render(report))
    for finding in data["findings"]:
        del finding["seconds"]
    for name in ("environment", *without):
        del data[name]
    return json.dumps(data)


def test_same_inputs_and_seed_give_the_same_bytes(shelf: Path) -> None:
    assert bytes_of(audit(shelf / "healthy", seed=3)) == bytes_of(audit(shelf / "healthy", seed=3))


def test_the_same_documents_are_drawn_where_there_are_too_many(shelf: Path) -> None:
    first, second = (audit(shelf / "healthy", max_documents=50, select="diversity") for _ in range(2))
    assert bytes_of(first) == bytes_of(second)


def test_another_seed_gives_other_permutations_and_the_same_values(shelf: Path) -> None:
    first, second = (audit(shelf / "healthy", select="diversity", seed=seed).findings for seed in (0, 1))
    assert [found.value for found in first] == [found.value for found in second]
    assert [found.p_value for found in first] != [found.p_value for found in second]


def test_where_the_folder_lies_does_not_matter(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / "collapsed", tmp_path / "elsewhere" / "collapsed")
    assert bytes_of(audit(shelf / "collapsed")) == bytes_of(audit(tmp_path / "elsewhere" / "collapsed"))


def test_what_folder_and_files_are_called_does_not_change_what_is_found(shelf: Path, tmp_path: Path) -> None:
    root = tmp_path / "renamed"
    root.mkdir()
    for k in (0, 1):
        shutil.copy(shelf / "collapsed" / f"gen_{k}" / "texts.jsonl", root / f"gen_{k}.jsonl")
        shutil.copy(shelf / "collapsed" / f"gen_{k}" / "holdout.jsonl", root / f"gen_{k}.holdout.jsonl")
    assert bytes_of(audit(shelf / "collapsed"), "lineage") == bytes_of(audit(root), "lineage")


EXACT = ("repetition/seq-rep-4", "repetition/looping", "diversity/effective-tokens", "diversity/duplicates")
"""Statistics that owe nothing to chance: the documents alone make their values."""


def test_the_order_of_the_documents_does_not_matter(shelf: Path, tmp_path: Path) -> None:
    before = audit(shelf / "collapsed")
    shutil.copytree(shelf / "collapsed", tmp_path / "shuffled")
    for file in tmp_path.rglob("holdout.jsonl"):
        lines = file.read_text().splitlines(keepends=True)
        random.Random(5).shuffle(lines)
        file.write_text("".join(lines))
    after = audit(tmp_path / "shuffled")

    assert [f.outcome for f in before.findings] == [f.outcome for f in after.findings]
    values = [{f"{f.probe}/{f.statistic}": f.value for f in report.findings} for report in (before, after)]
    for name in EXACT:
        assert values[1][name] == pytest.approx(values[0][name], rel=1e-12)


def test_seconds_are_the_only_thing_that_time_touches(tmp_path: Path) -> None:
    root = small_lineages.lineage(tmp_path, ["a b"], ["a b"], ["a b"])
    report = run(root, constant("stub-a", FINE))
    assert all(finding.seconds is not None and finding.seconds >= 0 for finding in report.findings)
    timed = replace(report, findings=tuple(replace(finding, seconds=1e6) for finding in report.findings))
    assert bytes_of(timed) == bytes_of(report)
