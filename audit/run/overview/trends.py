"""What changes along the generations of an audit: a trend of every seed, and Page's test over the seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.probes.registry import follows_of
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.trends.trend import FEWEST, Trend, page, trends
from collapse_audit.probes.types import Probe
from collapse_audit.run.plan import Comparison
from collapse_audit.settings.config import AuditConfig


def seed_trends(
    comparisons: Sequence[Comparison],
    samples: Mapping[Corpus, Sample],
    config: AuditConfig,
    probes: Iterable[Probe],
    rule: LabelRule | None,
) -> tuple[Trend, ...]:
    """The trends of one seed's gating generations; none where they have no baseline in common, or are too few."""
    gating = [comparison for comparison in comparisons if comparison.gating]
    if len({comparison.baseline.corpus for comparison in gating}) != 1 or len(gating) < FEWEST:
        return ()
    followed = trends(
        [samples[comparison.current.corpus] for comparison in gating],
        [comparison.generation for comparison in gating],
        definer=samples[gating[0].baseline.corpus],
        permutations=config.permutations,
        seed=config.seed,
        margins={gate.statistic: config.gate(probe, gate).margin for probe in probes for gate in probe.gates},
        follow=follows_of(probes),
        labels=rule,
        unit=config.unit,
        trained_on_definer=any(comparison.trained_on_baseline for comparison in gating),
    )
    return tuple(trend for trend in followed if isinstance(trend, Trend))


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
