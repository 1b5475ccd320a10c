"""Counts over all documents: of parts they add up to those of the whole, and each is what counting one by one gives."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from builders import batches, sample
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.probes.text import census as census_module
from collapse_audit.probes.text.census import Census, Tally, census
from collapse_audit.probes.text.draw import draw, together
from collapse_audit.probes.text.sample import sample_of
from collapse_audit.probes.text.tokens import WORDS

TEXTS = ["", "  ", "</s>", "one", "one", "one  ", "one two", "o\u0301ne", "\u00f3ne", "three four five"]
DOCUMENTS = st.lists(
    st.tuples(st.sampled_from(TEXTS), st.sampled_from([None, [], ["a"], ["a", "b", "a"]])), max_size=30
)


def count(table: pa.Table) -> Census:
    return census(table, "words", 0)


def told(whole: Census) -> tuple[object, ...]:
    """What a census says, as plain values."""
    assert whole.texts is not None
    tallies = whole.texts.lengths, whole.texts.copies
    plain = [dict(zip(each.values.tolist(), each.counts.tolist(), strict=True)) for each in tallies]
    return whole.documents, whole.labels, whole.texts.empty, *plain


def by_hand(documents: list[tuple[str, list[str] | None]]) -> tuple[object, ...]:
    """The same, of plain strings: a text is what it is to a reader, whose accents may be spelt in two ways."""
    seen = [" ".join(text.replace("o\u0301", "\u00f3").split()) for text, _ in documents]
    labels = Counter(label for _, carried in documents for label in {*(carried or ())})
    words = {"</s>": 3}  # signs, a letter, signs: < / are one run of symbols
    lengths = Counter(words.get(text, len(text.split())) for text in seen)
    return (
        len(documents),
        dict(labels),
        sum(text in ("", "</s>") for text in seen),
        dict(lengths),
        dict(Counter(Counter(seen).values())),
    )


@given(parts=st.lists(DOCUMENTS, min_size=1, max_size=4), most=st.integers(1, 12))
def test_parts_add_up_to_what_counting_one_by_one_gives(parts, most) -> None:
    drawn = [
        draw(
            batches([text for text, _ in part], labels=[labels for _, labels in part]) if part else (),
            part=number,
            most=most,
            seed=0,
            count=count,
        )
        for number, part in enumerate(parts)
    ]
    whole = drawn[0]
    for one in reversed(drawn[1:]):
        whole = together(whole, one, count)
    documents = [document for part in parts for document in part]
    if len(documents) <= most:
        assert whole.left_out is None
        return
    assert whole.left_out is not None
    assert whole.left_out.documents == len(documents) - most
    assert told((whole.left_out + count(whole.table)).settled()) == by_hand(documents)


def test_a_sample_that_is_all_of_its_corpus_counts_the_same() -> None:
    labels = [["a"], None, [], ["b", "a"], *[["c"]] * (len(TEXTS) - 4)]
    documents = list(zip(TEXTS, labels, strict=True))
    assert told(sample(TEXTS, labels=labels).counted) == by_hand(documents)


def test_a_prompt_that_its_text_begins_with_is_not_counted() -> None:
    texts, prompts = ["Why so? Because.", "Because."], ["Why so?", "Why so?"]
    (batch,) = batches(texts, prompts=prompts)
    found = count(pa.Table.from_batches([batch])).texts
    assert found is not None
    assert found.lengths.values.tolist() == [2]  # Because and a full stop
    assert found.copies.counts.tolist() == [2]


def test_counts_of_texts_are_put_aside_where_one_text_alone_does_not_tell_what_the_model_wrote() -> None:
    """Chat transcripts are recognised by how many there are, so a transcript by itself is not cut."""
    turns = [f"<|user|>\nquestion {n}\n<|assistant|>\nanswer {n}" for n in range(40)]
    drawn = draw(batches(turns), most=10, seed=0, count=count)
    assert drawn.left_out is not None
    whole = (drawn.left_out + count(drawn.table)).settled()
    thinned = sample_of(drawn, name="s", digest="d", tokenizer=WORDS, whole=whole)
    assert any("transcripts" in note for note in thinned.notes)
    assert thinned.counted.documents == 40
    assert thinned.counted.texts is None


def test_nothing_is_counted_of_labels_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census_module, "MOST_LABELS", 3)
    tables = [pa.Table.from_batches(batches(["t"] * 2, labels=[[f"{side}{n}"] for n in range(2)])) for side in "ab"]
    assert count(tables[0]).labels == {"a0": 1, "a1": 1}
    assert (count(tables[0]) + count(tables[1])).labels is None


def test_texts_are_cut_in_portions_to_the_same_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.Table.from_batches(batches(TEXTS * 3))
    whole = told(count(table))
    monkeypatch.setattr(census_module, "_BYTES", 7)
    assert told(count(table)) == whole


@given(st.lists(st.integers(-5, 5)), st.lists(st.integers(-5, 5)))
def test_tallies_add_up(one: list[int], other: list[int]) -> None:
    tallies = [Tally.of(np.array(numbers, dtype=np.int64)) for numbers in (one, other)]
    both = tallies[0] + tallies[1]
    counted = Counter(one + other)
    assert dict(zip(both.values.tolist(), both.counts.tolist(), strict=True)) == dict(counted)
    assert both.total == len(one) + len(other)
