"""Passages of WikiText-2 as people would write them, from its files as published (tokenised, CC BY-SA).

Hardly a paragraph holds no ``<unk>``, so what is taken are runs of consecutive sentences without it, of at least 25
words; headings are left out. What the tokenisation put between words is taken out: `` @-@ `` is a hyphen, and a space
before a comma or inside brackets is none.

>>> plain('The red @-@ tipped spines ( 1 @.@ 5 cm ) weigh " much " , he said ; it \\'s so .')
'The red-tipped spines (1.5 cm) weigh "much", he said; it\\'s so.'
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from collapse_audit.lineages.disk.write import write_corpus

FEWEST_WORDS = 25
_SENTENCE_END = re.compile(r"(?<= [.?!]) ")
_RULES = [
    (re.compile(r" @(.)@ "), r"\1"),
    (re.compile(r'" ([^"]*?) "'), r'"\1"'),
    (re.compile(r" ([,.;:!?%)\]])"), r"\1"),
    (re.compile(r"([(\[$£€]) "), r"\1"),
    (re.compile(r" ('(?:s|S|t|re|ve|ll|d|m)\b)"), r"\1"),
    (re.compile(r"(\w) (n't)\b"), r"\1\2"),
    (re.compile(r"(\w)s ' "), r"\1s' "),
]


def plain(text: str) -> str:
    """The text without what the tokenisation added."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text.strip()


def passages(lines: Sequence[str]) -> Iterator[str]:
    """The passages to be taken, in the order of the file, each once."""
    seen = set()
    for line in lines:
        if line.strip().startswith("="):
            continue
        sentences = _SENTENCE_END.split(line.strip())
        for broken, run in groupby(sentences, key=lambda sentence: "<unk>" in sentence):
            text = " ".join(run)
            if not broken and text not in seen and len(text.split()) >= FEWEST_WORDS:
                seen.add(text)
                yield plain(text)


def choose(texts: Sequence[str], words: int, seed: int) -> list[str]:
    """A random part of the texts of at least so many words, whole texts in their order; the last one drawn fills it.

    Raises ValueError where there are fewer words than that.
    """
    taken, total = [], 0
    for place in np.random.default_rng(seed).permutation(len(texts)).tolist():
        if total >= words:
            break
        taken.append(place)
        total += len(texts[place].split())
    if total < words:
        raise ValueError(f"{total:,} words in passages that can be taken; {words:,} were asked for")
    return [texts[place] for place in sorted(taken)]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: a file of WikiText-2 in, a corpus out."""
    parser = argparse.ArgumentParser(description="Passages of WikiText-2, untokenised, as a corpus.")
    parser.add_argument("source", type=Path, help="valid.txt or test.txt as published")
    parser.add_argument("target", type=Path, help="the corpus to be written (.jsonl.gz)")
    parser.add_argument("--words", type=int, default=13_000, help="words to be taken (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="decides which passages (default: %(default)s)")
    options = parser.parse_args(argv)
    texts = choose(list(passages(options.source.read_text("utf-8").splitlines())), options.words, options.seed)
    write_corpus(options.target, [{"id": f"{number:04d}", "text": text} for number, text in enumerate(texts)])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
