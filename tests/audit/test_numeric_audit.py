"""Which probes are asked of texts, and which of numbers; and that neither says a word of the other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from collapse_audit import audit
from collapse_audit.cli import main
from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineage_cli import main as lineage_main
from collapse_audit.probes.registry import NUMERIC
from collapse_audit.reports import as_text

RNG = np.random.default_rng(0)
BEFORE, AFTER = RNG.normal(size=400), RNG.normal(size=400)
TEXTS = [f"text {number} of many" for number in range(60)]
NAMES = {probe.name for probe in NUMERIC}


def test_numbers_are_judged_by_the_probes_of_numbers_and_integrity() -> None:
    report = audit(before=BEFORE, after=AFTER, independent=True)
    assert {finding.probe for finding in report.findings} == {*NAMES, "integrity"}
    assert set(report.config["margins"]) >= {f"{probe.name}/{probe.gates[0].statistic}" for probe in NUMERIC}
    assert not any(key.startswith("tail-mass") for key in report.config["margins"])
    assert report.lineage["text"] == "numeric (1 number)"
    assert report.baselines == ()
    shown = as_text.render(report, width=100)
    assert "400 records a side" in shown or "texts a side" not in shown


def test_texts_are_judged_by_no_probe_of_numbers() -> None:
    report = audit(before=TEXTS, after=TEXTS[::-1], independent=True)
    assert not NAMES & {finding.probe for finding in report.findings}
    assert not any(key.startswith("numeric") for key in report.config["margins"])


def test_who_asks_for_the_wrong_kind_by_name_is_told() -> None:
    report = audit(before=TEXTS, after=TEXTS[::-1], independent=True, select="numeric-mean")
    (finding,) = report.findings
    assert finding.reason == "asked for by name, but the records hold texts and no numbers (numeric)"
    assert report.exit_code == 3
    report = audit(before=BEFORE, after=AFTER, independent=True, select="tail-mass")
    assert report.findings[0].reason == "asked for by name, but the records hold numbers and no texts"


def test_texts_beside_numbers_are_refused() -> None:
    with pytest.raises(InputError, match=r"before.*texts, where the records of .*after.* hold numbers"):
        audit(before=TEXTS, after=AFTER)


def test_training_data_are_texts() -> None:
    with pytest.raises(UsageError, match="the records hold numbers; training data are judged by their texts"):
        audit(data=AFTER)


def test_arrays_lists_and_records_of_numbers_are_the_same() -> None:
    seen = [
        audit(before=before, after=after, independent=True, select="numeric-spread").findings[0].value
        for before, after in (
            (BEFORE, AFTER),
            (BEFORE.tolist(), [[number] for number in AFTER.tolist()]),
            ([{"numeric": number} for number in BEFORE.tolist()], AFTER[:, None]),
        )
    ]
    assert seen[0] == pytest.approx(float(AFTER.var() / BEFORE.var()))
    assert seen[1] == pytest.approx(seen[0])
    assert seen[2] == pytest.approx(seen[0])


def test_a_field_is_named_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, side in (("before.csv", BEFORE), ("after.csv", AFTER * 0.3)):
        (tmp_path / name).write_text("\n".join(["name,height", *(f"x,{value}" for value in side)]) + "\n", "utf-8")
    files = [str(tmp_path / name) for name in ("before.csv", "after.csv")]
    assert main([*files, "--numeric", "height", "--independent", "--report", str(tmp_path / "out")]) == 1
    shown = capsys.readouterr().out
    assert "of the variance of those of generation" in shown
    assert "not measured" not in shown
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert report["stage"] == "late"


def test_margins_may_be_settled_on_the_numbers_themselves() -> None:
    report = audit(
        before=BEFORE, after=AFTER, independent=True, select="numeric-spread", sets=["numeric-spread.margin=auto"]
    )
    (finding,) = report.findings
    assert finding.margin_reason is not None
    assert finding.margin_reason.startswith("auto: ")


def numeric_lineage(folder: Path, shrinks: float) -> Path:
    for k in range(4):
        numbers = np.random.default_rng(k).normal(size=300) * shrinks**k
        (folder / f"gen_{k}.jsonl").write_text("".join(f'{{"numeric": {x!r}}}\n' for x in numbers.tolist()))
    return folder


def test_the_trend_follows_numbers_and_no_text(tmp_path: Path) -> None:
    report = audit(numeric_lineage(tmp_path, 0.8), independent=True, gate_trend=True)
    assert {row["statistic"] for row in report.trends} == {"mean", "variance", "outer", "W2"}
    failed = {finding.statistic for finding in report.findings if finding.outcome.value == "fail"}
    assert "variance-trend" in failed


def test_numbers_have_no_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pack would hold how they are spelled."""
    runs = tmp_path / "runs"
    runs.mkdir()
    folder = numeric_lineage(runs, 0.5)
    assert lineage_main(["pack", str(folder), "-o", str(tmp_path / "one.npz")]) == 4
    assert "the records hold numbers; a pack holds counts of words" in capsys.readouterr().err
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "gen_0.jsonl").write_text("".join(f'{{"text": "w{k} of {k * k}"}}\n' for k in range(300)))
    assert lineage_main(["pack", str(texts), "-o", str(tmp_path / "texts.npz")]) == 0
    assert main([str(folder), "--baseline", str(tmp_path / "texts.npz")]) == 4
    assert "a pack holds counts of words, and the generations hold numbers" in capsys.readouterr().err


def test_calibrate_plants_in_numbers_what_models_do_to_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Halves of 150 normal numbers; without the outer half of them the variance is a seventh (Gauss)."""
    folder = tmp_path / "runs"
    folder.mkdir()
    arguments = ["--trials", "3", "--processes", "1", "--top-p", "0.5", "--json", str(tmp_path / "out.json")]
    assert main(["calibrate", str(numeric_lineage(folder, 1.0)), *arguments]) == 0
    shown = capsys.readouterr().out
    assert "numeric-spread / variance" in shown
    assert "tail-mass" not in shown
    assert "top-p-numbers      3 of 3" in shown
    assert set(json.loads((tmp_path / "out.json").read_text())["scenarios"]) >= {"sharpen-numbers", "resampled-numbers"}
