"""Lineages of numbers: a record a number, or a list of them (``numeric``), which the probes of numbers judge."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation.autoencoder import autoencoder, digits
from collapse_audit.lineages.simulation.numbers import (
    Fit,
    FloatArray,
    Mix,
    clipped,
    gaussian,
    generations,
    mixture,
    states,
)
from collapse_audit.lineages.simulation.output import Output, new_lineage
from collapse_audit.lineages.simulation.source import Record
from collapse_audit.lineages.simulation.wright_fisher import zipf

MODES = (-3.0, 3.0)
"""Means of the two equal normal laws, of variance 1, that the mixture starts from."""


def simulate_discrete(
    output: Output,
    *,
    states: int = 16,
    samples: int = 200,
    holdout: int = 1000,
    generations: int = 5,
    refits: int = 20,
    human: float = 0.0,
    earlier: float = 0.0,
) -> Path:
    """States 1, 2, 3, … with shares by Zipf's law, each model the shares of what the one before drew."""
    first = output.rng(0).choice(np.arange(1.0, states + 1), samples, p=zipf(states))
    return _simulate(output, "discrete", first, holdout, generations, refits, _mix(human, earlier))


def simulate_gaussian(
    output: Output,
    *,
    samples: int = 20,
    holdout: int = 1000,
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
    holdout: int = 1000,
    generations: int = 5,
    refits: int = 40,
    human: float = 0.0,
    earlier: float = 0.0,
) -> Path:
    """A mixture of two Gaussians, fitted by expectation maximisation, from two modes at -3 and 3.

    Raises UsageError where scikit-learn is not installed.
    """
    _require_sklearn("a mixture needs")
    rng = output.rng(0)
    first = rng.normal(rng.permutation(np.resize(MODES, samples)))
    return _simulate(output, "mixture", first, holdout, generations, refits, _mix(human, earlier))


def simulate_vae(
    output: Output,
    *,
    samples: int = 600,
    holdout: int = 1000,
    generations: int = 5,
    refits: int = 1,
    human: float = 0.0,
    earlier: float = 0.0,
) -> Path:
    """A variational autoencoder, from people's digits of 8 by 8 pixels: a record is a picture of 64 numbers.

    Raises UsageError where scikit-learn or PyTorch is not installed, and where there are not as many digits.
    """
    _require_sklearn("the digits come with")
    if find_spec("torch") is None:
        message = "an autoencoder needs PyTorch: pip install 'collapse-audit[train]'"
        raise UsageError(message, slug="no-training-stack")
    pictures = digits()
    if samples > len(pictures):
        raise UsageError(f"{samples} samples; there are {len(pictures):,} digits")
    first = output.rng(0).permutation(pictures)[:samples]
    return _simulate(output, "vae", first, holdout, generations, refits, _mix(human, earlier))


def simulate_clipped(
    output: Output, *, samples: int = 2000, holdout: int = 1000, generations: int = 5, refits: int = 1
) -> Path:
    """The simulation that goes round in blogs, from N(0, 1): numbers beyond 2 are dropped, noise is added to the rest.

    There is no model to draw from, so what is held out begins as numbers of its own and goes through the same rounds.
    """
    _require(samples, holdout, generations, refits)
    sizes = (samples, round(1.4 * holdout))
    sides = [output.rng(0, role).normal(size=size) for role, size in enumerate(sizes)]
    with new_lineage(output) as draft:
        draft.add_reference(as_numbers(sides[0]))
        name = "reference"
        for index in range(generations + 1):
            for turn in range(refits if index else 0):
                sides = [clipped(side, output.rng(1, index, turn, role)) for role, side in enumerate(sides)]
            held = sides[1][:holdout]
            name = draft.add_generation(index, as_numbers(sides[0]), as_numbers(held), trained_on={name: 1.0})
        draft.finish(output, kind="clipped", parameters={"samples": samples, "refits": refits})
    return output.out


def _require_sklearn(what: str) -> None:
    if find_spec("sklearn") is None:
        message = f"{what} scikit-learn: pip install 'collapse-audit[prepare]'"
        raise UsageError(message, slug="no-preparation-stack")


def _require(samples: int, holdout: int, count: int, refits: int) -> None:
    if samples < 3 or min(holdout, count, refits) < 1:
        found = f"{samples} samples, {holdout} held out, {count} generations, {refits} refits"
        raise UsageError(f"{found}; allowed: 3 samples or more, and 1 or more of all else")


def _mix(human: float, earlier: float) -> Mix:
    """The shares as a user gives them: what is left is the newest model's."""
    return Mix(original=human, earlier=earlier, newest=round(1 - human - earlier, 12))  # 1 - .9 - .1 is below 0


def _fit(kind: str, seed: int) -> Fit:
    if kind == "vae":
        return autoencoder(seed)
    fits: dict[str, Fit] = {"discrete": states, "gaussian": gaussian, "mixture": mixture()}
    return fits[kind]


def _simulate(output: Output, kind: str, first: FloatArray, holdout: int, count: int, refits: int, mix: Mix) -> Path:
    """A generation is written every ``refits`` models: ``texts`` of as many numbers as each learns from."""
    _require(len(first), holdout, count, refits)
    models = list(generations(first, _fit(kind, output.seed), count * refits, output.rng(1), mix=mix))[::refits]
    names = {"original": mix.original, "earlier": mix.earlier, "newest": mix.newest}
    with new_lineage(output) as draft:
        draft.add_reference(as_numbers(first))
        written: list[str] = []
        for index, model in enumerate(models):
            output.progress(f"generation {index}")
            sizes = (len(first), holdout)
            texts, held = (model(size, output.rng(2, index, role)) for role, size in enumerate(sizes))
            shares = _shares(written, mix)
            name = draft.add_generation(index, as_numbers(texts), as_numbers(held), trained_on=shares)
            written.append(name)
        draft.finish(output, kind=kind, parameters={"samples": len(first), "refits": refits, "mix": names})
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
    """Records of a number each, to nine digits, or of a list, to four: nobody sees more grey levels."""
    if numbers.ndim > 1:
        return [{"numeric": [round(number, 4) for number in record]} for record in numbers.tolist()]
    return [{"numeric": float(f"{number:.9g}")} for number in numbers.tolist()]
