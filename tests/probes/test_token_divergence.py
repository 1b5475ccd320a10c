"""CA101 against a second implementation: JS from scipy, KL from rel_entr, the error from numerical derivatives."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from builders import estimate, pair, sample, spell
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import NotMeasured, Z
from collapse_audit.probes.statistics.tables import COARSE_BLOCKS
from collapse_audit.probes.token_divergence import token_divergence

FloatArray = npt.NDArray[np.float64]

ZIPF = 1 / (np.arange(1, 301) + 2.7)
ZIPF /= ZIPF.sum()


def texts(n: int, seed: int, *, gamma: float = 1.0, length: int = 15) -> list[str]:
    """Documents of Zipf words, sharpened to p^gamma."""
    p = ZIPF**gamma
    return spell(np.random.default_rng(seed).choice(ZIPF.size, size=(n, length), p=p / p.sum()))


def coarse_counts(comparison: Pair) -> FloatArray:
    """Tokens of every coarse type, and of all others, in every document; shape (D, C + 1). By Counter."""
    documents = [text.split() for side in (False, True) for text in comparison.texts(side).to_pylist()]
    frequency = Counter(word for document in documents for word in set(document))
    kept = sorted(word for word, df in frequency.items() if df >= COARSE_BLOCKS)
    column = {word: k for k, word in enumerate(kept)}
    counts = np.zeros((len(documents), len(kept) + 1))
    for row, document in enumerate(documents):
        for word in document:
            counts[row, column.get(word, len(kept))] += 1
    return counts


def js(counts: FloatArray, weights: FloatArray, side: npt.NDArray[np.bool_]) -> float:
    p, q = (weights[which] @ counts[which] for which in (~side, side))
    return float(jensenshannon(p, q) ** 2)  # scipy normalises, and its distance is the root


def test_the_value_is_js_less_its_mean_over_the_relabellings() -> None:
    comparison = pair(texts(40, 1), texts(40, 2, gamma=1.3), permutations=29)
    counts = coarse_counts(comparison)
    values = [js(counts, np.ones(80), row.astype(bool)) for row in comparison.relabellings]
    found = estimate(token_divergence, comparison)
    assert found.value == pytest.approx(values[0] - np.mean(values[1:]), abs=1e-12)
    assert found.raw["js"] == pytest.approx(values[0], abs=1e-12)
    assert found.p_value == pytest.approx(sum(value >= values[0] - 1e-12 for value in values) / 30)
    assert found.raw["alike_p"] == pytest.approx(sum(value <= values[0] + 1e-12 for value in values) / 30)


@pytest.mark.parametrize("paired", [False, True])
def test_the_error_is_the_linearised_one_by_numerical_derivative(paired: bool) -> None:
    """Weight document k by 1 + h: the derivative of JS is its influence (all first-order, no formula shared).

    Two answers to a prompt are one unit: their influences add up, signs and all.
    """
    prompts = [f"p{i}" for i in range(60)] if paired else None
    sides = [sample(texts(60, 3 + k, gamma=gamma), prompts=prompts) for k, gamma in enumerate((1.0, 1.6))]
    comparison = pair(*sides, permutations=49)
    counts, h = coarse_counts(comparison), 1e-5
    block = comparison.design.block  # blocks are not in the order of the documents where keys decide
    side = comparison.design.side[block]
    influence = np.empty(120)
    for k in range(120):
        up, down = np.ones(120), np.ones(120)
        up[k] += h
        down[k] -= h
        influence[k] = (js(counts, up, side) - js(counts, down, side)) / (2 * h)
    units = [influence[:60] + influence[60:]] if paired else [influence[:60], influence[60:]]
    by_hand = math.sqrt(sum(60 / 59 * ((part - part.mean()) ** 2).sum() for part in units))
    spread = np.std([js(counts, np.ones(120), row[block].astype(bool)) for row in comparison.relabellings[1:]])
    assert by_hand > spread  # a clear change: the linearised error decides
    found = estimate(token_divergence, comparison)
    assert (found.high - found.value) / Z == pytest.approx(by_hand, rel=1e-6)
    assert (found.value - found.low) / Z == pytest.approx(by_hand, rel=1e-6)


def test_where_nothing_moved_the_spread_of_the_relabellings_is_the_error() -> None:
    rows = texts(30, 5)
    comparison = pair(rows, [*reversed(rows)], permutations=99)
    counts = coarse_counts(comparison)
    spread = np.std([js(counts, np.ones(60), row.astype(bool)) for row in comparison.relabellings[1:]])
    found = estimate(token_divergence, comparison)
    assert found.raw["js"] == pytest.approx(0.0, abs=1e-12)
    assert found.value < 0  # more alike than chance makes them
    assert found.p_value == 1.0
    assert (found.value - found.low) / Z == pytest.approx(spread, rel=1e-9)


def test_the_familiar_kl_is_the_add_half_one_both_ways() -> None:
    comparison = pair(texts(40, 6), texts(40, 7, gamma=1.3))
    counts = coarse_counts(comparison)
    p, q = ((counts[rows].sum(axis=0) + 0.5) for rows in (slice(0, 40), slice(40, 80)))
    p, q = p / p.sum(), q / q.sum()
    raw = estimate(token_divergence, comparison).raw
    assert raw["kl_baseline_generation"] == pytest.approx(rel_entr(p, q).sum(), abs=1e-12)
    assert raw["kl_generation_baseline"] == pytest.approx(rel_entr(q, p).sum(), abs=1e-12)
    assert raw["kl_smoothing"] == 0.5
    assert raw["vocabulary"] == counts.shape[1]
    assert raw["tokens_baseline"] == raw["tokens_generation"] == 40 * 15
    for way in ("kl_baseline_generation", "kl_generation_baseline"):
        assert raw[f"{way}_less_bias"] < raw[way]  # sampling alone makes it positive


def test_more_sharpening_is_a_larger_value() -> None:
    values = [
        estimate(token_divergence, pair(texts(150, 8), texts(150, 9, gamma=g))).value for g in (1.0, 1.3, 1.7, 2.5)
    ]
    assert values == sorted(values)
    assert values[-1] > 0.1


def test_a_sharpened_generation_is_significant_and_its_lower_bound_positive() -> None:
    found = estimate(token_divergence, pair(texts(150, 10), texts(150, 11, gamma=1.6), permutations=999))
    assert found.p_value == 0.001
    assert found.low > 0.01


@pytest.mark.parametrize(
    ("baseline", "generation", "blamed"),
    [("a b c", " ", "generation"), ("", "a b c", "baseline"), ("", "", "baseline")],
)
def test_a_side_without_a_token_is_not_measured(baseline: str, generation: str, blamed: str) -> None:
    found, _ = token_divergence(pair([baseline] * 12, [generation] * 12))
    assert isinstance(found, NotMeasured)
    assert found.reason == f"no text of the {blamed} holds a token"
    assert not found.neutral  # it is no pass either


@pytest.mark.parametrize("width", [1, 2, 4])
def test_two_corpora_that_share_no_frequent_word_never_pass(width: int) -> None:
    """Every word stands in one text: JS is the same under every relabelling, so it says nothing at all."""
    sides = [[" ".join(f"{name}{i}x{j}" for j in range(width)) for i in range(40)] for name in "bg"]
    found = token_divergence(pair(*sides))[0]
    # Either not measured, or with an upper bound that no margin of at most ln 2 contains.
    assert getattr(found, "high", math.inf) >= math.log(2)


# One-sided comparisons


def test_against_its_own_training_texts_the_upper_bound_comes_from_the_raw_js() -> None:
    sides = texts(60, 12), texts(60, 13)
    fair = estimate(token_divergence, pair(*sides))
    own = estimate(token_divergence, pair(*sides, trained_on_baseline=True))
    assert own.value == fair.value
    assert own.low == fair.low
    error = (fair.high - fair.value) / Z
    assert own.high == pytest.approx(own.raw["js"] + Z * error, rel=1e-9)
    assert own.high > fair.high
    assert own.notes == ("one-sided",)
    assert fair.notes == ()
    assert "upper bound from the raw JS" in own.explanation
    assert "nothing is trained on" in own.explanation  # the cure
    assert own.can_fail  # what is bad even so is bad


def test_a_one_sided_pass_needs_more_documents_than_a_fair_one() -> None:
    sides = texts(60, 12), texts(60, 13)
    fair, own = (estimate(token_divergence, pair(*sides, trained_on_baseline=t)).n_needed for t in (False, True))
    assert fair is not None
    assert own is not None
    assert own(0.01) > fair(0.01)


# Evidence


def named(comparison: Pair) -> list[str]:
    return [str(entry["term"]) for entry in estimate(token_divergence, comparison).evidence]


def test_the_evidence_names_the_terms_that_moved_most_with_their_shares() -> None:
    baseline = ["the cat sat on the mat"] * 10 + ["a dog barked at the moon"] * 10
    generation = ["the cat sat on the mat"] * 20
    evidence = estimate(token_divergence, pair(baseline, generation)).evidence
    assert {str(entry["term"]) for entry in evidence} >= {"a", "dog", "barked", "at", "moon"}
    dog = next(entry for entry in evidence if entry["term"] == "dog")
    assert dog == {"kind": "term", "term": "dog", "baseline": 10 / 120, "generation": 0.0}
    assert "the" not in {entry["term"] for entry in evidence if entry["baseline"] == entry["generation"]}


@pytest.mark.parametrize("filler", ["x", "x y z w"])
def test_no_term_of_fewer_than_five_documents_is_ever_shown(filler: str) -> None:
    """Names that stand in four texts of one side each: in short texts and in long ones."""
    secret = [f"{filler} Secret{i}" for i in range(10)] + [f"{filler} Fourfold"] * 4
    baseline, generation = [*secret, *[filler] * 26], [f"{filler} v"] * 40
    for one, other in ((baseline, generation), (generation, baseline)):
        shown = named(pair(one, other))
        assert shown
        assert not {term for term in shown if term.startswith(("Secret", "Fourfold"))}


def test_without_evidence_no_term_is_shown() -> None:
    assert named(pair(["a b c"] * 20, ["d e f"] * 20, evidence="none")) == []


def test_groups_are_resampled_whole() -> None:
    """Twelve patients with five copies of one text each: 12 units a side, and the finding says groups."""
    groups = [f"p{i // 5}" for i in range(60)]
    rows = texts(24, 14)
    sides = [
        sample([rows[start + i // 5] for i in range(60)], groups=[f"{start}{g}" for g in groups]) for start in (0, 12)
    ]
    found = estimate(token_divergence, pair(*sides))
    assert found.method.endswith("; groups")
    assert (found.n_baseline, found.n_generation) == (60, 60)
    # Taken for sixty documents a side, the same texts are a false alarm: the twelve patients do not support it.
    alone = estimate(token_divergence, pair(*(side.texts.to_pylist() for side in sides), unit="document"))
    assert alone.p_value == 1 / 200
    assert found.p_value is not None
    assert found.p_value > 0.05
