"""What training logs say of the loss, thinned to what a picture needs. It never gates: a broken log is only noted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.lineages.files.door import Refused, limits, parse_json, read_bytes
from collapse_audit.lineages.files.problems import shorten
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage

_STRETCHES = 60
"""Points of one curve."""


def training_losses(lineage: Lineage) -> tuple[list[dict[str, Any]], list[str]]:
    """A curve for each generation whose ``train_log`` holds losses (``step``, ``loss`` in nats a token), and notes."""
    curves: list[dict[str, Any]] = []
    notes: list[str] = []
    for entry in lineage.generations:
        if entry.train_log is None:
            continue
        try:
            points = list(_points(entry.train_log))
        except (Refused, OSError, ValueError) as error:
            notes.append(
                f"{_called(entry)}: the training log cannot be read ({shorten(str(error))}); its loss is not drawn"
            )
            continue
        if points:
            curves.append({"seed": entry.seed, "generation": entry.index, **thinned(points)})
    return curves, notes


def _points(log: Path) -> Iterator[tuple[float, float]]:
    text = read_bytes(log, most=limits().json).decode("utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        record = parse_json(line, constants=True)
        if not isinstance(record, dict):
            raise ValueError(f"line {number} is no JSON object")
        step, loss = _finite(record.get("step")), _finite(record.get("loss"))
        if step is not None and loss is not None:
            yield step, loss


def _finite(value: Any) -> float | None:
    """None for what is no number, as of a diverged or an evaluation step."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def thinned(points: list[tuple[float, float]]) -> dict[str, list[float]]:
    """At most 60 stretches of equally many points (or one more): the last step of each, and the mean loss."""
    steps, losses = np.array(points, dtype=np.float64).T
    stretches = min(_STRETCHES, steps.size)
    return {
        "steps": [float(part[-1]) for part in np.array_split(steps, stretches)],
        "losses": [round(float(part.mean()), 6) for part in np.array_split(losses, stretches)],
    }


def _called(entry: GenerationEntry) -> str:
    return f"generation {entry.index}" + ("" if entry.seed is None else f" of seed {entry.seed}")
