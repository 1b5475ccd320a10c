"""CA403: the model of words against hand-made counts, the spread of means by hand, and what is and is no loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import estimate, estimates, pair, reason, sample, spell
from scipy.stats import kstest

from collapse_audit.probes.pairs.surprise import cross_scored, folds, standardised, surprises
from collapse_audit.probes.rare_texts import rare_texts
from collapse_audit.probes.statistics.ranks import weights_of_highest
from collapse_audit.probes.text.tokens import WORDS

ZIPF = 1 / (np.arange(1, 3001) + 2.7)
ZIPF /= ZIPF.sum()


def texts(n: int, seed: int, *, gamma: float = 1.0, lengths: tuple[int, int] = (8, 40)) -> list[str]:
    rng, p = np.random.default_rng(seed), ZIPF**gamma
    return spell(rng.choice(ZIPF.size, size=rng.integers(*lengths), p=p / p.sum()) for _ in range(n))


def test_a_words_surprise_is_that_of_discounted_counts() -> None:
    """Counted: a a a a b b c d. Once 2, twice 1: discount 2/(2 + 2) = .5, unseen types 2 * 1/(2 * 2) = .5, at least 1.
    Taken off four types is 2, spread over 4 + 1 types: .4 for each. p(a) = (3.5 + .4)/8 and so on; unseen .4/8."""
    tokens = WORDS(sample(["a a a a b b c d", "a b c x"]).texts)
    found = surprises(tokens, np.array([True, False]))[-4:]
    assert found == pytest.approx(-np.log(np.array([3.9, 1.9, 0.9, 0.4]) / 8), rel=1e-12)


def test_the_probabilities_of_all_types_and_of_the_unseen_add_up_to_one() -> None:
    tokens = WORDS(sample(texts(40, 1)).texts)
    half = np.arange(40) < 20
    counted = np.repeat(half, tokens.lengths)
    counts = np.bincount(tokens.ids[counted], minlength=len(tokens.vocabulary))
    one_each = np.unique(tokens.ids, return_index=True)[1]
    p = np.exp(-surprises(tokens, half))[one_each]
    once, twice = (np.count_nonzero(counts == k) for k in (1, 2))
    unseen = once * (once - 1) / (2 * (twice + 1))
    assert p[counts > 0].sum() + unseen * p[counts == 0].mean() == pytest.approx(1.0, rel=1e-9)


def test_no_text_is_scored_by_a_fold_that_holds_it() -> None:
    """A word that stands in one text alone is as surprising there as one that was never seen."""
    tokens = WORDS(sample([*(f"{text} only{i}" for i, text in enumerate(texts(30, 2))), "never"]).texts)
    baseline, fold = np.arange(31) < 30, np.append(np.arange(30) % 5, 0)
    scored = cross_scored(tokens, baseline, fold)
    last = tokens.offsets[1:] - 1
    in_fold_0 = np.flatnonzero(fold == 0)
    assert scored[last[in_fold_0]] == pytest.approx(scored[last[30]], rel=1e-12)


def test_every_fold_is_a_fifth_of_the_baseline_and_pairs_share_theirs() -> None:
    prompts = [f"p{i}" for i in range(50)]
    design = pair(*(sample(texts(50, seed), prompts=prompts) for seed in (3, 4))).design
    fold = folds(design, np.random.default_rng(0))
    assert np.bincount(fold[~design.side]).tolist() == [10] * 5
    place = dict(zip(design.unit[~design.side], fold[~design.side], strict=True))
    assert all(place[unit] == one for unit, one in zip(design.unit[design.side], fold[design.side], strict=True))


def test_short_texts_fill_the_ends_no_more_than_long_ones() -> None:
    """Means over 4 and over 64 tokens of one population: both are standard normal once standardised, and neither
    before. Spread between texts .3, within texts 2."""
    rng = np.random.default_rng(5)
    lengths = np.repeat([4, 64], 4000)
    scored = np.concatenate([7 + rng.normal(0, 0.3) + rng.normal(0, 2, n) for n in lengths])
    x = standardised(scored, lengths)
    for which in (lengths == 4, lengths == 64):
        assert kstest(x[which], "norm").pvalue > 0.001
    mean = np.add.reduceat(scored, np.cumsum(lengths) - lengths) / lengths
    assert mean[:4000].std() > 2.5 * mean[4000:].std()


def test_texts_that_are_all_alike_have_not_changed() -> None:
    assert standardised(np.full(12, 3.0), np.full(4, 3)).tolist() == [0.0] * 4
    found = estimates(rare_texts, pair(["a b"] * 30, ["a b"] * 30))
    assert [found[name].value for name in ("rare", "common")] == [1.0, 0.0]
    assert all(each.p_value == 1.0 for each in found.values())


def test_the_value_is_the_ratio_of_mean_weights_by_rank() -> None:
    """Weight ln(.2/u) of the texts of which a share u < .2 is more surprising: its mean over all texts is .2."""
    x = np.random.default_rng(6).permutation(5000).astype(float)
    weights = weights_of_highest(x, 0.2)
    assert weights[x == 4999] == pytest.approx(math.log(0.2 * 5000 / 0.5))
    assert weights[x == 4500] == pytest.approx(math.log(0.2 * 5000 / 499.5))
    assert not weights[x < 4000].any()
    assert weights.mean() == pytest.approx(0.2, abs=1e-3)


def test_texts_of_rare_words_that_are_gone_are_a_loss() -> None:
    """Of 2,000 texts the tenth with the least probable words is dropped."""
    before, more = texts(1800, 7), texts(2000, 8)
    rarity = [-np.mean([np.log(ZIPF[int(word[1:])]) for word in text.split()]) for text in more]
    kept = [more[i] for i in np.sort(np.argsort(rarity)[:1800])]
    found = estimates(rare_texts, pair(before, kept, permutations=999))
    assert found["rare"].high < 0.7
    assert found["rare"].p_value == 0.001
    assert found["rare"].raw["beyond_q90_baseline"] == pytest.approx(0.1, abs=0.002)
    assert found["rare"].raw["beyond_q90_generation"] < 0.06


def test_sharpened_texts_pile_up_on_common_words() -> None:
    found = estimates(rare_texts, pair(texts(400, 9), texts(400, 10, gamma=1.2), permutations=999))
    assert found["common"].low > 0.1
    assert found["common"].p_value == 0.001
    assert found["common"].raw["below_q25_generation"] > 0.5


def test_another_subject_is_no_loss() -> None:
    other = [text.replace("w", "v") for text in texts(300, 12)]
    found = estimates(rare_texts, pair(texts(300, 11), other))
    assert found["rare"].value > 5
    assert found["common"].value < -0.4
    assert found["rare"].p_value == 1.0


def test_where_all_texts_are_common_the_baseline_having_none_is_no_excuse() -> None:
    found = estimate(rare_texts, pair(texts(100, 22), ["w0 w1 w2 w0"] * 100, permutations=999), "common")
    assert found.low > 0.1
    assert found.p_value == 0.001


def test_half_the_length_is_no_loss() -> None:
    """Short texts have a wider histogram of means, at both ends."""
    half = [" ".join(text.split()[::2]) for text in texts(500, 14)]
    found = estimates(rare_texts, pair(texts(500, 13), half, permutations=999))
    assert 0.7 < found["rare"].value < 1.4
    assert -0.08 < found["common"].value < 0.08


def test_a_generation_without_any_rare_text_has_an_interval() -> None:
    found = estimate(rare_texts, pair(texts(100, 15), ["w0 w1 w2 w0"] * 100), "rare")
    assert 0 < found.low <= found.value < found.high < 0.5


def test_against_its_training_texts_it_may_pass_but_not_fail() -> None:
    found = estimates(rare_texts, pair(texts(60, 16), texts(60, 17), trained_on_baseline=True))
    assert not any(each.can_fail for each in found.values())


def test_empty_texts_take_no_part() -> None:
    empty = [""] * 20
    found = estimate(rare_texts, pair(texts(80, 18) + empty, texts(80, 19) + empty), "rare")
    assert found.n_baseline <= 80
    assert "too few texts" in reason(rare_texts, pair(empty, empty), "rare")


def test_the_test_is_at_its_level_under_no_change() -> None:
    """The larger of two p-values, one of them exact. Of 60 at .05 each, 10 are rejected with probability < .001."""
    rejected = sum(
        estimate(rare_texts, pair(texts(60, 100 + k), texts(60, 200 + k), permutations=99, seed=k), "rare").p_value
        <= 0.05  # type: ignore[operator]
        for k in range(60)
    )
    assert rejected <= 10


def test_the_deciding_error_is_that_of_the_half() -> None:
    found = estimate(rare_texts, pair(texts(200, 20), texts(200, 21)), "rare")
    assert found.minimum_detectable is not None
    whole = math.exp(-(1.645 + 1.2816) * math.log(found.high / found.low) / (2 * 1.645))
    assert found.minimum_detectable < whole


def test_the_histogram_of_both_sides_agrees_with_the_shares_beside_it() -> None:
    """What lies beyond the baseline's 90% quantile, counted in whole bins, brackets the share that was counted."""
    found = estimate(rare_texts, pair(texts(300, 51), texts(300, 52, gamma=1.3)), "rare").raw
    histogram = found["surprise"]
    edges = np.array(histogram["edges"])
    for which in ("baseline", "generation"):
        side = histogram[which]
        assert side["n"] == 300
        assert side["below"] + sum(side["shares"]) + side["above"] == pytest.approx(1.0)
        for cut, key in zip(histogram["cuts"], ("below_q25", "beyond_q90"), strict=True):
            reached = np.append(side["below"], side["below"] + np.cumsum(side["shares"]))
            around = np.searchsorted(edges, cut)
            left, right = reached[around - 1], reached[around]
            share = found[f"{key}_{which}"] if key == "below_q25" else 1 - found[f"{key}_{which}"]
            assert left - 0.01 <= share <= right + 0.01
    assert "surprise" not in estimate(rare_texts, pair(texts(60, 51), texts(60, 52)), "common").raw
