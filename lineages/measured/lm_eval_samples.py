"""Samples of lm-evaluation-harness: read, and held against the results that were made of them.

What contradicts itself becomes a problem: a sample twice, fewer samples than results were made from, a mean that is not
the samples' mean.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.failures import Unreadable
from collapse_audit.lineages.files.problems import ProblemList
from collapse_audit.lineages.measured.lm_eval_older import completed_rows, sample_blocks
from collapse_audit.probes.models.task_results import Scores, TaskResult
from collapse_audit.probes.statistics.design import FloatArray

_LOSS = "word_perplexity"
_LONGEST_WORD = 40
"""Bytes a word, in the mean, beyond which texts are not written in words: no language with spaces comes near."""
_LARGEST_LOSS = 100
"""Nats a word beyond which the same is said where bytes are not known."""
_NO_NUMBER = "it is no number"
_INT64 = 2**63
_AGREEMENT = 1e-6
"""Relative difference up to which a mean of samples is the mean that was printed."""


def sample_rows(path: Path, problems: ProblemList, name: str, data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    expected = "samples as lm-eval logs them"
    try:
        numbered = [pair for block in sample_blocks(path) for pair in zip(block.lines, block.records, strict=True)]
        whole = completed_rows((row for _, row in numbered), name, data)
        for (line, _), row in zip(numbered, whole, strict=True):
            if isinstance(row, Broken):
                problems.add(f"{path.name}, line {line}: {row.found}", expected, "lm-eval-samples")
            elif not isinstance(row, dict) or not _is_sample(row):
                problems.add(f"{path.name}, line {line}: no sample", expected, "lm-eval-samples")
            else:
                rows.append(row)
    except (Unreadable, OSError) as error:
        problems.add(f"{path.name}, which cannot be read ({error})", expected, "lm-eval-samples")
    return rows


def _is_sample(row: Mapping[str, Any]) -> bool:
    document = row.get("doc_id")
    numbered = isinstance(document, int) and -_INT64 <= document < _INT64 and isinstance(row.get("filter"), str)
    return numbered and isinstance(row.get("doc_hash"), str) and _is_names(row.get("metrics"))


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def from_samples(
    about: dict[str, Any],
    rows: Sequence[Mapping[str, Any]],
    data: Mapping[str, Any],
    problems: ProblemList,
    file: str,
) -> TaskResult:
    """The task with its documents. What the samples contradict is added to ``problems``."""
    name = about["name"]
    by_filter: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        kept = by_filter.setdefault(row["filter"], {})
        if row["doc_id"] in kept:
            problems.add(f"{file}: the document {row['doc_id']} twice", "each document once", "lm-eval-samples")
            break
        kept[row["doc_id"]] = row
    expected = data["n-samples"].get(name, {}).get("effective")
    if expected is None and "lm_eval_version" not in data:  # the oldest do not count them
        expected = max(map(len, by_filter.values()), default=None)
    for chosen, kept in by_filter.items() or {"none": {}}.items():
        if len(kept) != expected:
            source = f"{file}: {len(kept)} samples" + ("" if chosen == "none" else f" of the filter {chosen}")
            problems.add(source, f"{expected}, from which the results of {name} were made", "lm-eval-samples")
    if len(problems):
        return TaskResult(**about, documents=np.empty(0, dtype=np.int64), missing="broken samples")
    _check_hashes(name, rows, data, problems, file)
    documents = sorted(next(iter(by_filter.values())))
    first = [next(iter(by_filter.values()))[number] for number in documents]
    metrics = _metrics(by_filter, documents, data, problems, name)
    return TaskResult(
        **about,
        documents=np.array(documents, dtype=np.int64),
        hashes=tuple(map(_hashes, first)),
        units=tuple(_unit(row) for row in first),
        scores=tuple(metrics.scores),
        loss=next(iter(metrics.losses), None),
        unpaired=metrics.unpaired,
    )


def _check_hashes(
    name: str, rows: Sequence[Mapping[str, Any]], data: Mapping[str, Any], problems: ProblemList, file: str
) -> None:
    """The results carry a hash of all samples' hashes, in their order."""
    claimed = data.get("task_hashes", {}).get(name)
    if claimed is None:
        return
    parts = "".join(
        str(row.get("doc_hash")) + str(row.get("prompt_hash")) + str(row.get("target_hash")) for row in rows
    )
    if hashlib.sha256(parts.encode("utf-8")).hexdigest() != claimed:
        problems.add(f"{file}: other samples", f"those of which the results of {name} were made", "lm-eval-samples")


def _hashes(row: Mapping[str, Any]) -> str:
    return "".join(str(row.get(f"{part}_hash")) for part in ("doc", "prompt", "target"))


def _unit(row: Mapping[str, Any]) -> str:
    """The patient or source of a document where it names one, else its record, else itself."""
    doc = row.get("doc")
    for key in ("group", "id"):
        if isinstance(doc, dict) and isinstance(doc.get(key), str | int) and doc[key] != "":
            return f"{key} {doc[key]}"
    return f"document {row['doc_id']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Metrics:
    """What the samples of one task allow: to be filled."""

    scores: list[Scores] = field(default_factory=list)
    losses: list[Scores] = field(default_factory=list)
    unpaired: dict[str, str] = field(default_factory=dict)


def _metrics(
    by_filter: Mapping[str, Mapping[int, Mapping[str, Any]]],
    documents: Sequence[int],
    data: Mapping[str, Any],
    problems: ProblemList,
    name: str,
) -> _Metrics:
    """Metrics that are a mean of points over all documents, the log-likelihood of the words, and why others are not."""
    metrics = _Metrics()
    for chosen, kept in by_filter.items():
        rows = [kept.get(number, {}) for number in documents]
        for metric in dict.fromkeys(metric for row in rows for metric in row.get("metrics", ())):
            printed = data["results"][name].get(f"{metric},{chosen}")
            higher = data["higher_is_better"].get(name, {}).get(metric)
            values = [row[metric] for row in rows if metric in row]
            why = f"{len(values)} of {len(rows)} documents have it" if len(values) < len(rows) else ""
            if metric == _LOSS and not why:
                loss, why = _loss(rows, printed, problems, name)
                metrics.losses.extend([] if loss is None else [loss])
            elif not why:
                why = _no_points(values, higher, metric, data["configs"][name])
                if not why:
                    points = np.array(values, dtype=np.float64)
                    _agree(float(points.mean()), printed, problems, f"{name}: a mean {metric}")
                    metrics.scores.append(
                        Scores(name=metric_name(metric, chosen), values=points, higher_is_better=bool(higher))
                    )
                elif why == _NO_NUMBER:
                    problems.add(f"{name}: {metric} that is no number", "finite numbers", "lm-eval-samples")
            if why:
                metrics.unpaired[metric_name(metric, chosen)] = why
    return metrics


def _no_points(values: Sequence[Any], higher: Any, metric: str, config: Mapping[str, Any]) -> str:
    """Why a metric of all documents is no mean of points; empty where it is one."""
    if not all(type(value) in (int, float, bool) for value in values):
        return "it is not one number a document"
    if not isinstance(higher, bool):
        return "the results do not say which way is better (higher_is_better)"
    if any(finite(value) is None for value in values):
        return _NO_NUMBER
    if min(values) < 0 or max(values) > 1:
        return f"its values go from {float(min(values)):.4g} to {float(max(values)):.4g}, and points lie in [0, 1]"
    listed = [metric_of for metric_of in config.get("metric_list") or () if metric_of.get("metric") == metric]
    if not all(metric_of.get("aggregation", "mean") in ("mean", "nanmean") for metric_of in listed):
        return "it is not a mean over documents"
    return ""


def finite(value: Any) -> float | None:
    """As a float, if it is one: JSON also holds integers beyond every float."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _loss(
    rows: Sequence[Mapping[str, Any]], printed: Any, problems: ProblemList, name: str
) -> tuple[Scores | None, str]:
    """Log-likelihood and words of each document, or why a loss a word says nothing of these texts."""
    pairs = _pairs([row[_LOSS] for row in rows])
    if pairs is None:
        problems.add(f"{name}: {_LOSS} that is no pair of numbers", "(log-likelihood, words)", "lm-eval-samples")
        return None, "broken"
    likelihood, words = pairs.T
    if not np.isfinite(likelihood).all() or not (words > 0).all():
        problems.add(f"{name}: a log-likelihood that is no number", "finite numbers", "lm-eval-samples")
        return None, "broken"
    nats = float(-likelihood.sum() / words.sum())
    if isinstance(printed, int | float) and printed > 0 and finite(printed) is not None:
        _agree(nats, math.log(printed), problems, f"{name}: a logarithm of {_LOSS}")
    elif nats < math.log(sys.float_info.max):  # beyond it no number can be printed
        problems.add(f"{name}: no {_LOSS}", f"{math.exp(nats):.6g}, as the samples say", "lm-eval-samples")
    octets = _pairs([row.get("byte_perplexity") for row in rows])
    a_word = None if octets is None else float(octets[:, 1].sum() / words.sum())
    if a_word is not None and a_word > _LONGEST_WORD:
        return None, f"a word has {a_word:.0f} bytes in the mean, so the texts are not written in words"
    if a_word is None and nats > _LARGEST_LOSS:
        return None, f"a word costs {nats:.0f} nats in the mean, so the texts are not written in words"
    return Scores(name="nats per word", values=likelihood, weights=words), ""


def _pairs(values: Sequence[Any]) -> FloatArray | None:
    """Two numbers a document, shape (n, 2); None where they are not. What no float can hold is infinite."""
    if not all(isinstance(value, list) and len(value) == 2 for value in values):
        return None
    if not all(type(number) in (int, float) for pair in values for number in pair):
        return None
    return np.array([[math.inf if (x := finite(number)) is None else x for number in pair] for pair in values])


def _agree(mean: float, printed: Any, problems: ProblemList, what: str) -> None:
    """The samples must be the ones of which the printed number was made."""
    given = finite(printed) if isinstance(printed, int | float) else None
    if given is None or not math.isclose(mean, given, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT):
        problems.add(f"{what} of {mean:.6g} in the samples", f"{given}, as the results say", "lm-eval-samples")


def metric_name(name: str, chosen: str) -> str:
    return name if chosen == "none" else f"{name} ({chosen})"
