"""A report that has every picture: every field filled, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import examples

from collapse_audit.reports.document import AuditReport, Finding, Outcome, Verdict

HISTOGRAM: dict[str, Any] = {
    "statistic": "log-perplexity",
    "unit": "nats per token",
    "edges": [1.0, 2.0, 3.0, 4.0],
    "series": [
        {"name": "generation 0", "generation": 0, "n": 100, "below": 0.1, "above": 0.1, "shares": [0.2, 0.4, 0.2]},
        {"name": "generation 1", "generation": 1, "n": 100, "below": 0.3, "above": 0.0, "shares": [0.5, 0.1, 0.1]},
    ],
}
SURPRISE = {
    "edges": [-2.0, 0.0, 1.0, 2.0],
    "cuts": [-0.5, 1.5],
    "baseline": {"n": 10, "below": 0.0, "above": 0.0, "shares": [0.4, 0.3, 0.3]},
    "generation": {"n": 10, "below": 0.0, "above": 0.1, "shares": [0.6, 0.3, 0.0]},
}
RANKS = [
    {"rank": 4, "baseline": 4, "generation": 4},
    {"rank": 32, "baseline": 28, "generation": 14},
]
SURVIVAL: dict[str, Any] = {
    "label": "EU-TIRADS 5",
    "baseline_count": 40,
    "baseline_n": 400,
    "baseline_share": 0.1,
    "generations": [
        {
            "generation": 1,
            "count": 4,
            "n": 400,
            "share": 0.01,
            "expected": 40.0,
            "retained": 0.1,
            "status": "depleted",
        }
    ],
}
TREND: dict[str, Any] = {
    "statistic": "tail-mass",
    "unit": "share of tokens",
    "worse": "lower",
    "scale": "log",
    "slope": -0.1,
    "p_value": 0.01,
    "generations": [1, 2],
    "values": [0.1, 0.08],
    "errors": [0.01, 0.02],
}
EXAMPLE: dict[str, Any] = {
    "prompt": "صف الغدة الدرقية",
    "texts": [
        {"name": "generation 0", "text": "عقدة في الفص الأيمن (EU-TIRADS 4)"},
        {"name": "generation 1", "text": "Узел правой доли, EU-TIRADS 4"},
    ],
}


def rich() -> AuditReport:
    """Two seeds, two generations, something of everything."""
    base = {"baseline": "generation 0 (held-out)"}
    findings: list[Finding] = []
    for seed in ("0", "1"):
        for k in (1, 2):
            kl = {"kl_baseline_generation_less_bias": 0.1 * k, "kl_generation_baseline_less_bias": 0.05 * k}
            unique = {"unique_patterns_baseline": 0.5, "unique_patterns_generation": 0.3 / k, "coverage_by_rank": RANKS}
            made = examples.finding("token-divergence", k, Outcome.FAIL, (0.03, 0.02, 0.04), seed=seed, raw=kl, **base)
            findings.append(replace(made, statistic="JS-excess", evidence=({"kind": "term", "term": "узел"},)))
            made = examples.finding("tail-mass", k, Outcome.INCONCLUSIVE, (0.8, 0.7, 0.9), seed=seed, n_needed=900)
            findings.append(replace(made, raw={"surprise": SURPRISE}))
            made = examples.finding("distinct-2", k, Outcome.PASS, (0.95, 0.9, 1.0), seed=seed, raw=unique, **base)
            findings.append(replace(made, probe="tail-coverage", statistic="distinct-types"))
    waived = replace(findings[0], statistic="other", waiver={"owner": "me", "reason": "known", "expires": "2030-01-01"})
    absent = examples.finding("integrity", 1, Outcome.NOT_MEASURED, seed="0", reason="no files")
    context = replace(findings[3], generation=0, gating=False, baseline="reference")
    return examples.report(
        [*findings, waived, absent, context],
        Verdict.COLLAPSE,
        1,
        "collapse: 4 of 13 findings failed [exit 1]",
        histograms=({"seed": "0", **HISTOGRAM}, {"seed": "1", **HISTOGRAM}),
        survival=({"seed": "0", **SURVIVAL},),
        trends=({"seed": "0", **TREND},),
        training=({"seed": "0", "generation": 0, "steps": [10.0, 20.0], "losses": [2.0, 1.0]},),
        examples=({"seed": "0", **EXAMPLE},),
    )
