"""Results of lm-evaluation-harness as it writes them, ours or anybody's: read, checked against themselves, never run.

A path is a results file (``lm_eval.json``, ``results_<date>.json``) or the folder given to ``--output_path``, in which
the newest results of each task count. Samples stand beside their results: ``samples_<task>_<date>.jsonl``, or the
names that ``collapse-lineage evaluate`` gives them. What contradicts itself is refused: a sample twice, fewer samples
than results were made from, a mean that is not the samples' mean, an adapter that is not the generation's.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from collapse_audit.lineages.digest import file_digest, json_digest
from collapse_audit.lineages.lineage import GenerationEntry
from collapse_audit.lineages.problems import ProblemList, shorten
from collapse_audit.lineages.readers.blocks import Broken, Unreadable
from collapse_audit.lineages.readers.read_jsonl import jsonl_blocks
from collapse_audit.probes.errors import InputError
from collapse_audit.probes.task_results import Scores, TaskResult, TaskResults

OURS = "collapse_audit"
"""The key under which ``collapse-lineage evaluate`` says what it evaluated."""
WEIGHTS = "adapter_model.safetensors"
_STAMPED = re.compile(r"(?P<stem>.+)_(?P<stamp>\d{4}-\d{2}-\d{2}T[\d.\-+:]+)\.json")
_REQUIRED = ("results", "configs", "versions", "n-samples", "higher_is_better")
_LOSS = "word_perplexity"
_AGREEMENT = 1e-6
"""Relative difference up to which a mean of samples is the mean that was printed."""
_BLOCK = 1 << 22

Found = tuple[Path, Mapping[str, Any]]


def read_results(entry: GenerationEntry) -> TaskResults | None:
    """What was measured on this generation's model, or None where there are no results.

    Raises InputError where the files are broken, contradict themselves, or are of another model.
    """
    if entry.lm_eval is None:
        return None
    shown = _shown(entry.lm_eval, entry)
    found = list(_results_files(entry.lm_eval, shown))
    tasks: dict[str, TaskResult] = {}
    settings: dict[str, str] = {}
    for path, data in found:  # the oldest first: a later run of a task replaces an earlier one
        problems = ProblemList(_named(shown, entry.lm_eval, path))
        _check_model(entry, data, problems)
        for name in data["results"]:
            if name in data["configs"]:  # not a group of tasks, which has no samples of its own
                tasks[name] = _task(name, data, path, problems)
        if len(problems):
            raise InputError(problems.as_tuple())
        settings |= _model_settings(data)
    return TaskResults(where=shown, tasks=tasks, settings=settings, harness=str(found[-1][1]["lm_eval_version"]))


def _shown(path: Path, entry: GenerationEntry) -> str:
    """The results as messages name them: beside the texts, where they are."""
    folder = entry.texts.path.parent
    if not path.is_relative_to(folder):
        return str(path)
    return str(Path(entry.texts.where or entry.texts.path).parent / path.relative_to(folder))


def _named(shown: str, root: Path, path: Path) -> str:
    return shown if path == root else f"{shown}/{path.relative_to(root)}"


def _results_files(path: Path, shown: str) -> Iterator[Found]:
    """Results files under ``path`` with their content, the oldest first. Raises InputError."""
    files = [path]
    if path.is_dir():
        stamped = [(match["stamp"], file) for file in path.rglob("*.json") if (match := _STAMPED.fullmatch(file.name))]
        files = [file for _, file in sorted(stamped)]
    if not files:
        _refuse(shown, "a folder without results", "results_<date>.json, as lm_eval --output_path writes it", "lm-eval")
    for file in files:
        yield file, _content(file, _named(shown, path, file))


def _content(path: Path, where: str) -> Mapping[str, Any]:
    expected = "results of lm-evaluation-harness 0.4"
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        _refuse(where, f"a file that is no JSON ({str(error).splitlines()[0]})", expected, "lm-eval")
    if not isinstance(data, dict):
        _refuse(where, "JSON that is no object", expected, "lm-eval")
    version = data.get("lm_eval_version")
    if not isinstance(version, str) or not version.startswith("0.4."):
        found = "no lm_eval_version" if version is None else f"lm_eval_version {shorten(version)}"
        _refuse(where, found, expected, "lm-eval-version")
    absent = [key for key in _REQUIRED if not isinstance(data.get(key), dict)]
    if absent:
        _refuse(where, f"no table {', '.join(absent)}", expected, "lm-eval")
    return dict(data)


def _refuse(where: str, found: str, expected: str, slug: str) -> NoReturn:
    problems = ProblemList(where)
    problems.add(found, expected, slug)
    raise InputError(problems.as_tuple())


def _check_model(entry: GenerationEntry, data: Mapping[str, Any], problems: ProblemList) -> None:
    """Results that say which adapter they are of must be of this generation's."""
    model = data.get(OURS, {}).get("model", {})
    claimed = model.get("adapter_digest")
    if claimed is None:
        return
    actual = entry.details.get("model", {}).get("adapter_digest")
    if actual is None and entry.adapter is not None and (entry.adapter / WEIGHTS).is_file():
        actual = file_digest(entry.adapter / WEIGHTS)
    if actual is not None and actual != claimed:
        expected = f"results of {actual}; evaluate this generation again (collapse-lineage evaluate)"
        problems.add(f"results of the adapter {claimed}", expected, "lm-eval-model")


def _model_settings(data: Mapping[str, Any]) -> dict[str, str]:
    ours, config = data.get(OURS, {}).get("model", {}), data.get("config", {})
    known = {"quantization": ours.get("quantization"), "number format": config.get("model_dtype")}
    return {key: str(value) for key, value in known.items() if value}


def _task(name: str, data: Mapping[str, Any], path: Path, problems: ProblemList) -> TaskResult:
    config = data["configs"][name]
    about: dict[str, Any] = {
        "name": name,
        "version": str(data["versions"].get(name)),
        "settings": {
            "few-shot examples": str(data.get("n-shot", {}).get(name)),
            "generation settings": json.dumps(config.get("generation_kwargs"), sort_keys=True),
            "filters": json.dumps(config.get("filter_list"), sort_keys=True, default=str),
        },
        "values": _numbers(data["results"][name]),
    }
    samples, claimed = _samples_file(name, data, path)
    if samples is None:
        missing = f"{path.name} has no samples of {name} beside it; evaluate with --log_samples"
        return TaskResult(**about, documents=np.empty(0, dtype=np.int64), missing=missing)
    if claimed is not None and file_digest(samples) != claimed:
        problems.add(f"{samples.name} with another digest", f"{claimed}, as {path.name} says", "lm-eval-samples")
        return TaskResult(**about, documents=np.empty(0, dtype=np.int64), missing="other samples")
    return _from_samples(about, _rows(samples, problems), data, problems, samples.name)


def _numbers(results: Mapping[str, Any]) -> dict[str, float]:
    """Aggregated metrics by name and filter; standard errors and what is no number are left out."""
    return {
        _metric(*key.split(",", 1)): float(value)
        for key, value in results.items()
        if "," in key and "_stderr" not in key and isinstance(value, int | float) and math.isfinite(value)
    }


def _metric(name: str, chosen: str) -> str:
    return name if chosen == "none" else f"{name} ({chosen})"


def _samples_file(name: str, data: Mapping[str, Any], path: Path) -> tuple[Path | None, str | None]:
    """Where the samples of a task are, and their digest where the results tell it."""
    ours = data.get(OURS, {}).get("tasks", {}).get(name)
    if ours is not None:
        file = path.parent / Path(str(ours.get("samples"))).name
        return (file if file.is_file() else None), ours.get("digest")
    stamped = _STAMPED.fullmatch(path.name)
    if stamped is not None:
        file = path.parent / f"samples_{name}_{stamped['stamp']}.jsonl"
        return (file if file.is_file() else None), None
    files = [file for file in path.parent.glob("samples_*.jsonl") if file.name.startswith(f"samples_{name}_2")]
    return (files[0] if len(files) == 1 else None), None


def _rows(path: Path, problems: ProblemList) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    expected = "samples as lm-eval logs them"
    try:
        for block in jsonl_blocks(path, gzipped=False, block_bytes=_BLOCK):
            for line, row in zip(block.lines, block.records, strict=True):
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
    numbered = isinstance(row.get("doc_id"), int) and isinstance(row.get("filter"), str)
    return numbered and isinstance(row.get("doc_hash"), str) and isinstance(row.get("metrics"), list)


def _from_samples(
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
    for chosen, kept in by_filter.items() or {"none": {}}.items():
        if len(kept) != expected:
            found = f"{file}: {len(kept)} samples" + ("" if chosen == "none" else f" of the filter {chosen}")
            problems.add(found, f"{expected}, from which the results of {name} were made", "lm-eval-samples")
    if len(problems):
        return TaskResult(**about, documents=np.empty(0, dtype=np.int64), missing="broken samples")
    _check_hashes(name, rows, data, problems, file)
    documents = sorted(next(iter(by_filter.values())))
    first = [next(iter(by_filter.values()))[number] for number in documents]
    scores, loss = _scores(by_filter, documents, data, problems, name)
    return TaskResult(
        **about,
        documents=np.array(documents, dtype=np.int64),
        hashes=tuple(map(_hashes, first)),
        units=tuple(_unit(row) for row in first),
        scores=scores,
        loss=loss,
        likelihoods=_likelihoods(first, data["configs"][name]),
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


def _likelihoods(rows: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> str | None:
    if not str(config.get("output_type", "")).startswith(("loglikelihood", "multiple_choice")):
        return None
    return json_digest([row.get("resps") for row in rows])


def _scores(
    by_filter: Mapping[str, Mapping[int, Mapping[str, Any]]],
    documents: Sequence[int],
    data: Mapping[str, Any],
    problems: ProblemList,
    name: str,
) -> tuple[tuple[Scores, ...], Scores | None]:
    """Metrics that are a mean of points over all documents, and the log-likelihood of the words."""
    found: list[Scores] = []
    loss = None
    for chosen, kept in by_filter.items():
        rows = [kept.get(number, {}) for number in documents]
        for metric in dict.fromkeys(metric for row in rows for metric in row.get("metrics", ())):
            if any(metric not in row for row in rows):
                continue  # said of some documents only, such as the recall of one class: shown, not paired
            printed = data["results"][name].get(f"{metric},{chosen}")
            higher = data["higher_is_better"].get(name, {}).get(metric)
            values = [row[metric] for row in rows]
            if metric == _LOSS:
                loss = _loss(values, printed, problems, name)
            elif isinstance(higher, bool) and all(type(value) in (int, float, bool) for value in values):
                points = np.array(values, dtype=np.float64)
                if not np.isfinite(points).all():
                    problems.add(f"{name}: {metric} that is no number", "finite numbers", "lm-eval-samples")
                elif points.min() >= 0 and points.max() <= 1 and _is_mean(metric, data["configs"][name]):
                    _agree(float(points.mean()), printed, problems, f"{name}: a mean {metric}")
                    scores = Scores(name=_metric(metric, chosen), values=points, higher_is_better=higher)
                    found.append(scores)
    return tuple(found), loss


def _is_mean(metric: str, config: Mapping[str, Any]) -> bool:
    """Whether the task's own settings say that the metric is averaged over documents, or say nothing."""
    listed = [one for one in config.get("metric_list") or () if one.get("metric") == metric]
    return all(one.get("aggregation", "mean") in ("mean", "nanmean") for one in listed)


def _loss(values: Sequence[Any], printed: Any, problems: ProblemList, name: str) -> Scores | None:
    pairs = [value for value in values if isinstance(value, list) and len(value) == 2]
    if len(pairs) != len(values) or not all(type(one) in (int, float) for pair in pairs for one in pair):
        problems.add(f"{name}: {_LOSS} that is no pair of numbers", "(log-likelihood, words)", "lm-eval-samples")
        return None
    likelihood, words = np.array(pairs, dtype=np.float64).T
    if not np.isfinite(likelihood).all() or not (words > 0).all():
        problems.add(f"{name}: a log-likelihood that is no number", "finite numbers", "lm-eval-samples")
        return None
    _agree(math.exp(-likelihood.sum() / words.sum()), printed, problems, f"{name}: a {_LOSS}")
    return Scores(name="nats per word", values=likelihood, weights=words)


def _agree(mean: float, printed: Any, problems: ProblemList, what: str) -> None:
    """The samples must be the ones of which the printed number was made."""
    if not isinstance(printed, int | float) or not math.isclose(mean, printed, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT):
        problems.add(f"{what} of {mean:.6g} in the samples", f"{printed}, as the results say", "lm-eval-samples")
