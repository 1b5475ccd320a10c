"""Real human text that every CPython carries: paragraphs of prose from the topics of ``help()``, or from docstrings.

    python -m collapse_audit.lineages.simulation.pydocs topics.jsonl
    python -m collapse_audit.lineages.simulation.pydocs --docstrings docstrings.jsonl

What counts as a paragraph of prose, decided once: text between blank lines, its lines joined; at least eight words;
ends like a sentence (``.``, ``!``, ``?`` or ``:``, perhaps in brackets or quotes); no interpreter session and no
grammar rule. Topics repeat one another: each paragraph is taken once, where it first stands.

The text is part of Python's documentation, Copyright (c) 2001 Python Software Foundation and others, under the PSF
License Agreement (https://docs.python.org/3/license.html). It differs a little from one Python version to the next.
"""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from collapse_audit.lineages.disk.write import write_corpus

FEWEST_WORDS = 8
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n")
_SENTENCE_END = re.compile(r"[.!?:][)\]\"']*$")
_NOT_LIBRARY = re.compile(r"(^|/)(site-packages|dist-packages|tests?|idle_test|pydoc_data|lib2to3)/")
_NOT_PROSE = re.compile(r"^\s*(>>>|\.\.\. )|::=", re.MULTILINE)


def paragraphs(topics: Mapping[str, str]) -> list[str]:
    """Each paragraph of prose once, in the order of the topics."""
    kept: dict[str, None] = {}
    for page in topics.values():
        for block in _BLANK_LINES.split(page):
            text = " ".join(block.split())
            if not _NOT_PROSE.search(block) and _SENTENCE_END.search(text) and len(text.split()) >= FEWEST_WORDS:
                kept.setdefault(text)
    return list(kept)


def docstrings(library: Path) -> dict[str, str]:
    """Every docstring of the modules in a folder such as the standard library, by file; tests are left out."""
    pages: dict[str, str] = {}
    for path in sorted(library.rglob("*.py")):
        name = path.relative_to(library).as_posix()
        if _NOT_LIBRARY.search(name):
            continue
        tree = ast.parse(path.read_bytes())
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        texts = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, documented)]
        pages[name] = "\n\n".join(filter(None, texts))
    return pages


def main(argv: Sequence[str] | None = None) -> int:
    """Write them to the file named on the command line."""
    from pydoc_data.topics import topics

    arguments = list(sys.argv[1:] if argv is None else argv)
    from_docstrings = arguments[:1] == ["--docstrings"]
    names = arguments[from_docstrings:]
    if len(names) != 1 or not names[0].endswith((".jsonl", ".jsonl.gz")):
        sys.stderr.write("usage: python -m collapse_audit.lineages.simulation.pydocs [--docstrings] FILE.jsonl\n")
        return 4
    pages = docstrings(Path(sysconfig.get_path("stdlib"))) if from_docstrings else topics
    texts = paragraphs(pages)
    write_corpus(Path(names[0]), ({"text": text} for text in texts))
    kind = "modules" if from_docstrings else "topics"
    sys.stderr.write(f"{names[0]}: {len(texts)} paragraphs from {len(pages)} {kind}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
