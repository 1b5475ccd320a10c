"""Laws that every built-in probe must obey, generated from the registry: a new probe is under them from day one."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from builders import pair, readings, sample, spell
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.registry import BUILTIN
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Z
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.types import Probe
from collapse_audit.verdicts.rule import judge

ALL = [
    pytest.param(built, gate, id=f"{built.name}/{gate.statistic}")
    for built in BUILTIN
    if not built.needs <= {"tasks", "contexts"}  # they read no text; tests of their own hold them to their laws
    and "prompts" not in built.needs  # the records of these laws have none
    for gate in built.gates
]
PAIRED = (
    "tail-mass/tail-mass-ratio",
    "tail-coverage/distinct-types",
    "repetition/seq-rep-4",
    "diversity/distinct-2",
    "diversity/effective-tokens",
)
"""Statistics whose errors add up influences that do not vanish where nothing changed (and no floor hides them)."""

ASIDE = ("tail-mass", "rare-texts")
"""Probes whose baseline's texts define at random, in parts, what is rare."""

every_gate = pytest.mark.parametrize(("built", "gate"), ALL)
LAWS = ("renaming-words", "white-space")
"""Laws that a probe may declare itself exempt from, with its reason."""


def every_gate_under(law: str) -> pytest.MarkDecorator:
    """Every gate; of a probe that declares itself exempt from ``law`` the test must fail, or the exemption is idle."""
    assert law in LAWS
    cases = []
    for case in ALL:
        why = case.values[0].exempt.get(law)
        marks = [pytest.mark.xfail(reason=why, strict=True, raises=AssertionError)] if why else []
        cases.append(pytest.param(*case.values, id=case.id, marks=marks))
    return pytest.mark.parametrize(("built", "gate"), cases)


B = 199
ZIPF = 1 / (np.arange(1, 1001) + 2.7)
ZIPF /= ZIPF.sum()

Columns = dict[str, list[Any]]


def healthy(n: int, seed: int, *, gamma: float = 1.0, length: int = 15) -> Columns:
    """Everything a record may carry: Zipf texts, labels, log-perplexities, and a few flaws as real text has them."""
    rng = np.random.default_rng(seed)
    p = ZIPF**gamma
    texts = spell(rng.choice(ZIPF.size, size=(n, length), p=p / p.sum()))
    amounts = np.random.default_rng([seed, 1]).integers(1, 300, n)
    texts = [f"{text} {amount}" for text, amount in zip(texts, amounts, strict=True)]
    texts[0], texts[1], texts[2] = "", texts[3], texts[2] + " again again again"
    labels = [[str(label) for label in "ABC" if rng.random() < {"A": 0.5, "B": 0.3, "C": 0.1}[label]] for _ in range(n)]
    return {"texts": texts, "labels": labels, "nll": rng.normal(3.4, 0.45, n).tolist()}


def as_sample(columns: Columns, digest: str) -> Sample:
    """With a digest of its own choice, because chance is a function of it."""
    made = sample(columns["texts"], labels=columns["labels"], nll=columns["nll"], name=digest)
    return dataclasses.replace(made, digest=digest)


def embedded(texts: pa.Array) -> np.ndarray:
    """Bags of words in 24 dimensions of chance: what a sentence-embedding model does, without the sense."""
    rows = []
    for text in texts.to_pylist():
        seeds = [int.from_bytes(word.encode()[:8], "little") for word in text.split()] or [0]
        rows.append(sum(np.random.default_rng(seed).normal(size=24) for seed in seeds))
    made = np.array(rows)
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def compared(baseline: Columns, generation: Columns, **details: Any) -> Pair:
    details.setdefault("training", as_sample(healthy(150, 28), "t"))
    details.setdefault("embed", embedded)
    return pair(as_sample(baseline, "b"), as_sample(generation, "g"), permutations=B, labels="field", **details)


def measured(built: Probe, gate: Gate, comparison: Pair) -> Estimate:
    found = readings(built, comparison)[gate.statistic]
    assert isinstance(found, Estimate), found
    return found


def null(gate: Gate) -> float:
    return 1.0 if gate.unit == "ratio" else 0.0


def damage(gate: Gate, value: float) -> float:
    """How much worse than no change, growing with damage."""
    return (value - null(gate)) * (1 if gate.worse == "higher" else -1)


# What an estimate must always be


@every_gate
@pytest.mark.parametrize("gamma", [1.0, 1.4])
def test_an_estimate_lies_in_its_interval_and_its_p_value_on_the_grid(built: Probe, gate: Gate, gamma: float) -> None:
    found = measured(built, gate, compared(healthy(80, 1), healthy(80, 2, gamma=gamma)))
    assert found.low <= found.value <= found.high
    assert math.isfinite(found.value)
    if found.p_value is not None and built.name not in ("label-coverage", "mode-coverage"):  # Fisher's, no permutation
        steps = found.p_value * (B + 1)
        assert steps == pytest.approx(round(steps), abs=1e-9)
        assert 1 <= round(steps) <= B + 1
    assert (found.n_baseline, found.n_generation) != (0, 0)
    if found.n_needed is not None:
        needed = found.n_needed(gate.margin)
        assert needed == math.inf or (needed == math.ceil(needed) and needed >= 0)


@every_gate
def test_the_same_files_and_seed_give_the_same_reading(built: Probe, gate: Gate) -> None:
    first, second = (measured(built, gate, compared(healthy(50, 3), healthy(50, 4))) for _ in range(2))
    for field in dataclasses.fields(Estimate):
        if field.name != "n_needed":
            assert getattr(first, field.name) == getattr(second, field.name), field.name


@every_gate
def test_two_samples_of_one_source_are_never_called_collapse(built: Probe, gate: Gate) -> None:
    found = measured(built, gate, compared(healthy(200, 5), healthy(200, 6)))
    assert judge(found, gate, p_adjusted=found.p_value, alpha=0.001).outcome.value != "fail"


@every_gate
def test_a_corpus_beside_itself_never_fails_and_a_change_is_not_excluded(built: Probe, gate: Gate) -> None:
    """More alike than samples can be: what is one-sided says so, and no interval leaves "no change" out.

    999 relabellings, as an audit draws: fewer cannot tell that two samples share their texts.
    """
    columns = healthy(60, 7)
    sides = as_sample(columns, "b"), as_sample(columns, "g")
    training = as_sample(healthy(150, 28), "t")
    found = measured(built, gate, pair(*sides, permutations=999, labels="field", training=training, embed=embedded))
    assert judge(found, gate, p_adjusted=found.p_value, alpha=0.05).outcome.value != "fail"
    if found.p_value is None:
        return  # the two plain facts of a file: their "no change" is not zero
    worst = found.high if gate.worse == "higher" else found.low
    assert damage(gate, worst) >= 0
    if built.name not in ASIDE:  # texts that define the tail are compared with themselves: one-sided
        assert damage(gate, found.value) <= 1e-9
        assert found.p_value > 0.2
    else:
        assert not found.can_fail


# Invariance


def renamed(texts: Sequence[str], seed: int) -> list[str]:
    """Every word replaced by another, one to one."""
    order = np.random.default_rng(seed).permutation(ZIPF.size)
    return [re.sub(r"w(\d+)", lambda match: f"w{order[int(match[1])]}", text) for text in texts]


def same(side: Columns) -> Columns:
    return side


def assert_same(one: Estimate, other: Estimate) -> None:
    for field in ("value", "low", "high", "p_value", "minimum_detectable"):
        before, after = getattr(one, field), getattr(other, field)
        assert (before is None) == (after is None)
        if before is not None:
            assert after == pytest.approx(before, rel=1e-9, abs=1e-12), field
    assert (one.n_baseline, one.n_generation) == (other.n_baseline, other.n_generation)


@every_gate_under("renaming-words")
def test_renaming_the_words_one_to_one_changes_nothing(built: Probe, gate: Gate) -> None:
    sides = healthy(60, 8), healthy(60, 9, gamma=1.2)
    before = measured(built, gate, compared(*sides))
    after = measured(built, gate, compared(*({**side, "texts": renamed(side["texts"], 10)} for side in sides)))
    assert_same(before, after)


@every_gate
def test_renaming_the_labels_one_to_one_changes_nothing(built: Probe, gate: Gate) -> None:
    def relabelled(side: Columns) -> Columns:
        names = {"A": "zeta", "B": "alpha", "C": "mu"}
        return {**side, "labels": [[names[label] for label in row] for row in side["labels"]]}

    sides = healthy(60, 11), healthy(60, 12)
    before, after = (
        measured(built, gate, compared(change(sides[0]), change(sides[1]))) for change in (same, relabelled)
    )
    assert_same(before, after)


@every_gate_under("white-space")
def test_white_space_between_words_changes_nothing(built: Probe, gate: Gate) -> None:
    def spaced(side: Columns) -> Columns:
        return {**side, "texts": ["\u00a0\n" + text.replace(" ", " \t\u2003") + "  " for text in side["texts"]]}

    sides = healthy(60, 13), healthy(60, 14)
    before, after = (measured(built, gate, compared(change(sides[0]), change(sides[1]))) for change in (same, spaced))
    assert_same(before, after)


@every_gate
def test_the_order_of_documents_changes_only_the_draw_of_chance(built: Probe, gate: Gate) -> None:
    """Values with a mean over relabellings or a random half in them move by what that draw is worth, others not."""

    def shuffled(side: Columns, seed: int) -> Columns:
        order = np.random.default_rng(seed).permutation(len(side["texts"]))
        return {name: [column[row] for row in order] for name, column in side.items()}

    sides = healthy(80, 15), healthy(80, 16, gamma=1.2)
    before = measured(built, gate, compared(*sides))
    after = measured(built, gate, compared(*(shuffled(side, 17 + k) for k, side in enumerate(sides))))
    error = (before.high - before.low) / (2 * Z)
    if built.name in ASIDE:  # another half defines the tail: two estimates, half of each shared at least
        assert abs(after.value - before.value) < 4.5 * error
    elif gate.statistic in ("JS-excess", "KL-excess", "W1"):
        assert abs(after.value - before.value) < error
        raw = {"JS-excess": "js", "KL-excess": "kl_baseline_generation", "W1": "w1"}[gate.statistic]
        assert after.raw[raw] == pytest.approx(before.raw[raw], rel=1e-9, abs=1e-12)
    else:
        assert after.value == pytest.approx(before.value, rel=1e-9, abs=1e-12)
    if before.p_value is not None and after.p_value is not None and built.name not in ASIDE:
        # Two binomial draws of B relabellings: 4.5 standard errors of their difference, one step for the observed.
        p = min(max((before.p_value + after.p_value) / 2, 0.02), 0.98)
        assert abs(before.p_value - after.p_value) <= 4.5 * math.sqrt(2 * p * (1 - p) / B) + 1 / B


TWO_WAYS = (
    "vanished",
    "distinct-numbers",
    "effective-labels",
    "distinct-types",
    "seq-rep-4",
    "looping",
    "distinct-2",
    "effective-tokens",
    "duplicates",
    "near-copies",
    "empty",
    "recited",
    "mean-length",
    "long-texts",
    "mean-distance",
    "effective-meanings",
)


@every_gate
def test_exchanging_the_sides_turns_the_change_round(built: Probe, gate: Gate) -> None:
    """A ratio becomes its inverse, a difference its negative, a symmetric distance stays."""
    sides = healthy(60, 18), healthy(60, 19, gamma=1.2)
    there, back = (measured(built, gate, compared(*order)) for order in (sides, sides[::-1]))
    if gate.statistic in TWO_WAYS:
        expected = 1 / there.value if gate.unit == "ratio" else -there.value
        assert back.value == pytest.approx(expected, rel=1e-9, abs=1e-12)
    elif gate.statistic == "energy-distance":
        assert back.value == pytest.approx(there.value, rel=1e-9, abs=1e-12)
    elif gate.statistic in ("JS-excess", "W1"):
        raw = "js" if gate.statistic == "JS-excess" else "w1"
        assert back.raw[raw] == pytest.approx(there.raw[raw], rel=1e-9)
    elif gate.statistic == "KL-excess":
        assert back.raw["kl_baseline_generation"] == pytest.approx(there.raw["kl_generation_baseline"], rel=1e-9)


@pytest.mark.parametrize(
    ("built", "gate"),
    [case for case in ALL if case.id in PAIRED],
)
def test_pairing_by_prompts_pays_where_prompts_matter(built: Probe, gate: Gate) -> None:
    """Every prompt has words of its own, and a length: both sides share them, so the difference is surer than apart.

    The influences of a pair's two answers must cancel: with a sign wrong they would add up, and the interval widen.
    """
    rng = np.random.default_rng(25)
    common = [spell([rng.choice(ZIPF.size, size=rng.integers(4, 60), p=ZIPF)])[0] for _ in range(150)]
    repeats = [rng.integers(0, 3) for _ in range(150)]

    def side(seed: int) -> list[str]:
        own = np.random.default_rng(seed)
        return [
            " ".join([text] * (1 + times)) + " " + spell([own.choice(ZIPF.size, size=3, p=ZIPF)])[0]
            for text, times in zip(common, repeats, strict=True)
        ]

    widths = []
    for prompts in ([f"p{i}" for i in range(150)], None):
        two = pair(*(sample(side(seed), prompts=prompts) for seed in (26, 27)))
        vars(two)["openings"] = None  # apart, the texts look as if they held their prompts, and nothing would pass
        found = measured(built, gate, two)
        widths.append(math.log(found.high / found.low) if gate.unit == "ratio" else found.high - found.low)
    assert widths[0] < 0.8 * widths[1]


# Damage


def sharpened(level: float) -> Columns:
    return healthy(150, 21, gamma=1 + level)


def with_texts(change: Callable[[list[str], int], list[str]]) -> Callable[[float], Columns]:
    """Damage to a share of the texts."""

    def damaged(level: float) -> Columns:
        columns = healthy(150, 21)
        return {**columns, "texts": change(columns["texts"], round(level * 150))}

    return damaged


def without_c(level: float) -> Columns:
    columns = healthy(150, 21)
    left = 1 - level
    kept = iter(range(10**6))
    return {
        **columns,
        "labels": [
            [label for label in row if label != "C" or (next(kept) % 10) / 10 < left] for row in columns["labels"]
        ],
    }


def surprised(level: float) -> Columns:
    columns = healthy(150, 21)
    return {**columns, "nll": [value - level for value in columns["nll"]]}


DAMAGES: dict[str, Callable[[float], Columns]] = {
    "JS-excess": sharpened,
    "tail-mass-ratio": sharpened,
    "distinct-types": sharpened,
    "distinct-2": sharpened,
    "rare": sharpened,
    "common": sharpened,
    "effective-tokens": sharpened,
    "KL-excess": without_c,
    "effective-labels": without_c,
    "vanished": with_texts(lambda texts, k: [re.sub(r"w\d?[1-9]\b", "w0", text) for text in texts[:k]] + texts[k:]),
    "retained-share": without_c,
    "W1": surprised,
    "seq-rep-4": with_texts(lambda texts, k: [" ".join(["a b c d e"] * 3) for _ in texts[:k]] + texts[k:]),
    "looping": with_texts(lambda texts, k: [text + " so on" * 3 for text in texts[:k]] + texts[k:]),
    "duplicates": with_texts(lambda texts, k: [texts[-1]] * k + texts[k:]),
    "near-copies": with_texts(
        lambda texts, k: (
            [f"the house of n{i} by the old river in p{i % 9} was sold again last year" for i in range(k)] + texts[k:]
        )
    ),
    **dict.fromkeys(
        ("mean-distance", "effective-meanings", "energy-distance"),
        with_texts(lambda texts, k: [texts[-1]] * k + texts[k:]),
    ),
    "mean-length": with_texts(lambda texts, k: [" ".join(text.split()[:1]) for text in texts[:k]] + texts[k:]),
    "long-texts": with_texts(lambda texts, k: [" ".join(text.split()[:1]) for text in texts[:k]] + texts[k:]),
    "empty": with_texts(lambda texts, k: [""] * k + texts[k:]),
    "constant": with_texts(lambda texts, k: [texts[-1]] * k + texts[k:]),
    "distinct-numbers": with_texts(lambda texts, k: [re.sub(r"\b\d+", "7", text) for text in texts[:k]] + texts[k:]),
    "recited": with_texts(lambda texts, k: healthy(150, 28)["texts"][:k] + texts[k:]),
    "unchanged": with_texts(lambda texts, k: healthy(150, 22)["texts"][:k] + texts[k:]),
}


@pytest.mark.parametrize(("built", "gate"), [case for case in ALL if case.values[1].statistic in DAMAGES])
def test_more_damage_is_never_better(built: Probe, gate: Gate) -> None:
    """None, some, and much of the damage that the statistic is for."""
    other = as_sample(healthy(150, 22), "other")
    found = [
        measured(built, gate, compared(healthy(150, 20), DAMAGES[gate.statistic](level), others=(other,)))
        for level in (0.0, 0.4, 0.9)
    ]
    sizes = [damage(gate, one.value) for one in found]
    assert sizes[0] <= sizes[1] <= sizes[2]
    assert sizes[2] > sizes[0] + abs(gate.margin - null(gate)) / 2
    p_values = [one.p_value for one in found]
    if all(p is not None for p in p_values):
        assert p_values[2] <= 0.05 < p_values[0]  # type: ignore[operator]


def test_a_gate_without_a_damage_here_has_one_in_its_probes_own_tests() -> None:
    for case in ALL:
        built, gate = case.values
        if gate.statistic not in DAMAGES:
            own = Path(__file__).parents[1] / "probes" / f"test_{built.name.replace('-', '_')}.py"
            assert "def test_more_damage_is_never_better" in own.read_text("utf-8"), case.id


def test_an_exemption_is_from_a_law_that_there_is_and_has_a_reason() -> None:
    for built in BUILTIN:
        assert set(built.exempt) <= set(LAWS)
        assert all(len(why.split()) > 5 for why in built.exempt.values())


# Degenerate input: judged, never a crash, never a warning

TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12), min_size=1, max_size=14
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, TEXTS, st.sampled_from([None, "groups", "prompts"]), st.integers(0, 9))
@example(["\n"], ["\n"], None, 0)
@example(["a"] * 12, ["a"] * 12, None, 0)
@example([""] * 12, ["a b c d e f"] * 12, None, 0)
@example(["a b c d e f"] * 12, [""] * 12, None, 0)
@example([f"x{i}" for i in range(14)], [f"y{i}" for i in range(14)], None, 0)
@example(["a", "b"] * 6, ["a", "c"] * 6, "prompts", 1)
@example(["a", "b"] * 6, ["a", "c"] * 6, "groups", 1)
def test_whatever_can_be_read_is_judged(
    baseline: list[str], generation: list[str], keys: str | None, seed: int
) -> None:
    """Every probe gives exactly one reading a gate, each within its contract; numpy's warnings are errors here."""
    rng = np.random.default_rng(seed)

    def side(texts: list[str]) -> Sample:
        columns: dict[str, Any] = {
            "labels": [[str(k) for k in rng.integers(0, 3, size=rng.integers(0, 3))] for _ in texts],
            "nll": [float(x) if x < 4 else None for x in rng.normal(3, 1, len(texts))],
        }
        if keys:
            columns[keys] = [f"k{k}" for k in rng.integers(0, 4, len(texts))]
        return sample(texts, **columns)

    comparison = pair(
        side(baseline), side(generation), permutations=19, labels="field", evidence="texts", embed=embedded
    )
    for built in BUILTIN:
        for gate, found in zip(built.gates, built(comparison), strict=True):
            assert isinstance(found, NotMeasured) or found.low <= found.high
            if isinstance(found, Estimate):
                assert judge(found, gate, p_adjusted=found.p_value, alpha=0.05).reason
            else:
                assert found.reason


# Privacy


@every_gate
def test_without_evidence_no_word_and_no_label_of_the_corpora_leaves_the_probe(built: Probe, gate: Gate) -> None:
    columns = healthy(60, 23)
    secret = {
        **columns,
        "texts": [
            f"Zxqv{i % 7} {text} Zxqv{i % 7} Zxqv{i % 7} Zxqv{i % 7} Zxqv{i % 7}"
            for i, text in enumerate(columns["texts"])
        ],
        "labels": [["Zxqv"] for _ in range(60)],
    }
    for sides in ((columns, secret), (secret, columns), (secret, secret)):
        found = readings(built, compared(*sides, evidence="none"))[gate.statistic]
        assert "Zxqv" not in repr(found)
        assert getattr(found, "evidence", ()) == ()


@every_gate
def test_with_terms_only_what_five_documents_hold_is_shown_and_never_a_whole_text(built: Probe, gate: Gate) -> None:
    """A name in four texts of a side, thirty words on end in nine copies: neither may leave."""
    columns = healthy(60, 24)
    texts = columns["texts"]
    long = " ".join(f"whole{i}" for i in range(30))
    secret = {**columns, "texts": ["Zxqv Zxqv Zxqv Zxqv Zxqv Zxqv"] * 4 + [long] * 9 + texts[13:]}
    for sides in ((columns, secret), (secret, columns)):
        found = repr(readings(built, compared(*sides, evidence="terms"))[gate.statistic])
        assert "Zxqv" not in found
        assert long not in found
