"""CA306: do texts still mean as many different things?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import Design, FloatArray, thinned
from collapse_audit.probes.statistics.estimates import estimate, jackknife, permutation_p
from collapse_audit.probes.statistics.readings import Estimate, Gate, Kind, NotMeasured, Reading, Z
from collapse_audit.probes.types import probe

_TEXTS = 2_000
"""Texts a side that are embedded, drawn at random where there are more: their number is squared."""
_LEAST = 3
"""Blocks a side without which leaving one out leaves no pair."""
_ROWS = 64
"""Relabellings that are multiplied at a time."""
_ELSEWHERE = 0.05
"""How much farther from the baseline's texts another subject lies, in cosine: .07 to .33 on abstracts, questions and
stories; the same subject with shuffled words, or cut to half, at most .046."""
_NOTHING = 1e-6
"""What a mean of nothing counts as where its logarithm is taken: cosines carry seven digits."""


@probe(
    name="semantic-diversity",
    code="CA306",
    needs=("text", "embeddings"),
    gates=(
        Gate(
            statistic="mean-distance",
            unit="ratio",
            worse="lower",
            margin=0.95,
            because="two texts lie a twentieth nearer to each other than two of the baseline do; halves of real "
            "corpora, 400 texts each, stay above .98",
            plain="how far texts lie apart in meaning",
            says="two texts of {generation} lie {value} as far apart in meaning as two of {baseline}",
        ),
        Gate(
            statistic="effective-meanings",
            unit="ratio",
            worse="lower",
            margin=0.85,
            because="three in twenty of the effective number of different meanings gone; halves of real corpora, 400 "
            "texts each, keep .91 and more",
            plain="meanings in real use",
            says="the meanings in real use in {generation} are {value} of those in {baseline}",
        ),
        Gate(
            statistic="energy-distance",
            unit="distance",
            worse="higher",
            margin=0.05,
            because="between what cutting texts to half their length moves (.003 to .033) and another subject (.09 to "
            ".19)",
            kind="move",
            plain="what texts mean",
            says="the texts of {generation} lie {value} from those of {baseline} in meaning",
        ),
    ),
    source="Friedman & Dieng 2023, arXiv:2210.02410 (Vendi score); Pasarkar & Dieng 2024, arXiv:2310.12952 (its "
    "orders); Szekely & Rizzo 2013, doi 10.1016/j.jspi.2013.03.018 (energy distance)",
    since="0.2",
    exempt={"renaming-words": "an embedding model reads words, and other words mean something else"},
)
def semantic_diversity(pair: Pair) -> Iterator[Reading]:
    """Do texts still mean as many different things?

    What it measures
        How far texts lie apart in meaning: cosines of their sentence embeddings. These are what the records bring, or,
        where you name one, what a model of yours makes of the texts (``--embed MODEL``). Of each side at most 2,000
        texts are looked at, drawn at random.

    Formula and unit
        Over all pairs of texts of two different units of one side, with c the cosine of their embeddings: mean-distance
        is the ratio of the means of 1 - c. effective-meanings is the ratio of 1 / mean of c^2: the Vendi score of order
        2, in the form that does not depend on n. energy-distance is 2 E d(X, Y) - E d(X, X') - E d(Y, Y') with
        d = sqrt(2 - 2c), the distance on the unit sphere: 0 in the mean where both sides are alike.

    Why it signals collapse
        Models that are trained on what models wrote, or tuned to preferences, say the same things in many words: word
        counts stay, meanings go.

    When it misleads
        It sees what the embedding model sees: its language, and the first few hundred tokens of a text. Another subject
        may be narrower, and nothing is lost: where the generation's texts lie more than .05 farther (in cosine) from
        their nearest text of the baseline than the baseline's texts do from theirs, less variety is ``changed`` and no
        collapse by itself. Take one model for both sides, and for all audits that are compared: embeddings of another
        one differ like those of another subject. Those of the records are of what their maker embedded, prompts and
        all.

    Needs
        Text, and ``embedding`` (a list of numbers, of one length) in every record of both sides, or a local
        sentence-embedding model: ``pip install "collapse-audit[embed]"`` and ``--embed FOLDER``.
    """
    compared = _compared(pair)
    if isinstance(compared, NotMeasured):
        yield from (dataclasses.replace(compared, statistic=gate.statistic) for gate in semantic_diversity.gates)
        return
    kind: Kind | None = "move" if compared.beyond > _ELSEWHERE else None
    apart = compared.means(lambda cosine: 1 - cosine)
    if apart.within[0, 0] > _NOTHING:
        yield _ratio(compared, "mean-distance", apart, 1.0, kind)
    else:
        yield NotMeasured(statistic="mean-distance", reason="all texts of the baseline mean the same")
    yield _ratio(compared, "effective-meanings", compared.means(np.square), -1.0, kind)
    yield _energy(compared, compared.means(lambda cosine: np.sqrt(np.maximum(2 - 2 * cosine, 0))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Means:
    """Means over pairs of texts of two different blocks, under every relabelling."""

    within: FloatArray
    """Shape (2, B + 1): both texts of the baseline's side, both of the generation's."""
    between: FloatArray
    """Shape (B + 1,): one of either."""
    own: FloatArray
    """Shape (K,): of what is observed, the mean of a block's own side without the block."""
    other: FloatArray
    """Shape (K,): of what is observed, the mean between the sides without the block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """The embedded texts of both sides, D of them in K blocks."""

    design: Design
    """Its documents are in the order of their blocks."""
    drawn: npt.NDArray[np.uint8]
    """Relabellings, shape (B + 1, K)."""
    cosines: FloatArray
    """Of the embeddings of every two texts, shape (D, D)."""

    @property
    def beyond(self) -> float:
        """How much farther, in cosine, the generation's texts lie from their nearest text of the baseline than the
        baseline's texts from theirs, which is of another block: above 0 where they are not among them."""
        block, generation = self.design.block, self.design.side[self.design.block]
        to_known = self.cosines[:, ~generation]
        own = np.where(block[~generation][:, None] == block[~generation], -1, to_known[~generation]).max(axis=1)
        return float(own.mean() - to_known[generation].max(axis=1).mean())

    def means(self, of: Callable[[FloatArray], FloatArray]) -> _Means:
        """Of a function of the cosine of two embeddings."""
        starts = np.flatnonzero(np.diff(self.design.block, prepend=-1))
        values = of(self.cosines)
        sums = np.add.reduceat(np.add.reduceat(values, starts, axis=0), starts, axis=1)
        np.fill_diagonal(sums, 0.0)
        return _means(sums, np.diff(starts, append=self.design.block.size).astype(np.float64), self.drawn)


def _compared(pair: Pair) -> _Compared | NotMeasured:
    if min(np.bincount(pair.design.side, minlength=2)) < _LEAST:
        return NotMeasured(reason=f"fewer than {_LEAST} texts a side that are independent of each other")
    design = thinned(pair.design, _TEXTS, pair.stream("semantic-diversity texts"))
    order = np.argsort(design.block, kind="stable")
    design = dataclasses.replace(design, kept=design.kept[order], block=design.block[order])
    embeddings = pair.meanings(design.kept)
    if isinstance(embeddings, NotMeasured):
        return embeddings
    drawn = design.relabellings(pair.permutations, pair.stream("semantic-diversity"))
    return _Compared(design=design, drawn=drawn, cosines=np.clip(embeddings @ embeddings.T, -1, 1))


def _means(sums: FloatArray, size: FloatArray, drawn: npt.NDArray[np.uint8]) -> _Means:
    """From sums over the pairs of texts of every two blocks, shape (K, K), 0 on the diagonal; ``size``: texts a block.

    One matrix product gives what lies within the generation's side, and the rows' sums give the rest.
    """
    all_pairs = sums.sum(axis=1)
    generation = np.empty(len(drawn))
    for start in range(0, len(drawn), _ROWS):
        labels = drawn[start : start + _ROWS].astype(np.float64)
        generation[start : start + _ROWS] = np.einsum("bk,bk->b", labels @ sums, labels)
    reached, texts, squared = (drawn @ column for column in (all_pairs, size, size**2))
    others = size.sum() - texts
    baseline = all_pairs.sum() - 2 * reached + generation
    pairs = np.stack((others**2 - (np.sum(size**2) - squared), texts**2 - squared))
    side = drawn[0].astype(bool)
    own, other = np.empty(side.size), np.empty(side.size)
    for which in (side, ~side):
        mine, theirs = (sums[np.ix_(which, beside)].sum(axis=1) for beside in (which, ~which))
        n, rest, left = size[which], size[~which].sum(), size[which].sum() - size[which]
        own[which] = (mine.sum() - 2 * mine) / (left**2 - np.sum(n**2) + n**2)
        other[which] = (theirs.sum() - theirs) / (left * rest)
    return _Means(
        within=np.stack((baseline, generation)) / pairs,
        between=(reached - generation) / (texts * others),
        own=own,
        other=other,
    )


def _ratio(compared: _Compared, statistic: str, means: _Means, power: float, kind: Kind | None) -> Estimate:
    """Ratio of the two sides' means, to the power of 1 or -1.

    Texts that are spread evenly over a few meanings have no influence of first order, so the error is never taken for
    less than the spread of relabellings.
    """
    design, side = compared.design, compared.design.side
    within = np.maximum(means.within, _NOTHING)
    logs = power * np.log(within)
    influence = np.empty(side.size)
    for which, row in ((side, 1), (~side, 0)):
        without = power * np.log(np.maximum(means.own[which], _NOTHING))
        influence[which] = (2 * row - 1) * jackknife(logs[row, 0], without)
    change = logs[1] - logs[0]
    return estimate(
        math.exp(change[0]),
        max(design.standard_error(influence), float(change[1:].std())),
        scale="log",
        worse="lower",
        p_value=permutation_p(change, worse="lower"),
        design=design,
        method="block jackknife over pairs of texts or permutation spread, normal",
        statistic=statistic,
        kind=kind,
        raw=dict(zip(("baseline", "generation"), (within[:, 0] ** power).tolist(), strict=True)),
        explanation=""
        if kind is None
        else "its texts do not lie among the baseline's: another subject, or another task",
    )


def _energy(compared: _Compared, means: _Means) -> Estimate:
    """Distance between the sides; its error is never taken for less than its spread over relabellings."""
    design, side = compared.design, compared.design.side
    energy = 2 * means.between - means.within.sum(axis=0)
    # Where the sides share texts it is below 0, which no distance of two laws is.
    influence = np.empty(side.size)
    for which, other in ((side, 0), (~side, 1)):
        without = 2 * means.other[which] - means.own[which] - means.within[other, 0]
        influence[which] = jackknife(energy[0], without)
    error = max(design.standard_error(influence), float(energy[1:].std()))
    return estimate(
        float(energy[0]),
        error,
        scale="linear",
        worse="higher",
        p_value=permutation_p(energy, worse="higher"),
        design=design,
        method="block jackknife over pairs of texts or permutation spread, normal",
        high=max(float(energy[0]), 0.0) + Z * error,
        statistic="energy-distance",
        raw={"between": float(means.between[0]), "texts": float(design.documents(True))},
    )
