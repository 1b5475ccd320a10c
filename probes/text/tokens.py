"""Text to tokens, in columns: Arrow splits and encodes whole batches, so no Python object is made for a word."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.apart import Died, run_apart
from collapse_audit.errors import UsageError
from collapse_audit.regular import NotRegularError, read_regular

_LARGEST_FILE = 128 * 2**20
"""Bytes of a tokenizer.json; the largest in use have about 35 million."""
_MEMORY, _MEMORY_A_BYTE = 2 * 2**30, 40
"""Address space of the process that cuts: at least, and for every byte of text."""
_SECONDS, _SLOWEST = 15.0, 200_000
"""Its time: at least, and one second for every so many bytes of text (usual are 3 million)."""

IntArray = npt.NDArray[np.integer[Any]]

# Scripts that are written without spaces between words: every character (with its marks) is a token.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]\p{M}*"
# A run of symbols ("...", "?!", an emoji with its modifiers) is one token, so that an ellipsis is not a loop of three
# full stops. Marks and format characters (joiners, soft hyphens) belong to what they stand in, and never start a run.
_SYMBOLS = r"[^\p{L}\p{M}\p{N}_\s\p{Z}\p{Cf}][^\p{L}\p{N}_\s\p{Z}]*"
_NUMBER = r"^[^\p{L}\p{N}\p{So}]*\p{N}[^\p{L}\p{So}]*\p{L}{0,2}[^\p{L}\p{N}\p{So}]*$"
"""Digits with their signs, and at most an ordinal's or a unit's two letters: 234  19th  1990s  5km."""
_WORD = r"[\p{L}\p{N}\p{So}]"
_APART = rf"({_UNSPACED}|{_SYMBOLS})"


@dataclass(frozen=True, slots=True)
class Tokens:
    """Ragged token ids of N documents: document d is ``ids[offsets[d]:offsets[d + 1]]``, into ``vocabulary``."""

    ids: IntArray
    """Shape (T,), T tokens in all, int32."""
    offsets: IntArray
    """Shape (N + 1,)."""
    vocabulary: pa.LargeStringArray
    """Shape (V,); every id is in 0..V-1."""

    @property
    def lengths(self) -> IntArray:
        """Tokens a document, shape (N,)."""
        return np.diff(self.offsets)


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A named way to cut text: the name stands in every report."""

    name: str
    cut: Callable[[pa.Array], Tokens]

    def __call__(self, texts: pa.Array) -> Tokens:
        """Tokenise ``texts`` (string array, shape (N,), no nulls)."""
        return self.cut(texts)


def _words(texts: pa.Array) -> Tokens:
    spaced = pc.replace_substring_regex(texts.cast(pa.large_string()), pattern=_APART, replacement=r" \1 ")
    pieces = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(spaced))
    flat, parents = pc.list_flatten(pieces), pc.list_parent_indices(pieces)
    keep = pc.not_equal(flat, "")  # an empty text splits into one empty piece
    encoded = flat.filter(keep).dictionary_encode()
    lengths = np.bincount(parents.filter(keep).to_numpy(zero_copy_only=False), minlength=len(texts))
    return Tokens(
        ids=encoded.indices.to_numpy(),
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        vocabulary=encoded.dictionary.cast(pa.large_string()),
    )


WORDS = Tokenizer("words", _words)
"""Unicode words of any script, case kept; characters of unspaced scripts; runs of symbols."""


def tokenizer(name: str) -> Tokenizer:
    """Look up ``words`` or ``hf:FILE`` (a Hugging Face ``tokenizer.json``; needs the ``hf`` extra)."""
    if name == "words":
        return WORDS
    kind, _, file = name.partition(":")
    if kind != "hf" or not file:
        raise UsageError(f'tokens = "{name}" is not known; allowed: "words" or "hf:FILE" (a tokenizer.json)')
    return _hugging_face(Path(file))


def _hugging_face(file: Path) -> Tokenizer:
    """A tokenizer of a file that anybody may have written, so the library that reads it runs apart."""
    if find_spec("tokenizers") is None:
        raise UsageError(f'tokens = "hf:{file}" needs the tokenizers package: pip install "collapse-audit[hf]"')
    try:
        digest = hashlib.sha256(read_regular(file, most=_LARGEST_FILE)).hexdigest()
    except (NotRegularError, OSError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        raise UsageError(f'tokens = "hf:{file}": not a readable tokenizer.json ({why})') from None
    cut = partial(_cut_apart, file)
    cut(pa.array([], pa.large_string()))  # a file that cannot be read is refused before any text is
    return Tokenizer(f"hf:{file.name} (sha256 {digest[:12]})", cut)


def _cut_apart(file: Path, texts: pa.Array) -> Tokens:
    """``texts`` (shape (N,)) as the tokenizer in ``file`` cuts them. Raises UsageError."""
    sink = io.BytesIO()
    batch = pa.RecordBatch.from_arrays([texts.cast(pa.large_string())], names=["text"])
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    data = sink.getvalue()
    try:
        answer = run_apart(
            Path(__file__).with_name("hf_worker.py"),
            [str(file.resolve())],
            data,
            memory=_MEMORY + _MEMORY_A_BYTE * len(data),
            seconds=_SECONDS + len(data) / _SLOWEST,
        )
        source = io.BytesIO(answer)
        ids, used, vocabulary = (pa.ipc.open_stream(source).read_all().column(0).combine_chunks() for _ in range(3))
    except (Died, pa.ArrowException) as error:
        raise UsageError(
            f'tokens = "hf:{file}": not a readable tokenizer.json, or not one that can be used ({error})'
        ) from None
    flat = ids.flatten().to_numpy(zero_copy_only=False)
    return Tokens(
        ids=np.searchsorted(used.to_numpy(zero_copy_only=False), flat).astype(np.int32),
        offsets=ids.offsets.to_numpy() - ids.offsets[0].as_py(),
        vocabulary=vocabulary,
    )


def tells_something(term: str) -> bool:
    """Whether ``term`` means anything to a reader: it holds a letter or a digit, and is no marker such as ``<unk>``."""
    return any(map(str.isalnum, term)) and not (term.startswith("<") and term.endswith(">"))


def in_one_case(tokens: Tokens) -> npt.NDArray[np.bool_]:
    """Documents that are written in small letters only or in capitals only; shape (N,). Scripts without case are not.

    A document in small letters holds letters that have capitals, and none of them is one.
    """
    small = pc.not_equal(pc.utf8_upper(tokens.vocabulary), tokens.vocabulary).to_numpy(zero_copy_only=False)
    capital = pc.not_equal(pc.utf8_lower(tokens.vocabulary), tokens.vocabulary).to_numpy(zero_copy_only=False)
    document = np.repeat(np.arange(tokens.lengths.size), tokens.lengths)
    holds_small, holds_capital = (
        np.bincount(document[which[tokens.ids]], minlength=tokens.lengths.size) > 0 for which in (small, capital)
    )
    return np.asarray(holds_small != holds_capital)


def uncased(tokens: Tokens) -> Tokens:
    """The tokens with capitals as small letters."""
    folded = pc.utf8_lower(tokens.vocabulary).dictionary_encode()
    return Tokens(folded.indices.to_numpy()[tokens.ids], tokens.offsets, folded.dictionary)


def folded_words(vocabulary: pa.Array) -> tuple[IntArray, list[str]]:
    """Each type's code among the words, -1 for signs, and the words: case folded, numbers as their digits."""
    folded = pc.utf8_lower(vocabulary)
    digits = pc.replace_substring_regex(folded, pattern=r"[^\p{N}]+", replacement="")
    folded = pc.if_else(pc.match_substring_regex(folded, _NUMBER), digits, folded)
    encoded = folded.filter(pc.match_substring_regex(folded, _WORD)).dictionary_encode()
    codes = pc.index_in(folded, value_set=encoded.dictionary).fill_null(-1).to_numpy().astype(np.int64)
    return codes, encoded.dictionary.to_pylist()
