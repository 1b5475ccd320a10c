"""CA201: the head by a loop, the ratio and its interval by hand, junk tokens, and comparisons with nothing."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from builders import estimate, pair, reason, sample, spell
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from collapse_audit.probes.pairs import tail as rare
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.tail import halves, set_aside
from collapse_audit.probes.pairs.tail import head as most_frequent
from collapse_audit.probes.statistics.readings import Z_POWER, Z
from collapse_audit.probes.tail_mass import tail_mass

ZIPF = 1 / (np.arange(1, 2001) + 2.7)
ZIPF /= ZIPF.sum()


def texts(n: int, seed: int, *, gamma: float = 1.0, length: int = 20) -> list[str]:
    p = ZIPF**gamma
    return spell(np.random.default_rng(seed).choice(ZIPF.size, size=(n, length), p=p / p.sum()))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any))
def test_the_head_is_the_smallest_set_of_frequent_types_with_nine_tenths_of_the_tokens(counts: list[int]) -> None:
    """By adding the most frequent types one by one until 90% is reached."""
    head = most_frequent(np.array(counts, dtype=np.float64), np.random.default_rng(0))
    total, held, size = sum(counts), 0, 0
    for count in sorted(counts, reverse=True):
        if held >= 0.9 * total:
            break
        held += count
        size += 1
    assert int(head.sum()) == size
    inside = [count for count, is_head in zip(counts, head, strict=True) if is_head]
    outside = [count for count, is_head in zip(counts, head, strict=True) if not is_head]
    assert sum(inside) == held
    assert not outside or min(inside) >= max(outside)


def by_hand(comparison: Pair) -> tuple[float, float]:
    """Ratio of tail shares, and the standard error of its logarithm, from words and Counters (documents only)."""
    side = comparison.design.side
    words = [text.split() for which in (False, True) for text in comparison.texts(which).to_pylist()]
    counted: list[list[int]] = [[] for _ in words]
    for half in halves(np.flatnonzero(~side), comparison.stream("tail-mass halvings")):
        counts = Counter(word for document in half for word in words[document])
        total, held, head = sum(counts.values()), 0, set()
        for word, count in counts.most_common():
            if held >= 0.9 * total:
                break
            head.add(word)
            held += count
        for document in set(range(len(words))) - set(half.tolist()):
            counted[document].append(sum(word not in head for word in words[document]))
    # In 20 of the 40 tails of its own side a baseline document has no part; a generation's has none in any.
    assert [len(each) for each in counted] == [40 if generated else 20 for generated in side]
    logs, variance = [], 0.0
    for which in (False, True):
        t = np.array([np.mean(each) for each, of in zip(counted, side, strict=True) if of == which])
        b = np.array([len(row) for row, of in zip(words, side, strict=True) if of == which], dtype=np.float64)
        m = t.sum() / b.sum()
        logs.append(math.log(m))
        variance += len(t) / (len(t) - 1) * float(((t - m * b) ** 2).sum()) / t.sum() ** 2
    return math.exp(logs[1] - logs[0]), math.sqrt(variance)


@pytest.mark.parametrize("left", [1.0, 0.4])
def test_the_value_and_its_interval_are_those_of_a_plain_count(left: float) -> None:
    """Six common words of clearly different frequency hold 95% of all tokens: nothing ties at the head's edge."""
    common = np.array([31.0, 23, 17, 13, 10, 6]) / 100

    def side(seed: int, rare: float) -> list[str]:
        rng = np.random.default_rng(seed)
        return [
            " ".join(
                [*spell([rng.choice(6, 18, p=common)])[0].split(), *[f"rare{i}" for i in range(rng.binomial(2, rare))]]
            )
            for _ in range(100)
        ]

    comparison = pair(side(1, 0.5), side(2, 0.5 * left))
    found = estimate(tail_mass, comparison)
    value, error = by_hand(comparison)
    assert found.value == pytest.approx(value, rel=1e-9)
    assert math.log(found.high / found.low) / (2 * Z) == pytest.approx(error, rel=1e-9)
    assert found.value == pytest.approx(found.raw["tail_mass_generation"] / found.raw["tail_mass_baseline"], rel=1e-12)


def test_the_half_that_defines_the_tail_is_compared_with_nothing() -> None:
    comparison = pair(texts(40, 3), texts(40, 4))
    defining, compared = set_aside(comparison.design.side, comparison.design.unit, np.random.default_rng(0))
    assert int(defining.sum()) == 20
    assert not (defining & comparison.design.side).any()
    assert not (defining & compared).any()
    assert (defining | compared).all()


@pytest.mark.parametrize("answers", [1, 2, 4, 8])
def test_half_of_the_prompts_are_left_however_many_answers_they_have(answers: int) -> None:
    prompts = [f"p{i // answers}" for i in range(160)]
    comparison = pair(*(sample(texts(160, seed), prompts=prompts) for seed in (5, 6)))
    defining, compared = set_aside(comparison.design.side, comparison.design.unit, np.random.default_rng(0))
    assert int(defining.sum()) == 80
    # A prompt is a pair, and leaves whole; where its many answers are units of their own only the baseline's leave.
    assert int((compared & ~comparison.design.side).sum()) == 80
    assert int((compared & comparison.design.side).sum()) == (80 if answers < 5 else 160)


@pytest.mark.parametrize("answers", [1, 4, 5, 8])
def test_what_shares_a_prompt_with_a_tail_is_no_less_rare_on_either_side(answers: int) -> None:
    """Every prompt has words of its own, and both sides write them alike. Were the generation's answers counted in
    tails that all of the prompt's baseline answers may define, of which a baseline answer misses its own, tail mass
    would seem to be lost (.7 to .85 with 5 or 8 answers). Mean of 6 pairs; one has a standard error of some 2%."""
    prompts = [f"p{i // answers}" for i in range(240)]
    values = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        sides = [
            [" ".join(f"w{prompt}x{word}" for word in rng.integers(0, 8, 12)) for prompt in prompts] for _ in range(2)
        ]
        comparison = pair(*(sample(side, prompts=prompts) for side in sides), permutations=1, seed=seed)
        values.append(estimate(tail_mass, comparison).value)
    assert math.exp(np.mean(np.log(values))) == pytest.approx(1.0, abs=0.02)


def test_two_texts_with_tokens_among_thirty_are_too_few_whatever_the_seed() -> None:
    baseline = [*texts(2, 18), *[""] * 28]
    for seed in range(8):
        assert "too few texts with tokens" in reason(tail_mass, pair(baseline, texts(30, 19), seed=seed))


def test_what_is_detectable_is_what_the_test_detects() -> None:
    """The exact test has half of the baseline only, and a smaller change than it can see is not called detectable."""
    found = estimate(tail_mass, pair(texts(100, 20), texts(100, 21)))
    assert found.minimum_detectable is not None
    spread = math.log(found.high / found.low) / (2 * Z)
    assert -math.log(found.minimum_detectable) > 1.1 * (Z + Z_POWER) * spread


def test_it_takes_both_tests_to_reject(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact one, or the level is not kept; that of the value, or a p of .001 may stand beside a ratio over 1."""
    for gamma, exact in ((1.5, 0.9), (0.9, 0.01)):
        comparison = pair(texts(100, 16), texts(100, 17, gamma=gamma), permutations=99)
        honest = estimate(tail_mass, comparison)
        monkeypatch.setattr("collapse_audit.probes.tail_mass._held_out", lambda _, exact=exact: (exact, 0.1))
        assert estimate(tail_mass, comparison).p_value >= max(exact, 0.5)
        monkeypatch.undo()
        assert (honest.value < 1) == (honest.p_value == 0.01)


def test_another_seed_is_nearly_the_same_estimate() -> None:
    """Six words hold about 90% together, and the generation repeats them all, so that one half alone lets chance decide
    whether a tenth of its tokens are tail: ratios of one halving spread over more than a factor of two."""
    rng = np.random.default_rng(15)
    common = [f"c{i}" for i in range(6)]

    def side(share: float) -> list[str]:
        return [
            " ".join(str(rng.choice(common)) if rng.random() < share else f"r{rng.integers(400)}" for _ in range(25))
            for _ in range(150)
        ]

    before, after = side(0.9), side(0.97)
    values = [estimate(tail_mass, pair(before, after, permutations=1, seed=seed)).value for seed in range(12)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rare, "HALVINGS", 1)
        one = [estimate(tail_mass, pair(before, after, permutations=1, seed=seed)).value for seed in range(12)]
    assert np.std(np.log(values)) < np.std(np.log(one)) / 2


def test_sharper_sampling_takes_the_tail_away() -> None:
    values = [estimate(tail_mass, pair(texts(200, 7), texts(200, 8, gamma=g))).value for g in (1.0, 1.15, 1.4, 2.0)]
    assert values == sorted(values, reverse=True)
    assert 0.8 < values[0] < 1.2
    assert values[-1] < 0.3


def test_a_generation_without_any_tail_fails_for_sure() -> None:
    """A rare word in every second baseline text, none in the generation."""
    baseline = ["a b c d e f g h i" + (f" rare{i}" if i % 2 else "") for i in range(200)]
    found = estimate(tail_mass, pair(baseline, ["a b c d e f g h i"] * 200, permutations=999))
    assert found.p_value == 0.001
    assert found.high < 0.8
    assert found.raw["tail_mass_generation"] == 0.0


def test_junk_tokens_do_not_hide_a_lost_tail() -> None:
    """The generation sharpens, and writes six nonsense words into every text: only types seen before count then."""
    sharpened = texts(200, 9, gamma=1.6)
    junk = [" ".join(text.split()[:14] + [f"zq{i}x{j}" for j in range(6)]) for i, text in enumerate(sharpened)]
    clean, noisy = (estimate(tail_mass, pair(texts(200, 10), side)) for side in (sharpened, junk))
    assert "unseen-types-left-out" in noisy.notes
    assert "unseen-types-left-out" not in clean.notes
    assert clean.high < 0.8
    assert noisy.high < 0.8
    assert noisy.raw["novel_mass_generation"] > 1.25 * noisy.raw["novel_mass_baseline"]


def other_tail(n: int, seed: int, *, gamma: float = 1.0) -> list[str]:
    """The same law, and from the 60th word on words of its own."""
    return [" ".join(w if int(w[1:]) < 60 else f"x{w}" for w in text.split()) for text in texts(n, seed, gamma=gamma)]


def test_the_words_of_another_subject_are_no_lost_tail() -> None:
    """Both sides follow one law and the 60 most frequent words are the same. Of what was frequent below them nothing
    is left, so most of the known tail is gone, and more than it has come."""
    for sides in ((texts(300, 15), other_tail(300, 16)), (other_tail(300, 17), texts(300, 18))):
        found = estimate(tail_mass, pair(*sides))
        assert "unseen-types-left-out" not in found.notes
        assert found.low > 1


def test_another_subject_with_a_thinner_tail_has_lost_it() -> None:
    found = estimate(tail_mass, pair(texts(300, 19), other_tail(300, 20, gamma=1.6), permutations=999))
    assert found.high < 0.8
    assert found.p_value is not None
    assert found.p_value <= 0.01


def test_the_test_is_exact_even_where_the_junk_rule_changes_its_mind() -> None:
    """A text in seven holds a word of its own, eight times: novel mass is bursty, and chance alone triggers the rule.

    P(p <= a) <= a over 200 pairs (one that is not measured counts as p = 1), limits at the .9999 quantile.
    """
    p_values, switched = [], 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows = [
            " ".join([*spell([rng.zipf(1.5, size=8).clip(max=15)]), *[f"own{i}"] * (8 * (rng.random() < 0.15))])
            for i in range(40)
        ]
        found = tail_mass(pair(rows[:20], rows[20:], permutations=39, seed=seed))[0]
        p_values.append(getattr(found, "p_value", 1.0))
        switched += "unseen-types-left-out" in getattr(found, "notes", ())
    assert switched > 50  # or this test would show nothing
    drawn = np.array(p_values)
    for level in (0.025, 0.05, 0.1, 0.25, 0.5):
        assert np.count_nonzero(drawn <= level + 1e-12) <= binom.isf(1e-4, 200, level)


@pytest.mark.parametrize(
    ("baseline", "generation", "why"),
    [
        ([""] * 20, ["a b"] * 20, "too few texts with tokens"),
        (["a b"] * 20, [" "] * 20, "too few texts with tokens"),
        (["a"] * 20, ["a"] * 20, "has no rare tail"),
        (["a b c"], ["a b c"], "too few texts with tokens"),
    ],
)
def test_where_there_is_no_tail_nothing_is_measured(baseline: list[str], generation: list[str], why: str) -> None:
    assert why in reason(tail_mass, pair(baseline, generation))


def test_against_its_own_training_texts_it_may_pass_but_not_fail() -> None:
    sides = texts(100, 11), texts(100, 12, gamma=1.5)
    fair, own = (estimate(tail_mass, pair(*sides, trained_on_baseline=t)) for t in (False, True))
    assert fair.can_fail
    assert not own.can_fail
    assert (own.value, own.low, own.high) == (fair.value, fair.low, fair.high)
    assert "one-sided" in own.notes
    assert "may pass but not fail" in own.explanation
    assert "nothing is trained on" in own.explanation


def test_it_shows_no_text_and_no_term() -> None:
    assert estimate(tail_mass, pair(texts(60, 13), texts(60, 14), evidence="texts")).evidence == ()
