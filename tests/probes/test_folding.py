"""Equal means equal to a reader: the key against Unicode's own definitions, and what it may not change."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pytest
from builders import sample
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.probes.text.folding import DEFAULT_IGNORABLE, differences, fold, visible

INVISIBLE = {code for first, last in DEFAULT_IGNORABLE for code in range(first, last + 1)}
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\0"), max_size=40) | st.text(
    "ae\u0301\u0300\u0308 \n\u00e9\u1e09\u00a0\u200b\u00ad\ufeff\uac00\u1100\u1161\u3164", max_size=12
)


def folded(text: str) -> str:
    return str(fold(pa.array([text], pa.large_string()))[0].as_py())


def test_the_table_is_unicodes_property() -> None:
    """A second copy of DerivedCoreProperties.txt: that of the regex package, where it is installed."""
    regex = pytest.importorskip("regex")
    shown = regex.compile(r"\p{Default_Ignorable_Code_Point}")
    all_codes = (code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF)
    assert {code for code in all_codes if shown.match(chr(code))} == INVISIBLE


def test_the_table_holds_as_many_code_points_as_the_standard_counts() -> None:
    """ "# Total code points: 4174" stands under the property in DerivedCoreProperties.txt of Unicode 15.1."""
    assert len(INVISIBLE) == sum(last - first + 1 for first, last in DEFAULT_IGNORABLE) == 4174


@given(TEXT)
def test_the_key_is_nfc_of_what_shows_with_white_space_split_and_joined(text: str) -> None:
    """Python's unicodedata and str.split are the independent definitions."""
    seen = "".join(letter for letter in text if ord(letter) not in INVISIBLE)
    assert folded(text) == " ".join(unicodedata.normalize("NFC", seen).split())


@given(TEXT)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@given(TEXT, st.sampled_from(["NFC", "NFD"]), st.sampled_from(["\u200b", "\ufeff", "\u2060", "\u00ad", ""]))
def test_how_a_text_is_composed_and_what_is_hidden_in_it_does_not_matter(text: str, form: str, hidden: str) -> None:
    other = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    assert folded(hidden + hidden.join(other) + hidden) == folded(text)


@given(st.lists(TEXT, min_size=2, max_size=4))
def test_texts_folded_together_are_folded_as_each_alone(texts: list[str]) -> None:
    """Whole columns take a short way where all of them are ASCII; a neighbour must not decide how a text is read."""
    assert fold(pa.array(texts, pa.large_string())).to_pylist() == [folded(text) for text in texts]


def test_the_same_words_are_cut_from_composed_and_decomposed_letters() -> None:
    spellings = ["caf\u00e9 na\u00efve", "cafe\u0301 nai\u0308ve", "ca\u00adf\u00e9 na\u200b\u00efve"]
    tokens = sample(spellings).tokens
    assert tokens.ids.tolist() == [0, 1] * 3
    assert tokens.vocabulary.to_pylist() == ["caf\u00e9", "na\u00efve"]


def test_the_text_itself_is_kept_as_it_is_spelt() -> None:
    assert sample(["cafe\u0301 \u200b"]).texts.to_pylist() == ["cafe\u0301 \u200b"]


def test_nulls_stay_nulls_and_nothing_stays_nothing() -> None:
    assert fold(pa.array(["a\u200b", None, "x  y"], pa.large_string())).to_pylist() == ["a", None, "x y"]
    assert fold(pa.array([None], pa.large_string())).to_pylist() == [None]
    assert len(visible(pa.array([], pa.large_string()))) == 0


def told(texts: list[str]) -> tuple[str, ...]:
    raw = pa.array(texts, pa.large_string())
    return differences(raw, visible(raw))


# Shares counted by hand.
@pytest.mark.parametrize(
    ("texts", "notes"),
    [
        (["plain", "ASCII only", ""], ()),
        (["caf\u00e9", "\u0416"], ()),
        (
            ["a", "b", "\u200b", "\ufeff\u2060"],
            ("50.0% of the texts hold only invisible characters, and count as empty",),
        ),
        (
            ["e\u0301", "b", "c", "d"],
            ("25% of the texts are written with decomposed letters (NFD); compared after NFC",),
        ),
        (
            ["same", "same\u200b", "sa\u2060me", "other"],
            (
                "2 texts are copies of others but for characters that no reader sees, and count as such",
                "50% of the texts hold characters that no reader sees; compared without them",
            ),
        ),
    ],
)
def test_what_a_reader_cannot_see_is_said(texts: list[str], notes: tuple[str, ...]) -> None:
    assert told(texts) == notes
