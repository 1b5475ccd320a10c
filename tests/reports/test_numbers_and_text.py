"""Numbers that decide never look equal when they are not, and text is seen, never obeyed."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from examples import HOSTILE, finding
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.reports._exhibits import exhibit, exhibits, raw
from collapse_audit.reports._format import (
    enough,
    generations,
    inert,
    number,
    percent,
    probability,
    sentence,
    settings,
    shown,
    shown_together,
)
from collapse_audit.reports.document import Interval, Outcome

reasonable = st.floats(min_value=-1e7, max_value=1e7)


@pytest.mark.parametrize(
    ("value", "beside", "expected"),
    [
        (0.0231, (0.0190, 0.0272, 0.01), "0.0231"),
        (0.01, (0.0190, 0.0272, 0.0231), "0.0100"),
        (0.8, (0.62, 0.58, 0.66), "0.800"),
        (0.985, (1.02, 0.85), "0.985"),
        (12.3456, (), "12.35"),
        (1234.5, (), "1234"),  # Python rounds half to even
        (-0.00004, (0.05,), "0.0000"),  # never "-0.0000"
        (0.0, (), "0"),
        (2.0, (0.0,), "2"),
        (2, (), "2"),
        (1234567, (), "1,234,567"),
        (1.5e-7, (), "1.50e-07"),
        (2.5e9, (), "2.50e+09"),
    ],
)
def test_number_keeps_about_three_significant_digits(value: float, beside: tuple[float, ...], expected: str) -> None:
    assert number(value, beside=beside) == expected


@given(reasonable, reasonable)
def test_value_and_margin_never_look_equal_when_they_are_not(value: float, margin: float) -> None:
    made = finding("token-divergence", 1, Outcome.FAIL, (value, value, value), margin=margin)
    told = shown(made)
    looks_equal = float(told.value.replace(",", "")) == float(told.margin.replace(",", ""))
    assert looks_equal == (value == margin)


@given(reasonable, reasonable, reasonable)
def test_no_bound_looks_equal_to_the_margin_when_it_is_not(low: float, high: float, margin: float) -> None:
    told = shown(finding("token-divergence", 1, Outcome.FAIL, (0.0, low, high), margin=margin))
    shown_low, shown_high = told.interval.replace(",", "").split(" to ")
    limit = float(told.margin.replace(",", ""))
    assert (float(shown_low) == limit) == (low == margin)
    assert (float(shown_high) == limit) == (high == margin)


def test_numbers_that_round_onto_each_other_are_both_written_out() -> None:
    told = shown(finding("tail-mass", 1, Outcome.INCONCLUSIVE, (1.0, 0.9, 1.1), margin=0.9995))
    assert (told.value, told.margin) == ("1.0000", "0.9995")


@given(reasonable, st.lists(reasonable, max_size=3))
def test_shown_number_is_within_half_a_unit_of_its_last_place(value: float, beside: list[float]) -> None:
    told = number(value, beside=beside).replace(",", "")
    digits, _, exponent = told.partition("e")
    last = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    assert abs(float(told) - value) <= 0.5 * last * (1 + 1e-9) + 1e-300


@pytest.mark.parametrize(
    ("p", "expected"),
    [(1.0, "= 1"), (0.9996, "= .9996"), (0.5, "= .500"), (0.001, "= .001"), (0.0002, "= .0002"), (0.00001, "< .0001")],
)
def test_p_value_is_written_as_statisticians_write_it(p: float, expected: str) -> None:
    assert probability(p) == expected


@given(st.floats(min_value=1e-4, max_value=1, exclude_max=True))
def test_p_value_never_looks_equal_to_alpha_when_it_is_not(p: float) -> None:
    looks_equal = float(probability(p, alpha=0.05).lstrip("=> ")) == 0.05
    assert looks_equal == (p == 0.05)


def test_p_value_just_above_alpha_shows_why_it_is_not_significant() -> None:
    assert probability(0.0503, alpha=0.05) == "= .0503"
    assert probability(0.0497, alpha=0.05) == "= .0497"
    assert probability(0.05, alpha=0.05) == "= .050"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.03, "0.0100 to 0.0300"),
        (0.01, None, "at least 0.0100"),
        (None, 0.03, "at most 0.0300"),
        (None, None, "unbounded"),
    ],
)
def test_unbounded_end_of_an_interval_is_said_in_words(low: float | None, high: float | None, expected: str) -> None:
    interval = Interval(low=low, high=high, level=0.9, method="")
    made = finding("token-divergence", 1, Outcome.PASS, (0.02, 0.01, 0.03), margin=0.015)
    assert shown(replace(made, interval=interval)).interval == expected


def test_bound_that_touches_the_margin_is_told_from_one_that_crosses_it() -> None:
    touches = finding("token-divergence", 1, Outcome.FAIL, (0.02, 0.01, 0.03))
    crosses = finding("token-divergence", 1, Outcome.FAIL, (0.02, 0.0100004, 0.03))
    assert shown(touches).interval.split()[0] == shown(touches).margin
    assert float(shown(crosses).interval.split()[0]) > float(shown(crosses).margin)


def test_sentence_holds_value_unit_interval_margin_p_and_n() -> None:
    numbers = {"n_baseline": 1400, "n_generation": 150, "n_needed": 1210, "minimum_detectable": 0.0115}
    chances = {"p_value": 0.084, "p_adjusted": 0.168}
    made = finding("token-divergence", 1, Outcome.INCONCLUSIVE, (0.0067, -0.0021, 0.0155), **numbers, **chances)
    assert sentence(made) == (
        "0.0067 nats (90% interval -0.0021 to 0.0155); margin 0.0100, higher is worse; p = .084, Holm p = .168; "
        "n 1,400 / 150; detectable from 0.0115; about 1,300 a side would settle it"
    )


def test_sentence_of_what_was_not_measured_is_empty_rather_than_zero() -> None:
    assert sentence(finding("tail-mass", 1, Outcome.NOT_MEASURED)) == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [([4], "generation 4"), ([1, 2, 3, 5], "generations 1-3, 5"), ([3, 1, 3], "generations 1, 3")],
)
def test_generations_are_listed_as_ranges(given: list[int], expected: str) -> None:
    assert generations(given) == expected


def test_percent_keeps_a_fraction_only_where_there_is_one() -> None:
    assert [percent(0.9), percent(0.975)] == ["90%", "97.5%"]


@given(st.text())
def test_inert_text_holds_nothing_that_is_obeyed(text: str) -> None:
    assert {unicodedata.category(character) for character in inert(text)}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"]), max_size=200))
def test_inert_leaves_letters_numbers_and_marks_of_any_script_alone(text: str) -> None:
    assert inert(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b2J", "\\x9b2J"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202eabc\u2069", "\\u202eabc\\u2069"),
        ("\ud800", "\\ud800"),
        ("\uffff\ufdd0", "\\uffff\\ufdd0"),
        ("\U000e0041", "\\U000e0041"),
        ("\u0e34", "\u25cc\u0e34"),
        ("узел", "узел"),
        ("漢字", "漢字"),
    ],
)
def test_inert_escapes_visibly(text: str, expected: str) -> None:
    assert inert(text) == expected


def test_inert_cuts_long_text_and_says_how_much_is_missing() -> None:
    assert inert("x" * 1_000_000, limit=5) == "xxxxx... [+999,995 characters]"


@pytest.mark.parametrize("length", range(200))
def test_cutting_text_never_makes_it_longer(length: int) -> None:
    assert len(inert("x" * length, limit=50)) <= length


@pytest.mark.parametrize(
    ("entry", "facts", "quoted"),
    [
        ({"kind": "term", "term": "the", "baseline": 0.04, "generation": 0.05}, "0.0400 -> 0.0500", "the"),
        (
            {"kind": "label", "label": "EU-TIRADS 2", "baseline_count": 20, "generation_count": 0, "status": "lost"},
            "lost, count 20 -> 0",
            "EU-TIRADS 2",
        ),
        (
            {"kind": "vanished", "term": "goitre", "baseline_documents": 1200, "generation_documents": 0},
            "vanished, documents 1,200 -> 0",
            "goitre",
        ),
        (
            {"retained": 0.0, "retained_low": 0.0, "retained_high": 0.221, "expected_count": 15.25, "p_value": 0.00002},
            "retained 0 (0 to 0.221), expected count 15.25, p < .0001",
            None,
        ),
        ({"kind": "label", "label": "B", "retained": 0.5, "retained_high": None}, "retained 0.500", "B"),
        ({"kind": "texts", "text": "", "count": 12}, "count 12", ""),
        ({"kind": "corpus", "file": "gen_1.jsonl", "empty": True}, "corpus, file gen_1.jsonl, empty True", None),
        ({"anything": [1, 2], "else": None}, "anything [1, 2]", None),
        ({}, "", None),
    ],
)
def test_evidence_of_any_kind_is_worded(entry: dict[str, object], facts: str, quoted: str | None) -> None:
    made = exhibit(entry)
    assert (made.facts, made.quoted) == (facts, quoted)


def test_repeated_texts_that_are_not_quoted_are_one_piece_of_evidence() -> None:
    copies = [{"kind": "duplicates", "baseline_copies": 1, "generation_copies": k} for k in (1000, 60, 7)]
    assert [(each.facts, each.quoted) for each in exhibits(copies)] == [("3 repeated texts: 3 -> 1,067 copies", None)]
    assert exhibits(copies[:1])[0].facts == "1 repeated text: 1 -> 1,000 copies"
    quoted = [{**each, "text": "same"} for each in copies]
    assert [each.quoted for each in exhibits(quoted)] == ["same"] * 3
    assert [each.facts for each in exhibits([{"term": "a"}, *copies])] == ["3 repeated texts: 3 -> 1,067 copies", ""]


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        *((7, "7"), (99, "99"), (751, "760"), (1210, "1,300"), (5400, "5,400"), (625_738, "630,000")),
        *((999_999, "1,000,000"), (1_000_001, "over a million"), (5_816_092, "over a million")),
    ],
)
def test_an_n_that_would_do_has_two_significant_digits(n: int, expected: str) -> None:
    assert enough(n) == expected


@given(st.integers(1, 1_000_000))
def test_an_n_that_is_shown_would_do_and_is_at_most_a_tenth_too_large(n: int) -> None:
    assert n <= int(enough(n).replace(",", "")) <= 1.1 * n


def test_more_than_a_million_is_not_said_to_be_about_over_a_million() -> None:
    made = finding("looping", 1, Outcome.INCONCLUSIVE, (0.0, -0.1, 0.1), n_needed=5_816_092)
    assert sentence(made).endswith("; over a million a side would settle it")


def test_numbers_of_one_statistic_have_the_same_decimals() -> None:
    values = (0.079, 0.0401, 0.114)
    made = [finding("token-divergence", k, Outcome.FAIL, (v, v, v)) for k, v in enumerate(values, start=1)]
    told = shown_together(made)
    assert [each.value for each in told] == ["0.0790", "0.0401", "0.1140"]
    assert [each.margin for each in told] == ["0.0100"] * 3


def test_a_row_that_all_but_touches_its_margin_has_its_decimals_alone() -> None:
    made = [finding("looping", k, Outcome.PASS, (v, 0.0, 0.1)) for k, v in ((1, 0.05 - 1e-12), (2, 0.04))]
    told = shown_together(made)
    assert told[1].value == "0.040"
    assert told[0].value == "0.049999999999"
    assert told[0].margin == "0.050000000000"


@given(st.lists(st.tuples(reasonable, reasonable, reasonable), min_size=1, max_size=5), reasonable)
def test_together_no_number_looks_equal_to_the_margin_when_it_is_not(
    rows: list[tuple[float, float, float]], margin: float
) -> None:
    made = [finding("token-divergence", k, Outcome.FAIL, row, margin=margin) for k, row in enumerate(rows)]
    for row, told in zip(rows, shown_together(made), strict=True):
        limit = float(told.margin.replace(",", ""))
        for exact, text in zip(row, (told.value, *told.interval.split(" to ")), strict=True):
            assert (float(text.replace(",", "")) == limit) == (exact == margin)


def test_raw_numbers_are_told_in_a_line_without_lists_and_tables() -> None:
    numbers = {"baseline": 0.13, "generation": 0.366, "kl_baseline_generation": 0.0848, "kl_smoothing": 0.5}
    tokens = {"tokens_baseline": 32000, "tokens_generation": 31000}
    made = finding(
        "looping", 1, Outcome.PASS, raw=numbers | tokens | {"bins": [1, 2], "labels": {"A": 1}, "none": None}
    )
    assert (
        raw(made)
        == "looping 0.130 -> 0.366, kl baseline generation 0.0848, kl smoothing 0.500, tokens 32,000 -> 31,000"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_evidence_shows_hostile_text_inert(text: str) -> None:
    made = exhibit({"kind": text, "term": text, "status": text, text: text, "baseline" + text: text})
    shown_text = f"{made.facts}{made.quoted}"
    assert shown_text.isprintable() or not {unicodedata.category(c) for c in shown_text} & {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
    }
    assert len(shown_text) < 2000


@given(reasonable, reasonable)
def test_a_change_in_evidence_is_visible(before: float, after: float) -> None:
    facts = exhibit({"kind": "term", "term": "x", "baseline": before, "generation": after}).facts
    left, _, right = facts.replace(",", "").partition(" -> ")
    assert (float(left) == float(right)) == (before == after)


def test_settings_are_flattened_and_exact() -> None:
    config = {
        "alpha": 0.05,
        "margins": {"a/b": {"margin": 0.1 + 0.2}},
        "on": True,
        "none": None,
        "list": [],
        "two": [1, 2],
    }
    assert settings(config) == {
        "alpha": "0.05",
        "margins.a/b.margin": "0.30000000000000004",
        "on": "true",
        "list": "none",
        "two": "1, 2",
    }
