"""The line that names ``--margins auto``: its number by hand, when it is said, and when not; and the option itself."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_lineages
from scipy.stats import norm

from collapse_audit import audit
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.reports import as_text
from collapse_audit.reports.document import FINER_NOTE, AuditReport, Finding, Outcome, Verdict
from collapse_audit.run.overview.finer import finer
from collapse_audit.settings.config import AuditConfig
from collapse_audit.settings.merged import GateSettings

GATES = {(probe.name, gate.statistic): gate for probe in BUILTIN for gate in probe.gates}
CONFIG = AuditConfig()


def gate_of(finding: Finding) -> Gate:
    return GATES[finding.probe, finding.statistic]


def found(probe: str = "diversity", statistic: str = "distinct-2", **details: Any) -> Finding:
    gate = GATES[probe, statistic]
    made: dict[str, Any] = {
        "value": 1.0,
        "margin": gate.margin,
        "minimum_detectable": 0.97,
        "p_value": 0.5,
        "p_adjusted": 1.0,
        "outcome": Outcome.PASS,
        "kind": gate.kind,
        "gating": True,
    }
    return Finding(
        probe=probe,
        code="CA301",
        statistic=statistic,
        seed=None,
        generation=1,
        baseline="generation 0",
        unit=gate.unit,
        worse=gate.worse,
        reason="",
        seconds=0.0,
        **(made | details),
    )


def said(*findings: Finding, config: AuditConfig = CONFIG) -> str:
    notes = finer(findings, config, gate_of)
    assert len(notes) <= 1
    return notes[0].removeprefix(FINER_NOTE) if notes else ""


def test_the_fall_is_that_of_the_level_which_holm_leaves() -> None:
    """.97 at 5% and 90% power is an error of -ln .97/(1.645 + 1.282); of ten tests the first is held to .5%."""
    error = -math.log(0.97) / (norm.ppf(0.95) + norm.ppf(0.9))
    fall = 1 - math.exp(-error * (norm.ppf(0.995) + norm.ppf(0.9)))
    others = [found("length", "mean-length", minimum_detectable=0.9) for _ in range(9)]
    shown = math.ceil(1000 * fall) / 10
    assert said(found(), *others) == (
        f"at this n a fall of {shown:g}% in distinct word pairs would be seen, where the margin allows 10%"
    )
    assert shown == 4.0


def test_the_finding_with_the_most_to_gain_is_named() -> None:
    assert "in vocabulary in real use" in said(found(), found(statistic="effective-tokens", minimum_detectable=0.96))


@pytest.mark.parametrize(
    "details",
    [
        {"minimum_detectable": 0.93},  # no finer than half of the margin
        {"minimum_detectable": None},
        {"notes": ("one-sided",)},
        {"kind": "move"},
        {"gating": False},
    ],
)
def test_where_there_is_nothing_to_gain_nothing_is_said(details: dict[str, Any]) -> None:
    assert said(found()) != ""
    assert said(found(**details)) == ""


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.CHANGED])
def test_a_fall_that_would_be_seen_is_said_only_where_all_has_passed(outcome: Outcome) -> None:
    assert said(found(), found("length", "mean-length", outcome=outcome)) == ""


def test_margins_that_somebody_named_are_left_alone() -> None:
    own = GateSettings(margin=0.8, reason="mine", origin="test")
    assert said(found(), config=replace(CONFIG, gates={("diversity", "distinct-2"): own})) == ""


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.INCONCLUSIVE])
def test_a_significant_loss_that_margins_allow_is_named(outcome: Outcome) -> None:
    hidden = found("diversity", "duplicates", value=0.03, p_adjusted=0.012, outcome=outcome)
    assert said(hidden, found()) == (
        f"would fail on copies of one text (0.03 {hidden.unit}, p = 0.012 after Holm), which the margin 0.05 "
        "allows or leaves open"
    )
    assert said(hidden, found("length", "mean-length", outcome=Outcome.FAIL)) == ""
    assert "copies" not in said(replace(hidden, p_adjusted=0.06), found())


def texts(n: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(f"w{int(rng.paretovariate(0.9)) % 3000}" for _ in range(12)) for _ in range(n)]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("healthy")
    small_lineages.lineage(root, texts(1500, 0), texts(1500, 1))
    return root


def run(root: Path, **settings: Any) -> AuditReport:
    return audit(root, select="diversity", independent=True, **settings)


def test_the_line_stands_in_the_first_lines_of_the_terminal_and_auto_ends_it(healthy: Path) -> None:
    report = run(healthy)
    assert report.verdict is Verdict.PASS
    page = as_text.render(report, width=200).splitlines()
    assert len(page) <= 40
    place = next(number for number, line in enumerate(page) if FINER_NOTE in line)
    assert place < next(number for number, line in enumerate(page) if line.startswith("generation "))
    automatic = run(healthy, margins="auto")
    assert not any(note.startswith(FINER_NOTE) for note in automatic.notes)
    margins = automatic.config["margins"]
    assert {margins[f"diversity/{name}"]["margin"] for name in ("distinct-2", "duplicates")} == {"auto"}


def test_margins_auto_leaves_alone_what_a_setting_names(healthy: Path) -> None:
    report = run(healthy, margins="auto", sets=["diversity.distinct-2.margin=0.8"])
    margins = report.config["margins"]
    assert (margins["diversity/distinct-2"]["margin"], margins["diversity/duplicates"]["margin"]) == (0.8, "auto")
    back = run(healthy, sets=["margins=auto"], margins="default")
    assert back.config["margins"]["diversity/duplicates"]["margin"] == 0.05
