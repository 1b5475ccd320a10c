"""What is said of a whole lineage rather than of one finding, as tables that every renderer draws in its own way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collapse_audit.reports._format import generations, inert, number, probability
from collapse_audit.reports.document import AuditReport, Outcome

_LETTERS = {Outcome.PASS: "P", Outcome.FAIL: "F", Outcome.CHANGED: "C", Outcome.INCONCLUSIVE: "I"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table and what it says; everything in it is inert."""

    title: str
    columns: Mapping[str, Sequence[str]]
    """Heading to one cell a row."""
    caption: str


def sections(report: AuditReport, *, everything: bool) -> tuple[Section, ...]:
    """The tables that have rows. Without ``everything`` only what a reader must know: of the recipe the last
    generation, of the labels those that suffered, of stages the first of each kind."""
    made = (
        _stages(report.stages, everything),
        _labels(report.survival, everything),
        _recipe(report.recipe, everything),
        _trends(report.trends, everything, gates=report.config.get("gate_trend") is True),
        _copying(report.copying, everything),
        _decoding(report.decoding, everything),
    )
    return tuple(section for section in made if section is not None and any(map(len, section.columns.values())))


def _stages(readings: Sequence[Mapping[str, Any]], everything: bool) -> Section | None:
    """Generations of one seed that say the same share a row."""
    runs: dict[tuple[str, ...], list[int]] = {}
    for reading in readings:
        if everything or reading["stage"] in ("early", "late"):
            key: tuple[str, ...] = (_seed(reading), inert(reading["stage"]), inert(reading["mechanism"]))
            if everything:
                key += (inert(reading["reason"]), inert(", ".join(reading["evidence"])))
            runs.setdefault(key, []).append(reading["generation"])
    headings = ("seed", "stage", "mechanism", "why", "by")
    columns = {name: list(column) for name, column in zip(headings, zip(*runs, strict=True), strict=False)}
    return Section(
        title="stage",
        columns=_shown(
            {
                "seed": columns.pop("seed", []),
                "generations": [generations(numbers).split(" ", 1)[1] for numbers in runs.values()],
                **columns,
            }
        ),
        caption=(
            "Early: tails or rare classes are lost; late: the bulk's variance is. Sharpening took the tail's "
            "probability; drift lost types and left it. Descriptive: it does not gate."
        ),
    )


def _labels(rows: Sequence[Mapping[str, Any]], everything: bool) -> Section | None:
    kept = [row for row in rows if everything or any(at["status"] != "present" for at in row["generations"])]
    indices = sorted({at["generation"] for row in kept for at in row["generations"]})
    by_generation = [{at["generation"]: at for at in row["generations"]} for row in kept]
    return Section(
        title="labels",
        columns=_shown(
            {
                "seed": [_seed(row) for row in kept],
                "label": [inert(row["label"]) for row in kept],
                "baseline": [f"{row['baseline_count']:,} ({_share(row['baseline_share'])})" for row in kept],
                **{
                    f"gen {k}": [_survived(row, at.get(k)) for row, at in zip(kept, by_generation, strict=True)]
                    for k in indices
                },
                "depleted in": [str(row.get("first_depleted", "")) for row in kept],
                "lost in": [str(row.get("first_lost", "")) for row in kept],
            }
        ),
        caption=(
            "Texts with the label; in parentheses what the baseline's share makes of another n. "
            "D depleted, L lost, ? this n cannot tell."
        ),
    )


def _survived(row: Mapping[str, Any], at: Mapping[str, Any] | None) -> str:
    if at is None:
        return ""
    mark = {"depleted": " D", "lost": " L", "untestable": " ?"}.get(at["status"], "")
    expected = "" if at["n"] == row["baseline_n"] else f" ({at['expected']:,.1f})"
    return f"{at['count']:,}{expected}{mark}"


def _recipe(claims: Sequence[Mapping[str, Any]], everything: bool) -> Section | None:
    last = max((claim["generation"] for claim in claims), default=0)
    kept = [claim for claim in claims if everything or claim["generation"] == last]
    columns = {
        "gen": [str(claim["generation"]) for claim in kept],
        "finding": [inert(_named(claim)) for claim in kept],
        "mean": [_number(claim.get("value"), claim) for claim in kept],
        "90% interval": [_interval(claim) for claim in kept],
        "margin": [_number(claim["margin"], claim) for claim in kept],
        "outcome": [_LETTERS[claim["outcome"]] for claim in kept],
    }
    if everything:
        columns |= {
            "Holm p": [_chance(claim.get("p_adjusted")) for claim in kept],
            "between seeds": [_number(claim.get("between_seeds"), claim) for claim in kept],
            "each seed": [", ".join(_number(dot["value"], claim) for dot in claim["seeds"]) for claim in kept],
        }
    return Section(
        title="recipe",
        columns=_shown(columns),
        caption="Seeds are the units (Student's t). P pass, F fail, I inconclusive, for the recipe: it does not gate.",
    )


def _trends(trends: Sequence[Mapping[str, Any]], everything: bool, *, gates: bool) -> Section | None:
    """Slopes of every seed; Page's test, which speaks of all seeds together, stands beside them."""
    kept = [trend for trend in trends if "slope" in trend and (everything or trend.get("established"))]
    together = {trend["statistic"]: trend["p_value"] for trend in trends if "page_l" in trend}
    return Section(
        title="trend",
        columns=_shown(
            {
                "seed": [_seed(trend) for trend in kept],
                "statistic": [inert(trend["statistic"]) for trend in kept],
                "slope": [_slope(trend, trend["slope"]) for trend in kept],
                "90% interval": [_slopes(trend) for trend in kept],
                "p": [_chance(trend["p_value"]) for trend in kept] if everything else [],
                "n_eff": [_effective(trend, everything) for trend in kept],
                "crosses": [_forecast(trend) for trend in kept],
                "Page p": [_chance(together.get(trend["statistic"])) for trend in kept] if everything else [],
            }
        ),
        caption=(
            "Slope: change from a generation to the next, of ratios in percent. n_eff: as if each were resampled from "
            "so many texts. Crosses: when the margin may fall, were it to go on in a line. "
            + ("What it says to its gate stands among the findings." if gates else "It does not gate.")
        ),
    )


def _slope(trend: Mapping[str, Any], value: float) -> str:
    return f"{math.expm1(value):+.1%}" if trend.get("scale") == "log" else number(float(value), beside=[trend["slope"]])


def _slopes(trend: Mapping[str, Any]) -> str:
    ends = [trend[end] for end in ("slope_low", "slope_high") if end in trend]
    return " to ".join(_slope(trend, end) for end in ends) if len(ends) == 2 else ""


def _effective(trend: Mapping[str, Any], everything: bool) -> str:
    if "n_effective" not in trend:
        return ""
    number = f"{trend['n_effective']:,.0f}"
    ends = [trend.get("n_effective_low"), trend.get("n_effective_high")]
    return f"{number} ({ends[0]:,.0f} to {ends[1]:,.0f})" if everything and None not in ends else number


def _forecast(trend: Mapping[str, Any]) -> str:
    if "forecast_low" not in trend:
        return ""
    low, high = trend["forecast_low"], trend.get("forecast_high")
    return f"from {low:.1f}" if high is None else f"{low:.1f} to {high:.1f}"


def _last_of_each_seed(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    last = {_seed(row): row["generation"] for row in rows}
    return [row for row in rows if last[_seed(row)] == row["generation"]]


def _copying(rows: Sequence[Mapping[str, Any]], everything: bool) -> Section | None:
    kept = rows if everything else _last_of_each_seed(rows)
    return Section(
        title="copied",
        columns=_shown(
            {
                "seed": [_seed(row) for row in kept],
                "gen": [str(row["generation"]) for row in kept],
                "whole texts": [_share(row.get("texts")) for row in kept],
                "8-grams": [_share(row.get("grams")) for row in kept],
                "90% interval": [
                    f"{_share(row['grams_low'])} to {_share(row['grams_high'])}" if "grams_low" in row else ""
                    for row in kept
                ],
                "stand in": [inert(row["training"]) for row in kept],
            }
        ),
        caption="What stands word for word in its training texts: recited text keeps its tail and looks healthy.",
    )


def _decoding(rows: Sequence[Mapping[str, Any]], everything: bool) -> Section | None:
    kept = rows if everything else _last_of_each_seed(rows)
    return Section(
        title="decoding",
        columns=_shown(
            {
                "seed": [_seed(row) for row in kept],
                "gen": [str(row["generation"]) for row in kept],
                "statistic": [inert(row["statistic"]) for row in kept],
                "change": ["times" if row["scale"] == "log" else "plus" for row in kept],
                **{name: [_part(row.get(name)) for row in kept] for name in ("total", "decoding", "training")},
                "p (training)": [_chance(row["p_value"]) for row in kept],
                "decoding's share": [_part(row.get("share")) for row in kept],
            }
        ),
        caption=(
            "What decoding alone does to generation 0, and what training did beyond it; 90% intervals, not corrected "
            "for their number. It does not gate."
        ),
    )


def _part(part: Mapping[str, float] | None) -> str:
    """A value and its interval, to the same decimals."""
    if part is None:
        return ""
    if "low" not in part or "high" not in part:
        return number(part["value"])
    around = [part["low"], part["high"]]
    value, low, high = (number(x, beside=around) for x in (part["value"], *around))
    return f"{value} [{low} to {high}]"


def _named(claim: Mapping[str, Any]) -> str:
    same = claim["statistic"] in ("", claim["probe"])
    return claim["probe"] if same else f"{claim['probe']}/{claim['statistic']}"


def _interval(claim: Mapping[str, Any]) -> str:
    ends = claim.get("interval")
    return f"{_number(ends['low'], claim)} to {_number(ends['high'], claim)}" if ends else ""


def _number(value: float | None, claim: Mapping[str, Any]) -> str:
    """All numbers of a claim to the decimals that its largest needs."""
    if value is None:
        return ""
    around: Iterable[float] = [float(dot["value"]) for dot in claim["seeds"]]
    return number(float(value), beside=[*around, float(claim["margin"])])


def _chance(p: float | None) -> str:
    return "" if p is None else probability(p).removeprefix("= ")


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _seed(row: Mapping[str, Any]) -> str:
    return inert(row.get("seed", ""))


def _shown(columns: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Columns in which something stands."""
    return {name: column for name, column in columns.items() if any(column)}
