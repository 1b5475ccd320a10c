"""Panels become SVG: points where they belong, colours as variables, nothing of the user's own settings."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from collapse_audit.reports.pictures.drawing import MARKERS, RAMP, SERIES, Line, Panel, Rule, Styles, drawn, ticks

PANEL = Panel(
    title="title",
    about="about",
    lines=(Line(x=[0.0, 5.0, 10.0], y=[0.0, 2.0, 1.0]),),
    x_range=(0.0, 10.0),
    y_range=(0.0, 4.0),
    x_ticks={0.0: "0", 10.0: "10"},
    y_ticks={0.0: "0", 4.0: "4"},
    x_label="x",
)
LEFT, RIGHT, TOP, BOTTOM = 46.0, 340.0 - 12.0, 10.0, 200.0 - 34.0
"""Edges of the axes of a panel of the usual size, in pixels from above."""


def place(x: float, y: float) -> tuple[float, float]:
    """Where a point of PANEL belongs, by hand."""
    return LEFT + (RIGHT - LEFT) * x / 10, BOTTOM - (BOTTOM - TOP) * y / 4


def svg(panel: Panel) -> ET.Element:
    return ET.fromstring(drawn([panel], Styles(), "k")[0])


def paths(root: ET.Element) -> list[list[tuple[float, float]]]:
    found = []
    for path in root.iter("path"):
        numbers = [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", path.get("d", ""))]
        found.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return found


def test_a_line_runs_through_its_points() -> None:
    wanted = [place(0, 0), place(5, 2), place(10, 1)]
    assert any(
        len(path) == 3 and all(point == pytest.approx(want, abs=0.01) for point, want in zip(path, wanted, strict=True))
        for path in paths(svg(PANEL))
    )


def test_the_steps_of_a_histogram_are_as_high_as_its_values() -> None:
    line = Line(x=[0.0, 4.0, 10.0], y=[3.0, 1.0], steps=True)
    wanted = [place(0, 3), place(4, 3), place(4, 1), place(10, 1)]
    found = [path for path in paths(svg(replace(PANEL, lines=(line,)))) if len(path) == 4]
    assert any(all(p == pytest.approx(w, abs=0.01) for p, w in zip(path, wanted, strict=True)) for path in found)


def test_an_interval_reaches_from_its_lower_to_its_upper_end() -> None:
    line = Line(x=[5.0], y=[2.0], low=[1.0], high=[3.5], dash="")
    found = [sorted(path) for path in paths(svg(replace(PANEL, lines=(line,)))) if len(path) == 2]
    wanted = sorted([place(5, 1), place(5, 3.5)])
    assert any(all(p == pytest.approx(w, abs=0.01) for p, w in zip(path, wanted, strict=True)) for path in found)


def test_a_marker_on_the_edge_of_a_forest_is_drawn_whole() -> None:
    line = Line(x=[0.0], y=[2.0], low=[0.0], high=[1.0], across=True, marker="o", dash="")
    uses = list(svg(replace(PANEL, lines=(line,))).iter("use"))
    clipped = [use for use in svg(replace(PANEL, lines=(line,))).iter("g") if use.get("clip-path")]
    assert len(uses) == 1
    assert not [use for group in clipped for use in group.iter("use")]


def test_the_margin_lies_where_it_is_and_is_named() -> None:
    root = svg(replace(PANEL, rules=(Rule(at=3.0, label="margin"),)))
    assert any(
        len(path) == 2 and all(y == pytest.approx(place(0, 3)[1], abs=0.01) for _, y in path) for path in paths(root)
    )
    assert "margin" in [element.text for element in root.iter("text")]


def test_colours_are_variables_and_styles_are_classes() -> None:
    styles = Styles()
    lines = tuple(Line(x=[0, 1], y=[0, 1], tone=tone, marker=MARKERS[0]) for tone in (*SERIES, *RAMP))
    text = drawn([replace(PANEL, lines=lines)], styles, "k")[0]
    assert "#0f00" not in text + styles.css
    assert "style=" not in text
    for tone in (*SERIES, *RAMP):
        assert f"var(--{tone})" in styles.css
    assert set(re.findall(r'class="(v\d+)"', text)) <= set(re.findall(r"\.(v\d+)\{", styles.css))


def test_text_is_text_and_never_a_formula() -> None:
    root = svg(replace(PANEL, y_ticks={1.0: "$x^2$ <b>узел</b> שלום"}))
    assert "$x^2$ <b>узел</b> שלום" in [element.text for element in root.iter("text")]


def test_the_users_own_settings_of_matplotlib_do_not_matter() -> None:
    import matplotlib as mpl

    before = drawn([PANEL], Styles(), "k")
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert drawn([PANEL], Styles(), "k") == before


def test_ids_begin_with_their_key() -> None:
    ids = [element.get("id") for element in svg(PANEL).iter() if element.get("id")]
    assert ids
    assert all(each is not None and each.startswith("k0") for each in ids)


def test_nothing_is_drawn_of_nothing() -> None:
    assert drawn([], Styles(), "k") == []


@pytest.mark.parametrize(
    ("low", "high", "whole", "wanted"),
    [(0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0.9, 3.2, True, [1, 2, 3]), (-0.03, 0.03, False, [-0.02, 0, 0.02])],
)
def test_ticks_are_round_and_within(low: float, high: float, whole: bool, wanted: list[float]) -> None:
    found = ticks(low, high, whole=whole)
    assert set(wanted) <= set(found)
    assert all(low <= each <= high for each in found)
