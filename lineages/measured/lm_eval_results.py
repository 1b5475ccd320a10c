"""Results of lm-evaluation-harness as it writes them, ours or anybody's: read, checked against themselves, never run.

A path is a results file (``lm_eval.json``, ``results_<date>.json``) or the folder given to ``--output_path``, in which
the newest results of each task count. Versions 0.4.2 and later are read. Samples stand beside their results:
``samples_<task>_<date>.jsonl``, or the names that ``collapse-lineage evaluate`` gives them. What contradicts itself is
refused: a sample twice, fewer samples than results were made from, a mean that is not the samples' mean, an adapter
that is not the generation's. What may be of another model without saying so is read and doubted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from collapse_audit.errors import InputError
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.door import Refused, read_json, reading, stay_inside
from collapse_audit.lineages.files.problems import ProblemList, shorten
from collapse_audit.lineages.measured.lm_eval_claims import OURS, adapter_of, arguments, check_model, model_settings
from collapse_audit.lineages.measured.lm_eval_copies import Files, answers, neighbours, shared
from collapse_audit.lineages.measured.lm_eval_groups import groups_of
from collapse_audit.lineages.measured.lm_eval_older import completed, samples_beside
from collapse_audit.lineages.measured.lm_eval_samples import finite, from_samples, metric_name, sample_rows
from collapse_audit.lineages.model.lineage import GenerationEntry
from collapse_audit.probes.models.task_results import ONE_MODEL, TaskGroup, TaskResult, TaskResults

_STAMPED = re.compile(r"(?P<stem>.+)_(?P<stamp>\d{4}-\d{2}-\d{2}T[\d.\-+:]+)\.json")
_REQUIRED = ("results", "configs", "versions", "n-samples", "higher_is_better")
_BY_TASK = ("results", "configs", "n-samples", "higher_is_better")

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
    files = list(_results_files(root, shown))
    tasks: dict[str, TaskResult] = {}
    doubts: dict[str, str] = {}
    for path, data in files:  # the oldest first: a later run of a task replaces an earlier one
        problems = ProblemList(_named(shown, root, path))
        doubt = check_model(entry, data, problems)
        for name in data["results"]:
            if name in data["configs"]:  # not a group of tasks, which has no samples of its own
                with reading(
                    _named(shown, root, path), f"results of {shorten(name)} as lm-eval writes them", "lm-eval"
                ):
                    tasks[name] = _task(name, data, path, problems)
                doubts[name] = doubt
            elif name in data["n-samples"]:
                problems.add(f"no configuration of the task {name}", "configs of every task", "lm-eval")
        if not data["results"]:
            problems.add("results of no task", "those of one task or more", "lm-eval")
        if len(problems):
            raise InputError(problems.as_tuple())
    doubt = next(filter(None, (*doubts.values(), _copied(root, shown, files))), "")
    groups: dict[tuple[str, str], TaskGroup] = {}
    for _, data in files:
        sizes = {name: task.documents.size for name, task in tasks.items() if name in data["results"]}
        groups |= {(group.name, group.key): group for group in groups_of(data, sizes)}
    version = str(files[-1][1].get("lm_eval_version", "0.4"))
    return TaskResults(where=shown, tasks=tasks, doubt=doubt, harness=version, groups=tuple(groups.values()))


def _copied(path: Path, shown: str, files: Sequence[Found]) -> str:
    """Which other generation has these very answers or files, in words; empty where none has."""
    own = _files(files)
    for other in neighbours(path):
        try:
            theirs = _files(list(_results_files(other, other.name)))
        except (InputError, Refused, OSError):
            continue  # named when that generation is read
        for task in shared(own, theirs):
            where = f"{other.parent.name}/{other.name}"
            return f"{task}: {shown} says what {where} says, to the last digit: {ONE_MODEL}"
    return ""


def _files(results: Sequence[Found]) -> Files:
    """The newest results and samples of each task that has both."""
    files: dict[str, tuple[Path, Path, bool]] = {}
    for path, data in results:
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
        with reading(_named(shown, path, file), "a results file of lm-evaluation-harness 0.4", "lm-eval"):
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
        tables |= {f"{key}.{name}": cell for name, cell in table.items()} if isinstance(table, dict) else {}
    for name, config in data["configs"].items():
        listed = (config.get("metric_list") if isinstance(config, dict) else None) or []
        if not isinstance(listed, list) or not all(isinstance(cell, dict) for cell in listed):
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
    return from_samples(about, sample_rows(samples, problems, name, data), data, problems, samples.name)


def _numbers(results: Mapping[str, Any]) -> dict[str, float]:
    """Aggregated metrics by name and filter; standard errors and what is no number are left out."""
    return {
        metric_name(*key.split(",", 1)): float(value)
        for key, value in results.items()
        if "," in key and "_stderr" not in key and isinstance(value, int | float) and finite(value) is not None
    }


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


def _of_likelihoods(config: Mapping[str, Any]) -> bool:
    return str(config.get("output_type", "")).startswith(("loglikelihood", "multiple_choice"))
