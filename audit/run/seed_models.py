"""What lies beside the texts of a seed, of its models: contexts, results of lm-eval, adapters. Each is read once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from collapse_audit.lineages.checks.provenance import Provenance
from collapse_audit.lineages.measured.concentration import asked_of
from collapse_audit.lineages.measured.lm_eval_results import read_results
from collapse_audit.lineages.model.lineage import GenerationEntry
from collapse_audit.probes.models.contexts import Asked, Contexts
from collapse_audit.probes.models.model_facts import Fact
from collapse_audit.probes.models.task_results import Evaluated, TaskResults
from collapse_audit.run.plan import Comparison, Plan

T = TypeVar("T")


class SeedModels:
    """What is known of the models of a seed. Reading raises InputError where a file is broken, or another model's."""

    def __init__(self, plan: Plan, provenance: Provenance) -> None:
        self.plan = plan
        self.provenance = provenance
        self._asked: dict[GenerationEntry, Contexts | None] = {}
        self._results: dict[GenerationEntry, TaskResults | None] = {}

    def contexts(self, comparison: Comparison) -> Asked | None:
        """What both models expect at fixed contexts; None where the baseline is no earlier generation's."""
        return self._of_both(comparison, self._asked, lambda entry: asked_of(entry, self.plan.lineage.root))

    def tasks(self, comparison: Comparison) -> Evaluated | None:
        """What lm-eval measured on both models; None where the baseline is no earlier generation's."""
        return self._of_both(comparison, self._results, read_results)

    def facts(self, comparison: Comparison) -> tuple[Fact, ...]:
        """Of the generation's model, and of generation 0's where that is the baseline: no gate looks at it itself."""
        if comparison.entry is None:
            return ()
        facts = self.provenance.facts(comparison.entry)
        first = self.plan.writer(comparison, comparison.baseline.corpus)
        if first is not None and first.index == 0 and first is not comparison.entry:
            facts += tuple(fact for fact in self.provenance.facts(first) if fact.ok is not True)
        return facts

    def _of_both(
        self, comparison: Comparison, kept: dict[GenerationEntry, T], read: Callable[[GenerationEntry], T]
    ) -> tuple[T, T] | None:
        """What ``read`` finds beside the baseline's generation and the one compared; None where either is none."""
        before, after = self.plan.writer(comparison, comparison.baseline.corpus), comparison.entry
        if before is None or after is None:
            return None
        for entry in (before, after):
            if entry not in kept:
                kept[entry] = read(entry)
        return kept[before], kept[after]
