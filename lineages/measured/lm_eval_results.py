"""Results of lm-evaluation-harness as it writes them, ours or anybody's: read, checked against themselves, never run.

A path is a results file (``lm_eval.json``, ``results_<date>.json``) or the folder given to ``--output_path``, in which
the newest results of each task count. Versions 0.4.2 and later are read. Samples stand beside their results:
``samples_<task>_<date>.jsonl``, or the names that ``collapse-lineage evaluate`` gives them. What contradicts itself is
refused: a sample twice, fewer samples than results were made from, a mean that is not the samples' mean, an adapter
that is not the generation's. What may be of another model without saying so is read and doubted.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from collapse_audit.errors import InputError
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.door import Refused, read_json, reading, stay_inside
from collapse_audit.lineages.files.opening import Unreadable
from collapse_audit.lineages.files.problems import ProblemList, shorten
from collapse_audit.lineages.measured.lm_eval_claims import OURS, adapter_of, arguments, check_model, model_settings
from collapse_audit.lineages.measured.lm_eval_copies import Files, answers, neighbours, shared
from collapse_audit.lineages.measured.lm_eval_groups import groups_of
from collapse_audit.lineages.measured.lm_eval_older import completed, completed_rows, sample_blocks, samples_beside
from collapse_audit.lineages.model.lineage import GenerationEntry
from collapse_audit.probes.models.task_results import ONE_MODEL, Scores, TaskGroup, TaskResult, TaskResults
from collapse_audit.probes.statistics.design import FloatArray

_STAMPED = re.compile(r"(?P<stem>.+)_(?P<stamp>\d{4}-\d{2}-\d{2}T[\d.\-+:]+)\.json")
_REQUIRED = ("results", "configs", "versions", "n-samples", "higher_is_better")
_BY_TASK = ("results", "configs", "n-samples", "higher_is_better")
_LOSS = "word_perplexity"
_ROLLING = (_LOSS, "byte_perplexity", "bits_per_byte")
_LONGEST_WORD = 40
"""Bytes a word, in the mean, beyond which texts are not written in words: no language with spaces comes near."""
_LARGEST_LOSS = 100
"""Nats a word beyond which the same is said where bytes are not known."""
_NO_NUMBER = "it is no number"
_AGREEMENT = 1e-6
"""Relative difference up to which a mean of samples is the mean that was printed."""

Found = tuple[Path, Mapping[str, Any]]


def read_results(entry: GenerationEntry) -> TaskResults | None:
    """What was measured on this generation's model, or None where there are no results.

    Raises InputError where the files are broken, contradict themselves, or are of another model.
    """
    if entry.lm_eval is None:
        return None
    with reading(_shown(entry.lm_eval, entry), "results of lm-evaluation-harness 0.4", "lm-eval"):
        return _read_results(entry, entry.lm_eval)


def _read_results(entry: GenerationEntry, root: Path) -> TaskResults:
    shown = _shown(root, entry)
    found = list(_results_files(root, shown))
    tasks: dict[str, TaskResult] = {}
    doubts: dict[str, str] = {}
    for path, data in found:  # the oldest first: a later run of a task replaces an earlier one
        problems = ProblemList(_named(shown, root, path))
        doubt = check_model(entry, data, problems)
        for name in data["results"]:
            if name in data["configs"]:  # not a group of tasks, which has no samples of its own
                tasks[name] = _task(name, data, path, problems)
                doubts[name] = doubt
            elif name in data["n-samples"]:
                problems.add(f"no configuration of the task {name}", "configs of every task", "lm-eval")
        if not data["results"]:
            problems.add("results of no task", "those of one task or more", "lm-eval")
        if len(problems):
            raise InputError(problems.as_tuple())
    doubt = next(filter(None, (*doubts.values(), _copied(root, shown, found))), "")
    groups: dict[tuple[str, str], TaskGroup] = {}
    for _, data in found:
        sizes = {name: task.documents.size for name, task in tasks.items() if name in data["results"]}
        groups |= {(one.name, one.key): one for one in groups_of(data, sizes)}
    version = str(found[-1][1].get("lm_eval_version", "0.4"))
    return TaskResults(where=shown, tasks=tasks, doubt=doubt, harness=version, groups=tuple(groups.values()))


def _copied(path: Path, shown: str, found: Sequence[Found]) -> str:
    """Which other generation has these very answers or files, in words; empty where none has."""
    own = _files(found)
    for other in neighbours(path):
        try:
            theirs = _files(list(_results_files(other, other.name)))
        except InputError:
            continue  # named when that generation is read
        for task in shared(own, theirs):
            where = f"{other.parent.name}/{other.name}"
            return f"{task}: {shown} says what {where} says, to the last digit: {ONE_MODEL}"
    return ""


def _files(found: Sequence[Found]) -> Files:
    """The newest results and samples of each task that has both."""
    files: dict[str, tuple[Path, Path, bool]] = {}
    for path, data in found:
        for name in data["results"].keys() & data["configs"].keys():
            samples = _samples_file(name, data, path)[0]
            if samples is not None:
                files[name] = path, samples, _of_likelihoods(data["configs"][name])
    return files


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
        files = [*sorted(path.rglob("results.json")), *(file for _, file in sorted(stamped))]  # 0.4.2 puts no date
    if not files:
        _refuse(shown, "a folder without results", "results_<date>.json, as lm_eval --output_path writes it", "lm-eval")
    for file in files:
        stay_inside(file, path)
        yield file, _content(file, _named(shown, path, file))


def _content(path: Path, where: str) -> Mapping[str, Any]:
    expected = "results of lm-evaluation-harness 0.4.2 or a later 0.4"
    try:
        data = read_json(path, constants=True)
    except (Refused, OSError, ValueError) as error:
        _refuse(where, f"a file that is no JSON ({str(error).splitlines()[0]})", expected, "lm-eval")
    if not isinstance(data, dict):
        _refuse(where, "JSON that is no object", expected, "lm-eval")
    version = data.get("lm_eval_version", "0.4.8")  # until then results did not say it
    if not isinstance(version, str) or not version.startswith("0.4.") or version in ("0.4.0", "0.4.1"):
        _refuse(where, f"lm_eval_version {shorten(version)}", expected, "lm-eval-version")
    data = completed(data)
    absent = [key for key in _REQUIRED if not isinstance(data.get(key), dict)]
    if absent:
        _refuse(where, f"no table {', '.join(absent)}", expected, "lm-eval")
    _require_tables(data, where)
    return dict(data)


def _require_tables(data: Mapping[str, Any], where: str) -> None:
    """What is read as a table must be one. Raises InputError that names every other."""
    ours = data.get(OURS, {})
    tables = {key: data.get(key, {}) for key in ("config", "n-shot", "task_hashes", OURS)}
    if isinstance(ours, dict):
        tables |= {f"{OURS}.{key}": ours.get(key, {}) for key in ("model", "tasks")}
    deeper = {key: data[key] for key in _BY_TASK} | {OURS: tables.get(f"{OURS}.tasks", {})}
    for key, table in deeper.items():
        tables |= {f"{key}.{name}": one for name, one in table.items()} if isinstance(table, dict) else {}
    for name, config in data["configs"].items():
        listed = (config.get("metric_list") if isinstance(config, dict) else None) or []
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            tables[f"configs.{name}.metric_list"] = listed
    problems = ProblemList(where)
    for key, table in tables.items():
        if not isinstance(table, dict):
            problems.add(f"{key} = {shorten(table)}", "a table, as lm-eval writes it", "lm-eval")
    if len(problems):
        raise InputError(problems.as_tuple())


def _refuse(where: str, found: str, expected: str, slug: str) -> NoReturn:
    problems = ProblemList(where)
    problems.add(found, expected, slug)
    raise InputError(problems.as_tuple())


def _task(name: str, data: Mapping[str, Any], path: Path, problems: ProblemList) -> TaskResult:
    config = data["configs"][name]
    about: dict[str, Any] = {
        "name": name,
        "version": str(data["versions"].get(name)),
        "settings": {
            "few-shot examples": str(data.get("n-shot", {}).get(name)),
            "generation settings": json.dumps(config.get("generation_kwargs"), sort_keys=True),
            "filters": json.dumps(config.get("filter_list"), sort_keys=True, default=str),
            **model_settings(data),
        },
        "pretrained": arguments(data).get("pretrained", ""),
        "adapter": adapter_of(arguments(data)),
        "values": _numbers(data["results"][name]),
    }
    samples, claimed = _samples_file(name, data, path)
    if samples is None:
        missing = f"{path.name} has no samples of {name} beside it; evaluate with --log_samples"
        return TaskResult(**about, documents=np.empty(0, dtype=np.int64), missing=missing)
    if claimed is not None and file_digest(samples) != claimed:
        problems.add(f"{samples.name} with another digest", f"{claimed}, as {path.name} says", "lm-eval-samples")
        return TaskResult(**about, documents=np.empty(0, dtype=np.int64), missing="other samples")
    about["answers"] = answers(samples, likelihoods=_of_likelihoods(config))
    return _from_samples(about, _rows(samples, problems, name, data), data, problems, samples.name)


def _numbers(results: Mapping[str, Any]) -> dict[str, float]:
    """Aggregated metrics by name and filter; standard errors and what is no number are left out."""
    return {
        _metric(*key.split(",", 1)): float(value)
        for key, value in results.items()
        if "," in key and "_stderr" not in key and isinstance(value, int | float) and _finite(value) is not None
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
    if not files:
        return samples_beside(path, name, data), None
    return (files[0] if len(files) == 1 else None), None


def _rows(path: Path, problems: ProblemList, name: str, data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    expected = "samples as lm-eval logs them"
    try:
        found = [pair for block in sample_blocks(path) for pair in zip(block.lines, block.records, strict=True)]
        whole = completed_rows((row for _, row in found), name, data)
        for (line, _), row in zip(found, whole, strict=True):
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
    return numbered and isinstance(row.get("doc_hash"), str) and _is_names(row.get("metrics"))


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


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
    if expected is None and "lm_eval_version" not in data:  # the oldest do not count them
        expected = max(map(len, by_filter.values()), default=None)
    for chosen, kept in by_filter.items() or {"none": {}}.items():
        if len(kept) != expected:
            found = f"{file}: {len(kept)} samples" + ("" if chosen == "none" else f" of the filter {chosen}")
            problems.add(found, f"{expected}, from which the results of {name} were made", "lm-eval-samples")
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


def _of_likelihoods(config: Mapping[str, Any]) -> bool:
    return str(config.get("output_type", "")).startswith(("loglikelihood", "multiple_choice"))


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
    found = _Metrics()
    for chosen, kept in by_filter.items():
        rows = [kept.get(number, {}) for number in documents]
        for metric in dict.fromkeys(metric for row in rows for metric in row.get("metrics", ())):
            printed = data["results"][name].get(f"{metric},{chosen}")
            higher = data["higher_is_better"].get(name, {}).get(metric)
            values = [row[metric] for row in rows if metric in row]
            why = f"{len(values)} of {len(rows)} documents have it" if len(values) < len(rows) else ""
            if metric == _LOSS and not why:
                loss, why = _loss(rows, printed, problems, name)
                found.losses.extend([] if loss is None else [loss])
            elif not why:
                why = _no_points(values, higher, metric, data["configs"][name])
                if not why:
                    points = np.array(values, dtype=np.float64)
                    _agree(float(points.mean()), printed, problems, f"{name}: a mean {metric}")
                    found.scores.append(
                        Scores(name=_metric(metric, chosen), values=points, higher_is_better=bool(higher))
                    )
                elif why == _NO_NUMBER:
                    problems.add(f"{name}: {metric} that is no number", "finite numbers", "lm-eval-samples")
            if why:
                found.unpaired[_metric(metric, chosen)] = why
    return found


def _no_points(values: Sequence[Any], higher: Any, metric: str, config: Mapping[str, Any]) -> str:
    """Why a metric of all documents is no mean of points; empty where it is one."""
    if not all(type(value) in (int, float, bool) for value in values):
        return "it is not one number a document"
    if not isinstance(higher, bool):
        return "the results do not say which way is better (higher_is_better)"
    if any(_finite(value) is None for value in values):
        return _NO_NUMBER
    if min(values) < 0 or max(values) > 1:
        return f"its values go from {float(min(values)):.4g} to {float(max(values)):.4g}, and points lie in [0, 1]"
    listed = [one for one in config.get("metric_list") or () if one.get("metric") == metric]
    if not all(one.get("aggregation", "mean") in ("mean", "nanmean") for one in listed):
        return "it is not a mean over documents"
    return ""


def _finite(value: Any) -> float | None:
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
    if isinstance(printed, int | float) and printed > 0 and _finite(printed) is not None:
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
    if not all(type(one) in (int, float) for pair in values for one in pair):
        return None
    return np.array([[math.inf if (x := _finite(one)) is None else x for one in pair] for pair in values])


def _agree(mean: float, printed: Any, problems: ProblemList, what: str) -> None:
    """The samples must be the ones of which the printed number was made."""
    given = _finite(printed) if isinstance(printed, int | float) else None
    if given is None or not math.isclose(mean, given, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT):
        problems.add(f"{what} of {mean:.6g} in the samples", f"{given}, as the results say", "lm-eval-samples")
