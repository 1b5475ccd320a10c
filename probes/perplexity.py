"""CA401: do texts pile up where generation 0 is sure, and does a long right tail appear?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.design import BoolArray, Design, FloatArray
from collapse_audit.probes.estimates import estimate, permutation_p, settling_n
from collapse_audit.probes.pair import Pair
from collapse_audit.probes.tables import side_sums
from collapse_audit.probes.types import Z_POWER, Estimate, Gate, NotMeasured, Z, probe

_MISSING = 0.05
"""Share of texts without nll from which the others are not taken for all."""
_QUANTILES = (0.05, 0.25, 0.50, 0.95, 0.99)


@probe(
    name="perplexity",
    code="CA401",
    needs=("nll",),
    gates=(
        Gate(
            statistic="W1",
            unit="nats per token",
            worse="higher",
            margin=0.10,
            because="texts lie, on average, 10% in perplexity away from where the baseline's lie",
        ),
    ),
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y (Fig. 1b, c); Villani 2009 (Wasserstein distance)",
    since="0.1",
)
def perplexity(pair: Pair) -> Estimate | NotMeasured:
    """Do texts pile up where generation 0 is sure, and does a long right tail appear?

    What it measures
        The distance between the two histograms of log-perplexity under generation 0, one value a text.

    Formula and unit
        W1 = integral of |F(generation) - F(baseline)|, nats per token. Sampling alone makes W1 positive, so the value
        is sqrt(W1^2 - mean^2) with the mean of W1 over permutations; the upper bound comes from the raw W1.

    Why it signals collapse
        Shumailov et al. 2024 see texts accumulate at low perplexity and a long tail of texts that generation 0 would
        never write. The mean is blind to it: the two cancel.

    When it misleads
        Shorter texts have a wider histogram. Other decoding moves it as training does.

    Needs
        The field ``nll`` of the records: mean negative log-likelihood a token under generation 0.
    """
    if pair.baseline.nll is None or pair.generation.nll is None:
        one = pair.baseline.nll is not None or pair.generation.nll is not None
        return NotMeasured(reason=f"the records {'of one side ' if one else ''}carry no nll", neutral=not one)
    x = np.concatenate((pair.baseline.nll, pair.generation.nll))[pair.design.kept]
    scored = pair.design.per_block(np.isnan(x).astype(np.float64)) == 0
    design = pair.design.restricted(scored)
    missing = max(float(np.mean(~scored[side])) for side in (pair.design.side, ~pair.design.side))
    if missing > _MISSING or not (design.side.any() and (~design.side).any()):
        return NotMeasured(
            reason=f"{missing:.0%} of the texts of a side carry no nll, and those are no random sample",
            neutral=False,
        )
    x = x[scored[pair.design.block]]
    drawn = pair.relabellings if scored.all() else design.relabellings(pair.permutations, pair.stream("perplexity"))
    w1 = wasserstein(x, drawn, design)
    bias = float(w1[1:].mean())
    distance = float(np.sqrt(max(w1[0] ** 2 - bias**2, 0.0)))
    error = max(design.standard_error(_influence(x, design)), float(w1[1:].std()))

    def needed(margin: float) -> float:
        def settled(times: float) -> bool:
            reach = (Z + Z_POWER) * error / np.sqrt(times)
            return bool(np.hypot(distance, bias / np.sqrt(times)) + reach <= margin or distance - reach > margin)

        return settling_n(min(map(design.documents, (False, True))), settled)

    return estimate(
        distance,
        error,
        scale="linear",
        worse="higher",
        p_value=permutation_p(w1, worse="higher"),
        design=design,
        method="influence function or permutation spread, normal",
        high=max(float(w1[0]) + Z * error, distance),
        n_needed=needed,
        raw={"w1": float(w1[0]), **_shape(x, drawn, design)},
        notes=(f"{int(np.count_nonzero(~scored))} blocks without nll",) if not scored.all() else (),
    )


def wasserstein(x: FloatArray, relabellings: npt.NDArray[np.uint8], design: Design) -> FloatArray:
    """W1 between the two sides under every relabelling (shape (B + 1, K)); ``x`` of shape (D,); gives (B + 1,)."""
    order = np.argsort(x, kind="stable")
    gaps = np.diff(x[order])
    block = design.block[order]
    documents = np.bincount(design.block).astype(np.float64)
    result = []
    for labels in np.array_split(relabellings, max(1, len(relabellings) * x.size // (1 << 22))):
        generation = labels.astype(np.float64) @ documents
        cumulated = np.cumsum(labels[:, block], axis=1, dtype=np.float64)[:, :-1]
        ranks = np.arange(1, x.size)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = cumulated / generation[:, None] - (ranks - cumulated) / (x.size - generation)[:, None]
        result.append(np.abs(apart) @ gaps)
    return np.concatenate(result)


def _influence(x: FloatArray, design: Design) -> FloatArray:
    """First-order effect of every block on W1: the integral of sign(F_G - F_B) over where its texts' steps stand."""
    side = design.side[design.block]
    order = np.argsort(x, kind="stable")
    generation = np.cumsum(side[order]) / side.sum()
    baseline = np.cumsum(~side[order]) / (~side).sum()
    sign = np.sign(generation - baseline)[:-1]
    # A text at x lifts its side's F from x on: it adds the integral of the sign to the right of x.
    reach = np.concatenate((np.cumsum((sign * np.diff(x[order]))[::-1])[::-1], [0.0]))
    effect = np.empty_like(x)
    effect[order] = reach
    for which, direction in ((side, 1.0), (~side, -1.0)):
        effect[which] = direction * (effect[which] - effect[which].mean()) / np.count_nonzero(which)
    return design.per_block(effect)


def _shape(x: FloatArray, relabellings: npt.NDArray[np.uint8], design: Design) -> dict[str, float]:
    """Where the histogram moved: shifts of quantiles and of the mean, and mass beyond common cut points."""
    side = design.side[design.block]
    base, gen = np.quantile(x[~side], _QUANTILES), np.quantile(x[side], _QUANTILES)
    shape = {f"shift_q{round(100 * q):02d}": float(g - b) for q, b, g in zip(_QUANTILES, base, gen, strict=True)}
    shape["shift_mean"] = float(x[side].mean() - x[~side].mean())
    shape["mean_baseline"], shape["mean_generation"] = float(x[~side].mean()), float(x[side].mean())
    for name, beyond in (("left", x <= np.quantile(x, 0.25)), ("right", x > np.quantile(x, 0.95))):
        gains = _gains(beyond, relabellings, design)
        shape[f"{name}_mass_gain"] = float(gains[0])
        shape[f"{name}_mass_p"] = permutation_p(gains, worse="higher")
    return shape


def _gains(beyond: BoolArray, relabellings: npt.NDArray[np.uint8], design: Design) -> FloatArray:
    """Share of the generation's texts beyond a cut less that of the baseline's, under every relabelling."""
    hits, documents = design.per_block(beyond.astype(np.float64)), np.bincount(design.block).astype(np.float64)
    baseline, generation = side_sums(np.stack((hits, documents), axis=1), relabellings)
    return np.asarray(generation[:, 0] / generation[:, 1] - baseline[:, 0] / baseline[:, 1])
