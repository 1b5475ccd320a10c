"""Real human text that every CPython carries: paragraphs of prose from the topics of ``help()``.

    python -m collapse_audit.lineages.simulation.pydocs topics.jsonl

What counts as a paragraph of prose, decided once: text between blank lines, its lines joined; at least eight words;
ends like a sentence (``.``, ``!``, ``?`` or ``:``, perhaps in brackets or quotes); no interpreter session and no
grammar rule. Topics repeat one another: each paragraph is taken once, where it first stands.

The text is part of Python's documentation, Copyright (c) 2001 Python Software Foundation and others, under the PSF
License Agreement (https://docs.python.org/3/license.html). It differs a little from one Python version to the next.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from collapse_audit.lineages.write import write_corpus

FEWEST_WORDS = 8
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n")
_SENTENCE_END = re.compile(r"[.!?:][)\]\"']*$")
_NOT_PROSE = re.compile(r"^\s*(>>>|\.\.\. )|::=", re.MULTILINE)


def paragraphs(topics: Mapping[str, str]) -> list[str]:
    """Each paragraph of prose once, in the order of the topics."""
    found: dict[str, None] = {}
    for page in topics.values():
        for block in _BLANK_LINES.split(page):
            text = " ".join(block.split())
            if not _NOT_PROSE.search(block) and _SENTENCE_END.search(text) and len(text.split()) >= FEWEST_WORDS:
                found.setdefault(text)
    return list(found)


def main(argv: Sequence[str] | None = None) -> int:
    """Write them to the file named on the command line."""
    from pydoc_data.topics import topics

    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1 or not arguments[0].endswith((".jsonl", ".jsonl.gz")):
        sys.stderr.write("usage: python -m collapse_audit.lineages.simulation.pydocs FILE.jsonl\n")
        return 4
    texts = paragraphs(topics)
    write_corpus(Path(arguments[0]), ({"text": text} for text in texts))
    sys.stderr.write(f"{arguments[0]}: {len(texts)} paragraphs from {len(topics)} topics\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
