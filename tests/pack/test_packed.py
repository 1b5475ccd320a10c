"""Findings beside a pack, held against the same findings of the texts themselves, and against plain loops."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_examples import FIELD, NAMES, found, order_of, ordinary, packed_pair, texts
from scipy.spatial.distance import jensenshannon

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.packs.block_runs import Runs, beyond_length, in_runs
from collapse_audit.probes.packs.packed_pair import PackedPair, shared_cut
from collapse_audit.probes.packs.sketch import CUTS, UNCUT, cuts_of, sketch
from collapse_audit.probes.pairs import richness
from collapse_audit.probes.pairs.tail import head
from collapse_audit.probes.statistics import lengths as length_rule
from collapse_audit.probes.statistics.readings import Z


def damaged() -> tuple[list[str], list[str]]:
    """150 texts, and 150 of a poorer vocabulary with copies, loops and empty texts among them."""
    before, after = texts(150, 1), texts(150, 2, gamma=1.2)
    after[:20] = after[20:40]
    after[40:50] = [f"{text} x y x y x y" for text in after[40:50]]
    before[5], after[60:65] = "", [" "] * 5
    return before, after


# The same numbers as the ordinary audit of the same documents.


@pytest.fixture
def as_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distinct types of an ordinary audit without what lengths explain, which a pack cannot tell."""
    monkeypatch.setattr(richness, "_slope", lambda *_: 0.0)


@pytest.mark.usefixtures("as_counted")
@pytest.mark.parametrize(
    ("name", "statistic"),
    [
        ("tail-coverage", "distinct-types"),
        ("diversity", "distinct-2"),
        ("diversity", "effective-tokens"),
        ("diversity", "duplicates"),
        ("label-coverage", "retained-share"),
    ],
)
def test_value_and_interval_are_those_of_an_audit_of_the_texts(name: str, statistic: str) -> None:
    before, after = damaged()
    labels = [[["a", "b", "c"][k % 3 if k % 7 else 0]] for k in range(150)]
    sides = [sample_of(side, labels=labels) for side in (before, after)]
    beside = found(packed_pair(*sides, rule=FIELD), name, statistic)
    plain = found(ordinary(*sides, rule=FIELD), name, statistic)
    assert beside.value == pytest.approx(plain.value, rel=1e-12)
    assert (beside.low, beside.high) == pytest.approx((plain.low, plain.high), rel=1e-9)
    assert (beside.n_baseline, beside.n_generation) == (150, 150)


@pytest.mark.parametrize(
    ("name", "statistic"), [("repetition", "seq-rep-4"), ("repetition", "looping"), ("integrity", "empty")]
)
def test_rises_of_shares_have_the_same_value_and_blocks_as_units(name: str, statistic: str) -> None:
    """The error is the linearised one of block sums, by hand; the floor is that of documents."""
    before, after = damaged()
    pair = packed_pair(before, after)
    beside, plain = found(pair, name, statistic), found(ordinary(sample_of(before), sample_of(after)), name, statistic)
    assert beside.value == pytest.approx(plain.value, abs=1e-4)
    every = np.full(30, 5)
    sums = {
        "seq-rep-4": [(side.at[-1].repeated, side.long_enough) for side in (pair.before, pair.after)],
        "looping": [(side.looping, every) for side in (pair.before, pair.after)],
        "empty": [(side.empty, every) for side in (pair.before, pair.after)],
    }[statistic]
    variance = sum(30 / 29 * float(((t - t.sum() / b.sum() * b) ** 2).sum()) / float(b.sum()) ** 2 for t, b in sums)
    floor = -math.log(0.05) * math.sqrt(2) / (Z * 150)
    assert beside.high - beside.value == pytest.approx(Z * max(math.sqrt(variance), floor), rel=1e-9)


def test_what_needs_no_baseline_is_as_ever() -> None:
    before, after = damaged()
    pair = packed_pair(before, after, others=(sample_of(after, name="copied"),))
    assert found(pair, "integrity", "unchanged").value == 1.0
    assert found(pair, "integrity", "constant") == dataclasses.replace(
        found(ordinary(sample_of(before), sample_of(after)), "integrity", "constant"), n_baseline=150
    )


def test_a_pack_among_the_other_corpora_is_no_copy_of_anything() -> None:
    before, after = texts(150, 1), texts(150, 2)
    pair = packed_pair(before, after)
    pair = dataclasses.replace(pair, others=(pair.baseline,))
    assert found(pair, "integrity", "unchanged").value == 0.0


# Words.


def replaced(pair: PackedPair, before: list[str], after: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    """Both sides' compared texts in the order of their blocks, every word that is not common replaced by one word."""
    compared = pair.pack.compared * 5
    sides = [before[d] for d in order_of(len(before))[:compared]], [after[d] for d in pair.rows[:compared]]
    common = set(pair.pack.words)
    first, second = ([[w if w in common else "RARE" for w in text.split()] for text in side] for side in sides)
    return first, second


def test_token_divergence_is_that_of_texts_whose_rare_words_were_replaced_beforehand() -> None:
    """By the ordinary audit, told to keep the pack's blocks together: the same value, interval and p-value."""
    before, after = texts(200, 3), texts(150, 4, gamma=1.15)
    pair = packed_pair(before, after)
    sides = replaced(pair, before, after)
    assert any("RARE" in text for text in sides[0])
    plain = ordinary(
        *(
            sample_of([" ".join(text) for text in side], groups=[f"{name}{d // 5}" for d in range(len(side))])
            for name, side in zip("bg", sides, strict=True)
        )
    )
    beside, expected = found(pair, "token-divergence"), found(plain, "token-divergence")
    assert beside.value == pytest.approx(expected.value, rel=1e-9)
    assert (beside.low, beside.high, beside.p_value) == pytest.approx((expected.low, expected.high, expected.p_value))
    assert beside.n_baseline == expected.n_baseline == 100
    # And the raw divergence by scipy, from plain counts.
    counts = [Counter(word for text in side for word in text) for side in sides]
    kept = [word for word in counts[0] | counts[1] if sum(word in t for t in blocks_of(sides)) >= 5]
    shares = [[count[word] for word in kept] for count in counts]
    for share, count in zip(shares, counts, strict=True):
        share.append(sum(count.values()) - sum(share))
    assert beside.raw["js"] == pytest.approx(jensenshannon(*shares) ** 2, rel=1e-6)


def blocks_of(sides: tuple[list[list[str]], list[list[str]]]) -> list[set[str]]:
    return [set(itertools.chain(*side[d : d + 5])) for side in sides for d in range(0, len(side), 5)]


def test_a_divergence_of_common_words_is_no_larger_than_that_of_all_words() -> None:
    """Data processing: pooling types never raises a divergence."""
    before, after = texts(200, 3), texts(150, 4, gamma=1.15)
    pair = packed_pair(before, after)
    compared = pair.pack.compared * 5
    sides = [before[d] for d in order_of(200)[:compared]], [after[d] for d in pair.rows[:compared]]
    counts = [Counter(word for text in side for word in text.split()) for side in sides]
    every = sorted(counts[0] | counts[1])
    whole = jensenshannon(*([count[word] for word in every] for count in counts)) ** 2
    assert found(pair, "token-divergence").raw["js"] <= whole


def test_two_sides_of_words_without_a_name_are_not_alike() -> None:
    """Every word stands in one text only: nothing is common, and "no divergence" would be said of nothing."""
    sides = [[f"{NAMES[d]}{side} {NAMES[d]}{side}z" for d in range(120)] for side in "ab"]
    pair = packed_pair(*sides)
    assert pair.pack.words == ()
    beside = found(pair, "token-divergence")
    assert beside.high == math.inf
    assert "only 0%" in beside.explanation
    assert found(pair, "tail-mass").low == 0.0


def test_tail_mass_is_that_of_a_head_defined_by_the_documents_set_aside() -> None:
    """Value, interval and p-value by plain loops over whole texts; here the head lies within the common words."""
    shape = {"types": 60, "length": 20.0}
    before, after = texts(160, 5, **shape), texts(140, 6, gamma=1.3, **shape)
    pair = packed_pair(before, after)
    order = order_of(160)
    aside = Counter(word for d in order[80:] for word in before[d].split())
    total, held, head = sum(aside.values()), 0, set()
    for word, count in sorted(aside.items(), key=lambda item: (-item[1], item[0])):
        if held >= 0.9 * total:
            break
        head.add(word)
        held += count
    assert head <= set(pair.pack.words)
    sides = [[before[d].split() for d in order[:80]], [after[d].split() for d in pair.rows[:80]]]
    tail, tokens = (
        np.array(
            [sum(score(word) for text in side[d : d + 5] for word in text) for side in sides for d in range(0, 80, 5)]
        )
        for score in (lambda word: word not in head, lambda _: 1)
    )
    beside = found(pair, "tail-mass")
    assert "unseen-types-left-out" not in beside.notes
    drawn = pair.named.blocks.relabellings(99, pair.stream("tail-mass"))
    statistics = []
    for labels in drawn.astype(bool):
        logs, variance = [], 0.0
        for which in (~labels, labels):
            t, b = tail[which].astype(float), tokens[which].astype(float)
            m = t.sum() / b.sum()
            logs.append(math.log(m))
            variance += 16 / 15 * float(((t - m * b) ** 2).sum()) / float(t.sum()) ** 2
        statistics.append((logs[1] - logs[0]) / math.sqrt(variance))
        if labels is drawn[0] or len(statistics) == 1:
            value, error = math.exp(logs[1] - logs[0]), math.sqrt(variance)
    assert beside.value == pytest.approx(value, rel=1e-9)
    assert beside.low == pytest.approx(value * math.exp(-Z * error), rel=1e-9)
    assert beside.p_value == pytest.approx(sum(s <= statistics[0] + 1e-9 for s in statistics) / 100)


@given(st.lists(st.integers(5, 60), max_size=25), st.integers(0, 400))
def test_the_head_is_the_fewest_most_frequent_common_words_that_hold_nine_tenths(counts: list[int], rare: int) -> None:
    total = sum(counts) + rare
    frequent = head(np.array(counts, dtype=np.int64), None, tokens=total)
    held, size = 0, 0
    for count in sorted(counts, reverse=True):
        if held >= 0.9 * total:
            break
        held, size = held + count, size + 1
    assert (int(frequent.sum()), sum(c for c, f in zip(counts, frequent, strict=True) if f)) == (size, held)


def test_terms_that_vanished_are_common_words_of_the_pack() -> None:
    before = texts(200, 3, types=60)
    gone = NAMES[3]
    after = [" ".join(word for word in text.split() if word != gone) for text in texts(200, 4, types=60)]
    pair = packed_pair(before, after)
    evidence = found(pair, "tail-coverage").evidence
    blocks = sum(any(gone in before[d].split() for d in order_of(200)[start : start + 5]) for start in range(0, 100, 5))
    assert evidence == ({"kind": "vanished", "term": gone, "baseline_blocks": blocks, "generation_blocks": 0},)
    assert found(dataclasses.replace(pair, evidence="none"), "tail-coverage").evidence == ()


# Tests on runs of blocks, and by bounded differences.


def test_runs_are_judged_by_the_residuals_of_one_line_for_both_sides() -> None:
    """The p-value of distinct types by plain loops: numpy's own line, the same relabellings."""
    before, after = texts(200, 7), texts(200, 8, gamma=1.1)
    pair = packed_pair(before, after)
    runs = Runs(pair)
    assert (runs.length, runs.count) == (4, 10)
    sides = [before[d] for d in order_of(200)], [after[d] for d in pair.rows]
    groups = [text.split() for side in sides for text in (" ".join(side[d : d + 20]) for d in range(0, 200, 20))]
    x, y = (np.log([float(of(group)) for group in groups]) for of in (len, lambda group: len(set(group))))
    residual = y - np.polynomial.Polynomial.fit(x, y, 1)(x)
    statistics = []
    for labels in runs._drawn.astype(bool):
        mine, theirs = residual[labels], residual[~labels]
        error = math.sqrt(mine.var(ddof=1) / 10 + theirs.var(ddof=1) / 10)
        statistics.append((mine.mean() - theirs.mean()) / error)
    expected = sum(s <= statistics[0] + 1e-9 for s in statistics) / 100
    assert found(pair, "tail-coverage").p_value == pytest.approx(expected)


def test_effective_tokens_are_tested_by_collisions_within_runs() -> None:
    """By counting pairs of tokens one by one."""
    before, after = texts(100, 9, length=6.0), texts(100, 10, gamma=1.1, length=6.0)
    pair = packed_pair(before, after)
    runs = Runs(pair)
    assert (runs.length, runs.count) == (2, 10)
    sides = [before[d].split() for d in order_of(100)], [after[d].split() for d in pair.rows]
    same, pairs = [], []
    for side in sides:
        for start in range(0, 100, 10):
            both = list(itertools.permutations(side[start : start + 10], 2))
            same.append(float(sum(a == b for one, other in both for a in one for b in other)))
            pairs.append(float(sum(len(one) * len(other) for one, other in both)))
    top, bottom = np.array(same), np.array(pairs)
    statistics = []
    for labels in runs._drawn.astype(bool):
        logs, variance = [], 0.0
        for which in (~labels, labels):
            t, b = top[which], bottom[which]
            m = t.sum() / b.sum()
            logs.append(math.log(m))
            variance += 10 / 9 * float(((t - m * b) ** 2).sum()) / float(t.sum()) ** 2
        statistics.append((logs[1] - logs[0]) / math.sqrt(variance))
    expected = sum(s >= statistics[0] - 1e-9 for s in statistics) / 100
    assert found(pair, "diversity", "effective-tokens").p_value == pytest.approx(expected)


def test_the_bound_of_duplicates_is_never_under_the_chance_of_such_a_rise() -> None:
    """All 6,561 pairs of corpora of four texts of three kinds, whatever the kinds' probabilities."""
    shares = [1 - len(set(corpus)) / 4 for corpus in itertools.product(range(3), repeat=4)]
    for p in ([1 / 3] * 3, [0.8, 0.1, 0.1], [0.5, 0.5, 0.0]):
        chance = [math.prod(p[kind] for kind in corpus) for corpus in itertools.product(range(3), repeat=4)]
        joint = [
            (g - b, one * other)
            for g, one in zip(shares, chance, strict=True)
            for b, other in zip(shares, chance, strict=True)
        ]
        for rise in {difference for difference, _ in joint if difference > 0}:
            exceeded = sum(weight for difference, weight in joint if difference >= rise - 1e-12)
            assert exceeded <= math.exp(-4 * rise**2)


def test_duplicates_are_tested_by_that_bound() -> None:
    before, after = damaged()
    beside = found(packed_pair(before, after), "diversity", "duplicates")
    rise = (150 - len({" ".join(t.split()) for t in after}) - 150 + len(set(before))) / 150
    assert beside.value == pytest.approx(rise)
    assert beside.p_value == pytest.approx(math.exp(-150 * rise**2))
    swapped = found(packed_pair(after, before), "diversity", "duplicates")
    assert (swapped.value, swapped.p_value) == (pytest.approx(-rise), 1.0)


def test_a_side_that_lost_everything_is_no_accident() -> None:
    gone = found(packed_pair(texts(150, 1), [""] * 150), "tail-coverage")
    assert gone.high < 0.5
    assert found(packed_pair(texts(150, 1), ["same text"] * 150), "diversity", "duplicates").p_value == pytest.approx(
        math.exp(-150 * (149 / 150) ** 2), rel=1e-6
    )


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 200)), min_size=2, max_size=12))
def test_residuals_do_not_depend_on_the_line(points: list[tuple[int, int]]) -> None:
    """Adding a multiple of ln tokens to ln distinct changes no residual: it is the line's."""
    distinct, tokens = (np.array(column, dtype=np.float64) for column in zip(*points, strict=True))
    plain, steeper = beyond_length(distinct, tokens), beyond_length(distinct * tokens**0.7, tokens)
    if np.unique(tokens).size > 1:
        assert steeper == pytest.approx(plain, abs=1e-9)
    assert in_runs(np.arange(7), 3).tolist() == [3.0, 12.0]


# Lengths.


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.8, 1.0, 1.5]))
@settings(max_examples=25)
def test_the_common_cut_is_the_longest_of_the_ladder_that_balances_the_budgets(seed: int, factor: float) -> None:
    """By the texts' own lengths, as lengths.matched_length would decide."""
    rng = np.random.default_rng(seed)
    before = np.maximum(rng.poisson(30, 100), 1)
    after = np.maximum(rng.poisson(30 * factor, 80), 1)
    whole = sketch(sample_of([" ".join("w" * n) for n in before]), np.arange(100), size=5, cuts=cuts_of(before))
    ladder = [cut for cut in CUTS if np.minimum(before, cut).sum() < 0.98 * before.sum()]
    assert [cut.length for cut in whole.at] == [*ladder, UNCUT]
    chosen = whole.at[shared_cut(whole, after, 16)].length
    if length_rule.matched_length(before[:80], after) is None:
        assert chosen == UNCUT
        return
    budgets = {cut: (np.minimum(before[:80], cut).mean(), np.minimum(after, cut).mean()) for cut in ladder}
    balanced = [cut for cut, (a, b) in budgets.items() if abs(a - b) <= 0.02 * max(a, b)]
    assert chosen == (max(balanced) if balanced else ladder[0])


@pytest.mark.usefixtures("as_counted")
def test_shorter_texts_are_compared_at_a_common_length() -> None:
    """The same findings as of texts that were cut beforehand."""
    before, after = texts(150, 1, length=40.0), texts(150, 2, length=25.0)
    pair = packed_pair(before, after)
    length = pair.before.at[pair.cut].length
    assert length == 16
    cut = [sample_of([" ".join(text.split()[:length]) for text in side]) for side in (before, after)]
    for name, statistic in (("tail-coverage", "distinct-types"), ("diversity", "distinct-2")):
        beside, expected = found(pair, name, statistic), found(ordinary(*cut), name, statistic)
        assert beside.notes == ("length-matched",)
        assert (beside.value, beside.low) == pytest.approx((expected.value, expected.low), rel=1e-9)
