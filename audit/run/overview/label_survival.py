"""The label survival table: what became of every category, generation by generation.

Made of the evidence of the kind ``label`` alone, so it quotes no more than the findings do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scipy.special import betaincinv

from collapse_audit.probes.statistics.survival import Survival
from collapse_audit.reports.document import Finding

_ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelHistory:
    """One category of one seed along its generations."""

    seed: str | None
    label: str
    baseline_count: int
    baseline_n: int
    """Texts (groups or prompts, where those are the units) of the baseline."""
    baseline_share: float
    baseline_low: float
    """Clopper-Pearson, one-sided 95%, as every bound here."""
    baseline_high: float
    generations: tuple[Mapping[str, Any], ...]
    """``generation``, ``count``, ``n``, ``share``, ``low``, ``high``, ``expected`` (count at the baseline's share),
    ``retained``, ``status``, ``chance_of_none`` (to see none at an unchanged share) and ``could_be_seen`` (whether
    this n can tell its loss from chance)."""
    first_depleted: int | None
    """First generation that kept under half of the category's share, lost ones included."""
    first_lost: int | None


def survival(findings: Iterable[Finding]) -> tuple[LabelHistory, ...]:
    """One row a seed and category, in the order in which the findings have them; empty where nothing was labelled."""
    rows: dict[tuple[str | None, str], list[tuple[int, Mapping[str, Any], Finding]]] = {}
    for finding in findings:
        if finding.gating and finding.n_baseline and finding.n_generation:
            for entry in (entry for entry in finding.evidence if entry.get("kind") == "label"):
                rows.setdefault((finding.seed, entry["label"]), []).append((finding.generation, entry, finding))
    return tuple(_history(seed, label, seen) for (seed, label), seen in rows.items())


def _history(seed: str | None, label: str, seen: list[tuple[int, Mapping[str, Any], Finding]]) -> LabelHistory:
    _, first, finding = seen[0]
    count, n = int(first["baseline_count"]), int(finding.n_baseline or 0)
    low, high = clopper_pearson(count, n)
    return LabelHistory(
        seed=seed,
        label=label,
        baseline_count=count,
        baseline_n=n,
        baseline_share=count / n,
        baseline_low=low,
        baseline_high=high,
        generations=tuple(_at(generation, entry, finding) for generation, entry, finding in seen),
        first_depleted=next((g for g, entry, _ in seen if entry["status"] in ("depleted", "lost")), None),
        first_lost=next((g for g, entry, _ in seen if entry["status"] == "lost"), None),
    )


def _at(generation: int, entry: Mapping[str, Any], finding: Finding) -> dict[str, Any]:
    count, n = int(entry["generation_count"]), int(finding.n_generation or 0)
    before, n_before = int(entry["baseline_count"]), int(finding.n_baseline or 0)
    low, high = clopper_pearson(count, n)
    gone = Survival(label="", baseline=before, generation=0, n_baseline=n_before, n_generation=n)
    return {
        "generation": generation,
        "count": count,
        "n": n,
        "share": count / n,
        "low": low,
        "high": high,
        "expected": entry["expected_count"],
        "retained": entry["retained"],
        "status": entry["status"],
        "chance_of_none": (1 - before / n_before) ** n,
        "could_be_seen": gone.is_settled,
    }


def clopper_pearson(count: int, n: int) -> tuple[float, float]:
    """One-sided 95% bounds of a share, ``count`` of ``n`` (Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404)."""
    low = float(betaincinv(count, n - count + 1, _ALPHA)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - _ALPHA)) if count < n else 1.0
    return low, high
