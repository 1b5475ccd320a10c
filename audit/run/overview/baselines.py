"""Whether a baseline is itself degenerate: beside people's text where there is some, else by plain sanity.

A lineage whose generation 0 already stammers drifts nowhere: what later generations would lose it never had. So the
first lines of every report say it. It is no finding and changes no outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import betaincinv, gammaln

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.probes.packs.packed_pair import PackedSample
from collapse_audit.probes.text.sample import Sample
from collapse_audit.reports.document import Finding, Outcome
from collapse_audit.run.overview.stage import GateOf
from collapse_audit.run.plan import Comparison, Side

_ALPHA = 0.05
_RISE = 0.05
"""Share of texts more than people's: one in twenty."""
_LIMITS = {"looping": 0.25, "duplicates": 0.50, "empty": 0.10}
"""Shares beyond which texts are degenerate whoever wrote them. Measured on people's texts (1,000 to 2,000 of each):
paragraphs of WikiText-2 loop in 5.1%, its lines with headings in 9.2% (lists, tables); stories, abstracts, questions
and sentences of three languages in at most 0.1%. Exact duplicates: 0 to 0.1%, 6.5% of short reports, 38% of a file's
lines with its headings and blanks. Empty: none but blank lines."""
_NAMED = 3
"""Of what a baseline has lost, in its sentence."""
_TOLD = {
    "looping": ("of its texts loop", "of people's do"),
    "duplicates": ("of its texts are exact duplicates", "of people's are"),
    "empty": ("of its texts are empty", "of people's are"),
}


def baselines(
    comparisons: Iterable[Comparison], samples: Mapping[Corpus, Sample], people: Side | None
) -> list[dict[str, Any]]:
    """A row for every baseline that gates: its shares, people's, and a sentence if it is degenerate.

    ``people``: the reference, held-out text preferred, if it was read. Packs hold no texts and are left out.
    """
    rows: dict[tuple[str | None, str], dict[str, Any]] = {}
    for comparison in comparisons:
        sample, key = samples.get(comparison.baseline.corpus), (comparison.seed, comparison.baseline.name)
        if key in rows or not comparison.gating or sample is None or isinstance(sample, PackedSample):
            continue
        if sample.numeric is not None:
            continue  # numbers do not loop, and equal ones are no copies
        beside = (
            None if people is None or comparison.baseline.name.startswith("reference") else samples.get(people.corpus)
        )
        checked = _judged(sample, beside)
        name = _of_seed(comparison.baseline.name, comparison.seed)
        said = "; ".join(_said(kind, checked) for kind in checked["degenerate"])
        row = {"seed": comparison.seed, "name": comparison.baseline.name, **checked}
        rows[key] = row | ({"sentence": f"{name} is itself degenerate: {said}"} if said else {})
    return list(rows.values())


def with_losses(
    rows: Sequence[Mapping[str, Any]], findings: Iterable[Finding], gate_of: GateOf
) -> list[dict[str, Any]]:
    """The rows with what generation 0 lost beside people's text, as the context findings of its seed say; in a sentence
    where nothing else is wrong with it."""
    found = [f for f in findings if not f.gating and f.outcome is Outcome.FAIL and f.kind == "loss"]
    marked = []
    for row in rows:
        lost = [f for f in found if f.seed == row["seed"] and row["name"].startswith(f"generation {f.generation} ")]
        names = list(dict.fromkeys(f"{f.probe} / {f.statistic}" for f in lost))
        told = {} if row.get("sentence") or not lost else {"sentence": _lacking(row, lost, gate_of)}
        marked.append({key: value for key, value in row.items() if value is not None} | told | {"lost": names})
    return marked


def _lacking(row: Mapping[str, Any], lost: Sequence[Finding], gate_of: GateOf) -> str:
    called = list(dict.fromkeys(gate_of(finding).plain or finding.statistic for finding in lost))
    more = f" and {len(called) - _NAMED} more" if len(called) > _NAMED else ""
    return (
        f"{_of_seed(row['name'], row['seed'])} has itself lost some of what people's text has: "
        f"{', '.join(called[:_NAMED])}{more}; what it lacks no later one can lose"
    )


def _of_seed(name: str, seed: str | None) -> str:
    return name.partition(" (")[0] + ("" if seed is None else f" of seed {seed}")


def _judged(sample: Sample, people: Sample | None) -> dict[str, Any]:
    n = len(sample) if people is None else min(len(sample), len(people))
    mine = _shares(sample, n)
    shares: dict[str, Any] = {"n": len(sample), **mine, "degenerate": []}
    if people is None:
        shares["degenerate"] = [k for k, limit in _LIMITS.items() if _bounds(mine[k], _n(k, sample, n))[0] > limit]
        return shares
    theirs = _shares(people, n)
    shares |= {"n_people": len(people), **{f"{kind}_people": share for kind, share in theirs.items()}}
    shares["degenerate"] = [
        kind
        for kind in _LIMITS
        if _bounds(mine[kind], _n(kind, sample, n))[0] - _bounds(theirs[kind], _n(kind, people, n))[1] > _RISE
    ]
    return shares


def _n(kind: str, sample: Sample, n: int) -> int:
    return n if kind == "duplicates" else len(sample)


def _shares(sample: Sample, n: int) -> dict[str, float]:
    """Of texts that loop, that stand before among n of them (in the mean over all samples of n), that are empty."""
    counts = sample.folded.value_counts().field("counts").to_numpy().astype(np.float64)
    total = len(sample)
    with np.errstate(invalid="ignore"):
        left = gammaln(total - counts + 1) - gammaln(np.maximum(total - counts - n, 0) + 1)
        never = np.where(total - counts >= n, np.exp(left - gammaln(total + 1) + gammaln(total - n + 1)), 0.0)
    return {
        "looping": float(sample.loops.mean()),
        "duplicates": max(0.0, 1 - float((1 - never).sum()) / n),
        "empty": float(sample.empty.mean()),
    }


def _bounds(share: float, n: int) -> tuple[float, float]:
    """One-sided 95% Clopper-Pearson bounds of a share of n texts."""
    many = round(share * n)
    low = float(betaincinv(many, n - many + 1, _ALPHA)) if many else 0.0
    high = float(betaincinv(many + 1, n - many, 1 - _ALPHA)) if many < n else 1.0
    return low, high


def _said(kind: str, shares: Mapping[str, Any]) -> str:
    own, theirs = _TOLD[kind]
    share = f"{_percent(shares[kind])} {own}"
    people = shares.get(f"{kind}_people")
    return share if people is None else f"{share}, {_percent(people)} {theirs}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"
