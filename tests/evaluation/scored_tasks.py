"""Scores of tasks out of plain lists, and the probe's readings of two sides of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.probes.models.task_results import Scores, TaskResult, TaskResults
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import Reading
from collapse_audit.probes.task_score import task_score

GATES = {gate.statistic: gate for gate in task_score.gates}


def task(
    points: Mapping[str, Sequence[float]] | Sequence[float] = (),
    *,
    name: str = "quiz",
    loss: tuple[Sequence[float], Sequence[float]] | None = None,
    higher_is_better: bool = True,
    units: Sequence[str] | None = None,
    **changes: Any,
) -> TaskResult:
    """A task with metrics (one called acc, if only its values are given) or the log-likelihoods and words of a loss."""
    metrics = points if isinstance(points, Mapping) else ({"acc": points} if len(points) else {})
    n = len(loss[0]) if loss is not None else len(next(iter(metrics.values())))
    about = {
        "name": name,
        "version": "1.0",
        "settings": {"few-shot examples": "0"},
        "values": {metric: float(np.mean(values)) for metric, values in metrics.items()},
        "documents": np.arange(n),
        "hashes": tuple(f"{name}{i}" for i in range(n)),
        "units": tuple(units or (f"document {i}" for i in range(n))),
        "scores": tuple(
            Scores(name=metric, values=np.array(values, dtype=np.float64), higher_is_better=higher_is_better)
            for metric, values in metrics.items()
        ),
        "loss": None
        if loss is None
        else Scores(
            name="nats per word", values=np.array(loss[0], dtype=float), weights=np.array(loss[1], dtype=float)
        ),
    }
    return TaskResult(**{**about, **changes})


def evaluated(*tasks: TaskResult, **details: Any) -> TaskResults:
    return TaskResults(where="gen/lm_eval.json", tasks={one.name: one for one in tasks}, **details)


def compared(before: TaskResults | None, after: TaskResults | None, *, permutations: int = 4095) -> dict[str, Reading]:
    texts = sample_of(["a b c"] * 3)
    pair = Pair(baseline=texts, generation=texts, permutations=permutations, seed=0, tasks=(before, after))
    return {reading.statistic: reading for reading in task_score(pair)}
