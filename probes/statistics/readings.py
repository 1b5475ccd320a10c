"""What a probe hands back for each of its gates: an estimate, or the word that there was nothing to measure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from collapse_audit.errors import ProbeError

Worse = Literal["higher", "lower"]
Part = Literal["tail", "bulk", "task"]
Mechanism = Literal["sharpening", "drift"]
Kind = Literal["loss", "move"]
"""What lies beyond a margin: damage (less tail, fewer types, more loops), or only another distribution. A richer or a
better text moves too, so a move is told and never collapse."""
Picture = Literal["divergence", "unique", "perplexity"]
"""The pictures of the report that draw raw numbers."""

LEVEL = 0.90
"""Level of every two-sided interval; each of its ends is a one-sided 95% bound."""
Z = 1.6448536269514722
"""The .95 quantile of the standard normal distribution."""
RULE_OF_THREE = 2.995732273553991
"""-log .05: what was never seen among n may still be this many of them, with 95% (Hanley & Lippman-Hand 1983, doi
10.1001/jama.1983.03330370053031)."""
Z_POWER = 1.2815515655446004
"""The .90 quantile: 90% power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPanel:
    """A familiar number of a statistic's ``raw``, as a picture of the report draws it over the generations."""

    picture: Picture
    title: str
    unit: str
    generation: str
    """The key in ``raw`` of the generation's value."""
    baseline: str | None = None
    """The key of the baseline's; None where it is 0 by definition."""
    exp: bool = False
    """Whether exp of the value is drawn, and not from 0."""


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
    part: Part | None = None
    """What its failure says was lost: something rare, or the bulk of the text, which have a stage, or a task,
    which has none; None: damage without a stage."""
    late: float | None = None
    """Where the interval's end that is kinder to the model lies beyond this, the bulk is gone; None: wherever a gate of
    the bulk fails."""
    mechanism: Mechanism | None = None
    """What its failure points to: the tail's probability is gone (sharpening), or types alone are (drift)."""
    worst_of_many: bool = False
    """Whether its value is that of the category that stands worst: another one in each seed, so seeds have no mean."""
    depends_on_n: bool = False
    """Whether it means something else at another number of documents, so that seeds need equally many."""
    checks_run: bool = False
    """Whether it says that a generation is a run of its own at all, and nothing of a recipe."""
    kind: Kind = "loss"
    """``move`` where the statistic only says that two distributions differ: beyond its margin it is ``changed``."""
    trend: str = ""
    """What its probe follows along the generations that is held against this margin: ``tail-mass``; empty: nothing."""
    embeddings: bool = False
    """Whether it takes sentence embeddings, and its probe's other statistics do not: without these there is no test."""
    along: bool = False
    """Whether it judges the generations of a seed together, by their trend: its p-value says that damage grows along
    them, and the estimate where that has led by the last (:mod:`collapse_audit.verdicts.rule`)."""

    held: str = ""
    """Of a ratio: what a reader calls what is still there where it passes and something else moved (``distinct
    types``); empty: nothing that would reassure anybody."""
    panels: tuple[RawPanel, ...] = ()
    """Which of its raw numbers are drawn."""
    plain: str = ""
    """What it measures, for a person without statistics: ``distinct words``; empty: the statistic's name."""
    says: str = ""
    """A clause with what was found: ``{generation} uses {value} of the distinct words of {baseline}``. ``{value}`` has
    its unit, a ratio as a percentage; ``{rise}`` is ``rose by 3.1 points``, ``fell by …`` or ``did not change``,
    and ``{drop}`` the same where the value counts downwards. Empty: a clause of this kind about ``plain``."""

    def __post_init__(self) -> None:
        """Refuse a direction, a margin or a clause that no verdict could use."""
        try:
            self.says.format(generation="", baseline="", value="", rise="", drop="")
        except (LookupError, ValueError):
            raise ProbeError(
                f"gate {self.statistic}: says = {self.says!r}; in braces may stand: generation, baseline, value, rise, "
                "drop"
            ) from None
        if self.worse not in ("higher", "lower"):
            raise ProbeError(f'gate {self.statistic}: worse must be "higher" or "lower", got {self.worse!r}')
        if self.kind not in ("loss", "move"):
            raise ProbeError(f'gate {self.statistic}: kind must be "loss" or "move", got {self.kind!r}')
        if not math.isfinite(self.margin):
            raise ProbeError(f"gate {self.statistic}: margin must be a finite number, got {self.margin!r}")

    def of_trend(self, says: str = "") -> Gate:
        """The gate of the trend of what this one judges, its margin the same; ``says`` are the words for a finding."""
        return dataclasses.replace(
            self,
            statistic=f"{self.statistic}-trend",
            plain=f"the trend of {self.plain or self.statistic}",
            says=says,
            trend="",
            along=True,
            pass_margin=None,
            mechanism=None,
            late=None,
            held="",
            panels=(),
        )

    @property
    def may_be_automatic(self) -> bool:
        """Whether a text can settle its margin; the two limits of what stands worst of many are what its words mean."""
        return self.pass_margin is None or not self.worst_of_many


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
    kind: Kind | None = None
    """Where the measured decides what the gate's statistic is (a move with the signature of loss); None: the gate's."""
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
