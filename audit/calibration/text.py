"""What a calibration found, for a terminal: is there a false alarm, what is found, and which margins n supports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from collapse_audit.calibration.bench import NULL
from collapse_audit.calibration.report import SHOWN, Calibration, Tallies
from collapse_audit.calibration.settled import WHOLE, Key, Rate, rounded
from collapse_audit.calibration.trials import NULLS
from collapse_audit.lineages.files.problems import printable
from collapse_audit.reports._terminal import NARROWEST, drawn
from collapse_audit.reports.document import Outcome

_GAP = 2
_FEW = 0.1
"""A bound above this share of false alarms says little: more trials are asked for."""


def render(calibration: Calibration, *, width: int, verbose: bool = False) -> str:
    """A page of at most ``width`` columns; ``verbose``: the rates of every finding, too."""
    width = max(width, NARROWEST)
    parts = [*_answer(calibration), *_found(calibration), *_margins(calibration)]
    if verbose:
        parts += _rates(calibration)
    return drawn(parts, Text(_last(calibration, verbose=verbose)), width=width, color=False)


# ------------------------------------------------------------------------------------------------------------- answer


def _answer(calibration: Calibration) -> Iterator[RenderableType]:
    yield Text(
        f"{printable(calibration.lineage)}: {calibration.documents:,} documents of {printable(calibration.baseline)}, "
        f"split at random into {calibration.n:,} a side; seed {calibration.seed}"
    )
    if calibration.one_sided:
        yield Text("Judged one-sided, as the audit does: generations descend from these very texts.")
    yield Text("")
    alarms, passed = (_rate(calibration.in_force, NULL, WHOLE, which) for which in (Outcome.FAIL, Outcome.PASS))
    if alarms is None or passed is None:
        yield Text("False alarms: not tried, the baseline could not be split.")
        return
    most = alarms.interval[1]
    yield Text(
        f"False alarms: of {alarms.trials:,} pairs of healthy halves the gate failed {alarms.count:,}, so with 95% "
        f"confidence it fails at most {_share(most)} of such pairs. It passed {passed.count:,}."
    )
    if most > _FEW:
        yield Text("So few pairs tell little: --minutes and --trials give more.")
    elif _time_was_up(calibration):
        yield Text("Time was up before all trials: --minutes gives more.")


def _time_was_up(calibration: Calibration) -> bool:
    planned = {name: calibration.planned * (NULLS if name == NULL else 1) for name in calibration.scenarios}
    return any(len(calibration.of(name)) < count for name, count in planned.items())


def _last(calibration: Calibration, *, verbose: bool) -> str:
    with_margins = f"{len(calibration.proposed)} of {len(calibration.findings)} findings"
    more = "" if verbose else "; -v shows the rates of every finding"
    return f"{calibration.audited:,} documents support margins of their own for {with_margins}{more}"


# ------------------------------------------------------------------------------------------------- what is found of it


def _found(calibration: Calibration) -> Iterator[RenderableType]:
    """A row a damage: how often the gate fails it, and which findings do in half of the trials."""
    damages = [name for name in calibration.shown if name != NULL]
    if not damages:
        return
    yield Text("")
    yield Text("Damage that was planted, and how often the gate fails")
    rows = []
    for name in damages:
        in_force, settled = (
            _cell(rates, name, WHOLE, Outcome.FAIL) for rates in (calibration.in_force, calibration.at_settled)
        )
        rows.append([name, in_force, settled, ", ".join(_finders(calibration, name)) or "-"])
    yield _table(["", "margins in force", f"those for {calibration.n:,}", "in force, found by"], rows)
    yield Padding(
        Text(
            "a of b [c-d%]: a of b trials failed, and with 95% confidence the rate is c to d percent (exact); few "
            "trials leave it wide."
        ),
        (0, 0, 0, _GAP),
    )
    for name in damages:
        yield Padding(Text(f"{name}: {calibration.scenarios[name]}"), (0, 0, 0, _GAP))


def _finders(calibration: Calibration, scenario: str) -> list[str]:
    """The findings that fail in at least half of the trials of a damage."""
    rates = {key: _rate(calibration.in_force, scenario, key, Outcome.FAIL) for key in calibration.findings}
    return [key[1] for key, rate in rates.items() if rate is not None and 2 * rate.count >= rate.trials]


# ------------------------------------------------------------------------------------------------------------- margins


def _margins(calibration: Calibration) -> Iterator[RenderableType]:
    yield Text("")
    yield Text(
        f"Margins that {calibration.audited:,} documents support: the smallest within which "
        f"{1 - calibration.false_alarms:.0%} of healthy pairs pass all findings, and the change that 90% find"
    )
    rows = []
    for key in calibration.findings:
        gate, setting = calibration.gates[key], calibration.proposed.get(key)
        supported = ["-", "-"] if setting is None else [rounded(setting.margin, gate), setting.found_from]
        rows.append([_called(key), *(_in_unit(value, gate.unit) for value in (gate.margin, *supported))])
    yield _table(["", "in force", "supported", "found from"], rows)


def _in_unit(value: float | str, unit: str) -> str:
    """``5%`` of a share, ``0.9`` of a ratio, ``0.01 nats``."""
    if isinstance(value, str) or not math.isfinite(value):
        return "-"
    if unit.startswith("share"):
        return f"{100 * value:.3g}%"
    short = "sd" if unit == "standard deviations" else unit.split()[0]
    return f"{value:.3g}" if unit == "ratio" else f"{value:.3g} {short}"


# --------------------------------------------------------------------------------------------------------------- rates


def _rates(calibration: Calibration) -> Iterator[RenderableType]:
    """Fail rates of every finding at the margins in force, then the whole gate's three outcomes at both."""
    for name in calibration.shown:
        yield Text("")
        yield Text(f"{name} ({calibration.scenarios[name]}): fail at the margins in force")
        rows = [
            [_called(key), _cell(calibration.in_force, name, key, Outcome.FAIL)]
            for key in calibration.findings
            if (name, key) in calibration.in_force
        ]
        for outcome in SHOWN:
            both = [_cell(rates, name, WHOLE, outcome) for rates in (calibration.in_force, calibration.at_settled)]
            rows.append([f"whole gate: {outcome.value}", f"{both[0]}; at those for {calibration.n:,}: {both[1]}"])
        yield _table(["", ""], rows)


def _rate(rates: Tallies, scenario: str, key: Key, outcome: Outcome) -> Rate | None:
    tally = rates.get((scenario, key))
    return None if tally is None else tally.rate(outcome)


def _cell(rates: Tallies, scenario: str, key: Key, outcome: Outcome) -> str:
    rate = _rate(rates, scenario, key, outcome)
    if rate is None:
        return "-"
    low, high = rate.interval
    return f"{rate.count} of {rate.trials} [{100 * low:.0f}-{100 * high:.0f}%]"


def _share(value: float) -> str:
    return f"{value:.1%}" if value < _FEW else f"{value:.0%}"


def _called(key: Key) -> str:
    return key[0] if key[0] == key[1] else f"{key[0]} / {key[1]}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=any(head))
    for name in head:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
