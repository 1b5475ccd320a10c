"""What a probe is, and what it hands back. Numbers only: judging them is the audit's business."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from collapse_audit.probes.errors import ProbeError

if TYPE_CHECKING:
    from collapse_audit.probes.pair import Pair

Worse = Literal["higher", "lower"]
Need = Literal["text", "labels", "nll", "files", "tasks", "contexts"]

LEVEL = 0.90
"""Level of every two-sided interval; each of its ends is a one-sided 95% bound."""
Z = 1.6448536269514722
"""The .95 quantile of the standard normal distribution."""
Z_POWER = 1.2815515655446004
"""The .90 quantile: 90% power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gated statistic of a probe: its unit, which way damage lies, and how much of it matters."""

    statistic: str
    unit: str
    worse: Worse
    margin: float
    """The size of change that matters, in ``unit``: fail lies beyond it, pass on the near side."""
    pass_margin: float | None = None
    """Where pass starts, if that is not where fail ends (label coverage: depleted against lost)."""
    because: str
    """Why this margin; echoed in every report."""

    def __post_init__(self) -> None:
        """Refuse a direction or a margin that no verdict could use."""
        if self.worse not in ("higher", "lower"):
            raise ProbeError(f'gate {self.statistic}: worse must be "higher" or "lower", got {self.worse!r}')
        if not math.isfinite(self.margin):
            raise ProbeError(f"gate {self.statistic}: margin must be a finite number, got {self.margin!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One statistic, estimated: value, interval and exact p-value of "no change"."""

    statistic: str = ""
    """Which gate it belongs to; may stay empty for a probe with a single gate."""
    value: float
    low: float
    """One-sided 95% lower bound, in the gate's unit; ``-inf`` where there is none."""
    high: float
    """One-sided 95% upper bound; ``inf`` where there is none."""
    method: str
    """How the interval was made."""
    p_value: float | None
    """Exact p-value of "no change" in the direction of damage; None for a plain fact that no chance could bring."""
    n_baseline: int
    n_generation: int
    minimum_detectable: float | None = None
    """Smallest change from "none" that this n finds significant with 90% power, in the gate's unit."""
    n_needed: Callable[[float], float] | None = None
    """Documents a side that would settle this estimate against a given margin (inf: none would)."""
    can_fail: bool = True
    """False where the comparison is one-sided and damage cannot be told from a shared training sample."""
    raw: Mapping[str, Any] = field(default_factory=dict)
    """Familiar numbers beside the gated one; not comparable across n, vocabulary or smoothing."""
    evidence: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    explanation: str = ""
    """What a reader should know besides the numbers; one sentence."""

    def __post_init__(self) -> None:
        """Refuse what no report may carry: a value that is not a number, or bounds the wrong way round."""
        if not math.isfinite(self.value):
            raise ProbeError(f"value must be finite, got {self.value!r}; return NotMeasured(reason=…) instead")
        if math.isnan(self.low) or math.isnan(self.high) or not self.low <= self.high:
            raise ProbeError(f"interval must satisfy low <= high, got [{self.low!r}, {self.high!r}]")
        if self.p_value is not None and not 0.0 < self.p_value <= 1.0:
            raise ProbeError(f"p_value must lie in (0, 1], got {self.p_value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMeasured:
    """A statistic whose input is not there. Never a zero, never a pass."""

    reason: str
    statistic: str = ""
    neutral: bool = True
    """False where one side has the input and the other has not, or the baseline is degenerate: nothing was said, so
    nothing passes, and the finding is inconclusive."""


Reading = Estimate | NotMeasured
Measure = Callable[["Pair"], "Reading | Iterable[Reading]"]


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
        return tuple(by_name[gate.statistic] for gate in self.gates)


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
    needs: Iterable[Need] = ("text",),
    code: str | None = None,
    source: str = "",
    since: str = "",
) -> Callable[[Measure], Probe]:
    """Turn a function of a :class:`~collapse_audit.probes.pair.Pair` into a :class:`Probe`.

    Give either ``gates`` (several statistics) or ``unit``, ``worse`` and ``margin`` (a single one, named like the
    probe). The function's docstring becomes the probe's page. Example::

        @probe(name="shouting", unit="share of letters", worse="higher", margin=0.05)
        def shouting(pair):
            \"\"\"Do texts shout? Share of letters that are capitals, mean over documents.\"\"\"
            return pair.mean_rise(lambda text: sum(c.isupper() for c in text) / max(len(text), 1))
    """
    gates = tuple(gates)
    if not gates:
        if unit is None or worse is None or margin is None:
            raise ProbeError(f"probe {name!r} needs gates=…, or all of unit=, worse= and margin=")
        gates = (Gate(statistic=name, unit=unit, worse=worse, margin=margin, because=because),)

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
        )

    return register
