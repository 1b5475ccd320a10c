"""Groups of tasks in lm-eval results (MMLU's 57): of which tasks a printed number is the mean, and which mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from collapse_audit.probes.models.task_results import TaskGroup


def groups_of(data: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[TaskGroup]:
    """The outermost group of every task and metric that prints the metric; ``sizes``: documents of every task.

    A group that prints no number of its own is a list of tasks and no group: lm-eval pools none of them. Whether tasks
    count by their documents (``weight_by_size``) or alike is not in the file: the mean that was printed tells.
    """
    children = data.get("group_subtasks")
    children = {k: v for k, v in children.items() if isinstance(v, list) and v} if isinstance(children, dict) else {}
    rows = {name: {**_row(data, "results", name), **_row(data, "groups", name)} for name in children}
    taken: set[tuple[str, str]] = set()
    for name in sorted(
        children, key=lambda name_of: (-len(_leaves(name_of, children)), name_of)
    ):  # the outermost first
        for key, printed in rows[name].items():
            if "," not in key or "_stderr" in key or isinstance(printed, bool) or not isinstance(printed, int | float):
                continue
            tasks = [
                task
                for task in _leaves(name, children)
                if task in sizes and key in _row(data, "results", task) and (task, key) not in taken
            ]
            if len(tasks) > 1:
                taken.update((task, key) for task in tasks)
                by_size = _by_size(printed, [(data["results"][task][key], sizes[task]) for task in tasks])
                yield TaskGroup(name=name, key=key, tasks=tuple(tasks), by_size=by_size)


def _row(data: Mapping[str, Any], table: str, name: str) -> Mapping[str, Any]:
    rows = data.get(table)
    row = rows.get(name) if isinstance(rows, dict) else None
    return row if isinstance(row, dict) else {}


def _leaves(name: str, children: Mapping[str, Sequence[Any]], above: frozenset[str] = frozenset()) -> list[str]:
    """The tasks of a group and of the groups in it, each once."""
    if name in above or name not in children:
        return [] if name in above else [name]
    leaves = [leaf for child in children[name] for leaf in _leaves(str(child), children, above | {name})]
    return list(dict.fromkeys(leaves))


def _by_size(printed: float, tasks: Sequence[tuple[Any, int]]) -> bool:
    """Whether the printed number is nearer to the mean over documents than to the mean over tasks."""
    numbers = [(float(value), size) for value, size in tasks if isinstance(value, int | float)]
    total = sum(size for _, size in numbers)
    if not total:
        return True
    weighted = sum(value * size for value, size in numbers) / total
    plain = sum(value for value, _ in numbers) / len(numbers)
    return abs(weighted - printed) <= abs(plain - printed)
