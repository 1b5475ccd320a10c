"""Familiar numbers beside the gated ones: KL divergences, unique patterns, coverage by rank, trends, losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from collapse_audit.probes.registry import gates_of
from collapse_audit.probes.statistics.readings import RawPanel
from collapse_audit.reports._format import inert, number, title
from collapse_audit.reports.document import AuditReport, Finding
from collapse_audit.reports.pictures.common import (
    MOST_SEEDS,
    Key,
    Picture,
    dodge,
    evenly,
    number_ticks,
    of_seed,
    over_generations,
    ramp,
    seed_keys,
    seed_style,
    seeds_of,
    spanned,
)
from collapse_audit.reports.pictures.drawing import DASHES, MARKERS, RAMP, Line, Panel, Rule, ticks
from collapse_audit.reports.pictures.gated import statistic_panel


def raw_panels(report: AuditReport, picture: str, seeds: Sequence[str | None]) -> tuple[Panel, ...]:
    """A panel for each raw number that a gate has drawn in ``picture``."""
    return tuple(
        panel
        for which, gate in gates_of().items()
        for raw in gate.panels
        if raw.picture == picture and (panel := _raw_panel(report, which, raw, seeds)) is not None
    )


def _drawn_in(picture: str) -> list[tuple[str, str]]:
    """Probe and statistic of every gate with a panel in ``picture``."""
    return [which for which, gate in gates_of().items() if any(raw.picture == picture for raw in gate.panels)]


def _seeds(report: AuditReport, picture: str) -> list[str | None]:
    drawn = _drawn_in(picture)
    return seeds_of(f.seed for f in report.findings if (f.probe, f.statistic) in drawn and f.gating)


def _raw_panel(report: AuditReport, which: tuple[str, str], raw: RawPanel, seeds: Sequence[str | None]) -> Panel | None:
    before, after = raw.baseline, raw.generation
    transform: Callable[[float], float] = math.exp if raw.exp else float
    lines = []
    for order, seed in enumerate(seeds):
        own = sorted(
            (
                f
                for f in report.findings
                if (f.probe, f.statistic) == which and f.gating and f.seed == seed and _is_number(f.raw.get(after))
            ),
            key=lambda finding: finding.generation,
        )
        points = [(float(f.generation), transform(f.raw[after])) for f in own]
        if own and before is None:
            points = [(0.0, 0.0), *points] if _against_first(own) else points
        elif own and before is not None and _against_first(own) and _is_number(own[0].raw.get(before)):
            points = [(0.0, transform(own[0].raw[before])), *points]
        if points:
            x, y = zip(*points, strict=True)
            lines.append(Line(x=x, y=y, **seed_style(order)))
    if not lines:
        return None
    y_range = spanned([*(value for line in lines for value in line.y), *(() if raw.exp else (0.0,))])
    return Panel(
        title=raw.title,
        unit=raw.unit,
        about=f"{raw.title} by generation: "
        + "; ".join(
            f"{'' if seeds[order] is None else f'seed {inert(seeds[order])}: '}" + ", ".join(map(number, line.y))
            for order, line in enumerate(lines)
        ),
        lines=tuple(lines),
        y_range=y_range,
        y_ticks=number_ticks(*y_range),
        **over_generations(int(x) for line in lines for x in line.x),
    )


def _against_first(group: Sequence[Finding]) -> bool:
    return all(finding.baseline.startswith("generation 0") and finding.generation > 0 for finding in group)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def divergence(report: AuditReport) -> Picture | None:
    seeds = _seeds(report, "divergence")
    return Picture(
        slug="divergence",
        title="KL divergence from the baseline",
        caption=(
            "The form of tables 2, 3, 5 and 6 of Bobrova et al. Words: 0.5 added to every count, the mean over "
            "relabellings subtracted. The panels with bars and a margin are what the verdict rests on, as in the first "
            "picture; the raw divergences have neither, and depend on n, vocabulary and smoothing."
        ),
        panels=(
            *(panel for which in _drawn_in("divergence") for panel in _gated(report, which, seeds)),
            *raw_panels(report, "divergence", seeds),
        ),
        keys=seed_keys(seeds),
    )


def _gated(report: AuditReport, which: tuple[str, str], seeds: Sequence[str | None]) -> list[Panel]:
    """The panel of what is gated on a divergence, where it is."""
    group = [
        f
        for f in report.findings
        if (f.probe, f.statistic) == which and f.gating and f.value is not None and f.margin is not None
    ]
    return [statistic_panel(title(group[0]), group, seeds)] if group else []


def unique(report: AuditReport) -> Picture | None:
    seeds = _seeds(report, "unique")
    return Picture(
        slug="unique",
        title="Share of unique patterns",
        caption=(
            "Texts that still differ when numbers are masked, and texts that differ at all, over the number of texts "
            "(figures 4 and 5 of Bobrova et al.). Both fall as n grows, so compare them at one n only."
        ),
        panels=raw_panels(report, "unique", seeds),
        keys=seed_keys(seeds),
    )


def coverage(report: AuditReport) -> Picture | None:
    """Curves by rank, where tail-coverage brought them."""
    covered = [f for f in report.findings if f.gating and isinstance(f.raw.get("coverage_by_rank"), list | tuple)]
    seeds = seeds_of(finding.seed for finding in covered)
    generations = evenly(sorted({finding.generation for finding in covered}), len(RAMP))
    return Picture(
        slug="coverage",
        title="Tail coverage by rank",
        caption=(
            "Words ranked by how many texts of the two samples together hold them. Of each class of ranks: distinct "
            "words in the generation over those in the baseline, at equal n; 1 where nothing vanished."
        ),
        panels=tuple(
            _covered([f for f in covered if f.seed == seed and f.generation in generations], seed, len(seeds) > 1)
            for seed in seeds
        ),
        keys=tuple(
            Key(
                label=f"generation {generation}",
                tone=ramp(order, len(generations)),
                marker=MARKERS[order % len(MARKERS)],
            )
            for order, generation in enumerate(generations)
        ),
    )


def _covered(group: Sequence[Finding], seed: str | None, several: bool) -> Panel:
    lines = []
    for order, finding in enumerate(sorted(group, key=lambda each: each.generation)):
        classes = [each for each in finding.raw["coverage_by_rank"] if each["baseline"] > 0]
        lines.append(
            Line(
                x=[math.log2(each["rank"]) for each in classes],
                y=[each["generation"] / each["baseline"] for each in classes],
                tone=ramp(order, len(group)),
                marker=MARKERS[order % len(MARKERS)],
            )
        )
    last = max((x for line in lines for x in line.x), default=1.0)
    top = max(1.1, *(y for line in lines for y in line.y)) * 1.04
    marks = ticks(0.0, last, most=6, whole=True)
    return Panel(
        title=f"Distinct words kept{of_seed(seed, several)}",
        unit="ratio to the baseline's",
        about=f"{len(lines)} generations, ranks up to {2**last:.0f}. In the rarest class: "
        + ", ".join(number(line.y[-1]) for line in lines if line.y),
        lines=tuple(lines),
        rules=(Rule(at=1.0, tone="soft"),),
        x_label="rank, up to",
        x_range=(-0.3, last + 0.4),
        y_range=(0.0, min(top, 3.0)),
        x_ticks={mark: number(round(2**mark)) for mark in marks},
        y_ticks=number_ticks(0.0, min(top, 3.0)),
    )


def trend(report: AuditReport) -> Picture | None:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for trend in report.trends:
        if trend.get("values") and trend.get("errors"):
            groups.setdefault(trend["statistic"], []).append(trend)
    seeds = seeds_of(trend.get("seed") for group in groups.values() for trend in group)
    return Picture(
        slug="trend",
        title="Trend along the generations",
        caption="What each generation has by itself, not compared with a baseline; bars are 90% intervals.",
        panels=tuple(_trend_panel(name, group, seeds) for name, group in groups.items()),
        keys=seed_keys(seeds),
    )


def _trend_panel(name: str, group: Sequence[Mapping[str, Any]], seeds: Sequence[str | None]) -> Panel:
    spread = dodge(len(seeds))
    lines = []
    for trend in group:
        if trend.get("seed") not in seeds:
            continue
        order = seeds.index(trend.get("seed"))
        values, errors = trend["values"], trend["errors"]
        reach = [(v - 1.645 * e, v + 1.645 * e) for v, e in zip(values, errors, strict=True)]
        lines.append(
            Line(
                x=[generation + spread[order] for generation in trend["generations"]],
                y=values,
                low=[low for low, _ in reach],
                high=[high for _, high in reach],
                **seed_style(order),
            )
        )
    y_range = spanned([value for line in lines for value in (*line.low, *line.high)])
    return Panel(
        title=inert(name),
        unit=inert(group[0].get("unit", "")),
        about=f"{inert(name)} by generation: " + "; ".join(", ".join(map(number, line.y)) for line in lines),
        lines=tuple(lines),
        y_range=y_range,
        y_ticks=number_ticks(*y_range),
        **over_generations(k for trend in group for k in trend["generations"]),
    )


def training(report: AuditReport) -> Picture | None:
    runs: dict[str | None, list[Mapping[str, Any]]] = {}
    for run in report.training:
        runs.setdefault(run.get("seed"), []).append(run)
    shown = dict(list(runs.items())[:MOST_SEEDS])
    first = next(iter(shown.values()), [])
    kept = evenly([run["generation"] for run in first], len(RAMP))
    return Picture(
        slug="training",
        title="Training loss",
        caption="From the training logs, averaged over stretches of steps.",
        panels=tuple(
            _losses([run for run in group if run["generation"] in kept], seed, len(shown) > 1)
            for seed, group in shown.items()
        ),
        keys=tuple(
            Key(label=f"generation {generation}", tone=ramp(order, len(kept)), dash=order % len(DASHES))
            for order, generation in enumerate(kept)
        ),
    )


def _losses(group: Sequence[Mapping[str, Any]], seed: str | None, several: bool) -> Panel:
    lines = tuple(
        Line(x=run["steps"], y=run["losses"], tone=ramp(order, len(group)), dash=DASHES[order % len(DASHES)])
        for order, run in enumerate(group)
    )
    y_range = spanned([value for line in lines for value in line.y])
    last = max((line.x[-1] for line in lines if line.x), default=1)
    return Panel(
        title=f"Training loss{of_seed(seed, several)}",
        unit="nats per token",
        about="; ".join(
            f"generation {run['generation']}: from {number(run['losses'][0])} to {number(run['losses'][-1])}"
            for run in group
            if run["losses"]
        ),
        lines=lines,
        x_label="step",
        x_range=(0, last),
        y_range=y_range,
        x_ticks=number_ticks(0, last),
        y_ticks=number_ticks(*y_range),
    )
