"""The label survival table, from findings written by hand; bounds against scipy's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from collapse_audit.reports.document import Finding, Outcome
from collapse_audit.run.overview.label_survival import clopper_pearson, survival


def row(label: str, before: int, after: int, status: str) -> dict[str, object]:
    return {
        "kind": "label",
        "label": label,
        "status": status,
        "baseline_count": before,
        "generation_count": after,
        "expected_count": before / 1000 * 500,
        "retained": (after / 500) / (before / 1000),
    }


def coverage(generation: int, *rows: dict[str, object], seed: str | None = None, gating: bool = True) -> Finding:
    return Finding(
        probe="label-coverage",
        code="CA203",
        statistic="retained-share",
        seed=seed,
        generation=generation,
        baseline="generation 0",
        gating=gating,
        outcome=Outcome.FAIL,
        value=0.0,
        unit="ratio",
        worse="lower",
        n_baseline=1000,
        n_generation=500,
        evidence=rows,
        reason="",
    )


def test_a_label_is_followed_through_the_generations_of_its_seed() -> None:
    first, second = survival(
        [
            coverage(0, row("a", 100, 50, "present"), gating=False),
            coverage(1, row("a", 100, 48, "present"), row("b", 20, 2, "depleted")),
            coverage(2, row("a", 100, 20, "depleted"), row("b", 20, 0, "lost")),
            coverage(3, row("a", 100, 45, "present"), row("b", 20, 0, "lost")),
        ]
    )
    assert (first.label, first.first_depleted, first.first_lost) == ("a", 2, None)
    assert (second.label, second.first_depleted, second.first_lost) == ("b", 1, 2)
    assert (second.baseline_count, second.baseline_n, second.baseline_share) == (20, 1000, 0.02)
    assert [at["count"] for at in second.generations] == [2, 0, 0]
    assert [at["generation"] for at in second.generations] == [1, 2, 3]
    # By hand: (1 - .02)^500 and 500 texts at a share of .02.
    assert second.generations[0]["chance_of_none"] == pytest.approx(0.98**500)
    assert second.generations[0]["expected"] == 10


def test_seeds_have_rows_of_their_own() -> None:
    rows = survival([coverage(1, row("a", 9, 9, "present"), seed=seed) for seed in ("0", "1")])
    assert [(one.seed, one.label) for one in rows] == [("0", "a"), ("1", "a")]


@pytest.mark.parametrize(("before", "seen"), [(1, False), (3, False), (20, True)])
def test_a_loss_can_be_told_from_chance_only_where_the_label_was_frequent_enough(before: int, seen: bool) -> None:
    """With none of 500 left, is the upper bound of the share retained under a half? The binomial bound by scipy."""
    (one,) = survival([coverage(1, row("a", before, 0, "untestable"))])
    high = stats.binomtest(0, before).proportion_ci(0.90, method="exact").high  # each end is a 95% bound
    retained = (high / (1 - high)) / (500 / 1000) if high < 1 else float("inf")
    assert one.generations[0]["could_be_seen"] is (retained < 0.5) is seen


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_bounds_of_a_share_are_scipys(counts: tuple[int, int]) -> None:
    expected = stats.binomtest(*counts).proportion_ci(0.90, method="exact")
    assert clopper_pearson(*counts) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_labels_no_table() -> None:
    assert survival([]) == ()
    assert survival([coverage(1)]) == ()
