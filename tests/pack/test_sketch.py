"""Sketches of corpora, by sets and loops."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.packs.sketch import CUTS, UNCUT, run_lengths, sketch


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(8, 20))
@settings(max_examples=30)
def test_curves_count_what_sets_count(seed: int, size: int, blocks: int) -> None:
    rng = np.random.default_rng(seed)
    documents = [[f"w{k}" for k in rng.integers(0, 12, rng.integers(0, 6))] for _ in range(size * blocks)]
    whole = sketch(
        sample_of([" ".join(words) for words in documents]), np.arange(len(documents)), size=size, cuts=(UNCUT,)
    )
    kinds = {
        "words": [set(words) for words in documents],
        "pairs": [set(itertools.pairwise(words)) for words in documents],
        "texts": [{" ".join(words)} for words in documents],
    }
    for kind, sets in kinds.items():
        curve = whole.texts if kind == "texts" else getattr(whole.at[0], kind)
        for k in range(blocks):
            first = sets[: (k + 1) * size]
            held = Counter(item for one in first for item in one)
            lone = [sum(held[item] == 1 for item in one) for one in first]
            assert curve.distinct[k] == len(held)
            assert curve.spread[k] == pytest.approx(sum((n - np.mean(lone)) ** 2 for n in lone))
        for length, run in zip(run_lengths(blocks), curve.runs, strict=False):
            span = length * size
            ends = range(0, blocks // length * span, span)
            assert run.tolist() == [len(set().union(*sets[start : start + span])) for start in ends]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_collisions_count_pairs_of_tokens_and_leave_out_each_document_in_turn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    documents = [rng.integers(0, 5, rng.integers(0, 5)).tolist() for _ in range(16)]
    spelt = [" ".join(f"w{k}" for k in row) for row in documents]
    found = sketch(sample_of(spelt), np.arange(16), size=2, cuts=(UNCUT,)).collisions

    def collided(rows: list[list[int]]) -> tuple[int, int]:
        both = list(itertools.permutations(rows, 2))
        return sum(a == b for x, y in both for a in x for b in y), sum(len(x) * len(y) for x, y in both)

    for k in range(8):
        rows = documents[: 2 * (k + 1)]
        same, pairs = collided(rows)
        assert found.same[k] == same
        if same:
            n, share = len(rows), same / pairs
            parts = [collided(rows[:d] + rows[d + 1 :]) for d in range(n)]
            influence = np.array([(share - s / max(p, 1)) * (n - 1) / n for s, p in parts])
            expected = n / (n - 1) * float(((influence - influence.mean()) ** 2).sum()) / share**2
            assert found.variance[k] == pytest.approx(expected, abs=1e-12)
    assert [run.tolist() for run in found.runs] == [[collided(documents[d : d + 2])[0] for d in range(0, 16, 2)]]


def test_runs_grow_with_the_number_of_blocks_and_there_are_always_eight() -> None:
    for blocks in range(10, 200):
        lengths = run_lengths(blocks)
        assert blocks // lengths[-1] >= 8
        assert all(blocks // step < 8 for step in (*CUTS, 2, 3, 4, 6) if step > lengths[-1])
