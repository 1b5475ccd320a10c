"""CA501: what the files alone show: nothing written, one thing written, or another corpus over again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import estimate, pair, readings, reason, sample, spell, words
from scipy.stats import binomtest, fisher_exact

from collapse_audit.probes.integrity import integrity
from collapse_audit.probes.models.model_facts import Fact
from collapse_audit.reports.document import Outcome
from collapse_audit.verdicts.rule import judge

EMPTY, CONSTANT, UNCHANGED, RECITED = (gate.statistic for gate in integrity.gates)


def test_empty_texts_are_those_of_white_space_only() -> None:
    found = estimate(integrity, pair(words(40), ["", " \n", "\u00a0", *words(37)], permutations=999), EMPTY)
    assert found.value == pytest.approx(3 / 40)
    assert found.raw == {"baseline": 0.0, "generation": 3 / 40}


def test_the_test_of_empty_texts_is_fishers_up_to_the_draw_of_relabellings() -> None:
    """One binary label and n = n: permuting documents is the hypergeometric law. B = 4,999: 4.5 binomial errors."""
    found = estimate(integrity, pair(["", *words(29)], [""] * 6 + words(24), permutations=4999), EMPTY)
    fisher = fisher_exact([[6, 24], [1, 29]], alternative="greater").pvalue
    assert found.p_value == pytest.approx(fisher, abs=4.5 * math.sqrt(fisher * (1 - fisher) / 4999))


def test_no_empty_text_on_either_side_leaves_room_for_three_of_n() -> None:
    found = estimate(integrity, pair(words(30), words(30, "v")), EMPTY)
    assert found.value == 0.0
    assert found.high == pytest.approx(math.log(20) * math.sqrt(2) / 30, rel=1e-9)
    assert found.p_value == 1.0


def test_fewer_empty_texts_are_no_damage() -> None:
    found = estimate(integrity, pair(["", "", "", *words(17)], words(20)), EMPTY)
    assert found.value == pytest.approx(-3 / 20)
    assert found.p_value == 1.0


@pytest.mark.parametrize("most", [1, 7, 38, 40])
def test_the_share_of_the_most_frequent_text_has_clopper_pearson_bounds(most: int) -> None:
    generation = ["the same"] * most + words(40 - most)
    found = estimate(integrity, pair(words(40), generation), CONSTANT)
    interval = binomtest(most, 40).proportion_ci(0.90, "exact")
    assert found.value == pytest.approx(most / 40)
    assert found.low == pytest.approx(interval.low, rel=1e-9)
    assert found.high == pytest.approx(interval.high, rel=1e-9)
    assert found.p_value is None  # a plain fact


def test_a_model_that_says_one_thing_is_constant_whatever_its_baseline_does() -> None:
    same = ["I do not know."] * 100
    assert estimate(integrity, pair(same, same), CONSTANT).low > 0.95


def test_white_space_makes_no_other_text() -> None:
    assert estimate(integrity, pair(words(12), ["a b", "a  b", " a\tb"] * 4), CONSTANT).value == 1.0


def test_a_generation_that_is_another_corpus_is_unchanged() -> None:
    other = sample(words(30), name="generation 0 (training)")
    copy = sample(list(reversed(words(30))), name="generation 1")
    found = estimate(integrity, pair(sample(words(30, "b")), copy, others=(sample(words(30, "c")), other)), UNCHANGED)
    assert found.value == found.low == found.high == 1.0
    assert found.p_value is None
    assert "generation 0 (training)" in found.explanation


def test_one_changed_text_in_a_thousand_is_still_more_than_the_margin_allows() -> None:
    [gate] = [gate for gate in integrity.gates if gate.statistic == UNCHANGED]
    texts = words(1000)
    for changed, beyond in ((0, True), (2, False)):
        generation = sample([*texts[changed:], *(f"new{i}" for i in range(changed))])
        found = estimate(integrity, pair(sample(words(1000, "b")), generation, others=(sample(texts),)), UNCHANGED)
        assert found.value == pytest.approx(1 - changed / 1000)
        assert (found.low > gate.margin) == beyond


def test_texts_are_matched_one_to_one() -> None:
    """Three copies of a text match one copy once: 10 + 1 of 13."""
    generation = sample([*words(10), "x", "x", "x"])
    found = estimate(
        integrity, pair(sample(words(13, "b")), generation, others=(sample([*words(10), "x"]),)), UNCHANGED
    )
    assert found.value == pytest.approx(11 / 13)


def test_a_part_of_a_larger_corpus_is_no_copy_of_it() -> None:
    found = estimate(
        integrity, pair(sample(words(20, "b")), sample(words(20)), others=(sample(words(200)),)), UNCHANGED
    )
    assert found.value == pytest.approx(0.1)


@pytest.mark.parametrize(("distinct", "value"), [(9, 0.0), (10, 1.0)])
def test_a_few_distinct_texts_repeat_legitimately(distinct: int, value: float) -> None:
    answers = [f"answer {i % distinct}" for i in range(60)]
    found = estimate(integrity, pair(sample(words(60)), sample(answers), others=(sample(answers),)), UNCHANGED)
    assert found.value == value
    assert found.raw["largest_overlap"] == 1.0


def test_a_file_that_is_an_earlier_one_byte_for_byte_is_unchanged() -> None:
    comparison = pair(sample(words(20, "b")), sample(words(20)), same_bytes=("generation 0",))
    found = estimate(integrity, comparison, UNCHANGED)
    assert found.value == found.low == 1.0
    assert "generation 0 (the same file)" in found.explanation


def test_without_other_corpora_nothing_is_unchanged() -> None:
    found = estimate(integrity, pair(words(20), words(20)), UNCHANGED)
    assert found.value == 0.0
    assert found.explanation == ""


def test_one_document_of_white_space_is_judged() -> None:
    empty, constant = (estimate(integrity, pair(["\n"], [" "]), which) for which in (EMPTY, CONSTANT))
    assert empty.value == 0.0
    assert math.isinf(empty.high)
    assert constant.value == 1.0
    assert constant.low == pytest.approx(0.05)


def test_no_text_is_ever_shown() -> None:
    other = sample(["secret phrase", *words(20)], name="other")
    found = readings(integrity, pair(["secret phrase"] * 21, ["secret phrase", *words(20)], others=(other,)))
    assert "secret" not in repr(found)


def held(kind: str, ok: bool | None, *, noted: bool = False) -> Fact:
    return Fact(kind=kind, ok=ok, sentence=f"about {kind}", noted=noted)


@pytest.mark.parametrize(
    "text", ["</s>", "<|endoftext|>", " <s> </s>", "<pad><pad></s>", "<|im_end|>\n", "<EOS>", "[PAD] [PAD]"]
)
def test_a_text_of_nothing_but_end_of_text_markers_is_empty(text: str) -> None:
    found = estimate(integrity, pair(words(20), [text, "", *words(18)]), EMPTY)
    assert found.value == pytest.approx(2 / 20)
    assert found.raw == {
        "baseline": 0.0, "generation": 2 / 20, "baseline_markers": 0.0, "generation_markers": 1 / 20
    }  # fmt: skip


@pytest.mark.parametrize("text", ["<b>", "</s> yes", "a | b", "<|", "x</s>", "s"])
def test_markers_beside_other_text_are_text(text: str) -> None:
    assert estimate(integrity, pair(words(20), [text, *words(19)]), EMPTY).value == 0.0


def test_prompts_without_a_text_are_named_and_not_silently_left_out() -> None:
    prompts = words(20, "p")
    whole = sample(words(20), prompts=prompts)
    found = estimate(integrity, pair(whole, sample(words(17, "v"), prompts=prompts[:17])), EMPTY)
    assert found.notes == ("unanswered",)
    assert found.explanation.startswith("3 of 20 prompts that the baseline answered have no text")
    for asked in (prompts, words(20, "q"), [*prompts[:9], *words(11, "q")]):  # all answered, or other questions
        assert estimate(integrity, pair(whole, sample(words(20, "v"), prompts=asked)), EMPTY).notes == ()


@pytest.mark.parametrize(("copied", "notes"), [(18, ("near-identical",)), (17, ())])
def test_nine_texts_in_ten_of_another_corpus_are_noted(copied: int, notes: tuple[str, ...]) -> None:
    generation = sample([*words(copied), *words(20 - copied, "new")])
    found = estimate(integrity, pair(sample(words(20, "b")), generation, others=(sample(words(20)),)), UNCHANGED)
    assert found.value == pytest.approx(copied / 20)
    assert found.notes == notes


HELD = held("base", True)


def test_one_broken_fact_makes_all_of_it_unchanged_and_every_fact_is_evidence() -> None:
    facts = (HELD, held("one", False), held("two", False), held("three", None), held("four", True, noted=True))
    found = estimate(integrity, pair(words(20), words(20, "v"), facts=facts), UNCHANGED)
    assert found.value == found.low == found.high == 1.0
    assert found.p_value is None
    assert found.explanation == "about one; about two; about three; about four"
    assert found.notes == ("four",)
    assert [piece["status"] for piece in found.evidence] == ["broken", "broken", "unknown", "noted", "holds"]
    assert {key: found.raw[key] for key in ("facts", "facts_broken", "facts_unknown")} == {
        "facts": 5, "facts_broken": 2, "facts_unknown": 1
    }  # fmt: skip
    hidden = estimate(integrity, pair(words(20), words(20, "v"), facts=facts, evidence="none"), UNCHANGED)
    assert hidden.evidence == ()


def test_facts_that_hold_change_nothing_and_one_that_cannot_be_told_leaves_it_open() -> None:
    sides = words(20), words(20, "v")
    held_up = estimate(integrity, pair(*sides, facts=(HELD,)), UNCHANGED)
    assert (held_up.low, held_up.high, held_up.explanation) == (0.0, 0.0, "")
    open_ended = estimate(integrity, pair(*sides, facts=(HELD, held("adapter", None))), UNCHANGED)
    assert (open_ended.low, open_ended.high, open_ended.explanation) == (0.0, 1.0, "about adapter")
    assert open_ended.notes == ("unknown",)
    [gate] = [gate for gate in integrity.gates if gate.statistic == UNCHANGED]
    assert judge(open_ended, gate, p_adjusted=None, alpha=0.05).outcome is Outcome.INCONCLUSIVE


def own(n: int, seed: int) -> list[str]:
    return spell(np.random.default_rng(seed).integers(0, 3000, size=(n, 20)))


def test_recited_is_the_rise_of_the_share_of_spans_that_stand_in_the_training_texts() -> None:
    """20 tokens a text hold 13 spans. 12 of 40 texts of the generation, and 2 of the baseline, are training texts."""
    training = own(40, 1)
    sides = own(38, 2) + training[:2], own(28, 3) + training[:12]
    found = estimate(integrity, pair(*sides, training=sample(training), permutations=999), RECITED)
    assert found.value == pytest.approx(10 / 40)
    assert found.raw == pytest.approx({"baseline": 2 / 40, "generation": 12 / 40})


def test_a_copy_with_every_tenth_word_changed_is_found_and_no_recital_has_an_interval() -> None:
    training, rng = own(200, 4), np.random.default_rng(5)
    noisy = [" ".join(f"x{k}" if rng.random() < 0.1 else word for k, word in enumerate(t.split())) for t in training]
    gate = integrity.gates[3]
    found = estimate(integrity, pair(own(200, 6), noisy, training=sample(training), permutations=999), RECITED)
    assert found.value == pytest.approx(0.9**8, abs=0.06)
    assert found.low > gate.margin
    assert found.p_value == 0.001
    none = estimate(integrity, pair(own(200, 6), own(200, 7), training=sample(training)), RECITED)
    assert (none.value, none.p_value) == (0.0, 1.0)
    assert 0 < none.high < gate.margin


def test_what_it_was_trained_on_must_be_known_and_spans_must_be_there() -> None:
    assert "are not known" in reason(integrity, pair(own(20, 8), own(20, 9)), RECITED)
    short = pair(["a b"] * 20, ["a c"] * 20, training=sample(["a b"] * 20))
    assert "no text of 8 tokens" in reason(integrity, short, RECITED)
