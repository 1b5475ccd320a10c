"""The report's histograms: common bins, shares that add up, and nothing where nothing is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from small_lineages import write

from collapse_audit import audit
from collapse_audit.probes.statistics.histogram import edges, shares


@given(
    st.lists(st.floats(0, 20), min_size=1, max_size=60),
    st.lists(st.floats(0, 20), min_size=1, max_size=60),
)
@example([0.0], [5e-324])
def test_shares_and_both_overflows_are_all_there_is(first: list[float], other: list[float]) -> None:
    pooled = np.array(first + other)
    cuts = edges(np.array(first), pooled)
    assert (np.diff(cuts) > 0).all()
    assert 11 <= cuts.size <= 101
    for values in (np.array(first), np.array(other)):
        found = shares(values, cuts)
        assert found["below"] + sum(found["shares"]) + found["above"] == pytest.approx(1.0)
        assert found["n"] == values.size


def test_bins_are_as_wide_as_freedman_and_diaconis_say() -> None:
    """1,001 evenly spaced values from 0 to 10: quartiles 2.5 and 7.5, width 2 * 5 / 1001^(1/3)."""
    values = np.linspace(0, 10, 1001)
    cuts = edges(values, values)
    assert cuts[[0, -1]] == pytest.approx([0.01, 9.99])
    width = 10 / 1001 ** (1 / 3)
    assert cuts.size - 1 == np.ceil(9.98 / width)
    assert np.diff(cuts) == pytest.approx(np.full(cuts.size - 1, 9.98 / (cuts.size - 1)))


def test_counting_by_hand() -> None:
    cuts = np.array([1.0, 2.0, 3.0])
    found = shares(np.array([0.5, 1.0, 1.5, 2.0, 3.0, 3.5, 9.0, 2.5]), cuts)
    assert found == {"n": 8, "below": 1 / 8, "above": 2 / 8, "shares": [2 / 8, 3 / 8]}


def lineage(root: Path, scored: dict[str, Any]) -> Path:
    for name in ("reference", "gen_0", "gen_1", "gen_2"):
        values = scored.get(name)
        records: list[Any] = [f"{name} words and number {k}" for k in range(60)]
        if values is not None:
            records = [{"text": text, "nll": float(x)} for text, x in zip(records, values, strict=True)]
        write(root / f"{name}.jsonl", records)
    return root


def test_a_report_holds_every_corpus_in_the_same_bins(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nll = {f"gen_{k}": rng.normal(3 - 0.2 * k, 0.4, 60).round(6) for k in (0, 1, 2)}
    (found,) = audit(lineage(tmp_path, nll), independent=True).histograms
    assert (found["statistic"], found["unit"]) == ("log-perplexity", "nats per token")
    assert [(one["name"], one["generation"]) for one in found["series"]] == [(f"generation {k}", k) for k in (0, 1, 2)]
    cuts = np.array(found["edges"])
    pooled = np.concatenate(list(nll.values()))
    assert cuts[[0, -1]] == pytest.approx(np.quantile(pooled, [0.001, 0.999]))
    for one, values in zip(found["series"], nll.values(), strict=True):
        assert one["shares"] == pytest.approx(np.histogram(values, cuts)[0] / 60)
        assert one["below"] == np.mean(values < cuts[0])


def test_human_text_comes_first_and_has_no_generation(tmp_path: Path) -> None:
    values = {name: np.linspace(1, 3, 60) for name in ("reference", "gen_0", "gen_1", "gen_2")}
    (found,) = audit(lineage(tmp_path, values), independent=True).histograms
    assert [one["name"] for one in found["series"]] == ["reference", "generation 0", "generation 1", "generation 2"]
    assert found["series"][0].get("generation") is None


def test_nothing_scored_nothing_drawn(tmp_path: Path) -> None:
    assert audit(lineage(tmp_path, {}), independent=True).histograms == ()
