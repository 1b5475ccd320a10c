"""Paragraphs of prose from Python's own documentation topics."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.simulation.kinds import Output
from collapse_audit.lineages.simulation.ngram import NGramModel
from collapse_audit.lineages.simulation.pydocs import docstrings, main, paragraphs

PAGE = """The "assert" statement
**********************

Assert statements are a convenient way to insert debugging
assertions into a program.

   assert_stmt ::= "assert" expression ["," expression] and so on and on.

   >>> assert 1 == 1 and 2 == 2 and 3 == 3 and 4 == 4 and this.

* A list item of at least eight words ends like this (so it counts.)

Too short to count.

No sentence ends here although there are more than eight words
"""


def test_prose_is_taken_and_headings_grammar_and_sessions_are_left() -> None:
    assert paragraphs({"assert": PAGE}) == [
        "Assert statements are a convenient way to insert debugging assertions into a program.",
        "* A list item of at least eight words ends like this (so it counts.)",
    ]


def test_a_paragraph_is_taken_once_however_it_is_wrapped() -> None:
    assert paragraphs({"one": PAGE, "two": PAGE.replace("debugging\n", "debugging ")}) == paragraphs({"one": PAGE})


def test_this_python_carries_about_a_thousand_paragraphs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "topics.jsonl")]) == 0
    texts = [json.loads(line)["text"] for line in (tmp_path / "topics.jsonl").read_text("utf-8").splitlines()]
    assert len(texts) == len(set(texts)) > 800
    assert all(len(text.split()) >= 8 for text in texts)
    assert f"{len(texts)} paragraphs" in capsys.readouterr().err


def test_a_wrong_command_line_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == main(["topics.txt"]) == 4
    usage = "usage: python -m collapse_audit.lineages.simulation.pydocs [--docstrings] FILE.jsonl"
    assert usage in capsys.readouterr().err


def test_docstrings_are_those_of_modules_classes_and_functions_and_no_tests(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "test_it.py").write_text('"""Not this one."""\n', "utf-8")
    source = '"""Of the module."""\nclass A:\n    """Of the class."""\n    def f(self):\n        """Of the method."""\n'
    (tmp_path / "one.py").write_text(source + 'x = """of nothing"""\n', "utf-8")
    assert docstrings(tmp_path) == {"one.py": "Of the module.\n\nOf the class.\n\nOf the method."}


SHIPPED = Path(__file__).parents[2] / "lineages" / "pydocs_ngram"


def texts_of(corpus: Corpus) -> list[str]:
    return [text for batch in corpus.batches() for text in batch.column("text").to_pylist()]


def test_the_shipped_lineage_is_whole_and_attributed() -> None:
    lineage = load_lineage(SHIPPED)  # checks every digest
    assert [entry.index for entry in lineage.generations] == [0, 1, 2, 3, 4, 5]
    assert all(entry.holdout is not None for entry in lineage.generations)
    assert lineage.reference is not None
    assert lineage.reference_holdout is not None
    assert not set(texts_of(lineage.reference)) & set(texts_of(lineage.reference_holdout))
    manifest = (SHIPPED / "lineage.toml").read_text("utf-8")
    assert 'license = "PSF-2.0"' in manifest
    assert "Python Software Foundation; All Rights Reserved" in manifest
    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in (SHIPPED / "LICENSE-PYTHON.txt").read_text("utf-8")


def test_the_shipped_generations_are_what_the_model_wrote() -> None:
    """Trained again on the corpus before it, with the seed of the manifest, each model writes the very same texts."""
    lineage = load_lineage(SHIPPED)
    if lineage.recipe["software"]["numpy"] != np.__version__:
        pytest.skip("another numpy may draw other numbers from the same seed")
    output = Output(out=SHIPPED, seed=lineage.recipe["seed"])
    before = lineage.reference
    for entry in lineage.generations:
        assert before is not None
        assert entry.holdout is not None
        model = NGramModel.fit(texts_of(before), 3, trust=0.9)
        assert model.sample(1500, output.rng(2, 0, entry.index, 0)) == texts_of(entry.texts)
        assert model.sample(1500, output.rng(2, 0, entry.index, 1)) == texts_of(entry.holdout)
        before = entry.texts
