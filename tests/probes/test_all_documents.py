"""Whole corpora compared by counts: the same estimates as of documents one by one, and exact tests."""

from __future__ import annotations

from itertools import combinations
from math import comb, log

import numpy as np
import pytest
from builders import batches, estimate, pair, sample
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from collapse_audit.probes.diversity import diversity
from collapse_audit.probes.integrity import integrity
from collapse_audit.probes.label_coverage import label_coverage
from collapse_audit.probes.length import length
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.all_documents import compare_copies, compare_means, jackknife_error, unique_share
from collapse_audit.probes.statistics.estimates import jackknife
from collapse_audit.probes.statistics.ranks import weights_of_counted, weights_of_highest
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured
from collapse_audit.probes.text.census import census
from collapse_audit.probes.text.draw import draw
from collapse_audit.probes.text.sample import Sample, sample_of
from collapse_audit.probes.text.tokens import WORDS

N = 400


def thinned(texts: list[str], *, most: int, name: str = "s", **columns: object) -> Sample:
    """As an audit reads a corpus of more than ``most`` documents."""

    def count(table):
        return census(table, "words", 0)

    drawn = draw(batches(texts, **columns), most=most, seed=0, count=count)  # type: ignore[arg-type]
    assert drawn.left_out is not None
    whole = (drawn.left_out + count(drawn.table)).settled()
    return sample_of(drawn, name=name, digest=name, tokenizer=WORDS, whole=whole)


def texts(seed: int, *, empty: float, copied: float, longest: int = 30) -> list[str]:
    rng = np.random.default_rng(seed)
    made = []
    for number in range(N):
        kind = rng.random()
        words = " ".join(f"w{number}x{i}" for i in range(rng.integers(3, longest)))
        made.append("" if kind < empty else "copied text" if kind < empty + copied else words)
    return made


@pytest.fixture(scope="module")
def sides() -> tuple[Pair, Pair]:
    """The same two corpora: drawn, with counts over all; and all in memory."""
    before, after = texts(1, empty=0.02, copied=0.05), texts(2, empty=0.05, copied=0.15, longest=20)
    drawn = pair(thinned(before, most=100, name="before"), thinned(after, most=100, name="after"), unit="document")
    return drawn, pair(sample(before, name="before"), sample(after, name="after"), unit="document")


@pytest.mark.parametrize(
    ("probe", "statistic"),
    [(integrity, "empty"), (length, "mean-length"), (length, "long-texts"), (diversity, "duplicates")],
)
def test_counts_give_the_values_and_intervals_of_all_documents_one_by_one(
    sides: tuple[Pair, Pair], probe, statistic: str
) -> None:
    counted, one_by_one = (estimate(probe, each, statistic) for each in sides)
    assert (counted.n_baseline, counted.n_generation) == (N, N)
    assert "all documents counted" in counted.method
    for what in ("value", "low", "high"):
        assert getattr(counted, what) == pytest.approx(getattr(one_by_one, what), rel=1e-9, abs=1e-12), what


def test_where_the_sample_is_everything_or_documents_are_no_units_nothing_is_taken_from_counts(
    sides: tuple[Pair, Pair],
) -> None:
    drawn, everything = sides
    assert everything.whole is None
    assert drawn.whole is not None
    groups = [f"g{number % 40}" for number in range(N)]
    grouped = [thinned(texts(seed, empty=0.1, copied=0.1), most=100, name=str(seed), groups=groups) for seed in (1, 2)]
    assert pair(*grouped).whole is None


def test_every_class_is_counted_over_all_documents() -> None:
    """A class of 30 in 4,000 texts, of which 100 are drawn, is lost: exact bounds of 0 of 4,000 against 30 of 4,000."""
    n = 4000
    plain = [f"text {number}" for number in range(n)]
    before = [["rare"] if number < 30 else ["common"] for number in range(n)]
    sides = [
        thinned(plain, most=100, name=name, labels=labels)
        for name, labels in (("before", before), ("after", [["common"]] * n))
    ]
    found = estimate(label_coverage, pair(*sides, labels="field"))
    assert (found.n_baseline, found.n_generation, found.value) == (n, n, 0.0)
    assert found.p_value == pytest.approx(2 * comb(2 * n - 30, n) / comb(2 * n, n), rel=1e-6)  # two classes are tested
    # 0 of 30 by a binomial of odds 1: its upper bound p solves (1 - p)^30 = .05.
    p = 1 - 0.05 ** (1 / 30)
    assert found.high == pytest.approx(p / (1 - p))


def test_the_test_of_a_share_is_the_hypergeometric_one() -> None:
    """3 of 40 against 12 of 60: as many or more among the 60, by chance. 4 Monte Carlo standard errors."""
    counts = np.array([[37, 3], [48, 12]])
    found = compare_means(
        np.array([0.0, 1.0]), counts, permutations=9999, rng=np.random.default_rng(1), scale="linear", worse="higher"
    )
    assert isinstance(found, Estimate)
    exact = hypergeom(100, 15, 60).sf(11)
    assert found.p_value == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 9999) ** 0.5)
    assert found.value == pytest.approx(12 / 60 - 3 / 40)


def test_equal_corpora_are_rejected_as_often_as_alpha_says() -> None:
    """600 pairs of 200 and 300 lengths out of one law: rejections at .05 are binomial (1e-4 quantiles: 13, 52)."""
    rng = np.random.default_rng(5)
    rejected = 0
    for _ in range(600):
        sides = [np.bincount(rng.poisson(6, n), minlength=30) for n in (200, 300)]
        found = compare_means(np.arange(30.0), np.stack(sides), permutations=99, rng=rng, scale="log", worse="lower")
        assert isinstance(found, Estimate)
        assert found.p_value is not None
        rejected += found.p_value <= 0.05
    assert 13 <= rejected <= 52


def test_a_ratio_to_nothing_is_not_measured_and_nothing_left_has_an_interval() -> None:
    rng = np.random.default_rng(0)
    empty, full = np.array([[20, 0], [5, 15]]), np.array([[5, 15], [20, 0]])
    details = {"permutations": 99, "rng": rng, "scale": "log", "worse": "lower"}
    assert isinstance(compare_means(np.array([0.0, 4.0]), empty, **details), NotMeasured)  # type: ignore[arg-type]
    lost = compare_means(np.array([0.0, 4.0]), full, **details)  # type: ignore[arg-type]
    assert isinstance(lost, Estimate)
    assert lost.value == pytest.approx((2 / 20) / (60 / 20))  # half an occurrence of 4 among 20


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
def test_the_share_of_distinct_texts_among_m_is_its_mean_over_all_choices_of_m(times, data) -> None:
    documents = [text for text, count in enumerate(times) for _ in range(count)]
    m = data.draw(st.integers(1, len(documents)))
    chosen = [len(set(some)) / m for some in combinations(documents, m)]
    values, counts = np.unique(times, return_counts=True)
    assert unique_share(values.astype(float), counts.astype(float), m=m) == pytest.approx(np.mean(chosen))


def test_copies_among_unlike_numbers_of_documents_are_compared_at_the_smaller_one() -> None:
    """The same law on both sides, 300 documents and 900: 100 texts, each as likely as any other. Distinct among 300 is
    100 (1 - .99^300) in expectation; McDiarmid's bound with both n by hand."""
    rng = np.random.default_rng(3)
    tallies = []
    for n in (300, 900):
        times = np.unique(rng.integers(0, 100, n), return_counts=True)[1]
        values, counts = np.unique(times, return_counts=True)
        tallies.append((values.astype(float), counts.astype(float)))
    found = compare_copies(*tallies)
    assert found.raw["unique_share_generation"] == pytest.approx(100 * (1 - 0.99**300) / 300, abs=0.01)
    rise = max(found.value, 0.0)
    assert found.p_value is not None
    assert log(found.p_value) == pytest.approx(-2 * rise**2 / (1 / 300 + 1 / 900))


def test_the_error_of_a_share_of_copies_is_the_jackknife_of_leaving_documents_out_one_by_one() -> None:
    documents = [0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8]
    times = np.unique(documents, return_counts=True)[1]
    values, counts = (x.astype(float) for x in np.unique(times, return_counts=True))
    m = 5

    def share(some: list[int]) -> float:
        return float(np.mean([len(set(few)) / m for few in combinations(some, m)]))

    without = np.array([share(documents[:at] + documents[at + 1 :]) for at in range(len(documents))])
    influence = jackknife(share(documents), without)
    by_hand = float((influence**2).sum() * len(documents) / (len(documents) - 1)) ** 0.5
    assert jackknife_error(values, counts, m=m) == pytest.approx(by_hand)


def test_weights_of_lengths_are_those_of_documents() -> None:
    rng = np.random.default_rng(2)
    for n in (1, 4, 9, 5000):
        lengths = rng.poisson(40, n).astype(float)
        _, place, times = np.unique(lengths, return_inverse=True, return_counts=True)
        assert weights_of_counted(times, 0.2)[place] == pytest.approx(weights_of_highest(lengths, 0.2), abs=1e-9)
