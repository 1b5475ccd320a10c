"""Labels by the thousand: what the probes say of them is what dense tables say, and too many are refused cheaply."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from builders import pair, sample
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.special import entr

from collapse_audit.errors import UsageError
from collapse_audit.probes.label_coverage import label_coverage
from collapse_audit.probes.label_divergence import label_divergence
from collapse_audit.probes.statistics import tables
from collapse_audit.probes.text import labels
from collapse_audit.probes.text.labels import label_rule


def test_a_table_of_too_many_labels_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MOST_LABELS", 9)
    rule = label_rule("field")
    assert rule is not None
    field = pa.array([[f"L{number}"] for number in range(10)])
    with pytest.raises(UsageError) as refused:
        rule.apply(pa.array(["a text"] * 10), field)
    assert "10 texts carry 10 different labels by the rule 'field'" in str(refused.value)
    assert "--labels none" in str(refused.value)
    assert refused.value.slug == "too-many-labels"
    assert rule.apply(pa.array(["a text"] * 9), field[:9]).carried.shape == (9, 9)


Rows = list[list[str]]


def dense(rows: Rows, names: list[str]) -> np.ndarray:
    """Who carries what, a cell for every text and label; the last column for none."""
    return np.array([[name in row for name in names] + [not row] for row in rows], dtype=float)


def smoothed(counts: np.ndarray) -> np.ndarray:
    return (counts + 0.5) / (counts + 0.5).sum()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_the_probes_say_what_a_dense_table_of_all_labels_says(seed: int) -> None:
    """Zipf labels, none to three a text; in slices of one relabelling, so that no result hangs on where they end."""
    rng = np.random.default_rng(seed)
    rows = [[f"L{k}" for k in rng.zipf(1.6, rng.integers(0, 4)) if k < 10**6] for _ in range(80)]
    comparison = pair(*(sample(["t"] * 40, labels=part) for part in (rows[:40], rows[40:])), labels="field")
    names = sorted({label for row in rows for label in row})
    table = dense(rows, names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_CHUNK", 1)
        divergence, effective = label_divergence(comparison)
    forward, entropies = [], []
    for labelling in comparison.relabellings:
        before, after = (table[labelling == which].sum(axis=0) for which in (0, 1))
        seen = (before + after) > 0
        seen[-1] = True
        p, q = smoothed(before[seen]), smoothed(after[seen])
        forward.append(float((p * np.log(p / q)).sum()))
        entropies.append([float(entr(side[:-1] / max(side[:-1].sum(), 1)).sum()) for side in (before, after)])
    assert divergence.raw["kl_baseline_generation"] == pytest.approx(forward[0], abs=1e-12)
    assert divergence.value == pytest.approx(forward[0] - np.mean(forward[1:]), abs=1e-12)
    if np.count_nonzero(table[:40, :-1].sum(axis=0)) < 2:
        return
    changes = np.array([after - before for before, after in entropies])
    assert effective.value == pytest.approx(math.exp(changes[0]), rel=1e-12)
    assert effective.p_value == np.mean(changes <= changes[0] + 1e-10 * max(1, abs(changes[0])))
    (found,) = label_coverage(comparison)
    counts = {row["label"]: (row["baseline_count"], row["generation_count"]) for row in found.evidence}
    both = {name: (int(table[:40, k].sum()), int(table[40:, k].sum())) for k, name in enumerate(names)}
    assert counts == {name: count for name, count in both.items() if count[0]}


def test_sums_of_a_sparse_table_are_those_of_the_dense_one_bit_by_bit() -> None:
    rng = np.random.default_rng(0)
    table = (rng.random((300, 90)) < 0.05) * rng.integers(1, 9, (300, 90)).astype(float)
    relabellings = (rng.random((50, 90)) < 0.5).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_CHUNK", 3000)
        parts = list(tables.sparse_side_sums(csr_array(table), relabellings))
    assert len(parts) == 5
    assert np.array_equal(np.concatenate([sums for _, sums in parts], axis=1), tables.side_sums(table.T, relabellings))
