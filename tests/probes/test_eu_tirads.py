"""The EU-TIRADS rule: a table of what doctors and models write, each line read by hand, and properties."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.probes.text.eu_tirads import CATEGORIES, UNLABELLED_MENTION, eu_tirads

MENTION = "mention"

CASES: tuple[tuple[str, str], ...] = (
    # the name, as it is written
    ("EU-TIRADS 4", "4"),
    ("EU TIRADS-4", "4"),
    ("EUTIRADS 4", "4"),
    ("EU_TIRADS 4", "4"),
    ("EU-TI-RADS 4", "4"),
    ("EU TI RADS 4", "4"),
    ("TI-RADS 4", "4"),
    ("TIRADS: 4", "4"),
    ("eu-tirads 2", "2"),
    ("Eu-TiRads 5", "5"),
    ("ТИРАДС 4", "4"),
    ("ТИ-РАДС 4", "4"),
    ("ЕУ-ТИРАДС 5", "5"),
    ("тайрадс 3", "3"),
    ("ЕU-ТIRАDS 3", "3"),  # Cyrillic Е, Т, А
    ("ТИPAДC 3", "3"),  # Latin P, A, C
    ("EU–TIRADS—4", "4"),
    ("EU‑TIRADS 4", "4"),  # non-breaking hyphen
    ("EU−TIRADS 4", "4"),  # minus sign
    ("EU\u00ad-TI\u200bRADS 4", "4"),  # soft hyphen, zero-width space
    ("ＥＵ－ＴＩＲＡＤＳ　４", "4"),  # full width
    ("EU-\nTIRADS 4", "4"),
    ("European Thyroid Imaging Reporting and Data System 4", "4"),
    ("European Thyroid Imaging\nReporting & Data System (EU-TIRADS) 4", "4"),
    ("EU-TIRADS (European Thyroid Imaging Reporting and Data System): category 4", "4"),
    # between the name and the number
    ("EU-TIRADS4", "4"),
    ("EU-TIRADS-4", "4"),
    ("EU-TIRADS\u00a04", "4"),
    ("EU-TIRADS\n4", "4"),
    ("EU-TIRADS\r\n4, справа", "4"),
    ("EU-TIRADS = 4", "4"),
    ("EU-TIRADS №4", "4"),
    ("EU-TIRADS (4)", "4"),
    ("EU-TIRADS «4»", "4"),
    ("EU-TIRADS (2017): 4", "4"),
    ("**EU-TIRADS**: 4", "4"),
    ('{"eu_tirads": "4"}', "4"),
    ("| EU-TIRADS | 4 |", "4"),
    ("TIRADS категория 3", "3"),
    ("TIRADS, кат. 3", "3"),
    ("По шкале EU-TIRADS. Категория 3.", "3"),
    ("EU-TIRADS соответствует категории 2", "2"),
    ("EU-TIRADS score of 5", "5"),
    ("EU-TIRADS category: 5", "5"),
    ("EU-TIRADS class 2", "2"),
    # the number
    ("EUTIRADS IV", "4"),
    ("EU-TIRADS III", "3"),
    ("EU-TIRADS Ⅳ", "4"),  # one character
    ("EU-TIRADS IІ", "2"),  # Latin I and Ukrainian І
    ("EU-TIRADS III-IV", "3 4"),
    ("EU-TIRADS V.", "5"),
    ("TIRADS 4a", "4"),
    ("TIRADS 4б", "4"),
    ("TIRADS 4a-4b", "4"),
    ("EU-TIRADS 4-й категории", "4"),
    ("EU-TIRADS 4балла", "4"),
    # several
    ("EU-TIRADS 3-4", "3 4"),
    ("EU-TIRADS 3 – 4", "3 4"),
    ("EU-TIRADS 2,3", "2 3"),
    ("EU-TIRADS 2, 3 и 5", "2 3 5"),
    ("EU-TIRADS 3 и 4", "3 4"),
    ("EU-TIRADS 3 или 4", "3 4"),
    ("EU-TIRADS 3 or 4", "3 4"),
    ("EU-TIRADS 4/5", "4 5"),
    ("EU-TIRADS 2-4", "2 4"),  # what is written; nothing is filled in
    ("Узлы обеих долей: EU-TIRADS 4 справа, EU-TIRADS 2 слева; EU-TIRADS 4 в перешейке", "2 4"),
    ("размерами: 0,3x0,3x0,4 см. EU-TIRADS 4 В правой доле в н/3, 0,9x0,8x0,7 см. EU-TIRADS 3 В левой", "3 4"),
    ("Эхо-признаки правостороннего узлового зоба (EU-TIRADS 4) с фокальными изменениями.", "4"),
    ("Многоузловой зоб (EU-TIRADS 3-4)", "3 4"),
    # the number first
    ("Категория 4 по EU-TIRADS", "4"),
    ("узлы категории 3-4 по системе EU-TIRADS", "3 4"),
    ("4-я категория по EU-TIRADS", "4"),
    ("category 5 (EU-TIRADS)", "5"),
    ("a nodule of category IV according to the European TI-RADS", "4"),
    # a mention, no category
    ("Признаки узлового зоба, EU-TIRADS", MENTION),
    ("EU-TIRADS", MENTION),
    ("EU-TIRADS не применима", MENTION),
    ("EU-TIRADS 0", MENTION),
    ("EU-TIRADS 6", MENTION),
    ("EU-TIRADS 45", MENTION),
    ("EU-TIRADS 4-6", MENTION),
    ("EU-TIRADS 4,6", MENTION),
    ("EU-TIRADS ≥ 4", MENTION),
    ("EU-TIRADS VI", MENTION),
    ("EU-TIRADS I think", MENTION),
    ("EU-TIRADS и EU-TIRADS", MENTION),
    ("Классификация EU-TIRADS. Узел EU-TIRADS 4", "4"),  # a category anywhere outweighs a bare mention
    # sizes
    ("0,9*0,5*0,9 см", ""),
    ("EU-TIRADS. 5 мм узел", MENTION),
    ("EU-TIRADS 4 мм", MENTION),
    ("EU-TIRADS 4мм", MENTION),
    ("EU-TIRADS 4-5 мм", MENTION),
    ("EU-TIRADS 4 - 5 мм", MENTION),
    ("EU-TIRADS 1,2 см", MENTION),
    ("EU-TIRADS 1,2х0,9 см", MENTION),
    ("EU-TIRADS 4 х 5 х 3", MENTION),
    ("EU-TIRADS: 0,9*0,5*0,9см", MENTION),
    ("EU-TIRADS 3 1,2х1,0 см", "3"),
    ("EU-TIRADS 3, 5 мм в диаметре", "3"),
    ("EU-TIRADS 4 (5 мм)", "4"),
    ("EU-TIRADS 2 mm nodule", MENTION),
    # other numbers
    ("EU-TIRADS 2017", MENTION),
    ("EU-TIRADS 4.12.2024", MENTION),
    ("EU-TIRADS 5 мая", MENTION),
    ("EU-TIRADS, 2 года назад", MENTION),
    ("EU-TIRADS 4:30", MENTION),
    ("EU-TIRADS 4 (495) 123-45-67", MENTION),
    ("EU-TIRADS 4-22-15", MENTION),
    ("EU-TIRADS 3D-УЗИ", MENTION),
    ("EU-TIRADS 4-х узлов", MENTION),
    ("EU-TIRADS 3 и 2 узла слева", "3"),
    ("По EU-TIRADS. 2. Узел левой доли", MENTION),
    ("По EU-TIRADS:\n1. Узел левой доли", MENTION),
    ("По EU-TIRADS:\n1) Узел левой доли", MENTION),
    ("зоб (EU-TIRADS\n4) на фоне", "4"),
    ("EU-TIRADS 4\n2. Узел левой доли", "4"),
    ("EU-TIRADS\n\n4 узла", MENTION),
    # other words and other systems
    ("", ""),
    ("BI-RADS 4", ""),
    ("PI-RADS 4", ""),
    ("TIRADE 4", ""),
    ("тирада 4", ""),
    ("категория 4", ""),
    ("ACR TI-RADS 4", ""),
    ("ACR-TIRADS 4", ""),
    ("K-TIRADS 4", ""),
    ("С-TIRADS 4", ""),  # Cyrillic С
    ("узел с TI-RADS 4", "4"),  # the preposition
    ("ACR TI-RADS 3, EU-TIRADS 5", "5"),
)


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_text_is_read_as_a_doctor_reads_it(text: str, expected: str) -> None:
    if expected == MENTION:
        assert eu_tirads(text) == (UNLABELLED_MENTION,)
    else:
        assert eu_tirads(text) == tuple(f"EU-TIRADS {number}" for number in expected.split())


def test_there_are_at_least_sixty_cases_and_none_twice() -> None:
    assert len({text for text, _ in CASES}) == len(CASES) >= 60


NAMES = st.sampled_from(
    ("EU-TIRADS", "TI-RADS", "ТИРАДС", "eu tirads", "European Thyroid Imaging Reporting and Data System")
)
NUMBERS = ["4", "2,3", "3-4", "категория", "IV", "45", "0,9*0,5 см", "5 мм", "\n", " ", ". ", "и", "(", ")", "ACR "]
PIECES = st.lists(st.one_of(NAMES, st.sampled_from(NUMBERS), st.text(max_size=8)), max_size=12).map("".join)


@given(st.one_of(st.text(), PIECES))
def test_any_text_gives_sorted_categories_or_one_mention_or_nothing(text: str) -> None:
    found = eu_tirads(text)
    assert found == (UNLABELLED_MENTION,) or (set(found) <= set(CATEGORIES) and list(found) == sorted(set(found)))


@given(PIECES)
def test_labels_written_out_are_read_back(text: str) -> None:
    assert eu_tirads("; ".join(eu_tirads(text))) == eu_tirads(text)


@given(
    NAMES,
    st.sampled_from((" ", ": ", "-", " – ", "")),
    st.sampled_from((*"12345", "3-4", "2,3", "IV")),
    st.sampled_from((", ", "; ", " (", ". ")),
    st.text().filter(lambda text: not any(character.isnumeric() or character.isdigit() for character in text)),
)
def test_unrelated_text_without_digits_never_removes_a_label(
    name: str, gap: str, number: str, end: str, more: str
) -> None:
    gap = gap if number != "IV" else " "
    before = eu_tirads(name + gap + number)
    assert set(before) <= set(CATEGORIES)
    assert before
    assert set(before) <= set(eu_tirads(name + gap + number + end + more))


LENGTH = st.one_of(
    st.integers(0, 99).map(str), st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda ab: f"{ab[0]},{ab[1]}")
)
UNIT = st.sampled_from(["мм", " мм", " см", "см", " mm", " cm", " мл"])
TIMES = st.sampled_from(["x", "х", "*", "×", " x ", " х "])
SPAN = st.sampled_from(["-", " - ", "–", " до "])
SIZES = st.one_of(
    st.tuples(LENGTH, UNIT).map("".join),
    st.tuples(LENGTH, SPAN, LENGTH, UNIT).map("".join),
    st.tuples(LENGTH, TIMES, LENGTH, st.one_of(st.just(""), UNIT)).map("".join),
)


@given(NAMES, st.sampled_from((" ", ": ", " - ", ". ", "\n", ", ", " (", "")), SIZES)
def test_a_size_is_never_a_label(name: str, gap: str, size: str) -> None:
    assert eu_tirads(size) == ()
    assert eu_tirads(name + gap + size) == (UNLABELLED_MENTION,)


@pytest.mark.parametrize(
    "unit",
    [
        "EU-TIRADS ",
        "EU-TIRADS 4, ",
        "-",
        "4",
        "4-",
        "EU",
        "TI ",
        "Thyroid Imaging ",
        "категория ",
        "категория 4 по TIRADS ",
        " ",
    ],
)
def test_a_megabyte_of_anything_is_read_in_seconds(unit: str) -> None:
    text = "EU-TIRADS" + unit * (1_000_000 // len(unit))
    began = time.perf_counter()
    eu_tirads(text)
    assert time.perf_counter() - began < 20  # well above the second it takes, well below what backtracking would


def test_time_grows_no_faster_than_the_text() -> None:
    def seconds(repeats: int) -> float:
        texts = ["EU-TIRADS категория (" * repeats, "TIRADS" + "4 - " * repeats, "TIRADS" + " " * 9 * repeats]
        began = time.perf_counter()
        for text in texts:
            eu_tirads(text)
        return time.perf_counter() - began

    seconds(100)
    assert seconds(16_000) < 40 * max(seconds(2_000), 0.005)  # 8 times the text: quadratic would take 64 times
