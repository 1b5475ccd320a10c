"""Models of numbers that learn from what they wrote themselves: a table of states, a Gaussian, a mixture, and a blog's
clipped normal.

Shumailov et al. 2024 prove collapse where a model cannot be simpler: fit a Gaussian to N numbers, draw N from it, fit
again (Theorem 3.1). With unbiased estimators, in one dimension::

    E var_k = var_0        E ln(var_k / var_0) = k (psi((N - 1) / 2) - ln((N - 1) / 2)) < 0, so that var_k -> 0
    E W2^2(model k, model 0) = k var / N + 2 var (1 - c4(N)^k) -> infinity        (psi: digamma, c4: mean of sd / sigma)

Nothing is misfitted here and the expected variance stays as it is; almost every path of it goes to zero all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collapse_audit.errors import UsageError

FloatArray = npt.NDArray[np.float64]
"""Numbers, shape (N,), or records of several, shape (N, W)."""
Draw = Callable[[int, np.random.Generator], FloatArray]
"""A model: (how many, rng) to so many numbers."""
Fit = Callable[[FloatArray], Draw]
"""How a model is learned from numbers."""


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A normal law."""

    mean: float
    deviation: float

    def __call__(self, count: int, rng: np.random.Generator) -> FloatArray:
        return rng.normal(self.mean, self.deviation, count)


def gaussian(numbers: FloatArray) -> Gaussian:
    """The normal law with the numbers' mean and unbiased variance."""
    return Gaussian(float(numbers.mean()), float(numbers.std(ddof=1)))


@dataclass(frozen=True, slots=True)
class States:
    """A discrete law. Of a chain of such models every state that no sample caught is gone for good, and one state alone
    is absorbing: it draws itself for ever (Shumailov et al. 2024, discrete distributions with exact approximation)."""

    values: FloatArray
    shares: FloatArray
    """Shape (M,), which sum to 1."""

    def __call__(self, count: int, rng: np.random.Generator) -> FloatArray:
        return np.asarray(rng.choice(self.values, count, p=self.shares), np.float64)


def states(numbers: FloatArray) -> States:
    """The shares of the values that the numbers have: nothing is approximated."""
    values, counts = np.unique(numbers, return_counts=True)
    return States(values, counts / counts.sum())


def mixture(components: int = 2) -> Fit:
    """A Gaussian mixture by expectation maximisation (scikit-learn), always started from the same seed."""

    def fit(numbers: FloatArray) -> Draw:
        from sklearn.mixture import GaussianMixture

        model = GaussianMixture(components, random_state=0, reg_covar=1e-9).fit(numbers[:, None])
        weights, means, deviations = model.weights_, model.means_[:, 0], np.sqrt(model.covariances_[:, 0, 0])

        def draw(count: int, rng: np.random.Generator) -> FloatArray:
            of = rng.choice(components, count, p=weights / weights.sum())
            return np.asarray(rng.normal(means[of], deviations[of]), np.float64)

        return draw

    return fit


def clipped(numbers: FloatArray, rng: np.random.Generator, *, cut: float = 2.0, noise: float = 0.15) -> FloatArray:
    """One round of the simulation that goes round in blogs: drop what lies beyond ``cut``, add noise to the rest.

    It shows less than it seems to. No model is fitted: the tails are cut off by hand, and the noise that is added back
    holds the variance at the level where both balance, well above zero. What goes on falling is the number of numbers.
    """
    kept = numbers[np.abs(numbers) < cut]
    return np.asarray(kept + rng.normal(0.0, noise, kept.size), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What a model learns from: shares of the paper's alpha, beta and gamma, which sum to 1."""

    original: float = 0.0
    """alpha: of the numbers that no model drew."""
    earlier: float = 0.0
    """beta: of what all models before the last drew."""
    newest: float = 1.0
    """gamma: of what the last model drew."""

    def __post_init__(self) -> None:
        shares = (self.original, self.earlier, self.newest)
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
            raise UsageError(f"shares of {', '.join(f'{share:g}' for share in shares)}; allowed: 0 or more, 1 together")


ALONE = Mix()


def generations(
    original: FloatArray, fit: Fit, rounds: int, rng: np.random.Generator, *, mix: Mix = ALONE
) -> Iterator[Draw]:
    """Models 0 to ``rounds``: model 0 learns from ``original``, N records, every other from N records by ``mix``."""
    model = fit(original)
    yield model
    drawn: list[FloatArray] = []
    size = len(original)
    for _ in range(rounds):
        drawn.append(model(size, rng))
        model = fit(_mixed(original, drawn, mix, rng))
        yield model


def _mixed(original: FloatArray, drawn: list[FloatArray], mix: Mix, rng: np.random.Generator) -> FloatArray:
    """N numbers without replacement; before there is anything earlier, its share is the newest's."""
    if mix == ALONE:
        return drawn[-1]
    size = len(original)
    human = round(mix.original * size)
    before = round(mix.earlier * size) if len(drawn) > 1 else 0
    parts = [rng.choice(original, human, replace=False), rng.choice(drawn[-1], size - human - before, replace=False)]
    if before:
        parts.append(rng.choice(np.concatenate(drawn[:-1]), before, replace=False))
    return np.concatenate(parts)
