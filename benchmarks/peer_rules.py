"""What others do about the same question, each as one function from two lists of texts to a list of complaints.

    python benchmarks/peer_rules.py RULE BASELINE.jsonl GENERATION.jsonl

A rule imports what it needs inside its own function, so that each can be timed in a process of its own. But for
Evidently's, no rule here has an error rate: each compares a number with a constant. MAUVE's is a number alone.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Rule = Callable[[list[str], list[str]], list[str]]
"""Baseline texts and generation texts to complaints; none means all is well."""

MAJOR = 0.2
"""Population stability index from which pointblank's documentation speaks of a major change."""
KEPT = 0.9
"""Share of the baseline's distinct-1 and distinct-2 that must be left, and …"""
MORE_REPEATED = 0.05
"""… rise of the share of repeated rows that may not be passed, in pointblank's documentation of check_synthetic."""


def distinct_2(baseline: list[str], generation: list[str]) -> list[str]:
    """The ten-line rule: the share of different word pairs among all word pairs, over the whole corpus, down by 10%."""

    def share(texts: list[str]) -> float:
        pairs = [pair for text in texts for pair in itertools.pairwise(text.split())]
        return len(set(pairs)) / len(pairs)

    before, after = share(baseline), share(generation)
    return [f"distinct-2 went from {before:.3f} to {after:.3f}"] if after < 0.9 * before else []


def pointblank_psi(baseline: list[str], generation: list[str]) -> list[str]:
    """pointblank as released: ``DataScan.compare`` on hand-made numbers about each text, PSI of any at least 0.2."""
    pointblank, polars = import_module("pointblank"), import_module("polars")

    def features(texts: list[str]) -> Any:
        text = polars.col("text")
        words = text.str.split(" ")
        return polars.DataFrame({"text": texts}).select(
            characters=text.str.len_chars(),
            words=words.list.len(),
            different_words=words.list.n_unique() / words.list.len(),
            letters_a_word=text.str.count_matches(r"\p{L}") / words.list.len(),
            capitals=text.str.count_matches(r"\p{Lu}"),
            digits=text.str.count_matches(r"\p{N}"),
            punctuation=text.str.count_matches(r"\p{P}"),
        )

    scan = pointblank.DataScan(features(generation)).compare(pointblank.DataScan(features(baseline)))
    scores = {column.colname: column.drift_scores.get("psi", 0.0) for column in scan.column_diffs}
    return [f"PSI of {name} is {psi:.2f}" for name, psi in scores.items() if psi >= MAJOR]


def pointblank_synthetic(baseline: list[str], generation: list[str]) -> list[str]:
    """pointblank's ``check_synthetic`` as its documentation describes it, without its search for copies.

    PSI as above; distinct-1 and distinct-2 on as many rows of each; the share of rows that repeat an earlier one.
    Source: https://posit-dev.github.io/pointblank/reference/check_synthetic.html, read in November 2026. The function
    itself is not in the release that this was written with (1.1.1), so the rule is re-stated here.
    """

    def distinct(texts: list[str], n: int) -> float:
        found: set[tuple[str, ...]] = set()
        total = 0
        for text in texts:
            words = text.lower().split()
            grams = list(zip(*(words[start:] for start in range(n)), strict=False))
            found.update(grams)
            total += len(grams)
        return len(found) / max(1, total)

    complaints = pointblank_psi(baseline, generation)
    rows = min(len(baseline), len(generation))
    for n in (1, 2):
        before, after = distinct(baseline[:rows], n), distinct(generation[:rows], n)
        if after < KEPT * before:
            complaints.append(f"distinct-{n} went from {before:.3f} to {after:.3f}")
    repeated = [1 - len(set(texts)) / len(texts) for texts in (baseline, generation)]
    if repeated[1] > repeated[0] + MORE_REPEATED:
        complaints.append(f"repeated rows went from {repeated[0]:.1%} to {repeated[1]:.1%}")
    return complaints


def evidently_drift(baseline: list[str], generation: list[str]) -> list[str]:
    """Evidently's ``DataDriftPreset`` on a text column: a classifier of old against new, and whether it beats chance.

    Drift is called where its ROC AUC lies beyond the 95th percentile of a random classifier's (for up to 1,000 rows).
    """
    pandas, evidently = import_module("pandas"), import_module("evidently")
    presets = import_module("evidently.presets")
    columns = evidently.DataDefinition(text_columns=["text"])
    before, after = (
        evidently.Dataset.from_pandas(pandas.DataFrame({"text": texts}), data_definition=columns)
        for texts in (baseline, generation)
    )
    metrics = evidently.Report([presets.DataDriftPreset()]).run(after, before).dict()["metrics"]
    drifted = next(metric["value"]["count"] for metric in metrics if "DriftedColumnsCount" in metric["metric_name"])
    score = next(metric["value"] for metric in metrics if metric["metric_name"].startswith("ValueDrift"))
    return [f"the text column drifted (AUC {score:.3f})"] if drifted else []


def deepchecks_drift(baseline: list[str], generation: list[str]) -> list[str]:
    """deepchecks' ``PropertyDrift`` and ``TextEmbeddingsDrift`` under their own conditions (0.2 and 0.25).

    Its built-in properties need a language model that is fetched, so it is given seven numbers about each text, as
    ``set_properties`` is for, and as embeddings what :func:`latent` makes.
    """
    pandas, nlp = import_module("pandas"), import_module("deepchecks.nlp")
    checks = import_module("deepchecks.nlp.checks")
    numbers = latent(baseline, generation)
    sides = []
    for texts, embedded in ((baseline, numbers[: len(baseline)]), (generation, numbers[len(baseline) :])):
        side = nlp.TextData(texts)
        side.set_properties(pandas.DataFrame(map(_about, texts)))
        side.set_embeddings(embedded)
        sides.append(side)
    asked = (
        checks.PropertyDrift().add_condition_drift_score_less_than(),
        checks.TextEmbeddingsDrift().add_condition_overall_drift_value_less_than(),
    )
    found = [result for check in asked for result in check.run(*sides).conditions_results if not result.is_pass()]
    return [" ".join(result.details.split("\n")[-1].split()) for result in found]


def _about(text: str) -> dict[str, float]:
    words = text.split() or [""]
    return {
        "characters": len(text),
        "words": len(words),
        "different_words": len(set(words)) / len(words),
        "letters_a_word": sum(map(str.isalpha, text)) / len(words),
        "capitals": sum(map(str.isupper, text)),
        "digits": sum(map(str.isdigit, text)),
        "punctuation": sum(not (sign.isalnum() or sign.isspace()) for sign in text),
    }


def latent(baseline: list[str], generation: list[str]) -> Any:
    """Fifty numbers a text without any model: tf-idf of words, then truncated SVD, of both sides together."""
    words = import_module("sklearn.feature_extraction.text").TfidfVectorizer().fit_transform(baseline + generation)
    return import_module("sklearn.decomposition").TruncatedSVD(50, random_state=0).fit_transform(words)


def mauve_latent(baseline: list[str], generation: list[str]) -> list[str]:
    """MAUVE of :func:`latent`, and of two halves of the baseline. A number and no rule: it is always said."""
    compute, numpy = import_module("mauve").compute_mauve, import_module("numpy")
    numbers = latent(baseline, generation)
    before, after = numbers[: len(baseline)], numbers[len(baseline) :]
    shuffled = before[numpy.random.default_rng(0).permutation(len(before))]
    half = len(before) // 2
    scores = [
        compute(p_features=p, q_features=q, verbose=False).mauve
        for p, q in ((before, after), (shuffled[:half], shuffled[half:]))
    ]
    return [f"MAUVE {scores[0]:.3f} (halves of the first file {scores[1]:.3f})"]


RULES: dict[str, Rule] = {
    "distinct-2 down 10%": distinct_2,
    "pointblank, PSI >= 0.2": pointblank_psi,
    "pointblank, check_synthetic": pointblank_synthetic,
    "evidently, DataDriftPreset": evidently_drift,
}
SHOWN: dict[str, Rule] = {"deepchecks, drift": deepchecks_drift, "mauve, tf-idf and SVD": mauve_latent}
"""What is shown for one pair, and not tried a hundred times: too slow, or no rule that says yes or no."""
NEEDS = {
    "pointblank, PSI >= 0.2": ("pointblank", "polars"),
    "pointblank, check_synthetic": ("pointblank", "polars"),
    "evidently, DataDriftPreset": ("pandas", "evidently"),
    "deepchecks, drift": ("pandas", "deepchecks"),
    "mauve, tf-idf and SVD": ("mauve", "sklearn"),
}


def missing(rule: str) -> list[str]:
    """The packages that ``rule`` needs and that are not installed."""
    return [package for package in NEEDS.get(rule, ()) if find_spec(package) is None]


def read(file: str) -> list[str]:
    """The texts of a JSONL corpus."""
    with Path(file).open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


if __name__ == "__main__":
    name, first, second = sys.argv[1:]
    for complaint in (RULES | SHOWN)[name](read(first), read(second)) or ["no complaint"]:
        print(complaint)
