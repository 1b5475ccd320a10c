"""What the tasks of this folder read and how they score; lm-eval imports it by its path, beside the task files.

Every task reads one corpus that people wrote and nothing was trained on, in any format of a lineage's corpora. It is
named in the metadata: ``--metadata '{"reference": "reference.holdout.jsonl"}'``, with ``"template"`` for what stands
around a record's prompt (default ``"{prompt}\\n"``) and ``"split"`` where the records of one file carry a split.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.probes.text.eu_tirads import CATEGORIES, eu_tirads

TEMPLATE = "{prompt}\n"


def reference_texts(**metadata: Any) -> dict[str, Any]:
    """Every text of the reference that is not empty."""
    return _dataset((doc for doc in _docs(metadata) if doc["text"].strip()), "a text")


def conclusions(**metadata: Any) -> dict[str, Any]:
    """Records with a prompt: what the model is asked, and the text that people wrote to it."""
    return _dataset((doc for doc in _docs(metadata) if doc["question"] and doc["text"].strip()), "a prompt")


def classified_descriptions(**metadata: Any) -> dict[str, Any]:
    """Records with a prompt whose text names exactly one EU-TIRADS category."""

    def classified() -> Iterator[dict[str, Any]]:
        for doc in _docs(metadata):
            named = [name for name in eu_tirads(doc["text"]) if name in CATEGORIES]
            if doc["question"] and len(named) == 1:
                yield {**doc, "category": CATEGORIES.index(named[0]) + 1}

    return _dataset(classified(), "a prompt and exactly one EU-TIRADS category in its text")


def _docs(metadata: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not metadata.get("reference"):
        raise ValueError(
            "no reference: name the corpus that people wrote and nothing was trained on, "
            """--metadata '{"reference": "reference.holdout.jsonl"}'"""
        )
    template = metadata.get("template") or TEMPLATE
    corpus = dataclasses.replace(open_corpus(Path(metadata["reference"])), split=metadata.get("split"))
    number = 0
    for batch in corpus.batches():
        for record in batch.to_pylist():
            prompt = record["prompt"]
            yield {
                "id": record["id"] or str(number),
                "group": record["group"] or "",
                "question": "" if prompt is None else template.replace("{prompt}", prompt),
                "text": record["text"],
            }
            number += 1


def _dataset(docs: Iterator[dict[str, Any]], with_what: str) -> dict[str, Any]:
    from datasets import Dataset

    rows = list(docs)
    if not rows:
        raise ValueError(f"the reference has no record with {with_what}")
    return {"test": Dataset.from_list(rows)}


def answer_perplexity(doc: Mapping[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, tuple[float, int]]:
    """Log-likelihood of the text given its prompt, in nats, over its words and bytes as lm-eval counts them in tasks
    without a prompt."""
    (likelihood, _), text = results[0], str(doc["text"])
    octets = len(text.encode("utf-8"))
    return {
        "word_perplexity": (likelihood, len(re.split(r"\s+", text))),
        "byte_perplexity": (likelihood, octets),
        "bits_per_byte": (likelihood, octets),
    }


def classification_results(doc: Mapping[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """Right or wrong, also under the recall of the record's own category; the pair of categories for macro-F1."""
    likelihoods = [likelihood for likelihood, _ in results]
    said, category = likelihoods.index(max(likelihoods)) + 1, int(doc["category"])
    right = float(said == category)
    return {"acc": right, "macro_f1": (category, said), f"recall_{category}": right}


def macro_f1(pairs: Sequence[tuple[int, int]]) -> float:
    """Mean over the categories that occur, true or said, of 2 TP / (2 TP + FP + FN)."""
    scores = []
    for category in sorted({named for pair in pairs for named in pair}):
        both = sum(true == said == category for true, said in pairs)
        either = sum((true == category) + (said == category) for true, said in pairs)
        scores.append(2 * both / either)
    return sum(scores) / len(scores)


def exact_match(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Whether the two texts have the same words in the same order."""
    return {"exact_match": float(results[0].split() == doc["text"].split())}
