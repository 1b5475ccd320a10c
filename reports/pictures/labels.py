"""How labels are distributed, and which of them survive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collapse_audit.reports._format import inert
from collapse_audit.reports.document import AuditReport
from collapse_audit.reports.pictures.common import (
    MOST_SEEDS,
    Key,
    Picture,
    evenly,
    number_ticks,
    of_seed,
    over_generations,
    ramp,
    seed_style,
)
from collapse_audit.reports.pictures.drawing import MARKERS, RAMP, SERIES, Line, Panel, Rule

_LABELS = 16
"""Labels of one panel."""


def _of_labels(report: AuditReport) -> dict[str | None, list[Mapping[str, Any]]]:
    rows: dict[str | None, list[Mapping[str, Any]]] = {}
    for row in report.survival:
        rows.setdefault(row.get("seed"), []).append(row)
    return dict(list(rows.items())[:MOST_SEEDS])


def label_shares(report: AuditReport) -> Picture | None:
    rows = _of_labels(report)
    drawn = next(iter(rows.values()), [])
    indices = sorted({at["generation"] for row in drawn for at in row["generations"]})
    kept = evenly(indices, len(RAMP) - 1)
    return Picture(
        slug="labels",
        title="Label distribution",
        caption="Share of texts that carry each label, in the baseline and in each generation.",
        panels=tuple(_label_share(group, seed, kept, several=len(rows) > 1) for seed, group in rows.items()),
        keys=tuple(
            Key(label=label, tone=ramp(order, len(kept) + 1), marker=MARKERS[order % len(MARKERS)], dash=-1)
            for order, label in enumerate(["baseline", *(f"generation {each}" for each in kept)])
        ),
    )


def _label_share(group: Sequence[Mapping[str, Any]], seed: str | None, kept: Sequence[int], *, several: bool) -> Panel:
    ordered = sorted(group, key=lambda row: -row["baseline_share"])[:_LABELS]
    columns = [[row["baseline_share"] for row in ordered]]
    columns += [[_share_at(row, generation) for row in ordered] for generation in kept]
    lines = tuple(
        Line(
            x=[share for share in column if share is not None],
            y=[-float(place) for place, share in enumerate(column) if share is not None],
            tone=ramp(order, len(columns)),
            marker=MARKERS[order % len(MARKERS)],
            dash="",
        )
        for order, column in enumerate(columns)
    )
    top = max((share for line in lines for share in line.x), default=1.0) * 1.08 or 1.0
    return Panel(
        title=f"Label shares{of_seed(seed, several)}",
        unit="share of texts",
        about="; ".join(
            f"{inert(row['label'], limit=60)}: {row['baseline_share']:.1%} to {_share_at(row, kept[-1]) or 0:.1%}"
            for row in ordered
        )
        if kept
        else "shares of the baseline",
        lines=lines,
        x_label="share of texts",
        x_range=(-0.02 * top, top),
        y_range=(-len(ordered) + 0.4, 0.6),
        x_ticks=number_ticks(0.0, top),
        y_ticks={-float(place): inert(row["label"], limit=18) for place, row in enumerate(ordered)},
        left=130,
        height=50 + 26 * len(ordered),
    )


def _share_at(row: Mapping[str, Any], generation: int) -> float | None:
    return next((float(at["share"]) for at in row["generations"] if at["generation"] == generation), None)


def survival(report: AuditReport) -> Picture | None:
    rows = _of_labels(report)
    every = [row for group in rows.values() for row in group]
    lost = {row["label"]: min(_retained(row).values(), default=1.0) for row in sorted(every, key=lambda r: r["label"])}
    names = sorted(sorted(lost, key=lambda label: lost[label])[: len(SERIES)])
    return Picture(
        slug="survival",
        title="Label survival",
        caption=(
            "Share of its baseline frequency that each label keeps: under half is depleted, under a quarter is as good "
            "as lost. The labels that lost most are drawn; the table of labels has all of them."
        ),
        panels=tuple(_surviving(group, seed, names, several=len(rows) > 1) for seed, group in rows.items()),
        keys=tuple(
            Key(label=inert(name, limit=60), tone=SERIES[order], marker=MARKERS[order], dash=order)
            for order, name in enumerate(names)
        ),
    )


def _retained(row: Mapping[str, Any]) -> dict[int, float]:
    return {at["generation"]: float(at["retained"]) for at in row["generations"] if "retained" in at}


def _surviving(group: Sequence[Mapping[str, Any]], seed: str | None, names: Sequence[str], *, several: bool) -> Panel:
    known = {row["label"]: _retained(row) for row in group}
    lines = tuple(
        Line(x=[0.0, *known[name]], y=[1.0, *known[name].values()], **seed_style(order))
        for order, name in enumerate(names)
        if known.get(name)
    )
    top = min(max((value for line in lines for value in line.y), default=1.0) * 1.08, 3.0)
    return Panel(
        title=f"Retained share{of_seed(seed, several)}",
        unit="of the baseline's",
        about="; ".join(
            f"{inert(name, limit=60)}: " + ", ".join(f"generation {k} {v:.0%}" for k, v in known.get(name, {}).items())
            for name in names
        ),
        lines=lines,
        rules=(Rule(at=1.0, tone="soft"), Rule(at=0.5, label="depleted"), Rule(at=0.25, label="lost")),
        y_range=(-0.04, top),
        y_ticks=number_ticks(0.0, top),
        **over_generations(int(x) for line in lines for x in line.x),
    )
