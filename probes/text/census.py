"""What is counted over all documents of a corpus, and not only over those that are drawn of it.

A sample cannot see what is very rare: a class of ten texts in a million, copies that are far apart. Such counts add up
over the parts of a corpus, and only they, never texts, come back from whoever reads a part.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.text.folding import fold, visible
from collapse_audit.probes.text.tokens import Tokenizer, tokenizer
from collapse_audit.probes.text.written import apart_from_prompts, only_markers

IntArray = npt.NDArray[np.int64]

MOST_LABELS = 10**5
"""Different labels of one corpus: beyond, hardly any is carried twice, and none tells anything of collapse."""
_BYTES = 2**25
"""Of text that is cut into tokens at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How often each of L numbers occurs."""

    values: IntArray
    """Shape (L,), ascending."""
    counts: IntArray
    """Shape (L,), all above 0."""

    @classmethod
    def of(cls, numbers: npt.NDArray[np.integer]) -> Tally:
        """Of plain numbers."""
        values, counts = np.unique(numbers, return_counts=True)
        return cls(values=values.astype(np.int64), counts=counts.astype(np.int64))

    def __add__(self, other: Tally) -> Tally:
        values, place = np.unique(np.concatenate((self.values, other.values)), return_inverse=True)
        counts = np.zeros(values.size, dtype=np.int64)
        np.add.at(counts, place, np.concatenate((self.counts, other.counts)))
        return Tally(values=values, counts=counts)

    @property
    def total(self) -> int:
        """Of how many numbers it is."""
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCounts:
    """What the texts of N documents show, each looked at by itself."""

    empty: int
    """Texts with nothing that a reader sees, or with nothing but markers of a text's end."""
    lengths: Tally
    """Tokens a text."""
    copies: Tally
    """Of each distinct text (:func:`~collapse_audit.probes.text.folding.fold`): its digest, and how often it stands
    there. Once :meth:`Census.settled`: how many texts stand there once, twice, and so on."""

    def __add__(self, other: TextCounts) -> TextCounts:
        return TextCounts(
            empty=self.empty + other.empty, lengths=self.lengths + other.lengths, copies=self.copies + other.copies
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Counts over N documents."""

    documents: int
    labels: Mapping[str, int] | None
    """How many documents carry each label in their field; None where there are more than :data:`MOST_LABELS` labels."""
    texts: TextCounts | None
    """None where what the model wrote of a text cannot be told without looking at others."""

    def __add__(self, other: Census) -> Census:
        return Census(
            documents=self.documents + other.documents,
            labels=_sum_of(self.labels, other.labels),
            texts=None if self.texts is None or other.texts is None else self.texts + other.texts,
        )

    def settled(self) -> Census:
        """With the digests of texts replaced by how often texts are repeated: nothing is added to it any more."""
        if self.texts is None:
            return self
        return replace(self, texts=replace(self.texts, copies=Tally.of(self.texts.copies.counts)))


def census(table: pa.Table, tokens: str, seed: int) -> Census:
    """Of at least one record in the plain form; ``tokens`` names the tokeniser, ``seed`` is the digests' key."""
    portions = [_census(part, _tokenizer(tokens), seed) for part in _portions(table)]
    whole = portions[0]
    for portion in portions[1:]:
        whole += portion
    return whole


def _census(table: pa.Table, cut: Tokenizer, seed: int) -> Census:
    prompts = table["prompt"].combine_chunks()
    texts = apart_from_prompts(_one(table["text"].cast(pa.large_string())), _one(prompts))
    folded = fold(texts)
    empty = np.asarray(pc.equal(folded, "")) | only_markers(folded)
    return Census(
        documents=len(table),
        labels=_labels(table["labels"]),
        texts=TextCounts(
            empty=int(np.count_nonzero(empty)),
            lengths=Tally.of(cut(visible(texts)).lengths),
            copies=Tally.of(digests(folded, seed)),
        ),
    )


def digests(texts: pa.Array, seed: int) -> IntArray:
    """Keyed digests of 8 bytes, equal where texts are; shape (N,). Of 10^8 texts, the most of a corpus, two that
    differ have the same one in 1 of 3,700 corpora."""
    key = hashlib.blake2b(f"collapse-audit copies {seed}".encode(), digest_size=32).digest()
    hashed = (
        hashlib.blake2b(text, digest_size=8, key=key).digest() for text in texts.cast(pa.large_binary()).to_pylist()
    )
    return np.frombuffer(b"".join(hashed), dtype="<i8").astype(np.int64)


def _labels(column: pa.ChunkedArray) -> Mapping[str, int] | None:
    if column.null_count == len(column):
        return {}
    carried = Counter(label for labels in column.to_pylist() for label in set(labels or ()))
    return dict(carried) if len(carried) <= MOST_LABELS else None


def _sum_of(one: Mapping[str, int] | None, other: Mapping[str, int] | None) -> Mapping[str, int] | None:
    if one is None or other is None:
        return None
    both = Counter(one)
    both.update(other)
    return dict(both) if len(both) <= MOST_LABELS else None


def _portions(table: pa.Table) -> Iterator[pa.Table]:
    """The rows in portions of bearable size, one row at least in each."""
    ends = np.cumsum(pc.binary_length(table["text"]).to_numpy())
    start = 0
    while start < len(table):
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + _BYTES, side="right")))
        yield table.slice(start, end - start)
        start = end


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


@cache
def _tokenizer(name: str) -> Tokenizer:
    return tokenizer(name)
