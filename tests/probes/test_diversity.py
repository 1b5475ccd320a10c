"""CA302: word pairs by sets, effective tokens by the Simpson U-statistic, copies by counting."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from builders import estimate, estimates, pair, reason, sample, spell
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from collapse_audit.probes.diversity import diversity
from collapse_audit.probes.statistics.readings import Z

DISTINCT, EFFECTIVE, DUPLICATES, _ = (gate.statistic for gate in diversity.gates)

ZIPF = 1 / (np.arange(1, 1001) + 2.7)
ZIPF /= ZIPF.sum()


def texts(n: int, seed: int, *, gamma: float = 1.0, length: int = 15) -> list[str]:
    p = ZIPF**gamma
    return spell(np.random.default_rng(seed).choice(ZIPF.size, size=(n, length), p=p / p.sum()))


def sum_of_squares(rows: list[list[str]]) -> float:
    """P(two tokens of two different texts are the same), over all ordered pairs of tokens."""
    total = Counter(word for row in rows for word in row)
    inside = [Counter(row) for row in rows]
    same = sum(c * c for c in total.values()) - sum(c * c for counts in inside for c in counts.values())
    n = sum(total.values())
    return same / (n * n - sum(len(row) ** 2 for row in rows))


def test_the_three_values_are_those_of_plain_counting() -> None:
    baseline, generation = texts(40, 1), texts(40, 2, gamma=1.4)
    generation[7] = generation[8] = "  ".join(generation[6].split())  # two copies, spaced otherwise
    found = estimates(diversity, pair(baseline, generation))
    pairs_of = [len({gram for text in side for gram in pairwise(text.split())}) for side in (baseline, generation)]
    assert found[DISTINCT].value == pytest.approx(pairs_of[1] / pairs_of[0], rel=1e-12)
    assert found[DISTINCT].raw["distinct_2_baseline"] == pytest.approx(pairs_of[0] / (40 * 14))
    squares = [sum_of_squares([text.split() for text in side]) for side in (baseline, generation)]
    assert found[EFFECTIVE].value == pytest.approx(squares[0] / squares[1], rel=1e-9)
    assert found[EFFECTIVE].raw["effective_tokens_generation"] == pytest.approx(1 / squares[1], rel=1e-9)
    assert found[DUPLICATES].value == pytest.approx(2 / 40)
    assert found[DUPLICATES].raw["unique_share_generation"] == pytest.approx(38 / 40)
    assert found[DUPLICATES].raw["same_text_probability_generation"] == pytest.approx(3 * 2 / (40 * 39))
    assert found[DUPLICATES].raw["same_text_probability_baseline"] == 0.0


def test_word_pairs_do_not_cross_texts() -> None:
    found = estimate(diversity, pair(["a b", "c d"], ["a b", "b c"]), DISTINCT)
    assert found.value == 1.0  # two pairs a side: no "b c" between the baseline's texts


# Errors: each against leaving one document out and computing everything anew


def jackknife_variance(without: list[float]) -> float:
    values = np.array(without)
    return float((values.size - 1) / values.size * ((values - values.mean()) ** 2).sum())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_effective_error_is_the_jackknife_of_the_logarithm_to_first_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [[f"w{k}" for k in rng.integers(0, 6, size=rng.integers(1, 6))] for _ in range(24)]
    found = estimate(
        diversity, pair([" ".join(row) for row in rows[:12]], [" ".join(row) for row in rows[12:]]), EFFECTIVE
    )
    variance = sum(
        jackknife_variance([sum_of_squares(part[:k] + part[k + 1 :]) for k in range(12)]) / sum_of_squares(part) ** 2
        for part in (rows[:12], rows[12:])
    )
    assert math.log(found.high / found.low) / (2 * Z) == pytest.approx(math.sqrt(variance), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_duplicate_error_is_the_jackknife_of_the_share(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [f"t{k}" for k in rng.integers(0, 9, size=80)]
    found = estimate(diversity, pair(rows[:40], rows[40:]), DUPLICATES)
    variance = sum(
        jackknife_variance([1 - len(set(part[:k] + part[k + 1 :])) / 39 for k in range(40)])
        for part in (rows[:40], rows[40:])
    )
    floor = math.log(20) * math.sqrt(2) / (Z * 40)  # the rule of three: shares of 40
    assert (found.high - found.low) / (2 * Z) == pytest.approx(max(math.sqrt(variance), floor), rel=1e-9)


def test_how_the_word_pairs_are_portioned_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = texts(60, 18), texts(60, 19, gamma=1.2)
    whole = estimate(diversity, pair(*sides), DISTINCT)
    monkeypatch.setattr("collapse_audit.probes.diversity._PORTION", 100)
    portioned = estimate(diversity, pair(*sides), DISTINCT)
    assert (portioned.value, portioned.p_value) == (whole.value, whole.p_value)
    assert portioned.low == pytest.approx(whole.low, rel=1e-12)


def test_the_interval_of_effective_tokens_holds_the_truth_as_often_as_it_says() -> None:
    """No change: ln ratio 0, level .90. R = 120 pairs of 40 texts.

    A normal bound from 40 documents may hold as rarely as .87 (the study's section 2.3); the lower limit is that
    rate's .001 quantile. An interval that always holds says nothing: .90^120 is 3 in 10^6.
    """
    covered = 0
    for seed in range(120):
        found = estimate(diversity, pair(texts(40, 2 * seed), texts(40, 2 * seed + 1), permutations=1), EFFECTIVE)
        covered += found.low <= 1.0 <= found.high
    assert binom.ppf(0.001, 120, 0.87) <= covered < 120


# Directions


def test_sharpening_lowers_word_pairs_and_effective_tokens() -> None:
    runs = [estimates(diversity, pair(texts(100, 3), texts(100, 4, gamma=g))) for g in (1.0, 1.3, 2.0)]
    for statistic in (DISTINCT, EFFECTIVE):
        values = [run[statistic].value for run in runs]
        assert values == sorted(values, reverse=True)
        assert runs[-1][statistic].high < 0.8
        assert runs[-1][statistic].p_value == 1 / 200


def test_copies_raise_the_share_of_duplicates_and_leave_effective_tokens_alone() -> None:
    """A fifth of the texts is a copy of another: 20 of 100, and tokens stay as frequent as they were."""
    fresh = texts(100, 5)
    copied = [*texts(80, 6), *texts(80, 6)[:20]]
    found = estimates(diversity, pair(fresh, copied, permutations=999))
    assert found[DUPLICATES].value == pytest.approx(0.2)
    assert found[DUPLICATES].p_value == 0.001
    assert found[DUPLICATES].low > 0.05
    assert found[EFFECTIVE].low > 0.8  # not even significant, let alone a fifth less


def test_duplicates_in_the_baseline_too_are_no_rise() -> None:
    rows = [*texts(30, 7), *texts(30, 7)]
    found = estimate(diversity, pair(rows, rows[::-1]), DUPLICATES)
    assert found.value == 0.0
    assert found.p_value is not None
    assert found.p_value >= 0.5  # half of all relabellings are at least as bad as no rise


def test_repetition_inside_a_text_does_not_lower_effective_tokens() -> None:
    """Every word of every text written thrice in a row: no two texts resemble each other more than before."""
    rows = texts(60, 8)
    tripled = [" ".join(word for word in row.split() for _ in range(3)) for row in rows]
    assert estimate(diversity, pair(rows, tripled), EFFECTIVE).value == pytest.approx(1.0, rel=1e-9)


def test_one_text_over_and_over_is_worst_in_all_three() -> None:
    found = estimates(diversity, pair(texts(40, 9), ["the same two words"] * 40, permutations=999))
    assert found[DUPLICATES].value == pytest.approx(39 / 40)
    assert found[EFFECTIVE].value < 0.2
    assert found[DISTINCT].value < 0.05
    assert {found[statistic].p_value for statistic in found} == {0.001}


# Equal n


def test_the_larger_side_is_thinned_before_anything_is_counted() -> None:
    """Distinct pairs and unique shares fall with n alone; 40 of 400 texts beside 40 do not."""
    found = estimates(diversity, pair(texts(400, 10), texts(40, 11)))
    assert all((e.n_baseline, e.n_generation) == (40, 40) for e in found.values())
    assert 0.85 < found[DISTINCT].value < 1.15


# Not measured, and one-sided cases


def test_texts_of_one_word_have_no_word_pair() -> None:
    assert reason(diversity, pair(["a"] * 12, ["a b"] * 12), DISTINCT) == "the baseline holds no token pairs"


def test_a_baseline_whose_texts_share_no_token_has_no_effective_number() -> None:
    unique = [f"u{i} v{i}" for i in range(20)]
    assert "no two baseline texts share a token" in reason(diversity, pair(unique, ["a b"] * 20), EFFECTIVE)
    assert "no two texts of the generation share" in reason(diversity, pair(["a b"] * 20, unique), EFFECTIVE)


def test_a_single_shared_word_a_side_gives_a_number_without_warnings() -> None:
    baseline, generation = ([f"{name}{i}" for i in range(20)] for name in "bg")
    baseline[1], generation[1] = baseline[0], generation[0]
    found = estimate(diversity, pair(baseline, generation, permutations=199), EFFECTIVE)
    assert found.value == pytest.approx(1.0)
    assert found.p_value is not None
    # In a random half neither pair is together with chance over .4, one-sidedly over .2: nothing near significance.
    assert found.p_value > 0.1


def test_sides_without_a_copy_cannot_exclude_a_few_percent_of_copies() -> None:
    """0 of 60 on both sides: the upper bound is ln 20 sqrt(2)/60 = .0706, above the margin of .05."""
    found = estimate(diversity, pair(texts(60, 13), texts(60, 14)), DUPLICATES)
    assert found.value == 0.0
    assert found.high == pytest.approx(math.log(20) * math.sqrt(2) / 60, rel=1e-9)
    assert (found.high - found.value) / Z == pytest.approx((found.value - found.low) / Z)


# Evidence


@pytest.mark.parametrize("level", ["none", "terms", "texts"])
def test_copied_texts_are_shown_only_when_asked_for(level: str) -> None:
    copies = ["a secret text"] * 9 + texts(11, 15)
    found = estimate(diversity, pair(texts(20, 16), copies, evidence=level), DUPLICATES)
    if level == "none":
        assert found.evidence == ()
        return
    [entry] = found.evidence
    assert (entry["generation_copies"], entry["baseline_copies"]) == (9, 0)
    assert entry.get("text") == ("a secret text" if level == "texts" else None)


def test_copies_among_groups_are_still_counted_in_texts() -> None:
    groups = [f"g{i // 2}" for i in range(40)]
    sides = [
        sample(rows, groups=[name + g for g in groups]) for name, rows in (("b", texts(40, 17)), ("g", ["x"] * 40))
    ]
    found = estimate(diversity, pair(*sides), DUPLICATES)
    assert found.value == pytest.approx(39 / 40)
    assert found.raw["same_text_probability_generation"] == 1.0
