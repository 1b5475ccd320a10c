"""The generations of a seed together: their trends, and what these say where they gate (``gate_trend``).

Every gate with a ``trend`` then has a finding more, on the last generation: where the straight line through all
generations stands there, against the baseline, held against the gate's own margin. Its p-value is that of the slope,
exact where nothing changes along the generations. The trends of a seed are a family of their own, Holm's at alpha:
where nothing changes along them, at most a share alpha of audits has a trend that fails, whatever the margins are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence

from collapse_audit.probes.registry import follows_of
from collapse_audit.probes.statistics.estimates import needed
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading, Z
from collapse_audit.probes.trends.succession import MOST
from collapse_audit.probes.trends.trend import FEWEST, Trend, trends
from collapse_audit.probes.types import Probe
from collapse_audit.run.judge import Measured
from collapse_audit.run.plan import Comparison, fits
from collapse_audit.run.seed_audit import SeedAudit
from collapse_audit.settings.config import AuditConfig
from collapse_audit.verdicts.sentences import clause, per_generation
from collapse_audit.verdicts.sequential import permutations_for

Found = Sequence[Trend | NotMeasured]
"""The trends of a seed, and why others were not measured; where that is the reason of all, a single one."""


def followed_gates(probes: Iterable[Probe]) -> list[tuple[Probe, Gate]]:
    """The gates whose statistic is followed along the generations, each with its probe."""
    return [(probe, gate) for probe in probes for gate in probe.gates if gate.trend]


def along(of_seed: SeedAudit, measured: Sequence[Measured], probes: Sequence[Probe]) -> tuple[Found, list[Measured]]:
    """The trends of a seed, and where they gate, the readings that are to be judged as a family of their own.

    ``measured``: all of the seed's findings, which say what margins are in force in its last generation.
    """
    start = time.perf_counter()
    config = of_seed.config
    gating = [comparison for comparison in of_seed.comparisons if comparison.gating]
    last = [m for m in measured if gating and m.comparison.name == gating[-1].name]
    gates = {(m.probe.name, m.gate.statistic): m.gate for m in last}
    asked = followed_gates(gating[-1].probes) if gating and config.gate_trend else []
    in_force = {
        gate.trend: gates.get((probe.name, gate.statistic), config.gate(probe, gate))
        for probe, gate in followed_gates(probes)
    }
    probes = [probe for probe in probes if fits(probe, _numbers(of_seed, gating))]
    permutations = _permutations(config, tests=len(asked), generations=len(gating))
    found = _trends(of_seed, gating, probes, {name: gate.margin for name, gate in in_force.items()}, permutations)
    seconds = (time.perf_counter() - start) / max(len(asked), 1)
    return found, [
        Measured(
            comparison=gating[-1],
            probe=probe,
            gate=_worded(in_force[gate.trend], trend),
            reading=reading(trend),
            seconds=seconds,
            units=last[0].units if last else None,
            permutations=permutations,
        )
        for probe, gate in asked
        for trend in [_of(found, gate.trend)]
    ]


def _numbers(of_seed: SeedAudit, gating: Sequence[Comparison]) -> bool:
    """Whether the records that are compared hold numbers."""
    samples = (of_seed.texts.samples.get(comparison.current.corpus) for comparison in gating)
    return any(sample is not None and sample.numeric is not None for sample in samples)


def _permutations(config: AuditConfig, *, tests: int, generations: int) -> int:
    least = max(config.permutations, 20 * tests)
    return permutations_for(tests, config.alpha, least=least, blocks=(generations + 1) * MOST)


def _trends(
    of_seed: SeedAudit,
    gating: Sequence[Comparison],
    probes: Iterable[Probe],
    margins: Mapping[str, float],
    permutations: int,
) -> Found:
    """The trends of the generations that gate; what says why there are none where they have no baseline in common."""
    if len({comparison.baseline.corpus for comparison in gating}) > 1:
        return (NotMeasured(reason="the generations are not all compared with one baseline"),)
    if len(gating) < FEWEST:
        found = f"there {'is 1' if len(gating) == 1 else f'are {len(gating)}'}"
        return (NotMeasured(reason=f"a trend needs at least {FEWEST} generations after the baseline, and {found}"),)
    return trends(
        [of_seed.texts.samples[comparison.current.corpus] for comparison in gating],
        [comparison.generation for comparison in gating],
        definer=of_seed.texts.samples[gating[0].baseline.corpus],
        permutations=permutations,
        seed=of_seed.config.seed,
        margins=margins,
        follow=follows_of(probes),
        labels=of_seed.texts.rule,
        unit=of_seed.config.unit,
        trained_on_definer=any(comparison.trained_on_baseline for comparison in gating),
    )


def _of(found: Found, statistic: str) -> Trend | NotMeasured:
    """The trend of ``statistic``, or why there is none."""
    own = [each for each in found if each.statistic in (statistic, "")]
    return own[0] if own else NotMeasured(reason="its probe follows nothing of that name")


def _worded(gate: Gate, trend: Trend | NotMeasured) -> Gate:
    if isinstance(trend, NotMeasured):
        return gate.of_trend()
    first, last = trend.generations[0], trend.generations[-1]
    speed = per_generation(gate, math.expm1(trend.slope) if trend.scale == "log" else trend.slope)
    return gate.of_trend(f"by the trend over generations {first} to {last} ({speed} a generation), {clause(gate)}")


def reading(trend: Trend | NotMeasured) -> Reading:
    """What a trend says to its gate: where its line stands at the last generation, and the p-value of its slope."""
    if isinstance(trend, NotMeasured):
        return NotMeasured(reason=trend.reason)
    if trend.reached is None:
        return NotMeasured(reason=trend.unreached)
    value, low, high = trend.reached
    reach = math.log(high / low) if trend.scale == "log" else high - low
    slopes: dict[str, float | None] = {"slope": trend.slope, "slope_low": trend.low, "slope_high": trend.high}
    if trend.forecast is not None:
        slopes |= {"forecast_low": trend.forecast[0], "forecast_high": trend.forecast[1]}
    return Estimate(
        value=value,
        low=low,
        high=high,
        method=f"line of least squares over {len(trend.generations)} generations, normal; {trend.permuted}",
        p_value=trend.p_value,
        n_baseline=trend.n,
        n_generation=trend.n,
        n_needed=needed(value, reach / (2 * Z), scale=trend.scale, n=trend.n),
        raw=slopes,
        notes=trend.notes,
    )
