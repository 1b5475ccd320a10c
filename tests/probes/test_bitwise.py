"""Counts under relabellings, bit by bit, against the product that they stand for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from collapse_audit.probes.statistics import bitwise
from collapse_audit.probes.statistics.bitwise import counted, packed, present, total


def table(types: int, blocks: int, seed: int, most: int = 4) -> tuple[csr_array, npt.NDArray[np.int64]]:
    """A table of counts in which every type stands in a block, as a sparse and as a dense one."""
    rng = np.random.default_rng(seed)
    dense = rng.integers(0, most + 1, size=(types, blocks)) * (rng.random((types, blocks)) < 0.4)
    dense[np.arange(types), rng.integers(blocks, size=types)] += 1
    return csr_array(dense.astype(np.float32)), dense


def sides(replicates: int, blocks: int, seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 2, size=(replicates, blocks), dtype=np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 20), st.integers(1, 130), st.integers(0, 999))
def test_counts_are_those_of_the_product(types: int, blocks: int, replicates: int, seed: int) -> None:
    sparse, dense = table(types, blocks, seed)
    drawn = sides(replicates, blocks, seed)
    parts = list(counted(sparse, packed(drawn), replicates))
    assert [part.start for part, _ in parts] == [0, *(part.stop for part, _ in parts[:-1])]  # in order, without a gap
    assert np.array_equal(np.concatenate([counts for _, counts in parts]), dense @ drawn.T)


@pytest.mark.parametrize("together", [1, 7, 64])
def test_a_type_of_many_occurrences_is_added_up_in_pieces(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts of up to 40 x 300 take two bytes, and pieces of them are put together without a carry lost."""
    sparse, dense = table(5, 40, seed=3, most=300)
    drawn = sides(70, 40, seed=4)
    monkeypatch.setattr(bitwise, "_TOGETHER", 2 * together)  # 70 relabellings are two words
    counts = np.concatenate([each for _, each in counted(sparse, packed(drawn), 70)])
    assert counts.max() > 255
    assert np.array_equal(counts, dense @ drawn.T)


def test_a_type_is_present_on_the_sides_that_hold_a_block_of_it() -> None:
    sparse, dense = table(50, 30, seed=5)
    drawn = sides(100, 30, seed=6)
    zeros, ones = zip(*present(sparse, packed(drawn)), strict=True)
    for side, words in enumerate((zeros, ones)):
        expected = ((dense @ (drawn == side).T) > 0).sum(axis=0)
        assert np.array_equal(total(np.concatenate(words), 100), expected)
