"""Text to tokens, in columns: Arrow splits and encodes whole batches, so no Python object is made for a word."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.errors import UsageError

IntArray = npt.NDArray[np.integer[Any]]

# Scripts that are written without spaces between words: every character (with its marks) is a token.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]\p{M}*"
# A run of symbols ("...", "?!", an emoji with its modifiers) is one token, so that an ellipsis is not a loop of three
# full stops. Marks and format characters (joiners, soft hyphens) belong to what they stand in, and never start a run.
_SYMBOLS = r"[^\p{L}\p{M}\p{N}_\s\p{Z}\p{Cf}][^\p{L}\p{N}_\s\p{Z}]*"
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
    try:
        from tokenizers import Tokenizer as Fast
    except ImportError:
        raise UsageError(
            f'tokens = "hf:{file}" needs the tokenizers package: pip install "collapse-audit[hf]"'
        ) from None
    try:
        blob = file.read_bytes()
        fast: Any = Fast.from_str(blob.decode("utf-8"))
    except Exception as error:
        raise UsageError(f'tokens = "hf:{file}": not a readable tokenizer.json ({error})') from None
    fast.no_truncation()
    fast.no_padding()

    def cut(texts: pa.Array) -> Tokens:
        # Only ids: encode_batch_fast leaves the encodings' own strings and offsets empty.
        ids = [encoding.ids for encoding in fast.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)]
        used, codes = np.unique(np.array([i for row in ids for i in row], dtype=np.int64), return_inverse=True)
        return Tokens(
            ids=codes.astype(np.int32),
            offsets=np.concatenate(([0], np.cumsum([len(row) for row in ids], dtype=np.int64))),
            vocabulary=pa.array([fast.id_to_token(int(i)) for i in used], pa.large_string()),
        )

    return Tokenizer(f"hf:{file.name} (sha256 {hashlib.sha256(blob).hexdigest()[:12]})", cut)
