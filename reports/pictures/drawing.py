"""Panels in, inline SVG out. The only module that draws, so the only one that imports matplotlib, and only to draw.

Colours are names (``Line.tone``) that end up as CSS variables: one picture serves light, dark and print. Nothing is
laid out by measuring text, and ids depend on nothing but their order, so the same panels give the same bytes.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import shutil
import sys
import tempfile
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

SERIES = ("s0", "s1", "s2", "s3", "s4", "s5")
"""Tones of seeds or labels; :data:`MARKERS` and :data:`DASHES` tell them apart without colour."""
RAMP = ("g0", "g1", "g2", "g3", "g4", "g5", "g6")
"""Tones of generations, from the first to the last."""
MARKERS = ("o", "s", "D", "^", "v", "P")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 1.5)), (0, (8, 2)))
_TONES = (*SERIES, *RAMP, "ink", "soft", "rule", "fail", "pass", "unsure", "wash", "paper")
_CODES: Mapping[str, str] = {tone: f"#0f00{number:02x}" for number, tone in enumerate(_TONES)}
"""A colour that stands for each tone while matplotlib draws."""
_VARIABLES = {code: f"var(--{tone})" for tone, code in _CODES.items()}
_SMALL = 10.0
"""Size of text, in pixels."""
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points that belong together; ``x`` has one entry more than ``y`` where ``steps`` draws a histogram."""

    x: Sequence[float]
    y: Sequence[float]
    tone: str = "s0"
    marker: str = ""
    dash: Any = "-"
    """A matplotlib line style, or "" for points that are not joined."""
    low: Sequence[float] = ()
    """Ends of an interval at every point, or nothing."""
    high: Sequence[float] = ()
    across: bool = False
    """Whether intervals lie along x."""
    steps: bool = False
    base: float | None = None
    """Where given, the area down to it is filled."""
    label: str = ""
    """Written beside the last point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A straight line across the panel."""

    at: float
    axis: Literal["x", "y"] = "y"
    tone: str = "fail"
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One small picture. Ticks that are not given are chosen."""

    title: str
    about: str
    """What it shows, in words, for whoever does not see it."""
    unit: str = ""
    lines: tuple[Line, ...] = ()
    rules: tuple[Rule, ...] = ()
    beyond: tuple[float, Literal["higher", "lower"], Literal["x", "y"]] | None = None
    """Where damage begins, on which side of it the damage lies, and on which axis."""
    x_label: str = ""
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_ticks: Mapping[float, str]
    y_ticks: Mapping[float, str]
    width: int = 340
    height: int = 200
    left: int = 46
    right: int = 12
    top: int = 10
    grid: bool = True


class Styles:
    """Every distinct style of all pictures of a page, as a class: a page without style attributes needs no
    ``unsafe-inline`` in its Content-Security-Policy. And the panels that were drawn for it, each once."""

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}
        self._drawn: dict[int, tuple[Panel, str]] = {}

    def drawing(self, panel: Panel) -> str:
        """``panel`` as matplotlib draws it; the same object again is not drawn again."""
        if id(panel) not in self._drawn:
            self._drawn[id(panel)] = panel, _rendered(panel)  # held, so that no other panel gets its number
        return self._drawn[id(panel)][1]

    def name(self, style: str) -> str:
        """The class of ``style``."""
        return self._classes.setdefault(style, f"v{len(self._classes)}")

    @property
    def css(self) -> str:
        """A rule a class."""
        return "\n".join(f".{name}{{{style}}}" for style, name in self._classes.items())


def drawn(panels: Sequence[Panel], styles: Styles, key: str) -> list[str]:
    """Every panel as one ``<svg>`` element; ``key`` leads their ids and must be its own on the page."""
    if not panels:
        return []
    with _settings(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of glyphs that matplotlib's own font lacks; the browser's has them
        texts = [styles.drawing(panel) for panel in panels]
    return [
        _labelled(_cleaned(ET.fromstring(text), styles, f"{key}{number}"), panel, f"{key}{number}")
        for number, (panel, text) in enumerate(zip(panels, texts, strict=True))
    ]


def ticks(low: float, high: float, *, most: int = 5, whole: bool = False) -> list[float]:
    """Round numbers within ``low`` to ``high``, evenly apart, at most about ``most``."""
    _imported()
    from matplotlib.ticker import MaxNLocator

    places = MaxNLocator(nbins=most, integer=whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = (high - low) * 1e-9
    return [round(float(each), 12) + 0.0 for each in places if low - slack <= each <= high + slack]


# --------------------------------------------------------------------------------------------------------- matplotlib


@functools.cache
def _home() -> tempfile.TemporaryDirectory[str]:
    """A folder for the list of fonts, which matplotlib would else write into the user's home; gone at exit.

    A list that lies there from earlier is taken over: to make one takes seconds where many fonts are installed.
    """
    home = tempfile.TemporaryDirectory(prefix="collapse-audit-")
    with contextlib.suppress(OSError, RuntimeError):
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        for made in base.glob("matplotlib/fontlist-*.json"):
            shutil.copy(made, home.name)
    return home


@functools.cache
def _imported() -> None:
    """Import matplotlib without writing into the user's home; a folder that the user has named for it is used."""
    ours = "matplotlib" not in sys.modules and "MPLCONFIGDIR" not in os.environ
    if ours:
        os.environ["MPLCONFIGDIR"] = _home().name
    try:
        import matplotlib.backends.backend_svg
        import matplotlib.figure
        import matplotlib.style  # noqa: F401
    finally:
        if ours:
            del os.environ["MPLCONFIGDIR"]


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """Matplotlib's own defaults, whatever its user has set, and text that stays text."""
    _imported()
    import matplotlib as mpl
    import matplotlib.style as style

    with style.context("default"), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "0"}):
        yield


def _rendered(panel: Panel) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(panel.width / 72, panel.height / 72), dpi=72)
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    below = 34 if panel.x_label else 20 if panel.x_ticks else 4
    axes = figure.add_axes(
        (
            panel.left / panel.width,
            below / panel.height,
            (panel.width - panel.left - panel.right) / panel.width,
            (panel.height - below - panel.top) / panel.height,
        )
    )
    axes.set_axis_off()  # matplotlib's own ticks are objects each, and slow
    axes.set(xlim=panel.x_range, ylim=panel.y_range)
    _draw_frame(axes, panel)
    for rule in panel.rules:
        _draw_rule(axes, rule)
    for order, line in enumerate(panel.lines):
        _draw_line(axes, line, order)
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return written.getvalue()


def _draw_frame(axes: Any, panel: Panel) -> None:
    """Ticks, grid, axis names and the side where damage lies."""
    plain = {"fontsize": _SMALL, "color": _CODES["soft"], "parse_math": False}
    offset = {"textcoords": "offset points", "annotation_clip": False}
    left, bottom = panel.x_range[0], panel.y_range[0]
    for at, label in panel.x_ticks.items():
        axes.annotate(label, (at, bottom), (0, -6), ha="center", va="top", **plain, **offset)
    for at, label in panel.y_ticks.items():
        axes.annotate(label, (left, at), (-6, 0), ha="right", va="center_baseline", **plain, **offset)
    if panel.grid:
        axes.hlines(list(panel.y_ticks), *panel.x_range, color=_CODES["rule"], linewidth=0.75, zorder=0)
    if panel.x_ticks:
        axes.plot(panel.x_range, (bottom, bottom), color=_CODES["rule"], linewidth=1, clip_on=False, zorder=0)
    if panel.x_label:
        middle = sum(panel.x_range) / 2
        axes.annotate(panel.x_label, (middle, bottom), (0, -20), ha="center", va="top", **plain, **offset)
    if panel.beyond is not None:
        at, side, axis = panel.beyond
        span = axes.axhspan if axis == "y" else axes.axvspan
        end = (panel.y_range if axis == "y" else panel.x_range)[1 if side == "higher" else 0]
        span(min(at, end), max(at, end), facecolor=_CODES["wash"], linewidth=0, zorder=-1)


def _draw_rule(axes: Any, rule: Rule) -> None:
    style = {"color": _CODES[rule.tone], "linewidth": 1, "linestyle": (0, (4, 3)) if rule.tone == "fail" else "-"}
    (axes.axhline if rule.axis == "y" else axes.axvline)(rule.at, **style, zorder=1)
    if rule.label:
        end = (axes.get_xlim()[1], rule.at) if rule.axis == "y" else (rule.at, axes.get_ylim()[1])
        axes.annotate(
            rule.label,
            end,
            (0, 3) if rule.axis == "y" else (4, -2),
            textcoords="offset points",
            ha="right" if rule.axis == "y" else "left",
            va="bottom" if rule.axis == "y" else "top",
            fontsize=_SMALL,
            color=_CODES["ink"],
            parse_math=False,
            annotation_clip=False,
        )


def _draw_line(axes: Any, line: Line, order: int) -> None:
    color = _CODES[line.tone]
    over = 3 + order / 100
    if line.steps:
        x = [each for each in line.x for _ in (0, 1)][1:-1]
        y = [each for each in line.y for _ in (0, 1)]
    else:
        x, y = list(line.x), list(line.y)
    if line.base is not None:
        axes.fill_between(x, y, line.base, facecolor=_CODES["paper"], linewidth=0, zorder=over)
        axes.fill_between(x, y, line.base, facecolor=color, alpha=0.22, linewidth=0, zorder=over + 0.001)
    if line.low:
        bars = axes.hlines if line.across else axes.vlines
        bars(y if line.across else x, line.low, line.high, color=color, linewidth=1.4, zorder=over)
    axes.plot(
        x,
        y,
        color=color,
        linewidth=1.5,
        linestyle=line.dash or "none",
        marker=line.marker or None,
        markersize=4.5,
        markeredgewidth=0,
        clip_on=not line.across,
        solid_joinstyle="round",
        zorder=over + 0.002,
    )
    if line.label and x:
        axes.annotate(
            line.label,
            (x[-1], y[-1]),
            (6, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=_SMALL,
            color=_CODES["ink"],
            parse_math=False,
            annotation_clip=False,
        )


# ---------------------------------------------------------------------------------------------------------------- SVG


_FONT = re.compile(r"\s*font-family:[^;]*;?")
_COLOR = re.compile(r"#0f00[0-9a-f]{2}")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_TURN = re.compile(r"^rotate\(-?0(\.0+)? ")
_REFERS = re.compile(r"url\(#([^)]+)\)")


def _cleaned(root: ET.Element, styles: Styles, key: str) -> ET.Element:
    """Without names, sizes and styles of its own: ids that are referred to get ``key`` before them, styles classes."""
    used = {each.get(_XLINK, "").removeprefix("#") for each in root.iter()}
    used |= {match[1] for each in root.iter() for value in each.attrib.values() for match in _REFERS.finditer(value)}
    names = {name: f"{key}-{number}" for number, name in enumerate(sorted(used - {""}))}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{_SVG}metadata" or child.find(f"{_SVG}style") is not None:
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.attrib = dict(_attributes(element, names, styles))
        element.text = (element.text or "").strip() or None
        element.tail = None
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    return root


def _attributes(element: ET.Element, names: Mapping[str, str], styles: Styles) -> Iterator[tuple[str, str]]:
    for key, value in element.attrib.items():
        if key == "id":
            if value in names:
                yield key, names[value]
        elif key == "style":
            style = _COLOR.sub(lambda match: _VARIABLES[match[0]], _FONT.sub("", value)).strip().rstrip(";")
            if style:
                yield "class", styles.name(style)
        elif key == _XLINK:
            yield "href", f"#{names[value.removeprefix('#')]}"
        elif key != "transform" or not _TURN.match(value):
            value = _REFERS.sub(lambda match: f"url(#{names[match[1]]})", value)
            yield key, " ".join(_NUMBER.sub(_short, value).split())


def _short(match: re.Match[str]) -> str:
    """Two decimals: a hundredth of a pixel."""
    shown = f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def _labelled(root: ET.Element, panel: Panel, key: str) -> str:
    """With its name and what it shows, for screen readers."""
    root.attrib |= {"role": "img", "aria-labelledby": f"{key}-t {key}-d", "class": "plot"}
    for position, (tag, text) in enumerate((("title", panel.title), ("desc", panel.about))):
        element = ET.Element(tag, {"id": f"{key}-{tag[0]}"})
        element.text = text
        root.insert(position, element)
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)
