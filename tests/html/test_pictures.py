"""What is drawn of a report: the same numbers, on the scale that the caption names."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from examples import finding, report
from hypothesis import given
from hypothesis import strategies as st
from rich_report import HISTOGRAM, RANKS, SURPRISE, rich

from collapse_audit.reports._margins import no_change, standing
from collapse_audit.reports.document import AuditReport, Finding, Interval, Outcome, Verdict
from collapse_audit.reports.pictures import pictures
from collapse_audit.reports.pictures.common import MOST_SEEDS, Picture, evenly, number_ticks
from collapse_audit.reports.pictures.perplexity import quantile


def picture(made: AuditReport, slug: str) -> Picture:
    (found,) = [each for each in pictures(made) if each.slug == slug]
    return found


def audit(*findings: Finding, **details: Any) -> AuditReport:
    return report(list(findings), Verdict.COLLAPSE, 1, "collapse [exit 1]", **details)


@pytest.mark.parametrize(
    ("gate", "numbers", "wanted"),
    [
        ("looping", (0.1, 0.05, 0.2), (2.0, 1.0, 4.0)),  # margin .05 from 0
        ("tail-mass", (0.9, 0.8, 1.0), (0.5, 0.0, 1.0)),  # margin .8 from 1, so ends change places
        ("label-coverage", (0.25, 0.1, 1.0), (1.0, 0.0, 1.2)),  # margin .25 from 1
    ],
)
def test_one_is_the_margin_and_zero_no_change(
    gate: str, numbers: tuple[float, float, float], wanted: tuple[float, float, float]
) -> None:
    assert standing(finding(gate, 1, Outcome.PASS, numbers)) == pytest.approx(wanted)


def test_an_open_end_stays_open_on_the_side_of_the_damage() -> None:
    made = finding("tail-mass", 1, Outcome.PASS, (0.9, 0.8, 1.0))
    half = replace(made, interval=Interval(low=0.8, high=None, level=0.9, method="m"))
    assert standing(half) == (pytest.approx(0.5), None, pytest.approx(1.0))
    assert standing(replace(made, interval=None)) == (pytest.approx(0.5), None, None)
    assert standing(replace(made, margin=None)) is None
    assert standing(replace(made, value=None)) is None
    assert no_change("lower", -0.1) == 0.0


def test_every_gated_statistic_has_a_panel_with_its_values_ends_and_margin() -> None:
    made = rich()
    panels = {panel.title: panel for panel in picture(made, "statistics").panels}
    gated = [f for f in made.findings if f.gating and f.value is not None]
    assert len(panels) == len({(f.probe, f.statistic) for f in gated})
    panel = panels["tail-mass / ratio"]
    assert [list(line.y) for line in panel.lines] == [[0.8, 0.8], [0.8, 0.8]]
    assert [(list(line.low), list(line.high)) for line in panel.lines] == [([0.7, 0.7], [0.9, 0.9])] * 2
    assert [round(x) for line in panel.lines for x in line.x] == [1, 2, 1, 2]
    assert panel.beyond == (0.8, "lower", "y")
    assert {rule.at for rule in panel.rules} == {0.8, 1.0}


def test_more_seeds_than_can_be_told_apart_are_not_drawn_over_each_other() -> None:
    many = [finding("looping", 1, Outcome.PASS, (0.0, -0.01, 0.01), seed=str(seed)) for seed in range(9)]
    (panel,) = picture(audit(*many), "statistics").panels
    assert len(panel.lines) == MOST_SEEDS


def test_the_forest_has_a_line_an_estimate_cut_at_four_margins() -> None:
    findings = [
        finding("looping", 1, Outcome.FAIL, (1.0, 0.9, 1.1)),
        finding("looping", 2, Outcome.PASS, (0.01, -0.2, 0.02)),
    ]
    (panel,) = picture(audit(*findings), "forest").panels
    points = {line.marker: (line.x[0], line.low[0], line.high[0]) for line in panel.lines}
    assert points == {">": (4.0, 4.0, 4.0), "o": pytest.approx((0.2, -1.0, 0.4))}


def test_what_lies_before_the_forest_has_an_arrow_too() -> None:
    values = {1: -0.2, 2: -0.05}  # -4 and -1 margins: beyond the edge, and on it
    findings = [finding("looping", k, Outcome.PASS, (v, v - 1, v + 0.01)) for k, v in values.items()]
    (panel,) = picture(audit(*findings), "forest").panels
    assert {line.marker: line.x[0] for line in panel.lines} == {"<": -1.0, "o": -1.0}
    assert panel.x_range[0] == -1.0


@pytest.mark.parametrize("name", ["looping", "label-coverage / retained-share", "x" * 300])
def test_names_of_the_forest_fit_left_of_it(name: str) -> None:
    made = finding("looping", 1, Outcome.PASS, (0.0, 0.0, 0.0), probe=name, statistic="")
    (panel,) = picture(audit(made), "forest").panels
    (label,) = panel.y_ticks.values()
    assert panel.left >= 5.2 * len(label) + 6  # as wide as letters of a sans-serif face are on average, at 10 pixels
    assert panel.width - panel.left == 230
    assert label == name or (label.endswith("…") and len(label) == 40)


def test_a_forest_of_many_generations_keeps_the_first_and_the_last_and_says_what_it_leaves_out() -> None:
    gates = ("looping", "tail-mass", "token-divergence", "distinct-2", "seq-rep-4", "integrity")
    findings = [finding(gate, k, Outcome.PASS, (0.9, 0.8, 1.0)) for gate in gates for k in range(1, 31)]
    found = picture(audit(*findings), "forest")
    drawn = sum(len(line.x) for line in found.panels[0].lines)
    assert drawn == 6 * 16  # 96 rows hold 16 generations of 6 statistics
    assert "14 generations between are left out" in found.caption


# Nothing below or above; then below and above.
@pytest.mark.parametrize("q", [0.05, 0.1, 0.2, 0.5, 0.7, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("series", HISTOGRAM["series"])
def test_a_quantile_of_a_histogram_is_its_straight_distribution_function_turned_over(
    q: float, series: dict[str, Any]
) -> None:
    reached = series["below"] + np.cumsum([0.0, *series["shares"]])
    wanted = np.interp(q, reached, HISTOGRAM["edges"])
    assert quantile(HISTOGRAM["edges"], series, q) == pytest.approx(wanted)


def test_a_histogram_is_drawn_as_a_density() -> None:
    made = rich()
    wide = {**HISTOGRAM, "edges": [0.0, 2.0, 3.0, 4.0]}
    panel = picture(replace(made, histograms=(wide,)), "histograms").panels[0]
    assert list(panel.lines[0].y) == pytest.approx([0.1, 0.4, 0.2])
    assert panel.lines[0].steps


def rare(generation: int, raw: dict[str, Any], **details: Any) -> Finding:
    made = finding("tail-mass", generation, Outcome.PASS, (0.9, 0.8, 1.0), raw=raw, **details)
    return replace(made, probe="rare-texts", statistic="rare")


def test_the_surprise_of_both_sides_is_drawn_as_densities_with_the_baselines_cuts() -> None:
    panel = picture(audit(rare(3, {"surprise": SURPRISE})), "surprise").panels[0]
    assert [list(line.y) for line in panel.lines] == [pytest.approx([0.2, 0.3, 0.3]), pytest.approx([0.3, 0.3, 0.0])]
    assert all(line.steps for line in panel.lines)
    assert [(rule.at, rule.label, rule.axis) for rule in panel.rules] == [(-0.5, "25%", "x"), (1.5, "90%", "x")]
    assert panel.title.startswith("generation 3 beside ")


def test_of_many_generations_six_are_drawn_and_of_several_seeds_the_last_of_each() -> None:
    long = picture(audit(*(rare(k, {"surprise": SURPRISE}) for k in range(1, 31))), "surprise")
    titles = [panel.title.split()[1] for panel in long.panels]
    assert (len(titles), titles[0], titles[-1]) == (6, "1", "30")
    assert "24 comparisons are left out" in long.caption
    seeds = picture(audit(*(rare(k, {"surprise": SURPRISE}, seed=s) for s in "ab" for k in (1, 2))), "surprise")
    assert [panel.title.split(" ")[1] for panel in seeds.panels] == ["2", "2"]
    assert [panel.title[-6:] for panel in seeds.panels] == ["seed a", "seed b"]


@pytest.mark.parametrize(
    "broken",
    [
        "text",
        {"edges": [0.0, 1.0]},
        {**SURPRISE, "edges": [0.0, 1.0, 1.0, 2.0]},
        {**SURPRISE, "edges": [0.0, 1.0, "2", 3.0]},
        {**SURPRISE, "cuts": None},
        {**SURPRISE, "baseline": {"shares": [1.0]}},
        {**SURPRISE, "generation": None},
    ],
)
def test_what_is_no_histogram_is_not_drawn(broken: Any) -> None:
    assert not [each for each in pictures(audit(rare(1, {"surprise": broken}))) if each.slug == "surprise"]


def test_a_ridge_stands_on_its_row() -> None:
    panel = picture(rich(), "ridges").panels[0]
    assert [line.base for line in panel.lines] == [0.0, -1.0]
    assert panel.y_ticks == {0.0: "gen 0", -1.0: "gen 1"}
    tops = [max(line.y) - (line.base or 0.0) for line in panel.lines]
    assert tops[0] / tops[1] == pytest.approx(0.4 / 0.5)


def test_unique_patterns_begin_with_generation_0_itself() -> None:
    (panel,) = picture(rich(), "unique").panels
    for line in panel.lines:
        assert list(line.x) == [0.0, 1.0, 2.0]
        assert list(line.y) == pytest.approx([0.5, 0.3, 0.15])


def test_divergences_begin_at_zero() -> None:
    _, forward, reverse = picture(rich(), "divergence").panels
    assert list(forward.lines[0].y) == pytest.approx([0.0, 0.1, 0.2])
    assert list(reverse.lines[0].y) == pytest.approx([0.0, 0.05, 0.1])


def test_what_is_gated_on_a_divergence_stands_beside_the_raw_one_with_intervals_and_margin() -> None:
    panel = picture(rich(), "divergence").panels[0]
    assert panel.title == "token-divergence / JS-excess"
    assert [(list(each.low), list(each.y), list(each.high)) for each in panel.lines] == [
        ([0.02] * 2, [0.03] * 2, [0.04] * 2)
    ] * 2
    assert {rule.at for rule in panel.rules} == {0.0, 0.01}


def test_without_generation_0_as_the_baseline_there_is_no_point_for_it() -> None:
    made = rich()
    other = tuple(replace(each, baseline="reference (held-out)") for each in made.findings)
    (panel,) = picture(replace(made, findings=other), "unique").panels
    assert list(panel.lines[0].x) == [1.0, 2.0]


def test_coverage_is_the_ratio_of_distinct_words_at_the_logarithm_of_the_rank() -> None:
    panel = picture(rich(), "coverage").panels[0]
    assert RANKS[1] == {"rank": 32, "baseline": 28, "generation": 14}
    assert list(panel.lines[0].x) == [2.0, 5.0]
    assert list(panel.lines[0].y) == [1.0, 0.5]


def test_labels_keep_their_share_of_the_baseline() -> None:
    panel = picture(rich(), "survival").panels[0]
    assert [list(line.y) for line in panel.lines] == [[1.0, 0.1]]
    assert {rule.at for rule in panel.rules} == {1.0, 0.5, 0.25}
    shares = picture(rich(), "labels").panels[0]
    assert [list(line.x) for line in shares.lines] == [[0.1], [0.01]]


def test_trends_have_their_intervals() -> None:
    (panel,) = picture(rich(), "trend").panels
    assert list(panel.lines[0].low) == pytest.approx([0.1 - 1.645 * 0.01, 0.08 - 1.645 * 0.02])


@given(st.lists(st.integers(0, 99), min_size=1, unique=True), st.integers(2, 9))
def test_evenly_keeps_order_ends_and_number(values: list[int], most: int) -> None:
    kept = evenly(values, most)
    assert len(kept) == min(len(values), most)
    assert (kept[0], kept[-1]) == (values[0], values[-1])
    assert kept == [each for each in values if each in kept]


@given(st.floats(-1e5, 1e5), st.floats(1e-6, 1e5))
def test_the_ticks_of_an_axis_read_as_what_they_are(low: float, size: float) -> None:
    for mark, label in number_ticks(low, low + size).items():
        assert math.isclose(float(label.replace(",", "")), mark, rel_tol=0.06, abs_tol=1e-9)
