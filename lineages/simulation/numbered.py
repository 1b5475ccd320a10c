"""Lineages of numbers: a record a number, written as its text, so that they are read and judged like any other."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation.numbers import FloatArray, Mix, gaussian, generations, mixture
from collapse_audit.lineages.simulation.output import Output, new_lineage
from collapse_audit.lineages.simulation.source import Record

MODES = (-3.0, 3.0)
"""Means of the two equal normal laws, of variance 1, that the mixture starts from."""


def simulate_gaussian(
    output: Output,
    *,
    samples: int = 20,
    holdout: int = 500,
    generations: int = 5,
    refits: int = 20,
    human: float = 0.0,
    earlier: float = 0.0,
) -> Path:
    """A Gaussian with unbiased estimators, from N(0, 1): Theorem 3.1 of Shumailov et al. 2024."""
    first = output.rng(0).normal(size=samples)
    return _simulate(output, "gaussian", first, holdout, generations, refits, _mix(human, earlier))


def simulate_mixture(
    output: Output,
    *,
    samples: int = 40,
    holdout: int = 500,
    generations: int = 5,
    refits: int = 40,
    human: float = 0.0,
    earlier: float = 0.0,
) -> Path:
    """A mixture of two Gaussians, fitted by expectation maximisation, from two modes at -3 and 3.

    Raises UsageError where scikit-learn is not installed.
    """
    if find_spec("sklearn") is None:
        message = "a mixture needs scikit-learn: pip install 'collapse-audit[prepare]'"
        raise UsageError(message, slug="no-preparation-stack")
    rng = output.rng(0)
    first = rng.normal(rng.permutation(np.resize(MODES, samples)))
    return _simulate(output, "mixture", first, holdout, generations, refits, _mix(human, earlier))


def _mix(human: float, earlier: float) -> Mix:
    """The shares as a user gives them: what is left is the newest model's."""
    return Mix(original=human, earlier=earlier, newest=round(1 - human - earlier, 12))  # 1 - .9 - .1 is below 0


def _simulate(output: Output, kind: str, first: FloatArray, holdout: int, count: int, refits: int, mix: Mix) -> Path:
    """A generation is written every ``refits`` models: ``texts`` of as many numbers as each learns from."""
    if first.size < 3 or min(holdout, count, refits) < 1:
        found = f"{first.size} samples, {holdout} held out, {count} generations, {refits} refits"
        raise UsageError(f"{found}; allowed: 3 samples or more, and 1 or more of all else")
    fit = gaussian if kind == "gaussian" else mixture()
    models = list(generations(first, fit, count * refits, output.rng(1), mix=mix))[::refits]
    names = {"original": mix.original, "earlier": mix.earlier, "newest": mix.newest}
    with new_lineage(output) as draft:
        draft.add_reference(as_numbers(first))
        written: list[str] = []
        for index, model in enumerate(models):
            sizes = (first.size, holdout)
            texts, held = (model(size, output.rng(2, index, role)) for role, size in enumerate(sizes))
            shares = _shares(written, mix)
            name = draft.add_generation(index, as_numbers(texts), as_numbers(held), trained_on=shares)
            written.append(name)
        draft.finish(output, kind=kind, parameters={"samples": first.size, "refits": refits, "mix": names})
    return output.out


def _shares(written: Sequence[str], mix: Mix) -> dict[str, float]:
    """Corpus -> its share in what the next generation descends from; the models in between write none."""
    if not written:
        return {"reference": 1.0}
    *earlier, newest = written
    shares = {"reference": mix.original} if mix.original else {}
    if mix.earlier and earlier:
        shares |= dict.fromkeys(earlier, mix.earlier / len(earlier))
    return shares | ({newest: rest} if (rest := 1 - sum(shares.values())) > 1e-9 else {})


def as_numbers(numbers: FloatArray) -> Sequence[Record]:
    """Records whose text is a number, to nine digits."""
    return [{"text": f"{number:.9g}"} for number in numbers.tolist()]
