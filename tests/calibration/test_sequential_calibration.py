"""False alarms of pipelines that are audited again and again, against one baseline sample, and power along the way.

A finding is a share of documents. Its permutation distribution is hypergeometric, so exact p-values are looked up and
p-values of B permutations are drawn from the law they have given the exact one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import hypergeom, norm

from collapse_audit.verdicts.rule import holm
from collapse_audit.verdicts.sequential import alpha_for, permutations_for
from tests.calibration.conftest import at_least, at_most

pytestmark = pytest.mark.calibration

ALPHA = 0.05
N = 500
SHARE = 0.20
LOOKS = 100
FINDINGS = 5
Table = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def exact() -> Table:
    """One-sided permutation p-value of every pair of counts (baseline's, generation's) among N documents a side."""
    baseline, generation = np.meshgrid(np.arange(N + 1), np.arange(N + 1), indexing="ij")
    return np.minimum(hypergeom.sf(generation - 1, 2 * N, baseline + generation, N), 1.0)


def repetitions(request: pytest.FixtureRequest, whole: int) -> int:
    """The whole number, or a tenth of it with ``--reduced``."""
    return whole // 10 if request.config.getoption("--reduced") else whole


def rejects(p: npt.NDArray[np.float64], alpha: float, rng: np.random.Generator) -> bool:
    """Whether a family with these exact p-values has a significant finding, as the audit would find it."""
    permutations = permutations_for(p.size, alpha, least=999, blocks=2 * N)
    measured = (1 + rng.binomial(permutations, p)) / (permutations + 1)
    return min(holm(list(measured))) <= alpha


def pipeline(exact: Table, rng: np.random.Generator, *, anytime: bool) -> bool:
    """100 healthy runs, every one of them audited twice: whether any of them is significant."""
    baseline = rng.binomial(N, SHARE, size=FINDINGS)
    looks: list[str] = []
    for run in range(LOOKS):
        p = exact[baseline, rng.binomial(N, SHARE, size=FINDINGS)]
        for _ in range(2):  # on a pull request and again behind the merge: the same inputs, and the same p-values
            seeded = np.random.default_rng([run, int(p.sum() * 1e9)])
            if rejects(p, alpha_for(looks, f"run {run}", ALPHA) if anytime else ALPHA, seeded):
                return True
            looks.append(f"run {run}")
    return False


def test_all_looks_together_keep_the_level(exact: Table, request: pytest.FixtureRequest) -> None:
    count = repetitions(request, 800)
    wrong = sum(pipeline(exact, np.random.default_rng([21, repeat]), anytime=True) for repeat in range(count))
    assert wrong <= at_most(count, ALPHA)


def test_without_it_most_pipelines_raise_a_false_alarm(exact: Table, request: pytest.FixtureRequest) -> None:
    """Negative control: at a fixed alpha more than half of all healthy pipelines do within 100 runs."""
    count = repetitions(request, 400)
    wrong = sum(pipeline(exact, np.random.default_rng([22, repeat]), anytime=False) for repeat in range(count))
    assert wrong >= at_least(count, 0.5)


@pytest.mark.parametrize("before", [0, 99])
def test_the_power_is_that_of_its_level(exact: Table, request: pytest.FixtureRequest, before: int) -> None:
    """A rise of 6 standard errors at look 1 and at look 100: the normal approximation says how often it is found.

    Found at all: in 5 findings at alpha / 200 the first Holm step asks for z = 3.89. The rise has variance
    (q(1 - q) + q'(1 - q')) / n, while the permutations have that of the pooled share.
    """
    count = repetitions(request, 2000)
    rise = 6 * np.sqrt(2 * SHARE * (1 - SHARE) / N)
    looks = [f"run {run}" for run in range(before)]
    alpha = alpha_for(looks, "now", ALPHA)
    rng = np.random.default_rng([23, before])
    found = 0
    for _ in range(count):
        p = np.ones(FINDINGS)
        p[0] = exact[rng.binomial(N, SHARE), rng.binomial(N, SHARE + rise)]
        found += rejects(p, alpha, rng)
    pooled = SHARE + rise / 2
    needed = norm.isf(ALPHA / 200 / FINDINGS) * np.sqrt(2 * pooled * (1 - pooled) / N)
    spread = np.sqrt((SHARE * (1 - SHARE) + (SHARE + rise) * (1 - SHARE - rise)) / N)
    expected = float(norm.sf((needed - rise) / spread))
    assert 0.8 < expected < 0.98
    # Up to 5 points less for drawing no more permutations than are needed, and the grain of counts.
    assert at_least(count, expected - 0.06) <= found <= at_most(count, expected + 0.01)
