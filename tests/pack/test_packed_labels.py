"""Labels and likelihoods beside a pack, and which texts are compared with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_examples import FIELD, NAMES, PROBES, found, order_of, ordinary, pack_of, packed_pair, reading, texts

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.packs.packed_pair import dealt, packed_rule, packed_sample
from collapse_audit.probes.packs.sketch import NLL_STEP
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured, Reading
from collapse_audit.probes.text.labels import EU_TIRADS, label_rule
from collapse_audit.probes.types import probe

# Labels and likelihoods.


def test_label_divergence_is_that_of_the_compared_blocks() -> None:
    """By the ordinary audit of those documents, their blocks kept together, labels that are not named pooled."""
    rng = np.random.default_rng(0)
    before, after = texts(200, 3), texts(150, 4)
    drawn = [
        [[f"c{k}", *(["more"] if rng.random() < 0.3 else [])] if k < 4 else [] for k in rng.choice(5, n)]
        for n in (200, 150)
    ]
    drawn[0][7], drawn[1][9] = ["odd"], ["new", "odd"]
    samples = [sample_of(side, labels=labels) for side, labels in zip((before, after), drawn, strict=True)]
    pair = packed_pair(*samples, rule=FIELD)
    assert pair.pack.labels is not None
    assert pair.pack.labels.names == ("c0", "c1", "c2", "c3", "more")
    named = {*pair.pack.labels.names}
    orders = order_of(200)[:100], pair.rows[:100]
    plain = ordinary(
        *(
            sample_of(
                [side[d] for d in order],
                labels=[
                    [*(one for one in labels[d] if one in named), *(["zz"] if {*labels[d]} - named else [])]
                    for d in order
                ],
                groups=[f"{name}{at // 5}" for at in range(100)],
            )
            for name, side, labels, order in zip("bg", (before, after), drawn, orders, strict=True)
        ),
        rule=FIELD,
    )
    beside, expected = found(pair, "label-divergence"), found(plain, "label-divergence")
    assert (beside.value, beside.p_value) == pytest.approx((expected.value, expected.p_value), rel=1e-9)
    assert set(beside.raw["labels_baseline"].values()) == set(expected.raw["labels_baseline"].values())


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_labels_are_dealt_out_so_that_every_count_comes_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    carried = rng.random((40, 4)) < rng.random(4)
    blocks = carried.reshape(8, 5, 4)
    carriers = np.column_stack((blocks.sum(axis=1), (~blocks.any(axis=2)).sum(axis=1)))
    again = dealt(carriers, 5).reshape(8, 5, 4)
    assert np.array_equal(again.sum(axis=1), carriers[:, :-1])
    assert np.array_equal((~again.any(axis=2)).sum(axis=1), carriers[:, -1])


def test_a_category_too_scarce_to_be_named_keeps_label_coverage_from_passing() -> None:
    """As a category that this n cannot tell does in an ordinary audit."""
    labels = [["a"]] * 120 + [["b"]] * 77 + [["c"]] * 3
    sides = [sample_of(texts(200, seed), labels=labels) for seed in (3, 4)]
    pair = packed_pair(*sides, rule=FIELD)
    assert pair.pack.labels is not None
    assert (dict(pair.pack.labels.totals), pair.pack.labels.scarce) == ({"a": 120, "b": 77}, 1)
    beside, plain = found(pair, "label-coverage"), found(ordinary(*sides, rule=FIELD), "label-coverage")
    assert beside.low == 0.0
    assert plain.low < 0.25
    assert beside.raw["categories_not_named"] == 1
    named = sample_of(texts(200, 3), labels=labels[:197] + [["a"]] * 3)
    without = packed_pair(named, sides[1], rule=FIELD)
    # Three tests instead of two: Bonferroni counts the category that has no name, as an ordinary audit would.
    assert without.pack.labels is not None
    assert without.pack.labels.scarce == 0
    assert found(without, "label-coverage").low > 0.25


def test_nothing_but_scarce_categories_leaves_label_coverage_open() -> None:
    sample = sample_of(texts(150, 3), labels=[[["a"], ["b"]][d % 2] if d < 6 else [] for d in range(150)])
    beside = reading(packed_pair(sample, sample, rule=FIELD), "label-coverage")
    assert isinstance(beside, NotMeasured)
    assert not beside.neutral


def test_labels_by_mentions_are_read_by_the_same_rule_on_both_sides() -> None:
    before = [f"узел EU-TIRADS {2 + d % 3} {NAMES[d % 50]}" for d in range(150)]
    after = [f"узел EU-TIRADS {2 + d % 2} {NAMES[d % 50]}" for d in range(150)]
    pair = packed_pair(before, after, rule=EU_TIRADS)
    assert found(pair, "label-coverage").value == 0.0
    assert packed_rule(pair.pack, "auto") is EU_TIRADS
    assert packed_rule(pair.pack, "none") is None
    with pytest.raises(Exception, match="read by eu-tirads"):
        packed_rule(pair.pack, "field")


def test_a_pattern_must_be_named_again_because_a_pack_does_not_hold_it() -> None:
    rule = label_rule("regex:kind (a|b)")
    pack = pack_of(sample_of([f"kind {'ab'[d % 2]} {NAMES[d % 40]}" for d in range(150)]), rule=rule)
    again = packed_rule(pack, "regex:kind (a|b)")
    assert again is not None
    assert again.name == rule.name
    for other in ("auto", "regex:kind (a)"):
        with pytest.raises(Exception, match="name the same rule"):
            packed_rule(pack, other)


@pytest.mark.parametrize("labelled", [True, False])
def test_labels_that_one_side_lacks(labelled: bool) -> None:
    with_labels = sample_of(texts(150, 1), labels=[["a"]] * 150)
    without = sample_of(texts(150, 2))
    sides = (with_labels, without) if labelled else (without, with_labels)
    for name in ("label-coverage", "label-divergence"):
        beside = reading(packed_pair(*sides, rule=FIELD), name)
        assert isinstance(beside, NotMeasured)
        assert beside.neutral != labelled


def test_perplexity_is_that_of_likelihoods_in_steps() -> None:
    """By the ordinary audit of likelihoods that were rounded beforehand, blocks kept together."""
    rng = np.random.default_rng(0)
    scores = rng.normal(3.4, 0.45, 150), rng.normal(3.3, 0.4, 150)
    before, after = texts(150, 3), texts(150, 4)
    pair = packed_pair(*(sample_of(t, nll=list(s)) for t, s in zip((before, after), scores, strict=True)))
    orders = order_of(150), pair.rows
    plain = ordinary(
        *(
            sample_of(
                [side[d] for d in order],
                nll=[round(score[d] / NLL_STEP) * NLL_STEP for d in order],
                groups=[f"{name}{at // 5}" for at in range(150)],
            )
            for name, side, score, order in zip("bg", (before, after), scores, orders, strict=True)
        )
    )
    beside, expected = found(pair, "perplexity"), found(plain, "perplexity")
    assert (beside.value, beside.p_value) == pytest.approx((expected.value, expected.p_value), rel=1e-6)
    assert (beside.low, beside.high) == pytest.approx((expected.low, expected.high), rel=1e-6)


def test_rounding_moves_w1_by_no_more_than_a_step() -> None:
    """|W1(rounded) - W1| <= half a step a side, by the triangle inequality."""
    rng = np.random.default_rng(1)
    scores = rng.normal(3.4, 0.45, 150), rng.normal(3.3, 0.4, 150)
    samples = [sample_of(texts(150, d), nll=list(s)) for d, s in enumerate(scores)]
    beside, plain = found(packed_pair(*samples), "perplexity"), found(ordinary(*samples), "perplexity")
    assert abs(beside.raw["w1"] - plain.raw["w1"]) <= NLL_STEP


def test_few_texts_without_likelihood_are_left_out_and_many_leave_it_open() -> None:
    scored = sample_of(texts(200, 1), nll=[3.0 + d % 7 for d in range(200)])
    for missing, measured in ((8, True), (40, False)):
        nll = [math.nan if d < missing else 3.0 + d % 7 for d in range(200)]
        beside = reading(packed_pair(scored, sample_of(texts(200, 2), nll=nll)), "perplexity")
        assert isinstance(beside, Estimate) == measured
    assert isinstance(reading(packed_pair(scored, texts(200, 2)), "perplexity"), NotMeasured)
    some = sample_of(texts(200, 1), nll=[math.nan, *[3.0] * 199])
    assert pack_of(some).sketch.nll is None


# Who is compared.


def test_more_blocks_on_one_side_are_left_out() -> None:
    pair = packed_pair(texts(300, 1), texts(130, 2))
    assert (pair.blocks.count, pair.named.blocks.count, pair.pack.compared) == (26, 26, 30)
    assert found(pair, "tail-coverage").n_baseline == 130
    assert found(packed_pair(texts(130, 1), texts(300, 2)), "tail-coverage").n_generation == 130


def test_one_text_of_a_group_or_prompt_is_compared() -> None:
    groups = [f"patient {d // 2}" for d in range(300)]
    pair = packed_pair(texts(120, 1), sample_of(texts(300, 2), groups=groups))
    assert len({groups[d] for d in pair.rows}) == len(pair.rows) == 150
    prompts = sample_of(texts(300, 2), prompts=["one prompt for all"] * 300)
    assert len(packed_pair(texts(120, 1), prompts).rows) == 300
    some = [None if d < 100 else f"prompt {d // 4}" for d in range(300)]
    assert len(packed_pair(texts(120, 1), sample_of(texts(300, 2), prompts=some)).rows) == 100 + 50  # type: ignore[arg-type]


def test_too_few_texts_leave_every_finding_open() -> None:
    pair = packed_pair(texts(150, 1), texts(49, 2))
    for name, built in PROBES.items():
        if built.needs <= {"tasks", "contexts"} or built.packed is None:
            continue
        beside = reading(pair, name)
        assert isinstance(beside, NotMeasured)
        assert not beside.neutral
        assert "49 independent texts" in beside.reason


def test_a_probe_of_ones_own_needs_texts_and_is_not_measured() -> None:
    @probe(name="shouting", unit="share of letters", worse="higher", margin=0.05)
    def shouting(pair: Pair) -> Reading:
        return pair.mean_rise(lambda text: float(text.isupper()))

    (beside,) = shouting.beside_pack()(packed_pair(texts(150, 1), texts(150, 2)))
    assert isinstance(beside, NotMeasured)
    assert beside.neutral
    assert "reference pack" in beside.reason


def test_every_built_in_probe_that_says_how_is_answered() -> None:
    pair = packed_pair(
        *(sample_of(texts(150, d), labels=[["a"], ["b"]] * 75, nll=[3.0 + k % 5 for k in range(150)]) for d in (1, 2)),
        rule=FIELD,
    )
    for built in BUILTIN:
        answered = built.beside_pack()
        assert (answered.name, answered.code, answered.gates) == (built.name, built.code, built.gates)
        if built.packed is not None:
            found = answered(pair)
            assert isinstance(found[0], Estimate)
            told = "a reference pack does not "
            assert all(isinstance(one, Estimate) or one.reason.startswith(told) for one in found)


def test_texts_that_models_are_trained_on_make_findings_one_sided() -> None:
    pair = packed_pair(texts(150, 1), texts(150, 2), trained_on_baseline=True)
    assert not found(pair, "tail-mass").can_fail
    assert "one-sided" in found(pair, "token-divergence").notes


def test_the_texts_of_a_pack_are_not_there() -> None:
    baseline = packed_pair(texts(150, 1), texts(150, 2)).baseline
    assert len(baseline) == 150
    assert baseline.texts.null_count == 150


def test_another_tokeniser_is_refused() -> None:
    with pytest.raises(Exception, match="made with 'words'"):
        packed_sample(pack_of(sample_of(texts(150, 1))), name="p", digest="", tokens="hf:x.json (sha256 abc)")
