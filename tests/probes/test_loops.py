"""Loops of characters, against a regular expression that backtracks, and what healthy text has that is none."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from builders import sample
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collapse_audit.probes.text import loops as module
from collapse_audit.probes.text.folding import fold
from collapse_audit.probes.text.loops import COVERED, COVERED_WITHOUT_LETTERS, character_loops


def found(*texts: str) -> list[bool]:
    return character_loops(fold(pa.array(texts, pa.large_string()))).tolist()


def reference(text: str, covered: int, mute: int, signs: int) -> bool:
    """The definition, tried at every place for every span: no algorithm shared."""
    if any(len(run[0]) >= mute for run in re.finditer(r"([^\W\d_])\1*|(.)\2*", text) if run[2]):
        return True
    text = re.sub(rf"([\W\d_])\1{{{signs},}}", lambda run: run[1] * signs, text)
    for start in range(len(text)):
        for span in range(1, (len(text) - start) // 3 + 1):
            unit = text[start : start + span]
            end = start + span
            while end < len(text) and text[end] == text[end - span]:
                end += 1
            least = covered if any(letter.isalpha() for letter in unit) else mute
            if end - start >= max(3 * span, least):
                return True
    return False


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("ab-\u0436", max_size=30), min_size=1, max_size=5))
@example(["abababababab", "-" * 20, "ab-ab-ab-ab", "a" * 9, "--------a--------a--------a"])
@example(["ababa", "babab"])  # equal on both sides of a border
def test_a_text_loops_where_the_definition_says_so(texts: list[str]) -> None:
    """With smaller bounds, so that short random texts reach them: 9 characters, 20 without letters, runs of 4."""
    bounds = {"COVERED": 9, "COVERED_WITHOUT_LETTERS": 20, "_SIGNS": 4}
    kept = {name: getattr(module, name) for name in bounds}
    try:
        for name, bound in bounds.items():
            setattr(module, name, bound)
        assert character_loops(pa.array(texts, pa.large_string())).tolist() == [
            reference(text, 9, 20, 4) for text in texts
        ]
    finally:
        for name, bound in kept.items():
            setattr(module, name, bound)


@pytest.mark.parametrize("span", [1, 2, 5, 15, 16, 17, 100, 499, 500])
@pytest.mark.parametrize("before", ["", "x", "Something else was said here first, in other words. "])
def test_a_loop_inside_a_word_is_found_however_long_its_span_and_wherever_it_stands(span: int, before: str) -> None:
    rng = np.random.default_rng(span)
    unit = "".join(chr(0x4E00 + code) for code in rng.permutation(2000)[:span])
    copies = max(3, -(-COVERED // span))
    long = (unit * copies)[: max(3 * span, COVERED)]
    assert found(before + long, before + long + "!end", before + long[:-1]) == [True, True, False]


def test_a_span_of_more_than_five_hundred_characters_is_not_looked_for() -> None:
    unit = "".join(chr(0x4E00 + code) for code in range(501))
    assert found(unit * 3) == [False]


@pytest.mark.parametrize(
    "text",
    [
        "and so on " + "." * 200,
        "-" * 300,
        "=" * 79 + " Chapter one " + "=" * 79,
        "|" + "-----|" * 12,
        "| a | b |\n" + "|---|---|\n",
        "Contents " + ". " * 60 + "12",
        "hahahahahahahahaha, that was good",
        "Nooooooooooooooooooooooo!",
        "1000000000000000000000000000000000000000000000000000000000000",
        "a" + " " * 500 + "b",
        "x = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]",
        "../../../../../../../../../../../../../../../../../../../../file",
    ],
)
def test_rulers_leaders_numbers_laughter_and_white_space_are_no_loop_of_characters(text: str) -> None:
    assert found(text) == [False]


@pytest.mark.parametrize(
    "text",
    [
        "Once upon a time " + "bademo" * 40,
        "bade\u200bmo\u00ad" * 40,  # invisible characters do not hide it
        "QUJD" * 30,
        "的时候" * 20,
        "ไปเที่ยว" * 12,
        "caf\u00e9" * 8 + "cafe\u0301" * 8,
        "0" * COVERED_WITHOUT_LETTERS,
        "- " * COVERED_WITHOUT_LETTERS,
    ],
)
def test_what_no_reader_would_call_text_is_a_loop(text: str) -> None:
    assert found(text) == [True]


def test_portions_and_their_borders_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    texts = ["".join(rng.choice(list("ab c"), size=rng.integers(0, 90))) for _ in range(120)]
    texts[7], texts[60] = "glue" * 20, "x" * 3000
    whole = found(*texts)
    monkeypatch.setattr(module, "_PORTION", 100)
    assert found(*texts) == whole
    assert whole[7]
    assert whole[60]


def test_megabytes_take_seconds() -> None:
    """Two texts of a megabyte each: random words, and one loop. No pass over them a span length."""
    rng = np.random.default_rng(5)
    words = ["".join(rng.choice(list("abcdefghij"), size=5)) for _ in range(2000)]
    plain = " ".join(rng.choice(words, size=170_000))
    assert sample([plain, "the cat sat on the mat and " * 37_000]).loops.tolist() == [False, True]
