"""What comparisons are tried on: findings and reports made up by hand, samples in memory, small lineages on disk."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.comparison.prompts import DoubleDifference, double_differences
from collapse_audit.probes.prompts.quartet import Answers, Four, Quartet, quartet
from collapse_audit.probes.registry import compares_of
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import WORDS
from collapse_audit.reports.adding_up import added_up as overall
from collapse_audit.reports.document import AuditReport, Finding, Interval, Outcome, Stage
from tests.audit import small_lineages

UNITS = {
    "JS-excess": ("token-divergence", "nats", "higher", 0.01),
    "tail-mass-ratio": ("tail-mass", "ratio", "lower", 0.8),
    "distinct-types": ("tail-coverage", "ratio", "lower", 0.9),
    "looping": ("repetition", "share of documents", "higher", 0.025),
    "duplicates": ("diversity", "share of documents", "higher", 0.05),
    "W1": ("perplexity", "nats per token", "higher", 0.1),
    "retained-share": ("label-coverage", "ratio", "lower", 0.5),
    "constant": ("integrity", "share of documents", "higher", 0.95),
}


def finding(statistic: str, value: float | None, /, *, half_width: float = 0.1, **details: Any) -> Finding:
    """A finding of generation 1 whose interval reaches ``half_width`` to either side of its value."""
    probe, unit, worse, margin = UNITS[statistic]
    usual: dict[str, Any] = {
        "probe": probe,
        "code": f"X-{probe}",
        "statistic": statistic,
        "seed": None,
        "generation": 1,
        "baseline": "generation 0 (held-out)",
        "gating": True,
        "outcome": Outcome.NOT_MEASURED if value is None else Outcome.PASS,
        "unit": unit,
        "worse": worse,
        "margin": margin,
        "reason": "made up",
    }
    measured: dict[str, Any] = {}
    if value is not None:
        interval = Interval(low=value - half_width, high=value + half_width, level=0.9, method="made up")
        measured = {"value": value, "interval": interval, "p_value": 0.5, "n_baseline": 100, "n_generation": 100}
    return Finding(**(usual | measured | details))


def report(findings: Sequence[Finding], **details: Any) -> AuditReport:
    """A report of these findings, with the verdict that they add up to."""
    verdict, code = overall(findings, allow_inconclusive=False)
    usual: dict[str, Any] = {
        "tool": {"name": "collapse-audit", "version": "0.1.0"},
        "lineage": {"name": "made up", "digest": "sha256:0", "tokens": "words", "labels": "none"},
        "config": {
            "alpha": 0.05,
            "baseline": "generation-0",
            "margins": {"tail-mass/tail-mass-ratio": {"margin": 0.8}},
        },
        "seed": 0,
        "verdict": verdict,
        "exit_code": int(code),
        "stage": Stage.NONE,
        "summary": "pass: made up [exit 0]",
    }
    return AuditReport(**(usual | {"findings": tuple(findings)} | details))


def over_seeds_of(statistic: str, values: Mapping[str, float], **details: Any) -> list[Finding]:
    """The same statistic in several seeds."""
    return [finding(statistic, value, seed=seed, **details) for seed, value in values.items()]


def answers(texts: Sequence[str], *, name: str, prompts: Sequence[str] | None = None, **columns: Any) -> Sample:
    """Texts that answer p0, p1, … unless ``prompts`` says otherwise."""
    return sample_of(texts, prompts=prompts or [f"p{u}" for u in range(len(texts))], name=name, **columns)


def matched(samples: Four) -> Quartet:
    """The quartet of samples that can be matched."""
    four = quartet(samples)
    assert isinstance(four, Quartet)
    return four


def of(four: Quartet, rng: int | np.random.Generator = 0, rule: LabelRule | None = None) -> Answers:
    """The answers as a probe compares them."""
    return Answers(four=four, tokenizer=WORDS, rng=np.random.default_rng(rng), label_rule=rule)


def doubles(
    four: Quartet, rng: int | np.random.Generator, *, rule: LabelRule | None = None, permutations: int = 99
) -> tuple[DoubleDifference, ...]:
    """What the built-in probes compare."""
    return double_differences(of(four, rng, rule), compares_of(), permutations=permutations)


def prompted(
    root: Path, *vocabularies: int, seeds: Sequence[int] = (0, 1, 2), count: int = 80, source: str = ""
) -> Path:
    """A lineage of some seeds whose generation k draws words from a vocabulary of the given size, prompt by prompt.

    Generation 0 of a seed is the same in every lineage that is made here, later ones depend on ``source`` too.
    """
    for seed in seeds:
        for index, vocabulary in enumerate(vocabularies):
            rng = random.Random(f"{seed} {index} {source if index else ''}")
            texts = small_lineages.documents(rng.randrange(1 << 30), count, vocabulary=vocabulary)
            held_out = [{"text": text, "prompt": f"prompt {number}"} for number, text in enumerate(texts)]
            folder = root / f"seed_{seed}" / f"gen_{index}"
            small_lineages.write(folder / "holdout.jsonl", held_out)
            small_lineages.write(folder / "texts.jsonl", [f"training text of seed {seed}, generation {index}"])
    return root
