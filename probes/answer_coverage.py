"""CA307: does one of several answers to a prompt still get it right?"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import gammaln

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import MIN_UNITS, FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import estimate, permutation_p
from collapse_audit.probes.statistics.readings import RULE_OF_THREE, Estimate, Gate, NotMeasured, Reading, Z
from collapse_audit.probes.statistics.tables import sparse_side_sums
from collapse_audit.probes.types import probe

_MOST = 64
"""Answers that are taken together at most."""
_FEW = 0.10
"""Share of the prompts that may have fewer answers than are taken together; they are left out."""


@probe(
    name="answer-coverage",
    code="CA307",
    needs=("prompts", "scores"),
    gates=(
        Gate(
            statistic="drop",
            unit="share of prompts",
            worse="higher",
            margin=0.05,
            because="one prompt in twenty more that none of several answers gets right",
            plain="prompts that one of several answers gets right",
            says="the share of prompts that one of several answers gets right {drop} in {generation}",
        ),
    ),
    source="Chen et al. 2021, arXiv:2107.03374 (pass@k); Yue et al. 2025, arXiv:2504.13837",
    since="0.2",
)
def answer_coverage(pair: Pair) -> Reading:
    """Does one of several answers to a prompt still get it right?

    What it measures
        pass@k, of answers that were scored: the share of prompts that at least one of k answers gets right, before and
        after. k is the number that nine in ten prompts have on either side, at most 64.

    Formula and unit
        Of n answers to a prompt of one side, c right: pass@k = 1 - C(n - c, k)/C(n, k), without bias; the mean over
        prompts with k answers and more. drop: that of the baseline less that of the generation. pass@1, the mean share
        of right answers, stands beside it. Prompts are the units of the interval; the test swaps what the design swaps,
        which leaves every prompt as many answers a side. An answer is right where its score is 1 (or true), or at
        least ``solved_at`` where that is set.

    Why it signals collapse
        Reinforcement makes the answer that was likely surer, so that pass@1 rises, and prompts whose right answers were
        rare have none left (arXiv:2510.01171, arXiv:2509.02534): coverage falls while pass@1 does not.

    When it misleads
        A lower temperature does the same, and nothing is forgotten: compare under one decoding. Answers that guess
        (yes or no) cover all prompts by chance, and a model that guesses less covers fewer.

    Needs
        Prompts with several answers on both sides, and ``score`` in the records: 0 or 1, true or false, or any number
        with ``solved_at``.
    """
    answers = _answers(pair)
    if answers is None:
        return NotMeasured(reason="the records of a side carry no prompt with a score")
    if isinstance(answers, NotMeasured):
        return answers
    observed = next(_counts(answers, pair.relabellings[:1]))[1][:, 0]
    k = int(min(np.quantile(observed[observed > 0], _FEW, method="lower"), _MOST))
    if k < 2 or min(np.count_nonzero(observed >= k, axis=1)) < MIN_UNITS:
        return NotMeasured(reason=f"fewer than {MIN_UNITS} prompts a side have several answers that are scored")
    table = _covered(int(observed.sum(axis=0).max()), k)
    drops = []
    for part, n, right in _counts(answers, pair.relabellings):
        if (np.sort(np.hstack((n[0], n[1])), axis=1) != np.sort(observed.ravel())).any():
            return NotMeasured(reason="answers to a prompt do not stay as many a side where units swap: --unit prompt")
        share = table[n, right]
        drops.append(np.subtract(*np.nanmean(share, axis=2)))
        if part.start == 0:
            shown = share[:, 0], np.where(n[:, 0] >= k, right[:, 0] / np.maximum(n[:, 0], 1), np.nan)
    return _estimate(pair, np.concatenate(drops), k, *shown)


def _answers(pair: Pair) -> csr_array | NotMeasured | None:
    """Scored answers to each of P prompts in every block, and below them those that are right; shape (2P, K)."""
    sides = pair.baseline, pair.generation
    if any(side.prompts is None or side.score is None for side in sides):
        return None
    kept = pair.design.kept
    score = np.concatenate([side.score for side in sides if side.score is not None])[kept]
    coded = pair.answered
    scored = np.flatnonzero(np.isfinite(score) & (coded >= 0))
    score, block = score[scored], pair.design.block[scored]
    if not scored.size:
        return None
    if pair.solved_at is None and not np.isin(score, (0.0, 1.0)).all():
        return NotMeasured(reason="scores other than 0 and 1: say from which on an answer is right (--solved-at)")
    right = score >= (1.0 if pair.solved_at is None else pair.solved_at)
    if not right[~pair.design.side[block]].any():
        return NotMeasured(reason="no answer of the baseline is right, so none can be lost")
    prompt = np.unique(coded[scored], return_inverse=True)[1]
    rows = np.concatenate((prompt, prompt[right] + prompt.max() + 1))
    shape = (2 * (int(prompt.max()) + 1), pair.design.side.size)
    return csr_array((np.ones(rows.size), (rows, np.concatenate((block, block[right])))), shape=shape)


def _counts(answers: csr_array, labels: npt.NDArray[np.uint8]) -> Iterator[tuple[slice, IntArray, IntArray]]:
    """Answers and right ones to each of P prompts on both sides, a slice of the relabellings at a time; each of shape
    (2, b, P)."""
    for part, sums in sparse_side_sums(answers, labels):
        n, right = np.split(sums.astype(np.int64), 2, axis=2)
        yield part, n, right


def _covered(most: int, k: int) -> FloatArray:
    """pass@k of n answers, c of them right, for all n and c up to ``most``; NaN where n is less than k."""
    n, c = np.arange(most + 1.0)[:, None], np.arange(most + 1.0)
    wrong = np.maximum(n - c, 0)
    with np.errstate(invalid="ignore"):
        log_none = gammaln(wrong + 1) - gammaln(wrong - k + 1) - gammaln(n + 1) + gammaln(n - k + 1)
        none = np.where(wrong >= k, np.exp(log_none), 0.0)
    return np.where(n >= k, 1 - none, np.nan)


def _estimate(pair: Pair, drops: FloatArray, k: int, covered: FloatArray, first: FloatArray) -> Estimate:
    """``covered``, ``first``: pass@k and pass@1 of every prompt on both sides, shape (2, P); NaN where it is not."""
    design, prompts = pair.design, covered.shape[1]
    means, singles = np.nanmean(covered, axis=1), np.nanmean(first, axis=1)
    known = np.isfinite(covered)
    away = np.where(known, covered - means[:, None], 0.0) / known.sum(axis=1, keepdims=True)
    moved = away[0] - away[1]
    floor = RULE_OF_THREE * math.sqrt(2) / (Z * int(known.sum(axis=1).min()))
    error = max(float(np.sqrt(np.square(moved).sum() * prompts / max(prompts - 1, 1))), floor)
    fell = drops[0] > 0
    narrowed = "pass@1 did not fall: answers grew surer, and rare right ones are gone"
    return estimate(
        float(drops[0]),
        error if design.units >= design.least else math.inf,
        scale="linear",
        worse="higher",
        p_value=permutation_p(drops, worse="higher"),
        design=design,
        method="linearised mean over prompts, normal",
        statistic="drop",
        raw={
            "k": k,
            "pass_at_k_baseline": float(means[0]),
            "pass_at_k_generation": float(means[1]),
            "pass_at_1_baseline": float(singles[0]),
            "pass_at_1_generation": float(singles[1]),
            "prompts": int(known.any(axis=0).sum()),
        },
        explanation="" if not fell else narrowed if singles[1] >= singles[0] else "pass@1 fell, too",
    )
