"""Trends that gate: a finding more on the last generation, its own family, and the same verdict in every format."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from collapse_audit import audit
from collapse_audit.api import prepare
from collapse_audit.errors import UsageError
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate, Gate
from collapse_audit.reports.document import AuditReport, Finding, Outcome
from collapse_audit.run.along import followed_gates
from collapse_audit.verdicts.exit_codes import ExitCode
from collapse_audit.verdicts.family import judge_family
from collapse_audit.verdicts.rule import judge
from collapse_audit.verdicts.sentences import per_generation, sentence
from tests.audit.running import audited, command, junit, report_of
from tests.audit.small_lineages import VOCABULARY, documents, healthy, lineage

TRENDS = ("tail-mass-ratio-trend", "distinct-types-trend", "seq-rep-4-trend", "effective-tokens-trend")
RATIO = Gate(
    statistic="types", unit="ratio", worse="lower", margin=0.9, because="a test", plain="distinct words", trend="types"
)


def fading(root: Path, *, generations: int = 4, count: int = 150, step: float = 0.08) -> Path:
    """Each generation knows 8% fewer of the words than the one before."""
    known = [round(VOCABULARY * (1 - step) ** k) for k in range(generations + 1)]
    return lineage(root, *(documents(k + 1, count, vocabulary=words) for k, words in enumerate(known)))


def trends_of(report: AuditReport) -> dict[str, Finding]:
    return {finding.statistic: finding for finding in report.findings if finding.statistic in TRENDS}


def reading(value: float, low: float, high: float, p_value: float = 0.001) -> Estimate:
    return Estimate(
        value=value, low=low, high=high, method="", p_value=p_value, n_baseline=500, n_generation=500, n_needed=None
    )


# The rule


@pytest.mark.parametrize(
    ("estimate", "outcome"),
    [
        (reading(0.85, 0.83, 0.87), Outcome.FAIL),  # beyond the margin, by its bound
        (reading(0.91, 0.89, 0.93), Outcome.FAIL),  # its forecast's interval reaches into the lineage
        (reading(0.95, 0.93, 0.97), Outcome.PASS),  # established, and within the margin up to the last generation
        (reading(0.91, 0.89, 0.93, p_value=0.051), Outcome.INCONCLUSIVE),  # may lie beyond, and nothing is established
        (reading(0.95, 0.93, 0.97, p_value=0.9), Outcome.PASS),
    ],
)
def test_a_trend_fails_where_it_is_established_and_may_have_crossed_the_margin(
    estimate: Estimate, outcome: Outcome
) -> None:
    judged = judge(estimate, RATIO.of_trend(), p_adjusted=estimate.p_value, alpha=0.05)
    assert judged.outcome is outcome


def test_what_is_no_trend_still_needs_its_bound_beyond_the_margin() -> None:
    assert judge(reading(0.91, 0.89, 0.93), RATIO, p_adjusted=0.001, alpha=0.05).outcome is Outcome.INCONCLUSIVE


def test_a_trend_that_rises_is_judged_by_its_upper_bound() -> None:
    gate = dataclasses.replace(RATIO, unit="share of texts", worse="higher", margin=0.05).of_trend()
    assert judge(reading(0.04, 0.02, 0.06), gate, p_adjusted=0.001, alpha=0.05).outcome is Outcome.FAIL
    assert judge(reading(0.02, 0.0, 0.04), gate, p_adjusted=0.001, alpha=0.05).outcome is Outcome.PASS


def test_trends_are_corrected_for_each_other() -> None:
    """Holm over two: .03 x 2 is not significant, .02 x 2 is."""
    gates = {name: RATIO.of_trend() for name in ("one", "two")}
    found = judge_family(
        {"one": reading(0.85, 0.83, 0.87, 0.03), "two": reading(0.85, 0.83, 0.87, 0.9)}, gates, alpha=0.05
    )
    assert found["one"].outcome is Outcome.INCONCLUSIVE
    found = judge_family(
        {"one": reading(0.85, 0.83, 0.87, 0.02), "two": reading(0.85, 0.83, 0.87, 0.9)}, gates, alpha=0.05
    )
    assert found["one"].outcome is Outcome.FAIL
    assert found["one"].p_adjusted == pytest.approx(0.04)


def test_the_sentence_says_how_fast_where_it_stands_and_that_it_goes_on() -> None:
    gate = RATIO.of_trend("by the trend over generations 1 to 8 (-1.2% a generation), {generation} keeps {value}")
    found = reading(0.91, 0.89, 0.93)
    told = sentence(
        gate, found, judge(found, gate, p_adjusted=0.001, alpha=0.05), judged="generation 8", baseline="generation 0"
    )
    assert told == (
        "by the trend over generations 1 to 8 (-1.2% a generation), generation 8 keeps 91% (at least 89%), and it goes "
        "on; 90% is the least allowed"
    )


@pytest.mark.parametrize(
    ("unit", "change", "told"),
    [
        ("ratio", -0.0123, "-1.2%"),
        ("ratio", 0.005, "+0.5%"),
        ("ratio", -0.0001, "+0.0%"),
        ("share of texts", 0.012, "+1.2 points"),
        ("letters", -0.25, "-0.250 letters"),
    ],
)
def test_what_changes_a_generation_is_said_in_the_unit_of_the_gate(unit: str, change: float, told: str) -> None:
    assert per_generation(dataclasses.replace(RATIO, unit=unit, margin=0.5), change) == told


def test_four_built_in_gates_are_followed() -> None:
    followed = [f"{probe.name}/{gate.trend}" for probe, gate in followed_gates(BUILTIN)]
    assert followed == [
        "tail-mass/tail-mass",
        "tail-coverage/distinct-types",
        "repetition/seq-rep-4",
        "diversity/effective-tokens",
    ]


# A whole audit


@pytest.fixture(scope="module")
def faded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fading(tmp_path_factory.mktemp("faded"))


@pytest.fixture(scope="module")
def gated(faded: Path) -> AuditReport:
    return audit(faded, gate_trend=True)


def test_no_trend_gates_unless_it_is_asked_to(faded: Path) -> None:
    report = audit(faded, select="tail-coverage")
    assert trends_of(report) == {}
    assert report.config["gate_trend"] is False
    assert any(trend["established"] for trend in report.trends)


def test_an_established_loss_fails_on_the_last_generation(gated: AuditReport) -> None:
    found = trends_of(gated)
    assert set(found) == set(TRENDS)
    types = found["distinct-types-trend"]
    assert (types.probe, types.code, types.generation, types.gating) == ("tail-coverage", "CA202", 4, True)
    assert types.outcome is Outcome.FAIL
    assert (types.margin, types.unit, types.worse, types.kind) == (0.9, "ratio", "lower", "loss")
    assert types.sentence.startswith("by the trend over generations 1 to 4 (-")
    assert types.sentence.endswith("and it goes on; 90% is the least allowed")
    assert "damage grows along the generations" in types.reason
    row = next(trend for trend in gated.trends if trend["statistic"] == "distinct-types")
    assert types.interval is not None
    assert (types.value, types.interval.low, types.interval.high) == (
        row["reached"],
        row["reached_low"],
        row["reached_high"],
    )
    assert types.raw["slope"] == row["slope"]
    assert found["seq-rep-4-trend"].outcome is Outcome.PASS


def test_its_family_is_the_trends_of_the_seed_alone(gated: AuditReport) -> None:
    """Holm over four p-values, and no other finding has another adjusted one for it."""
    found = sorted(trends_of(gated).values(), key=lambda finding: finding.p_value or 0.0)
    running = 0.0
    for left, finding in zip((4, 3, 2, 1), found, strict=True):
        running = max(running, left * (finding.p_value or 0.0))
        assert finding.p_adjusted == pytest.approx(min(running, 1.0))


def test_a_stationary_lineage_passes_with_its_trends(tmp_path: Path) -> None:
    report = audit(healthy(tmp_path, generations=3), gate_trend=True, select="tail-mass or tail-coverage or diversity")
    found = trends_of(report)
    assert found["tail-mass-ratio-trend"].outcome is found["effective-tokens-trend"].outcome is Outcome.PASS
    # Every generation uses all 300 words, and would without any of its texts.
    assert found["distinct-types-trend"].outcome is Outcome.NOT_MEASURED
    assert "nothing says how well it is known" in found["distinct-types-trend"].reason


def test_every_format_says_it(faded: Path, tmp_path: Path) -> None:
    select = ("-k", "tail-coverage")
    report = report_of(faded, tmp_path / "out", "--gate-trend", *select)
    assert report.exit_code == ExitCode.COLLAPSE
    told = trends_of(report)["distinct-types-trend"].sentence
    assert told in (tmp_path / "out" / "report.md").read_text("utf-8").replace("\\", "")
    assert "distinct-types-trend" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert junit(tmp_path / "out" / "junit.xml")["generation-4", "tail-coverage"] == "failure"
    assert "distinct-types-trend" in (tmp_path / "out" / "junit.xml").read_text("utf-8")


def test_the_terminal_says_it(faded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(faded, "--gate-trend", "-k", "tail-coverage", "-v") == ExitCode.COLLAPSE
    assert "tail-coverage / distinct-types-trend" in capsys.readouterr().out


def test_pytest_fails_the_item_of_the_last_generation(pytester: pytest.Pytester, faded: Path) -> None:
    alone = (*("-k", "tail-coverage"), "--collapse-audit-gate-trend")
    result = audited(pytester, faded, arguments=alone)
    result.stdout.fnmatch_lines(["*distinct-types-trend*generation 4*"])


def test_a_lineage_may_not_ask_for_it_itself(tmp_path: Path) -> None:
    healthy(tmp_path, count=20)
    (tmp_path / "collapse-audit.toml").write_text("gate_trend = true\n", "utf-8")
    with pytest.raises(UsageError, match="gate_trend: a lineage may describe its data"):
        prepare(tmp_path)


def test_a_file_of_settings_may(tmp_path: Path, faded: Path) -> None:
    (tmp_path / "settings.toml").write_text("gate_trend = true\n", "utf-8")
    assert prepare(faded, config_file=tmp_path / "settings.toml").config.gate_trend


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"generation": "last"}, "a trend needs at least 3 generations after the baseline, and there is 1"),
        ({"generation": "1-2"}, "a trend needs at least 3 generations after the baseline, and there are 2"),
        ({"baseline": "previous"}, "the generations are not all compared with one baseline"),
    ],
)
def test_where_there_is_no_trend_it_is_not_measured(faded: Path, arguments: dict[str, str], why: str) -> None:
    found = trends_of(audit(faded, gate_trend=True, select="tail-coverage", **arguments))  # type: ignore[arg-type]
    assert {finding.outcome for finding in found.values()} == {Outcome.NOT_MEASURED}
    assert {finding.reason for finding in found.values()} == {why}


def test_only_trends_of_selected_probes_gate(faded: Path) -> None:
    assert set(trends_of(audit(faded, gate_trend=True, select="tail-coverage"))) == {"distinct-types-trend"}


def test_a_trend_may_be_waived_like_any_finding(faded: Path, tmp_path: Path) -> None:
    waiver = 'owner = "a person"\nreason = "known"\nexpires = 2999-01-01\n'
    alone = f'[[waivers]]\nprobe = "tail-coverage"\nstatistic = "distinct-types-trend"\n{waiver}'
    (tmp_path / "settings.toml").write_text(f"gate_trend = true\n{alone}", "utf-8")
    report = audit(faded, select="tail-coverage", config_file=tmp_path / "settings.toml")
    assert [finding.statistic for finding in report.findings if finding.waiver is not None] == ["distinct-types-trend"]


def test_the_margin_of_a_trend_is_its_gates(faded: Path) -> None:
    report = audit(faded, gate_trend=True, select="tail-coverage", sets=["tail-coverage.margin=0.5"])
    found = trends_of(report)["distinct-types-trend"]
    assert found.margin == 0.5
    assert found.outcome is Outcome.PASS


def spent(history: Path) -> Sequence[float]:
    return [json.loads(line)["alpha"] for line in history.read_text("utf-8").splitlines()]


def test_a_look_of_a_history_spends_alpha_on_both_families(faded: Path, tmp_path: Path) -> None:
    audit(faded, select="tail-coverage", generation="3-4", history=tmp_path / "plain")
    audit(faded, select="tail-coverage", generation="3-4", history=tmp_path / "both", gate_trend=True)
    assert set(spent(tmp_path / "plain")) == {0.05}
    assert set(spent(tmp_path / "both")) == {0.1}


def test_looks_that_share_alpha_share_it_between_both_families(faded: Path, tmp_path: Path) -> None:
    report = audit(
        faded, select="tail-coverage", generation="3-4", history=tmp_path / "h", gate_trend=True, anytime=True
    )
    assert report.config["alpha"] == pytest.approx(0.05 / 2 / 100 / 2)
    assert set(spent(tmp_path / "h")) == {0.05 / 2 / 100}


def test_the_first_failure_ends_an_audit_before_its_trends(faded: Path) -> None:
    prepared = prepare(faded, gate_trend=True, select="tail-coverage")
    stopped = prepared.run(stop_at_first=True)
    assert stopped.exit_code == ExitCode.COLLAPSE
    assert trends_of(stopped) == {}
    harmless = prepare(faded, gate_trend=True, select="repetition", sets=["repetition.looping.margin=0.9"])
    assert set(trends_of(harmless.run(stop_at_first=True))) == {"seq-rep-4-trend"}


def test_seeds_make_no_claim_of_a_trend_but_by_pages_test(tmp_path: Path) -> None:
    for seed in range(3):
        fading(tmp_path / f"seed_{seed}", generations=3, count=60)
    report = audit(tmp_path, gate_trend=True, select="tail-coverage")
    found = [finding for finding in report.findings if finding.statistic == "distinct-types-trend"]
    assert [finding.seed for finding in found] == ["0", "1", "2"]
    assert {claim["statistic"] for claim in report.recipe} == {"distinct-types"}
    assert any("page_l" in trend for trend in report.trends)
