"""Kinds of text: languages, subjects, registers, found in both sides together, so that relabelling changes nothing.

Texts are vectors of their words' log-counts times log inverse document frequency, of length 1 (words case-folded,
numbers as their digits, signs left out), put into a few dimensions by a truncated singular value decomposition, and
grouped by k-means (Lloyd 1982, doi 10.1109/TIT.1982.1056489; started as Arthur & Vassilvitskii 2007,
dl.acm.org/doi/10.5555/1283383.1283494). Where the records bring embeddings, these less their mean stand in the place
of words. Neighbouring groups are joined one after another (Ward 1963,
doi 10.1080/01621459.1963.10500845): a subject may be one group or several, so every group on the way is a kind.

Texts stand in the order of their letters before anything is drawn: neither the order of a file nor which side is called
the baseline matters. Nor does the processor: the decomposition is rounded to a grid, on which sums and products that
follow are exact, in whatever order a library makes them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array, diags_array

from collapse_audit.probes.statistics.design import BoolArray, FloatArray, IntArray
from collapse_audit.probes.text.ngrams import distinct
from collapse_audit.probes.text.tokens import Tokens, folded_words, tells_something

FEWEST = 60
"""Texts of both sides together in the smallest kind: of 30 a side that are equally frequent, 1 in 1,000 comparisons
leaves doubt whether a quarter is left."""
_TEXTS_A_GROUP = 50
_GROUPS = (8, 40)
"""Fewest and most groups, and dimensions."""
_LEAST = 5
"""Texts that hold a word that counts."""
_FITTED = 8000
"""Texts that groups are fitted to, taken evenly; the others go to the nearest."""
_SPARE, _ITERATIONS = 10, 5
"""Dimensions beside those that are kept, and rounds, of the subspace iteration."""
_ROUNDS = 30
_GRID = 2.0**16
"""Steps of 1: products of two places take 32 bits, and 64 of them 38, of the 53 that a double holds."""
_NOTHING = 1e-6
"""Length under which a text has no place: what is left of it in these dimensions may be rounding."""
_WORDS = 5
_SEED = 0x6B696E64


def kinds(tokens: Tokens, code: IntArray, texts: pa.Array, embeddings: FloatArray | None = None) -> BoolArray:
    """Which of D documents are of which of M kinds; shape (D, M). Kinds are nested. M is 0 where there are none.

    ``code``, shape (D,): the text of each document, into ``texts``. ``embeddings``: of each document, shape (D, d).
    """
    rank = np.empty(len(texts), dtype=np.int64)
    rank[np.asarray(pc.sort_indices(texts))] = np.arange(len(texts))
    groups = int(np.clip(code.size // _TEXTS_A_GROUP, *_GROUPS))
    nothing = np.zeros((code.size, 0), dtype=np.bool_)
    if code.size < 2 * groups:
        return nothing
    if embeddings is None:
        order = np.argsort(rank[code], kind="stable")
        table = _weighted(tokens, order)
        if min(table.shape) <= groups + 1:
            return nothing
        places = _places(table, groups)
    else:
        order = np.lexsort((embeddings[:, 0], rank[code]))  # equal texts may have been embedded in two ways
        places = _meant(embeddings[order], groups)
    group, centres = _grouped(places, groups)
    members = _joined(np.bincount(group, minlength=groups), centres)
    member = np.empty((code.size, len(members)), dtype=np.bool_)
    member[order] = np.stack([np.isin(group, list(each)) for each in members], axis=1)
    return member


class Names:
    """The words that tell some documents from all others."""

    def __init__(self, tokens: Tokens) -> None:
        words, self._spelled = folded_words(tokens.vocabulary)
        width = max(len(self._spelled), 1)
        document = np.repeat(np.arange(tokens.lengths.size), tokens.lengths)
        word = words[tokens.ids]
        held = distinct(document[word >= 0] * width + word[word >= 0])
        self._document, self._word = held // width, held % width
        self._texts = self._holding(self._word)

    def of(self, member: BoolArray) -> str:
        """Of the documents where ``member`` (shape (D,)) is True, the clearest first; each stands in at least 5."""
        inside = self._holding(self._word[member[self._document]])
        outside = self._texts - inside
        # log-odds in units of its spread (Monroe et al. 2008, doi 10.1093/pan/mpn018, without their prior).
        odds = np.log((inside + 0.5) / (member.sum() - inside + 0.5)) - np.log(
            (outside + 0.5) / ((~member).sum() - outside + 0.5)
        )
        clear = np.where(inside >= _LEAST, odds * np.sqrt(inside), -np.inf)
        best = np.argsort(-clear, kind="stable")[: 4 * _WORDS]
        told = [self._spelled[k] for k in best if clear[k] > 0 and tells_something(self._spelled[k])]
        return ", ".join(told[:_WORDS])

    def _holding(self, words: IntArray) -> IntArray:
        return np.bincount(words, minlength=len(self._spelled))


def _weighted(tokens: Tokens, order: IntArray) -> csr_array:
    """tf-idf of the documents in ``order``, rows of length 1 (0 where a document holds no word that counts)."""
    words, spelled = folded_words(tokens.vocabulary)
    document = np.repeat(np.arange(tokens.lengths.size), tokens.lengths)
    word = words[tokens.ids]
    held = word >= 0
    # Columns in the order of their letters: sums must not depend on who wrote a word first.
    column = np.empty(len(spelled), dtype=np.int64)
    column[sorted(range(len(spelled)), key=spelled.__getitem__)] = np.arange(len(spelled))
    table = csr_array(
        (np.ones(np.count_nonzero(held)), (document[held], column[word[held]])), shape=(order.size, len(spelled))
    )
    table.sum_duplicates()
    table = table[order]
    frequency = np.bincount(table.indices, minlength=len(spelled))
    table.data = 1 + np.log(table.data)
    kept = np.flatnonzero(frequency >= _LEAST)
    table = table[:, kept] @ diags_array(np.log(order.size / frequency[kept]))
    length = np.sqrt(np.asarray(table.power(2).sum(axis=1)))
    return csr_array(diags_array(1 / np.where(length > 0, length, 1.0)) @ table)


def _meant(embeddings: FloatArray, dimensions: int) -> FloatArray:
    """The places of embeddings less their mean, which says what language and model all of them are of."""
    centred = embeddings - embeddings.mean(axis=0)
    if centred.shape[1] > dimensions + _SPARE:
        return _places(centred, dimensions)
    return _on_grid(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), _NOTHING))


def _places(table: csr_array | FloatArray, dimensions: int) -> FloatArray:
    """The documents' places in a few dimensions, of length 1; fitted to evenly many of them.

    By subspace iteration from a fixed start (Halko, Martinsson & Tropp 2011, doi 10.1137/090771806): the spectrum of
    words has no gap, so Lanczos would search long for axes that matter little.
    """
    fitted = table[:: -(-table.shape[0] // _FITTED)]
    start = np.random.default_rng(_SEED).standard_normal((table.shape[1], dimensions + _SPARE))
    basis = np.linalg.qr(fitted @ start)[0]
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(fitted @ (fitted.T @ basis))[0]
    axes = np.linalg.svd(np.asarray(basis.T @ fitted), full_matrices=False)[2][:dimensions]
    places = table @ axes.T
    return _on_grid(places / np.maximum(np.linalg.norm(places, axis=1, keepdims=True), _NOTHING))


def _on_grid(places: FloatArray) -> FloatArray:
    return np.asarray(np.rint(places * _GRID) / _GRID)


def _grouped(places: FloatArray, groups: int) -> tuple[IntArray, FloatArray]:
    """The group of every document, shape (D,), and the groups' centres, shape (groups, dimensions)."""
    rng = np.random.default_rng(_SEED)
    fitted = places[:: -(-len(places) // _FITTED)]
    start = int(rng.integers(len(fitted)))
    centres = fitted[start : start + 1]
    far = np.square(fitted - centres[0]).sum(axis=1)
    while len(centres) < groups:
        chosen = int(rng.choice(len(fitted), p=far / far.sum() if far.sum() > 0 else None))
        centres = np.concatenate((centres, fitted[chosen : chosen + 1]))
        far = np.minimum(far, np.square(fitted - centres[-1]).sum(axis=1))
    for _ in range(_ROUNDS):
        group = _nearest(fitted, centres)
        size = np.bincount(group, minlength=groups)
        sums = np.stack([np.bincount(group, column, groups) for column in fitted.T], axis=1)
        moved = _on_grid(np.where(size[:, None] > 0, sums / np.maximum(size, 1)[:, None], centres))
        if (moved == centres).all():
            break
        centres = moved
    return _nearest(places, centres), centres


def _nearest(places: FloatArray, centres: FloatArray) -> IntArray:
    return np.asarray(np.argmax(places @ centres.T - np.square(centres).sum(axis=1) / 2, axis=1))


def _joined(sizes: IntArray, centres: FloatArray) -> Sequence[frozenset[int]]:
    """The groups, and what becomes of them as the two nearest are joined until two are left: those large enough."""
    left = {k: (float(sizes[k]), centres[k], frozenset([k])) for k in range(len(sizes)) if sizes[k]}
    clusters = [each for _, _, each in left.values()]
    while len(left) > 2:
        keys = list(left)
        size = np.array([left[key][0] for key in keys])
        centre = np.array([left[key][1] for key in keys])
        apart = np.square(centre[:, None] - centre).sum(axis=2) * (size[:, None] * size / (size[:, None] + size))
        np.fill_diagonal(apart, np.inf)
        first, other = (left.pop(keys[k]) for k in np.unravel_index(np.argmin(apart), apart.shape))
        both = first[0] + other[0]
        left[max(keys) + len(sizes)] = (both, (first[0] * first[1] + other[0] * other[1]) / both, first[2] | other[2])
        clusters.append(first[2] | other[2])
    large = [each for each in clusters if sizes[list(each)].sum() >= FEWEST]
    return large or [each for _, _, each in left.values()]
