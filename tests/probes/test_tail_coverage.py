"""CA202: distinct types by sets, vanished types by loops, chance by the hypergeometric law."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from builders import estimate, pair, reason, sample, spell
from scipy.stats import hypergeom

from collapse_audit.probes.tail_coverage import tail_coverage

ZIPF = 1 / (np.arange(1, 2001) + 2.7)
ZIPF /= ZIPF.sum()


def texts(n: int, seed: int, *, gamma: float = 1.0, length: int = 20, vocabulary: int = 2000) -> list[str]:
    p = ZIPF[:vocabulary] ** gamma
    return spell(np.random.default_rng(seed).choice(vocabulary, size=(n, length), p=p / p.sum()))


def distinct(rows: list[str]) -> int:
    return len({word for row in rows for word in row.split()})


def test_the_value_is_the_ratio_of_distinct_words() -> None:
    baseline, generation = texts(50, 1), texts(50, 2, gamma=1.3)
    found = estimate(tail_coverage, pair(baseline, generation))
    assert found.raw["distinct_baseline"] == distinct(baseline)
    assert found.raw["distinct_generation"] == distinct(generation)
    assert found.value == pytest.approx(distinct(generation) / distinct(baseline), rel=1e-12)


def test_sharpening_and_drift_both_lose_types() -> None:
    """p^gamma thins the tail; resampling 30 texts for good (Wright-Fisher) makes types vanish at unchanged mass."""
    sharpened = [estimate(tail_coverage, pair(texts(150, 3), texts(150, 4, gamma=g))).value for g in (1.0, 1.2, 1.6)]
    assert sharpened == sorted(sharpened, reverse=True)
    pool = [word for row in texts(30, 5) for word in row.split()]
    drifted = [" ".join(np.random.default_rng(6 + i).choice(pool, 20)) for i in range(150)]
    found = estimate(tail_coverage, pair(texts(150, 3), drifted, permutations=999))
    assert found.value < 0.5
    assert found.p_value == 0.001
    assert found.high < 0.9


def test_frequent_types_that_vanished_are_counted_and_named_the_most_frequent_first() -> None:
    baseline = ["common gone also"] * 12 + ["common gone rest"] * 8 + ["common four x"] * 4 + ["common x x"] * 16
    generation = ["common x rest"] * 40
    found = estimate(tail_coverage, pair(baseline, generation))
    assert [entry["term"] for entry in found.evidence] == ["gone", "also"]  # "four" stood in four texts only
    assert found.raw["vanished_types"] == 2
    assert found.evidence[0] == {
        "kind": "vanished",
        "term": "gone",
        "baseline_documents": 20,
        "generation_documents": 0,
    }


def test_vanishing_by_chance_is_hypergeometric() -> None:
    """A type of f texts falls wholly on the baseline's n of N texts with chance C(n, f)/C(N, f): hypergeom.pmf(f)."""
    baseline, generation = texts(40, 7), texts(40, 8)
    frequency = Counter(word for row in (*baseline, *generation) for word in set(row.split()))
    expected = sum(hypergeom.pmf(f, 80, f, 40) for f in frequency.values() if f >= 5)
    raw = estimate(tail_coverage, pair(baseline, generation)).raw
    assert raw["vanished_types_by_chance"] == pytest.approx(expected, rel=1e-9)


def test_unique_patterns_are_shares_at_equal_n() -> None:
    baseline = [f"Nodule {i} mm" for i in range(60)]  # one pattern
    generation = [f"text {'abcdefghij'[i % 10]} {i}" for i in range(30)]  # ten patterns
    raw = estimate(tail_coverage, pair(baseline, generation)).raw
    assert raw["unique_patterns_baseline"] == pytest.approx(1 / 30)
    assert raw["unique_patterns_generation"] == pytest.approx(10 / 30)


def test_shorter_texts_are_compared_at_equal_length() -> None:
    """Half as long texts of the same words hold fewer types, but have lost none."""
    found = estimate(tail_coverage, pair(texts(150, 9, length=30), texts(150, 10, length=15)))
    assert found.notes == ("length-matched",)
    assert 0.9 < found.value < 1.1


def test_groups_of_unequal_size_are_compared_at_equally_many_documents() -> None:
    """Fifty patients with three texts each beside fifty with one: nothing is lost."""
    baseline = sample(texts(150, 11), groups=[f"b{i // 3}" for i in range(150)])
    generation = sample(texts(50, 12), groups=[f"g{i}" for i in range(50)])
    for pair_of in (pair(baseline, generation), pair(generation, baseline)):
        found = estimate(tail_coverage, pair_of)
        assert (found.n_baseline, found.n_generation) == (50, 50)
        assert 0.9 < found.value < 1.1


def test_the_documents_of_a_vanished_term_are_documents_also_among_groups() -> None:
    groups = [f"p{i // 4}" for i in range(80)]
    rows = texts(80, 13, vocabulary=20)
    sides = (
        sample([f"zebra {row}" for row in rows], groups=groups),
        sample(rows, groups=[f"q{group}" for group in groups]),
    )
    [zebra] = [e for e in estimate(tail_coverage, pair(*sides)).evidence if e["term"] == "zebra"]
    # 20 patients with four texts each: as groups or as documents, but the field says which.
    assert zebra.get("baseline_documents", 80) == 80


def test_no_vanished_term_of_fewer_than_five_documents_is_shown_and_none_without_evidence() -> None:
    baseline = ["x Four y z"] * 4 + [f"x Once{i} y z" for i in range(10)] + ["x Five y z"] * 5 + ["x y z"] * 21
    generation = ["x y z"] * 40
    assert [e["term"] for e in estimate(tail_coverage, pair(baseline, generation)).evidence] == ["Five"]
    assert estimate(tail_coverage, pair(baseline, generation, evidence="none")).evidence == ()


def test_a_baseline_without_a_token_is_not_measured() -> None:
    assert reason(tail_coverage, pair([" "] * 12, ["a"] * 12)) == "the baseline holds no tokens"


def test_an_empty_generation_has_lost_everything() -> None:
    """Half a type in place of none, against all words of the baseline: what degenerated dictates no cut."""
    rows = texts(30, 14)
    found = estimate(tail_coverage, pair(rows, [""] * 30, permutations=999))
    assert found.value == pytest.approx(0.5 / len({word for row in rows for word in row.split()}))
    assert found.p_value == 0.001
    assert found.high < 0.9


def cased(rows: list[str], capitals: float, seed: int) -> list[str]:
    """Sentences: a capital at the start, and at a share of the other words."""
    draw = np.random.default_rng(seed)
    return [
        " ".join(
            word.capitalize() if at == 0 or draw.random() < capitals else word for at, word in enumerate(row.split())
        )
        for row in rows
    ]


@pytest.mark.parametrize("written", [str.lower, str.upper])
def test_words_that_change_their_case_are_not_lost(written: Callable[[str], str]) -> None:
    baseline, generation = cased(texts(300, 11), 0.2, 1), cased(texts(300, 12), 0.2, 2)
    found = estimate(tail_coverage, pair(baseline, [written(text) for text in generation]))
    lower = [[text.lower() for text in side] for side in (baseline, generation)]
    assert found.raw["distinct_baseline"] == distinct(lower[0])
    assert found.value == pytest.approx(distinct(lower[1]) / distinct(lower[0]), rel=1e-12)
    assert 0.95 < found.value < 1.05
    assert found.notes == ("case-folded",)


def test_words_that_are_lost_with_their_case_are_found_all_the_same() -> None:
    baseline = cased(texts(300, 11), 0.2, 1)
    found = estimate(tail_coverage, pair(baseline, texts(300, 12, vocabulary=700)))
    assert found.notes == ("case-folded",)
    assert found.high < 0.9


def test_case_counts_where_texts_are_written_with_it() -> None:
    """Both sides write capitals, as people do: "The" and "the" stay two types, as every token is counted."""
    baseline, generation = cased(texts(300, 11), 0.2, 1), cased(texts(300, 12), 0.2, 2)
    found = estimate(tail_coverage, pair(baseline, generation))
    assert found.raw["distinct_baseline"] == distinct(baseline)
    assert found.notes == ()


def test_whether_case_counts_does_not_depend_on_the_side() -> None:
    """The decision looks at both sides together, so that swapping them turns the ratio round and nothing else."""
    baseline, generation = cased(texts(200, 11), 0.2, 1), [text.lower() for text in texts(200, 12)]
    one = estimate(tail_coverage, pair(baseline, generation))
    other = estimate(tail_coverage, pair(generation, baseline))
    assert one.notes == other.notes == ("case-folded",)
    assert one.raw["distinct_baseline"] == other.raw["distinct_generation"]
