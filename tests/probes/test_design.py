"""Who may swap places with whom: blocks, strata, relabellings and the standard errors that follow from them."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from builders import pair, sample
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from collapse_audit.probes.statistics.design import MIN_UNITS, Design, Kind, by_document, by_key


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def keyed(baseline: list[int], generation: list[int], kind: Kind, seed: int = 0) -> Design:
    return by_key(np.array(baseline), np.array(generation), kind, rng(seed))


def strata(design: Design) -> dict[int, tuple[int, int]]:
    """Blocks of the baseline and of the generation in every stratum."""
    return {
        int(s): (int((~design.side[design.stratum == s]).sum()), int(design.side[design.stratum == s].sum()))
        for s in np.unique(design.stratum)
    }


# Structure


def test_every_document_is_a_block_of_its_own_without_keys() -> None:
    design = by_document(3, 3, rng())
    assert design.kept.tolist() == [0, 1, 2, 3, 4, 5]
    assert design.block.tolist() == [0, 1, 2, 3, 4, 5]
    assert design.side.tolist() == [False] * 3 + [True] * 3
    assert strata(design) == {0: (3, 3)}
    assert not design.paired
    assert design.described == "documents"


def test_the_larger_side_is_thinned_to_the_smaller_at_random() -> None:
    seen: Counter[int] = Counter()
    for seed in range(400):
        design = by_document(10, 4, rng(seed))
        assert design.documents(False) == design.documents(True) == 4
        baseline = design.kept[design.kept < 10]
        assert sorted(design.kept[design.kept >= 10].tolist()) == [10, 11, 12, 13]
        assert baseline.size == np.unique(baseline).size == 4
        seen.update(baseline.tolist())
    # Every document is kept in Binomial(400, .4) draws: mean 160, sd 9.8; five sd allow for ten documents.
    assert all(abs(count - 160) < 5 * 9.8 for count in seen.values())
    assert len(seen) == 10


def test_a_group_moves_together_and_groups_of_one_side_share_a_stratum() -> None:
    design = keyed([7, 7, 8, 9], [1, 2, 2, 3, 3], "group")
    assert strata(design) == {0: (3, 3)}
    key = np.array([7, 7, 8, 9, 1, 2, 2, 3, 3])[design.kept]
    assert len(set(zip(key.tolist(), design.block.tolist(), strict=True))) == 6  # one block a group, one group a block
    assert design.described == "groups"


def test_groups_are_cut_to_equally_many_documents_a_side_largest_beside_largest() -> None:
    """Sizes 4, 2, 1 beside 3, 3, 1: each cut to the smaller of its rank, 3 + 2 + 1 documents a side."""
    design = keyed([1, 1, 1, 1, 2, 2, 3], [6, 7, 7, 7, 8, 8, 8], "group")
    assert strata(design) == {0: (3, 3)}
    sizes = np.bincount(design.block)
    for side in (False, True):
        assert design.documents(side) == 6
        assert sorted(sizes[design.side == side].tolist()) == [1, 2, 3]


def test_a_group_on_both_sides_is_a_stratum_of_two_blocks() -> None:
    design = keyed([1, 1, 2, 2, 2], [1, 2, 2], "group")
    assert sorted(strata(design).values()) == [(1, 1), (1, 1)]
    assert design.paired
    assert design.units == 2
    assert np.bincount(design.block).tolist() == [1, 1, 2, 2]  # 2 and 1 texts of patient 1, 3 and 2 of patient 2
    assert design.documents(False) == design.documents(True) == 3
    assert design.described == "groups, paired where both sides share them"


def test_answers_to_a_shared_prompt_are_swapped_one_by_one_and_equally_many_are_kept() -> None:
    design = keyed([1, 1, 1, 2], [1, 1, 2, 2], "prompt")
    assert sorted(strata(design).values()) == [(1, 1), (2, 2)]
    assert design.documents(False) == design.documents(True) == 3
    assert design.paired


def test_a_prompt_on_one_side_only_is_a_cluster() -> None:
    design = keyed([1, 5, 5, 5], [1, 6, 6, 6], "prompt")
    assert sorted(strata(design).values()) == [(1, 1), (1, 1)]
    lone = design.block[design.kept == 1][0]
    assert design.kept[design.block == lone].tolist() == [1, 2, 3]  # the three answers to prompt 5 move together


def test_shared_and_lone_keys_mix() -> None:
    design = keyed([1, 2, 3, 4], [1, 2, 7], "group")
    # Keys 1 and 2 are strata of their own; of {3, 4} one is kept beside 7.
    assert sorted(strata(design).values()) == [(1, 1), (1, 1), (1, 1)]
    assert design.documents(False) == design.documents(True) == 3
    assert design.units == 3


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.sampled_from(["group", "prompt"]),
    st.integers(0, 99),
)
def test_both_sides_keep_equally_many_blocks_of_every_stratum_and_nothing_crosses(
    baseline: list[int], generation: list[int], kind: Kind, seed: int
) -> None:
    design = keyed(baseline, generation, kind, seed)
    key = np.array(baseline + generation)[design.kept]
    on_generation = design.kept >= len(baseline)
    shared = set(baseline) & set(generation)
    assert all(b == g > 0 for b, g in strata(design).values())
    assert (design.side[design.block] == on_generation).all()
    assert np.array_equal(np.unique(design.block), np.arange(design.side.size))
    assert (np.diff(on_generation.astype(int)) >= 0).all()  # baseline documents first
    for block in range(design.side.size):
        [only] = set(key[design.block == block].tolist())
        if kind == "prompt" and only in shared:
            assert (design.block == block).sum() == 1
        if only in shared:
            members = set(key[design.stratum[design.block] == design.stratum[block]].tolist())
            assert members == {only}
    assert design.documents(False) == design.documents(True)
    sizes = np.bincount(design.block)
    for stratum in np.unique(design.stratum):
        of = design.stratum == stratum
        assert sorted(sizes[of & design.side].tolist()) == sorted(sizes[of & ~design.side].tolist())


def test_a_constant_prompt_is_ignored() -> None:
    both = [sample(["a", "b", "c"], prompts=["Continue:"] * 3, name=name) for name in ("b", "g")]
    assert pair(*both).design.kind == "document"


@pytest.mark.parametrize("keys", ["prompts", "groups"])
def test_a_constant_key_on_one_side_and_none_on_the_other_is_ignored_too(keys: str) -> None:
    """Human text without prompts beside answers to the one prompt "Continue:"."""
    constant: dict[str, Any] = {keys: ["Continue:"] * 20}
    texts = [f"t{i}" for i in range(20)]
    for sides in ((sample(texts, **constant), sample(texts)), (sample(texts), sample(texts, **constant))):
        assert pair(*sides).design.units == 20


def test_a_constant_group_is_ignored_and_prompts_then_count() -> None:
    both = [sample(["a", "b", "c"], prompts=["p", "q", "r"], groups=["one"] * 3) for _ in range(2)]
    design = pair(*both).design
    assert design.kind == "prompt"
    assert design.paired


def test_groups_come_before_prompts_and_one_side_is_enough() -> None:
    columns: dict[str, Any] = {"prompts": ["p", "q", "r"], "groups": ["x", "y", "z"]}
    assert pair(sample(["a", "b", "c"], **columns), sample(["a", "b", "c"], **columns)).design.kind == "group"
    bare = sample(["a", "b", "c"])
    assert pair(sample(["a", "b", "c"], **columns), bare).design.kind == "group"
    assert pair(bare, bare).design.kind == "document"


def test_a_document_without_a_group_stands_for_itself_and_the_others_keep_theirs() -> None:
    """Dropping all keys because of one missing made every null comparison of clustered texts fail."""
    groups: list[str | None] = [*(f"g{i // 10}" for i in range(119)), None]
    design = pair(
        sample(["a"] * 120, groups=groups), sample(["b"] * 120, groups=[f"h{i // 10}" for i in range(120)])
    ).design
    assert design.kind == "group"
    assert design.units == 12


# Relabellings


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=14),
    st.lists(st.integers(0, 5), min_size=1, max_size=14),
    st.sampled_from(["group", "prompt", "document"]),
    st.integers(1, 20),
)
def test_a_relabelling_keeps_the_number_of_blocks_a_side_in_every_stratum(
    baseline: list[int], generation: list[int], kind: Kind, count: int
) -> None:
    design = (
        by_document(len(baseline), len(generation), rng()) if kind == "document" else keyed(baseline, generation, kind)
    )
    drawn = design.relabellings(count, rng(1))
    assert drawn.shape == (count + 1, design.side.size)
    assert set(np.unique(drawn).tolist()) <= {0, 1}
    assert drawn[0].tolist() == design.side.tolist()  # the observed one
    for stratum in np.unique(design.stratum):
        kept = drawn[:, design.stratum == stratum].sum(axis=1)
        assert (kept == kept[0]).all()


def all_relabellings(design: Design) -> set[tuple[int, ...]]:
    """Every labelling that a permutation within strata can give, by enumeration."""
    choices = []
    for stratum in np.unique(design.stratum):
        members = np.flatnonzero(design.stratum == stratum)
        choices.append([set(chosen) for chosen in combinations(members, int(design.side[members].sum()))])
    return {
        tuple(int(block in set().union(*chosen)) for block in range(design.side.size)) for chosen in product(*choices)
    }


@pytest.mark.parametrize(
    "design",
    [
        by_document(3, 3, rng()),  # C(6, 3) = 20
        keyed([1, 2, 3, 4], [1, 2, 3, 4], "group"),  # 2^4 = 16
        keyed([1, 1, 2, 9, 8], [1, 1, 2, 6, 7], "prompt"),  # C(4, 2) 2 C(4, 2) = 72
    ],
    ids=["documents", "pairs", "mixed"],
)
def test_every_relabelling_is_equally_likely(design: Design) -> None:
    """Pearson's chi-square over all relabellings, R = 100 expected in each; limits at 1e-6 on both sides."""
    possible = all_relabellings(design)
    repeats = 100 * len(possible)
    drawn = Counter(tuple(row) for row in design.relabellings(repeats, rng(11))[1:].tolist())
    assert set(drawn) == possible
    statistic = sum((drawn[row] - 100) ** 2 / 100 for row in possible)
    assert chi2.ppf(1e-6, len(possible) - 1) < statistic < chi2.isf(1e-6, len(possible) - 1)


def test_relabellings_are_a_function_of_the_generator() -> None:
    design = by_document(8, 8, rng())
    assert (design.relabellings(9, rng(4)) == design.relabellings(9, rng(4))).all()
    assert (design.relabellings(9, rng(4)) != design.relabellings(9, rng(5))).any()


# Standard errors, each against its textbook formula


def mean_influence(values: npt.NDArray[np.float64], design: Design) -> npt.NDArray[np.float64]:
    """Influence of every block on mean(generation) - mean(baseline) of per-document ``values``, shape (D,)."""
    side = design.side[design.block]
    effect = np.where(side, values - values[side].mean(), 0.0) / side.sum()
    effect -= np.where(~side, values - values[~side].mean(), 0.0) / (~side).sum()
    return design.per_block(effect)


def test_documents_give_the_two_sample_standard_error() -> None:
    values = rng(2).gamma(2.0, size=80)
    design = by_document(40, 40, rng())
    # Welch: sqrt(s_b^2/n + s_g^2/m), with the n-1 of the sample variances.
    expected = math.sqrt(values[:40].var(ddof=1) / 40 + values[40:].var(ddof=1) / 40)
    assert design.standard_error(mean_influence(values, design)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["group", "prompt"])
def test_pairs_give_the_standard_error_of_their_differences(kind: Kind) -> None:
    n = 30
    prompt_effect = rng(3).normal(0, 5, n)
    baseline, generation = prompt_effect + rng(4).normal(size=n), prompt_effect + rng(5).normal(size=n)
    order = rng(6).permutation(n)  # the generation answers the prompts in another order
    design = keyed(list(range(n)), order.tolist(), kind)
    values = np.concatenate((baseline, generation[order]))
    expected = (generation - baseline).std(ddof=1) / math.sqrt(n)
    assert design.standard_error(mean_influence(values, design)) == pytest.approx(expected, rel=1e-12)
    # And it is far below the unpaired one, which pays for the prompts' spread: that is what pairing is for.
    assert expected < 0.4 * math.sqrt(baseline.var(ddof=1) / n + generation.var(ddof=1) / n)


def test_groups_of_one_side_give_the_cluster_robust_standard_error() -> None:
    """Var(mean of a side) = G/(G-1) sum over groups (sum of residuals)^2 / n^2 (Liang & Zeger 1986, one mean)."""
    sizes = np.tile(rng(7).integers(1, 5, size=12), 2)
    groups = np.repeat(np.arange(24), sizes)
    baseline, generation = groups[groups < 12], groups[groups >= 12]
    values = rng(8).normal(size=groups.size) + rng(9).normal(0, 2, size=24)[groups]
    design = keyed(baseline.tolist(), generation.tolist(), "group")
    assert design.documents(False) == baseline.size  # twelve groups of the same sizes a side: all take part
    expected = 0.0
    for members in (baseline, generation):
        of_side = values[np.isin(groups, members)]
        residual = of_side - of_side.mean()
        sums = [residual[members == group].sum() for group in np.unique(members)]
        expected += 12 / 11 * sum(total**2 for total in sums) / of_side.size**2
    assert design.standard_error(mean_influence(values, design)) == pytest.approx(math.sqrt(expected), rel=1e-12)


def test_few_answers_to_a_prompt_are_one_unit_together() -> None:
    """Two answers a side: the difference of a prompt's means is one draw, so the paired formula holds over prompts."""
    prompts = np.repeat(np.arange(15), 2)
    values = rng(12).normal(size=60)
    design = keyed(prompts.tolist(), prompts.tolist(), "prompt")
    means = values.reshape(2, 15, 2).mean(axis=2)
    expected = (means[1] - means[0]).std(ddof=1) / math.sqrt(15)
    assert design.units == 15
    assert design.standard_error(mean_influence(values, design)) == pytest.approx(expected, rel=1e-12)


def test_many_answers_to_fixed_prompts_give_the_stratified_standard_error() -> None:
    """Eight answers a side and prompt: prompts are fixed, Var = sum over cells (m/n)^2 s^2/m, m = 8 (Cochran)."""
    prompts = np.repeat(np.arange(3), 8)
    values = rng(13).normal(size=48) + np.tile(np.array([0.0, 10.0, -10.0])[prompts], 2)
    design = keyed(prompts.tolist(), prompts.tolist(), "prompt")
    cells = values.reshape(2, 3, 8)
    expected = math.sqrt(sum((8 / 24) ** 2 * cell.var(ddof=1) / 8 for cell in cells.reshape(6, 8)))
    assert design.units == 24
    assert design.standard_error(mean_influence(values, design)) == pytest.approx(expected, rel=1e-12)


def test_a_lone_pair_counts_with_all_of_its_influence() -> None:
    """Twelve groups a side and one more that both share: a pair of its own kind, so that it has no spread to go by."""
    design = keyed([99, *range(12)], [99, *range(20, 32)], "group")
    influence = rng(14).normal(size=design.side.size)
    shared = design.stratum != np.bincount(design.stratum).argmax()
    assert int(shared.sum()) == 2
    lone = float(influence[shared].sum() ** 2)
    others = sum(12 * float(influence[~shared & (design.side == side)].var(ddof=1)) for side in (False, True))
    assert design.standard_error(influence) == pytest.approx(math.sqrt(lone + others), rel=1e-12)


def test_there_is_no_standard_error_for_fewer_units_than_ten() -> None:
    for n in (MIN_UNITS - 1, MIN_UNITS):
        design = by_document(n, n, rng())
        assert math.isinf(design.standard_error(rng(1).normal(size=2 * n))) == (n < MIN_UNITS)
    clusters = keyed(np.repeat(np.arange(9), 50).tolist(), np.repeat(np.arange(9), 50).tolist(), "group")
    assert math.isinf(clusters.standard_error(rng(1).normal(size=18)))  # 450 texts of nine patients are nine units


def test_the_standard_error_holds_the_truth_as_often_as_it_says() -> None:
    """Coverage of +- 1.645 SE of a mean difference over clusters: nominal .90.

    1,000 normal pairs of 30 clusters a side: a t(58) law would cover .895; Binomial(1000, .895) has sd 9.7, so the
    count lies within 895 +- 39 in all but one of 10^4 seeds.
    """
    covered = 0
    groups = np.repeat(np.arange(60), 3)
    design = keyed(groups[:90].tolist(), groups[90:].tolist(), "group")
    for seed in range(1000):
        generator = rng(seed)
        values = generator.normal(size=180) + generator.normal(size=60)[groups]
        difference = values[90:].mean() - values[:90].mean()
        covered += abs(difference) <= 1.6448536 * design.standard_error(mean_influence(values, design))
    assert abs(covered - 895) <= 39


# Parts of a design


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=14),
    st.lists(st.integers(0, 5), min_size=2, max_size=14),
    st.sampled_from(["group", "prompt"]),
    st.data(),
)
def test_a_restricted_design_is_the_design_of_what_is_left(
    baseline: list[int], generation: list[int], kind: Kind, data: st.DataObject
) -> None:
    design = keyed(baseline, generation, kind)
    keep = np.array(
        data.draw(st.lists(st.booleans(), min_size=design.side.size, max_size=design.side.size)), dtype=bool
    )
    left = design.restricted(keep)
    assert left.kept.tolist() == design.kept[keep[design.block]].tolist()
    assert left.side.tolist() == design.side[keep].tolist()
    assert left.block.size == left.kept.size
    assert left.side.size == int(keep.sum())
    if keep.any():
        assert np.unique(left.block).size == left.side.size
        # Two blocks share a stratum, and a unit, after as before.
        for of in ("stratum", "unit"):
            before, after = getattr(design, of)[keep], getattr(left, of)
            assert ((before[:, None] == before) == (after[:, None] == after)).all()
        assert left.cell.size == np.unique(left.unit).size


def test_per_block_sums_over_the_documents_of_a_block() -> None:
    design = keyed([1, 1, 2], [3, 4, 4], "group")
    sums = {
        tuple(sorted(design.kept[design.block == block].tolist())): value
        for block, value in enumerate(design.per_block(np.array([1.0, 10.0, 100.0, 1e3, 1e4, 1e5])))
    }
    assert sums == {(0, 1): 11.0, (2,): 100.0, (3,): 1000.0, (4, 5): 110000.0}
