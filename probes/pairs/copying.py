"""How much of a generation stands word for word in what it was trained on.

A generation that recites its training texts keeps their tail, their types and their labels: it looks healthy, and has
learned nothing that would outlast the next step. A table beside the verdict shows how much; ``integrity`` gates what is
beyond the baseline's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.readings import Z
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import Tokens

ORDER = 8
"""Tokens of a span that counts as copied: eight words in a row are seldom written twice by chance."""
_SEED = 0x636F7079
"""Of the random codes of the words; any will do."""

_Codes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """Shares of one sample that stand in its training texts; each None where there is nothing to count."""

    texts: float | None
    """Of its texts that are not empty: those that are a training text, white space folded."""
    grams: float | None
    """Of its 8-grams of tokens: those that stand in a training text."""
    grams_low: float | None
    """One-sided 95% bounds, documents as units."""
    grams_high: float | None
    n_texts: int
    n_grams: int
    n_training: int
    """Training texts that were looked through; where they are a random part of all, the shares are lower bounds."""
    complete: bool
    """Whether those were all."""


def copied(sample: Sample, training: Sample) -> Copied:
    """What of ``sample`` stands in ``training``. Both must be cut by the same tokenizer."""
    written = ~sample.empty
    whole = np.asarray(pc.is_in(sample.folded, value_set=training.folded)) & written
    seen, grams = recited(sample.tokens, training.tokens)
    share, low, high = _share(seen, grams)
    return Copied(
        texts=float(whole.sum() / written.sum()) if written.any() else None,
        grams=share,
        grams_low=low,
        grams_high=high,
        n_texts=int(written.sum()),
        n_grams=int(grams.sum()),
        n_training=len(training),
        complete=training.n_read == len(training),
    )


def recited(mine: Tokens, training: Tokens) -> tuple[FloatArray, FloatArray]:
    """8-grams of each of N documents that stand in a training text, and all of its 8-grams; each of shape (N,)."""
    vocabulary = pa.concat_arrays([training.vocabulary, mine.vocabulary]).dictionary_encode()
    code = vocabulary.indices.to_numpy()
    names = np.random.default_rng(_SEED).integers(0, 2**64, size=len(vocabulary.dictionary), dtype=np.uint64)
    known, _ = _grams(training, names[code[: len(training.vocabulary)]])
    grams, document = _grams(mine, names[code[len(training.vocabulary) :]])
    seen = _among(grams, np.sort(known)).astype(np.float64)
    n = mine.lengths.size
    return np.bincount(document, seen, n).astype(np.float64), np.bincount(document, minlength=n).astype(np.float64)


def recited_among(tokens: Tokens) -> FloatArray:
    """8-grams of each of N documents that stand in another of them too; shape (N,)."""
    names = np.random.default_rng(_SEED).integers(0, 2**64, size=len(tokens.vocabulary), dtype=np.uint64)
    grams, document = _grams(tokens, names)
    kind = np.unique(grams, return_inverse=True)[1]
    order = np.lexsort((document, kind))
    new = np.ones(kind.size, dtype=np.bool_)
    new[1:] = (kind[order][1:] != kind[order][:-1]) | (document[order][1:] != document[order][:-1])
    holders = np.bincount(kind[order][new], minlength=int(kind.max(initial=-1)) + 1)
    return np.bincount(document, holders[kind] > 1, tokens.lengths.size).astype(np.float64)


def _grams(tokens: Tokens, names: _Codes) -> tuple[_Codes, npt.NDArray[np.int64]]:
    """A 64-bit code of every 8-gram and the document it stands in, each of shape (G,).

    Sums of random word codes times powers of an odd number, modulo 2^64: equal 8-grams have equal codes, and two of a
    billion different ones share theirs with a probability of about 3% in all.
    """
    document = np.repeat(np.arange(tokens.lengths.size), tokens.lengths)
    starts = np.flatnonzero(document[: max(document.size - ORDER + 1, 0)] == document[ORDER - 1 :])
    word = names[tokens.ids]
    codes = np.zeros(starts.size, dtype=np.uint64)
    for step in range(ORDER):
        codes *= np.uint64(0x9E3779B97F4A7C15)  # odd, so that nothing is lost
        codes += word[starts + step]
    return codes, document[starts]


def _among(codes: _Codes, known: _Codes) -> npt.NDArray[np.bool_]:
    """Which ``codes`` are among the ``known`` ones (ascending); shape of ``codes``.

    np.isin hashes: of millions of codes that takes ten times as long as a look-up in order, which runs through memory.
    """
    present = np.zeros(codes.size, dtype=np.bool_)
    if known.size:
        order = np.argsort(codes)
        ascending = codes[order]
        present[order] = known[np.minimum(np.searchsorted(known, ascending), known.size - 1)] == ascending
    return present


def _share(top: FloatArray, bottom: FloatArray) -> tuple[float | None, float | None, float | None]:
    """sum(top)/sum(bottom) of documents with its linearised 90% interval, kept in [0, 1]."""
    total, n = bottom.sum(), int(np.count_nonzero(bottom))
    if total == 0:
        return None, None, None
    share = float(top.sum() / total)
    if n < 2:
        return share, 0.0, 1.0
    error = math.sqrt(float(np.sum((top - share * bottom) ** 2)) * n / (n - 1)) / float(total)
    return share, max(share - Z * error, 0.0), min(share + Z * error, 1.0)
