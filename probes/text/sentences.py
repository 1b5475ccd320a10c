"""Where sentences end, in columns: enough to compare how long they are on two sides that are cut alike."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from collapse_audit.probes.statistics.design import FloatArray, IntArray
from collapse_audit.probes.text.tokens import Tokens

_END = r"^[.!?\x{2026}\x{3002}\x{ff01}\x{ff1f}]"
_DIGIT = r"^\p{Nd}"
_WORD = r"[\p{L}\p{N}]"


def sentence_lengths(words: Tokens) -> tuple[IntArray, IntArray]:
    """Words of every sentence, and the document it stands in, each of shape (S,), in the order of the text.

    A sentence ends at a run of signs that begins with . ! ? … or their full-width forms, unless digits stand on both
    sides of it (2.5), and with its document; what holds no word is none.

    >>> import pyarrow as pa
    >>> from collapse_audit.probes.text.tokens import WORDS
    >>> lengths, document = sentence_lengths(WORDS(pa.array(["It grew by 2.5 cm. Why? ...", "No end"])))
    >>> lengths.tolist(), document.tolist()
    ([6, 1, 2], [0, 0, 1])
    """
    document = np.repeat(np.arange(words.lengths.size), words.lengths)
    end, digit, word = (
        np.asarray(pc.match_substring_regex(words.vocabulary, pattern=pattern))[words.ids]
        for pattern in (_END, _DIGIT, _WORD)
    )
    inner = np.zeros(end.size, dtype=np.bool_)
    inner[1:-1] = digit[:-2] & digit[2:]
    new = np.zeros(end.size, dtype=np.int64)
    new[1:] = (end & ~inner)[:-1] | (document[1:] != document[:-1])
    sentence = np.cumsum(new)
    lengths = np.bincount(sentence, word)
    of = np.zeros(lengths.size, dtype=np.int64)
    of[sentence] = document
    return lengths[lengths > 0].astype(np.int64), of[lengths > 0]


def sentence_changes(words: Tokens) -> tuple[FloatArray, FloatArray]:
    """Of each of D documents, both of shape (D,): the sum of abs(ln(words of a sentence/words of the one before)) over
    neighbours, and how many neighbours there are.

    >>> import pyarrow as pa
    >>> from collapse_audit.probes.text.tokens import WORDS
    >>> change, neighbours = sentence_changes(WORDS(pa.array(["One. Two words. One.", "No end"])))
    >>> change.round(3).tolist(), neighbours.tolist()
    ([1.386, 0.0], [2.0, 0.0])
    """
    lengths, document = sentence_lengths(words)
    within = document[1:] == document[:-1]
    change, of = np.abs(np.diff(np.log(lengths)))[within], document[1:][within]
    documents = words.lengths.size
    sums, numbers = np.bincount(of, change, documents), np.bincount(of, minlength=documents)
    return sums.astype(np.float64), numbers.astype(np.float64)
