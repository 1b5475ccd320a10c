"""CA102 against a second implementation: counts by Counter, KL from scipy's rel_entr, the error by derivative."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from builders import estimate, pair, reason, sample
from scipy.special import rel_entr
from scipy.stats import entropy

from collapse_audit.probes.label_divergence import NO_LABEL, joined, label_divergence
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import Estimate, Z
from collapse_audit.probes.text.labels import label_rule

Rows = list[list[str]]


def labelled(baseline: Rows, generation: Rows, **details: object) -> Pair:
    return pair(
        sample([f"b{i}" for i in range(len(baseline))], labels=baseline),
        sample([f"g{i}" for i in range(len(generation))], labels=generation),
        labels="field",
        **details,  # type: ignore[arg-type]
    )


def drawn(n: int, seed: int, shares: dict[str, float]) -> Rows:
    """n texts that carry each label with its own chance, independently: some none, some several."""
    rng = np.random.default_rng(seed)
    return [[label for label, share in shares.items() if rng.random() < share] for _ in range(n)]


def kl(p_rows: Rows, q_rows: Rows) -> float:
    """KL of exploded labels with ∅ for none, counts plus a half, over all labels that either side carries."""
    counts = [Counter(label for row in rows for label in (set(row) or {NO_LABEL})) for rows in (p_rows, q_rows)]
    names = [*sorted({label for rows in (p_rows, q_rows) for row in rows for label in row}), NO_LABEL]
    p, q = (np.array([count[name] for name in names]) + 0.5 for count in counts)
    return float(rel_entr(p / p.sum(), q / q.sum()).sum())


BASE = {"A": 0.5, "B": 0.3, "C": 0.1}


def test_the_value_is_kl_less_its_mean_over_the_relabellings() -> None:
    baseline, generation = drawn(40, 1, BASE), drawn(40, 2, {"A": 0.6, "B": 0.1, "D": 0.1})
    comparison = labelled(baseline, generation, permutations=39)
    rows = [*baseline, *generation]
    values = [
        kl(*([row for row, label in zip(rows, labels, strict=True) if label == which] for which in (0, 1)))
        for labels in comparison.relabellings
    ]
    found = estimate(label_divergence, comparison)
    assert found.value == pytest.approx(values[0] - np.mean(values[1:]), abs=1e-12)
    assert found.raw["kl_baseline_generation"] == pytest.approx(values[0], abs=1e-12)
    assert found.raw["kl_generation_baseline"] == pytest.approx(kl(generation, baseline), abs=1e-12)
    assert found.p_value == pytest.approx(sum(value >= values[0] - 1e-12 for value in values) / 40)


@pytest.mark.parametrize("paired", [False, True])
def test_the_error_is_the_linearised_one_by_numerical_derivative(paired: bool) -> None:
    """Weight text k by 1 + h. The probe leaves the added halves out of its totals: 4 x .5 of some 400, hence 1%."""
    baseline, generation = drawn(300, 3, BASE), drawn(300, 4, {"A": 0.9, "B": 0.05, "C": 0.3})
    generation[::3] = baseline[::3]  # every third answer is the same: the two sides of a prompt belong together
    names = ["A", "B", "C", NO_LABEL]
    carried = np.array(
        [[name in (row or [NO_LABEL]) for name in names] for row in [*baseline, *generation]], dtype=float
    )

    def divergence(weights: np.ndarray) -> float:
        p, q = (weights[part] @ carried[part] + 0.5 for part in (slice(0, 300), slice(300, 600)))
        return float(rel_entr(p / p.sum(), q / q.sum()).sum())

    influence = np.empty(600)
    for k in range(600):
        nudge = np.zeros(600)
        nudge[k] = 1e-4
        influence[k] = (divergence(1 + nudge) - divergence(1 - nudge)) / 2e-4
    # Two answers to a prompt are one unit: their influences add up, signs and all.
    units = [influence[:300] + influence[300:]] if paired else [influence[:300], influence[300:]]
    expected = math.sqrt(sum(300 / 299 * ((part - part.mean()) ** 2).sum() for part in units))
    prompts = [f"p{i}" for i in range(300)] if paired else None
    sides = [sample(["t"] * 300, labels=rows, prompts=prompts) for rows in (baseline, generation)]
    found = estimate(label_divergence, pair(*sides, labels="field"))
    assert (found.high - found.value) / Z == pytest.approx(expected, rel=0.01)


def test_the_counts_explode_several_labels_and_count_texts_without_any() -> None:
    found = estimate(label_divergence, labelled([["A", "B"], ["A"], []] * 5, [["A"], [], []] * 5))
    assert found.raw["labels_baseline"] == {"A": 10, "B": 5, NO_LABEL: 5}
    assert found.raw["labels_generation"] == {"A": 5, "B": 0, NO_LABEL: 10}


def test_a_label_called_like_the_absence_of_labels_keeps_its_own_count() -> None:
    raw = estimate(label_divergence, labelled([[NO_LABEL]] * 8 + [[]] * 4, [[NO_LABEL]] * 12)).raw
    assert sorted(raw["labels_baseline"].values()) == [4, 8]
    assert sorted(raw["labels_generation"].values()) == [0, 12]


def test_losing_a_class_and_gaining_unlabelled_texts_both_raise_the_value() -> None:
    whole = drawn(200, 5, BASE)
    values = [
        estimate(label_divergence, labelled(whole, drawn(200, 6, shares))).value
        for shares in (BASE, {"A": 0.5, "B": 0.3, "C": 0.0}, {"A": 0.5, "B": 0.0, "C": 0.0}, {"A": 0.05})
    ]
    assert values == sorted(values)
    assert values[-1] > 0.2


def test_the_same_labels_on_both_sides_have_nothing_against_them() -> None:
    rows = drawn(60, 7, BASE)
    found = estimate(label_divergence, labelled(rows, rows[::-1]))
    assert found.raw["kl_baseline_generation"] == pytest.approx(0.0, abs=1e-12)
    assert found.p_value == 1.0
    assert found.value < 0


def test_a_single_label_everywhere_does_not_pass_at_a_small_n() -> None:
    """12 texts with the one label on each side: 0 of 12 others may still be 3 of 12 (a KL of -ln .75 = .29)."""
    small = estimate(label_divergence, labelled([["A"]] * 12, [["A"]] * 12))
    assert small.value == pytest.approx(0.0, abs=1e-12)
    assert small.high >= -math.log(1 - 3 / 12) * 0.9
    large = estimate(label_divergence, labelled([["A"]] * 2000, [["A"]] * 2000))
    assert large.high < 0.05


@pytest.mark.parametrize("labels", [[[]] * 12, [None, *[[]] * 11]])
def test_labels_that_nobody_carries_are_not_measured(labels: list[list[str]]) -> None:
    assert reason(label_divergence, labelled(labels, [[]] * 12)) == "no text of either side carries a label"


def test_without_a_rule_there_are_no_labels() -> None:
    assert reason(label_divergence, pair(["a"] * 12, ["b"] * 12)) == "no labels"


def test_against_its_own_training_texts_the_upper_bound_comes_from_the_raw_kl() -> None:
    rows = drawn(60, 8, BASE), drawn(60, 9, BASE)
    fair, own = (estimate(label_divergence, labelled(*rows, trained_on_baseline=t)) for t in (False, True))
    assert own.high == pytest.approx(own.raw["kl_baseline_generation"] + (fair.high - fair.value), rel=1e-9)
    assert own.notes == ("one-sided",)


def test_thin_baseline_classes_are_mentioned() -> None:
    found = estimate(label_divergence, labelled([["A"]] * 18 + [["B"], ["C"]], [["A"]] * 20))
    assert "fewer than 3 baseline texts" in found.explanation


def test_without_evidence_no_label_is_named() -> None:
    found = estimate(label_divergence, labelled([["Secret"]] * 12, [["Other"]] * 12, evidence="none"))
    assert "Secret" not in repr(found)


def test_joining_keeps_every_text_and_names_only_labels_that_somebody_carries() -> None:
    rule = label_rule("field", classes=("A", "B", "unused"))
    assert rule is not None
    sides = [sample(["x"] * len(rows), labels=rows).labels(rule) for rows in ([["A"], []], [["B"], ["A", "B"]])]
    names, carried = joined(*sides)
    assert names == ("A", "B", NO_LABEL)
    assert carried.toarray().tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 1, 0]]


# How many labels there are in effect


def effective(baseline: Rows, generation: Rows, **details: object) -> Estimate:
    return estimate(label_divergence, labelled(baseline, generation, **details), "effective-labels")


def test_one_of_four_equal_labels_lost_leaves_three_quarters() -> None:
    four = [[label] for label in "ABCD" for _ in range(30)]
    three = [[label] for label in "ABC" for _ in range(40)]
    found = effective(four, three)
    assert found.value == pytest.approx(3 / 4)
    assert found.raw["effective_labels_baseline"] == pytest.approx(4)
    assert found.raw["effective_labels_generation"] == pytest.approx(3)
    assert found.p_value == 1 / 200


def test_two_labels_that_became_one_are_lost_and_new_names_are_not() -> None:
    four = [[label] for label in "ABCD" for _ in range(30)]
    merged = [["A" if label == "B" else label] for [label] in four]
    assert effective(four, merged).value == pytest.approx(2 ** (-1 / 2))  # H falls by half of ln 2
    assert effective(four, [[label.lower()] for [label] in four]).value == pytest.approx(1)


def test_effective_labels_are_scipys_entropy_and_exchanging_the_sides_inverts_them() -> None:
    baseline, generation = drawn(60, 5, BASE), drawn(60, 6, {"A": 0.6, "B": 0.2, "D": 0.1})
    counts = [Counter(label for row in rows for label in set(row)) for rows in (baseline, generation)]
    expected = math.exp(entropy(list(counts[1].values())) - entropy(list(counts[0].values())))
    assert effective(baseline, generation).value == pytest.approx(expected)
    assert effective(generation, baseline).value == pytest.approx(1 / expected)


def test_texts_without_a_label_leave_the_variety_of_labels_alone() -> None:
    rows = [[label] for label in "ABCD" for _ in range(30)]
    assert effective(rows, [row if number % 2 else [] for number, row in enumerate(rows)]).value == pytest.approx(1)


def test_a_baseline_of_one_label_has_no_variety_to_lose() -> None:
    comparison = labelled([["A"]] * 20, [["A"]] * 20)
    assert reason(label_divergence, comparison, "effective-labels") == "the texts of the baseline carry one label"
