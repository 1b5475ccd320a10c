"""Texts of equal length beside each other: who is compared with whom, counted by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from builders import estimate, pair, reason, sample
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.perplexity import perplexity
from collapse_audit.probes.statistics.design import by_document, by_key
from collapse_audit.probes.statistics.equal_lengths import by_length, lengths_differ


@pytest.mark.parametrize(
    ("baseline", "generation", "expected"),
    [
        ([10.0] * 50, [10.0] * 50, False),
        ([10.0] * 50, [11.0] * 50, True),
        ([1000.0] * 50, [1010.0] * 50, False),  # 1%: too little to matter
        ([18.0, 26.0] * 25, [20.0, 25.0] * 25, False),  # 22 against 22.5, and 3 standard errors are 2
        ([4.0, 36.0] * 200, [20.0] * 400, True),  # the same mean, but 1 / length is .139 against .05
        ([0.0] * 30, [1.0] * 30, True),
        ([5.0], [9.0] * 30, False),
    ],
)
def test_lengths_differ_where_their_mean_or_that_of_their_inverse_does(
    baseline: list[float], generation: list[float], expected: bool
) -> None:
    assert lengths_differ(np.array(baseline), np.array(generation)) is expected
    assert lengths_differ(np.array(generation), np.array(baseline)) is expected


@given(st.lists(st.integers(1, 5), min_size=1, max_size=40), st.lists(st.integers(1, 5), min_size=1, max_size=40))
def test_every_length_is_kept_as_often_as_both_sides_have_it(baseline: list[int], generation: list[int]) -> None:
    """Lengths of a few tokens are strata of their own. At most min(n, m) documents a side take part at all."""
    rng = np.random.default_rng(0)
    n = min(len(baseline), len(generation))
    length = np.array([*baseline[:n], *generation[:n]], dtype=np.float64)
    design = by_document(n, n, rng)
    matched = by_length(design, length[design.kept], rng)
    common = Counter(baseline[:n]) & Counter(generation[:n])
    if not common:
        assert matched is None
        return
    assert matched is not None
    for side in (False, True):
        kept = length[matched.kept[matched.side[matched.block] == side]]
        assert Counter(kept) == common


def test_strata_of_many_lengths_hold_equally_many_of_each_side_and_little_difference() -> None:
    rng = np.random.default_rng(1)
    length = np.concatenate((rng.lognormal(3.7, 0.5, 1000), rng.lognormal(3.2, 0.5, 1000))).round()
    design = by_document(1000, 1000, rng)
    matched = by_length(design, length[design.kept], rng)
    assert matched is not None
    side, kept = matched.side[matched.block], length[matched.kept]
    assert np.count_nonzero(side) == np.count_nonzero(~side)
    for stratum in np.unique(matched.stratum):
        blocks = matched.stratum == stratum
        assert np.count_nonzero(matched.side[blocks]) * 2 == np.count_nonzero(blocks)
    assert kept[side].mean() == pytest.approx(kept[~side].mean(), rel=0.03)
    assert length[1000:].mean() < 0.7 * length[:1000].mean()
    drawn = matched.relabellings(50, rng)
    for row in drawn:  # every permutation keeps the number of each side in each stratum
        assert np.array_equal(
            np.bincount(matched.stratum, weights=row), np.bincount(matched.stratum, weights=matched.side)
        )


def test_answers_to_one_prompt_stay_together_on_their_side() -> None:
    """Three answers a prompt and side: as blocks of three, at their mean length, and pairs are given up."""
    prompts = np.repeat(np.arange(60), 3)
    rng = np.random.default_rng(2)
    design = by_key(prompts, prompts, "prompt", rng)
    length = np.concatenate((10 + prompts % 4, 12 + prompts % 4)).astype(np.float64)
    matched = by_length(design, length[design.kept], rng)
    assert matched is not None
    assert set(np.bincount(matched.block)) == {3}
    both = np.concatenate((prompts, prompts))[matched.kept]
    assert all(np.unique(both[matched.block == block]).size == 1 for block in range(matched.side.size))
    assert matched.described == "prompts, swapped among equal lengths"


def scored(n: int, length: int, seed: int, shift: float = 0.0) -> tuple[list[float], list[int]]:
    """Texts of about that many tokens, whose mean surprise has a spread that falls with their length."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(length, length + 20, n)
    return list(3.0 + shift + rng.normal(0, 1, n) * 2 / np.sqrt(lengths)), lengths.tolist()


def test_a_finding_says_that_and_how_many_texts_of_equal_length_were_compared() -> None:
    (a, la), (b, lb) = scored(400, 20, 0), scored(400, 28, 1)
    found = estimate(
        perplexity, pair(sample_of(["x"] * 400, nll=a, n_tokens=la), sample_of(["y"] * 400, nll=b, n_tokens=lb))
    )
    assert "length-matched" in found.notes
    assert found.n_baseline == found.n_generation < 400
    assert f"{found.n_baseline:,} of 400 a side" in found.explanation
    assert "swapped among equal lengths" in found.method


def test_a_change_of_length_alone_is_none_of_perplexity() -> None:
    """Half as long: the histogram is 1.4 times as wide; scipy's distance says how far that is from the other."""
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(3)
    lengths = rng.integers(5, 80, 2000), rng.integers(5, 30, 2000)
    nll = [3 + rng.normal(0, 1, 2000) * 2 / np.sqrt(each) for each in lengths]
    assert wasserstein_distance(*nll) > 0.1
    sides = [
        sample_of(["x"] * 2000, nll=list(x), n_tokens=k.tolist(), name=str(k[0]))
        for x, k in zip(nll, lengths, strict=True)
    ]
    found = estimate(perplexity, pair(*sides))
    assert found.value < 0.05
    assert found.high < 0.10
    assert found.p_value is not None
    assert found.p_value > 0.01


def test_words_stand_in_where_the_models_tokens_are_unknown() -> None:
    (a, _), (b, _) = scored(300, 20, 4), scored(300, 28, 5)
    rng = np.random.default_rng(6)
    texts = [[" ".join(["w"] * int(k)) for k in rng.integers(low, low + 8, 300)] for low in (4, 8)]
    found = estimate(perplexity, pair(sample(texts[0], nll=a), sample(texts[1], nll=b)))
    assert "length-matched" in found.notes


def test_sides_without_a_length_in_common_are_not_compared() -> None:
    (a, la), (b, lb) = scored(100, 10, 7), scored(100, 60, 8)
    sides = [sample_of(["x"] * 100, nll=x, n_tokens=k, name=str(k)) for x, k in ((a, la), (b, lb))]
    (found,) = perplexity(pair(*sides))
    assert not getattr(found, "neutral", True)
    assert reason(perplexity, pair(*sides)).startswith("the two sides are not equally long: only 0 of 100 texts a side")
