"""Which tasks are run where none is named: those that the records can carry, and that ask what the model was asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.evaluation.evaluate import default_tasks

PERPLEXITY, ANSWERED = "collapse_reference_perplexity", "collapse_answer_perplexity"
CLASSES, CONCLUSION = "collapse_eu_tirads", "collapse_conclusion"
ALONE = [{"text": "A text."}]
ANSWERS = [{"prompt": "A question.", "text": "An answer."}]
CLASSIFIED = [{"prompt": f"A nodule, {size} mm.", "text": f"EU-TIRADS {1 + size % 5}"} for size in range(10)]


@pytest.mark.parametrize(
    ("records", "tasks"),
    [
        (ALONE, (PERPLEXITY,)),
        (ANSWERS, (ANSWERED, CONCLUSION)),
        (ALONE + ANSWERS, (PERPLEXITY, ANSWERED, CONCLUSION)),
        (CLASSIFIED, (ANSWERED, CLASSES, CONCLUSION)),
        (CLASSIFIED[:9], (ANSWERED, CONCLUSION)),
        ([{"prompt": "A question.", "text": " "}], (PERPLEXITY,)),  # which then says that there is no text
    ],
)
def test_the_tasks_are_those_that_the_records_carry(
    records: list[dict[str, Any]], tasks: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "reference.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    assert default_tasks(open_corpus(file)) == tasks
