"""What changes along the generations as the report holds it: the trends of every seed, and Page's test over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from collapse_audit.probes.trends.trend import FEWEST, Trend, page


def trend_rows(by_seed: Mapping[str | None, Sequence[Trend]]) -> list[dict[str, Any]]:
    """All trends as the report holds them: those of each seed, then Page's L of every statistic over the seeds."""
    rows = [
        {"seed": seed, **_known(trend.as_dict())}
        for seed, trends_of_seed in by_seed.items()
        for trend in trends_of_seed
    ]
    return rows + [_over_seeds(group) for group in _shared(by_seed) if len(group) >= FEWEST]


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    """Without lists in which a number is missing: too few texts in one generation, and no errors of any are shown."""
    return {key: value for key, value in row.items() if not (isinstance(value, list) and None in value)}


def _shared(by_seed: Mapping[str | None, Sequence[Trend]]) -> list[list[Trend]]:
    """Trends of one statistic over the same generations, a list a statistic."""
    groups: dict[tuple[str, tuple[int, ...]], list[Trend]] = {}
    for trends_of_seed in by_seed.values():
        for trend in trends_of_seed:
            groups.setdefault((trend.statistic, trend.generations), []).append(trend)
    return list(groups.values())


def _over_seeds(group: Sequence[Trend]) -> dict[str, Any]:
    first = group[0]
    statistic, p_value = page(np.array([trend.values for trend in group]), worse=first.worse)
    return {
        "statistic": first.statistic,
        "generations": list(first.generations),
        "worse": first.worse,
        "seeds": len(group),
        "page_l": statistic,
        "p_value": p_value,
    }
