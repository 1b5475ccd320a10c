"""Runs lm-evaluation-harness on a model that is loaded, and brings what it found into a form that repeats.

The only module that imports lm_eval. Nothing is fetched: the hub and the data sets library are told so before they are
imported. No ``use_cache``: its keys know nothing of the model, so one generation would be given another's answers
(EleutherAI/lm-evaluation-harness issues 2715 and 4063).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from collapse_audit.errors import UsageError
from collapse_audit.lineages.evaluation.tasks_folder import TASKS
from collapse_audit.lineages.files.digest import json_digest
from collapse_audit.lineages.training.errors import TrainingError

_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
_LOGGERS = ("lm_eval", "lm-eval", "datasets", "evaluate")
_SEED = 0
_PASSING = (
    "date", "start_time", "end_time", "total_evaluation_time_seconds", "pretty_env_info", "git_hash", "upper_git_hash",
)  # fmt: skip
"""What a run leaves in its results that no other run of the same evaluation repeats."""

_GROUP = re.compile(r"^group:\s*['\"]?([\w.\-]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides an evaluation besides the model."""

    tasks: tuple[str, ...]
    """Names, or paths of task files."""
    metadata: Mapping[str, Any]
    """Given to every task: where the reference is."""
    batch_size: int
    limit: int | None
    """Documents a task; None for all."""
    answer_tokens: int | None
    """Tokens of a generated answer in the tasks that come with this package; None as their files say."""


def require_harness() -> None:
    """Raises UsageError that says how to get lm-eval where it is not installed."""
    if find_spec("lm_eval") is None or find_spec("datasets") is None:
        raise UsageError("evaluating needs lm-eval: pip install 'collapse-audit[eval,train]'", slug="no-lm-eval")
    os.environ.update(dict.fromkeys(_OFFLINE, "1"))


def version() -> str:
    """The harness's version."""
    return importlib.metadata.version("lm-eval")


class Harness:
    """The tasks that were asked for, loaded once to know what they are."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        names, folders = _of_groups(settings.tasks)
        own = {path.stem for path in TASKS.glob("*.yaml")}
        known = {f"collapse_{name}" for name in own}
        with quiet():
            from lm_eval.tasks import TaskManager

            self._manager = TaskManager(
                include_path=[str(TASKS), *folders],
                include_defaults=not folders and not all(_is_file(name) or name in known for name in names),
                metadata=dict(settings.metadata),
            )
        self._names = names
        tasks, groups = self._load(names)
        self.digests = {name: _digest(task) for name, task in tasks.items()}
        """Every task by its name, with a digest of what it asks and how it counts."""
        self.groups = {
            name: tuple(task.config.task for task in group.get_all_tasks()) for name, group in groups.items()
        }
        """Every group of tasks (MMLU) by its name, with the names of its tasks."""

    def whole(self, names: Sequence[str]) -> list[str]:
        """``names`` and all tasks of the groups that any of them is of: the number of a group is that of all."""
        wanted = set(names)
        for members in self.groups.values():
            wanted |= set(members) if wanted & set(members) else set()
        return [name for name in self.digests if name in wanted]

    def _load(self, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Fresh tasks and the groups of them: an evaluation leaves its requests in them.

        Raises UsageError for what cannot be loaded.
        """
        tasks: dict[str, Any] = {}
        groups: dict[str, Any] = {}
        for name in names:
            with quiet():
                try:
                    loaded = self._manager.load([name])
                except Exception as error:  # a task file may fail in any way, and lm-eval adds its own
                    reason = str(error).strip().partition("\n")[0] or type(error).__name__
                    raise UsageError(f"--task {name}: lm-eval cannot load it ({reason})", slug="task") from error
            tasks |= {task.config.task: task for task in loaded["tasks"].values()}
            groups |= loaded["groups"]
        for task in tasks.values():
            if task.get_config("num_fewshot") is None:
                task.set_config(key="num_fewshot", value=0)
            task.set_fewshot_seed(seed=_SEED)
            config = getattr(task, "config", None)
            if self.settings.answer_tokens and getattr(config, "task", "") == "collapse_conclusion":
                task.set_config("generation_kwargs", {"max_gen_toks": self.settings.answer_tokens}, update=True)
        return tasks, groups

    def evaluate(self, model: Any, tokenizer: Any, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """``(results, samples)`` of the tasks of these names, as lm-eval makes them. Raises TrainingError."""
        loaded, groups = self._load(self._names)
        tasks = [task for name, task in loaded.items() if name in set(names)]
        whole = {name: groups[name] for name, members in self.groups.items() if set(members) <= set(names)}
        with quiet():
            import transformers
            from lm_eval.evaluator import evaluate
            from lm_eval.models.huggingface import HFLM

            wrapped = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=self.settings.batch_size)
            transformers.set_seed(_SEED)  # for tasks that sample their answers
            try:
                results = evaluate(
                    lm=wrapped,
                    task_dict={"tasks": {task.config.task: task for task in tasks}, "groups": whole, "group_map": {}},
                    limit=self.settings.limit,
                    bootstrap_iters=0,
                    log_samples=True,
                )
            except OverflowError as error:  # exp(-log-likelihood / words), of texts that are one long word
                message = (
                    f"lm-eval cannot print the perplexity of {', '.join(names)}: the number is too large ({error}). "
                    "A word is what stands between spaces; texts without spaces are one word each, and have no word "
                    "perplexity. Name other tasks with --task"
                )
                raise TrainingError(message, slug="no-words") from error
        if results is None:
            raise TrainingError("lm-eval gave no results", slug="lm-eval")
        samples = results.pop("samples")
        results["config"] = {
            "model": "hf",
            "model_dtype": str(wrapped.model.dtype),
            "batch_size": self.settings.batch_size,
            "limit": self.settings.limit,
            "use_cache": None,
            "bootstrap_iters": 0,
            "torch_seed": _SEED,
            "fewshot_seed": _SEED,
        }
        results["lm_eval_version"] = version()
        results["transformers_version"] = transformers.__version__
        return results, samples


def save(folder: Path, results: dict[str, Any], samples: Mapping[str, Any]) -> tuple[Path, dict[str, Path]]:
    """Write both as lm-eval's own command does, into an empty folder: the results file and the samples by task."""
    with quiet():
        from lm_eval.loggers import EvaluationTracker

        tracker = EvaluationTracker(output_path=str(folder))
        tracker.save_results_aggregated(results=results, samples=dict(samples))
        for name, rows in samples.items():
            tracker.save_results_samples(task_name=name, samples=rows)
    written = sorted(folder.rglob("results_*.json"))
    files = {name: next(iter(folder.rglob(f"samples_{name}_2*.jsonl")), None) for name in samples}
    lost = [name for name, file in files.items() if file is None]
    if len(written) != 1 or lost:
        raise TrainingError(f"lm-eval could not write its results to {folder}: {lost or 'no results'}", slug="lm-eval")
    return written[0], {name: file for name, file in files.items() if file is not None}


def repeatable(results: Mapping[str, Any]) -> dict[str, Any]:
    """Results without dates, machines and paths, so that the same evaluation gives the same bytes."""
    kept = {key: value for key, value in results.items() if key not in _PASSING}
    for config in kept.get("configs", {}).values():
        about = config.get("metadata")
        if isinstance(about, dict):
            for key in ("config_source", "reference"):
                about.pop(key, None)
    return kept


def _digest(task: Any) -> str:
    """Of what a task asks, of whom, and how it counts."""
    config: dict[str, Any] = task.dump_config() if hasattr(task, "dump_config") else {"task": str(task)}
    about = dict(config.get("metadata") or {})
    for key in ("config_source", "reference"):
        about.pop(key, None)
    return json_digest({**config, "metadata": about, "version": task.VERSION, "documents": _documents(task)})


def _documents(task: Any) -> str:
    """Digest of the documents themselves: a file that changed under the same name is another task."""
    docs = task.test_docs() if task.has_test_docs() else task.validation_docs()
    return json_digest(list(docs))


def _of_groups(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names with every file of a group as the group that it defines, and the folders of such files: lm-eval takes a
    file for a task, and finds groups by name alone."""
    found, folders = [], []
    for name in names:
        group = _GROUP.search(Path(name).read_text("utf-8")) if _is_file(name) else None
        found.append(name if group is None else group[1])
        folders += [] if group is None else [str(Path(name).parent)]
    return tuple(found), tuple(dict.fromkeys(folders))


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """lm-eval's notices and bars stay off the user's terminal; what goes wrong is raised."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
