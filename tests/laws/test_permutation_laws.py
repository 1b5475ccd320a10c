"""Laws of the exact tests: the grid of p, its distribution, and full enumeration against Fisher's test.

Numbers in brackets are those of the study's list of ground truths.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from builders import pair, readings, spell
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact, hypergeom

from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.estimates import permutation_p
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.probes.statistics.survival import Survival


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_full_enumeration_of_one_binary_label_is_fishers_exact_test(n: int, m: int, data: st.DataObject) -> None:
    """[31] All C(n+m, m) relabellings, the observed first: p is the hypergeometric tail, to the last digit."""
    label = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n + m, max_size=n + m)), dtype=np.float64)
    observed = tuple(range(n, n + m))
    order = [observed, *(chosen for chosen in combinations(range(n + m), m) if chosen != observed)]
    rises = np.array(
        [label[list(chosen)].mean() - np.delete(label, list(chosen)).mean() for chosen in order], dtype=np.float64
    )
    carriers, others = int(label[n:].sum()), int(label[:n].sum())
    table = [[carriers, m - carriers], [others, n - others]]
    for worse, alternative in (("higher", "greater"), ("lower", "less")):
        expected = fisher_exact(table, alternative=alternative).pvalue
        assert permutation_p(rises, worse=worse) == pytest.approx(expected, rel=1e-9)  # type: ignore[arg-type]


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_nothing_seen_has_the_hypergeometric_chance(n: int, m: int, data: st.DataObject) -> None:
    """[32] P(0 of m) = C(n, K)/C(n+m, K), by whole numbers; and Fisher's one-sided p is the hypergeometric cdf."""
    carriers = data.draw(st.integers(1, n))
    row = Survival(label="A", baseline=carriers, generation=0, n_baseline=n, n_generation=m)
    assert row.p_value == pytest.approx(math.comb(n, carriers) / math.comb(n + m, carriers), rel=1e-6)
    seen = data.draw(st.integers(0, m))
    row = Survival(label="A", baseline=carriers, generation=seen, n_baseline=n, n_generation=m)
    assert row.p_value == pytest.approx(hypergeom.cdf(seen, n + m, carriers + seen, m), rel=1e-6)


@pytest.mark.parametrize("n", [10, 100, 597, 1000])
def test_nothing_of_n_may_still_be_the_exact_bound(n: int) -> None:
    """[32] 1 - .05^(1/n) is the share whose chance of not being seen in n is .05."""
    bound = 1 - 0.05 ** (1 / n)
    assert binom.pmf(0, n, bound) == pytest.approx(0.05)
    # "Lost" is said exactly where that bound is under a quarter of the baseline's lower bound.
    for baseline in (n // 50, n // 10, n // 2):
        if baseline:
            lower = _clopper_pearson_lower(baseline, n)
            row = Survival(label="A", baseline=baseline, generation=0, n_baseline=n, n_generation=n)
            assert (row.status == "lost") == (bound < 0.25 * lower and row.bounds[1] < 0.5)


def _clopper_pearson_lower(x: int, n: int) -> float:
    """The share at which x or more of n have chance .05, by bisection."""
    low, high = 0.0, x / n
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if binom.sf(x - 1, n, middle) < 0.05 else (low, middle)
    return low


def test_every_text_statistic_keeps_its_level_on_exchangeable_texts() -> None:
    """[31] P(p <= a) <= a for every gate of the probes that need text alone.

    150 null pairs of 2 x 12 clustered texts (each has a topic of its own), B = 39; limits: the .99999 quantile of
    Binomial(150, a), for nine gates at four levels. A gate that is not measured counts as p = 1.
    """
    probes = [built for built in BUILTIN if built.needs <= {"text", "files"}]
    p_values: dict[str, list[float]] = {}
    for seed in range(150):
        rng = np.random.default_rng(seed)
        topics = rng.integers(0, 20, size=24)
        rows = [((topic + rng.zipf(1.8, size=rng.integers(0, 12)).clip(max=10)) % 30).tolist() for topic in topics]
        comparison = pair(spell(rows[:12]), spell(rows[12:]), permutations=39, seed=seed)
        for built in probes:
            for statistic, found in readings(built, comparison).items():
                p = found.p_value if isinstance(found, Estimate) else 1.0
                if p is not None:
                    p_values.setdefault(f"{built.name}/{statistic}", []).append(p)
    assert len(p_values) >= 8
    for name, values in p_values.items():
        for level in (0.025, 0.05, 0.1, 0.3):
            hits = int(np.count_nonzero(np.array(values) <= level + 1e-12))
            assert hits <= binom.isf(1e-5, 150, level), (name, level, hits)
