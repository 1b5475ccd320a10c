"""Histograms of perplexity, laid over each other and stacked, and their middle and spread by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from collapse_audit.reports._format import inert, number
from collapse_audit.reports.document import AuditReport
from collapse_audit.reports.pictures.beside import raw_panels
from collapse_audit.reports.pictures.common import (
    MOST_SEEDS,
    Picture,
    dodge,
    drawn_series,
    generation_keys,
    number_ticks,
    of_seed,
    over_generations,
    ramp,
    seed_keys,
    seed_style,
    series_name,
    spanned,
)
from collapse_audit.reports.pictures.drawing import DASHES, Line, Panel


def _density(histogram: Mapping[str, Any], series: Mapping[str, Any]) -> list[float]:
    edges = histogram["edges"]
    return [share / (right - left) for share, left, right in zip(series["shares"], edges[:-1], edges[1:], strict=True)]


def histograms(report: AuditReport) -> Picture | None:
    known = report.histograms[:MOST_SEEDS]
    if not known:
        return None
    several = len(report.histograms) > 1
    return Picture(
        slug="histograms",
        title="Perplexity under generation 0, on common bins",
        caption=(
            "Collapse piles texts up on the left, where generation 0 is sure, and may grow a long right tail "
            "(Shumailov et al. 2024, figure 1b and c). Density; the axis is logarithmic in perplexity."
        ),
        panels=tuple(_histogram(each, several=several) for each in known),
        keys=generation_keys(known[0]),
    )


def _histogram(histogram: Mapping[str, Any], *, several: bool) -> Panel:
    series = drawn_series(histogram)
    lines = tuple(
        Line(
            x=histogram["edges"],
            y=_density(histogram, each),
            steps=True,
            tone=ramp(order, len(series)),
            dash=DASHES[order % len(DASHES)],
        )
        for order, each in enumerate(series)
    )
    top = max((value for line in lines for value in line.y), default=1.0) * 1.12 or 1.0
    return Panel(
        **_frame(histogram, series, several=several),
        lines=lines,
        y_range=(0.0, top),
        y_ticks=number_ticks(0.0, top, most=4),
    )


def _frame(histogram: Mapping[str, Any], series: Sequence[Mapping[str, Any]], *, several: bool) -> dict[str, Any]:
    """What a histogram's panel is called and lies over, however its series are drawn."""
    statistic, unit, edges = inert(histogram["statistic"]), inert(histogram["unit"]), histogram["edges"]
    return {
        "title": f"{statistic}{of_seed(histogram.get('seed'), several)}",
        "unit": unit,
        "about": "; ".join(_spread_told(histogram, each) for each in series),
        "x_label": f"{statistic} ({unit})",
        "x_range": (edges[0], edges[-1]),
        "x_ticks": number_ticks(edges[0], edges[-1]),
    }


def _spread_told(histogram: Mapping[str, Any], series: Mapping[str, Any]) -> str:
    low, median, high = (quantile(histogram["edges"], series, q) for q in (0.05, 0.5, 0.95))
    return f"{inert(series['name'])}: median {number(median)}, 5% to 95% {number(low)} to {number(high)}"


def quantile(edges: Sequence[float], series: Mapping[str, Any], q: float) -> float:
    """The ``q`` quantile of a histogram, straight within a bin; an edge where it lies outside all bins."""
    reached = float(series["below"])
    if q <= reached:
        return float(edges[0])
    for share, left, right in zip(series["shares"], edges[:-1], edges[1:], strict=True):
        if share > 0 and reached + share >= q:
            return float(left + (right - left) * (q - reached) / share)
        reached += share
    return float(edges[-1])


def ridges(report: AuditReport) -> Picture | None:
    known = report.histograms[:MOST_SEEDS]
    several = len(report.histograms) > 1
    return Picture(
        slug="ridges",
        title="The same, stacked",
        caption="A row a generation, generation 0 on top; the same bins and the same height scale within a seed.",
        panels=tuple(_ridge(each, several=several) for each in known),
    )


def _ridge(histogram: Mapping[str, Any], *, several: bool) -> Panel:
    series = drawn_series(histogram)
    top = max((value for each in series for value in _density(histogram, each)), default=1.0) or 1.0
    lines = tuple(
        Line(
            x=histogram["edges"],
            y=[-order + 1.6 * value / top for value in _density(histogram, each)],
            steps=True,
            base=float(-order),
            tone=ramp(order, len(series)),
        )
        for order, each in enumerate(series)
    )
    return Panel(
        **_frame(histogram, series, several=several),
        lines=lines,
        y_range=(-len(series) + 0.75, 1.7),
        y_ticks={float(-order): series_name(each) for order, each in enumerate(series)},
        height=60 + 34 * len(series),
        grid=False,
    )


def perplexity(report: AuditReport) -> Picture | None:
    known = report.histograms[:MOST_SEEDS]
    if not known:
        return None
    seeds = [histogram.get("seed") for histogram in known]
    spread = dodge(len(seeds))
    lines = []
    for order, histogram in enumerate(known):
        series = [each for each in histogram["series"] if "generation" in each]
        at = {q: [math.exp(quantile(histogram["edges"], each, q)) for each in series] for q in (0.05, 0.5, 0.95)}
        lines.append(
            Line(
                x=[each["generation"] + spread[order] for each in series],
                y=at[0.5],
                low=at[0.05],
                high=at[0.95],
                **seed_style(order),
            )
        )
    y_range = spanned([value for line in lines for value in (*line.low, *line.high)])
    panel = Panel(
        title="Perplexity under generation 0",
        unit="perplexity",
        about="; ".join(
            f"generation {x:.0f}: median {number(y)}" for line in lines for x, y in zip(line.x, line.y, strict=True)
        ),
        lines=tuple(lines),
        y_range=y_range,
        y_ticks=number_ticks(*y_range),
        **over_generations(each["generation"] for h in known for each in h["series"] if "generation" in each),
    )
    return Picture(
        slug="perplexity",
        title="Perplexity by seed: middle and spread",
        caption=(
            "Left: the median text, and from the 5% to the 95% quantile (read off the histogram). Right: the geometric "
            "mean, exp of the mean nats per token."
        ),
        panels=(panel, *raw_panels(report, "perplexity", seeds)),
        keys=seed_keys(seeds),
    )
