"""Comparing two lineages: double differences by prompts, t tests over seeds, and what may be claimed of them."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contrast_examples import answers, doubles, finding, matched, of, over_seeds_of, prompted, report
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from collapse_audit.api import prepare
from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.comparison.claims import Contrast, Held, claims
from collapse_audit.comparison.contrast import Contrasted, _recipes, _verdict, contrast
from collapse_audit.comparison.prompts import DoubleDifference, _of_duplicates, _of_sums
from collapse_audit.comparison.seeds import over_seeds, paired, unpaired
from collapse_audit.errors import UsageError
from collapse_audit.probes.prompts.compared import Ratio, duplicates, perplexity, rare_labels, tail_mass
from collapse_audit.probes.prompts.quartet import Four, quartet
from collapse_audit.probes.registry import gates_of
from collapse_audit.probes.statistics.readings import Z
from collapse_audit.probes.text.labels import label_rule
from collapse_audit.reports.document import Finding, Outcome
from collapse_audit.verdicts.exit_codes import ExitCode
from tests.audit import small_lineages

GATES = gates_of()

# ------------------------------------------------------------------------------------------------ prompts as the units

U = 10
EVERY_SWAP = np.array(list(itertools.product((0, 1), repeat=U)), dtype=np.uint8)
"""All 1,024 ways to swap A and B within ten prompts; the first swaps nothing."""
SIGNS = (-1, 1, 1, -1)


def four_of(make: Callable[[np.random.Generator, int], list[str]], seed: int = 0, **columns: Any) -> Four:
    """Four samples of ten answers; ``columns`` hold four lists each."""
    rng = np.random.default_rng(seed)
    made = [
        answers(make(rng, k), name=f"{seed} {k}", **{key: column[k] for key, column in columns.items()})
        for k in range(4)
    ]
    return made[0], made[1], made[2], made[3]


def words(rng: np.random.Generator, _: int) -> list[str]:
    """Ten texts of three to nine of six words."""
    return [" ".join(rng.choice(list("abcdef"), size=rng.integers(3, 10))) for _ in range(U)]


def swapped(columns: np.ndarray, swap: np.ndarray) -> np.ndarray:
    """``columns`` (U, 4) with the corpora of A and B exchanged in the prompts where ``swap`` is 1; one by one."""
    result = columns.copy()
    for unit in range(len(columns)):
        if swap[unit]:
            result[unit] = columns[unit, [2, 3, 0, 1]]
    return result


def slow(top: np.ndarray, bottom: np.ndarray, *, log: bool) -> tuple[float, float]:
    """Double difference and standard error of ratios of sums; arrays (U, 4). The influence of a prompt is the
    derivative of the estimate by the weight of the prompt, taken numerically."""

    def estimate(weights: np.ndarray) -> float:
        values = [(weights @ top[:, c] + (0.5 if log else 0)) / (weights @ bottom[:, c]) for c in range(4)]
        changed = [math.log(value) if log else value for value in values]
        return sum(sign * value for sign, value in zip(SIGNS, changed, strict=True))

    ones, step = np.ones(len(top)), 1e-5
    influence = []
    for unit in range(len(top)):
        nudge = np.zeros(len(top))
        nudge[unit] = step
        influence.append((estimate(ones + nudge) - estimate(ones - nudge)) / (2 * step))
    n = len(top)
    return estimate(ones), math.sqrt(n / (n - 1) * sum(each**2 for each in influence))


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_estimate_error_and_p_value_equal_those_of_a_slow_enumeration(log: bool, seed: int) -> None:
    four = matched(four_of(words, seed))
    rng = np.random.default_rng(seed)
    top, bottom = rng.integers(1, 9, four.unit.size) * 1.0, rng.integers(9, 20, four.unit.size) * 1.0
    score = Ratio(statistic="s", unit="ratio", worse="lower", top=top, bottom=bottom, scale="log" if log else "linear")
    found = _of_sums(four, "p", score, EVERY_SWAP)
    tops, bottoms = four.sums(top), four.sums(bottom)
    everything = [slow(swapped(tops, swap), swapped(bottoms, swap), log=log) for swap in EVERY_SWAP]
    assert found.difference == pytest.approx(everything[0][0])
    assert found.error == pytest.approx(everything[0][1], rel=1e-4)
    studentised = [abs(value / error) for value, error in everything]
    assert found.p_value == sum(each >= studentised[0] - 1e-6 for each in studentised) / len(EVERY_SWAP)


def test_the_error_of_a_mean_is_that_of_the_per_prompt_double_differences() -> None:
    """Loops (9 of 10, 5 of 10, 2 of 10, 4 of 10): (5 - 9) - (4 - 2) = -6 tenths, by hand."""
    loop, none = "x y x y x y", "a b c d e f"
    counts = (9, 5, 2, 4)
    four = matched(four_of(lambda _, k: [loop] * counts[k] + [none] * (U - counts[k])))
    found = by_name(doubles(four, 0))
    looping = found["looping"]
    assert (looping.change_a, looping.change_b) == (pytest.approx(-0.4), pytest.approx(0.2))
    assert looping.difference == pytest.approx(-0.6)
    per_prompt = [((u < counts[1]) - (u < counts[0])) - ((u < counts[3]) - (u < counts[2])) for u in range(U)]
    # The floor: each of four shares, seen 0 times in n, may be 3/n; one-sided 95% bounds are 1.645 errors wide.
    floor = 2 * -math.log(0.05) / (stats.norm.ppf(0.95) * U)
    assert looping.error == pytest.approx(max(stats.sem(per_prompt), floor))


def by_name(found: tuple[DoubleDifference, ...]) -> dict[str, DoubleDifference]:
    return {each.statistic: each for each in found}


def test_a_mean_with_much_spread_has_the_standard_error_of_its_mean() -> None:
    """40 prompts: the spread is over the floor, and scipy's standard error of the mean is the oracle."""
    rng = np.random.default_rng(5)
    four = matched(four_of(lambda _, __: ["a"] * 40))
    x = rng.integers(0, 2, (40, 4)) * 1.0
    score = Ratio(statistic="s", unit="share", worse="higher", top=x.T.ravel(), bottom=np.ones(160), scale="linear")
    found = _of_sums(four, "p", score, np.zeros((1, 40), dtype=np.uint8))
    per_prompt = x @ np.array(SIGNS)
    assert found.difference == pytest.approx(per_prompt.mean())
    assert found.error == pytest.approx(stats.sem(per_prompt))


def test_duplicates_are_counted_anew_under_every_swap() -> None:
    """Sets of Python do the counting; every swap is enumerated."""
    four_samples = four_of(lambda rng, k: [f"text {i}" for i in rng.integers(0, (9, 4, 9, 12)[k], U)], seed=4)
    four = matched(four_samples)
    texts = np.array([sample.texts.to_pylist() for sample in four_samples]).T

    def share(column: np.ndarray) -> float:
        return 1 - len(set(column)) / U

    def double(table: np.ndarray) -> float:
        return sum(sign * share(table[:, c]) for c, sign in enumerate(SIGNS))

    values = [double(swapped(texts, swap)) for swap in EVERY_SWAP]
    (coded,) = duplicates(of(four))
    found = _of_duplicates(four, "diversity", coded, EVERY_SWAP)
    assert found.difference == pytest.approx(values[0])
    assert found.change_a == pytest.approx(share(texts[:, 1]) - share(texts[:, 0]))
    assert found.p_value == sum(abs(value) >= abs(values[0]) - 1e-9 for value in values) / len(values)


def test_the_error_of_duplicates_is_the_jackknife_over_prompts() -> None:
    """Leave every prompt out in turn; Efron's jackknife of four shares together."""
    samples = four_of(lambda rng, k: [f"t{i}" for i in rng.integers(0, (60, 25, 60, 90)[k], 60)], seed=6)
    four = matched(samples)
    texts = [sample.texts.to_pylist() for sample in samples]

    def double(left_out: int | None) -> float:
        kept = [[text for u, text in enumerate(column) if u != left_out] for column in texts]
        return sum(sign * (1 - len(set(column)) / len(column)) for sign, column in zip(SIGNS, kept, strict=True))

    without = np.array([double(u) for u in range(60)])
    jackknife = math.sqrt(59 / 60 * ((without - without.mean()) ** 2).sum())
    floor = 2 * -math.log(0.05) / (Z * 60)
    (coded,) = duplicates(of(four))
    found = _of_duplicates(four, "diversity", coded, np.zeros((1, 60), dtype=np.uint8))
    assert jackknife > floor
    assert found.error == pytest.approx(jackknife)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_exchanging_the_lineages_turns_every_sign_and_no_p_value(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nll = [list(rng.normal(3, 1, U)) for _ in range(4)]
    labels = [[[f"c{k}"] for k in rng.choice(3, U, p=(0.1, 0.3, 0.6))] for _ in range(4)]
    a0, ak, b0, bk = four_of(words, seed, nll=nll, labels=labels)

    def measured(samples: Four) -> dict[str, DoubleDifference]:
        return by_name(doubles(matched(samples), seed, rule=label_rule("field")))

    forward, back = measured((a0, ak, b0, bk)), measured((b0, bk, a0, ak))
    # Which words are tail is told by ties too, and those are broken in the order of the vocabulary.
    for name in (forward.keys() & back.keys()) - {"tail-mass-ratio"}:
        assert back[name].difference == pytest.approx(-forward[name].difference, abs=1e-12)
        assert back[name].error == pytest.approx(forward[name].error)
        assert back[name].p_value == forward[name].p_value


def test_lineages_that_answer_the_same_differ_in_nothing() -> None:
    a0, ak, _, _ = four_of(words)
    found = doubles(matched((a0, ak, a0, ak)), 0)
    assert {each.statistic for each in found} >= {"seq-rep-4", "looping", "empty", "tail-mass-ratio", "duplicates"}
    assert [(each.difference, each.p_value) for each in found] == [(0.0, 1.0)] * len(found)


def test_the_tail_is_what_both_baselines_hold_rarely() -> None:
    """ "a" is 10 of 11 tokens of every text. One word each is rare: r in A0, Ak and B0, and in Bk only in half."""
    count = 40
    samples = [answers(["a " * 10 + "r"] * count, name=str(k)) for k in range(3)]
    samples.append(answers(["a " * 10 + ("r" if u % 2 else "a") for u in range(count)], name="3"))
    four = matched((samples[0], samples[1], samples[2], samples[3]))
    (score,) = tail_mass(of(four, 1))
    top, bottom = four.sums(score.top), four.sums(score.bottom)
    assert (bottom == 11).all()
    assert (top[:, :3] == 1).all()
    assert (top[:, 3] == np.arange(count) % 2).all()


def test_neither_baseline_alone_says_what_is_rare() -> None:
    """ "b" is 2 of 10 tokens of A's baseline and 9 of B's: frequent in both together, whichever is called A."""
    count = 40
    texts = (["a " * 8 + "b " * 2], ["a " * 8 + "b " * 2], ["a " + "b " * 9], ["a " + "b " * 9])
    samples = [answers([*rows] * count, name=str(number)) for number, rows in enumerate(texts)]
    for order in ((0, 1, 2, 3), (2, 3, 0, 1)):
        four = matched((samples[order[0]], samples[order[1]], samples[order[2]], samples[order[3]]))
        assert list(tail_mass(of(four, 1))) == []  # a 9, b 11 of 20: no tail at all


def test_a_flood_of_unseen_words_is_no_tail() -> None:
    """Half of what both generations write is a word that no other text has: only r, which they keep, is tail."""
    count = 40
    baseline = [answers(["a " * 10 + "r"] * count, name=f"baseline {k}") for k in range(2)]
    later = [
        answers(["a " * 5 + f"junk{k}x{text} " * 5 + "r" for text in range(count)], name=f"later {k}") for k in range(2)
    ]
    four = matched((baseline[0], later[0], baseline[1], later[1]))
    (score,) = tail_mass(of(four, 1))
    assert set(score.top) == {1.0}


def test_rare_labels_are_those_outside_nine_tenths_of_both_baselines() -> None:
    """c0 5%, c1 35%, c2 60%: the head ends with c1, so c0 is rare."""
    labels = [["c0"]] * 1 + [["c1"]] * 7 + [["c2"]] * 12
    lost = [["c2"], *labels[1:]]
    column = [labels, lost, labels, labels]
    samples = tuple(answers(["a"] * 20, name=str(k), labels=column[k]) for k in range(4))
    four = matched((samples[0], samples[1], samples[2], samples[3]))
    (score,) = rare_labels(of(four, rule=label_rule("field")))
    assert four.sums(score.top).sum(axis=0).tolist() == [1, 0, 1, 1]


def test_perplexity_is_cut_where_both_baselines_have_their_quartile() -> None:
    """Baselines 1..10 twice: the quartile is 3, the 95th percentile 10, so 3 of 10 lie left and none lies right."""
    even = [float(x) for x in range(1, 11)]
    piled = [2.0] * 10
    four = matched(four_of(lambda _, __: ["a"] * U, nll=[even, piled, even, even]))
    left, right = perplexity(of(four))
    assert np.quantile(even + even, (0.25, 0.95)) == pytest.approx([3.0, 10.0])
    assert four.sums(left.top).sum(axis=0).tolist() == [3, 10, 3, 3]
    assert four.sums(right.top).sum(axis=0).tolist() == [0, 0, 0, 0]


def test_texts_without_nll_are_left_out_up_to_a_twentieth() -> None:
    nan = math.nan
    whole = [float(x) for x in range(40)]
    few, many = [nan, *whole[1:]], [nan, nan, nan, *whole[3:]]
    for column, kept in ((few, 39), (many, None)):
        samples = tuple(answers(["a"] * 40, name=f"{k} {kept}", nll=column if k == 1 else whole) for k in range(4))
        scores = list(perplexity(of(matched((samples[0], samples[1], samples[2], samples[3])))))
        assert [int(score.bottom.sum()) for score in scores] == ([] if kept is None else [kept + 120] * 2)


# ----------------------------------------------------------------------------------------------------------- matching


def test_only_prompts_that_all_four_answered_count_and_each_as_often_as_in_the_fewest() -> None:
    shared = [f"p{u}" for u in range(12)]
    a0 = answers([f"a0 {u}" for u in range(12)], name="a0", prompts=shared)
    ak = answers([f"ak {u}" for u in range(24)], name="ak", prompts=shared + shared)
    b0 = answers([f"b0 {u}" for u in range(13)], name="b0", prompts=["elsewhere", *reversed(shared)])
    bk = answers([f"bk {u}" for u in range(11)], name="bk", prompts=shared[:11])
    four = matched((a0, ak, b0, bk))
    assert four.units == 11
    assert [len(rows) for rows in four.rows] == [11] * 4
    texts = np.array(four.column([sample.texts for sample in four.samples]).to_pylist()).reshape(4, 11)
    units = four.unit.reshape(4, 11)
    for corpus, expected in enumerate(("a0", "ak", "b0", "bk")):
        told = dict(zip(units[corpus], texts[corpus], strict=True))
        # b0 answers p11 to p0 from its second record on.
        assert told == {u: f"{expected} {12 - u if corpus == 2 else u}" for u in range(11)}


def test_groups_come_before_prompts() -> None:
    groups = [f"g{u // 2}" for u in range(24)]
    samples = tuple(answers(["a"] * 24, name=str(k), groups=groups) for k in range(4))
    four = matched((samples[0], samples[1], samples[2], samples[3]))
    assert (four.kind, four.units, four.unit.size) == ("groups", 12, 96)


def test_what_cannot_be_matched_says_why() -> None:
    one, other = answers(["a"] * 9, name="few"), answers(["a"] * 9, name="few too")
    assert quartet((one, other, one, other)) == "9 prompts are answered in all four corpora; at least 10 are needed"
    none = sample_of(["a"] * 20, name="no prompts")
    assert quartet((none, none, none, none)) == "the records carry no prompts, so no answers can be matched"


# -------------------------------------------------------------------------------------------------- seeds as the units

A = {"0": 0.050, "1": 0.062, "2": 0.041, "3": 0.055}
B = {"0": 0.020, "1": 0.047, "2": 0.033, "3": 0.021}


def compared(statistic: str, a: dict[str, float], b: dict[str, float], **details: Any) -> Contrast:
    (found,) = over_seeds(
        report(over_seeds_of(statistic, a, **details)), report(over_seeds_of(statistic, b, **details)), 1, GATES
    )
    return found


def test_shared_seeds_are_paired() -> None:
    """scipy.stats.ttest_rel."""
    found = compared("JS-excess", A, B)
    oracle = stats.ttest_rel([*A.values()], [*B.values()])
    interval = oracle.confidence_interval(0.90)
    assert found.n == 4
    assert found.difference == pytest.approx(np.mean([*A.values()]) - np.mean([*B.values()]))
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.p_value == pytest.approx(oracle.pvalue)


def test_seeds_are_paired_by_their_label_not_their_place() -> None:
    backwards = dict(reversed(B.items()))
    assert compared("JS-excess", A, backwards).p_value == pytest.approx(
        stats.ttest_rel([*A.values()], [*B.values()]).pvalue
    )


def test_ratios_are_compared_by_their_logarithms() -> None:
    found = compared("tail-mass-ratio", A, B)
    logs = np.log([*A.values()]), np.log([*B.values()])
    oracle = stats.ttest_rel(*logs)
    interval = oracle.confidence_interval(0.90)
    assert found.scale == "log"
    assert found.difference == pytest.approx(stats.gmean([*A.values()]) / stats.gmean([*B.values()]))
    assert (found.low, found.high) == (pytest.approx(math.exp(interval.low)), pytest.approx(math.exp(interval.high)))
    assert found.p_value == pytest.approx(oracle.pvalue)


def test_other_seeds_are_not_paired() -> None:
    """scipy.stats.ttest_ind, Welch's."""
    elsewhere = {f"{seed}0": value for seed, value in B.items() if seed != "3"} | {"40": 0.03, "50": 0.06}
    found = compared("JS-excess", A, {f"1{seed}": value for seed, value in elsewhere.items()})
    oracle = stats.ttest_ind([*A.values()], [*elsewhere.values()], equal_var=False)
    interval = oracle.confidence_interval(0.90)
    assert found.n == 4
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.p_value == pytest.approx(oracle.pvalue)


def test_one_side_without_spread_still_has_the_degrees_of_freedom_of_the_other() -> None:
    x, y = np.array([1.0, 1.0, 1.0]), np.array([2.0, 3.0, 5.0, 6.0])
    mean, error, df = unpaired(x, y)
    assert (mean, error, df) == (pytest.approx(-3.0), pytest.approx(stats.sem(y)), pytest.approx(3.0))


def test_a_single_difference_has_no_spread() -> None:
    assert paired(np.array([0.25])) == (0.25, 0.0, 1.0)


@pytest.mark.parametrize("seeds", [["0"], ["0", "1"]])
def test_fewer_than_three_seeds_carry_no_claim(seeds: list[str]) -> None:
    found = compared("JS-excess", {s: A[s] for s in seeds}, {s: B[s] for s in seeds})
    assert found.difference == pytest.approx(np.mean([A[s] - B[s] for s in seeds]))
    assert (found.outcome, found.p_value, found.low, found.b_may_be_worse) == (Held.OPEN, None, None, True)
    assert found.reason == f"no claim about a recipe can rest on fewer than three seeds ({len(seeds)} in common)"


def test_seeds_that_do_not_differ_leave_open_what_their_documents_do() -> None:
    """No loop anywhere: intervals of 0 +- .1 are errors of .1/1.645, times sqrt(2) for a difference, over 3 seeds."""
    none = dict.fromkeys("012", 0.0)
    found = compared("looping", none, none)
    reach = stats.t.ppf(0.95, 2) * math.sqrt(2) * (0.1 / stats.norm.ppf(0.95)) / math.sqrt(3)
    assert (found.low, found.high, found.p_value) == (pytest.approx(-reach), pytest.approx(reach), 1.0)


def test_no_spread_and_no_interval_is_open() -> None:
    none = dict.fromkeys("012", 0.0)
    found = compared("looping", none, none, interval=None)
    assert (found.outcome, found.p_value) == (Held.OPEN, None)
    assert found.reason == "the seeds show no spread, and their documents allow no interval"


@pytest.mark.parametrize(
    ("statistic", "of_a", "of_b", "reason"),
    [
        ("JS-excess", {"value": None, "reason": "why not"}, {}, "not measured in A: why not"),
        ("JS-excess", {}, {"value": None, "outcome": Outcome.ERROR, "reason": "no luck"}, "an error in B: no luck"),
        (
            "JS-excess",
            {},
            {"notes": ("one-sided",)},
            "a generation is compared with texts that it descends from; texts held out would make it fair",
        ),
        (
            "duplicates",
            {"n_generation": 400},
            {"n_generation": 300},
            "it depends on the number of documents, which runs from 300 to 400; "
            "--set max_documents=300 makes it the same",
        ),
        ("distinct-types", {"value": 0.0}, {}, "a ratio of 0 has no logarithm"),
        (
            "retained-share",
            {},
            {},
            "its value is that of the worst category, another one in each seed, and has no mean",
        ),
    ],
)
def test_what_cannot_be_set_against_each_other_says_why(
    statistic: str, of_a: dict[str, Any], of_b: dict[str, Any], reason: str
) -> None:
    sides = [
        report(
            [
                finding(statistic, each.get("value", 0.5), seed=s, **{k: v for k, v in each.items() if k != "value"})
                for s in "012"
            ]
        )
        for each in (of_a, of_b)
    ]
    (found,) = over_seeds(*sides, 1, GATES)
    assert (found.outcome, found.reason, found.p_value) == (Held.NOT_COMPARED, reason, None)
    assert found.error == (of_b.get("outcome") is Outcome.ERROR)


def test_documents_do_not_matter_to_a_mean_and_a_tenth_matters_to_nothing() -> None:
    assert compared("looping", A, B).p_value == _with_counts("looping", 100, 400).p_value
    assert _with_counts("duplicates", 361, 400).p_value is not None
    assert _with_counts("duplicates", 359, 400).p_value is None


def _with_counts(statistic: str, first: int, second: int) -> Contrast:
    sides = [
        report(over_seeds_of(statistic, values, n_generation=count)) for values, count in ((A, first), (B, second))
    ]
    (found,) = over_seeds(*sides, 1, GATES)
    return found


@pytest.mark.parametrize(
    ("statistic", "unchanged", "default", "distance"),
    [("JS-excess", 0.0, 0.01, 0.01), ("tail-mass-ratio", 1.0, 0.8, math.log(1.25))],
)
def test_a_default_margin_stands_in_for_an_automatic_one(
    statistic: str, unchanged: float, default: float, distance: float
) -> None:
    """An automatic margin is "no change", within which no two are; three seeds that hardly differ are alike by the
    default."""
    sides = [
        report(over_seeds_of(statistic, {s: 0.9 + 1e-4 * offset[int(s)] for s in "012"}, margin=unchanged))
        for offset in ((0, 1, 2), (2, 1, 0))
    ]
    of = finding(statistic, 0.9)
    (bare,) = claims(over_seeds(*sides, 1, GATES), alpha=0.05)
    (found,) = claims(over_seeds(*sides, 1, GATES, {(of.probe, of.statistic): default}), alpha=0.05)
    assert (bare.margin, bare.outcome, bare.b_may_be_worse) == (0.0, Held.OPEN, True)
    assert found.margin == pytest.approx(distance)
    assert (found.outcome, found.b_may_be_worse) == (Held.ALIKE, False)


def test_facts_context_and_other_generations_are_no_damage() -> None:
    aside: list[Finding] = [
        finding("constant", 0.1, p_value=None),
        finding("W1", 0.1, gating=False),
        finding("W1", 0.1, generation=2),
    ]
    assert over_seeds(report(aside), report(aside), 1, GATES) == ()


def test_a_statistic_of_one_lineage_only_is_named() -> None:
    found = over_seeds(report([finding("W1", 0.1)]), report([finding("JS-excess", 0.1)]), 1, GATES)
    assert [(one.name, one.reason) for one in found] == [
        ("perplexity / W1", "B has no such finding"),
        ("token-divergence / JS-excess", "A has no such finding"),
    ]


# -------------------------------------------------------------------------------------------------------------- claims


def one(p: float | None, difference: float, low: float, high: float, **details: Any) -> Contrast:
    usual: dict[str, Any] = {
        "level": "recipe",
        "units": "seeds",
        "probe": "probe",
        "statistic": "statistic",
        "generation": 1,
        "unit": "u",
        "worse": "higher",
        "scale": "linear",
        "margin": 1.0,
        "n": 3,
        "outcome": Held.OPEN,
    }
    return Contrast(**(usual | {"p_value": p, "difference": difference, "low": low, "high": high} | details))


def test_holm_over_the_family_by_hand() -> None:
    """p = .01, .02, .04 of three: 3 x .01, then 2 x .02, then .04 but not under .04."""
    found = claims([one(0.04, 3, 2, 4), one(0.01, 3, 2, 4), one(None, 3, 2, 4), one(0.02, 3, 2, 4)], alpha=0.035)
    assert [each.p_adjusted for each in found] == [
        pytest.approx(0.04),
        pytest.approx(0.03),
        None,
        pytest.approx(0.04),
    ]
    assert [each.outcome for each in found] == [Held.OPEN, Held.B, Held.OPEN, Held.OPEN]


@pytest.mark.parametrize(
    ("contrast_", "outcome", "b_may_be_worse", "immaterial"),
    [
        # Damage is higher values: A has more of it, so B holds better; and the other way round.
        (one(0.001, 3, 2, 4), Held.B, False, False),
        (one(0.001, -3, -4, -2), Held.A, True, False),
        # Damage is lower values.
        (one(0.001, 3, 2, 4, worse="lower"), Held.A, True, False),
        (one(0.001, -3, -4, -2, worse="lower"), Held.B, False, False),
        # Ratios: A keeps half of what B keeps.
        (one(0.001, 0.5, 0.4, 0.6, worse="lower", scale="log", margin=0.2), Held.B, False, False),
        (one(0.001, 2.0, 1.7, 2.5, worse="lower", scale="log", margin=0.2), Held.A, True, False),
        # Real, but smaller than the margin.
        (one(0.001, 0.5, 0.2, 0.8), Held.B, False, True),
        # Not significant: the interval within the margin, or not.
        (one(0.5, 0.1, -0.9, 0.9), Held.ALIKE, False, True),
        (one(0.5, 0.1, -1.1, 0.9), Held.OPEN, True, False),
        (one(0.5, 0.1, -0.9, 1.1), Held.OPEN, False, False),
        (one(0.5, 0.1, -0.9, 0.9, margin=None), Held.OPEN, True, False),
    ],
)
def test_who_holds_better(contrast_: Contrast, outcome: Held, b_may_be_worse: bool, immaterial: bool) -> None:
    (found,) = claims([contrast_], alpha=0.05)
    assert (found.outcome, found.b_may_be_worse, found.immaterial) == (outcome, b_may_be_worse, immaterial)


OPEN = one(0.5, 0.1, -1.1, 0.9, b_may_be_worse=True)
B_BETTER, A_BETTER = one(0.001, 3, 2, 4, outcome=Held.B), one(0.001, -3, -4, -2, outcome=Held.A)
SMALL = one(0.001, -0.5, -0.8, -0.2, outcome=Held.A, immaterial=True)
ALIKE = one(0.5, 0.1, -0.9, 0.9, outcome=Held.ALIKE)
CRASHED = one(None, 0, 0, 0, outcome=Held.NOT_COMPARED, error=True)
TOO_FEW = dataclasses.replace(OPEN, n=2, p_value=None)


@pytest.mark.parametrize(
    ("recipe", "code", "summary"),
    [
        ([A_BETTER, OPEN, CRASHED], 1, "A holds better in 1 of 2 findings, first probe / statistic"),
        (
            [A_BETTER, B_BETTER],
            1,
            "A holds better in 1 of 2 findings, first probe / statistic; "
            "B holds better in 1 of 2 findings, first probe / statistic",
        ),
        ([CRASHED, OPEN], 3, "error: probe / statistic could not be measured"),
        (
            [TOO_FEW],
            6,
            "inconclusive: no claim about a recipe can rest on fewer than three seeds, and here are 2",
        ),
        ([OPEN, ALIKE], 6, "inconclusive: 1 of 2 findings leave open whether B holds worse by the margin"),
        ([], 5, "nothing could be compared"),
        ([ALIKE, SMALL], 0, "B holds nowhere worse by the margin (2 findings)"),
        (
            [ALIKE, B_BETTER],
            0,
            "B holds better in 1 of 2 findings, first probe / statistic; "
            "B holds nowhere worse by the margin (2 findings)",
        ),
    ],
)
def test_the_first_that_holds_decides_the_exit_code(recipe: list[Contrast], code: int, summary: str) -> None:
    assert _verdict(recipe, ()) == (ExitCode(code), summary)


# --------------------------------------------------------------------------------------------------- lineages on disk


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``keeps`` draws from 300 words for ever, ``loses`` from 40 after generation 0; four seeds each."""
    root = tmp_path_factory.mktemp("shelf")
    seeds = range(4)
    prompted(root / "keeps", 300, 300, 300, seeds=seeds, source="one")
    prompted(root / "loses", 300, 40, 40, seeds=seeds, source="third")
    return root


def compare(a: Path, b: Path, *, generation: str = "last", **arguments: Any) -> Contrasted:
    return contrast(prepare(a, **arguments), prepare(b, **arguments), generation=generation)


@pytest.fixture(scope="module")
def lost(shelf: Path) -> Contrasted:
    return compare(shelf / "keeps", shelf / "loses")


def test_a_recipe_that_loses_is_found_to_hold_worse(lost: Contrasted) -> None:
    judged = {each.statistic: each for each in lost.recipe if each.generation == 2}
    assert judged["JS-excess"].outcome is Held.A
    assert judged["distinct-types"].outcome is Held.A
    assert lost.exit_code == 1
    assert lost.summary.endswith("[exit 1]")


def test_seen_from_the_other_side_it_is_better_and_never_worse(shelf: Path, lost: Contrasted) -> None:
    turned = compare(shelf / "loses", shelf / "keeps")
    opposite = {Held.A: Held.B, Held.B: Held.A}
    assert [each.outcome for each in turned.recipe] == [
        opposite.get(each.outcome, each.outcome) for each in lost.recipe
    ]
    assert turned.exit_code in (0, 6)


def test_the_damages_are_those_of_the_two_audits(shelf: Path, lost: Contrasted) -> None:
    for name, values in (("keeps", lambda each: each.a), ("loses", lambda each: each.b)):
        audited = prepare(shelf / name).run()
        expected = {(f.seed, f.generation, f.statistic): f.value for f in audited.findings if f.gating}
        for each in lost.recipe:
            for seed, value in values(each).items():
                assert value == expected[seed, each.generation, each.statistic]


def test_every_seed_is_compared_by_prompts_as_a_family_of_its_own(lost: Contrasted) -> None:
    assert {each.seed for each in lost.documents} == {"0", "1", "2", "3"}
    for seed in "0123":
        family = [each for each in lost.documents if each.seed == seed]
        assert {(each.n, each.units) for each in family} == {(80, "prompts")}
        p_values = sorted(each.p_value or 0.0 for each in family)
        assert min(each.p_adjusted or 0.0 for each in family) == pytest.approx(min(1.0, p_values[0] * len(family)))
        assert {each.statistic: each.outcome for each in family}["tail-mass-ratio"] is Held.A


def test_all_generations_are_shown_and_one_is_judged(shelf: Path, lost: Contrasted) -> None:
    first = compare(shelf / "keeps", shelf / "loses", generation="1")
    for found, judged in ((lost, 2), (first, 1)):
        assert found.generation == judged
        assert {each.generation for each in found.recipe} == {1, 2}
        assert {each.generation for each in found.recipe if each.p_adjusted is not None} == {judged}
        assert {each.generation for each in found.documents} == {judged}


def test_the_same_start_is_told_and_so_is_what_only_one_has(shelf: Path, tmp_path: Path, lost: Contrasted) -> None:
    assert "A and B start from the same baseline texts (seeds 0, 1, 2, 3)" in lost.notes
    prompted(tmp_path / "short", 200, 200, seeds=(0, 1, 7))
    found = compare(shelf / "keeps", tmp_path / "short")
    assert found.generation == 1
    assert found.notes[:3] == (
        "only A has seeds 2, 3: left out",
        "only B has seed 7: left out",
        "only A has generation 2: left out",
    )
    assert found.notes[3].startswith("A and B start from different baseline texts")
    assert found.exit_code == 6
    assert "fewer than three seeds, and here are 2; of these texts, A holds better in" in found.summary


def test_lineages_without_prompts_are_compared_by_seeds_alone(tmp_path: Path) -> None:
    for seed in range(3):
        for name, count in (("a", 1), ("b", 2)):
            small_lineages.lineage(
                tmp_path / name / f"seed_{seed}",
                small_lineages.documents(seed, 60),
                small_lineages.documents(100 * count + seed, 60),
            )
            small_lineages.write(tmp_path / name / f"seed_{seed}" / "gen_1/texts.jsonl", [f"training text of {seed}"])
    found = compare(tmp_path / "a", tmp_path / "b")
    assert found.documents == ()
    assert (
        "no comparison by prompts: the records carry no prompts, so no answers can be matched (seeds 0, 1, 2)"
        in found.notes
    )


def test_the_same_inputs_give_the_same_numbers(shelf: Path, lost: Contrasted) -> None:
    assert compare(shelf / "keeps", shelf / "loses") == lost


def test_another_seed_of_the_draws_gives_other_p_values_of_the_same_differences(shelf: Path, lost: Contrasted) -> None:
    other = compare(shelf / "keeps", shelf / "loses", seed=1)
    assert other.seed == 1
    exact = [(each.seed, each.difference) for each in lost.documents if each.statistic == "duplicates"]
    assert exact == [(each.seed, each.difference) for each in other.documents if each.statistic == "duplicates"]
    assert [each.difference for each in lost.documents] != [each.difference for each in other.documents]


@pytest.mark.parametrize("asked", ["0", "3", "first", "1-2", ""])
def test_a_generation_that_both_do_not_have_is_refused(shelf: Path, asked: str) -> None:
    with pytest.raises(UsageError) as refused:
        compare(shelf / "keeps", shelf / "loses", generation=asked)
    assert str(refused.value) == f"--generation {asked}: expected last, or a generation that both lineages have: 1, 2"


def test_a_lineage_is_not_compared_with_itself(shelf: Path) -> None:
    with pytest.raises(UsageError, match="are the same lineage"):
        compare(shelf / "keeps", shelf / "keeps")


def test_a_copied_seed_is_no_other_seed(shelf: Path, tmp_path: Path) -> None:
    prompted(tmp_path / "copied", 300, 200, seeds=(0, 1))
    (tmp_path / "copied/seed_1/gen_1/holdout.jsonl").write_bytes(
        (tmp_path / "copied/seed_0/gen_1/holdout.jsonl").read_bytes()
    )
    with pytest.raises(UsageError) as refused:
        compare(shelf / "keeps", tmp_path / "copied")
    assert str(refused.value) == (
        "B: seeds 0 and 1 have the same file for generation 1; "
        "seeds are the units of a comparison, and a copy is not another one"
    )


def test_a_copied_seed_with_a_few_judged_texts_cut_off_is_no_other_seed(shelf: Path, tmp_path: Path) -> None:
    """What is judged differs, and the texts that the next generation is trained on do not."""
    prompted(tmp_path / "copied", 300, 200, seeds=(0, 1, 2))
    first, copy = (tmp_path / f"copied/seed_{seed}/gen_1" for seed in (1, 2))
    judged = (first / "holdout.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "holdout.jsonl").write_bytes(b"".join(judged[:-3]))
    (copy / "texts.jsonl").write_bytes((first / "texts.jsonl").read_bytes())
    with pytest.raises(UsageError, match="B: seeds 1 and 2 have the same file for generation 1"):
        compare(shelf / "keeps", tmp_path / "copied")


def test_lineages_that_are_not_audited_alike_are_refused(shelf: Path, tmp_path: Path) -> None:
    prompted(tmp_path / "own", 300, 200, seeds=(0,))
    (tmp_path / "own/collapse-audit.toml").write_text('labels = "eu-tirads"\n', encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        compare(shelf / "keeps", tmp_path / "own")
    assert str(refused.value) == (
        "A and B are not audited alike, so their damages cannot be compared: labels is 'auto' in A and "
        "'eu-tirads' in B; "
        "set the same for both, such as --set labels=none or --set tail-mass.margin=0.8"
    )


def test_label_rules_that_turn_out_different_are_refused(shelf: Path, tmp_path: Path) -> None:
    for index in range(2):
        texts = [{"text": f"w1 w2 {index} {n}", "label": "c", "prompt": f"p{n}"} for n in range(30)]
        small_lineages.write(tmp_path / f"gen_{index}/holdout.jsonl", texts)
        small_lineages.write(tmp_path / f"gen_{index}/texts.jsonl", [f"t{index}"])
    with pytest.raises(UsageError, match="labels is 'none' in A and 'field' in B"):
        compare(shelf / "keeps", tmp_path)


def test_automatic_margins_are_compared_by_the_default_ones(shelf: Path, lost: Contrasted) -> None:
    """Both levels have the margins of an audit with its defaults, and the notes say which stand in."""
    found = compare(shelf / "keeps", shelf / "loses", sets=["token-divergence.JS-excess.margin=auto"])
    for level in ("recipe", "documents"):
        margins = [
            [(each.seed, each.generation, each.name, each.margin) for each in getattr(one, level)]
            for one in (found, lost)
        ]
        assert margins[0] == margins[1]
    (note,) = set(found.notes) - set(lost.notes)
    assert note == (
        'margin = auto starts fail at "no change", which is no size of change: between A and B the default margins '
        "hold (token-divergence / JS-excess 0.01)"
    )


def test_recipes_that_differ_in_more_than_their_scheme_say_so(shelf: Path) -> None:
    a, b = prepare(shelf / "keeps"), prepare(shelf / "loses")
    recipes = [
        {"seeds": [0], "training": {"epochs": 5, "rate": 0.1}, "profile": {"x": {"epochs": 1}}},
        {"seeds": [1], "training": {"epochs": 10, "rate": 0.1, "warmup": 3}},
    ]
    with_recipes = [
        dataclasses.replace(each, lineage=dataclasses.replace(each.lineage, recipe=recipe))
        for each, recipe in zip((a, b), recipes, strict=True)
    ]
    assert _recipes(a, b) == []
    assert _recipes(*with_recipes) == [
        "the recipes also differ in training.epochs (5 in A, 10 in B), training.warmup (not set in A, 3 in B): "
        "a contrast is of all of it"
    ]
