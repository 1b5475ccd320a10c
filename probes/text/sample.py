"""One corpus in memory, in columns: texts as Arrow strings, tokens as integer arrays, keys and labels beside them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.statistics.dependence import Neighbours
from collapse_audit.probes.text.census import Census, Tally, TextCounts
from collapse_audit.probes.text.draw import COLUMNS, SCORES, Draw, draw
from collapse_audit.probes.text.folding import differences, fold, fold_space, visible
from collapse_audit.probes.text.labels import LabelRule, Labels
from collapse_audit.probes.text.loops import loops
from collapse_audit.probes.text.tokens import Tokenizer, Tokens
from collapse_audit.probes.text.written import (
    MOST_BEGIN,
    apart_from_prompts,
    beginnings,
    only_markers,
    without_prompts,
    written,
)

FloatArray = npt.NDArray[np.float64]

GENERATION_0 = "generation-0"
"""What the scorer is called under whose likelihoods texts are compared."""
_NUMBER = r"\p{Nd}+(?:[.,:/*×xх]\p{Nd}+)*"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """N documents of one corpus."""

    name: str
    """As the report shows it, e.g. ``generation 1 (held-out)``."""
    digest: str
    n_read: int
    """Documents in the file; more than N where a random subsample was taken."""
    texts: pa.LargeStringArray
    """Shape (N,), no nulls: what the model wrote, as it is spelt (prompts and chat markers are taken away)."""
    tokens: Tokens
    """Of the texts as a reader sees them: without invisible characters, letters composed."""
    label_field: pa.Array | None
    """Shape (N,), lists of strings; None where no record has labels."""
    prompts: pa.Array | None
    groups: pa.Array | None
    nll: FloatArray | None
    """Shape (N,): mean negative log-likelihood under generation 0, nats a token; NaN where a record has none."""
    n_tokens: FloatArray | None = None
    """Shape (N,): length in the model's own tokens; NaN where a record has none."""
    numeric: FloatArray | None = None
    """Shape (N, W): the numbers that stand in place of texts; the texts are then these numbers. None of texts."""
    score: FloatArray | None = None
    """Shape (N,): how right the text is as an answer, on any scale; NaN where a record has none."""
    embeddings: npt.NDArray[np.float32] | None = None
    """Shape (N, d): sentence embeddings of the texts that the records bring, as they are."""
    scores: Mapping[str, FloatArray] = field(default_factory=dict)
    """Likelihoods that lie beside the corpus, by scorer (``name@digest``); each of shape (N,), as ``nll``."""

    whole: Census | None = None
    """Counts over all documents that were read, where there are more of them than N."""
    notes: tuple[str, ...] = ()
    """What was taken away or folded before anything was counted, for the report."""

    def __len__(self) -> int:
        """Documents in memory."""
        return len(self.texts)

    def labels(self, rule: LabelRule) -> Labels:
        """Which labels the documents carry under ``rule``; computed once a rule."""
        if rule.name not in self._labels:
            self._labels[rule.name] = rule.apply(self.texts, self.label_field)
        return self._labels[rule.name]

    @cached_property
    def _labels(self) -> dict[str, Labels]:
        return {}

    @cached_property
    def order(self) -> dict[int, Neighbours]:
        """What the order of the records says, by seed; filled where it is asked for."""
        return {}

    @cached_property
    def folded(self) -> pa.LargeStringArray:
        """What makes two texts duplicates of each other; see :func:`~collapse_audit.probes.text.folding.fold`."""
        return fold(self.texts)

    @cached_property
    def patterns(self) -> pa.LargeStringArray:
        """The folded texts with numbers masked (the thyroid paper's "unique patterns")."""
        return fold_space(pc.replace_substring_regex(visible(self.texts), pattern=_NUMBER, replacement="#"))

    @cached_property
    def empty(self) -> npt.NDArray[np.bool_]:
        """Where a text holds nothing that a reader sees; shape (N,)."""
        return np.asarray(pc.equal(self.folded, ""))

    @cached_property
    def counted(self) -> Census:
        """Counts over all documents that were read: those of the sample, where it is all of them."""
        if self.whole is not None:
            return self.whole
        codes = self.folded.dictionary_encode().indices.to_numpy()
        rows = [] if self.label_field is None else self.label_field.to_pylist()
        return Census(
            documents=len(self),
            labels=dict(Counter(label for labels in rows for label in set(labels or ()))),
            texts=TextCounts(
                empty=int(np.count_nonzero(self.empty | only_markers(self.folded))),
                lengths=Tally.of(self.tokens.lengths),
                copies=Tally.of(Tally.of(codes).counts),
            ),
        )

    @cached_property
    def loops(self) -> npt.NDArray[np.bool_]:
        """Where a text gets stuck in a loop, of tokens or inside a word; shape (N,)."""
        return loops(self.tokens, self.folded)


def read_sample(
    batches: Iterable[pa.RecordBatch],
    *,
    name: str,
    digest: str,
    tokenizer: Tokenizer,
    max_documents: int,
    seed: int,
) -> Sample:
    """Gather record batches into a sample of at most ``max_documents`` (0: all), drawn at random without replacement.

    Memory is bounded by the sample and not by the corpus; see :mod:`~collapse_audit.probes.text.draw`.
    """
    drawn = draw(batches, most=max_documents, seed=seed)
    return sample_of(drawn, name=name, digest=digest, tokenizer=tokenizer)


def with_prompts_of(sample: Sample, other: Sample, tokenizer: Tokenizer) -> Sample:
    """The sample without the prompts of ``other`` that most of its texts begin with, where it has none of its own."""
    if sample.prompts is not None or other.prompts is None:
        return sample
    prompts = beginnings(sample.texts, other.prompts)
    if sum(prompt is not None for prompt in prompts) < MOST_BEGIN * max(len(sample), 1):
        return sample
    texts, notes = without_prompts(sample.texts, prompts)
    notes_of_other = tuple(f"{note} (a prompt of {other.name}; the records here have none)" for note in notes)
    return dataclasses.replace(
        sample,
        texts=texts,
        tokens=tokenizer(visible(texts)),
        prompts=pa.array(prompts, pa.string()),
        whole=None if sample.whole is None else dataclasses.replace(sample.whole, texts=None),
        notes=(*sample.notes, *notes_of_other),
    )


def sample_of(drawn: Draw, *, name: str, digest: str, tokenizer: Tokenizer, whole: Census | None = None) -> Sample:
    """What was drawn of a corpus as a sample: what the model wrote of each document, and its tokens.

    ``whole``: counts over all documents. Those of texts are put aside where the sample shows that what the model wrote
    cannot be told of one text by itself, as of chat transcripts.
    """
    table = drawn.table.combine_chunks()
    columns = {column: _one(table[column]) for column in COLUMNS}
    raw = columns["text"].cast(pa.large_string())
    nll = columns["nll"]
    answers = written(raw, _present(columns["prompt"]))
    if whole is not None and not answers.texts.equals(apart_from_prompts(raw, columns["prompt"])):
        whole = dataclasses.replace(whole, texts=None)
    seen = visible(answers.texts)
    notes = (*answers.notes, *differences(answers.texts, seen))
    tokens = tokenizer(seen)
    pa.default_memory_pool().release_unused()  # splitting needs many times what it leaves behind
    return Sample(
        name=name,
        digest=digest,
        n_read=drawn.n_read,
        whole=whole,
        texts=answers.texts,
        tokens=tokens,
        label_field=_present(columns["labels"]),
        prompts=answers.prompts,
        groups=_present(columns["group"]),
        nll=_numbers(nll),
        n_tokens=_numbers(_one(table["n_tokens"])) if "n_tokens" in table.column_names else None,
        numeric=_rows(_one(table["numeric"])) if "numeric" in table.column_names else None,
        score=_numbers(_one(table["score"])) if "score" in table.column_names else None,
        embeddings=_rows(_one(table["embedding"]), np.float32) if "embedding" in table.column_names else None,
        scores={
            name.removeprefix(SCORES): numbers
            for name in table.column_names
            if name.startswith(SCORES) and (numbers := _numbers(_one(table[name]))) is not None
        },
        notes=notes,
    )


def _numbers(column: pa.Array) -> FloatArray | None:
    if column.null_count == len(column):
        return None
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _rows(column: pa.Array, kind: type[Any] = np.float64) -> npt.NDArray[Any] | None:
    """Lists of equally many numbers as a table."""
    if column.null_count or not len(column):
        return None
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=kind).reshape(len(column), -1)


def rows_of(values: npt.NDArray[Any] | None, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any] | None:
    """Some rows of what the documents of a sample may have."""
    return None if values is None else values[rows]


def _one(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined


def _present(column: pa.Array) -> pa.Array | None:
    return None if column.null_count == len(column) else column


def score_texts(score: Callable[[str], float], texts: pa.Array) -> FloatArray:
    """A number of each text, as its author's function gives it; shape (D,). Whatever that raises comes through."""
    return np.array([float(score(text)) for text in texts.to_pylist()], dtype=np.float64)
