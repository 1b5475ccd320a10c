"""CA601: did the model lose the task?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from collapse_audit.probes.design import FloatArray
from collapse_audit.probes.estimates import needed, permutation_p
from collapse_audit.probes.pair import Pair
from collapse_audit.probes.paired import Differences, bounds, differences, flipped
from collapse_audit.probes.task_results import Scores, TaskResult, TaskResults, not_evaluated
from collapse_audit.probes.types import Z_POWER, Estimate, Gate, NotMeasured, Reading, probe

_LEVEL = 0.05
_DROP = 0.05
_NOTHING_TO_LOSE = "scores so little that a drop of the margin cannot be seen"


@probe(
    name="task-score",
    code="CA601",
    needs=("tasks",),
    gates=(
        Gate(
            statistic="drop",
            unit="points of the metric",
            worse="higher",
            margin=_DROP,
            because="one answer in twenty that the baseline gave right is lost",
        ),
        Gate(
            statistic="loss",
            unit="nats per word",
            worse="higher",
            margin=0.10,
            because="the word perplexity of people's text rises by a tenth",
        ),
    ),
    source="Gao et al. 2024, doi 10.5281/zenodo.12608602 (lm-evaluation-harness); McNemar 1947, doi 10.1007/BF02295996",
    since="0.1",
)
def task_score(pair: Pair) -> Iterator[Reading]:
    """Did the model lose the task?

    What it measures
        Results of lm-evaluation-harness on the same documents before and after: how many points of a metric were
        lost, and how much more surprising people's text has become.

    Formula and unit
        drop = mean score of the baseline less that of the generation, over the same documents, in points (1 = all
        answers); of several metrics and tasks the largest. loss = rise of -log-likelihood / words, nats per word, of
        rolling tasks; the logarithm of the ratio of word perplexities. p: signs of the documents' differences
        flipped, for all metrics together, the largest standardised sum. Bounds: paired bootstrap over documents; the
        lower one at 5% / number of metrics.

    Why it signals collapse
        A model that only repeats its most frequent sentences still writes well-formed text; it no longer answers
        questions about rare cases. Bobrova et al. and Shumailov et al. 2024 see the loss on human text rise.

    When it misleads
        A task that the baseline cannot do has nothing to lose and is left out. Metrics of classes (recall of a rare
        one) are shown and do not gate: they rest on few documents. Few-shot prompts, number formats and batch sizes
        move scores too; what differs between the two evaluations is named, and nothing is compared then.

    Needs
        lm_eval.json and samples of the generation and of its baseline: ``collapse-lineage evaluate``, or
        ``lm_eval --output_path … --log_samples``.
    """
    before, after = pair.tasks or (None, None)
    why = not_evaluated(pair.tasks)
    if before is not None and after is not None and (differs := _incomparable(before, after)):
        why = NotMeasured(reason=differs, neutral=False)
    if before is None or after is None or why is not None:
        missing = why or NotMeasured(reason="")
        yield from (dataclasses.replace(missing, statistic=name) for name in ("drop", "loss"))
        return
    columns = list(_columns(before, after))
    for statistic, points in (("drop", True), ("loss", False)):
        chosen = [one for one in columns if one.points is points]
        yield _worst(statistic, chosen, pair, _others(before, after, chosen, points=points))


def _incomparable(before: TaskResults, after: TaskResults) -> str:
    """What makes two evaluations different ones, in words; empty where nothing does."""
    for here, there, side in ((before, after, "generation"), (after, before, "baseline")):
        alone = sorted(here.tasks.keys() - there.tasks.keys())
        if alone:
            return f"the task {', '.join(alone)} was not evaluated on the {side}; evaluate both alike"
    for what in sorted(before.settings.keys() & after.settings.keys()):
        if before.settings[what] != after.settings[what]:
            return f"the {what} differs: {before.settings[what]} and {after.settings[what]}; evaluate both alike"
    return next(filter(None, (_differs(task, after.tasks[name]) for name, task in before.tasks.items())), "")


def _differs(before: TaskResult, after: TaskResult) -> str:
    name = before.name
    if before.version != after.version:
        return f"{name} has version {before.version} in the baseline and {after.version} in the generation"
    for what, value in before.settings.items():
        if after.settings.get(what) != value:
            return f"{name}: the {what} differ ({value} and {after.settings.get(what)})"
    missing = before.missing or after.missing
    if missing:
        return missing
    if before.documents.size != after.documents.size:
        return f"{name} was evaluated on {before.documents.size} and on {after.documents.size} documents (--limit)"
    if not np.array_equal(before.documents, after.documents):
        return f"{name} was evaluated on different documents"
    changed = sum(one != other for one, other in zip(before.hashes, after.hashes, strict=True))
    if changed:
        return f"{name}: {changed} of {len(before.hashes)} documents, prompts or targets are not the same on both sides"
    if before.likelihoods is not None and before.likelihoods == after.likelihoods:
        return f"{name}: every likelihood is the same to the last digit: one model, or one use_cache, evaluated twice"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One metric of one task: what each document lost."""

    name: str
    units: tuple[str, ...]
    damage: FloatArray
    """Shape (n,): positive where the generation is worse."""
    weights: FloatArray | None
    baseline: float
    """The baseline's score, or its loss."""
    sign: float
    """1 where more is worse."""
    points: bool

    @property
    def able(self) -> bool:
        """Whether there is anything to lose: a task that the baseline cannot do loses nothing."""
        reached = self.baseline if self.sign < 0 else 1 - self.baseline
        return not self.points or reached >= _DROP


def _columns(before: TaskResults, after: TaskResults) -> Iterator[_Column]:
    for task_name, task in before.tasks.items():
        other = after.tasks[task_name]
        theirs = {scores.name: scores for scores in other.scores}
        for scores in task.scores:
            if scores.name in theirs:
                yield _column(task, scores, theirs[scores.name])
        if task.loss is not None and other.loss is not None:
            yield _column(task, task.loss, other.loss)


def _column(task: TaskResult, before: Scores, after: Scores) -> _Column:
    points = before.weights is None
    sign = -1.0 if points and before.higher_is_better else 1.0
    first, second = (before.values, after.values) if points else (-before.values, -after.values)
    total = first.size if before.weights is None else before.weights.sum()
    return _Column(
        name=f"{task.name} / {before.name}",
        units=task.units,
        damage=sign * (second - first),
        weights=before.weights,
        baseline=float(first.sum() / total),
        sign=sign,
        points=points,
    )


def _worst(statistic: str, columns: Sequence[_Column], pair: Pair, others: Sequence[Mapping[str, Any]]) -> Reading:
    """The largest damage of several metrics. Fail: one of them surely; pass: none of them could be beyond the margin.

    The largest true damage is at least any one's, so its lower bound is the largest of simultaneous ones (Bonferroni);
    it is one of them, so its upper bound is the largest of their own (Berger 1982, doi 10.1080/00401706.1982.10487790).
    """
    able = [one for one in columns if one.able]
    left_out = [one.name for one in columns if one not in able]
    if not able:
        why = (
            f"no task tells a {statistic}" if not columns else f"{', '.join(left_out)}: the baseline {_NOTHING_TO_LOSE}"
        )
        return NotMeasured(reason=why, statistic=statistic, neutral=not columns)
    both = [_differences(one) for one in able]
    rng = pair.stream(f"task-score {statistic}")
    simultaneous = _LEVEL / len(both)
    lows = [bounds(one, rng=rng, level=simultaneous)[0] for one in both]
    highs = [bounds(one, rng=rng)[1] for one in both]
    values = [one.value for one in both]
    worst = int(np.argmax(values))
    errors = [one.error for one in both]
    reach = (-float(ndtri(simultaneous)) + Z_POWER) * max(errors)
    documents = min(one.damage.size for one in able)

    def settled(margin: float) -> float:
        return max(
            needed(v, e, scale="linear", n=one.damage.size)(margin)
            for v, e, one in zip(values, errors, able, strict=True)
        )

    return Estimate(
        statistic=statistic,
        value=values[worst],
        low=max(lows),
        high=max(highs),
        method=f"paired bootstrap over documents, BCa; the largest of {len(able)}",
        p_value=permutation_p(_standardised(able, pair.permutations, rng), worse="higher"),
        n_baseline=documents,
        n_generation=documents,
        minimum_detectable=reach if math.isfinite(reach) else None,
        n_needed=settled,
        raw={"worst": able[worst].name, **_levels(able[worst], values[worst])},
        evidence=(
            *(
                {"metric": one.name, **_levels(one, value), "documents": one.damage.size}
                for one, value in zip(able, values, strict=True)
            ),
            *others,
        ),
        notes=tuple(f"left out: {name}, in which the baseline {_NOTHING_TO_LOSE}" for name in left_out),
        explanation=f"the largest is that of {able[worst].name}" if len(able) > 1 else "",
    )


def _levels(column: _Column, damage: float) -> dict[str, float]:
    return {"baseline": column.baseline, "generation": column.baseline + column.sign * damage}


def _differences(column: _Column) -> Differences:
    units = np.unique(np.array(column.units), return_inverse=True)[1]
    return differences(
        np.zeros_like(column.damage), column.damage, weights=column.weights, group=units, share=column.points
    )


def _standardised(columns: Sequence[_Column], permutations: int, rng: np.random.Generator) -> FloatArray:
    """The largest standardised sum of damages under flips of the units' signs, the observed first; shape (B + 1,).

    Metrics and tasks that share a unit (a record, a patient) are flipped together, so what ties them stays.
    """
    names, unit = np.unique(np.concatenate([np.array(one.units) for one in columns]), return_inverse=True)
    owner = np.repeat(np.arange(len(columns)), [one.damage.size for one in columns])
    damage = np.zeros((names.size, len(columns)))
    np.add.at(damage, (unit, owner), np.concatenate([one.damage for one in columns]))
    spread = np.sqrt(np.square(damage).sum(axis=0))
    moved = spread > 0
    if not moved.any():
        return np.zeros(1)
    return np.asarray((flipped(damage[:, moved], permutations, rng) / spread[moved]).max(axis=1))


def _others(
    before: TaskResults, after: TaskResults, columns: Sequence[_Column], *, points: bool
) -> list[dict[str, Any]]:
    """Numbers that the harness printed of both sides and that no column pairs: shown, not judged."""
    paired = {one.name for one in columns}
    found = []
    for name, task in before.tasks.items():
        theirs = after.tasks[name].values
        for metric in sorted(task.values.keys() & theirs.keys()):
            if points != (task.loss is not None) and f"{name} / {metric}" not in paired:
                shown = {"metric": f"{name} / {metric}", "baseline": task.values[metric], "generation": theirs[metric]}
                found.append(shown)
    return found
