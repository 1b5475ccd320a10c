"""Made-up text in any amount, a million words a second: as zipf_text, drawn by numpy, in numbered files of one corpus.

    python -m benchmarks.many_texts FOLDER DOCUMENTS [--words 40] [--files 8] [--seed 0]

Writes ``FOLDER/part-000.jsonl`` and so on. In a process of its own, so that whoever measures stays small.
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

import numpy as np

from benchmarks.zipf_text import SHIFT, SPREAD, VOCABULARY, spelled

_TOGETHER = 20_000
"""Documents that are drawn at a time."""


def write(folder: Path, documents: int, *, words: int, files: int, seed: int) -> None:
    """``documents`` records of ``words`` words on average in ``files`` files of ``folder``."""
    folder.mkdir(parents=True)
    vocabulary = np.array([spelled(rank) for rank in range(VOCABULARY)], dtype=object)
    chance = np.cumsum(1 / (np.arange(VOCABULARY) + 1 + SHIFT))
    chance /= chance[-1]
    rng = np.random.default_rng(seed)
    bounds = np.linspace(0, documents, files + 1).astype(int)
    for number, (first, end) in enumerate(itertools.pairwise(bounds)):
        with (folder / f"part-{number:03d}.jsonl").open("w", encoding="utf-8") as file:
            for start in range(first, end, _TOGETHER):
                count = min(_TOGETHER, end - start)
                lengths = rng.lognormal(math.log(words) - SPREAD**2 / 2, SPREAD, count)
                ends = np.cumsum(np.maximum(lengths.round().astype(int), 1))
                text = vocabulary[np.searchsorted(chance, rng.random(ends[-1]))].tolist()
                spans = zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)
                file.writelines(f'{{"text": "{" ".join(text[begin:stop])}"}}\n' for begin, stop in spans)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("documents", type=int)
    for name, value in (("words", 40), ("files", 8), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    write(given.folder, given.documents, words=given.words, files=given.files, seed=given.seed)
