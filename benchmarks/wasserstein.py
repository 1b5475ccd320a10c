"""KL beside Wasserstein: what each sees of a lost tail, and what it costs, as the sample and the vocabulary grow.

    python benchmarks/wasserstein.py [--repeats 60] [--figure docs/_static/wasserstein.png]

Run it from the repository root. Words are drawn by Zipf's law with Mandelbrot's correction. The damaged side has lost
in its tail, the words outside the most frequent that hold 90%: either a fifth of its probability, which goes to the
head (as sharpened sampling takes it), or a fifth of its words, whose probability goes to the others of the tail (as
drift takes them). Distances between two samples of n words:

* ``KL``, KL(baseline || generation), add-1/2; ``JS``, the audit's;
* ``W1 surprisal``: in one dimension, a word at -ln of its frequency in both samples (what perplexity's W1 looks at);
* ``W1 rank``: in one dimension, a word at its rank in both samples;
* ``W1 vectors``: the optimal plan over 50-dimensional random word vectors, a linear program (only its cost).

Sensitivity is the rise over what two healthy samples give, in standard deviations of that: the larger, the fewer words
suffice. Cost is the median time of one distance from counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from machine import PACKAGES, describe
from scipy.optimize import linprog
from scipy.sparse import eye as identity
from scipy.sparse import kron

Counts = npt.NDArray[np.float64]
Distance = Callable[[Counts, Counts], float]
SAMPLES, VOCABULARIES = (2_000, 20_000, 200_000), (100, 1_000, 10_000)
LOST = 0.2
DAMAGES = ("probability", "words")
PROGRAMS = (25, 50, 100)


def kl(p: Counts, q: Counts) -> float:
    p, q = (p + 0.5) / (p + 0.5).sum(), (q + 0.5) / (q + 0.5).sum()
    return float((p * np.log(p / q)).sum())


def js(p: Counts, q: Counts) -> float:
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    return float(sum((side[side > 0] * np.log(side[side > 0] / middle[side > 0])).sum() for side in (p, q))) / 2


def _w1(p: Counts, q: Counts, at: Counts) -> float:
    order = np.argsort(at, kind="stable")
    apart = np.cumsum((p / p.sum() - q / q.sum())[order])[:-1]
    return float(np.abs(apart) @ np.diff(at[order]))


def w1_surprisal(p: Counts, q: Counts) -> float:
    both = p + q
    seen = both > 0
    return _w1(p[seen], q[seen], -np.log(both[seen] / both.sum()))


def w1_rank(p: Counts, q: Counts) -> float:
    at = np.empty(p.size)
    at[np.argsort(-(p + q), kind="stable")] = np.arange(p.size)
    return _w1(p, q, at)


def w1_vectors(p: Counts, q: Counts) -> float:
    """The optimal plan: V^2 unknowns, 2 V equations."""
    size = p.size
    vectors = np.random.default_rng(0).normal(size=(size, 50))
    costs = np.sqrt(((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)).ravel()
    from scipy.sparse import vstack

    rows, columns = kron(identity(size), np.ones((1, size))), kron(np.ones((1, size)), identity(size))
    marginals = np.concatenate((p / p.sum(), q / q.sum()))
    return float(linprog(costs, A_eq=vstack((rows, columns)).tocsr(), b_eq=marginals, method="highs").fun)


DISTANCES: dict[str, Distance] = {"KL": kl, "JS": js, "W1 surprisal": w1_surprisal, "W1 rank": w1_rank}


def shares(size: int, damage: str = "") -> Counts:
    """Of ``size`` words, healthy or damaged."""
    p = 1 / (np.arange(1, size + 1) + 2.7)
    p /= p.sum()
    tail = np.cumsum(p) - p >= 0.9
    if damage == "probability":
        return np.where(tail, p * (1 - LOST), p * (1 + LOST * p[tail].sum() / p[~tail].sum()))
    if damage == "words":
        gone = np.flatnonzero(tail)[:: round(1 / LOST)]
        rest = np.setdiff1d(np.flatnonzero(tail), gone)
        p[rest] *= 1 + p[gone].sum() / p[rest].sum()
        p[gone] = 0
    return p


def sensitivity(size: int, n: int, damage: str, repeats: int) -> dict[str, float]:
    """Mean rise in standard deviations of the null, by distance."""
    rng = np.random.default_rng([size, n])
    found: dict[str, list[list[float]]] = {name: [[], []] for name in DISTANCES}
    for _ in range(repeats):
        for place, other in enumerate(("", damage)):
            sides = [rng.multinomial(n, shares(size, each)).astype(float) for each in ("", other)]
            for name, distance in DISTANCES.items():
                found[name][place].append(distance(*sides))
    return {name: float((np.mean(hurt) - np.mean(null)) / np.std(null)) for name, (null, hurt) in found.items()}


def milliseconds(distance: Distance, size: int, n: int = 20_000, repeats: int = 5) -> float:
    rng = np.random.default_rng(size)
    sides = [rng.multinomial(n, shares(size)).astype(float) for _ in range(2)]
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        distance(*sides)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


def main() -> None:
    """Print both tables, and draw them if asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    print(describe(PACKAGES))
    seen: dict[tuple[str, int, int], dict[str, float]] = {}
    for damage in DAMAGES:
        print(f"\nSensitivity to {LOST:.0%} of the tail's {damage} lost, in standard deviations of the null")
        print(f"{'words':>8} {'n':>8} " + " ".join(f"{name:>13}" for name in DISTANCES))
        for size in VOCABULARIES:
            for n in SAMPLES:
                seen[damage, size, n] = sensitivity(size, n, damage, options.repeats)
                print(f"{size:>8,} {n:>8,} " + " ".join(f"{z:>13.1f}" for z in seen[damage, size, n].values()))
    print("\nCost of one distance, milliseconds")
    costs = {
        name: {size: milliseconds(distance, size) for size in (*VOCABULARIES, 100_000)}
        for name, distance in DISTANCES.items()
    }
    costs["W1 vectors"] = {size: milliseconds(w1_vectors, size, repeats=1) for size in PROGRAMS}
    for name, by_size in costs.items():
        print(f"{name:>13} " + ", ".join(f"{size:,}: {ms:.3g}" for size, ms in by_size.items()))
    if options.figure:
        _draw(seen, costs, options.figure)


def _draw(seen: dict[tuple[str, int, int], dict[str, float]], costs: dict[str, dict[int, float]], target: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    *panels, right = figure.subplots(1, 3)
    styles = dict(zip(VOCABULARIES, (":", "--", "-"), strict=True))
    for axes, damage in zip(panels, DAMAGES, strict=True):
        for place, name in enumerate(DISTANCES):
            for size, style in styles.items():
                rises = [seen[damage, size, n][name] for n in SAMPLES]
                axes.plot(SAMPLES, rises, style, color=f"C{place}", label=name if style == "-" else None)
        axes.axhline(3, color="0.8", linewidth=0.8, zorder=0)
        axes.set(title=f"a fifth of the tail's {damage} lost", xlabel="words a side", xscale="log", yscale="symlog")
    panels[0].set(ylabel="rise, standard deviations of the null")
    panels[0].legend(frameon=False, fontsize=7)
    for name, by_size in costs.items():
        right.plot(list(by_size), list(by_size.values()), marker="o", label=name)
    right.set(title="cost of one distance, ms", xlabel="different words", xscale="log", yscale="log")
    right.legend(frameon=False, fontsize=7)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
