"""CA705: do sentences vary in length, and do words come in bursts, as in people's texts?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from collapse_audit.probes.pairs.training_data import TrainingData
from collapse_audit.probes.statistics.design import MIN_UNITS, FloatArray, IntArray
from collapse_audit.probes.statistics.readings import Gate, NotMeasured, Reading
from collapse_audit.probes.text.folding import visible
from collapse_audit.probes.text.ngrams import portions
from collapse_audit.probes.text.sentences import sentence_changes
from collapse_audit.probes.text.tokens import WORDS, Tokens, folded_words
from collapse_audit.probes.types import data_probe

_COMMON = 0.10
"""Share of the texts beyond which a word is one that everybody uses all the time."""
_AT_ONCE = 10_000
"""Texts that are cut into sentences at a time."""


@data_probe(
    name="burstiness",
    code="CA705",
    needs=("text", "reference"),
    gates=(
        Gate(
            statistic="sentence-lengths",
            unit="ratio",
            worse="lower",
            margin=0.80,
            because="a fifth of the change from one sentence to the next gone; halves of corpora whose texts hold "
            "several sentences, 424 to 1,000 texts each, keep .97 to 1.05",
            kind="move",
            plain="change of length from sentence to sentence",
            says="the change of length from one sentence to the next is {value} of that in the reference",
        ),
        Gate(
            statistic="words",
            unit="ratio",
            worse="lower",
            margin=0.70,
            because="three in ten of the returns of a word gone; texts of a trigram model keep .22 to .26, the same "
            "halves .93 to 1.04",
            kind="move",
            plain="returns of a word in one text",
            says="words come back within a text {value} as often as in the reference",
        ),
    ),
    source="Church & Gale 1995, doi 10.1017/S1351324900000139 (words in bursts); Chung & Romano 2013, "
    "doi 10.1214/13-AOS1090 (the test of a ratio)",
    since="0.2",
)
def burstiness(data: TrainingData) -> Iterator[Reading]:
    """Do sentences vary in length, and do words come in bursts, as in people's texts?

    What it measures
        How much longer or shorter a sentence is than the one before it, and how often a word that stands in few texts
        comes back in the same text.

    Formula and unit
        sentence-lengths: ratio, data to reference, of the mean of abs(ln(words of a sentence/words of the one before)),
        over all neighbours within a text. A sentence ends at . ! ? or …, unless digits stand on both sides. words:
        ratio of the share of (text, word) pairs in which the word stands twice or more, over words in at most a tenth
        of the texts, texts cut to the same length. Equally many texts a side; documents are relabelled.

    Why it signals collapse
        Practitioners' lists name even sentences as a mark of machine text, and a trigram model's words do not come
        back: what is learned from such data is as flat as they are.

    When it misleads
        Sentences of small models are less even than people's, not more: in five lineages they change 1.15 to 2.4 times
        as much. Another kind of text has other sentences: chats, manuals and reports are even, novels are not. So less
        than the margin is ``changed``, never a loss, and says nothing of who wrote any one text. Copies and loops bring
        words back, too, and hide that they do not come in bursts.

    Needs
        Text, and a reference (``--reference``).
    """
    parts = [
        sentence_changes(WORDS(visible(part)))
        for generation in (False, True)
        for part in _slices(data.texts(generation))
    ]
    yield _ratio(data, "sentence-lengths", *(np.concatenate(each) for each in zip(*parts, strict=True)))
    yield _ratio(data, "words", *_returns(data))


def _slices(texts: pa.Array) -> Iterator[pa.Array]:
    """Texts one after the other, a bounded number at a time; at least one part."""
    for first in range(0, max(len(texts), 1), _AT_ONCE):
        yield texts.slice(first, _AT_ONCE)


def _returns(data: TrainingData) -> tuple[FloatArray, FloatArray]:
    """Of each of D texts: how many words of few texts it holds twice or more, and how many it holds."""
    code, words = folded_words(data.matched.vocabulary)
    documents, size = data.matched.lengths.size, max(len(words), 1)
    texts = np.zeros(size, dtype=np.int64)
    for _, part in portions(data.matched):
        _, word, _ = _standing(part, code, size)
        texts += np.bincount(word, minlength=size)
    few = texts <= _COMMON * documents
    few &= np.array([not spelled.isdigit() for spelled in words] or [True])
    again, count = np.zeros(documents), np.zeros(documents)
    for rows, part in portions(data.matched):
        of, word, times = _standing(part, code, size)
        of, times = of[few[word]], times[few[word]]
        count[rows] = np.bincount(of, minlength=part.lengths.size)
        again[rows] = np.bincount(of[times > 1], minlength=part.lengths.size)
    return again, count


def _standing(tokens: Tokens, code: IntArray, size: int) -> tuple[IntArray, IntArray, IntArray]:
    """Every word of every text once: the text, the word, and how often it stands there."""
    document = np.repeat(np.arange(tokens.lengths.size), tokens.lengths)
    ids = code[tokens.ids]
    pairs, times = np.unique(document[ids >= 0] * size + ids[ids >= 0], return_counts=True)
    return pairs // size, pairs % size, times


def _ratio(data: TrainingData, statistic: str, top: FloatArray, bottom: FloatArray) -> Reading:
    side = data.design.side[data.design.block]
    for which, name in ((~side, "reference"), (side, "data")):
        if np.count_nonzero(bottom[which]) < MIN_UNITS:
            what = "two sentences" if statistic == "sentence-lengths" else "a word that stands in few texts"
            reason = f"fewer than {MIN_UNITS} texts of the {name} hold {what}"
            return NotMeasured(statistic=statistic, reason=reason, neutral=name == "reference")
    raw = {name: float(top[on].sum() / bottom[on].sum()) for name, on in (("baseline", ~side), ("generation", side))}
    return data.compare(top, bottom, scale="log", worse="lower", statistic=statistic, raw=raw)
