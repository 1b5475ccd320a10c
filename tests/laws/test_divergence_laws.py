"""Laws of the divergences: bounds, symmetry, the triangle, Pinsker, data processing, and information identities.

Numbers in brackets are those of the study's list of ground truths.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from builders import estimate, pair, sample, spell
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, chi2_contingency

from collapse_audit.probes.label_divergence import label_divergence
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.perplexity import perplexity
from collapse_audit.probes.statistics.tables import jensen_shannon
from collapse_audit.probes.token_divergence import token_divergence

FloatArray = npt.NDArray[np.float64]

COUNTS = st.lists(st.integers(0, 50), min_size=2, max_size=9).filter(any)


def two(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    p = draw(COUNTS)
    return p, draw(st.lists(st.integers(0, 50), min_size=len(p), max_size=len(p)).filter(any))


pairs_of_counts = st.composite(two)()


def shares(counts: list[int]) -> FloatArray:
    values = np.array(counts, dtype=np.float64)
    return np.asarray(values / values.sum())


def js(p: FloatArray, q: FloatArray) -> float:
    return float(jensen_shannon(p[:, None], q[:, None])[0])


def tv(p: FloatArray, q: FloatArray) -> float:
    return float(np.abs(p - q).sum() / 2)


# [18] bounds, symmetry, identity, triangle


@given(pairs_of_counts)
def test_js_is_symmetric_bounded_and_zero_only_for_equals(counts: tuple[list[int], list[int]]) -> None:
    p, q = map(shares, counts)
    assert js(p, q) == pytest.approx(js(q, p), abs=1e-14)
    assert -1e-14 <= js(p, q) <= math.log(2) + 1e-14
    assert js(p, p) == pytest.approx(0.0, abs=1e-14)
    if tv(p, q) > 1e-6:
        assert js(p, q) > 0


@given(pairs_of_counts)
def test_js_of_disjoint_distributions_is_ln_2(counts: tuple[list[int], list[int]]) -> None:
    p, q = map(shares, counts)
    nothing = np.zeros_like(p)
    assert js(np.concatenate((p, nothing)), np.concatenate((nothing, q))) == pytest.approx(math.log(2), abs=1e-12)


@given(st.data(), st.integers(2, 6))
def test_the_root_of_js_obeys_the_triangle(data: st.DataObject, size: int) -> None:
    counts = st.lists(st.integers(0, 30), min_size=size, max_size=size).filter(any)
    p, q, r = (shares(data.draw(counts)) for _ in range(3))
    a, b, c = (math.sqrt(max(js(*two_of), 0.0)) for two_of in ((p, r), (p, q), (q, r)))
    assert a <= b + c + 1e-7


# [19] against total variation


@given(pairs_of_counts)
def test_js_lies_between_its_bounds_by_total_variation(counts: tuple[list[int], list[int]]) -> None:
    p, q = map(shares, counts)
    assert tv(p, q) ** 2 / 2 - 1e-12 <= js(p, q) <= math.log(2) * tv(p, q) + 1e-12


# [21] data processing, and the chain rule


@given(pairs_of_counts, st.data())
def test_merging_types_never_raises_js(counts: tuple[list[int], list[int]], data: st.DataObject) -> None:
    p, q = map(shares, counts)
    bins = np.array(data.draw(st.lists(st.integers(0, 3), min_size=p.size, max_size=p.size)))
    merged_p, merged_q = (np.bincount(bins, side, minlength=4).astype(np.float64) for side in (p, q))
    assert js(merged_p, merged_q) <= js(p, q) + 1e-12


@given(pairs_of_counts, st.data())
def test_js_is_the_merged_one_and_what_is_left_inside_the_bins(
    counts: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    """Chain rule: JS = JS(merged) + sum over bins of JS inside, by the entropy terms of the bin's own shares."""
    p, q = map(shares, counts)
    bins = np.array(data.draw(st.lists(st.integers(0, 2), min_size=p.size, max_size=p.size)))
    total = js(*(np.bincount(bins, side, minlength=3).astype(np.float64) for side in (p, q)))
    for each in range(3):
        inside = bins == each
        p_b, q_b = p[inside].sum(), q[inside].sum()
        m_b = (p_b + q_b) / 2
        for side, weight in ((p, p_b), (q, q_b)):
            if weight > 0:
                conditional, middle = side[inside] / weight, (p[inside] + q[inside]) / (2 * m_b)
                held = conditional > 0
                total += weight / 2 * float((conditional[held] * np.log(conditional[held] / middle[held])).sum())
    assert total == pytest.approx(js(p, q), abs=1e-12)


# [22] JS of equal token counts is the mutual information of side and token, G/(2N)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_js_is_the_g_statistic_over_twice_the_tokens(seed: int) -> None:
    rows = np.random.default_rng(seed).zipf(1.7, size=(60, 2)).clip(max=12)
    comparison = pair(spell(rows[:30]), spell(rows[30:]), permutations=1)
    table = np.array([np.bincount(side.ravel(), minlength=13) for side in (rows[:30], rows[30:])])
    g = chi2_contingency(table[:, table.sum(axis=0) > 0], correction=False, lambda_="log-likelihood").statistic
    assert comparison.words_swept.divergence[0] == pytest.approx(g / (2 * rows.size), rel=1e-9, abs=1e-12)


# KL, as label-divergence computes it: labels in proportion, so many texts that the added halves vanish


def labelled(p: list[int], q: list[int], times: int = 1) -> Pair:
    sides = []
    for counts in (p, q):
        labels = [[f"L{k}"] for k, count in enumerate(counts) for _ in range(count * times)]
        sides.append(sample(["t"] * len(labels), labels=labels))
    return pair(*sides, labels="field", permutations=1)


def smoothed(counts: list[int]) -> FloatArray:
    """The counts with a half added, and a half for the label that no text lacks."""
    values = np.array([count + 0.5 for count in counts] + [0.5])
    return np.asarray(values / values.sum())


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_kl_is_never_negative_zero_only_for_equals_and_obeys_pinsker(data: st.DataObject) -> None:
    """[18, 19] Both sides of equal size (20 texts), so that nothing is thinned."""
    cuts = st.lists(st.integers(0, 20), min_size=2, max_size=2).map(lambda at: np.diff([0, *sorted(at), 20]).tolist())
    p, q = data.draw(cuts), data.draw(cuts)
    assume(all(a + b for a, b in zip(p, q, strict=True)))  # a label that neither side carries is no label
    raw = estimate(label_divergence, labelled(p, q)).raw
    for way, (one, other) in {"baseline_generation": (p, q), "generation_baseline": (q, p)}.items():
        kl = raw[f"kl_{way}"]
        assert kl >= -1e-14
        assert (abs(kl) < 1e-12) == (one == other)
        assert kl >= 2 * tv(smoothed(one), smoothed(other)) ** 2 - 1e-12


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.floats(1.0, 2.5))
def test_kl_of_sharpening_is_its_closed_form(counts: list[int], gamma: float) -> None:
    """[23] q ~ p^gamma: KL(p||q) = (gamma-1) H(p) + ln sum p^gamma. 3,000 texts a side; rounding costs under .002."""
    n = 3000
    p = np.round(shares(counts) * n).astype(int)
    p[0] += n - p.sum()
    powered = (p / n) ** gamma
    q = np.round(powered / powered.sum() * n).astype(int)
    q[int(q.argmax())] += n - q.sum()
    assume((q > 20).all())
    entropy = -float((p / n * np.log(p / n)).sum())
    expected = (gamma - 1) * entropy + math.log(float(powered.sum()))
    kl = estimate(label_divergence, labelled(p.tolist(), q.tolist())).raw["kl_baseline_generation"]
    assert kl == pytest.approx(expected, abs=0.01)


def test_kl_of_a_truncated_distribution_is_minus_log_of_what_was_kept() -> None:
    """[24] Top-p that keeps t = .8: KL(q||p) = -ln .8; the other way it is infinite, were it not for the smoothing."""
    raw = estimate(label_divergence, labelled([5, 3, 1, 1], [5, 3, 0, 0], times=1000)).raw
    # 10,000 texts beside 8,000: the larger side is thinned, which leaves p as it was up to sampling (sd .0045 of .8).
    assert raw["kl_generation_baseline"] == pytest.approx(-math.log(0.8), abs=4.5 * 0.0045 / 0.8)
    few, many = (
        estimate(label_divergence, labelled([4, 2, 1, 1], [5, 3, 0, 0], times=times)).raw["kl_baseline_generation"]
        for times in (10, 1000)
    )
    assert many > few + 0.5  # it grows like .25 ln n: a function of n, never to be gated


def test_twice_n_times_the_plug_in_kl_is_chi_square_where_nothing_moved() -> None:
    """[28] Five labels, n = 400 a side: n KL(p||q) -> chi2(4) for two samples, so under relabelling its mean is near 4.

    The mean of 999 relabellings has standard error sqrt(8/999) = .09; the added halves and the empty cell of the
    unlabelled move the expectation by a few percent: 4 +- .4 + 4.5 x .09.
    """
    rng = np.random.default_rng(5)
    counts = [rng.multinomial(400, [0.1, 0.28, 0.27, 0.2, 0.15]).tolist() for _ in range(2)]
    sides = [
        sample(["t"] * 400, labels=[[f"L{k}"] for k, count in enumerate(side) for _ in range(count)]) for side in counts
    ]
    found = estimate(label_divergence, pair(*sides, labels="field", permutations=999))
    mean = found.raw["kl_baseline_generation"] - found.value
    assert 400 * mean == pytest.approx(chi2.mean(4), abs=0.4 + 4.5 * math.sqrt(8 / 999))


def test_identical_corpora_have_js_zero_and_p_one() -> None:
    """[31]"""
    rows = spell(np.random.default_rng(6).integers(0, 30, size=(40, 8)))
    found = estimate(token_divergence, pair(rows, rows))
    assert found.raw["js"] == pytest.approx(0.0, abs=1e-12)
    assert found.p_value == 1.0


# [16] Wasserstein


def w1(x: list[float], y: list[float]) -> float:
    sides = [sample(["t"] * len(side), nll=side) for side in (x, y)]
    return float(estimate(perplexity, pair(*sides, permutations=1)).raw["w1"])


NLL = st.lists(st.floats(0, 20), min_size=10, max_size=14)


@settings(max_examples=30, deadline=None)
@given(NLL, st.floats(0, 5), st.floats(0.1, 3))
def test_w1_shifts_and_scales(x: list[float], shift: float, scale: float) -> None:
    assert w1(x, [value + shift for value in x]) == pytest.approx(shift, abs=1e-9)
    y = [value + 1 + 0.1 * k for k, value in enumerate(x)]
    assert w1([scale * v for v in x], [scale * v for v in y]) == pytest.approx(scale * w1(x, y), rel=1e-9, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.data(), st.integers(10, 14))
def test_w1_is_the_mean_distance_of_sorted_values_symmetric_and_a_metric(data: st.DataObject, n: int) -> None:
    x, y, z = (data.draw(st.lists(st.floats(0, 20), min_size=n, max_size=n)) for _ in range(3))
    assert w1(x, y) == pytest.approx(float(np.abs(np.sort(x) - np.sort(y)).mean()), abs=1e-9)
    assert w1(x, y) == pytest.approx(w1(y, x), abs=1e-12)
    assert w1(x, z) <= w1(x, y) + w1(y, z) + 1e-9
