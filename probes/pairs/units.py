"""The unit: what is relabelled and resampled, chosen from what the files say before anything is tested.

``group`` where records have one, else ``prompt``, else runs of neighbouring records where neighbours resemble each
other, else documents. Every decision is the same whichever side is called the baseline, and none looks at how the sides
differ. Dependence that only one side shows decides nothing: it may be that side's damage.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from collapse_audit.errors import UsageError
from collapse_audit.probes.statistics.dependence import LIKELY, Neighbours, clumps, neighbours, within_prompts
from collapse_audit.probes.statistics.design import MIN_UNITS, IntArray, Kind
from collapse_audit.probes.text.ngrams import recoded
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.text.tokens import Tokens
from collapse_audit.probes.text.views import Features, views

UnitSetting = Literal["auto", "group", "prompt", "run", "document"]
UNITS: tuple[UnitSetting, ...] = ("auto", "group", "prompt", "run", "document")

FEWEST = 20
"""Runs or clusters a side, found and not given, from which anything is judged: they were chosen by estimates."""
_CURE = "sample independent records, or give --group FIELD"
_OPENINGS = (4, 8)
"""Tokens that answers to one prompt may share at their beginning."""
_LIKE_SIZED = 2.0
"""How often more the clusters of one side may be than the other's: more is a change, and not to be matched away."""
_LIKE_COPIED = 1.25
_WHOLE_PROMPTS = "prompts with all of their answers"
_BIN = 10
"""Records a side among which documents are swapped where both files follow the same order."""
_NAMES = 0x6F70656E
_ODD = np.uint64(0x9E3779B97F4A7C15)
_FURTHEST = 4
"""How many times longer runs may be than the side needs that needs shorter ones."""
_COMMON = 0.1
"""Records whose text or opening the other side has too are answers of few kinds, as labels are, and no clusters: if
more than this share are, how often each side has which is what may have been lost."""
_FEW_KINDS = 5
"""Below this effective number of openings that a minority of the records share, these are boilerplate and no prompts:
they say nothing of the rest of a text, and clusters of a third of the file would leave nothing to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What moves together, and why."""

    kind: Kind
    keys: tuple[IntArray, ...] | None = None
    """A key a record of every sample; equal keys mean the same in all of them. None: every record has its own."""
    swapped: bool = False
    """Whether records of a shared key change sides one by one, or all of a side's together."""
    described: str | None = None
    """What was resampled, where the kind does not say it."""
    strata: str | None = None
    least: int = MIN_UNITS
    """Units a side from which anything is judged."""
    why: str | None = None
    """Why it is not simply documents, or what to know of it: a sentence for the report."""


def choose(samples: Sequence[Sample], setting: UnitSetting, seed: int) -> Unit:
    """The unit of a comparison of ``samples``. Raises UsageError where ``setting`` asks for a field nobody has."""
    ranked = sorted(range(len(samples)), key=lambda place: samples[place].digest)
    chosen = _choose([samples[place] for place in ranked], setting, seed)
    if chosen.keys is None:
        return chosen
    back = np.argsort(ranked)
    return dataclasses.replace(chosen, keys=tuple(chosen.keys[place] for place in back))


def _choose(samples: list[Sample], setting: UnitSetting, seed: int) -> Unit:
    sizes = [len(sample) for sample in samples]
    if setting == "document":
        return Unit(kind="document", why="documents were resampled because --unit document says so")
    if setting in ("auto", "group"):
        keys = joint_keys([sample.groups for sample in samples], sizes)
        if keys is not None:
            return Unit(kind="group", keys=keys)
    if setting in ("auto", "prompt"):
        keys = joint_keys([sample.prompts for sample in samples], sizes)
        if keys is not None:
            return _of_prompts(samples, keys, setting, seed)
    if setting in ("group", "prompt"):
        raise UsageError(
            f"--unit {setting}: no two records differ in a {setting}; name its field with --{setting} FIELD"
        )
    if setting == "run":
        return _runs(samples, [neighbours_of(sample, seed) for sample in samples], forced=True)
    if min(sizes) < 2 * MIN_UNITS:
        return Unit(kind="document")
    if any(sample.numeric is not None for sample in samples):  # equal numbers are no copies of each other
        return _ordered(samples, seed)
    neighbours = [_ordered(samples, seed), _clumped(samples, seed)]
    return min(neighbours, key=lambda unit: _units(unit, sizes))


def _units(unit: Unit, sizes: list[int]) -> int:
    return min(sizes) if unit.keys is None or unit.swapped else min(map(_distinct, unit.keys))


def joint_keys(columns: Sequence[pa.Array | None], sizes: Sequence[int]) -> tuple[IntArray, ...] | None:
    """Keys of all samples as integers, or None where no sample has keys that tell its documents apart.

    A document without a key stands for itself: dropping all keys because of one missing would break the clusters. A
    side whose documents all share one key (one prompt for everything) has none to speak of.
    """
    telling = [
        pa.nulls(size, pa.string()) if keys is None or len(keys.drop_null().unique()) < 2 else keys.cast(pa.string())
        for keys, size in zip(columns, sizes, strict=True)
    ]
    joint = pa.concat_arrays(telling).dictionary_encode()
    if not len(joint.dictionary):
        return None
    codes = joint.indices.fill_null(-1).to_numpy().astype(np.int64)
    alone = codes < 0
    codes[alone] = len(joint.dictionary) + np.arange(np.count_nonzero(alone))
    return _apart(codes, sizes)


def _of_prompts(samples: list[Sample], keys: tuple[IntArray, ...], setting: UnitSetting, seed: int) -> Unit:
    """Answers are swapped one by one within their prompt, unless they are seen to depend on each other."""
    if setting == "prompt":
        return Unit(kind="prompt", keys=keys, described=_WHOLE_PROMPTS)
    prompt = np.unique(np.concatenate(keys), return_inverse=True)[1].astype(np.int64)
    side = np.repeat(np.arange(len(samples)), [len(sample) for sample in samples])
    rng = _stream(samples, seed, "answers")
    shared = within_prompts(views(joined(samples), rng), prompt, side, rng)
    if not shared.dependent:
        return Unit(kind="prompt", keys=keys, swapped=True)
    return Unit(
        kind="prompt",
        keys=keys,
        described=_WHOLE_PROMPTS,
        why="answers of one side to one prompt resemble each other more than those of the other side (error bars over "
        f"answers would be {shared.inflation**0.5:.1f} times too narrow): all of a side's answers to a prompt are one "
        "unit",
    )


def _clumped(samples: list[Sample], seed: int) -> Unit:
    """Clusters of records with the same opening, or the same text, where every side has its own."""
    sizes = [len(sample) for sample in samples]
    side = np.repeat(np.arange(len(samples)), sizes)
    tokens = joined(samples)
    by_opening = [("the same opening", _LIKE_SIZED, _openings(tokens, size)) for size in _OPENINGS]
    by_opening.append(("the same text", _LIKE_COPIED, _codes([sample.folded for sample in samples])))
    for what, like, code in by_opening:
        clusters = [_distinct(code[side == which]) / size for which, size in enumerate(sizes)]
        if max(clusters) > like * min(clusters) or min(map(_distinct, _apart(code, sizes))) < 2:
            continue
        if _on_several(code, side) > _COMMON or _boilerplate(code, side):
            continue
        shared = clumps(code.astype(np.int64), side, _stream(samples, seed, what))
        if not shared.dependent:
            continue
        keys = _apart(code, sizes)
        fewest = min(map(_distinct, keys))
        few = f", too few to tell anything: {_CURE}" if fewest < FEWEST else ""
        return Unit(
            kind="cluster",
            keys=keys,
            described=f"clusters of records with {what}",
            least=FEWEST,
            why=f"many records have {what}, on each side its own: {fewest} clusters are all that {min(sizes)} records "
            f"amount to{few}",
        )
    return Unit(kind="document")


def _ordered(samples: list[Sample], seed: int) -> Unit:
    """Runs of neighbours where neighbours resemble each other on more than half of the sides, on both of two: on one of
    them clearly, on the others likely."""
    neighbours = [neighbours_of(sample, seed) for sample in samples]
    clear = [sample.name for sample, each in zip(samples, neighbours, strict=True) if each.dependent]
    likely = [each for each in neighbours if each.likely]
    if not clear or 2 * len(likely) <= len(neighbours):
        why = None
        if clear:
            why = (
                f"records of {', '.join(clear)} that stand next to each other resemble each other, and the other "
                "side's do not: documents were resampled; where that is how the file was written and no damage, ask "
                "for --unit run"
            )
        return Unit(kind="document", why=why)
    return _same_order(samples, seed) or _runs(samples, likely)


def _same_order(samples: list[Sample], seed: int) -> Unit | None:
    """Documents, swapped among those at the same place of the files, where the sides follow the same order: what is
    left of it when the mean of all sides is taken off then shows none, not even a likely one."""
    least = min(len(sample) for sample in samples)
    count = least // _BIN
    if count < 2:
        return None
    rng = _stream(samples, seed, "order")
    same, start, here = _views(samples, rng), 0, []
    for sample in samples:
        here.append(start + (np.arange(least) * len(sample) + len(sample) // 2) // least)
        start += len(sample)
    for rows in here[1:] if len(here) == 2 else here:
        left = {name: view[rows] - sum(view[other] for other in here) / len(here) for name, view in same.items()}
        if neighbours(left, rng).p_value <= LIKELY:
            return None
    return Unit(
        kind="document",
        keys=tuple(np.arange(len(sample)) * count // len(sample) for sample in samples),
        swapped=True,
        strata="swapped at the same place of their files",
        why="both files follow the same order, and records that stand next to each other resemble each other: "
        "documents were swapped with those at the same place of the other file",
    )


def _runs(samples: list[Sample], neighbours: Sequence[Neighbours], *, forced: bool = False) -> Unit:
    """Runs as long as the side that needs longer ones asks for, but no more than ``_FURTHEST`` times the other's.

    Damage in one stretch of a file looks like dependence of just that length, and must not make runs of its own length.
    """
    sizes = [len(sample) for sample in samples]
    lengths = sorted(each.run for each in neighbours)
    length = max(2, min(lengths[-1], _FURTHEST * lengths[0]))
    keys, start = [], 0
    for size in sizes:
        count = max(size // length, 1)
        keys.append(start + np.arange(size) * count // size)
        start += count
    fewest = min(sizes) // length
    few = f", too few to tell anything: {_CURE}" if fewest < FEWEST else f" ({_CURE})"
    why = "--unit run" if forced else "records that stand next to each other resemble each other"
    return Unit(
        kind="run",
        keys=tuple(keys),
        described=f"runs of {length} neighbouring records",
        least=FEWEST,
        why=f"{why}: {fewest} runs of {length} records are all that {min(sizes):,} records amount to{few}",
    )


def neighbours_of(sample: Sample, seed: int) -> Neighbours:
    """What the order of one file says; computed once a sample."""
    if seed not in sample.order:
        rng = _stream([sample], seed, "neighbours")
        sample.order[seed] = neighbours(_views([sample], rng), rng)
    return sample.order[seed]


def _views(samples: Sequence[Sample], rng: np.random.Generator) -> dict[str, Features]:
    """What records of all samples resemble each other by: their words, or their numbers."""
    numbers = [sample.numeric for sample in samples if sample.numeric is not None]
    if len(numbers) < len(samples) or len({each.shape[1] for each in numbers}) > 1:
        return views(joined(samples), rng)
    columns = np.concatenate(numbers)
    spread = columns.std(axis=0)
    return {"numeric": ((columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).astype(np.float32)}


def in_runs(sample: Sample, seed: int) -> Sample:
    """The sample with runs of neighbours as its groups where they depend on each other, and no key says better."""
    if joint_keys([sample.groups], [len(sample)]) or joint_keys([sample.prompts], [len(sample)]):
        return sample
    order = neighbours_of(sample, seed)
    if not order.dependent or len(sample) < 2 * order.run:
        return sample
    number = np.arange(len(sample)) * (len(sample) // order.run) // len(sample)
    return dataclasses.replace(sample, groups=pa.array(number).cast(pa.string()))


def joined(samples: Sequence[Sample]) -> Tokens:
    """Tokens of all samples, one after the other, in one vocabulary."""
    both = pa.concat_arrays([sample.tokens.vocabulary for sample in samples]).dictionary_encode()
    code = both.indices.to_numpy()
    starts = np.cumsum([0, *(len(sample.tokens.vocabulary) for sample in samples[:-1])])
    ids = [code[start + sample.tokens.ids] for start, sample in zip(starts, samples, strict=True)]
    lengths = np.concatenate([sample.tokens.lengths for sample in samples])
    return Tokens(np.concatenate(ids), np.concatenate(([0], np.cumsum(lengths))), both.dictionary)


def _openings(tokens: Tokens, size: int) -> IntArray:
    """A number a document, equal where the first ``size`` tokens are; one of its own where there are fewer."""
    documents = tokens.lengths.size
    names = np.random.default_rng(_NAMES).integers(0, 2**64, size=max(len(tokens.vocabulary), 1), dtype=np.uint64)
    long = tokens.lengths >= size
    first, hashed = tokens.offsets[:-1][long], np.zeros(np.count_nonzero(long), dtype=np.uint64)
    for step in range(size):
        hashed = hashed * _ODD + names[tokens.ids[first + step]]
    code = np.empty(documents, dtype=np.int64)
    code[long] = recoded(hashed.view(np.int64))
    code[~long] = documents + np.arange(np.count_nonzero(~long))
    return recoded(code).astype(np.int64)


def _on_several(code: IntArray, side: IntArray) -> float:
    """Share of the records whose code stands on more than one side."""
    pairs = np.unique(np.stack((code, side)), axis=1)[0]
    return float(np.isin(code, pairs[1:][pairs[1:] == pairs[:-1]]).mean())


def _boilerplate(code: IntArray, side: IntArray) -> bool:
    """Whether on some side what records share is a few texts before a part of them, as a licence is, and no prompts."""
    for which in range(int(side.max()) + 1):
        records = np.unique(code[side == which], return_counts=True)[1].astype(float)
        shared = records[records > 1]
        few = shared.sum() ** 2 < _FEW_KINDS * (shared**2).sum()
        if few and shared.sum() <= records.sum() / 2:
            return True
    return False


def _distinct(codes: IntArray) -> int:
    """How many different codes there are."""
    return int(np.count_nonzero(np.diff(np.sort(codes)))) + 1


def _codes(columns: Sequence[pa.Array]) -> IntArray:
    joint = pa.concat_arrays(columns).dictionary_encode()
    return np.asarray(joint.indices.to_numpy(), dtype=np.int64)


def _apart(codes: IntArray, sizes: Sequence[int]) -> tuple[IntArray, ...]:
    return tuple(np.split(codes, np.cumsum(sizes)[:-1]))


def _stream(samples: Sequence[Sample], seed: int, purpose: str) -> np.random.Generator:
    """Chance as a function of the user's seed, of what the files hold and of the purpose, in whatever order."""
    key = "|".join([str(seed), *sorted(sample.digest for sample in samples), f"unit: {purpose}"])
    return np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))
