"""Reports to render: made up by hand, as the audit would build them. Every number is invented and plausible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from collapse_audit.reports.document import AuditReport, Finding, Interval, Outcome, Stage, Verdict

CONFIG: dict[str, Any] = {
    "alpha": 0.05,
    "permutations": 999,
    "allow_inconclusive": False,
    "tokens": "words",
    "labels": "auto",
    "evidence": "terms",
    "margins": {
        "token-divergence/js-excess": {
            "margin": 0.01,
            "unit": "nats",
            "reason": "p^1.1 moves it by .008",
            "origin": "default",
        },
        "repetition/looping": {"margin": 0.05, "unit": "share of documents", "reason": "ours", "origin": "--set"},
    },
    "disabled": [],
    "config_file": None,
}
ENVIRONMENT = {"python": "3.11.9", "numpy": "2.4.6", "platform": "linux"}

GATES: dict[str, dict[str, Any]] = {
    "token-divergence": {"code": "CA101", "statistic": "js-excess", "unit": "nats", "worse": "higher", "margin": 0.01},
    "label-coverage": {
        "code": "CA103",
        "statistic": "retained",
        "unit": "share kept",
        "worse": "lower",
        "margin": 0.25,
    },
    "tail-mass": {"code": "CA104", "statistic": "ratio", "unit": "ratio", "worse": "lower", "margin": 0.8},
    "seq-rep-4": {
        "probe": "repetition",
        "code": "CA106",
        "unit": "share of 4-grams",
        "worse": "higher",
        "margin": 0.05,
    },
    "looping": {
        "probe": "repetition",
        "code": "CA106",
        "unit": "share of documents",
        "worse": "higher",
        "margin": 0.05,
    },
    "distinct-2": {"probe": "diversity", "code": "CA107", "unit": "ratio", "worse": "lower", "margin": 0.85},
    "integrity": {"code": "CA110", "unit": "share of texts", "worse": "higher", "margin": 0.05},
}
"""Statistic, or probe where it has but one -> what is the same in all its findings."""


def finding(
    gate: str, generation: int, outcome: Outcome, numbers: tuple[float, float, float] | None = None, **details: Any
) -> Finding:
    """One finding; ``numbers`` are value, low and high, and ``details`` fields that differ from the usual."""
    usual: dict[str, Any] = {
        "probe": gate,
        "statistic": gate,
        "seed": None,
        "baseline": "generation-0 (held-out)",
        "gating": True,
        "margin_reason": "a change that readers notice",
        "reason": "a change of the margin would have been seen, and was not",
    }
    measured: dict[str, Any] = {}
    if numbers is not None:
        value, low, high = numbers
        interval = Interval(low=low, high=high, level=0.9, method="linearised ratio, normal; documents")
        measured = {"value": value, "interval": interval, "p_value": 0.5, "p_adjusted": 1.0, "seconds": 0.25}
        measured |= {"n_baseline": 2000, "n_generation": 2000}
    fields = usual | GATES[gate] | measured | {"generation": generation, "outcome": outcome} | details
    return Finding(**fields)


def report(findings: list[Finding], verdict: Verdict, exit_code: int, summary: str, **details: Any) -> AuditReport:
    """An audit of the lineage ``pydocs_ngram`` that found ``findings``."""
    lineage: Mapping[str, Any] = {
        "name": "pydocs_ngram",
        "digest": "sha256:9f2c1d0a5b7e4f3c8d6a1b2e3f405162738495a6b7c8d9e0f1a2b3c4d5e6f708",
        "path": "lineages/pydocs_ngram",
        "scheme": "recursive",
        "seeds": ["0"],
        "generations": sorted({0, *(each.generation for each in findings)}),
        "tokens": "Unicode words, case kept",
        "labels": "none",
        "baseline": "generation-0 (held-out)",
    }
    usual: dict[str, Any] = {
        "tool": {"name": "collapse-audit", "version": "0.1.0"},
        "lineage": lineage,
        "config": CONFIG,
        "seed": 0,
        "stage": Stage.NONE,
        "environment": ENVIRONMENT,
    }
    made = {"findings": tuple(findings), "verdict": verdict, "exit_code": exit_code, "summary": summary}
    return AuditReport(**(usual | made | details))


def _context() -> list[Finding]:
    shared: dict[str, Any] = {"gating": False, "baseline": "reference", "margin_reason": None, "p_adjusted": None}
    apart = "generation 0 is not the reference"
    return [
        finding("token-divergence", 0, Outcome.FAIL, (0.0158, 0.0131, 0.0185), p_value=0.001, reason=apart, **shared),
        finding("tail-mass", 0, Outcome.PASS, (1.012, 0.961, 1.066), **shared),
    ]


def _labels_missing(generations: range) -> list[Finding]:
    reason = "no record carries a label, and fewer than 5% of the baseline's texts name an EU-TIRADS category"
    return [finding("label-coverage", k, Outcome.NOT_MEASURED, reason=reason) for k in generations]


def healthy() -> AuditReport:
    """Everything passes in two generations; one shift is significant but immaterial; labels are not there."""
    findings = _context() + _labels_missing(range(1, 3))
    raw = {"KL(baseline||generation)": 0.2541, "alpha": 0.5}
    shift: dict[str, Any] = {"p_value": 0.001, "p_adjusted": 0.01, "notes": ("shift",)}
    for k in (1, 2):
        findings += [
            finding("token-divergence", k, Outcome.PASS, (0.0004 * k, -0.0011, 0.0023), raw=raw),
            finding("tail-mass", k, Outcome.PASS, (0.941, 0.905, 0.978), **shift),
            finding("seq-rep-4", k, Outcome.PASS, (0.0, -0.0004, 0.0004)),
            finding("looping", k, Outcome.PASS, (0.0005, -0.0012, 0.0022)),
            finding("distinct-2", k, Outcome.PASS, (0.984, 0.961, 1.008)),
            finding("integrity", k, Outcome.PASS, (0.0, 0.0, 0.0), p_value=None, p_adjusted=None),
        ]
    return report(findings, Verdict.PASS, 0, "pass: all 12 findings passed; 1 probe not measured [exit 0]")


def collapsed() -> AuditReport:
    """Five generations of two seeds; both collapse, seed 1 a generation later, with looping and a lost label."""
    findings: list[Finding] = []
    for seed, late in (("0", 0), ("1", 1)):
        findings += [replace(each, seed=seed) for each in _context()]
        for k in range(1, 6):
            findings += [replace(each, seed=seed) for each in _collapsed_generation(k, k - late)]
    failed = sum(each.outcome is Outcome.FAIL and each.gating for each in findings)
    gating = sum(each.gating for each in findings)
    made = report(
        findings,
        Verdict.COLLAPSE,
        1,
        f"collapse: {failed} of {gating} findings failed (first: token-divergence in generation 1) [exit 1]",
        stage=Stage.EARLY,
        notes=("generation 5 of seed 1 has 1,612 texts; both sides were cut to 1,612",),
        **_about_the_lineage("EU-TIRADS 2"),
    )
    return replace(made, lineage={**made.lineage, "seeds": ["0", "1"], "labels": "EU-TIRADS"})


def _about_the_lineage(label: str) -> dict[str, Any]:
    """Stage, label, recipe and copied text, as an audit of two seeds has them."""
    at = {"n": 1000, "expected": 20.0, "share": 0.02, "low": 0.01, "high": 0.04, "retained": 1.0}
    lost = at | {"count": 0, "status": "lost", "chance_of_none": 1.7e-9, "could_be_seen": True}
    kept = at | {"count": 19, "status": "present", "chance_of_none": 1.7e-9, "could_be_seen": True}
    stage = {"stage": "early", "mechanism": "drift", "evidence": ["tail-coverage"], "reason": f"{label} is lost"}
    dots = [{"seed": "0", "value": 0.0153, "low": 0.0113, "high": 0.0193}, {"seed": "1", "value": 0.0012}]
    trend = {
        "seed": "0",
        "statistic": f"distinct-types {label}",
        "unit": "ratio",
        "scale": "log",
        "worse": "lower",
        "slope": -0.1,
        "slope_low": -0.12,
        "slope_high": -0.08,
        "established": True,
        "p_value": 0.001,
        "generations": [1, 2, 3, 4, 5],
        "values": [0.9, 0.8, 0.73, 0.66, 0.6],
        "permuted": "documents",
        "n": 2000,
        "n_effective": 120.0,
        "forecast_low": 2.1,
        "notes": ["not-a-line"],
    }
    together = {"statistic": "distinct-types", "worse": "lower", "generations": [1, 2, 3], "seeds": 3, "page_l": 42.0}
    return {
        "trends": (trend, {**together, "p_value": 0.005}),
        "stages": tuple({"seed": seed, "generation": k, **stage} for seed in ("0", "1") for k in (1, 2)),
        "survival": (
            {
                "seed": "0",
                "label": label,
                "baseline_count": 20,
                "baseline_n": 2000,
                "baseline_share": 0.01,
                "generations": [{"generation": 1, **kept}, {"generation": 2, **lost}],
                "first_depleted": 2,
                "first_lost": 2,
            },
        ),
        "recipe": (
            {
                "probe": "token-divergence",
                "statistic": "token-divergence",
                "unit": "nats",
                "worse": "higher",
                "margin": 0.01,
                "generation": 5,
                "seeds": dots,
                "n_seeds": 2,
                "outcome": "inconclusive",
                "n_needed": 3,
                "reason": "2 seeds carry no claim about a recipe; at least 3 do",
            },
        ),
        "copying": (
            {
                "seed": "0",
                "generation": 5,
                "training": f"generation 4 (texts) {label}",
                "texts": 0.25,
                "grams": 0.5,
                "grams_low": 0.45,
                "grams_high": 0.55,
                "n_texts": 2000,
                "n_grams": 31000,
                "n_training": 2000,
                "complete": True,
            },
        ),
    }


def _collapsed_generation(k: int, damage: int) -> list[Finding]:
    moved, kept, loops = 0.0141 * damage + 0.0012, max(0.0, 1 - 0.31 * damage), 0.021 * damage
    terms = (
        {"kind": "term", "term": "the", "baseline": 0.0401, "generation": 0.0401 + 0.009 * damage},
        {"kind": "term", "term": "nevertheless", "baseline": 0.0012, "generation": 0.0002},
    )
    label = {"kind": "label", "label": "EU-TIRADS 2", "baseline_count": 20, "generation_count": int(20 * kept)}
    bad: dict[str, Any] = {"p_value": 0.001, "p_adjusted": 0.035}
    found = [
        finding("token-divergence", k, Outcome.PASS, (moved, moved - 0.004, moved + 0.004), minimum_detectable=0.0031),
        finding("label-coverage", k, Outcome.PASS, (kept, max(0.0, kept - 0.15), kept + 0.15)),
        finding("tail-mass", k, Outcome.PASS, (1.01, 0.96, 1.06), notes=("one-sided",)),
        finding("seq-rep-4", k, Outcome.PASS, (0.002 * damage, 0.001 * damage, 0.003 * damage)),
        finding("looping", k, Outcome.PASS, (loops, loops - 0.02, loops + 0.02), minimum_detectable=0.0312),
    ]
    if damage >= 1:
        found[0] = replace(found[0], raw={"js": 0.0187, "kl_smoothing": 0.5})
        found[0] = replace(found[0], outcome=Outcome.FAIL, reason="the distribution moved", evidence=terms, **bad)
        found[4] = replace(
            found[4], outcome=Outcome.INCONCLUSIVE, reason="the interval covers the margin", n_needed=5400
        )
    if damage >= 3:
        lost = ({**label, "retained": kept, "status": "lost"},)
        found[1] = replace(found[1], outcome=Outcome.FAIL, reason='"EU-TIRADS 2" is lost', evidence=lost, **bad)
    if damage >= 4:
        loop = ({"kind": "texts", "text": "of the of the of the of the", "count": 12},)
        found[4] = replace(found[4], outcome=Outcome.FAIL, reason="texts loop", evidence=loop, n_needed=None, **bad)
    return found


def inconclusive() -> AuditReport:
    """Too few texts to tell."""
    few: dict[str, Any] = {"n_baseline": 140, "n_generation": 150}
    unsure = {"n_needed": 1210, "minimum_detectable": 0.0115, "p_value": 0.084, "p_adjusted": 0.168}
    why = "the interval covers the margin; about 1,210 texts a side would settle it"
    findings = [
        finding("token-divergence", 1, Outcome.INCONCLUSIVE, (0.0067, -0.0021, 0.0155), reason=why, **unsure, **few),
        finding("distinct-2", 1, Outcome.PASS, (0.97, 0.91, 1.03), **few),
    ]
    summary = "inconclusive: 1 of 2 findings needs more text [exit 6]"
    return report(findings, Verdict.INCONCLUSIVE, 6, summary, stage=Stage.UNDETERMINED)


def inconclusive_allowed() -> AuditReport:
    """The same under ``--allow-inconclusive``."""
    made = inconclusive()
    summary = "inconclusive: 1 of 2 findings needs more text, which is allowed [exit 0]"
    return replace(made, exit_code=0, summary=summary, config={**CONFIG, "allow_inconclusive": True})


def nothing_measured() -> AuditReport:
    """Only a label probe was asked for, and there are no labels."""
    return report(_labels_missing(range(1, 3)), Verdict.NOT_MEASURED, 5, "nothing was measured [exit 5]")


def empty() -> AuditReport:
    """No finding at all."""
    return report([], Verdict.NOT_MEASURED, 5, "nothing was measured [exit 5]")


def error() -> AuditReport:
    """A probe crashed; the others went on. One statistic of repetition is missing, the other passed."""
    findings = [
        finding("tail-mass", 1, Outcome.ERROR, reason="ZeroDivisionError: division by zero (tail_mass.py:41)"),
        finding("seq-rep-4", 1, Outcome.PASS, (0.001, -0.002, 0.004)),
        finding("looping", 1, Outcome.NOT_MEASURED, reason="fewer than 5 texts are long enough"),
    ]
    return report(findings, Verdict.ERROR, 3, "error: 1 probe could not run [exit 3]")


HOSTILE = (
    "\x1b[31mred\x1b[0m\x9b2J",
    "a\u202eright-to-left override\u202c \u2066isolate\u2069",
    "<script>alert(1)</script><!-- --> &amp; ]]> <![CDATA[",
    "| pipe | `tick` ``two`` *bold* _em_ [link](http://evil.example) ~~x~~ $x$ \\| \\",
    "line\nbreak\r\nand\ttab \x00 \x0b \x7f \x85 \u2028 \u2029 \ufeff \ufffe \uffff",
    "half a pair \ud800 and \udfff",
    "[bold red]markup[/bold red] :boom: @everyone #12 www.evil.example",
    "漢字と仮名" * 30,
    "узел правой доли EU‑TIRADS 4 " * 5,
    "قرآن שלום " * 10,
    "\u0301\u0301\u0301 e\u0301 \u200b\u200d\u00ad",
    "# heading",
    "- item",
    "1. item",
    "",
    " ",
    "x" * 1_000_000,
)
"""Text that somebody's corpus, file names or labels might hold."""


def hostile() -> AuditReport:
    """Every text in it means harm, in every place that holds text."""
    findings: list[Finding] = []
    for k, text in enumerate((each[:2000] for each in HOSTILE), start=1):
        evidence = (
            {"kind": "term", "term": text, "baseline": 0.1, "generation": 0.2},
            {"kind": "label", "label": text, "status": text},
            {"kind": text, text: text, "n": 3},
            {"kind": "texts", "text": text, "count": 2},
        )
        texts = {
            "reason": text,
            "baseline": text,
            "seed": text,
            "unit": text,
            "margin_reason": text,
            "code": text or "X",
        }
        outcome = Outcome.INCONCLUSIVE if k % 3 == 0 else Outcome.FAIL
        found = finding(
            "token-divergence",
            k,
            outcome,
            (0.03, 0.02, 0.04),
            notes=(text,),
            raw={text: text},
            evidence=evidence,
            **texts,
        )
        named = replace(found, probe=text or "p", statistic=text, generation=1)
        findings += [found, replace(named, outcome=Outcome.NOT_MEASURED, value=None), replace(named, gating=False)]
    text = " ".join(HOSTILE[:-1])
    lineage = dict.fromkeys(("name", "digest", "path", "scheme", "tokens", "labels", "baseline"), text)
    details: dict[str, Any] = {"tool": {"name": text, "version": text}, "lineage": lineage, "environment": {text: text}}
    details["config"] = {**CONFIG, text: {text: [text]}, "margins": {text: {text: text}}}
    summary = "collapse: everything here means harm [exit 1]"
    return report(
        findings,
        Verdict.COLLAPSE,
        1,
        summary,
        notes=HOSTILE[:-1],
        **_about_the_lineage(text),
        **details,
    )


EXAMPLES: dict[str, Callable[[], AuditReport]] = {
    make.__name__: make
    for make in (healthy, collapsed, inconclusive, inconclusive_allowed, nothing_measured, empty, error, hostile)
}
