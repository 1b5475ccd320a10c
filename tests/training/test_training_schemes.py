"""What a generation is trained on: shares by hand and as a law, and the mixture against exact fractions."""

from __future__ import annotations

import doctest
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.errors import UsageError
from collapse_audit.lineages.training import schemes
from collapse_audit.lineages.training.schemes import mix, shares_of

NAMED = ("recursive", "cross", "preserve", "accumulate")
PARTS = ("reference", "previous", "earlier", "partner")


@st.composite
def tables(draw: st.DrawFn) -> dict[str, float]:
    """Shares that sum to 1, some of them 0 or left out."""
    parts = draw(st.lists(st.sampled_from(PARTS), unique=True, min_size=1))
    weights = [draw(st.integers(0, 100)) for _ in parts]
    weights[0] += 1
    return {part: weight / sum(weights) for part, weight in zip(parts, weights, strict=True)}


@given(st.one_of(st.sampled_from(NAMED), tables()), st.integers(0, 30))
def test_shares_sum_to_one_and_name_only_what_is_there(scheme: str | Mapping[str, float], index: int) -> None:
    shares = shares_of(scheme, index)
    assert math.isclose(math.fsum(shares.values()), 1, abs_tol=1e-12)
    assert all(share > 0 for share in shares.values())
    there = {"reference", *(f"{who} {j}" for who in ("generation", "partner") for j in range(index))}
    assert set(shares) <= there


@given(st.one_of(st.sampled_from(NAMED), tables()))
def test_generation_0_learns_from_people_alone(scheme: str | Mapping[str, float]) -> None:
    assert shares_of(scheme, 0) == {"reference": 1.0}


@pytest.mark.parametrize(
    ("scheme", "index", "expected"),
    [
        ("recursive", 1, {"generation 0": 1.0}),
        ("recursive", 7, {"generation 6": 1.0}),
        ("cross", 3, {"partner 2": 1.0}),
        ("preserve", 1, {"reference": 0.1, "generation 0": 0.9}),
        ("accumulate", 3, {"reference": 1 / 4, "generation 0": 1 / 4, "generation 1": 1 / 4, "generation 2": 1 / 4}),
        # there is nothing before the previous one yet: what is earlier's is the previous one's
        ({"reference": 0.2, "earlier": 0.2, "previous": 0.6}, 1, {"reference": 0.2, "generation 0": 0.8}),
        (
            {"reference": 0.2, "earlier": 0.2, "previous": 0.6},
            3,
            {"reference": 0.2, "generation 0": 0.1, "generation 1": 0.1, "generation 2": 0.6},
        ),
        ({"earlier": 1.0}, 1, {"generation 0": 1.0}),
        ({"earlier": 1.0}, 4, {"generation 0": 1 / 3, "generation 1": 1 / 3, "generation 2": 1 / 3}),
        ({"previous": 0.5, "partner": 0.5}, 2, {"generation 1": 0.5, "partner 1": 0.5}),
        ({"reference": 1.0, "previous": 0.0}, 5, {"reference": 1.0}),
    ],
)
def test_shares_by_hand(scheme: str | Mapping[str, float], index: int, expected: dict[str, float]) -> None:
    assert shares_of(scheme, index) == pytest.approx(expected, abs=1e-15)


def test_the_examples_in_the_docstring_hold() -> None:
    results = doctest.testmod(schemes)
    assert results.attempted >= 2
    assert results.failed == 0


def sources_of(names: Sequence[str], size: int) -> dict[str, list[tuple[str, int]]]:
    """Each example says where it comes from."""
    return {name: [(name, position) for position in range(size)] for name in names}


def largest_remainders(shares: Sequence[Fraction], total: int) -> list[int]:
    """Hamilton's method in exact fractions."""
    counts = [math.floor(share * total) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda i: (counts[i] - shares[i] * total, i))
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


@given(weights=st.lists(st.integers(1, 97), min_size=2, max_size=6), total=st.integers(0, 400), seed=st.integers(0, 99))
def test_a_mixture_asks_every_position_once_and_counts_by_largest_remainders(
    weights: list[int], total: int, seed: int
) -> None:
    names = [f"generation {j}" for j in range(len(weights))]
    exact = [Fraction(weight, sum(weights)) for weight in weights]
    shares = {name: float(share) for name, share in zip(names, exact, strict=True)}
    mixed = mix(sources_of(names, total), shares, np.random.default_rng(seed))
    assert [position for _, position in mixed] == list(range(total))
    counts = Counter(name for name, _ in mixed)
    found = [counts[name] for name in names]
    remainders = [share * total - math.floor(share * total) for share in exact]
    if len(set(remainders)) == len(remainders):  # equal remainders are told apart by rounding alone
        assert found == largest_remainders(exact, total)
    assert all(abs(count - share * total) < 1 for count, share in zip(found, exact, strict=True))


@pytest.mark.parametrize(
    ("shares", "total", "expected"),
    [
        ([0.5, 0.5], 7, [4, 3]),  # of equal remainders the first
        ([0.25, 0.25, 0.25, 0.25], 6, [2, 2, 1, 1]),
        ([0.1, 0.9], 10, [1, 9]),
        ([0.1, 0.9], 24, [2, 22]),  # 2.4 and 21.6: the second has the larger remainder
        ([0.57, 0.43], 100, [57, 43]),  # 0.57 * 100 is 56.99999999999999 in floating point
        ([0.2, 0.57, 0.23], 100, [20, 57, 23]),
    ],
)
def test_counts_by_hand(shares: list[float], total: int, expected: list[int]) -> None:
    names = [f"s{i}" for i in range(len(shares))]
    mixed = mix(sources_of(names, total), dict(zip(names, shares, strict=True)), np.random.default_rng(0))
    assert [sum(name == one for one, _ in mixed) for name in names] == expected


def test_which_positions_go_to_whom_is_random_and_decided_by_the_generator() -> None:
    sources, shares = sources_of("ab", 40), {"a": 0.5, "b": 0.5}
    draws = [mix(sources, shares, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    # Over many draws every position is given to "a" about half of the time: 2000 draws, sd 22.
    rng = np.random.default_rng(2)
    given_to_a = np.zeros(40)
    for _ in range(2000):
        given_to_a += [name == "a" for name, _ in mix(sources, shares, rng)]
    assert np.all(np.abs(given_to_a - 1000) < 5 * 22.4)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5))
def test_accumulation_keeps_all_of_every_source_whatever_their_sizes(sizes: list[int]) -> None:
    names = ["reference", *(f"generation {j}" for j in range(len(sizes) - 1))]
    sources = {name: [(name, position) for position in range(size)] for name, size in zip(names, sizes, strict=True)}
    shares = shares_of("accumulate", len(sizes) - 1)
    mixed = mix(sources, shares, np.random.default_rng(0), whole=True)
    assert Counter(mixed) == Counter(example for source in sources.values() for example in source)


def test_a_single_source_is_taken_whole_and_in_order() -> None:
    sources = sources_of(["generation 0"], 9)
    assert mix(sources, {"generation 0": 1.0}, np.random.default_rng(0)) == sources["generation 0"]


def test_sources_of_different_sizes_are_not_mixed() -> None:
    sources = {"reference": [0] * 1200, "generation 0": [1] * 1199}
    with pytest.raises(UsageError) as caught:
        mix(sources, {"reference": 0.1, "generation 0": 0.9}, np.random.default_rng(0))
    assert str(caught.value) == (
        "corpora of different sizes cannot be mixed prompt by prompt: reference 1,200, generation 0 1,199"
    )
    assert (caught.value.slug, caught.value.exit_code) == ("mix", 4)


def test_what_was_not_selected_leaves_its_position_empty() -> None:
    sources = {"reference": [("people", 0), ("people", 1)], "generation 0": [None, None]}
    mixed = mix(sources, {"reference": 0.5, "generation 0": 0.5}, np.random.default_rng(0))
    assert len(mixed) == 1
    assert mixed[0] in sources["reference"]
    assert mix({"generation 0": [None, "kept"]}, {"generation 0": 1.0}, np.random.default_rng(0)) == ["kept"]
    assert mix(sources, {"reference": 0.5, "generation 0": 0.5}, np.random.default_rng(0), whole=True) == [
        ("people", 0),
        ("people", 1),
    ]


@given(st.integers(1, 60), st.integers(0, 4), st.floats(0.05, 0.95), st.integers(0, 9))
def test_fresh_text_is_read_once_and_in_its_order(size: int, turns: int, share: float, seed: int) -> None:
    shares = {"fresh": share, "generation 0": 1 - share}
    written = [("written", at) for at in range(size)]
    people = [("people", at) for at in range(size * (turns + 1))]
    rng = np.random.default_rng(seed)
    drawn = [mix({"fresh": people, "generation 0": written}, shares, rng, turn=turn) for turn in range(turns + 1)]
    read = [at for mixed in drawn for who, at in mixed if who == "people"]
    assert read == list(range(len(read)))  # every one once, in the order of the file, over all turns
    assert all(len(mixed) == size for mixed in drawn)
    assert all(at == place for mixed in drawn for place, (who, at) in enumerate(mixed) if who == "written")


def test_too_little_fresh_text_says_how_much_there_is() -> None:
    sources = {"fresh": list(range(5)), "generation 0": list(range(8))}
    shares = {"fresh": 0.5, "generation 0": 0.5}
    assert len(mix(sources, shares, np.random.default_rng(0), turn=0)) == 8
    with pytest.raises(UsageError, match="5 fresh examples are too few: 4 a generation, this is time 2"):
        mix(sources, shares, np.random.default_rng(0), turn=1)
