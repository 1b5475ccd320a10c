"""CA304: do several answers to one prompt differ as much as they did?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import MIN_UNITS, BoolArray, FloatArray, IntArray
from collapse_audit.probes.statistics.estimates import estimate, permutation_p
from collapse_audit.probes.statistics.readings import RULE_OF_THREE, Estimate, Gate, NotMeasured, Reading, Z
from collapse_audit.probes.text.ngrams import ngrams
from collapse_audit.probes.types import probe

_ANSWERS = 64
"""Answers to a prompt of one side that are looked at: beyond, pairs cost much and tell little."""
_PORTION = 1 << 16
"""Pairs that are compared at a time."""
_EMBEDDED = 4_000
"""Answers that are embedded by a model, where one was named."""
_NOTHING = 1e-6
"""What no distance counts as where its logarithm is taken: cosines carry seven digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Twos:
    """Two answers to one prompt, J times."""

    first: IntArray
    other: IntArray
    """Shape (J,): documents."""
    prompt: IntArray
    """Shape (J,)."""


@probe(
    name="prompt-diversity",
    code="CA304",
    needs=("text", "prompts"),
    gates=(
        Gate(
            statistic="same-answer",
            unit="probability",
            worse="higher",
            margin=0.05,
            because="of two answers to one prompt, one pair in twenty more is the same answer twice",
            plain="the same answer twice to a prompt",
            says="two answers of {generation} to one prompt are more often the same: the share {rise}",
        ),
        Gate(
            statistic="overlap",
            unit="share of word pairs",
            worse="higher",
            margin=0.05,
            because="of the word pairs of two answers to one prompt, one in twenty more stands in both",
            plain="what answers to one prompt share",
            says="two answers of {generation} to one prompt share more of their word pairs: the share {rise}",
        ),
        Gate(
            statistic="meaning",
            unit="ratio",
            worse="lower",
            margin=0.80,
            because="two answers to one prompt lie a fifth nearer to each other in meaning",
            plain="how far answers to one prompt lie apart in meaning",
            says="two answers of {generation} to one prompt lie {value} as far apart in meaning as those of {baseline}",
            embeddings=True,
        ),
    ),
    source="Dice 1945, doi 10.2307/1932409; Zhu et al. 2018, arXiv:1802.01886 (Self-BLEU)",
    since="0.2",
)
def prompt_diversity(pair: Pair) -> Iterator[Reading]:
    """Do several answers to one prompt differ as much as they did?

    What it measures
        How alike two answers of one side to one prompt are, for prompts with 2 answers and more (64 a side are looked
        at). On the baseline's prompts where both sides answered these.

    Formula and unit
        Of all pairs of answers of one side to one prompt: same-answer is the share that is the same text twice, white
        space folded; overlap is the mean of 2|A and B|/(|A| + |B|) over their sets of word pairs, texts cut to a common
        length where one side is shorter. Both are the rise against the baseline, and neither depends on how many
        answers a prompt has. meaning: ratio of the means of 1 - c, with c the cosine of their embeddings, as in
        semantic-diversity. Prompts are the units of the interval; the test swaps what the design swaps.

    Why it signals collapse
        Preference tuning and reinforcement narrow the answers to a prompt while the corpus as a whole stays varied
        (arXiv:2510.01171, arXiv:2509.02534).

    When it misleads
        A lower temperature, or a prompt that has one right answer, makes answers alike and nothing is forgotten.

    Needs
        Text, and prompts with several answers on both sides; for meaning, ``embedding`` in the records or ``--embed``
        (of at most 4,000 answers, to prompts drawn at random).
    """
    twos = _twos(pair)
    if twos is None:
        yield from (
            NotMeasured(statistic=gate.statistic, reason="fewer than 10 prompts a side have several answers")
            for gate in prompt_diversity.gates
        )
        return
    text = pair.near_copies[1]
    yield _rise(pair, twos, (text[twos.first] == text[twos.other]).astype(np.float64), "same-answer")
    yield _rise(pair, twos, _overlap(pair, twos), "overlap")
    yield _meaning(pair, twos)


def _twos(pair: Pair) -> _Twos | None:
    """Every two answers to one prompt, of whichever side; None where too few prompts have two of one side."""
    prompt, side = pair.answered, pair.design.side[pair.design.block]
    cell = np.where(prompt >= 0, 2 * prompt + side, -1)
    order = np.lexsort((pair.stream("prompt-diversity").random(cell.size), cell))
    size = np.bincount(cell + 1)
    rank = np.empty_like(order)
    rank[order] = np.arange(cell.size) - (np.cumsum(size) - size)[cell[order] + 1]
    looked = np.flatnonzero((rank < _ANSWERS) & (prompt >= 0))
    looked = looked[np.argsort(prompt[looked], kind="stable")]
    ends = np.searchsorted(prompt[looked], prompt[looked], side="right")
    after = ends - np.arange(looked.size) - 1
    first = np.repeat(np.arange(looked.size), after)
    other = first + 1 + np.arange(first.size) - np.repeat(np.cumsum(after) - after, after)
    first, other = looked[first], looked[other]
    if min(np.unique(prompt[first[on]]).size for on in _of_one_side(side, first, other)) < MIN_UNITS:
        return None
    return _Twos(first=first, other=other, prompt=np.unique(prompt[first], return_inverse=True)[1])


def _of_one_side(side: BoolArray, first: IntArray, other: IntArray) -> list[BoolArray]:
    """Which pairs of documents are both the baseline's, and which both the generation's; ``side``: of each document."""
    return [(side[first] == of) & (side[other] == of) for of in (False, True)]


def _overlap(pair: Pair, twos: _Twos) -> FloatArray:
    """Dice's coefficient of the two answers' sets of word pairs; 0 where both have none."""
    grams, document = ngrams(pair.matched, 2)
    shape = (pair.matched.lengths.size, int(grams.max(initial=0)) + 1)
    held = csr_array((np.ones(grams.size, dtype=np.float32), (document, grams)), shape=shape)
    held.sum_duplicates()
    held.data[:] = 1.0
    size = np.diff(held.indptr)
    shared = np.zeros(twos.first.size)
    for start in range(0, twos.first.size, _PORTION):
        part = slice(start, start + _PORTION)
        shared[part] = np.asarray(held[twos.first[part]].multiply(held[twos.other[part]]).sum(axis=1)).ravel()
    return np.asarray(2 * shared / np.maximum(size[twos.first] + size[twos.other], 1))


def _rise(pair: Pair, twos: _Twos, alike: FloatArray, statistic: str) -> Estimate:
    """Mean of ``alike`` (shape (J,)) over the pairs of one side, generation less baseline, under every relabelling."""
    design = pair.design
    means = _means(design.block, twos, alike, pair.relabellings)
    change = means[1] - means[0]
    error = _error(twos, alike, _of_one_side(design.side[design.block], twos.first, twos.other))
    return estimate(
        float(change[0]),
        error if design.units >= design.least else math.inf,
        scale="linear",
        worse="higher",
        p_value=permutation_p(change, worse="higher"),
        design=design,
        method="linearised mean over pairs of answers, prompts as units, normal",
        statistic=statistic,
        raw={"baseline": float(means[0, 0]), "generation": float(means[1, 0])},
    )


def _meaning(pair: Pair, twos: _Twos) -> Reading:
    """Ratio of the mean distance of two answers to one prompt, by their embeddings."""
    if pair.embed is not None:
        twos = _fewer(twos, _EMBEDDED, pair.stream("prompt-diversity embedded"))
    rows, place = np.unique(np.concatenate((twos.first, twos.other)), return_inverse=True)
    held = pair.meanings(pair.design.kept[rows])
    if isinstance(held, NotMeasured):
        return dataclasses.replace(held, statistic="meaning")
    one, two = np.split(place, 2)
    apart = np.empty(one.size)
    for start in range(0, one.size, _PORTION):
        part = slice(start, start + _PORTION)
        apart[part] = 1 - np.einsum("jd,jd->j", held[one[part]], held[two[part]])
    design = pair.design
    means = np.maximum(_means(design.block, twos, apart, pair.relabellings), _NOTHING)
    if means[0, 0] <= _NOTHING:
        return NotMeasured(statistic="meaning", reason="all answers of the baseline to one prompt mean the same")
    change = np.log(means[1]) - np.log(means[0])
    on = _of_one_side(design.side[design.block], twos.first, twos.other)
    error = max(_spread(twos, apart, on, means[:, 0]), float(change[1:].std()))
    return estimate(
        math.exp(change[0]),
        error if design.units >= design.least else math.inf,
        scale="log",
        worse="lower",
        p_value=permutation_p(change, worse="lower"),
        design=design,
        method="linearised mean over pairs of answers or permutation spread, prompts as units, normal",
        statistic="meaning",
        raw={"baseline": float(means[0, 0]), "generation": float(means[1, 0])},
    )


def _fewer(twos: _Twos, answers: int, rng: np.random.Generator) -> _Twos:
    """All pairs of answers to some prompts, drawn at random, to which there are so many answers together."""
    both = np.unique(np.stack((np.tile(twos.prompt, 2), np.concatenate((twos.first, twos.other)))), axis=1)[0]
    size = np.bincount(both)
    order = rng.permutation(size.size)
    kept = np.zeros(size.size, dtype=np.bool_)
    kept[order[np.cumsum(size[order]) <= answers]] = True
    taken = kept[twos.prompt]
    prompt = np.unique(twos.prompt[taken], return_inverse=True)[1]
    return _Twos(first=twos.first[taken], other=twos.other[taken], prompt=prompt)


def _means(block: IntArray, twos: _Twos, alike: FloatArray, relabellings: np.ndarray) -> FloatArray:
    """Mean over the pairs of the baseline's and of the generation's side, shape (2, B + 1); 0 where there are none."""
    means = np.zeros((2, len(relabellings)))
    first, other = block[twos.first], block[twos.other]
    for row, labels in enumerate(relabellings):
        here, there = labels[first], labels[other]
        for side, both in enumerate(((here | there) == 0, (here & there) == 1)):
            means[side, row] = alike[both].mean() if both.any() else 0.0
    return means


def _error(twos: _Twos, alike: FloatArray, on: list[BoolArray]) -> float:
    """Standard error of the rise; never below 3 of all prompts."""
    prompts = int(twos.prompt.max()) + 1
    return max(_spread(twos, alike, on, np.ones(2)), RULE_OF_THREE * math.sqrt(2) / (Z * prompts))


def _spread(twos: _Twos, alike: FloatArray, on: list[BoolArray], scale: FloatArray) -> float:
    """Standard error of the difference of both sides' means over ``scale`` (shape (2,)): what each prompt adds to it on
    both sides, added up."""
    moved = np.zeros(int(twos.prompt.max()) + 1)
    for both, sign, size in zip(on, (-1.0, 1.0), scale, strict=True):
        away = (alike[both] - alike[both].mean()) / size
        moved += sign * np.bincount(twos.prompt[both], away, moved.size) / max(int(np.count_nonzero(both)), 1)
    return float(np.sqrt(np.square(moved).sum() * moved.size / max(moved.size - 1, 1)))
