"""A corpus in memory: what is read, how a large one is thinned, and what counts as the same text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from builders import batches, sample
from scipy.stats import chi2

from collapse_audit.probes.text.folding import fold
from collapse_audit.probes.text.sample import read_sample
from collapse_audit.probes.text.tokens import WORDS


def drawn(n: int, kept: int, *, seed: int, rows: int | None = None) -> list[int]:
    """Which of the documents 0..n-1 a sample of ``kept`` holds."""
    thinned = sample([f"d{number}" for number in range(n)], max_documents=kept, seed=seed, rows=rows)
    assert thinned.n_read == n
    return [int(text[1:]) for text in thinned.texts.to_pylist()]


def test_everything_is_kept_in_the_order_of_the_file_where_no_limit_is_reached() -> None:
    for limit in (0, 7, 8):
        kept = drawn(7, limit, seed=1, rows=3)
        assert kept == list(range(7))


@pytest.mark.parametrize(("n", "limit", "rows"), [(10, 1, 1), (10, 9, 3), (100, 10, 7), (100, 10, 100), (21, 10, 21)])
def test_a_thinned_sample_has_exactly_the_documents_asked_for_each_once_in_the_order_of_the_file(
    n: int, limit: int, rows: int
) -> None:
    kept = drawn(n, limit, seed=3, rows=rows)
    assert len(kept) == limit
    assert kept == sorted(set(kept))


def test_how_the_file_is_cut_into_batches_does_not_change_the_draw() -> None:
    assert {tuple(drawn(97, 12, seed=5, rows=rows)) for rows in (1, 2, 13, 50, 97)} == {tuple(drawn(97, 12, seed=5))}


def test_the_seed_decides_the_draw() -> None:
    assert drawn(100, 10, seed=1) == drawn(100, 10, seed=1)
    assert drawn(100, 10, seed=1) != drawn(100, 10, seed=2)


def test_every_document_is_as_likely_to_be_drawn_as_any_other() -> None:
    """Pearson's statistic of R = 240 draws of k = 10 out of n = 40, in batches of 3, against its chi-square law.

    The inclusions of one draw are negatively correlated: the counts have covariance R k/n (n-k)/(n-1) (I - J/n), so
    sum (O - E)^2 / E times (n-1)/(n-k) is asymptotically chi-square with n-1 degrees of freedom. Limits: the 1e-6
    quantile and its complement.
    """
    n, kept, repeats = 40, 10, 240
    counts = np.zeros(n)
    for seed in range(repeats):
        counts[drawn(n, kept, seed=seed, rows=3)] += 1
    expected = repeats * kept / n
    statistic = ((counts - expected) ** 2).sum() / expected * (n - 1) / (n - kept)
    assert chi2.ppf(1e-6, n - 1) < statistic < chi2.isf(1e-6, n - 1)


def test_memory_is_bounded_by_the_sample_and_not_by_the_corpus() -> None:
    """A stream of 200 MB is thinned to 50 documents; no more than a few batches are ever held."""
    text = "x" * 100_000

    held_most = 0

    def stream() -> object:
        nonlocal held_most
        for _ in range(200):
            yield next(batches([text] * 10))
            held_most = max(held_most, pa.total_allocated_bytes() - before)

    before = pa.total_allocated_bytes()
    thinned = read_sample(stream(), name="s", digest="d", tokenizer=WORDS, max_documents=50, seed=0)  # type: ignore[arg-type]
    assert len(thinned) == 50
    assert thinned.n_read == 2000
    # At most 2 x 50 documents wait, plus a batch, plus the copy while thinning: 250 documents of 100 kB.
    assert held_most < 250 * 100_000


def test_columns_stay_beside_their_text() -> None:
    n = 60
    thinned = sample(
        [f"t{i}" for i in range(n)],
        labels=[[f"l{i}"] for i in range(n)],
        prompts=[f"p{i}" for i in range(n)],
        groups=[f"g{i}" for i in range(n)],
        nll=[float(i) for i in range(n)],
        max_documents=13,
        rows=7,
    )
    assert thinned.label_field is not None
    assert thinned.prompts is not None
    assert thinned.groups is not None
    assert thinned.nll is not None
    rows = [int(text[1:]) for text in thinned.texts.to_pylist()]
    assert thinned.label_field.to_pylist() == [[f"l{i}"] for i in rows]
    assert thinned.prompts.to_pylist() == [f"p{i}" for i in rows]
    assert thinned.groups.to_pylist() == [f"g{i}" for i in rows]
    assert thinned.nll.tolist() == [float(i) for i in rows]
    assert [thinned.tokens.vocabulary[int(token)].as_py() for token in thinned.tokens.ids] == [f"t{i}" for i in rows]


def test_a_column_that_no_record_has_is_absent_and_a_partial_one_is_not() -> None:
    bare = sample(["a", "b"])
    assert bare.label_field is bare.prompts is bare.groups is bare.nll is None
    partial = sample(["a", "b"], nll=[None, 2.5], labels=[["x"], None])
    assert partial.nll is not None
    assert np.isnan(partial.nll[0])
    assert partial.nll[1] == 2.5
    assert partial.label_field is not None
    assert partial.label_field.to_pylist() == [["x"], None]


# Folding and patterns


def folded(text: str) -> str:
    return str(fold(pa.array([text], pa.large_string()))[0].as_py())


@pytest.mark.parametrize(
    "text",
    [
        "a b",
        " a  b ",
        "a\t\nb",
        "a\r\nb",
        "a\u00a0b",
        "a\u2003\u3000b",
        "a\u2028b\u2029",
        "\u00a0a b",
        "a\x0bb",
        "a\x85b",
    ],
)
def test_texts_that_differ_in_white_space_only_are_the_same_text(text: str) -> None:
    assert folded(text) == "a b"


# Each line read by hand.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Size 0,9*0,5*0,9 cm", "Size # cm"),
        ("10х12 мм", "# мм"),  # Cyrillic х
        ("10x12 mm, 3×4", "# mm, #"),
        ("on 12.03.2024 at 10:30", "on # at #"),
        ("1,000.50", "#"),
        ("3-4", "#-#"),
        ("v2 x 3", "v# x #"),
        ("end 5.", "end #."),
        ("٣٤ and １２", "# and #"),  # Arabic-Indic and full-width digits
        ("  no  numbers\there ", "no numbers here"),
        ("", ""),
        ("½ Ⅳ", "½ Ⅳ"),  # numbers, but no digits
    ],
)
def test_a_pattern_is_a_text_with_its_numbers_masked(text: str, expected: str) -> None:
    assert sample([text]).patterns.to_pylist() == [expected]


def test_reports_that_differ_in_their_measurements_have_one_pattern() -> None:
    reports = sample(["Nodule 4 mm, EU-TIRADS 3", "Nodule  12,5 mm, EU-TIRADS 4", "No nodule"])
    assert len(set(reports.patterns.to_pylist())) == 2
    assert len(set(reports.folded.to_pylist())) == 3


def test_a_text_is_empty_where_it_holds_nothing_that_a_reader_sees() -> None:
    texts = ["", " ", "\u00a0\n", "\v\x85", "\u200b\ufeff \u2060", "a", " . "]
    assert sample(texts).empty.tolist() == [True, True, True, True, True, False, False]
