"""How many repetitions: the whole of it, or a reduced form whose limits are as strict for its size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scipy.stats import binom

Limit = Callable[[int, float], int]


@pytest.fixture(scope="session")
def repeats(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """``repeats(400)`` is 400 in the whole suite and a tenth of it (at least 20) with ``--reduced``."""
    reduced = bool(request.config.getoption("--reduced"))
    return lambda whole: max(20, whole // 10) if reduced else whole


def at_most(count: int, rate: float) -> int:
    """The 99.9% quantile of how often an event of probability ``rate`` occurs in ``count`` trials."""
    return int(binom.ppf(0.999, count, rate))


def at_least(count: int, rate: float) -> int:
    """The 0.1% quantile: fewer than this and the probability is not ``rate``."""
    return int(binom.ppf(0.001, count, rate))
