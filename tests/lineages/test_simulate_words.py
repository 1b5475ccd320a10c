"""Texts to words and back: the audit's tokeniser must find the very words that were written."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collapse_audit.lineages.simulation.words import decode, encode
from collapse_audit.probes.text.tokens import WORDS

QUICK = settings(max_examples=60, deadline=None)
ODD = st.sampled_from("ab Я中ไ,.!?()\"'_\n\t\u0301\u00a0")
TEXTS = st.lists(st.text(alphabet=st.one_of(ODD, st.characters(exclude_categories=["Cs", "Cc", "Cf"]))), max_size=6)


def audited(texts: list[str]) -> list[list[str]]:
    """The words that the audit counts, a list a text."""
    tokens = WORDS(pa.array(texts, pa.large_string()))
    words = tokens.vocabulary.to_pylist()
    return [[words[index] for index in ids] for ids in np.split(tokens.ids, tokens.offsets[1:-1])] if texts else []


@pytest.mark.parametrize(
    "text",
    [
        "Hello, world! It works (mostly).",
        'She said "no" and left; nobody knew why…',
        "Узловой зоб (EU-TIRADS 4), 0,9*0,5 см.",
        "我们是中国人。他们也是。",
        "",
    ],
)
def test_ordinary_writing_comes_back_as_it_was(text: str) -> None:
    documents = encode([text])
    assert decode(documents.vocabulary, documents.ids, documents.offsets) == [text]


@QUICK
@given(TEXTS)
def test_what_is_written_out_holds_the_words_that_the_audit_counts(texts: list[str]) -> None:
    texts = [text.replace("\0", " ") for text in texts]
    documents = encode(texts)
    words = documents.vocabulary.words
    mine = (
        [[words[index] for index in ids] for ids in np.split(documents.ids, documents.offsets[1:-1])] if texts else []
    )
    assert mine == audited(texts)
    assert audited(decode(documents.vocabulary, documents.ids, documents.offsets)) == mine


@QUICK
@given(TEXTS, st.integers(0, 2**32 - 1))
@example(["\u0300:", ":0"], 0)  # an accent with no letter to stand on
@example(["\xad0:0\x080"], 0)  # a word that begins with a soft hyphen
@example(["0\u34000\u0f71"], 0)  # a Tibetan vowel sign that would settle on the Chinese character before it
def test_words_in_any_order_stay_the_words_that_they_are(texts: list[str], seed: int) -> None:
    documents = encode([text.replace("\0", " ") for text in texts])
    shuffled = np.random.default_rng(seed).permutation(documents.ids)
    written = decode(documents.vocabulary, shuffled, documents.offsets)
    flat = [word for words in audited(written) for word in words]
    assert flat == [documents.vocabulary.words[index] for index in shuffled]


def test_a_pair_that_the_source_never_wrote_is_spaced_as_its_symbol_usually_is() -> None:
    documents = encode(["one, two (three) four"])
    place = {word: index for index, word in enumerate(documents.vocabulary.words)}
    ids = np.array([place[word] for word in ("four", ",", "one", "(", "two", ")")])
    assert decode(documents.vocabulary, ids, np.array([0, 6])) == ["four, one (two)"]
