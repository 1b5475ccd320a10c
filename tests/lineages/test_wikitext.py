"""Passages of WikiText-2: which are taken, and what the tokenisation added is gone."""

from __future__ import annotations

import doctest
import gzip
import json
from pathlib import Path

import pytest

from collapse_audit.lineages.simulation import wikitext

FILLER = "and so the long sentence went on and on over hill and dale until it came to its end at last in the very end ."


@pytest.mark.parametrize(
    ("published", "plain"),
    [
        ("The red @-@ tipped ones", "The red-tipped ones"),
        ("1 @,@ 500 and 1 @.@ 5", "1,500 and 1.5"),
        ("lobsters , however ( 24 in ) ; so : yes ?", "lobsters, however (24 in); so: yes?"),
        ('only " lobster red " on cooking', 'only "lobster red" on cooking'),
        ("Rosebery 's crew did n't know , they 'd say", "Rosebery's crew didn't know, they'd say"),
        ("the lobsters ' claws", "the lobsters' claws"),
        ("£ 5 [ sic ] and 50 %", "£5 [sic] and 50%"),
    ],
)
def test_what_the_tokenisation_added_is_taken_out(published: str, plain: str) -> None:
    assert wikitext.plain(published) == plain


def test_a_passage_is_a_run_of_sentences_without_unknown_words() -> None:
    first, second = f"First , {FILLER}", f"Second , {FILLER}"
    line = f" {first} {second} A <unk> follows . Too short . Another <unk> here . {first} \n"
    found = list(wikitext.passages([" = A heading = ", line, line, " = = Another = = "]))
    plain = [wikitext.plain(text) for text in (first, second)]
    assert found == [" ".join(plain), plain[0]]


def test_the_choice_is_whole_texts_in_their_order_that_fill_the_words() -> None:
    texts = [f"{number} " + "word " * 9 for number in range(50)]  # ten words each
    chosen = wikitext.choose(texts, 95, seed=3)
    assert len(chosen) == 10
    assert chosen == [text for text in texts if text in chosen]
    assert chosen != wikitext.choose(texts, 95, seed=4)
    with pytest.raises(ValueError, match="500 words in passages that can be taken; 501 were asked for"):
        wikitext.choose(texts, 501, seed=0)


def test_the_command_writes_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text(f"{FILLER} {FILLER}\n")
    assert wikitext.main([str(tmp_path / "test.txt"), str(tmp_path / "out.jsonl.gz"), "--words", "30"]) == 0
    with gzip.open(tmp_path / "out.jsonl.gz", "rt") as file:
        records = [json.loads(line) for line in file]
    assert records == [{"id": "0000", "text": wikitext.plain(f"{FILLER} {FILLER}")}]


def test_the_example_holds() -> None:
    assert doctest.testmod(wikitext).failed == 0
