"""CA204 on kinds of text that are known: languages whose words are their own, and subjects that share some."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest
from builders import estimate, estimates, pair, reason, sample
from scipy.stats import hypergeom

from collapse_audit.probes.mode_coverage import mode_coverage
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import Estimate
from collapse_audit.probes.text.sample import Sample
from collapse_audit.verdicts.rule import judge

KEPT, DOMINANCE = mode_coverage.gates
ZIPF = 1 / (np.arange(1, 601) + 2.7)
ZIPF /= ZIPF.sum()


def side(shares: Mapping[str, int], seed: int) -> list[str]:
    """So many texts of each language, in no order; a language's words begin with its name."""
    rng = np.random.default_rng(seed)
    texts = [
        " ".join(f"{name}{k}" for k in rng.choice(ZIPF.size, size=14, p=ZIPF))
        for name, count in shares.items()
        for _ in range(count)
    ]
    return [texts[k] for k in rng.permutation(len(texts))]


def compared(before: Mapping[str, int], after: Mapping[str, int], **details: object) -> Pair:
    return pair(side(before, 1), side(after, 2), **details)  # type: ignore[arg-type]


def said(found: Estimate, gate_number: int = 0) -> str:
    p_adjusted = min(1.0, 20 * (found.p_value or 0.0))
    return judge(found, mode_coverage.gates[gate_number], p_adjusted=p_adjusted, alpha=0.05).outcome.value


THREE = {"a": 200, "b": 180, "c": 60}


def test_a_language_is_a_kind() -> None:
    """No kind, joined from groups or not, mixes languages: the words of one never stand beside another's."""
    comparison = compared(THREE, THREE)
    texts = [*comparison.texts(generation=False).to_pylist(), *comparison.texts(generation=True).to_pylist()]
    language = np.array([text[0] for text in texts])
    small = [column for column in comparison.kinds.T if column.sum() <= 2 * 60]
    assert small
    assert any(set(language[column]) == {"c"} for column in small)


def test_a_lost_language_is_found_and_named() -> None:
    found = estimate(mode_coverage, compared(THREE, {"a": 230, "b": 210}), KEPT.statistic)
    assert found.value == 0.0
    assert said(found) == "fail"
    assert found.evidence[0]["status"] == "lost"
    assert all(word.startswith("c") for word in str(found.evidence[0]["term"]).split(", "))
    assert found.evidence[0]["generation_count"] == 0


def test_the_p_value_is_fishers_over_all_kinds() -> None:
    """A kind of exactly 60 texts, all in the baseline; the p-value is at most that of these 60 over as many kinds."""
    comparison = compared(THREE, {"a": 230, "b": 210})
    found = estimate(mode_coverage, comparison, KEPT.statistic)
    exact = comparison.kinds.shape[1] * hypergeom.cdf(0, 880, 60, 440)
    assert found.p_value == pytest.approx(exact, rel=1e-6)


def test_nothing_lost_passes_and_nothing_took_over() -> None:
    found = estimates(mode_coverage, compared(THREE, THREE))
    assert [said(found[gate.statistic], k) for k, gate in enumerate(mode_coverage.gates)] == ["pass", "pass"]


def test_more_damage_is_never_better() -> None:
    kept, grown = [], []
    for lost in (0, 40, 60):
        found = estimates(mode_coverage, compared(THREE, {"a": 200 + lost, "b": 180, "c": 60 - lost}))
        kept.append(found[KEPT.statistic].value)
    for more in (0, 100, 170):
        found = estimates(mode_coverage, compared(THREE, {"a": 200 - more, "b": 180, "c": 60 + more}))
        grown.append(found[DOMINANCE.statistic].value)
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > kept[-1]
    assert grown == sorted(grown)
    assert grown[-1] > grown[0]


def test_a_language_that_grew_to_a_multiple_is_a_change_and_what_it_left_of_others_no_loss() -> None:
    found = estimate(mode_coverage, compared(THREE, {"a": 95, "b": 85, "c": 260}), DOMINANCE.statistic)
    assert found.low > 2
    assert said(found, 1) == "changed"


def test_a_language_that_comes_anew_is_no_damage() -> None:
    found = estimates(mode_coverage, compared({"a": 240, "b": 200}, {"a": 170, "b": 140, "d": 130}))
    assert all(said(found[gate.statistic], k) != "fail" for k, gate in enumerate(mode_coverage.gates))


def test_another_language_in_the_place_of_one_is_a_change() -> None:
    found = estimates(mode_coverage, compared({"a": 240, "c": 200}, {"a": 240, "d": 200}))
    assert found[KEPT.statistic].value == 0.0
    assert said(found[KEPT.statistic]) == "changed"
    assert said(found[DOMINANCE.statistic], 1) != "fail"


def test_all_kinds_changed_is_a_change() -> None:
    found = estimates(mode_coverage, compared({"a": 240, "b": 200}, {"d": 240, "e": 200}))
    assert said(found[KEPT.statistic]) == "changed"


def test_kinds_are_the_same_whichever_side_is_the_baseline() -> None:
    one, other = compared(THREE, {"a": 240, "b": 200}), pair(side({"a": 240, "b": 200}, 2), side(THREE, 1))
    assert (np.roll(other.kinds, 440, axis=0) == one.kinds).all()


def test_patients_count_once() -> None:
    """Ten texts of each of 44 patients: sixty texts of a language are those of six, and six prove little."""

    def grouped(shares: Mapping[str, int], seed: int, prefix: str) -> object:
        from builders import sample

        texts = sorted(side(shares, seed))
        return sample(texts, groups=[f"{prefix}{k // 10}" for k in range(len(texts))])

    two = pair(grouped(THREE, 1, "p"), grouped({"a": 230, "b": 210}, 2, "q"))  # type: ignore[arg-type]
    found = estimate(mode_coverage, two, KEPT.statistic)
    assert found.n_baseline <= 44
    assert said(found) != "fail"


def test_too_few_texts_hold_no_kinds() -> None:
    assert "too few" in reason(mode_coverage, pair(["a b c"] * 5, ["a b d"] * 5), KEPT.statistic)


def test_a_name_in_four_texts_names_no_kind() -> None:
    after = side({"a": 230, "b": 210}, 2)
    before = [f"{text} Zxqv" if k < 4 else text for k, text in enumerate(side(THREE, 1))]
    found = estimates(mode_coverage, pair(before, after))
    assert "zxqv" not in repr([dataclasses.asdict(one)["evidence"] for one in found.values()]).lower()


def test_kinds_do_not_hang_on_the_last_digits_of_a_decomposition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another processor sums in another order and may turn an axis round. Texts that stand there many times over, as a
    collapsed model writes them, make distances equal, and a last digit then decided between centres."""
    looped = [" ".join([f"loop{k % 7}"] * 14) for k in range(240)]
    comparison = pair([*side(THREE, 1), *looped], [*side(THREE, 2), *looped])
    usual = comparison.kinds
    decomposed, noise = np.linalg.svd, np.random.default_rng(4)

    def otherwise(table: np.ndarray, **how: bool) -> tuple[np.ndarray, ...]:  # type: ignore[type-arg]
        left, spread, axes = decomposed(table, **how)
        axes = axes * (1 + 1e-13 * noise.standard_normal(axes.shape))
        return left, spread, axes * np.where(np.arange(len(axes)) % 3 == 0, -1, 1)[:, None]

    monkeypatch.setattr(np.linalg, "svd", otherwise)
    for _ in range(5):
        again = pair([*side(THREE, 1), *looped], [*side(THREE, 2), *looped]).kinds
        assert again.shape == usual.shape
        assert (again == usual).all()


def brought(shares: Mapping[str, int], seed: int, width: int = 64) -> Sample:
    """Texts of one vocabulary for all; what tells the kinds apart is what their embeddings lie around."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(f"w{k}" for k in rng.choice(ZIPF.size, size=14, p=ZIPF)) for _ in range(sum(shares.values()))]
    centres = {name: np.random.default_rng(ord(name)).normal(size=width) for name in "abc"}
    kinds = [name for name, count in shares.items() for _ in range(count)]
    mean = np.full(width, 5.0)  # all texts lie far from the origin, as sentence embeddings do
    return sample(texts, embeddings=np.stack([mean + centres[kind] + 0.3 * rng.normal(size=width) for kind in kinds]))


@pytest.mark.parametrize("width", [64, 8])
def test_kinds_are_those_of_embeddings_where_the_records_bring_these(width: int) -> None:
    sides = brought(THREE, 1, width), brought({"a": 230, "b": 210}, 2, width)
    found = estimate(mode_coverage, pair(*sides), KEPT.statistic)
    assert found.value == 0.0
    assert said(found) == "fail"
    assert "kinds of embeddings" in found.method
    blind = [dataclasses.replace(each, embeddings=None) for each in sides]
    assert said(estimate(mode_coverage, pair(*blind), KEPT.statistic)) != "fail"
    healthy = estimate(mode_coverage, pair(brought(THREE, 1, width), brought(THREE, 2, width)), KEPT.statistic)
    assert said(healthy) == "pass"


def test_kinds_of_embeddings_do_not_hang_on_which_side_is_the_baseline() -> None:
    one, other = brought(THREE, 1), brought(THREE, 2)
    there, back = pair(one, other).kinds, pair(other, one).kinds
    n = len(one)
    assert (np.concatenate((back[n:], back[:n])) == there).all()
