"""CA601: did the model lose the task?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from collapse_audit.probes.models.task_columns import DROP, ENOUGH, Column, columns_of
from collapse_audit.probes.models.task_likeness import incomparable
from collapse_audit.probes.models.task_results import TaskResults, not_evaluated
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.estimates import needed, permutation_p
from collapse_audit.probes.statistics.paired import bounds, flipped
from collapse_audit.probes.statistics.readings import Z_POWER, Estimate, Gate, NotMeasured, Reading
from collapse_audit.probes.types import probe

_LEVEL = 0.05
_ROLLING = ("word_perplexity", "byte_perplexity", "bits_per_byte")
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
            margin=DROP,
            because="one answer in twenty that the baseline gave right is lost",
            part="task",
            plain="task score",
            says="the score that fell most {drop} in {generation}",
        ),
        Gate(
            statistic="loss",
            unit="nats per word",
            worse="higher",
            margin=0.10,
            because="the word perplexity of people's text rises by a tenth",
            plain="surprise at people's text",
            says="the surprise at people's text {rise} in {generation}",
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
        answers); of several metrics and tasks the largest. Tasks of a group for which lm-eval prints a number (MMLU)
        are pooled as it pools them, and shown one by one. loss = rise of -log-likelihood / words, nats per word, of
        rolling tasks; the logarithm of the ratio of word perplexities. p: signs of the documents' differences
        flipped, for all metrics together, the largest standardised sum. Bounds: paired bootstrap over documents; the
        lower one at 5% / number of metrics.

    Why it signals collapse
        A model that only repeats its most frequent sentences still writes well-formed text; it no longer answers
        questions about rare cases. Bobrova et al. and Shumailov et al. 2024 see the loss on human text rise.

    When it misleads
        A task that the baseline cannot do has nothing to lose and is left out. Metrics of classes (recall of a rare
        one) are shown and do not gate: they rest on few documents. Where one filter's score falls and another's of the
        same answers holds (strict-match, flexible-extract), their format changed, which is said. Few-shot prompts,
        number formats and batch sizes move scores too; what differs between the two evaluations is named, and nothing
        is compared then (batch sizes are). Where few long or much damaged texts carry the loss, its upper bound is
        missed too often: measured, up to 16% instead of 5% of 20 skewed texts. Below 200 texts that count alike,
        (sum w)^2 / sum w^2, none is claimed, and a loss cannot pass; above, up to 9% were still missed where damage is
        very skewed. Texts without spaces have no words, and their loss is not judged.

    Needs
        lm_eval.json and samples of the generation and of its baseline: ``collapse-lineage evaluate``, or
        ``lm_eval --output_path … --log_samples`` of version 0.4.2 or later.
    """
    before, after = pair.tasks or (None, None)
    why = not_evaluated(pair.tasks)
    if before is not None and after is not None and (differs := incomparable(before, after)):
        why = NotMeasured(reason=differs, neutral=False)
    if before is None or after is None or why is not None:
        missing = why or NotMeasured(reason="")
        yield from (dataclasses.replace(missing, statistic=name) for name in ("drop", "loss"))
        return
    columns = columns_of(before, after)
    for statistic, points in (("drop", True), ("loss", False)):
        chosen = [column for column in columns if column.statistic == statistic]
        if not chosen:
            yield _nothing(statistic, before, after, points=points)
            continue
        yield _worst(statistic, chosen, pair, _others(before, after, chosen, points=points))


def _nothing(statistic: str, before: TaskResults, after: TaskResults, *, points: bool) -> NotMeasured:
    """No metric can be judged. What was there and could not be is named, and leaves the finding open."""
    dropped = {
        f"{name} / {metric}": why
        for results in (after, before)  # what the baseline says of a metric stands
        for name, task in results.tasks.items()
        for metric, why in task.unpaired.items()
        if (metric.partition(" ")[0] not in _ROLLING) is points and not (task.loss is not None and metric in _ROLLING)
    }
    named = "; ".join(f"{metric}: {why}" for metric, why in dropped.items())
    reason = f"no task tells a {statistic}" + (f" ({named})" if named else "")
    return NotMeasured(reason=reason, statistic=statistic, neutral=not dropped)


def _worst(statistic: str, columns: Sequence[Column], pair: Pair, others: Sequence[Mapping[str, Any]]) -> Reading:
    """The largest damage of several metrics. Fail: one of them surely; pass: none of them could be beyond the margin.

    The largest true damage is at least any one's, so its lower bound is the largest of simultaneous ones (Bonferroni);
    it is one of them, so its upper bound is the largest of their own (Berger 1982, doi 10.1080/00401706.1982.10487790).
    """
    able = [column for column in columns if column.able]
    left_out = [column.name for column in columns if column not in able]
    if not able:
        why = f"{', '.join(left_out)}: the baseline {_NOTHING_TO_LOSE}"
        return NotMeasured(reason=why, statistic=statistic, neutral=False)
    differences = [column.lost for column in able]
    rng = pair.stream(f"task-score {statistic}")
    simultaneous = _LEVEL / len(differences)
    lows = [bounds(difference, rng=rng, level=simultaneous)[0] for difference in differences]
    highs = [bounds(difference, rng=rng)[1] for difference in differences]
    alike = [
        math.inf if column.points else difference.equal_units
        for column, difference in zip(able, differences, strict=True)
    ]
    few = [column.name for column, count in zip(able, alike, strict=True) if count < ENOUGH]
    highs = [high if count >= ENOUGH else math.inf for high, count in zip(highs, alike, strict=True)]
    values = [difference.value for difference in differences]
    worst = int(np.argmax(values))
    errors = [difference.error for difference in differences]
    reach = (-float(ndtri(simultaneous)) + Z_POWER) * max(errors)
    documents = min(column.damage.size for column in able)
    formats = _formats(able, values, lows, highs)

    def settled(margin: float) -> float:
        return max(
            max(needed(v, e, scale="linear", n=n)(margin), math.ceil(n * ENOUGH / count) if v < margin else 0)
            for v, e, n, count in zip(values, errors, (column.damage.size for column in able), alike, strict=True)
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
                {"metric": column.name, **_levels(column, value), "documents": column.damage.size, **_bounds(low, high)}
                for column, value, low, high in zip(able, values, lows, highs, strict=True)
            ),
            *(row for column in able for row in _parts(column)),
            *others,
        ),
        notes=(
            *(f"left out: {name}, in which the baseline {_NOTHING_TO_LOSE}" for name in left_out),
            *(("format-changed",) if formats else ()),
            *(f"{name} rests on {min(alike):.0f} texts that count alike; {ENOUGH} bound it above" for name in few),
        ),
        explanation="; ".join(
            filter(None, (f"the largest is that of {able[worst].name}" if len(able) > 1 else "", formats))
        ),
    )


def _parts(column: Column) -> list[dict[str, Any]]:
    """The tasks of a group, the one that lost most first: shown, not judged."""
    rows = [
        {"metric": part.name, "part_of": column.name, **_levels(part, float(part.damage.mean()))}
        | {"documents": part.damage.size}
        for part in column.parts
    ]
    lost = [float(part.damage.mean()) for part in column.parts]
    return [rows[place] for place in np.argsort(-np.array(lost), kind="stable")]


def _formats(columns: Sequence[Column], values: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> str:
    """What to say where one filter of a metric falls and another of the same metric holds; empty where none does.

    The filters read one and the same answers: what only the stricter misses is the form that it asks for.
    """
    for fallen, value, low in zip(columns, values, lows, strict=True):
        for held, high in zip(columns, highs, strict=True):
            same = fallen.name.partition(" (")[0] == held.name.partition(" (")[0] and fallen.name != held.name
            if same and "(" in fallen.name and "(" in held.name and value > DROP and low > 0 and high <= DROP:
                return (
                    f"{held.name} holds where {fallen.name} falls: the format of the answers changed, not what they say"
                )
    return ""


def _levels(column: Column, damage: float) -> dict[str, float]:
    return {"baseline": column.baseline, "generation": column.baseline + column.sign * damage}


def _bounds(low: float, high: float) -> dict[str, float]:
    """Of one metric's damage: the simultaneous lower bound and its own upper one, where it has one."""
    return {"drop_low": float(low), "drop_high": float(high)} if math.isfinite(high) and math.isfinite(low) else {}


def _standardised(columns: Sequence[Column], permutations: int, rng: np.random.Generator) -> FloatArray:
    """The largest standardised sum of damages under flips of the units' signs, the observed first; shape (B + 1,).

    Metrics and tasks that share a unit (a record, a patient) are flipped together, so what ties them stays.
    """
    names, unit = np.unique(np.concatenate([np.array(column.units) for column in columns]), return_inverse=True)
    owner = np.repeat(np.arange(len(columns)), [column.damage.size for column in columns])
    damage = np.zeros((names.size, len(columns)))
    np.add.at(damage, (unit, owner), np.concatenate([column.damage for column in columns]))
    spread = np.sqrt(np.square(damage).sum(axis=0))
    moved = spread > 0
    if not moved.any():
        return np.zeros(1)
    return np.asarray((flipped(damage[:, moved], permutations, rng) / spread[moved]).max(axis=1))


def _others(
    before: TaskResults, after: TaskResults, columns: Sequence[Column], *, points: bool
) -> list[dict[str, Any]]:
    """Numbers that the harness printed of both sides and that no column pairs: shown, not judged."""
    paired = {part.name for column in columns for part in (column, *column.parts)}
    others = []
    for name, task in before.tasks.items():
        theirs = after.tasks[name].values
        for metric in sorted(task.values.keys() & theirs.keys()):
            if points != (task.loss is not None) and f"{name} / {metric}" not in paired:
                shown = {"metric": f"{name} / {metric}", "baseline": task.values[metric], "generation": theirs[metric]}
                others.append(shown)
    return others
