"""CA301: seq-rep-4 by sets of slices, loops by a regular expression, and what each does not see."""

from __future__ import annotations

import re
from statistics import fmean

import numpy as np
import pytest
from builders import estimate, estimates, pair, readings, reason, sample, spell
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collapse_audit.probes.repetition import repetition
from collapse_audit.probes.text.loops import LONGEST_SPAN, token_loops

SEQ_REP, LOOPING = (gate.statistic for gate in repetition.gates)

HEALTHY = spell(np.random.default_rng(0).integers(0, 500, size=(60, 30)))


def loops(row: list[int]) -> bool:
    """A span of at most 100 tokens three times back to back, by backtracking over letters: no shared algorithm."""
    text = "".join(chr(0x4E00 + number) for number in row)
    return re.search(rf"(.{{1,{LONGEST_SPAN}}})\1\1", text) is not None


def seq_rep(row: list[int], order: int = 4) -> float | None:
    grams = [tuple(row[at : at + order]) for at in range(len(row) - order + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else None


ROWS = st.lists(st.lists(st.integers(0, 2), max_size=16), min_size=1, max_size=6)


@settings(max_examples=200)
@given(ROWS)
@example([[0, 0], [0, 0]])  # equal tokens across the border of two texts are no loop
@example([[0], [0], [0]])
@example([[1, 0, 0, 0]])
@example([[0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0]])
@example([[2, 0, 1, 0, 1, 0], [1]])
def test_a_text_loops_where_a_regular_expression_finds_a_span_thrice(rows: list[list[int]]) -> None:
    assert token_loops(sample(spell(rows)).tokens).tolist() == [loops(row) for row in rows]


@pytest.mark.parametrize("span", [1, 2, 7, 50, 99, 100])
@pytest.mark.parametrize("before", [0, 1, 37])
def test_a_loop_is_found_wherever_it_stands_and_however_long_its_span(span: int, before: int) -> None:
    start, middle = list(range(1000, 1000 + before)), list(range(span))
    thrice, short = start + middle * 3, start + (middle * 3)[:-1]
    assert token_loops(sample(spell([thrice, short, [*thrice, 5000], [7]])).tokens).tolist() == [
        True,
        span == 1 and False,
        True,
        False,
    ]


def test_a_span_of_more_than_a_hundred_tokens_is_not_looked_for() -> None:
    assert token_loops(sample(spell([list(range(101)) * 3])).tokens).tolist() == [False]


def test_an_ellipsis_and_a_row_of_hearts_are_no_loop() -> None:
    texts = ["and so on ......", "what ?!?!?!", "\u2764\ufe0f\u2764\ufe0f\u2764\ufe0f", "no no no"]
    assert token_loops(sample(texts).tokens).tolist() == [False, False, False, True]


def test_no_text_at_all_does_not_loop() -> None:
    assert token_loops(sample(["", " "]).tokens).tolist() == [False, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=14), min_size=4, max_size=8))
def test_seq_rep_is_the_mean_over_texts_of_at_least_four_tokens(rows: list[list[int]]) -> None:
    """The raw numbers of a pair of equal sides, so that nothing is cut."""
    shares = [share for row in rows if (share := seq_rep(row)) is not None]
    comparison = pair(spell(rows), spell(rows))
    if not shares:
        assert reason(repetition, comparison, SEQ_REP) == "no text of one side has 4 tokens"
        return
    found = estimate(repetition, comparison, SEQ_REP)
    assert found.raw["baseline"] == found.raw["generation"] == pytest.approx(fmean(shares), abs=1e-12)
    assert found.raw["too_short_baseline"] == len(rows) - len(shares)
    assert found.value == pytest.approx(0.0, abs=1e-12)


def test_the_rise_is_the_difference_of_means_with_its_two_sample_interval() -> None:
    rng = np.random.default_rng(1)
    rows = [rng.integers(0, size, size=20).tolist() for size in [6] * 30 + [3] * 30]
    found = estimate(repetition, pair(spell(rows[:30]), spell(rows[30:])), SEQ_REP)
    scores = np.array([seq_rep(row) for row in rows], dtype=np.float64)
    error = np.sqrt(scores[:30].var(ddof=1) / 30 + scores[30:].var(ddof=1) / 30)
    floor = np.log(20) * np.sqrt(2) / (1.6448536269514722 * 30)  # rule of three: shares of 30 texts
    assert found.value == pytest.approx(scores[30:].mean() - scores[:30].mean(), abs=1e-12)
    assert found.high - found.low == pytest.approx(2 * 1.6448536269514722 * max(error, floor), rel=1e-9)


def test_planted_loops_raise_looping_by_their_share() -> None:
    looped = [
        f"{text} again and again" if i >= 12 else text.split()[0] + " over and over" * 9
        for i, text in enumerate(HEALTHY)
    ]
    found = estimates(repetition, pair(HEALTHY, looped, permutations=999))
    assert found[LOOPING].value == pytest.approx(12 / 60)
    assert found[LOOPING].raw["looping_documents"] == 12
    assert found[LOOPING].p_value == 0.001
    assert found[LOOPING].low > 0.05


def test_loops_at_the_end_are_found_though_texts_are_cut_for_seq_rep() -> None:
    """Cut to the length of the baseline, the endings would be gone; looping looks at whole texts."""
    looped = [text + " the end" * 20 for text in HEALTHY]
    found = estimates(repetition, pair(HEALTHY, looped))
    assert found[LOOPING].value == 1.0
    assert "length-matched" in found[SEQ_REP].notes
    assert found[SEQ_REP].value < 0.05


def test_shorter_texts_are_not_taken_for_less_repetitive_ones() -> None:
    """seq-rep grows with length: the same source (three words), half the length."""
    rng = np.random.default_rng(2)
    long, short = (spell(rng.integers(0, 3, size=(80, length))) for length in (60, 30))
    assert abs(estimate(repetition, pair(long, short), SEQ_REP).value) < 0.05
    uncut = [fmean(seq_rep([int(w[1:]) for w in text.split()]) or 0.0 for text in side) for side in (long, short)]
    assert abs(uncut[0] - uncut[1]) > 0.05  # which is what a rule without the cut would report


def test_less_repetition_is_no_damage() -> None:
    stuck = ["la la la la la la la la"] * 40
    found = estimates(repetition, pair(stuck, HEALTHY[:40]))
    for statistic in (SEQ_REP, LOOPING):
        assert found[statistic].value < 0
        assert found[statistic].p_value == 1.0


def test_texts_of_three_words_have_no_four_gram_but_can_loop() -> None:
    comparison = pair(["a b c"] * 12, ["x x x"] * 12)
    assert reason(repetition, comparison, SEQ_REP) == "no text of one side has 4 tokens"
    assert estimate(repetition, comparison, LOOPING).value == 1.0


# Evidence


def test_the_evidence_names_the_four_grams_that_most_texts_of_the_generation_repeat() -> None:
    stuck = [f"s{i} e{i} the very same words the very same words" for i in range(30)]
    [first, *_] = estimate(repetition, pair(HEALTHY[:30], stuck), SEQ_REP).evidence
    assert first == {"kind": "repeated", "term": "the very same words", "generation_documents": 30}


@pytest.mark.parametrize(("texts", "shown"), [(4, False), (5, True)])
def test_a_repeated_phrase_of_fewer_than_five_texts_is_not_shown(texts: int, shown: bool) -> None:
    secret = "John Doe born yesterday " * 6
    stuck = [secret] * texts + HEALTHY[: 30 - texts]
    evidence = estimate(repetition, pair(HEALTHY[30:60], stuck), SEQ_REP).evidence
    assert any("John" in str(entry["term"]) for entry in evidence) == shown


def test_one_text_that_repeats_a_phrase_often_is_still_one_text() -> None:
    stuck = ["John Doe born yesterday " * 50, *HEALTHY[:29]]
    assert estimate(repetition, pair(HEALTHY[30:60], stuck), SEQ_REP).evidence == ()


@pytest.mark.parametrize("level", ["none", "terms", "texts"])
def test_whole_texts_are_shown_only_when_asked_for(level: str) -> None:
    stuck = [f"secret{i} loop loop loop loop" for i in range(20)]
    found = estimates(repetition, pair(HEALTHY[:20], stuck, evidence=level))
    assert ("secret" in repr(found)) == (level == "texts")
    assert ("loop loop loop loop" in repr(found[SEQ_REP].evidence)) is False  # one repeat needs five tokens
    if level == "none":
        assert found[SEQ_REP].evidence == found[LOOPING].evidence == ()


def test_a_few_short_texts_of_the_baseline_do_not_hide_what_the_generation_repeats() -> None:
    """One baseline text in ten has 7 tokens: equal budgets are only found there, and no span of ten stands in seven."""
    rng = np.random.default_rng(7)
    plain = [rng.integers(0, 500, size=7 if i % 10 == 0 else 46) for i in range(200)]
    stuck = [np.tile(rng.integers(0, 500, size=10), 6)[:52] for _ in range(200)]
    found = estimate(repetition, pair(spell(plain), spell(stuck)), SEQ_REP)
    assert found.raw["cut_to_tokens"] == 46
    # Of the 43 4-grams of a cut text with period 10, 33 have stood before.
    assert found.raw["generation"] == pytest.approx(33 / 43, abs=1e-12)
    assert found.low > 0.05


def test_texts_too_short_to_repeat_themselves_do_not_pass() -> None:
    rng = np.random.default_rng(8)
    plain = spell(rng.integers(0, 500, size=(200, 30)))
    cut_off = [
        text.split()[0] if i < 40 else text for i, text in enumerate(spell(rng.integers(0, 500, size=(200, 30))))
    ]
    found = estimates(repetition, pair(plain, cut_off))
    assert [found[name].high for name in (SEQ_REP, LOOPING)] == [np.inf, np.inf]
    assert "20% of the generation's texts hold fewer than 4 tokens" in found[LOOPING].explanation
    assert all(one.high < np.inf for one in estimates(repetition, pair(cut_off, plain)).values())


def test_where_nothing_long_enough_is_left_the_finding_is_open_and_where_nothing_ever_was_it_is_neutral() -> None:
    long, short = spell(np.random.default_rng(9).integers(0, 500, size=(60, 30))), ["a b"] * 60
    assert [readings(repetition, pair(*sides))[SEQ_REP].neutral for sides in ((long, short), (short, short))] == [
        False,
        True,
    ]


def test_a_length_at_which_little_of_the_baseline_is_left_says_nothing() -> None:
    rng = np.random.default_rng(10)
    found = estimate(
        repetition,
        pair(spell(rng.integers(0, 900, size=(100, 60))), spell(rng.integers(0, 900, size=(100, 6)))),
        SEQ_REP,
    )
    assert found.high == np.inf
    assert "only 10% of the baseline's tokens" in found.explanation


def test_loops_inside_words_raise_looping_by_their_share() -> None:
    looped = [text + " " + "bademo" * 40 if i < 18 else text for i, text in enumerate(HEALTHY)]
    found = estimates(repetition, pair(HEALTHY, looped, permutations=999))
    assert found[LOOPING].value == pytest.approx(18 / 60)
    assert found[LOOPING].p_value == pytest.approx(1 / 1000)
