"""What decoding did to a generation, and what training did: where a control says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.probes.registry import follows_of
from collapse_audit.probes.statistics.readings import NotMeasured
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.trends.decoding import decoding_splits
from collapse_audit.probes.types import Probe
from collapse_audit.run.plan import Comparison
from collapse_audit.settings.config import AuditConfig


def decoding(
    comparisons: Iterable[Comparison],
    samples: Mapping[Corpus, Sample],
    probes: Iterable[Probe],
    config: AuditConfig,
    labels: LabelRule | None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """A row for each statistic that ``probes`` follow of every generation with a control; notes on the others."""
    follow = follows_of(probes)
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for comparison in comparisons:
        if comparison.control is None:
            continue
        sides = (comparison.baseline, comparison.control, comparison.current)
        splits = decoding_splits(
            *(samples[side.corpus] for side in sides),
            permutations=config.permutations,
            seed=config.seed,
            follow=follow,
            labels=labels,
            trained_on_baseline=comparison.trained_on_baseline,
            unit=config.unit,
        )
        about = {"seed": comparison.seed, "generation": comparison.generation}
        untold: dict[str, list[str]] = {}
        for split in splits:
            if isinstance(split, NotMeasured):
                untold.setdefault(split.reason, []).append(split.statistic)
            else:
                rows.append(about | split.as_dict())
        shown = comparison.control.corpus.shown
        notes += [
            f"{shown}: {', '.join(names)} not told apart into decoding and training ({why})"
            for why, names in untold.items()
        ]
    return rows, notes
