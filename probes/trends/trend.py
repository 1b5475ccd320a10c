"""One ordered hypothesis over the generations of a seed: what changes along them, how fast, and when a margin falls.

What it measures
    Statistics of generations 1..G, each computed once from its documents, and the slope of each over the generations.

Formula and unit
    slope = sum (k - mean k) theta_k / sum (k - mean k)^2, per generation; theta is the statistic or its natural
    logarithm. Where nothing changes along the generations their documents are exchangeable, so permuting documents (or
    groups, or answers within a prompt) over generations 1..G tests that exactly, one-sided in the direction of damage.
    The 90% interval comes from the influence of every independent unit. The baseline's error cancels out of the slope.

What follows from it
    n_eff: diversity falls as if every generation were a resample of n_eff documents of the one before. Forecast: the
    generations at which the fitted line may cross a gate's margin. Reached: where the line stands at the last
    generation, against the baseline; a gate may be held against it.

When it misleads
    Slope and interval speak of these very models; what another training would do, only seeds tell (:func:`page`). A
    line may bend, and a forecast extrapolates it.

Sources: Fieller 1954, doi 10.1111/j.2517-6161.1954.tb00159.x; Rao 1982, doi 10.1016/0040-5809(82)90004-1 (quadratic
entropy); Page 1963, doi 10.1080/01621459.1963.10500843.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, ndtr

from collapse_audit.probes.pairs.units import UnitSetting
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.estimates import Scale, exponential, permutation_p
from collapse_audit.probes.statistics.readings import NotMeasured, Z
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.trends.followed import HETEROZYGOSITY, Direction, Follow, Followed
from collapse_audit.probes.trends.succession import Succession

FEWEST = 3
"""Generations without which there is no trend, and seeds without which there is no claim about a recipe."""
_ALPHA = 0.05
_DECIMALS = 6
"""Slopes that agree to so many are ties: some counts are summed in single precision."""
_UNKNOWN = {
    False: "a generation has too few independent texts to know its own level",
    True: "no text makes a difference to it in any generation, so nothing says how well it is known",
}
"""Why a slope has no error: whether every generation has texts enough."""
_MISFIT = 0.01
"""p-value of a straight line up to which a trend is called none."""
_ENUMERATED = 12
"""Generations up to which Page's L has its exact distribution; beyond, the normal one is as good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One statistic along the generations of one seed."""

    statistic: str
    unit: str
    """Of the values."""
    scale: Scale
    """``log``: the slope is that of the value's natural logarithm."""
    worse: Direction
    slope: float
    """Per generation, on the scale."""
    low: float
    """Ends of the slope's 90% interval; infinite where a generation has too few independent units."""
    high: float
    p_value: float
    """Exact p-value of "nothing changes along the generations"; two-sided where either direction is damage."""
    generations: tuple[int, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]
    """Standard errors of the values, in their unit."""
    baseline: float | None
    """The baseline's value."""
    permuted: str
    """What was permuted: documents, groups or prompts."""
    n: int
    """Documents of a generation (of the smallest) that take part."""
    n_effective: tuple[float, float, float] | None = None
    """Value and 90% interval; of heterozygosity, where its fall is established."""
    forecast: tuple[float, float | None] | None = None
    """90% interval of the generation that crosses the margin; None as its end: beyond the horizon."""
    forecast_reason: str = ""
    """Why there is no forecast, or no end to it."""
    reached: tuple[float, float, float] | None = None
    """Where the line stands at the last generation against the baseline, and its 90% interval: a ratio where the slope
    is that of a logarithm, else a difference. Where the values lie on no line, their misfit widens the interval."""
    unreached: str = ""
    """Why nothing says where it stands."""
    notes: tuple[str, ...] = ()
    """``not-a-line``: the values do not lie on one; ``unseen-types-left-out``: the tail is that of the baseline."""

    @property
    def established(self) -> bool:
        """Whether damage along the generations is: the exact test rejects at .05, and the interval excludes 0."""
        down, up = self.high < 0, self.low > 0
        return self.p_value <= _ALPHA and {"lower": down, "higher": up, "either": down or up}[self.worse]

    def as_dict(self) -> dict[str, Any]:
        """Text, lists and finite numbers; None where there is none."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        low, high = plain.pop("low"), plain.pop("high")
        forecast = plain.pop("forecast") or (None,) * 2
        plain |= {"slope_low": low, "slope_high": high, "established": self.established}
        for name in ("n_effective", "reached"):
            plain |= dict(zip((name, f"{name}_low", f"{name}_high"), plain.pop(name) or (None,) * 3, strict=True))
        del plain["unreached"]
        plain |= dict(zip(("forecast_low", "forecast_high"), forecast, strict=True))
        plain["forecast_reason"] = self.forecast_reason or None
        return {name: _plain(value) for name, value in plain.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def trends(
    samples: Sequence[Sample],
    generations: Sequence[int],
    *,
    definer: Sample,
    permutations: int,
    seed: int,
    margins: Mapping[str, float],
    follow: Iterable[Follow],
    labels: LabelRule | None = None,
    trained_on_definer: bool = False,
    unit: UnitSetting = "auto",
) -> tuple[Trend | NotMeasured, ...]:
    """What ``follow`` follows over ``samples``, one a generation; ``generations`` rise, and 0 is not among them.

    ``definer`` is the baseline's sample: it says what is rare, and where the margins start. ``margins`` are those in
    force, by the statistic that is followed. ``trained_on_definer``: the generations descend from a model trained on
    its texts.
    """
    if len(samples) != len(generations) or any(a >= b for a, b in pairwise(generations)):
        raise ValueError(f"{len(samples)} samples need as many generations, rising; got {list(generations)}")
    if len(samples) < FEWEST:
        found = f"there are {len(samples)}"
        return (NotMeasured(reason=f"a trend needs at least {FEWEST} generations after the baseline, and {found}"),)
    line = Succession(
        baseline=definer,
        generations=tuple(samples),
        permutations=permutations,
        seed=seed,
        label_rule=labels,
        trained_on_baseline=trained_on_definer,
        unit=unit,
    )
    return tuple(
        each if isinstance(each, NotMeasured) else _trend(each, line, tuple(generations), margins.get(each.statistic))
        for statistics in follow
        for each in statistics(line)
    )


def _trend(each: Followed, line: Succession, generations: tuple[int, ...], margin: float | None) -> Trend:
    weights = _weights(generations)
    slopes = np.round(each.replicates @ weights, _DECIMALS)
    covariance = line.layout.covariance(each.influence)
    np.fill_diagonal(covariance, np.maximum(np.diag(covariance), each.least_error**2))
    enough = line.layout.units >= line.layout.least
    slope, error = float(each.values[1:] @ weights), math.inf
    if enough[1:].all():
        # Without any spread (all alike) nothing is known of it: no interval either.
        error = math.sqrt(max(float(weights @ covariance[1:, 1:] @ weights), 0.0)) or math.inf
    values = np.exp(each.values) if each.scale == "log" else each.values
    errors = np.where(enough, np.sqrt(np.diag(covariance)), np.inf) * (values if each.scale == "log" else 1.0)
    off, freedom = _off_line(each.values[1:], covariance[1:, 1:], generations) if math.isfinite(error) else (0.0, 1)
    bent = float(chdtrc(freedom, off)) <= _MISFIT
    trend = Trend(
        statistic=each.statistic,
        unit=each.unit,
        scale=each.scale,
        worse=each.worse,
        slope=slope,
        low=slope - Z * error,
        high=slope + Z * error,
        p_value=permutation_p(np.abs(slopes), worse="higher")
        if each.worse == "either"
        else permutation_p(slopes, worse=each.worse),
        generations=generations,
        values=tuple(_digits(value) for value in values[1:]),
        errors=tuple(_digits(value) for value in errors[1:]),
        baseline=None if each.no_baseline else _digits(values[0]),
        permuted=line.layout.described,
        n=int(line.layout.documents[1:].min()),
        notes=(*each.notes, *(("not-a-line",) if bent else ())),
    )
    if each.statistic == HETEROZYGOSITY and trend.established:
        drift = float(line.layout.scatter(each.influence)[1:].mean()) * _steps(generations)
        trend = dataclasses.replace(trend, n_effective=n_effective(slope, error, drift))
    why = each.no_baseline or ("" if enough[0] else "the baseline has too few texts to know its own level")
    lost = why or ("" if math.isfinite(error) else _UNKNOWN[bool(enough[1:].all())])
    stretch = math.sqrt(off / freedom) if bent else 1.0
    height = None if lost else _reached(each, covariance, generations, stretch)
    trend = dataclasses.replace(trend, reached=height, unreached=lost)
    why = why if trend.established else "no damage along the generations is established"
    if margin is None or why:
        return dataclasses.replace(trend, forecast_reason=why if margin is not None else "no gate has a margin for it")
    return _forecast(trend, each.values, covariance, math.log(margin) if each.scale == "log" else margin)


def _digits(value: float) -> float:
    """Without the noise of exp(log(x))."""
    return float(f"{value:.12g}")


def _weights(generations: Sequence[int]) -> FloatArray:
    """What every generation's value counts in the slope of least squares; shape (G,)."""
    centred = np.array(generations, dtype=np.float64) - np.mean(generations)
    return np.asarray(centred / (centred**2).sum())


def _steps(generations: Sequence[int]) -> float:
    """Variance of the slope of a random walk whose steps, one a generation, have variance 1."""
    later = np.cumsum(_weights(generations)[::-1])[::-1]  # a step counts in all generations after it
    return float(np.diff(generations) @ later[1:] ** 2)


def _off_line(values: FloatArray, covariance: FloatArray, generations: Sequence[int]) -> tuple[float, int]:
    """Chi-square of what no straight line through the values explains, and its G - 2 degrees of freedom."""
    straight = np.stack((np.ones(len(generations)), np.array(generations, dtype=np.float64)), axis=1)
    rest = np.linalg.qr(straight, mode="complete")[0][:, 2:]
    off = values @ rest
    return float(off @ np.linalg.pinv(rest.T @ covariance @ rest) @ off), off.size


def n_effective(slope: float, error: float, drift: float) -> tuple[float, float, float]:
    """Texts whose resampling would bring ``slope`` < 0 of ln heterozygosity: 1/(1 - e^slope), and its 90% interval.

    E(1 - sum q^2) falls by 1 - 1/n a generation of the Wright-Fisher process, and so does any mean distance of two
    texts (Rao 1982), here in expectation over lineages. One lineage drifts about that: what n texts more or less do to
    a sample, a resample of n does to the model, and it stays. So the interval holds every n for which the slope lies
    within 1.645 sqrt(error^2 + drift/n) of ln(1 - 1/n). ``error``: the slope's standard error, with
    ``slope + 1.645 error < 0``. ``drift``: its variance over lineages, times n.
    """

    def beyond(share: float) -> float:
        return (slope - math.log1p(-share)) ** 2 - Z**2 * (error**2 + drift * share)

    share, most = -math.expm1(slope), 1 - 1e-12
    return 1 / share, 1 / _border(beyond, share, most), 1 / _border(beyond, share, 0.0)


def _border(beyond: Callable[[float], float], inside: float, outside: float) -> float:
    """Where ``beyond`` turns from negative, at ``inside``, to positive, by bisection."""
    for _ in range(100):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if beyond(middle) > 0 else (middle, outside)
    return outside


def _level_and_slope(generations: Sequence[int]) -> FloatArray:
    """What the baseline and every generation count in the line's height above the baseline at the mean generation, and
    in its slope; shape (2, C)."""
    g = len(generations)
    return np.stack((np.append(-1.0, np.full(g, 1 / g)), np.append(0.0, _weights(generations))))


def _reached(
    each: Followed, covariance: FloatArray, generations: Sequence[int], stretch: float
) -> tuple[float, float, float]:
    """The line's height above the baseline at the last generation, and its interval, ``stretch`` times as wide."""
    contrast = np.array([1.0, generations[-1] - np.mean(generations)]) @ _level_and_slope(generations)
    reach = Z * stretch * math.sqrt(max(float(contrast @ covariance @ contrast), 0.0))
    height = float(contrast @ each.values)
    back: Callable[[float], float] = exponential if each.scale == "log" else float
    return back(height), back(height - reach), back(height + reach)


def _forecast(trend: Trend, values: FloatArray, covariance: FloatArray, margin: float) -> Trend:
    """When the line through the generations lies ``margin`` from the baseline."""
    contrasts = _level_and_slope(trend.generations)
    apart = float(contrasts[0] @ values) - margin
    ends = crossing(apart, trend.slope, contrasts @ covariance @ contrasts.T) + np.mean(trend.generations)
    horizon, first = 2 * trend.generations[-1], trend.generations[0]
    if ends[0] > horizon:
        return dataclasses.replace(trend, forecast_reason=f"no crossing within the horizon (generation {horizon})")
    if ends[1] < first:
        why = f"the line lies beyond the margin from generation {first} on"
        return dataclasses.replace(trend, forecast_reason=why)
    late = bool(ends[1] > horizon)
    return dataclasses.replace(
        trend,
        forecast=(max(float(ends[0]), 0.0), None if late else float(ends[1])),
        forecast_reason=f"its end lies beyond the horizon (generation {horizon})" if late else "",
    )


def crossing(apart: float, slope: float, covariance: FloatArray) -> FloatArray:
    """90% interval of u where a line ``apart + slope u`` is 0, by Fieller's theorem; shape (2,).

    ``covariance``: of (apart, slope), shape (2, 2). It holds every u at which the line's own 90% interval holds 0,
    and is bounded where the slope's interval excludes 0, which is required.
    """
    a = slope**2 - Z**2 * covariance[1, 1]
    b = apart * slope - Z**2 * covariance[0, 1]
    c = apart**2 - Z**2 * covariance[0, 0]
    if a <= 0:
        raise ValueError("the slope's interval holds 0, so no bounded interval of the crossing exists")
    root = math.sqrt(max(b * b - a * c, 0.0))
    return np.array([(-b - root) / a, (-b + root) / a])


def page(values: npt.ArrayLike, *, worse: Direction) -> tuple[float, float]:
    """Page's L over S seeds (blocks) and G generations, and its exact one-sided p-value; S and G at least 3.

    ``values`` has shape (S, G). Ranks within a seed rise with damage, so that L = sum_j j (sum of ranks of generation
    j) is large where damage grows; ties share their mean rank. The null distribution is that of all orders within each
    seed (normal beyond 12 generations). Two-sided, with L of rising values, for ``worse="either"``.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < FEWEST or not np.isfinite(table).all():
        raise ValueError(f"needs finite values of at least {FEWEST} seeds and {FEWEST} generations, got {table.shape}")
    rising = -table if worse == "lower" else table
    # Twice the rank, and so a whole number where ties share their mean rank: those below, those not above, and one.
    one, other = rising[:, :, None], rising[:, None, :]
    ranks = 1 + (one > other).sum(axis=2) + (one >= other).sum(axis=2)
    statistic = int((ranks @ np.arange(1, table.shape[1] + 1)).sum())
    above, below = _tails(ranks, statistic)
    return statistic / 2, min(1.0, 2 * min(above, below)) if worse == "either" else above


def _tails(ranks: npt.NDArray[np.int64], statistic: int) -> tuple[float, float]:
    """P(L >= statistic) and P(L <= statistic), L of all orders of every row."""
    g = ranks.shape[1]
    if g > _ENUMERATED:
        place = np.arange(1, g + 1)
        spread = math.sqrt(((place - place.mean()) ** 2).sum() * (ranks.var(axis=1) * g / (g - 1)).sum())
        z = (statistic - place.mean() * ranks.sum()) / spread if spread else 0.0
        return float(ndtr(-z)), float(ndtr(z))
    total = np.ones(1)
    for row, times in Counter(tuple(sorted(row)) for row in ranks.tolist()).items():
        orders = _orders(row)
        for _ in range(times):
            total = np.convolve(total, orders)
    return float(min(total[statistic:].sum(), 1.0)), float(min(total[: statistic + 1].sum(), 1.0))


def _orders(ranks: tuple[int, ...]) -> FloatArray:
    """Probability of every value of sum_j j r_j when the ranks r stand in random order: subset by subset, not order by
    order, so 12 generations take 4,096 steps and not 479 million."""
    size = 1 + sum(place * rank for place, rank in enumerate(ranks, start=1))
    ways = {0: np.eye(1, size)[0]}
    for place in range(1, len(ranks) + 1):
        longer: dict[int, FloatArray] = {}
        for taken, counts in ways.items():
            for which, rank in enumerate(ranks):
                if not taken >> which & 1:
                    into = longer.setdefault(taken | 1 << which, np.zeros(size))
                    into[place * rank :] += counts[: size - place * rank]
        ways = longer
    (counts,) = ways.values()
    return np.asarray(counts / math.factorial(len(ranks)))
