"""Fisher's test of a class where very many texts carry it."""

from __future__ import annotations

import pytest
from scipy import stats

from collapse_audit.probes.statistics.survival import Survival


@pytest.mark.parametrize(
    ("baseline", "generation", "n_baseline", "n_generation"),
    [
        (9_000, 8_700, 40_000, 40_000),
        (8_700, 9_000, 40_000, 40_000),
        (30_000, 29_000, 30_000, 90_000),
        (2, 9_000, 9_999, 9_999),
    ],
)
def test_of_many_carriers_the_p_value_is_still_that_of_all_counts(
    baseline: int, generation: int, n_baseline: int, n_generation: int
) -> None:
    """Beside scipy's own hypergeometric distribution, where more counts are possible than are added up."""
    found = Survival(
        label="a", baseline=baseline, generation=generation, n_baseline=n_baseline, n_generation=n_generation
    ).p_value
    carriers = baseline + generation
    expected = float(stats.hypergeom.cdf(generation, n_baseline + n_generation, carriers, n_generation))
    assert found == pytest.approx(max(expected, 1e-300), rel=1e-6)


def test_a_hundred_million_texts_take_no_place_for_each() -> None:
    found = Survival(label="a", baseline=30_000_000, generation=29_990_000, n_baseline=10**8, n_generation=10**8)
    assert len(found._log_chances()) < 2 * 10**6
    # Normal approximation: sd = sqrt(n p (1 - p) / 2) = sqrt(60e6 * .5 * .5 * (2e8 - 60e6) / 2e8) = 3,240; z = -1.543.
    assert found.p_value == pytest.approx(0.0614, rel=0.01)
