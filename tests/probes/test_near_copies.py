"""CA302 near-copies: the criterion by plain sets of words, counts by hand, and what must not count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, groupby

import numpy as np
import pytest
from builders import estimate, pair, sample, spell
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.lineages.simulation import damage
from collapse_audit.probes.diversity import diversity
from collapse_audit.probes.pairs.followers import followers
from collapse_audit.probes.pairs.pair import Pair

ZIPF = 1 / (np.arange(1, 3001) + 2.7)
ZIPF /= ZIPF.sum()
FORMS = (
    "the old house of {} by the river in {} was sold to {} after the war",
    "on the last day of {} nobody had seen {} or the dog that {} took home",
    "we asked {} why the trains to {} were late and {} did not say a word",
)


def texts(n: int, seed: int, length: int = 15) -> list[str]:
    return spell(np.random.default_rng(seed).choice(ZIPF.size, size=(n, length), p=ZIPF))


def filled(n: int, seed: int, forms: Sequence[str] = FORMS) -> list[str]:
    """``n`` different texts out of ``forms``, their slots of one or two words."""
    rng = np.random.default_rng(seed)
    slots = [[" ".join(f"n{k}" for k in rng.integers(999, size=rng.integers(1, 3))) for _ in "abc"] for _ in range(n)]
    return [forms[k % len(forms)].format(*slot) for k, slot in enumerate(slots)]


def near(one: list[str], other: list[str]) -> bool:
    """Twelve words and 60% of each stand in pairs (neighbours, or one word between) of the other; no gap of over 6."""

    def pairs(words: list[str]) -> list[tuple[int, tuple[int, str, str]]]:
        return [(at, (gap, words[at], words[at + gap])) for gap in (1, 2) for at in range(len(words) - gap)]

    def covered(words: list[str], others: list[str]) -> bool:
        known = {each for _, each in pairs(others)}
        held = [False] * len(words)
        for at, each in pairs(words):
            if each in known:
                held[at] = held[at + each[0]] = True
        longest = max((len(list(run)) for kind, run in groupby(held) if not kind), default=0)
        return sum(held) >= max(12, 0.6 * len(words)) and longest <= 6

    return covered(one, other) and covered(other, one)


def test_a_text_many_times_as_long_is_no_near_copy() -> None:
    """Twenty words, and the same ones over and over: eight times are compared, nine times are not."""
    once = texts(1, 5, length=20)[0]
    others = texts(40, 6, length=20)
    for times, alike in ((3, True), (8, True), (9, False)):
        repeated = " ".join([once] * times)
        assert near(once.split(), repeated.split())
        kind = pair([once, *others[:20]], [repeated, *others[20:]]).near_copies[0]
        assert (kind[0] == kind[21]) is np.bool_(alike)


def components(rows: Sequence[str]) -> list[frozenset[int]]:
    """Texts joined by near copies, every pair looked at; or by being the same."""
    owner = list(range(len(rows)))
    for i, j in combinations(range(len(rows)), 2):
        if rows[i] == rows[j] or near(rows[i].split(), rows[j].split()):
            owner = [owner[i] if each == owner[j] else each for each in owner]
    return sorted((frozenset(k for k, each in enumerate(owner) if each == one) for one in set(owner)), key=min)


def clustered(comparison: Pair) -> list[frozenset[int]]:
    found = comparison.near_copies[0]
    return sorted((frozenset(np.flatnonzero(found == each).tolist()) for each in np.unique(found)), key=min)


@pytest.mark.parametrize("seed", range(4))
def test_clusters_are_those_of_every_pair_looked_at(seed: int) -> None:
    """Common words, templates of several forms, copies, and texts that change a word here and there."""
    plain = texts(30, seed)
    edited = [" ".join("new" if k in (4, 9) else word for k, word in enumerate(row.split())) for row in plain[:5]]
    rows = [*plain, *edited, *filled(20, 10 + seed), plain[6], "", ""]
    rows = [rows[k] for k in np.random.default_rng(seed).permutation(len(rows))]
    half = len(rows) // 2
    assert clustered(pair(rows[:half], rows[half : 2 * half])) == components(rows[: 2 * half])


def test_the_rise_is_counted_by_hand() -> None:
    """Of 40 texts 12 of one form: 29 templates, so 11/40 more than none; 3 copies of one text among the baseline's."""
    before, after = texts(40, 1), texts(40, 2)
    before[1] = before[2] = before[0]
    after[:12] = filled(12, 3, FORMS[:1])
    found = estimate(diversity, pair(before, after), "near-copies")
    assert found.value == pytest.approx(11 / 40 - 2 / 40)
    assert found.p_value is not None
    assert found.p_value < 0.05


def test_two_forms_in_one_corpus_stay_apart() -> None:
    found = pair(filled(30, 1), filled(30, 2))
    assert [len(each) for each in clustered(found)] == [20, 20, 20]


@pytest.mark.parametrize(
    "form",
    [
        "answer the following question as well as you can and give your reasons first: {}",
        "{} this text may be copied and given to anybody as long as this line stays with it",
        "yes it was {}",
    ],
    ids=["a shared opening", "a licence at the end", "a phrase"],
)
def test_what_stands_before_after_or_is_short_makes_no_copies(form: str) -> None:
    own = [f" {' '.join(text.split()[:9])} " for text in texts(80, 4)]
    rows = [form.format("good" if "yes" in form and k % 2 else own[k]) for k in range(80)]
    rows = [row for k, row in enumerate(rows) if not ("yes" in form and k % 2)]
    half = len(rows) // 2
    assert len(clustered(pair(rows[:half], rows[half:]))) == len(rows)


def test_the_template_is_shown_with_slots_and_nothing_of_what_fills_them() -> None:
    after = filled(20, 5, FORMS[:1]) + texts(60, 6)
    (shown,) = estimate(diversity, pair(texts(80, 7), after), "near-copies").evidence
    assert shown["term"] == "the old house of ___ by the river in ___ was sold to ___ after the war"
    assert (shown["baseline_count"], shown["generation_count"]) == (0, 20)


def test_four_texts_and_copies_without_a_slot_show_no_template() -> None:
    after = filled(4, 5, FORMS[:1]) + [texts(1, 9)[0]] * 9 + texts(67, 6)
    assert estimate(diversity, pair(texts(80, 7), after), "near-copies").evidence == ()


def test_nothing_is_shown_where_no_evidence_is_asked_for() -> None:
    after = filled(20, 5, FORMS[:1]) + texts(60, 6)
    assert estimate(diversity, pair(texts(80, 7), after, evidence="none"), "near-copies").evidence == ()


def test_formulas_of_another_subject_are_a_change_and_a_template_among_the_same_texts_is_a_loss() -> None:
    same = estimate(diversity, pair(texts(120, 7), filled(40, 5) + texts(80, 6)), "near-copies")
    other = [text.replace("w", "v") for text in texts(80, 6)]
    moved = estimate(diversity, pair(texts(120, 7), filled(40, 5) + other), "near-copies")
    assert (same.kind, moved.kind) == (None, "move")
    assert same.value == pytest.approx(moved.value, abs=0.02)


def test_texts_that_all_become_one_template_are_a_loss() -> None:
    """Nothing is left that could tell of another subject."""
    assert estimate(diversity, pair(texts(60, 7), filled(60, 5)), "near-copies").kind is None


def test_templates_in_a_share_of_texts_are_that_share() -> None:
    rng = np.random.default_rng(1)
    one, eight = (damage.template(texts(400, 8), 0.1, rng, variants=variants) for variants in (1, 8))
    values = [estimate(diversity, pair(texts(400, 9), side), "near-copies").value for side in (one, eight)]
    assert values == [pytest.approx(39 / 400), pytest.approx(32 / 400)]


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=14), min_size=1, max_size=25),
    st.integers(1, 200),
)
def test_whom_to_compare_does_not_hang_on_how_much_is_looked_at_at_a_time(texts: list[list[int]], portion: int) -> None:
    """Counted by plain dictionaries: for how many word pairs two documents follow one another among its holders."""
    tokens = sample([" ".join(f"w{k}" for k in text) for text in texts]).tokens
    held = [{(g, t[k], t[k + g]) for g in (1, 2) for k in range(len(t) - g)} for t in texts]
    times: Counter[tuple[int, int]] = Counter()
    for wanted in set().union(*held):
        holders = [k for k, mine in enumerate(held) if wanted in mine]
        times.update((one, other) for lag in (1, 2) for one, other in zip(holders, holders[lag:], strict=False))
    enough = {
        (one, other)
        for (one, other), count in times.items()
        if count >= max(0.1 * min(len(held[one]), len(held[other])), 2)
    }
    assert set(zip(*(each.tolist() for each in followers(tokens, portion)), strict=True)) == enough
