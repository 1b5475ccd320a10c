"""Margins that are settled on the baseline's own text, for as many documents as are compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from collapse_audit.calibration.bench import auto_margins
from collapse_audit.calibration.settled import Key
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.probes.packs.packed_pair import PackedSample
from collapse_audit.run.plan import Comparison
from collapse_audit.run.seed_texts import Progress, SeedTexts
from collapse_audit.settings.config import AuditConfig
from collapse_audit.settings.merged import GateSettings


class SettledMargins:
    """The automatic margins of a seed's comparisons, each settled once."""

    def __init__(self, texts: SeedTexts) -> None:
        self.texts = texts
        self._settled: dict[tuple[Corpus, int, bool], Mapping[Key, GateSettings]] = {}

    def config(self, comparison: Comparison, progress: Progress) -> AuditConfig:
        """The settings with every automatic margin of the comparison settled."""
        config = self.texts.config
        wanted = config.automatic(comparison.probes)
        if not wanted:
            return config
        baseline, current = self.texts.compared(comparison)
        if isinstance(baseline, PackedSample):
            self.texts.notes.append(
                "margin = auto: a reference pack holds no texts to settle margins on; the defaults hold"
            )
            return config
        key = (comparison.baseline.corpus, min(len(baseline), len(current)), comparison.trained_on_baseline)
        if key not in self._settled:
            progress(f"{comparison.name}: settling margins")
            self._settled[key] = auto_margins(
                baseline,
                key[1],
                [probe for probe in comparison.probes if any(name == probe.name for name, _ in wanted)],
                config,
                labels=self.texts.rule,
                trained_on_baseline=key[2],
                false_alarms=config.alpha,
            )
        automatic = {name: gate for name, gate in self._settled[key].items() if name in wanted}
        return dataclasses.replace(config, gates={**config.gates, **automatic})
