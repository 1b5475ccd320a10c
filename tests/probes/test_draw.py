"""The draw of a large corpus: what is drawn, and that neither order nor number of readers changes it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import numpy as np
from builders import batches
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from collapse_audit.probes.text.draw import PART, ROW, Draw, draw, together

MOST = 8


def corpus(sizes: Sequence[int]) -> list[list[str]]:
    """Parts with so many documents, none like another."""
    return [[f"document {row} of part {part}" for row in range(size)] for part, size in enumerate(sizes)]


def drawn(parts: Sequence[Sequence[str]], *, most: int = MOST, seed: int = 0, rows: int | None = None) -> list[Draw]:
    """A draw of each part."""
    return [
        draw(batches(texts, rows=rows) if texts else (), part=part, most=most, seed=seed)
        for part, texts in enumerate(parts)
    ]


def texts(one: Draw) -> list[str]:
    return [] if not len(one.table) else one.table["text"].to_pylist()


def by_sorting(parts: Sequence[Sequence[str]], most: int, seed: int) -> list[str]:
    """The definition, another way: hash all documents of all parts, sort, keep the first, put them into their order."""
    key = hashlib.blake2b(f"collapse-audit draw {seed}".encode(), digest_size=32).digest()
    hashed = [
        (
            int.from_bytes(
                hashlib.blake2b(struct.pack("<qq", part, row) + text.encode(), digest_size=8, key=key).digest(),
                "little",
            ),
            part,
            row,
            text,
        )
        for part, texts in enumerate(parts)
        for row, text in enumerate(texts)
    ]
    kept = sorted(hashed)[:most] if most else hashed
    return [text for *_, text in sorted(kept, key=lambda one: one[1:3])]


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
    rows=st.integers(1, 17),
    most=st.sampled_from([0, 1, MOST]),
)
def test_parts_in_any_order_and_any_grouping_give_the_draw_of_the_whole(sizes, order, rows, most) -> None:
    parts = corpus(sizes)
    waiting = drawn(parts, most=most, rows=rows)
    while len(waiting) > 1:
        order.shuffle(waiting)
        waiting.append(together(waiting.pop(), waiting.pop()))
    (whole,) = waiting
    assert texts(whole) == by_sorting(parts, most, 0)
    assert whole.n_read == sum(sizes)
    assert whole.complete == (most == 0 or sum(sizes) <= most)


def test_the_seed_is_the_key() -> None:
    first, second = (texts(drawn(corpus([200]), seed=seed)[0]) for seed in (1, 2))
    assert first != second
    assert first == by_sorting(corpus([200]), MOST, 1)


def test_copies_of_one_text_are_drawn_one_by_one() -> None:
    """Half of 2,000 documents are one text; of 200 drawn, the copies are hypergeometric. Were copies drawn together,
    there would be none or 200 of them. Limits: the 1e-6 quantiles."""
    many = ["the same"] * 1000 + [f"text {number}" for number in range(1000)]
    (one,) = drawn([many], most=200)
    copies = texts(one).count("the same")
    law = hypergeom(2000, 1000, 200)
    assert law.ppf(1e-6) <= copies <= law.isf(1e-6)


def test_generations_that_answer_the_same_prompts_in_the_same_order_are_drawn_at_the_same_prompts() -> None:
    prompts = [f"question {number % 300}" for number in range(900)]
    sides = [
        draw(batches([f"{side} {number}" for number in range(900)], prompts=prompts), most=50, seed=0)
        for side in ("before", "after")
    ]
    rows = [side.table[ROW].to_pylist() for side in sides]
    assert rows[0] == rows[1]
    assert texts(sides[0]) != texts(sides[1])


def test_corpora_without_prompts_are_drawn_independently_of_each_other() -> None:
    """Rows in common of two draws of 300 out of 900 are hypergeometric. Limits: the 1e-6 quantiles."""
    sides = [draw(batches([f"{side} {n}" for n in range(900)]), most=300, seed=0) for side in ("before", "after")]
    common = len({*sides[0].table[ROW].to_pylist()} & {*sides[1].table[ROW].to_pylist()})
    law = hypergeom(900, 300, 300)
    assert law.ppf(1e-6) <= common <= law.isf(1e-6)


def test_parts_of_any_size_give_what_their_share_is_worth() -> None:
    """Three parts of 100, 300 and 600 documents: of 100 drawn, the first part's are hypergeometric (1e-6 quantiles)."""
    whole = reduce(together, drawn(corpus([100, 300, 600]), most=100))
    counts = np.bincount(whole.table[PART].to_numpy(), minlength=3)
    assert counts.sum() == 100
    for count, size in zip(counts, (100, 300, 600), strict=True):
        law = hypergeom(1000, size, 100)
        assert law.ppf(1e-6) <= count <= law.isf(1e-6)


def test_the_documents_stand_by_part_and_row() -> None:
    whole = reduce(together, reversed(drawn(corpus([30, 30, 30]))))
    places = list(zip(whole.table[PART].to_pylist(), whole.table[ROW].to_pylist(), strict=True))
    assert all(one < other for one, other in pairwise(places))
