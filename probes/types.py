"""What a probe is: everything about one measured symptom that is not the measuring itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from collapse_audit.errors import ProbeError
from collapse_audit.probes.packs.answers import Asked
from collapse_audit.probes.packs.packed_pair import PackedPair
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.pairs.training_data import TrainingData
from collapse_audit.probes.prompts.compared import Compare
from collapse_audit.probes.prompts.compared import mean_of_texts as compared_mean
from collapse_audit.probes.statistics.readings import Estimate, Gate, Kind, NotMeasured, Reading, Worse
from collapse_audit.probes.trends.followed import Follow
from collapse_audit.probes.trends.followed import mean_of_texts as followed_mean

Need = Literal[
    "text",
    "labels",
    "nll",
    "files",
    "tasks",
    "contexts",
    "prompts",
    "embeddings",
    "scores",
    "reference",
    "evaluation",
    "labelled",
    "numeric",
]
Measure = Callable[[Pair], Reading | Iterable[Reading]]
OfData = Callable[[TrainingData], Reading | Iterable[Reading]]
Packed = Callable[[Asked, PackedPair], Reading | Iterable[Reading]]
_NO_TEXTS = "it reads the baseline's texts, and the baseline is a reference pack, which holds none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One measured symptom: everything about it that is not the measuring itself."""

    name: str
    code: str
    """Permanent; never reused for another probe."""
    needs: frozenset[Need]
    gates: tuple[Gate, ...]
    source: str
    since: str
    doc: str
    measure: Measure
    compared: Compare | None = None
    """What of it is compared between two lineages that answered the same prompts; None: nothing."""
    followed: Follow | None = None
    """What of it is followed along the generations of a lineage; None: nothing."""
    exempt: Mapping[str, str] = field(default_factory=dict)
    """Laws of ``tests/laws`` that it cannot satisfy, and why of each."""
    packed: Packed | None = None
    """What it answers where the baseline is a reference pack; None: it needs the baseline's texts."""

    def beside_pack(self) -> Probe:
        """The probe as it is beside a pack; it must then be given a :class:`PackedPair`."""
        return dataclasses.replace(self, measure=self._beside_pack)

    def _beside_pack(self, pair: Pair) -> Iterable[Reading]:
        if self.packed is None or not isinstance(pair, PackedPair):
            return self._nothing(NotMeasured(reason=_NO_TEXTS))
        if pair.too_short is not None:
            return self._nothing(pair.too_short)
        answer = self.packed(self, pair)
        return [answer] if isinstance(answer, Estimate | NotMeasured) else answer

    def _nothing(self, why: NotMeasured) -> Iterable[Reading]:
        return [dataclasses.replace(why, statistic=gate.statistic) for gate in self.gates]

    def __call__(self, pair: Pair) -> tuple[Reading, ...]:
        """Measure ``pair``; one reading a gate, in the order of the gates."""
        result = self.measure(pair)
        readings = (result,) if isinstance(result, Estimate | NotMeasured) else _readings(self.name, result)
        by_name = {reading.statistic or self.gates[0].statistic: reading for reading in readings}
        if len(by_name) != len(readings) or set(by_name) != {gate.statistic for gate in self.gates}:
            raise ProbeError(
                f"probe {self.name} returned readings for {sorted(by_name)}; "
                f"it must return exactly one for each of {[gate.statistic for gate in self.gates]}"
            )
        note = pair.inseparable if self._reads_texts(pair) else None
        return tuple(_at_best_inconclusive(by_name[gate.statistic], gate, note) for gate in self.gates)

    def _reads_texts(self, pair: Pair) -> bool:
        labelled = "labels" in self.needs and pair.label_rule is not None and pair.label_rule.extract is not None
        return labelled or not self.needs.isdisjoint({"text", "files", "nll"})


def _at_best_inconclusive(reading: Reading, gate: Gate, note: str | None) -> Reading:
    """Without the bound that a pass needs, where what is measured is not what the model wrote; a fail stands."""
    if note is None or isinstance(reading, NotMeasured):
        return reading
    bound: dict[str, Any] = {"high": math.inf} if gate.worse == "higher" else {"low": -math.inf}
    return dataclasses.replace(
        reading,
        **bound,
        minimum_detectable=None,
        n_needed=lambda _margin: math.inf,
        notes=(*reading.notes, "prompts-inside"),
        explanation="; ".join(filter(None, (reading.explanation, note))),
    )


def leading_gate(probe: Probe) -> Gate | None:
    """The gate that a probe's name alone means: its only one, or its only move, of which the others say how much is
    loss; None where it has several of one kind."""
    gates = [gate for gate in probe.gates if gate.kind == "move"] or probe.gates
    return gates[0] if len(gates) == 1 else None


def _readings(name: str, result: object) -> tuple[Reading, ...]:
    if isinstance(result, Iterable) and not isinstance(result, str):
        readings = tuple(result)
        if all(isinstance(reading, Estimate | NotMeasured) for reading in readings):
            return readings
    raise ProbeError(
        f"probe {name} returned {result!r}; it must return an Estimate (pair.mean_rise(…) makes one), NotMeasured(…), "
        "or several of them, one for each gate"
    )


def probe(
    *,
    name: str,
    gates: Iterable[Gate] = (),
    unit: str | None = None,
    worse: Worse | None = None,
    margin: float | None = None,
    because: str = "set by the probe's author",
    kind: Kind = "loss",
    plain: str = "",
    says: str = "",
    needs: Iterable[Need] = ("text",),
    code: str | None = None,
    source: str = "",
    since: str = "",
    compared: Compare | None = None,
    followed: Follow | None = None,
    exempt: Mapping[str, str] | None = None,
    packed: Packed | None = None,
) -> Callable[[Measure], Probe]:
    """Turn a function of a :class:`~collapse_audit.probes.pairs.pair.Pair` into a :class:`Probe`.

    Give either ``gates`` (several statistics) or ``unit``, ``worse`` and ``margin`` (a single one, named like the
    probe). ``kind="move"`` says that the statistic only tells two distributions apart: beyond its margin it is
    ``changed``, never ``fail``. ``plain`` and ``says`` are the words that reports use for it (:class:`Gate`). The
    function's docstring becomes the probe's page. Example::

        @probe(name="shouting", unit="share of letters", worse="higher", margin=0.05)
        def shouting(pair):
            \"\"\"Do texts shout? Share of letters that are capitals, mean over documents.\"\"\"
            return pair.mean_rise(lambda text: sum(c.isupper() for c in text) / max(len(text), 1))
    """
    gates = tuple(gates)
    if not gates:
        if unit is None or worse is None or margin is None:
            raise ProbeError(f"probe {name!r} needs gates=…, or all of unit=, worse= and margin=")
        gates = (
            Gate(
                statistic=name,
                unit=unit,
                worse=worse,
                margin=margin,
                because=because,
                kind=kind,
                plain=plain,
                says=says,
            ),
        )

    def register(measure: Measure) -> Probe:
        return Probe(
            name=name,
            code=code or f"X-{name}",
            needs=frozenset(needs),
            gates=gates,
            source=source,
            since=since,
            doc=(measure.__doc__ or "").strip(),
            measure=measure,
            compared=compared,
            followed=followed,
            exempt=exempt or {},
            packed=packed,
        )

    return register


def data_probe(
    *,
    name: str,
    code: str,
    gates: Iterable[Gate],
    needs: Iterable[Need],
    source: str,
    since: str,
) -> Callable[[OfData], Probe]:
    """Turn a function of :class:`~collapse_audit.probes.pairs.training_data.TrainingData` into a :class:`Probe` of what
    ``collapse-audit --data`` judges: data before anything is trained on them. Raises ProbeError beside any other pair.
    """

    def register(measure: OfData) -> Probe:
        def of_data(pair: Pair) -> Reading | Iterable[Reading]:
            if not isinstance(pair, TrainingData):
                raise ProbeError(f"probe {name} looks at training data: collapse-audit --data FILE")
            return measure(pair)

        of_data.__doc__ = measure.__doc__
        made = probe(name=name, code=code, gates=gates, needs=needs, source=source, since=since)
        return made(of_data)

    return register


def text_probe(
    *,
    name: str,
    unit: str,
    worse: Worse,
    margin: float,
    because: str = "set by the probe's author",
    code: str | None = None,
    source: str = "",
    since: str = "",
    exempt: Mapping[str, str] | None = None,
) -> Callable[[Callable[[str], float]], Probe]:
    """Turn a function of one text into a :class:`Probe` of its mean over documents.

    The probe tests the rise of the mean, follows it along generations and compares it between lineages. Example::

        @text_probe(name="mean-word-length", unit="letters", worse="lower", margin=-0.25)
        def mean_word_length(text):
            \"\"\"Do words get shorter?\"\"\"
            words = text.split()
            return sum(map(len, words)) / max(len(words), 1)
    """
    gate = Gate(statistic=name, unit=unit, worse=worse, margin=margin, because=because, trend=name)

    def register(score: Callable[[str], float]) -> Probe:
        def measure(pair: Pair) -> Reading:
            return pair.mean_rise(score, worse=worse)

        measure.__doc__ = score.__doc__
        return probe(
            name=name,
            gates=(gate,),
            code=code,
            source=source,
            since=since,
            exempt=exempt,
            compared=compared_mean(score, gate),
            followed=followed_mean(score, gate),
        )(measure)

    return register
