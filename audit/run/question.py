"""Built-in probes asked of a pair, here or by a worker elsewhere: what travels there, and what comes back.

Probes travel by name, since a worker has the same ones; a probe of the user's own is asked where the user's files are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from collapse_audit.probes.packs.packed_pair import PackedPair
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.registry import BUILTIN, NUMERIC
from collapse_audit.probes.statistics.readings import NotMeasured, Reading
from collapse_audit.probes.types import Probe
from collapse_audit.run.measure import measured_by

_KNOWN = {probe.name: probe for probe in (*BUILTIN, *NUMERIC)}


class Answer(NamedTuple):
    """What a probe says of a pair: a reading for each of its gates, or what went wrong, and the time that it took."""

    readings: tuple[Reading | str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Built-in probes to ask of a pair."""

    of: str
    """What is compared, for who waits."""
    pair: Pair
    probes: Mapping[str, NotMeasured | None]
    """By name, each with what input of it is not there."""


def may_travel(probe: Probe) -> bool:
    """Whether a worker elsewhere has this very probe."""
    return _KNOWN.get(probe.name) is probe


def answered(question: Question, tell: Callable[[str], None]) -> dict[str, Answer]:
    """The answers, by probe. ``tell`` hears of each probe before it is asked."""
    answers = {}
    for name, missing in question.probes.items():
        tell(f"{question.of}: {name}")
        answers[name] = asked(_KNOWN[name], question.pair, missing)
    return answers


def asked(probe: Probe, pair: Pair, missing: NotMeasured | None) -> Answer:
    """One probe asked of a pair; ``missing``: why there is nothing to ask."""
    start = time.perf_counter()
    readings = measured_by(probe.beside_pack() if isinstance(pair, PackedPair) else probe, pair, missing)
    return Answer(readings, time.perf_counter() - start)
