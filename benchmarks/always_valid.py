"""What auditing on every commit costs in false alarms, and what keeping them in check costs in power.

    python benchmarks/always_valid.py [--repeats 2000] [--documents 200 500 2000] [--findings 13]

A made-up pipeline, so that the truth is known: every run writes new documents, and all runs are compared with ONE
baseline sample. A finding is a share of documents (20% of them carry a mark) and its rise, tested by permuting
documents. With a mark that is there or not, the permutation distribution is hypergeometric: exact p-values are looked
up, and p-values of B permutations drawn from the law they have given the exact one, (1 + Binomial(B, p)) / (B + 1).
The verdict is the audit's: Holm over the findings of a run, and the one-sided 95% bound beyond the margin.

Compared are a fixed alpha, schedules that share alpha out over the runs, and e-values gathered over the runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom, norm

from collapse_audit.probes.statistics.readings import Z
from collapse_audit.verdicts.sequential import alpha_at

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ALPHA = 0.05
SHARE = 0.20
MARGIN = 0.05
RUNS = 100
AT = (1, 10, 100, 1000)
"""Runs at which power is measured."""
EFFECTS = (4.0, 6.0)
"""Rises, in standard errors of a difference at the null."""

SCHEDULES: Mapping[str, Callable[[int], float]] = {
    "fixed alpha": lambda _: ALPHA,
    "6 / (pi t)^2": lambda look: ALPHA * 6 / (np.pi * look) ** 2,
    "1/100 each": lambda _: ALPHA / RUNS,
    "flat, then falling": lambda look: alpha_at(look, ALPHA),
}
"""What run t may spend. The third is good for 100 runs, with nothing left for more; the last is the audit's own."""
PRODUCT, WEIGHTED = "product of e-values", "weighted sum of e-values"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """What every pair of counts comes to at n documents a side. Shapes (n + 1, n + 1): baseline's, generation's."""

    n: int
    p: Floats
    """One-sided permutation p-value of a rise."""
    beyond: Bools
    """Whether the one-sided 95% lower bound of the rise lies beyond the margin."""


def exact(n: int) -> Exact:
    """With c marked documents on both sides together, a permutation puts a hypergeometric number on one side."""
    baseline, generation = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    p = np.minimum(hypergeom.sf(generation - 1, 2 * n, baseline + generation, n), 1.0)
    shares = np.stack((baseline, generation)) / n
    error = np.sqrt((shares * (1 - shares)).sum(axis=0) / n)
    return Exact(n=n, p=p, beyond=shares[1] - shares[0] - Z * error > MARGIN)


def marked(rng: np.random.Generator, n: int, shape: tuple[int, ...], rise: float = 0.0) -> Ints:
    """How many of n new documents carry the mark."""
    return rng.binomial(n, SHARE + rise, size=shape)


def holm_rejects(p: Floats, level: Floats) -> Bools:
    """Which findings (last axis of ``p``) Holm rejects at ``level``, whose shape lacks that axis."""
    order = np.argsort(p, axis=-1)
    steps = p.shape[-1] - np.arange(p.shape[-1])
    adjusted = np.maximum.accumulate(np.take_along_axis(p, order, axis=-1) * steps, axis=-1)
    rejected = np.empty(p.shape, dtype=np.bool_)
    np.put_along_axis(rejected, order, adjusted <= level[..., None], axis=-1)
    return rejected


def drawn(rng: np.random.Generator, p: Floats, level: Floats) -> Floats:
    """P-values of as many permutations as the audit draws at ``level``, given the exact ones."""
    findings = p.shape[-1]
    permutations = np.maximum(max(999, 20 * findings), np.ceil(findings / level)).astype(np.int64)[..., None]
    return (1 + rng.binomial(permutations, p)) / (permutations + 1)


def evidence(p: Floats) -> Floats:
    """E-value of a run: the mean over its findings (last axis) of calibrated p-values.

    The calibrator is the integral of k p^(k - 1) over k, (1 - p + p ln p) / (p ln^2 p), which spares the choice of k
    (Vovk & Wang 2021, doi 10.1214/20-AOS2020). A mean of e-values is one, however they depend on each other.
    """
    p = np.clip(p, 1e-300, 1 - 1e-9)
    return ((1 - p + p * np.log(p)) / (p * np.log(p) ** 2)).mean(axis=-1)


def weights(runs: int) -> Floats:
    """Weights that sum to at most 1: with them a sum of e-values stays under 1/alpha by Markov's inequality alone."""
    return np.array([alpha_at(t, 1.0) for t in range(1, runs + 1)])


def false_alarms(at: Exact, findings: int, repeats: int, rng: np.random.Generator, *, shared: bool) -> dict[str, str]:
    """Share of healthy pipelines with any significant finding, and with any FAIL, in 100 runs."""
    baseline = marked(rng, at.n, (repeats, 1 if shared else RUNS, findings))
    generation = marked(rng, at.n, (repeats, RUNS, findings))
    p, beyond = at.p[baseline, generation], at.beyond[baseline, generation]
    rows = {}
    for name, schedule in SCHEDULES.items():
        level = np.broadcast_to([schedule(t) for t in range(1, RUNS + 1)], (repeats, RUNS)).astype(np.float64)
        rejected = holm_rejects(drawn(rng, p, level), level)
        rows[name] = f"{rejected.any(axis=(1, 2)).mean():.3f} / {(rejected & beyond).any(axis=(1, 2)).mean():.3f}"
    e = evidence(p)
    wealth = np.cumsum(np.log(e), axis=1)
    rows[PRODUCT] = f"{(wealth >= np.log(1 / ALPHA)).any(axis=1).mean():.3f}"
    rows[WEIGHTED] = f"{(e @ weights(RUNS) >= 1 / ALPHA).mean():.3f}"
    return rows


def power(at: Exact, findings: int, rise: float, run: int, repeats: int, rng: np.random.Generator) -> dict[str, str]:
    """``run - 1`` healthy runs, then one in which one finding has risen: is it significant there, and is it a FAIL?"""
    baseline = marked(rng, at.n, (repeats, findings))
    generation = marked(rng, at.n, (repeats, findings))
    generation[:, 0] = marked(rng, at.n, (repeats,), rise)
    p, beyond = at.p[baseline, generation], at.beyond[baseline, generation][:, 0]
    rows = {}
    for name, schedule in SCHEDULES.items():
        level = np.full(repeats, schedule(run))
        rejected = holm_rejects(drawn(rng, p, level), level)[:, 0]
        rows[name] = f"{rejected.mean():.2f} / {(rejected & beyond).mean():.2f}"
    share = weights(run)
    wealth, total = np.log(evidence(p)), share[-1] * evidence(p)
    for t in range(run - 1):  # a run at a time: a thousand of them at once would take gigabytes
        e = evidence(at.p[baseline, marked(rng, at.n, (repeats, findings))])
        wealth, total = wealth + np.log(e), total + share[t] * e
    rows[PRODUCT] = f"{(wealth >= np.log(1 / ALPHA)).mean():.2f}"
    rows[WEIGHTED] = f"{(total >= 1 / ALPHA).mean():.2f}"
    return rows


def show(columns: Mapping[str, Mapping[str, str]], *, lead: str = "method") -> None:
    """A Markdown table, column by column."""
    rows = list(dict.fromkeys(name for column in columns.values() for name in column))
    print(f"| {lead} | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name in rows:
        print(f"| {name} | " + " | ".join(column.get(name, "") for column in columns.values()) + " |")


def levels(findings: int) -> dict[str, dict[str, str]]:
    """What the schedules ask: level, documents for 90% power beside a fixed alpha (normal), permutations."""
    first = norm.isf(ALPHA / findings) + norm.isf(0.1)
    return {
        f"run {run}": {
            name: f"{schedule(run):.3g}, x{((norm.isf(schedule(run) / findings) + norm.isf(0.1)) / first) ** 2:.2f}, "
            f"{max(999, 20 * findings, np.ceil(findings / schedule(run))):,.0f}"
            for name, schedule in SCHEDULES.items()
        }
        for run in AT
    }


def measure(n: int, findings: int, repeats: int) -> None:
    """Print what happens at n documents a side."""
    rng = np.random.default_rng([11, n, findings])
    at = exact(n)
    error = float(np.sqrt(2 * SHARE * (1 - SHARE) / n))
    print(f"\n## {n} documents a side: the margin {MARGIN} is {MARGIN / error:.2f} standard errors\n")
    print(f"Share of healthy pipelines with any significant finding / any FAIL in {RUNS} runs:\n")
    titles: Sequence[tuple[str, bool]] = (("one baseline for all runs", True), ("a new baseline each run", False))
    show({title: false_alarms(at, findings, repeats, rng, shared=shared) for title, shared in titles})
    for size in EFFECTS:
        print(f"\nPower, significant / FAIL: one finding rises by {size * error:.3f} ({size:g} standard errors):\n")
        show({f"run {run}": power(at, findings, size * error, run, repeats, rng) for run in AT})


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--documents", type=int, nargs="+", default=[200, 500, 2000])
    parser.add_argument("--findings", type=int, default=13)
    options = parser.parse_args()
    print(f"{options.findings} findings, {options.repeats} pipelines: standard error of a share at most")
    print(f"{0.5 / options.repeats**0.5:.3f}, at .05 {(0.05 * 0.95 / options.repeats) ** 0.5:.3f}")
    print("\n## Level of a run, documents for 90% power beside a fixed alpha, permutations\n")
    show(levels(options.findings))
    for n in options.documents:
        measure(n, options.findings, options.repeats)


if __name__ == "__main__":
    main()
