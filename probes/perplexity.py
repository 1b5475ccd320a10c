"""CA401: do texts pile up where generation 0 is sure, and does a long right tail appear?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.packs import answers
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.prompts import compared
from collapse_audit.probes.statistics.design import BoolArray, Design, FloatArray
from collapse_audit.probes.statistics.distances import distance
from collapse_audit.probes.statistics.equal_lengths import by_length, lengths_differ
from collapse_audit.probes.statistics.estimates import permutation_p
from collapse_audit.probes.statistics.ranks import ranks
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, RawPanel
from collapse_audit.probes.statistics.tables import side_sums
from collapse_audit.probes.text.sample import GENERATION_0
from collapse_audit.probes.trends import followed
from collapse_audit.probes.types import probe

_MISSING = 0.05
"""Share of texts without nll from which the others are not taken for all."""
_QUANTILES = (0.05, 0.25, 0.50, 0.95, 0.99)
_DECIMALS = 12
"""Of W1, nats per token: the next ones hang on the order in which a processor sums."""
_SIGNATURE = 0.05
"""Level at which both tails must have gained for a distance to be loss; the distance itself is still tested."""
_OVERLAP = 0.2
"""Share of a side's texts that must have a counterpart of equal length: fewer speak for themselves alone."""
_PORTION = 1 << 17
"""Cells of the cumulated labels in memory at once (1 MiB): what stays in the processor's cache costs a third."""


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
            kind="move",
            panels=(
                RawPanel(
                    picture="perplexity",
                    title="Geometric mean perplexity",
                    unit="perplexity",
                    baseline="mean_baseline",
                    generation="mean_generation",
                    exp=True,
                ),
            ),
            plain="how probable the texts are",
            says="the texts of {generation} lie {value} from those of {baseline} in how likely generation 0 finds them",
        ),
    ),
    source="Shumailov et al. 2024, doi 10.1038/s41586-024-07566-y (Fig. 1b, c); Villani 2009 (Wasserstein distance)",
    since="0.1",
    followed=followed.log_perplexity,
    compared=compared.perplexity,
    packed=answers.scored,
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
        Other decoding moves it as training does. Shorter texts have a wider histogram: where lengths differ, texts of
        equal length are compared (``length-matched``).

    Signature
        ``nature-signature`` marks a generation in which mass moved to both ends of the histogram, each significantly
        (intersection-union test). A distance with it is loss and can fail; without it the distance is a move, which is
        told as ``changed``.

    Needs
        ``nll``, the mean negative log-likelihood a token under generation 0: in the records, or made by
        ``collapse-lineage score``. Other scorers' values are a second opinion in the evidence and never mixed in.
    """
    if pair.baseline.nll is None or pair.generation.nll is None:
        any_scored = pair.baseline.nll is not None or pair.generation.nll is not None
        return NotMeasured(
            reason=f"the records {'of one side ' if any_scored else ''}carry no nll", neutral=not any_scored
        )
    x = np.concatenate((pair.baseline.nll, pair.generation.nll))
    scored = pair.design.per_block(np.isnan(x[pair.design.kept]).astype(np.float64)) == 0
    design = pair.design.restricted(scored)
    missing = max(float(np.mean(~scored[side])) for side in (pair.design.side, ~pair.design.side))
    if missing > _MISSING or not (design.side.any() and (~design.side).any()):
        return NotMeasured(
            reason=f"{missing:.0%} of the texts of a side carry no nll, and those are no random sample",
            neutral=False,
        )
    matched = _equally_long(pair, design)
    if isinstance(matched, NotMeasured):
        return matched
    notes = [f"{int(np.count_nonzero(~scored))} blocks without nll"] if not scored.all() else []
    explanations = []
    if matched is not design:
        notes.append("length-matched")
        explanations.append(
            f"texts differ in length, so texts of equal length are compared: {matched.documents(True):,} of "
            f"{design.documents(True):,} a side"
        )
    same = scored.all() and matched is design
    drawn = pair.relabellings if same else matched.relabellings(pair.permutations, pair.stream("perplexity"))
    shape = _shape(x[matched.kept], drawn, matched)
    signed = shape["signature_p"] <= _SIGNATURE
    if signed:
        notes.append("nature-signature")
        explanations.append(
            "mass moved to both ends of the histogram: the signature of model collapse in Shumailov et al. 2024"
        )
    w1 = np.round(wasserstein(x[matched.kept], drawn, matched), _DECIMALS)
    return distance(
        w1,
        matched.standard_error(_influence(x[matched.kept], matched)),
        matched,
        kind="loss" if signed else None,
        raw={"w1": float(w1[0]), **shape},
        notes=tuple(notes),
        explanation="; ".join(explanations),
        evidence=tuple(_second_opinions(pair, matched, drawn)),
    )


def _equally_long(pair: Pair, design: Design) -> Design | NotMeasured:
    """``design``, or where lengths differ between the sides its texts of equal length."""
    lengths = _lengths(pair, design)
    side = design.side[design.block]
    if lengths is None or not lengths_differ(lengths[~side], lengths[side]):
        return design
    matched = by_length(design, lengths, pair.stream("perplexity lengths"))
    if matched is None or min(map(matched.documents, (False, True))) < _OVERLAP * design.documents(True):
        kept = 0 if matched is None else matched.documents(True)
        return NotMeasured(
            reason=f"the two sides are not equally long: only {kept:,} of {design.documents(True):,} texts a side have "
            "a counterpart of their length, and log-perplexities of texts of different length cannot be compared",
            neutral=False,
        )
    return matched


def _lengths(pair: Pair, design: Design) -> FloatArray | None:
    """Tokens of each document of ``design``: the model's own where known, else words; None where neither is."""
    own = [sample.n_tokens for sample in (pair.baseline, pair.generation)]
    if own[0] is not None and own[1] is not None:
        tokens = np.concatenate((own[0], own[1]))[design.kept]
        if not np.isnan(tokens).any():
            return tokens
    words = [sample.tokens.lengths.astype(np.float64) for sample in (pair.baseline, pair.generation)]
    known = all(length.any() for length in words)  # a reference pack knows none
    return np.concatenate(words)[design.kept] if known else None


def _second_opinions(pair: Pair, design: Design, drawn: npt.NDArray[np.uint8]) -> Iterator[dict[str, Any]]:
    """What other scorers say of the same texts. They are never mixed with generation 0's, and judge nothing."""
    x = np.concatenate([sample.nll for sample in (pair.baseline, pair.generation) if sample.nll is not None])
    scorers = pair.baseline.scores.keys() | pair.generation.scores.keys()
    for scorer in sorted(name for name in scorers if not name.startswith(GENERATION_0)):
        name, _, digest = scorer.rpartition("@")
        about = {"kind": "scorer", "scorer": name, "digest": digest}
        if scorer not in pair.baseline.scores or scorer not in pair.generation.scores:
            where = "baseline" if scorer in pair.baseline.scores else "generation"
            yield {**about, "reason": f"it has scored the {where} alone, so nothing can be compared"}
            continue
        y = np.concatenate((pair.baseline.scores[scorer], pair.generation.scores[scorer]))
        known = design.per_block(np.isnan(y[design.kept]).astype(np.float64)) == 0
        both = design.restricted(known)
        if not (both.side.any() and (~both.side).any()):
            yield {**about, "reason": "it has scored too few of the texts"}
            continue
        own, other, side = x[both.kept], y[both.kept], both.side[both.block]
        yield {
            **about,
            "n": int(other.size),
            "rank_correlation": _rank_correlation(own, other),
            "w1": float(wasserstein(other, drawn[:1, known], both)[0]),
            "shift_mean": float(other[side].mean() - other[~side].mean()),
            "generation_0_shift_mean": float(own[side].mean() - own[~side].mean()),
        }


def _rank_correlation(x: FloatArray, y: FloatArray) -> float:
    """Spearman's rho: the correlation of ranks, ties at their mean; 0 where one does not vary."""
    placed = [ranks(values) - (values.size + 1) / 2 for values in (x, y)]
    scale = float(np.sqrt(np.square(placed[0]).sum() * np.square(placed[1]).sum()))
    return float(placed[0] @ placed[1]) / scale if scale else 0.0


def wasserstein(x: FloatArray, relabellings: npt.NDArray[np.uint8], design: Design) -> FloatArray:
    """W1 between the two sides under every relabelling (shape (B + 1, K)); ``x`` of shape (D,); gives (B + 1,)."""
    order = np.argsort(x, kind="stable")
    gaps = np.diff(x[order])
    block = design.block[order]
    documents = np.bincount(design.block).astype(np.float64)
    ranks = np.arange(1.0, x.size)
    result = np.empty(len(relabellings))
    step = max(1, _PORTION // x.size)
    for start in range(0, len(relabellings), step):
        labels = relabellings[start : start + step]
        generation = (labels.astype(np.float64) @ documents)[:, None]
        baseline = x.size - generation
        apart = np.cumsum(np.take(labels, block[:-1], axis=1), axis=1, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart *= 1 / generation + 1 / baseline  # F_G - F_B = c / g - (rank - c) / b
            apart -= ranks / baseline
        result[start : start + step] = np.abs(apart, out=apart) @ gaps
    return result


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
    # Both must have gained: the larger p-value is one of "not both" (intersection-union: Berger 1982,
    # doi 10.1080/00401706.1982.10487790), and needs no correction for there being two.
    shape["signature_p"] = max(shape["left_mass_p"], shape["right_mass_p"])
    return shape


def _gains(beyond: BoolArray, relabellings: npt.NDArray[np.uint8], design: Design) -> FloatArray:
    """Share of the generation's texts beyond a cut less that of the baseline's, under every relabelling."""
    hits, documents = design.per_block(beyond.astype(np.float64)), np.bincount(design.block).astype(np.float64)
    baseline, generation = side_sums(np.stack((hits, documents), axis=1), relabellings)
    return np.asarray(generation[:, 0] / generation[:, 1] - baseline[:, 0] / baseline[:, 1])
