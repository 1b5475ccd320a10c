"""Planted damage: exactly as much as was asked for, exactly where it was asked for, and the rest untouched."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation.damage import drop_label, duplicate, loop, shift_perplexity

TEXTS = [f"document {index} says that {index * 7} is not {index}." for index in range(100)]
SPACED = [" ".join(f"w{index}x{place}" for place in range(12)) for index in range(100)]
"""Twelve different words each."""
SEEDS = st.integers(0, 2**32 - 1)


def loops(text: str) -> bool:
    """A span of words repeated back to back at least three times: brute force, written apart from the package."""
    words = text.split()
    return any(
        words[at : at + span] * 3 == words[at : at + 3 * span]
        for span in range(1, len(words) // 3 + 1)
        for at in range(len(words) - 3 * span + 1)
    )


@given(st.integers(0, 99), SEEDS)
def test_duplicates_replace_exactly_the_asked_number_of_texts(count: int, seed: int) -> None:
    after = duplicate(TEXTS, count / 100, np.random.default_rng(seed))
    changed = [index for index in range(100) if after[index] != TEXTS[index]]
    assert len(changed) == count
    assert len(set(after)) == 100 - count  # all that is left stands once at its own place, and copies add nothing
    assert {after[index] for index in changed} <= {TEXTS[index] for index in range(100) if index not in changed}


def test_all_texts_cannot_be_copies_of_others() -> None:
    with pytest.raises(UsageError, match="share 1 of 100 documents leaves none to copy from"):
        duplicate(TEXTS, 1.0, np.random.default_rng(0))


@pytest.mark.parametrize("place", ["end", "middle", "any"])
@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 100), seed=SEEDS)
def test_exactly_the_asked_number_of_texts_loops(place: str, count: int, seed: int) -> None:
    after = loop(SPACED, count / 100, np.random.default_rng(seed), place=place)  # type: ignore[arg-type]
    assert sum(map(loops, after)) == count
    assert sum(new == old for new, old in zip(after, SPACED, strict=True)) == 100 - count


def test_a_loop_at_the_end_repeats_the_last_words_and_keeps_the_rest() -> None:
    for text, old in zip(loop(SPACED, 1.0, np.random.default_rng(0), place="end"), SPACED, strict=True):
        assert text.startswith(old)
        words, added = old.split(), text.split()[12:]
        span = next(size for size in range(1, 9) if added[:size] == words[-size:])
        assert len(added) % span == 0
        assert 3 <= 1 + len(added) // span <= 12
        assert added == words[-span:] * (len(added) // span)


def test_a_loop_in_the_middle_keeps_every_word_of_the_text() -> None:
    for text, old in zip(loop(SPACED, 1.0, np.random.default_rng(1), place="middle"), SPACED, strict=True):
        assert list(dict.fromkeys(text.split())) == old.split()


def test_texts_without_a_word_are_never_chosen_to_loop() -> None:
    after = loop(["", " ", "a", "b c"], 0.5, np.random.default_rng(0))
    assert after[:2] == ["", " "]
    assert all(map(loops, after[2:]))


def test_loops_are_planted_in_scripts_without_spaces() -> None:
    (text,) = loop(["我们是中国人。"], 1.0, np.random.default_rng(3), place="end")
    written = text.replace(" ", "")
    assert written.startswith("我们是中国人。")
    assert any(written.endswith("我们是中国人。"[-span:] * 3) for span in range(1, 8))


@given(st.floats(0, 1), SEEDS)
def test_a_label_keeps_its_share_and_the_rest_come_from_the_spares(keep: float, seed: int) -> None:
    carries = [index < 40 for index in range(100)]
    spares = [f"spare {index}" for index in range(40)]
    after = drop_label(TEXTS, carries, keep, iter(spares), np.random.default_rng(seed))
    lost = round((1 - keep) * 40)
    assert after[40:] == TEXTS[40:]
    assert Counter(text in TEXTS for text in after[:40]) == Counter({True: 40 - lost, False: lost})
    assert [text for text in after if text not in TEXTS] == spares[:lost]


def test_a_label_cannot_be_dropped_without_texts_to_put_in_its_place() -> None:
    with pytest.raises(UsageError, match="too few spare texts"):
        drop_label(["a", "b"], [True, True], 0.0, iter(["c"]), np.random.default_rng(0))


NLL = np.random.default_rng(5).normal(3.4, 0.45, 400)


def test_a_shift_moves_the_distribution_by_itself_in_w1() -> None:
    assert wasserstein_distance(NLL, shift_perplexity(NLL, np.random.default_rng(0), shift=0.25)) == pytest.approx(0.25)


def test_a_scale_moves_every_text_in_proportion_to_its_distance_from_the_mean() -> None:
    # Both samples in the same order: W1 = E|x - ((x - mean) * .8 + mean)| = .2 E|x - mean|
    expected = 0.2 * np.abs(NLL - NLL.mean()).mean()
    assert wasserstein_distance(NLL, shift_perplexity(NLL, np.random.default_rng(0), scale=0.8)) == pytest.approx(
        expected
    )


def test_a_right_tail_moves_exactly_its_share_and_only_to_the_right() -> None:
    moved = shift_perplexity(NLL, np.random.default_rng(0), tail=0.03, tail_size=2.0) - NLL
    assert (np.abs(moved) > 1e-12).sum() == 12
    assert moved.min() >= -1e-12


def test_log_perplexity_stays_at_zero_or_above() -> None:
    assert shift_perplexity([0.1, 0.2], np.random.default_rng(0), shift=-5.0).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    for plant in (duplicate, loop):
        with pytest.raises(UsageError, match="allowed is a number from 0 to 1"):
            plant(TEXTS, share, np.random.default_rng(0))  # type: ignore[operator]
