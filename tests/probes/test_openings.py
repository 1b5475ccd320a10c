"""Texts that hold their prompts without saying so: found where sides are paired by them, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from builders import pair, readings, sample, spell

from collapse_audit.probes.diversity import diversity
from collapse_audit.probes.pairs.openings import shared_openings
from collapse_audit.probes.statistics.readings import Estimate

N = 120


def drawn(seed: int, tokens: int, count: int = N, vocabulary: int = 400) -> list[str]:
    return spell(np.random.default_rng(seed).integers(0, vocabulary, size=(count, tokens)), prefix=f"v{vocabulary}w")


def joined(*columns: list[str]) -> list[str]:
    return [" ".join(parts) for parts in zip(*columns, strict=True)]


PROMPTS = drawn(1, 12)
BEFORE, AFTER = joined(PROMPTS, drawn(2, 20)), joined(PROMPTS, drawn(3, 20))


def found(before: list[str], after: list[str]) -> int:
    openings = pair(before, after).openings
    return 0 if openings is None else openings.count


def test_one_answer_a_prompt_on_either_side_pairs_all_texts() -> None:
    assert found(BEFORE, AFTER) == N


def test_a_system_prompt_before_all_of_them_does_not_hide_them() -> None:
    heading = [" ".join(f"h{i}" for i in range(100))] * N
    assert found(joined(heading, BEFORE), joined(heading, AFTER)) == N


def test_a_heading_with_one_word_of_its_own_is_a_prompt_as_well() -> None:
    """``Write an encyclopedia paragraph about …``: what the prompts differ in is shorter than any opening above."""
    heading = ["write an encyclopedia paragraph about"] * N
    topics = [f"t{number}" for number in range(N)]
    assert found(joined(heading, topics, drawn(2, 20)), joined(heading, topics, drawn(3, 20))) == N


def test_a_heading_and_a_word_that_chance_deals_out_are_no_prompts() -> None:
    """30 words of 2 x 120 texts, drawn anew for every text: as above, one pair of sides in 10^6 is as even."""
    for seed in range(60):
        words = np.random.default_rng(seed).integers(0, 30, size=2 * N)
        rests = drawn(seed, 8, 2 * N)
        texts = [f"write a text about t{word} {rest}" for word, rest in zip(words, rests, strict=True)]
        assert shared_openings(sample(texts).tokens, np.repeat([False, True], N)) is None


def test_several_answers_a_prompt_are_found_as_well() -> None:
    several = [prompt for prompt in PROMPTS[:30] for _ in range(4)]
    assert found(joined(several, drawn(4, 20)), joined(several, drawn(5, 20))) == 30


def test_a_field_on_both_sides_leaves_nothing_to_find() -> None:
    given = [sample(side, prompts=PROMPTS, name=name) for side, name in ((BEFORE, "b"), (AFTER, "a"))]
    assert pair(*given).openings is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (drawn(6, 30), drawn(7, 30)),  # nothing shared
        (BEFORE, BEFORE),  # the same texts
        (BEFORE, [f"{text} and then" for text in BEFORE]),  # with an end
        (BEFORE, [text.replace("w7 ", "w8 ") for text in BEFORE]),  # edited
        (joined([PROMPTS[0]] * N, drawn(8, 20)), joined([PROMPTS[0]] * N, drawn(9, 20))),  # one opening for all
        (joined(PROMPTS, drawn(2, 20)), joined(drawn(10, 12), drawn(3, 20))),  # other prompts
        (BEFORE, [""] * N),
        ([""] * N, [""] * N),
    ],
)
def test_texts_that_share_no_prompts_are_left_alone(before: list[str], after: list[str]) -> None:
    assert found(before, after) == 0


def test_templates_that_chance_deals_out_are_no_prompts() -> None:
    """30 openings of 12 tokens, drawn anew for every text: one in 10^6 pairs of sides is as even."""
    openings = drawn(11, 12, count=30)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        texts = [
            f"{openings[i]} {rest}"
            for i, rest in zip(rng.integers(0, 30, size=2 * N), drawn(seed, 8, 2 * N), strict=True)
        ]
        tokens = sample(texts).tokens
        assert shared_openings(tokens, np.repeat([False, True], N)) is None


def test_nothing_passes_where_prompts_stand_inside_and_what_is_lost_still_fails() -> None:
    answers = drawn(12, 20, count=5) * (N // 5)
    found = readings(diversity, pair(BEFORE, joined(PROMPTS, answers)))
    for name, reading in found.items():
        assert isinstance(reading, Estimate)
        assert "prompts-inside" in reading.notes
        assert "--prompt FIELD" in reading.explanation
        assert "of what follows repeats" in reading.explanation
        assert (reading.high if name in ("duplicates", "near-copies") else -reading.low) == np.inf
