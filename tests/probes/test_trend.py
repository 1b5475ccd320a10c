"""Trends over generations: every value, error, test and interval against slow second computations and closed forms."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations, permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import page_trend_test, rankdata

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.pairs.tail import halves
from collapse_audit.probes.registry import follows_of
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.readings import NotMeasured, Z
from collapse_audit.probes.text.labels import label_rule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.trends import succession
from collapse_audit.probes.trends.followed import Followed
from collapse_audit.probes.trends.succession import Layout, Succession
from collapse_audit.probes.trends.trend import Trend, _off_line, _steps, crossing, n_effective, page, trends

Rows = list[list[str]]
MARGINS = {"tail-mass": 0.8, "effective-tokens": 0.8, "distinct-types": 0.9, "seq-rep-4": 0.05}
WORDS = ("tail-mass", "distinct-types", "effective-tokens", "heterozygosity", "seq-rep-4")


def drawn(rng: np.random.Generator, n: int, *, types: int = 60, gamma: float = 1.0, length: int = 12) -> Rows:
    """Documents of independent words of Zipf's law to the power gamma; lengths vary."""
    p = 1 / np.arange(1, types + 1) ** gamma
    lengths = rng.integers(length // 2, length + length // 2, n)
    return [[f"w{word}" for word in rng.choice(types, size, p=p / p.sum())] for size in lengths]


def lineage(seed: int, n: int = 24, generations: int = 4, step: float = 0.0, **details: int) -> list[Rows]:
    """The baseline's documents and those of ``generations``, each sharper by ``step`` than the one before."""
    rng = np.random.default_rng(seed)
    return [drawn(rng, n, gamma=1 + step * g, **details) for g in range(generations + 1)]


def samples(corpora: Sequence[Rows], **columns: Any) -> list[Sample]:
    """One sample a corpus; ``columns`` hold one list a corpus."""
    return [
        sample_of([" ".join(row) for row in rows], name=f"{at}", **{key: each[at] for key, each in columns.items()})
        for at, rows in enumerate(corpora)
    ]


def measured(
    given_: Sequence[Sample], *, numbers: Sequence[int] | None = None, seed: int = 0, count: int = 99, **details: Any
) -> dict[str, Trend]:
    """Trends by statistic, those that were measured."""
    numbers = numbers or range(1, len(given_))
    found = trends(
        given_[1:],
        numbers,
        definer=given_[0],
        follow=follows_of(),
        permutations=count,
        seed=seed,
        **{"margins": MARGINS, **details},
    )
    return {each.statistic: each for each in found if isinstance(each, Trend)}


def reasons(given_: Sequence[Sample], **details: Any) -> dict[str, str]:
    """Why the others were not."""
    found = trends(
        given_[1:],
        range(1, len(given_)),
        definer=given_[0],
        follow=follows_of(),
        permutations=9,
        seed=0,
        **{"margins": MARGINS, **details},
    )
    return {each.statistic: each.reason for each in found if isinstance(each, NotMeasured)}


# Second computations, from words and pairs of documents.


def shares(row: Sequence[str]) -> dict[str, float]:
    return {word: times / len(row) for word, times in Counter(row).items()}


def dot(a: dict[str, float], b: dict[str, float]) -> float:
    return sum(share * b.get(word, 0.0) for word, share in a.items())


def effective_tokens(rows: Rows) -> float:
    """Over the mean of s_a.s_b of all pairs of documents."""
    vectors = [shares(row) for row in rows if row]
    met = [dot(a, b) for a, b in combinations(vectors, 2)]
    return len(met) / sum(met)


def heterozygosity(rows: Rows) -> float:
    """Half the mean squared distance of all pairs of documents."""
    vectors = [shares(row) for row in rows]
    pairs = list(combinations(vectors, 2))
    return sum(dot(a, a) + dot(b, b) - 2 * dot(a, b) for a, b in pairs) / (2 * len(pairs))


def distinct_types(rows: Rows) -> float:
    return float(len({word for row in rows for word in row}))


def seq_rep(rows: Rows) -> float:
    """Mean over texts of at least 4 words of 1 - unique/all 4-grams."""
    shares_ = []
    for row in rows:
        grams = [tuple(row[at : at + 4]) for at in range(len(row) - 3)]
        if grams:
            shares_.append(1 - len(set(grams)) / len(grams))
    return sum(shares_) / len(shares_)


SLOW: dict[str, Callable[[Rows], float]] = {
    "effective-tokens": effective_tokens,
    "heterozygosity": heterozygosity,
    "distinct-types": distinct_types,
    "seq-rep-4": seq_rep,
}


def jackknifed(statistic: Callable[[Rows], float], rows: Rows, *, log: bool) -> float:
    """sqrt((n-1)/n sum (T_(i) - mean)^2), of the statistic over its value where ``log`` (first order)."""
    without = np.array([statistic(rows[:at] + rows[at + 1 :]) for at in range(len(rows))])
    error = math.sqrt((len(rows) - 1) / len(rows) * ((without - without.mean()) ** 2).sum())
    return error / statistic(rows) if log else error


@pytest.mark.parametrize("name", ["effective-tokens", "heterozygosity", "distinct-types"])
def test_values_slope_and_interval_of_diversity_are_those_of_pairs_and_of_leaving_each_text_out(name: str) -> None:
    corpora = lineage(1)
    found = measured(samples(corpora))[name]
    slow = SLOW[name]
    values = np.array([slow(rows) for rows in corpora])
    assert found.baseline == pytest.approx(values[0], rel=1e-9)
    assert found.values == pytest.approx(values[1:], rel=1e-9)
    # The error of ln(1/C) is that of ln C.
    left_out = (lambda rows: 1 / slow(rows)) if name == "effective-tokens" else slow
    errors = np.array([jackknifed(left_out, rows, log=True) for rows in corpora[1:]])
    assert found.errors == pytest.approx(errors * values[1:], rel=1e-6)
    at = np.arange(1, 5)
    assert found.slope == pytest.approx(np.polyfit(at, np.log(values[1:]), 1)[0], rel=1e-9)
    # Independent generations: the slope's variance is the sum of weight^2 x variance.
    weights = (at - 2.5) / 5
    half = Z * math.sqrt((weights**2 * errors**2).sum())
    assert (found.low, found.high) == pytest.approx((found.slope - half, found.slope + half), rel=1e-6)
    assert found.n == 24


def test_heterozygosity_of_texts_of_one_word_is_the_chance_that_two_of_them_differ() -> None:
    """1 - sum c(c - 1)/(n(n - 1)): the Wright-Fisher quantity, unbiased."""
    corpora = [[[f"w{word}"] for word in np.random.default_rng(g).integers(0, 6, 40)] for g in range(4)]
    found = measured(samples(corpora))["heterozygosity"]
    for rows, value in zip(corpora[1:], found.values, strict=True):
        counts = np.array(list(Counter(row[0] for row in rows).values()))
        assert value == pytest.approx(1 - (counts * (counts - 1)).sum() / (40 * 39), rel=1e-9)


def test_seq_rep_and_its_errors_are_those_of_a_mean_of_texts() -> None:
    rng = np.random.default_rng(2)
    corpora = [[row + row[: rng.integers(0, len(row))] for row in rows] for rows in lineage(2, n=400, types=9)]
    found = measured(samples(corpora))["seq-rep-4"]
    assert found.values == pytest.approx([seq_rep(rows) for rows in corpora[1:]], rel=1e-9)
    assert min(found.errors) > 3 / (Z * 400)  # the rule of three is not what is seen here
    for rows, error in zip(corpora[1:], found.errors, strict=True):
        each = np.array([seq_rep([row]) for row in rows])
        assert error == pytest.approx(each.std(ddof=1) / math.sqrt(each.size), rel=1e-9)
    assert found.slope == pytest.approx(np.polyfit(np.arange(1, 5), found.values, 1)[0], rel=1e-9)


def test_where_no_text_repeats_anything_three_in_n_still_may() -> None:
    found = measured(samples([[[f"w{10 * i + j}" for j in range(6)] for i in range(30)] for _ in range(4)]))[
        "seq-rep-4"
    ]
    assert found.values == (0.0, 0.0, 0.0)
    assert found.errors == pytest.approx([3 / (Z * 30)] * 3)
    # The slope over generations 1, 2, 3 is (third - first)/2: its end lies where 3/n on either side would put it.
    assert found.high == pytest.approx(math.sqrt(2) / 2 * 3 / 30)
    assert found.p_value == 1.0


def test_tail_mass_is_the_share_of_tokens_outside_the_frequent_ones() -> None:
    """Six common words, clearly apart in frequency, hold well over 90%; rare ones are all new, so all are tail."""
    rng = np.random.default_rng(3)
    common = [f"c{i}" for i in range(6) for _ in range((31, 23, 17, 13, 10, 6)[i])]

    def text(share: float) -> list[str]:
        return [str(rng.choice(common)) if rng.random() > share else f"r{rng.integers(10**6)}" for _ in range(60)]

    corpora = [[text(share) for _ in range(40)] for share in (0.05, 0.05, 0.04, 0.06, 0.02)]
    # The head is the common words but for the rarest few: those that the first 90% do not need.
    found = measured(samples(corpora))["tail-mass"]
    line = Succession(baseline=samples(corpora)[0], generations=tuple(samples(corpora)[1:]), permutations=1, seed=0)
    rare: list[list[list[int]]] = [[[] for _ in rows] for rows in corpora]
    for half in halves(np.arange(40), line.stream("tail-mass", of_baseline=True)):
        counts = Counter(word for document in half for word in corpora[0][document]).most_common()
        before = np.cumsum([0] + [times for _, times in counts])[:-1]
        edge = 0.9 * sum(times for _, times in counts)
        head = {word for (word, _), so_far in zip(counts, before, strict=True) if so_far < edge}
        for number, rows in enumerate(corpora):
            for document, row in enumerate(rows):
                if number or document not in half:
                    rare[number][document].append(sum(word not in head for word in row))
    values = []
    for counted, rows, error in zip(rare, corpora, [None, *found.errors], strict=True):
        t, size = np.array([np.mean(each) for each in counted]), np.array([len(row) for row in rows])
        values.append(t.sum() / size.sum())
        residual = t - values[-1] * size
        n = len(rows)
        if error is not None:
            assert error == pytest.approx(math.sqrt(n / (n - 1) * (residual**2).sum()) / size.sum(), rel=1e-9)
    assert found.baseline == pytest.approx(values[0], rel=1e-9)
    assert found.values == pytest.approx(values[1:], rel=1e-9)


@pytest.mark.parametrize("answers", [1, 4, 5, 8])
def test_what_shares_a_prompt_with_a_tail_is_no_less_rare_in_any_generation(answers: int) -> None:
    """Every prompt has words of its own, and all write them alike: the baseline's level is that of the generations.
    Mean of 6 lineages; the difference of one has a standard error of some 2%."""
    prompts = [f"p{i // answers}" for i in range(240)]
    apart = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        corpora = [[[f"w{prompt}x{word}" for word in rng.integers(0, 8, 12)] for prompt in prompts] for _ in range(4)]
        found = measured(samples(corpora, prompts=[prompts] * 4), count=1, seed=seed)["tail-mass"]
        apart.append(np.mean(np.log(found.values)) - math.log(found.baseline))
    assert np.mean(apart) == pytest.approx(0.0, abs=0.02)


def test_junk_that_no_baseline_holds_is_no_tail() -> None:
    """From 1.25 times the novel mass on, only types that a defining half knows are counted."""
    corpora = lineage(4, n=150, types=1000)
    junk = [
        corpora[0],
        *([[*row, *[f"x{g}{i}"] * 3] for i, row in enumerate(rows)] for g, rows in enumerate(corpora[1:])),
    ]
    plain, noisy = (measured(samples(each))["tail-mass"] for each in (corpora, junk))
    assert plain.notes == ()
    assert "unseen-types-left-out" in noisy.notes
    assert all(a < b for a, b in zip(noisy.values, plain.values, strict=True))


def test_log_perplexity_is_a_mean_and_either_direction_is_damage() -> None:
    rng = np.random.default_rng(5)
    corpora = lineage(5)
    nll = [list(rng.normal(3.0, 0.4, 24)) for _ in corpora]
    found = measured(samples(corpora, nll=nll))["log-perplexity"]
    assert found.values == pytest.approx([np.mean(each) for each in nll[1:]])
    assert found.errors == pytest.approx([np.std(each, ddof=1) / math.sqrt(24) for each in nll[1:]])
    rising = measured(samples(corpora, nll=[[3.0 + g + x for x in np.linspace(-1, 1, 24)] for g in range(5)]))
    falling = measured(samples(corpora, nll=[[9.0 - g + x for x in np.linspace(-1, 1, 24)] for g in range(5)]))
    for each, slope in ((rising, 1.0), (falling, -1.0)):
        assert each["log-perplexity"].slope == pytest.approx(slope)
        assert each["log-perplexity"].p_value == 0.01
        assert each["log-perplexity"].established


def test_texts_without_nll_are_left_out_up_to_a_twentieth() -> None:
    corpora = lineage(6, n=40)
    nll: list[list[float | None]] = [[3.0 + i / 40 for i in range(40)] for _ in corpora]
    nll[2][0] = nll[2][1] = None
    assert measured(samples(corpora, nll=nll))["log-perplexity"].values[1] == pytest.approx(
        np.mean([3.0 + i / 40 for i in range(2, 40)])
    )
    nll[2][2] = None
    assert reasons(samples(corpora, nll=nll))["log-perplexity"] == "8% of the texts of a generation carry no nll"
    assert reasons(samples(corpora))["log-perplexity"] == "the records of a generation carry no nll"


def test_rare_labels_are_counted_per_document() -> None:
    """Labels a, b, c hold 60, 36 and 4%: c alone lies outside the first 90%. Labels of one text alone are junk; c is
    none, even to a half of the baseline that does not hold it."""
    corpora = lineage(7, n=50)
    labels = [[["a"]] * 30 + [["b"]] * 18 + [["c"]] * 2] * 2
    labels += [
        [["a"]] * 30 + [["b", f"d{k}"] for k in range(10)] + [[]] * 10,
        [["a"]] * 46 + [["c"]] * 4,
        [["a"]] * 50,
    ]
    found = measured(samples(corpora, labels=labels), labels=label_rule("field"))["rare-labels"]
    assert "unseen-types-left-out" in found.notes
    # Where none is left, half a label stands for none.
    assert found.values == pytest.approx([2 / 50, 0.5 / 50, 4 / 50, 0.5 / 50])
    assert "rare-labels" not in measured(samples(corpora, labels=labels))
    none = reasons(samples(corpora), labels=label_rule("field"))
    assert none["rare-labels"] == "fewer than two texts of the baseline hold any to define it"


# The exact test


def test_p_values_are_those_of_all_relabellings() -> None:
    """9 documents over 3 generations of 3: all 1,680 assignments, each slope by the slow computation.

    20,000 drawn relabellings: the p-value lies within 4.5 of its own standard errors.
    """
    rng = np.random.default_rng(8)
    corpora = [drawn(rng, 3, types=5, length=8) for _ in range(4)]
    nll = [list(rng.normal(3 + g / 2, 1, 3)) for g in range(4)]
    found = measured(samples(corpora, nll=nll), count=20_000)
    rows, scores = [row for each in corpora[1:] for row in each], [x for each in nll[1:] for x in each]
    slopes: dict[str, list[float]] = {name: [] for name in ("effective-tokens", "distinct-types", "log-perplexity")}
    everything = frozenset(range(9))
    for first in combinations(range(9), 3):
        for second in combinations(sorted(everything - set(first)), 3):
            third = sorted(everything - {*first, *second})
            ends = [[rows[i] for i in group] for group in (first, third)]
            for name in ("effective-tokens", "distinct-types"):
                slopes[name].append(math.log(SLOW[name](ends[1])) / 2 - math.log(SLOW[name](ends[0])) / 2)
            slopes["log-perplexity"].append(sum(scores[i] for i in third) / 6 - sum(scores[i] for i in first) / 6)
    assert len(slopes["log-perplexity"]) == 1680
    for name, all_of in slopes.items():
        # combinations(...) begins with (0, 1, 2), (3, 4, 5): the observed one.
        observed, everyone = round(all_of[0], 6), np.round(all_of, 6)
        assert found[name].slope == pytest.approx(all_of[0], rel=1e-9, abs=1e-12)
        bad = np.abs(everyone) >= abs(observed) if name == "log-perplexity" else everyone <= observed
        exact = float(np.mean(bad))
        assert found[name].p_value == pytest.approx(exact, abs=4.5 * math.sqrt(exact * (1 - exact) / 20_000) + 1e-4)


def regrouped(line: Succession, corpora: list[Rows], labels: np.ndarray) -> list[Rows]:
    rows = [row for each in corpora for row in each]
    return [
        [
            rows[document]
            for document, block in zip(line.layout.kept, line.layout.block, strict=True)
            if labels[block] == g
        ]
        for g in range(len(corpora))
    ]


def test_a_replicate_is_what_the_relabelled_documents_themselves_would_give() -> None:
    corpora = lineage(9, n=12, types=50)  # some words stand in one text alone
    corpora[2][3] = []  # a text without a word
    line = Succession(baseline=samples(corpora)[0], generations=tuple(samples(corpora)[1:]), permutations=6, seed=0)
    found = {
        each.statistic: each for statistics in follows_of() for each in statistics(line) if isinstance(each, Followed)
    }
    assert len(np.unique(line.relabellings, axis=0)) == 7
    for b, labels in enumerate(line.relabellings):
        groups = regrouped(line, corpora, labels)
        assert groups[0] == corpora[0]
        for name in ("effective-tokens", "distinct-types", "heterozygosity"):
            slow = [math.log(SLOW[name](rows)) for rows in groups[1:]]
            assert found[name].replicates[b] == pytest.approx(slow, rel=1e-5), name
        assert found["seq-rep-4"].replicates[b] == pytest.approx([seq_rep(rows) for rows in groups[1:]])


# Laws


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_the_order_of_a_generations_documents_changes_nothing(seed: int, which: int) -> None:
    corpora = lineage(seed, n=20)
    nll = [list(np.random.default_rng(seed + g).normal(3, 1, 20)) for g in range(5)]
    order = np.random.default_rng(seed).permutation(20)
    before = measured(samples(corpora, nll=nll), count=9)
    corpora[which] = [corpora[which][i] for i in order]
    nll[which] = [nll[which][i] for i in order]
    after = measured(samples(corpora, nll=nll), count=9)
    assert set(before) == set(after) == {*WORDS, "log-perplexity"}
    for name, trend in before.items():
        for field in ("slope", "low", "high", "values", "errors", "baseline"):
            assert getattr(after[name], field) == pytest.approx(getattr(trend, field), rel=1e-9, abs=1e-12), field


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_generations_in_reverse_turn_the_slope_around(seed: int) -> None:
    corpora = lineage(seed, n=20, step=0.1)
    forward, backward = (measured(samples(each)) for each in (corpora, [corpora[0], *corpora[:0:-1]]))
    for name, trend in forward.items():
        turned = backward[name]
        assert turned.slope == pytest.approx(-trend.slope, abs=1e-12)
        assert (turned.low, turned.high) == pytest.approx((-trend.high, -trend.low), rel=1e-9, abs=1e-12)
        assert turned.values == trend.values[::-1]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_the_baselines_texts_do_not_touch_a_slope_but_that_of_the_tail_which_they_define(seed: int) -> None:
    one, other = lineage(seed, n=20), lineage(seed + 1, n=20)
    before, after = (measured(samples([first, *one[1:]])) for first in (one[0], other[0]))
    for name in set(before) - {"tail-mass"}:
        assert after[name].slope == pytest.approx(before[name].slope, rel=1e-12, abs=1e-12)


def test_a_slope_is_per_generation_whatever_generations_are_left() -> None:
    given_ = samples(lineage(11, step=0.1))
    near, far = measured(given_), measured(given_, numbers=[2, 4, 6, 8])
    for name, trend in near.items():
        assert far[name].slope == pytest.approx(trend.slope / 2)
        assert far[name].p_value == trend.p_value
        assert far[name].generations == (2, 4, 6, 8)


def test_the_same_seed_gives_the_same_trends_and_another_the_same_values() -> None:
    given_ = samples(lineage(12))
    assert measured(given_, seed=1) == measured(given_, seed=1)
    one, other = measured(given_, seed=1), measured(given_, seed=2)
    assert one["heterozygosity"].values == other["heterozygosity"].values
    assert [t.p_value for t in one.values()] != [t.p_value for t in other.values()]


# Who may swap places with whom


def column_sets(line: Succession, keys: Sequence[str]) -> list[dict[str, list[int]]]:
    """For every relabelling: the columns in which each key's documents stand."""
    found: list[dict[str, list[int]]] = []
    for labels in line.relabellings:
        places: dict[str, list[int]] = {}
        for document, block in zip(line.layout.kept, line.layout.block, strict=True):
            places.setdefault(keys[document], []).append(int(labels[block]))
        found.append({key: sorted(where) for key, where in places.items()})
    return found


def test_answers_are_permuted_within_their_prompt() -> None:
    corpora = lineage(13, n=24, generations=3)
    prompts = [[f"p{i // 2}" for i in range(24)]] * 4
    given_ = samples(corpora, prompts=prompts)
    line = Succession(baseline=given_[0], generations=tuple(given_[1:]), permutations=50, seed=0)
    assert line.layout.kind == "prompt"
    swapped = column_sets(line, [key for each in prompts for key in each])
    assert all(places == {f"p{i}": [0, 0, 1, 1, 2, 2, 3, 3] for i in range(12)} for places in swapped)
    assert len(np.unique(line.relabellings, axis=0)) == 51
    assert (line.relabellings[:, line.layout.column == 0] == 0).all()


def test_of_a_shared_prompt_every_generation_keeps_equally_many_answers() -> None:
    answers = (2, 2, 3, 2)
    prompts = [[f"p{i // each}" for i in range(12 * each)] for each in answers]
    rng = np.random.default_rng(29)
    given_ = samples([drawn(rng, 12 * each) for each in answers], prompts=prompts)
    line = Succession(baseline=given_[0], generations=tuple(given_[1:]), permutations=1, seed=0)
    kept = column_sets(line, [key for each in prompts for key in each])[0]
    assert kept == {f"p{i}": [0, 0, 1, 1, 2, 2, 3, 3] for i in range(12)}


def test_prompts_that_some_generations_lack_are_permuted_among_those_that_have_them() -> None:
    rng = np.random.default_rng(14)
    prompts = [[f"p{i}" for i in sorted(rng.permutation(30)[:20])] for _ in range(4)]
    given_ = samples(lineage(14, n=20, generations=3), prompts=prompts)
    line = Succession(baseline=given_[0], generations=tuple(given_[1:]), permutations=50, seed=0)
    assert line.layout.documents.tolist() == [20, 20, 20, 20]
    swapped = column_sets(line, [key for each in prompts for key in each])
    where = [{g for g in (1, 2, 3) if f"p{i}" in prompts[g]} for i in range(30)]
    for places in swapped:
        for i, columns in enumerate(where):
            if len(columns) > 1:
                assert {g for g in places[f"p{i}"] if g} == columns
    # Those of one generation alone are clusters, and move.
    alone = [f"p{i}" for i in range(30) if len(where[i]) == 1]
    assert len(alone) > 1
    assert len({tuple(max(places[key]) for key in alone) for places in swapped}) > 1


def test_groups_move_as_a_whole() -> None:
    groups = [[f"g{g}.{i // 3}" for i in range(24)] for g in range(4)]
    given_ = samples(lineage(15, n=24, generations=3), groups=groups)
    line = Succession(baseline=given_[0], generations=tuple(given_[1:]), permutations=30, seed=0)
    assert line.layout.column.size == 4 * 8
    for places in column_sets(line, [key for each in groups for key in each]):
        assert all(len(set(where)) == 1 for where in places.values())
    assert measured(given_)["tail-mass"].permuted == "groups"


def test_all_generations_keep_equally_many_documents_and_the_baseline_no_more() -> None:
    corpora = lineage(16, n=30, generations=3)
    corpora[2] = corpora[2][:17]
    found = measured(samples(corpora))
    assert {trend.n for trend in found.values()} == {17}
    given_ = samples(corpora)
    line = Succession(baseline=given_[0], generations=tuple(given_[1:]), permutations=1, seed=0)
    assert line.layout.documents.tolist() == [17, 17, 17, 17]


def test_no_more_than_so_many_blocks_take_part_and_of_the_same_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(succession, "MOST", 11)
    prompts = [[f"p{i}" for i in np.random.default_rng(g).permutation(30)] for g in range(4)]
    given_ = samples(lineage(17, n=30, generations=3), prompts=prompts)
    line = Succession(baseline=given_[0], generations=tuple(given_[1:]), permutations=1, seed=0)
    keys = np.array([key for each in prompts for key in each])[line.layout.kept].reshape(4, 11)
    assert len({frozenset(row) for row in keys.tolist()}) == 1


def test_a_shared_prompt_makes_the_slope_that_of_its_own_answers() -> None:
    """One answer a prompt: the slope is the mean of the prompts' own slopes, its error their spread over sqrt(n)."""
    rng = np.random.default_rng(18)
    hard = rng.normal(0, 5, 40)
    nll = [list(9 + hard + 0.3 * g + rng.normal(0, 0.2, 40)) for g in range(5)]
    prompts = [[f"p{i}" for i in range(40)]] * 5
    found = measured(samples(lineage(18, n=40), nll=nll, prompts=prompts))["log-perplexity"]
    own = np.array([np.polyfit(np.arange(1, 5), [each[i] for each in nll[1:]], 1)[0] for i in range(40)])
    assert found.slope == pytest.approx(own.mean())
    assert (found.high - found.low) / (2 * Z) == pytest.approx(own.std(ddof=1) / math.sqrt(40))
    without = measured(samples(lineage(18, n=40), nll=nll))["log-perplexity"]
    assert without.high - without.low > 5 * (found.high - found.low)


@settings(max_examples=40)
@given(st.lists(st.frozensets(st.integers(0, 3), min_size=1), min_size=4, max_size=12), st.integers(0, 99))
def test_units_of_the_same_columns_vary_about_their_mean_and_a_lone_one_about_nothing(
    stands: list[frozenset[int]], seed: int
) -> None:
    """Sum over cells of n/(n - 1) sum (x - mean)(x - mean)', and of x x' where n is 1; by loops."""
    stands = [*stands, frozenset({0, 1, 2, 3})]
    blocks = [(unit, column) for unit, columns in enumerate(stands) for column in sorted(columns)]
    kinds = sorted({tuple(sorted(columns)) for columns in stands})
    influence = np.random.default_rng(seed).normal(size=len(blocks))
    made = Layout(
        kind="prompt",
        kept=np.arange(len(blocks)),
        block=np.arange(len(blocks)),
        column=np.array([column for _, column in blocks]),
        stratum=np.zeros(len(blocks), dtype=np.int64),
        key=np.array([unit for unit, _ in blocks]),
        unit=np.array([unit for unit, _ in blocks]),
        cell=np.array([kinds.index(tuple(sorted(columns))) for columns in stands]),
    )
    vectors = [np.zeros(4) for _ in stands]
    for (unit, column), value in zip(blocks, influence, strict=True):
        vectors[unit][column] = value
    expected = np.zeros((4, 4))
    for kind in kinds:
        members = [vector for vector, columns in zip(vectors, stands, strict=True) if tuple(sorted(columns)) == kind]
        n, mean = len(members), sum(members) / len(members) if len(members) > 1 else np.zeros(4)
        for vector in members:
            expected += n / max(n - 1, 1) * np.outer(vector - mean, vector - mean)
    assert made.covariance(influence) == pytest.approx(expected)


def test_many_answers_to_few_prompts_are_units_within_their_prompt() -> None:
    """6 prompts of 10 answers: fixed strata, so the variance is that within prompts, 1/60 of it a generation."""
    rng = np.random.default_rng(19)
    prompts = [[f"p{i // 10}" for i in range(60)]] * 4
    nll = [list(np.repeat(np.arange(6) * 4.0, 10) + rng.normal(9, 1, 60)) for _ in range(4)]
    found = measured(samples(lineage(19, n=60, generations=3), nll=nll, prompts=prompts))["log-perplexity"]
    for each, error in zip(nll[1:], found.errors, strict=True):
        within = np.array(each).reshape(6, 10).var(axis=1, ddof=1).mean()
        assert error == pytest.approx(math.sqrt(within / 60))


# What follows from a slope


def test_n_effective_without_drift_is_the_slopes_interval_turned_over() -> None:
    """1/(1 - e^slope) at slope -.02 +- 1.645 x .005."""
    value, low, high = n_effective(-0.02, 0.005, 0.0)
    assert value == pytest.approx(1 / (1 - math.exp(-0.02)))
    assert low == pytest.approx(1 / (1 - math.exp(-0.02 - Z * 0.005)), rel=1e-9)
    assert high == pytest.approx(1 / (1 - math.exp(-0.02 + Z * 0.005)), rel=1e-9)


@settings(max_examples=50)
@given(st.floats(-1.5, -0.001), st.floats(0.01, 0.99), st.floats(0.0, 20.0))
def test_n_effective_holds_every_n_that_explains_the_slope(slope: float, precision: float, drift: float) -> None:
    error = -slope / Z * precision
    value, low, high = n_effective(slope, error, drift)
    assert 1 <= low <= value <= high < math.inf

    def explains(n: float) -> bool:
        return abs(slope - math.log1p(-1 / n)) <= Z * math.sqrt(error**2 + drift / n)

    for n in np.concatenate((np.linspace(low, high, 30)[1:-1], [value])):
        assert explains(float(n)) or n == pytest.approx(low, rel=1e-6)
    assert not explains(high * 1.001)
    assert low < 1.001 or not explains(1 + (low - 1) * 0.999)


@pytest.mark.parametrize("generations", [(1, 2, 3), (1, 2, 3, 4, 5), (1, 3, 4, 8)])
def test_the_slope_of_a_random_walk_has_the_variance_of_its_covariance(generations: tuple[int, ...]) -> None:
    """Cov(W_i, W_j) = min(i, j): weights' covariance weights."""
    at = np.array(generations, dtype=np.float64)
    weights = (at - at.mean()) / ((at - at.mean()) ** 2).sum()
    assert _steps(generations) == pytest.approx(weights @ np.minimum(at[:, None], at) @ weights)


def test_n_effective_is_read_off_heterozygosity_alone_and_only_where_it_falls() -> None:
    """Ten kinds of one-word texts, the share of one rising: .1, .3, .5, .7."""
    falling = [
        [["a"]] * round(60 * s) + [[f"w{i % 9}"] for i in range(60 - round(60 * s))] for s in (0.1, 0.1, 0.3, 0.5, 0.7)
    ]
    found = measured(samples(falling), count=199, unit="document")
    trend = found["heterozygosity"]
    assert trend.established
    assert trend.n_effective is not None
    assert trend.n_effective[0] == pytest.approx(1 / (1 - math.exp(trend.slope)))
    # What one text does to a sample, n x its variance, one resampled text does to the model: at each of three steps.
    per_text = np.mean([60 * (error / value) ** 2 for error, value in zip(trend.errors, trend.values, strict=True)])
    by_hand = n_effective(trend.slope, (trend.high - trend.low) / (2 * Z), per_text * (0.3**2 + 0.4**2 + 0.3**2))
    assert trend.n_effective == pytest.approx(by_hand, rel=1e-6)
    assert trend.n_effective[1] < trend.n_effective[0] < trend.n_effective[2]
    assert all(other.n_effective is None for name, other in found.items() if name != "heterozygosity")
    rising = measured(samples([falling[0], *falling[:0:-1]]), count=199, unit="document")["heterozygosity"]
    assert rising.slope > 0
    assert not rising.established
    assert rising.n_effective is None


def test_the_scatter_of_a_mean_is_the_variance_of_what_it_is_a_mean_of() -> None:
    x = np.random.default_rng(28).normal(3, 2, (5, 24))
    given_ = samples(lineage(28), nll=x.tolist())
    line = Succession(baseline=given_[0], generations=tuple(given_[1:]), permutations=1, seed=0)
    found = [each for statistics in follows_of() for each in statistics(line) if each.statistic == "log-perplexity"]
    assert isinstance(found[0], Followed)
    assert line.layout.scatter(found[0].influence) == pytest.approx(x.var(axis=1, ddof=1))


@settings(max_examples=60)
@given(
    st.floats(-3, 3),
    st.floats(-2, 2).filter(lambda b: abs(b) > 0.01),
    st.floats(0.01, 1.0),
    st.floats(0.05, 0.95),
    st.floats(-0.9, 0.9),
)
def test_a_crossing_holds_exactly_where_the_line_may_be_zero(
    apart: float, slope: float, spread: float, precision: float, correlation: float
) -> None:
    error = abs(slope) / Z * precision
    covariance = np.array([[spread**2, correlation * spread * error], [correlation * spread * error, error**2]])
    low, high = crossing(apart, slope, covariance)
    assert low <= -apart / slope <= high

    def excess(u: float) -> float:
        """|line| less the half width of its interval at u."""
        return abs(apart + slope * u) - Z * math.sqrt(np.array([1, u]) @ covariance @ np.array([1, u]))

    scale = 1 + abs(apart) + abs(slope) * max(abs(low), abs(high))
    assert excess(low) == pytest.approx(0, abs=1e-6 * scale)
    assert excess(high) == pytest.approx(0, abs=1e-6 * scale)
    assert excess((low + high) / 2) < 1e-9 * scale
    assert excess(low - 1) > 0
    assert excess(high + 1) > 0


def test_a_line_known_exactly_crosses_at_a_point() -> None:
    assert crossing(0.4, -0.1, np.zeros((2, 2))) == pytest.approx([4.0, 4.0])


def test_a_flat_line_has_no_bounded_crossing() -> None:
    with pytest.raises(ValueError, match="the slope's interval holds 0"):
        crossing(0.4, -0.1, np.diag([0.01, 0.01]))


def repeating(share: float, n: int = 100) -> Rows:
    """Texts of 12 different words, a share of them with 6 words twice over: seq-rep-4 of those is 3/9."""
    return [[f"w{i}_{j % 6 if i < round(share * n) else j}" for j in range(12)] for i in range(n)]


def test_a_forecast_is_where_the_line_crosses_the_margin() -> None:
    """Repeating texts rise by .03 a generation, seq-rep-4 by a hundredth: baseline + .05 at generation 5."""
    corpora = [repeating(0.03 * g, n=1000) for g in range(5)]
    found = measured(samples(corpora), count=199)["seq-rep-4"]
    assert found.values == pytest.approx([0.01, 0.02, 0.03, 0.04])
    assert found.slope == pytest.approx(0.01)
    assert found.forecast is not None
    low, high = found.forecast
    assert high is not None
    assert low < 5 < high < 8
    assert found.forecast_reason == ""
    # By hand: the line's interval about its middle, 2.5, with the errors of five independent means.
    se = np.array([0.0 if g == 0 else found.errors[g - 1] for g in range(5)])
    se[0] = 3 / (Z * 1000)  # nothing repeats in the baseline: rule of three
    weights = np.array([-0.3, -0.1, 0.1, 0.3])
    covariance = np.array(
        [
            [se[0] ** 2 + (se[1:] ** 2).sum() / 16, (weights * se[1:] ** 2).sum() / 4],
            [0, (weights**2 * se[1:] ** 2).sum()],
        ]
    )
    covariance[1, 0] = covariance[0, 1]
    assert [low, high] == pytest.approx(2.5 + crossing(0.025 - 0.05, 0.01, covariance))


@pytest.mark.parametrize(
    ("margin", "forecast", "reason"),
    [
        (None, False, "no gate has a margin for it"),
        (0.3, False, "no crossing within the horizon (generation 8)"),
        (0.08, True, "its end lies beyond the horizon (generation 8)"),
        (-0.02, False, "the line lies beyond the margin from generation 1 on"),
    ],
)
def test_a_forecast_ends_at_the_horizon(margin: float | None, forecast: bool, reason: str) -> None:
    margins = {} if margin is None else {"seq-rep-4": margin}
    found = measured(samples([repeating(0.03 * g, n=1000) for g in range(5)]), count=199, margins=margins)["seq-rep-4"]
    assert found.established
    assert (found.forecast is not None) == forecast
    assert found.forecast_reason == reason
    if found.forecast is not None:
        assert found.forecast[1] is None
        assert found.forecast[0] < 8


def test_no_damage_no_forecast() -> None:
    for corpora in ([repeating(0.1)] * 5, [repeating(0.5 - 0.1 * g) for g in range(5)]):
        found = measured(samples(corpora), count=199)["seq-rep-4"]
        assert not found.established
        assert found.forecast is None
        assert found.forecast_reason == "no damage along the generations is established"


def test_no_level_no_forecast() -> None:
    corpora = lineage(20, n=200, types=400, step=0.25)
    given_ = samples(corpora)
    assert measured(given_, count=199)["tail-mass"].baseline is not None
    trained = measured(given_, count=199, trained_on_definer=True)
    assert trained["tail-mass"].established
    assert trained["tail-mass"].baseline is None
    assert "trained on these very baseline texts" in trained["tail-mass"].forecast_reason
    assert trained["effective-tokens"].baseline is not None
    few = measured([samples([corpora[0][:9]])[0], *given_[1:]], count=199)
    assert few["effective-tokens"].forecast_reason == "the baseline has too few texts to know its own level"
    assert few["distinct-types"].forecast_reason.startswith("the baseline holds fewer texts than a generation")


def test_values_that_do_not_lie_on_a_line_are_said_not_to() -> None:
    straight = measured(samples([repeating(0.1 * g, n=400) for g in range(6)]), count=199)["seq-rep-4"]
    bent = measured(samples([repeating(s, n=400) for s in (0, 0, 0.5, 0.5, 0.5, 0.6)]), count=199)["seq-rep-4"]
    assert straight.notes == ()
    assert bent.notes == ("not-a-line",)


def test_the_misfit_of_a_line_is_the_chi_square_of_its_residuals() -> None:
    """Equal variances: sum of squared residuals over the variance, G - 2 degrees of freedom."""
    at, values = (1, 2, 4, 5, 9), np.array([0.3, 0.1, 0.4, 0.2, 0.9])
    fitted = np.polyval(np.polyfit(at, values, 1), at)
    found, freedom = _off_line(values, 0.01 * np.eye(5), at)
    assert found == pytest.approx(((values - fitted) ** 2).sum() / 0.01)
    assert freedom == 3


@pytest.mark.parametrize("name", ["heterozygosity", "distinct-types"])
def test_where_the_line_stands_is_its_last_fitted_value_against_the_baseline(name: str) -> None:
    """Fitted by numpy; the errors of five independent corpora by leaving each text out, weighed by the hat matrix."""
    statistic, corpora, at = SLOW[name], lineage(31, n=40, step=0.1), np.array([1, 2, 4, 7])
    found = measured(samples(corpora), numbers=at.tolist())[name]
    theta = np.log([statistic(rows) for rows in corpora])
    variance = np.array([jackknifed(statistic, rows, log=True) for rows in corpora]) ** 2
    line = np.stack((np.ones(4), at), axis=1)
    hat = line[-1] @ np.linalg.solve(line.T @ line, line.T)
    height = np.polyval(np.polyfit(at, theta[1:], 1), at[-1]) - theta[0]
    reach = Z * math.sqrt(variance[0] + hat**2 @ variance[1:])
    assert "not-a-line" not in found.notes
    assert found.reached == pytest.approx(tuple(np.exp([height, height - reach, height + reach])))


def test_where_values_lie_on_no_line_their_misfit_widens_where_it_stands() -> None:
    corpora = [repeating(s, n=400) for s in (0, 0, 0.5, 0.5, 0.5, 0.6)]
    found = measured(samples(corpora), count=199)["seq-rep-4"]
    variance = np.array(found.errors) ** 2
    off, freedom = _off_line(np.array(found.values), np.diag(variance), found.generations)
    assert found.notes == ("not-a-line",)
    assert found.reached is not None
    value, low, high = found.reached
    line = np.stack((np.ones(5), found.generations), axis=1)
    hat = line[-1] @ np.linalg.solve(line.T @ line, line.T)
    at_least = Z * math.sqrt(float(hat**2 @ variance) * off / freedom)
    assert high - value == pytest.approx(value - low)
    assert at_least < high - value < 1.3 * at_least


def test_without_a_level_of_the_baseline_the_line_stands_nowhere() -> None:
    corpora = lineage(22, n=60, step=0.1)
    found = measured(samples(corpora), trained_on_definer=True)
    assert found["tail-mass"].reached is None
    assert "descend from a model trained on these very baseline texts" in found["tail-mass"].unreached
    assert found["distinct-types"].reached is not None


# What cannot be followed


def test_fewer_than_three_generations_have_no_trend() -> None:
    given_ = samples(lineage(21))
    (found,) = trends(given_[1:3], [1, 2], definer=given_[0], follow=follows_of(), permutations=9, seed=0, margins={})
    assert isinstance(found, NotMeasured)
    assert found.reason == "a trend needs at least 3 generations after the baseline, and there are 2"


@pytest.mark.parametrize("numbers", [[1, 2, 3], [1, 2, 2, 3], [4, 3, 2, 1]])
def test_generations_must_rise_one_a_sample(numbers: list[int]) -> None:
    given_ = samples(lineage(22))
    with pytest.raises(ValueError, match="4 samples need as many generations, rising"):
        trends(given_[1:], numbers, definer=given_[0], follow=follows_of(), permutations=9, seed=0, margins={})


def test_fewer_than_ten_texts_have_no_interval() -> None:
    found = measured(samples(lineage(23, n=9, step=1.0)), count=99)
    assert all(math.isinf(trend.low) and math.isinf(trend.high) for trend in found.values())
    assert not any(trend.established or trend.forecast for trend in found.values())
    assert all(0.01 <= trend.p_value <= 1 for trend in found.values())


def test_generations_of_nothing_are_not_measured() -> None:
    corpora = lineage(24)
    assert set(reasons(samples([*corpora[:-1], [[]] * 24]))) == {*WORDS, "log-perplexity"}
    assert reasons(samples([[[]] * 24, *corpora[1:]])) == {
        "tail-mass": "fewer than two texts of the baseline hold any to define it",
        "log-perplexity": "the records of a generation carry no nll",
    }
    alike = reasons(samples([*corpora[:-1], [["same", "text"]] * 24]))
    assert alike["heterozygosity"] == "all texts of a generation are alike: nothing is left to lose"
    apart = reasons(samples([*corpora[:-1], [[f"x{i}"] for i in range(24)]]))
    assert apart["effective-tokens"] == "no two texts of a generation share a token"


def test_texts_that_lost_their_whole_tail_keep_a_finite_slope() -> None:
    corpora = lineage(25, n=40, types=200)
    corpora[-1] = [["w0", "w0", "w0"] for _ in range(40)]
    found = measured(samples(corpora), count=199)["tail-mass"]
    # Half an occurrence in 120 tokens stands for none.
    assert found.values[-1] == pytest.approx(0.5 / 120)
    assert math.isfinite(found.low)
    assert found.p_value == 0.005


def test_a_trend_becomes_plain_json() -> None:
    corpora = lineage(26, n=60, types=200, step=0.3)
    found = measured(samples(corpora, nll=[[1.0 * i for i in range(60)]] * 5), count=199)
    few = measured(samples(lineage(26, n=9)))
    keys = None
    for trend in (*found.values(), *few.values()):
        plain = trend.as_dict()
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
        assert keys in (None, list(plain))
        keys = list(plain)
        assert plain["slope"] == trend.slope
        assert plain["p_value"] == trend.p_value
        assert plain["slope_low"] == (trend.low if math.isfinite(trend.low) else None)
        assert plain["established"] is trend.established
        assert plain["forecast_low"] == (trend.forecast[0] if trend.forecast else None)
        assert plain["n_effective"] == (trend.n_effective[0] if trend.n_effective else None)
        assert None not in plain["values"]
    assert any(trend.forecast for trend in found.values())
    assert {"slope_low", "slope_high", "forecast_low", "forecast_high", "n_effective_high"} <= set(keys or [])


def test_damage_is_established_by_test_and_interval_together() -> None:
    found = measured(samples([repeating(0.1 * g) for g in range(5)]), count=199)["seq-rep-4"]
    assert found.established
    assert not dataclasses.replace(found, p_value=0.06).established
    assert not dataclasses.replace(found, low=-0.001).established
    assert not dataclasses.replace(found, worse="lower").established
    assert dataclasses.replace(found, worse="either").established
    assert dataclasses.replace(found, worse="either", low=-2.0, high=-1.0).established


# Page's L over seeds


@pytest.mark.parametrize(("seeds", "generations"), [(3, 3), (3, 5), (4, 4), (6, 5), (3, 7)])
def test_pages_l_and_its_p_value_are_those_of_scipy(seeds: int, generations: int) -> None:
    for repeat in range(5):
        values = np.random.default_rng([seeds, generations, repeat]).normal(size=(seeds, generations))
        values += 0.3 * repeat * np.arange(generations)
        expected = page_trend_test(values, method="exact")
        assert page(values, worse="higher") == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
        turned = page_trend_test(-values, method="exact")
        assert page(values, worse="lower") == pytest.approx((turned.statistic, turned.pvalue), rel=1e-9)


def test_ties_share_their_rank_and_the_null_is_that_of_all_orders() -> None:
    """Three seeds of four values with ties: all 24^3 orders."""
    values = np.array([[1.0, 1.0, 2.0, 3.0], [0.0, 2.0, 2.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
    ranks = np.array([rankdata(row) for row in values])
    place = np.arange(1, 5)
    rows = [[float(place @ np.array(order)) for order in permutations(row)] for row in ranks]
    totals = np.array([sum(each) for each in product(*rows)])
    observed = float((ranks @ place).sum())
    exact = float(np.mean(totals >= observed - 1e-9))
    assert page(values, worse="higher") == pytest.approx((observed, exact))
    below = float(np.mean(totals <= observed + 1e-9))
    assert page(values, worse="either") == pytest.approx((observed, min(1.0, 2 * min(exact, below))))
    assert page(np.ones((3, 4)), worse="higher") == (75.0, pytest.approx(1.0))


def test_three_seeds_that_all_fall_have_the_smallest_p_value_there_is() -> None:
    values = [[5.0, 4, 3, 2, 1], [9.0, 7, 5, 3, 1], [2.0, 1.5, 1.4, 1.3, 1.2]]
    assert page(values, worse="lower") == pytest.approx((3 * 55, 1 / 120**3))
    assert page(values, worse="higher") == pytest.approx((3 * 35, 1.0))
    assert page(values, worse="either") == pytest.approx((3 * 35, 2 / 120**3))


def test_many_generations_take_the_normal_law() -> None:
    values = np.random.default_rng(27).normal(size=(4, 15)) + 0.05 * np.arange(15)
    expected = page_trend_test(values, method="asymptotic")
    assert page(values, worse="higher") == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)


def test_twelve_generations_are_still_exact() -> None:
    """Mean and variance of L: S G (G + 1)^2/4 and S G^2 (G + 1)(G^2 - 1)/144, and its law is symmetric."""
    values = np.tile(np.arange(12.0), (3, 1))
    statistic, p = page(values, worse="higher")
    assert statistic == 3 * 650
    assert p == pytest.approx(math.factorial(12) ** -3, rel=1e-9)


@pytest.mark.parametrize("values", [np.zeros((2, 5)), np.zeros((5, 2)), np.zeros(5), np.full((3, 3), np.nan)])
def test_page_needs_three_seeds_and_three_generations(values: FloatArray) -> None:
    with pytest.raises(ValueError, match="at least 3 seeds and 3 generations"):
        page(values, worse="lower")
