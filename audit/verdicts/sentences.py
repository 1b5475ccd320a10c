"""What a finding says to a person without statistics: one sentence, made of what its gate brings and of its outcome."""

from __future__ import annotations

import math
import re

from collapse_audit.probes.statistics.design import Units
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured
from collapse_audit.reports._format import count, number, percent
from collapse_audit.reports.document import Outcome, about, enough
from collapse_audit.verdicts.rule import Judgement

_TOO_MANY = 20
"""An n this many times what is there is not collected: then the sentence says what else helps."""
_INSIDE = (
    "but the same prompts stand inside the texts of both sides, and what the model wrote cannot be told from them: "
    "give the prompt in a field (--prompt FIELD)"
)
_HELD_OUT = "hold texts out on both sides, or pass --independent if no corpus was trained on another"
_INDEPENDENT = "records that are independent of each other would tell more, or give --group FIELD"
_ELSE = "a wider margin (collapse-audit calibrate proposes one) or another probe can tell"


def sentence(
    gate: Gate,
    reading: Estimate,
    judgement: Judgement,
    *,
    judged: str,
    baseline: str,
    units: Units | None = None,
    records: str = "texts",
) -> str:
    """What an estimate says: its value against its margin, and where nobody can tell, what would help.

    ``judged``: ``generation 4``, or ``the data``. ``units``: what is independent, where that is not ``records``.
    """
    statement = _statement(gate, reading.value, judged, baseline)
    match judgement.outcome:
        case Outcome.FAIL if gate.along:
            return f"{statement}{_bound(gate, reading)}, and it goes on; {_limit(gate)}"
        case Outcome.FAIL:
            return f"{statement}; {_limit(gate)}"
        case Outcome.CHANGED:
            return f"{statement}; {_limit(gate)}, and a move alone is no loss"
        case Outcome.INCONCLUSIVE:
            return _open(gate, reading, judgement, statement, units, records)
        case _:
            return f"{statement}{_bound(gate, reading)}; {_limit(gate)}"


def sentence_without(gate: Gate, reading: NotMeasured | str) -> str:
    """What a statistic without a value says: an error, or why there was nothing to measure."""
    name = gate.plain or gate.statistic
    if isinstance(reading, str):
        return f"{name}: could not be measured ({reading})"
    return f"{name}: {'not measured' if reading.neutral else 'nobody can tell'}, because {reading.reason}"


def clause(gate: Gate) -> str:
    """What ``gate`` says of a value, or where it says nothing, a clause about its plain name; with its own braces."""
    plain = (gate.plain or gate.statistic).replace("{", "{{").replace("}", "}}")
    of_ratio = f"{plain} of {{generation}} is {{value}} of that of {{baseline}}"
    return gate.says or (of_ratio if gate.unit == "ratio" else f"{plain} {{rise}} in {{generation}}")


def per_generation(gate: Gate, change: float) -> str:
    """``-1.9%`` of a ratio, ``+0.8 points`` of a share: what changes from a generation to the next."""
    shown = f"{100 * abs(change):.1f}%" if gate.unit == "ratio" else _shown(gate, abs(change), change=True)
    return f"{'-' if change < 0 and float(re.split('[ %]', shown)[0]) else '+'}{shown}"


def _statement(gate: Gate, value: float, judged: str, baseline: str) -> str:
    return clause(gate).format(
        generation=judged,
        baseline=_named(baseline),
        value=_shown(gate, value),
        rise=_change(gate, value),
        drop=_change(gate, -value),
    )


def _named(baseline: str) -> str:
    """``generation 0 (held-out)`` is generation 0 to a reader, and ``reference`` the reference."""
    name = re.sub(r" \((held-out|texts)\)$", "", baseline)
    return "the reference" if name == "reference" else name


def _change(gate: Gate, value: float) -> str:
    shown = _shown(gate, abs(value), change=True)
    if re.search("[1-9]", shown.partition(" ")[0]) is None:  # "by 0.0 points" says less than words do
        return "hardly changed" if value else "did not change"
    return f"{'rose' if value > 0 else 'fell'} by {shown}"


def _shown(gate: Gate, value: float, *, change: bool = False) -> str:
    """With its unit: a ratio or share as a percentage, a change of a share in points; never rounded onto the margin."""
    if gate.unit == "ratio":
        return _percent(value, gate.margin)
    if gate.unit.startswith(("share", "probability")) and not change:
        return _percent(value, gate.margin)
    if gate.unit.startswith(("share", "points", "probability")):
        return _percent(value, abs(gate.margin)).removesuffix("%") + " points"
    return f"{number(value, beside=[gate.margin], apart=[gate.margin])} {gate.unit}".rstrip()


def _percent(value: float, margin: float) -> str:
    """As few decimals as keep it apart from the margin: .38 -> "38%", .8996 against .9 -> "89.96%"."""
    if value in (margin, 0):
        return percent(value)
    for decimals in range(1 if abs(value) < 0.1 else 0, 15):
        shown = round(100 * value, decimals)
        if shown != round(100 * margin, decimals):
            return f"{shown:.{decimals}f}".removeprefix("-" if shown == 0 else "") + "%"
    return percent(value)


def _limit(gate: Gate) -> str:
    worst = _shown(gate, gate.margin)
    if gate.worse == "lower" and (gate.unit == "ratio" or ("{value}" in gate.says and gate.margin > 0)):
        return f"{worst} is the least allowed"
    if "{value}" in gate.says or gate.unit == "ratio":
        return f"{worst} is the most allowed"
    falls = "{drop}" in gate.says or gate.margin < 0
    if gate.margin == 0:
        return f"no {'fall' if falls else 'rise'} is allowed"
    return f"a {'fall' if falls else 'rise'} of {_shown(gate, abs(gate.margin), change=True)} is the most allowed"


def _bound(gate: Gate, reading: Estimate) -> str:
    """How far from the truth it may be on the side of damage, in parentheses."""
    bound = reading.high if gate.worse == "higher" else reading.low
    if not math.isfinite(bound) or reading.p_value is None:
        return ""
    change = gate.unit != "ratio" and "{value}" not in gate.says
    return f" ({'at most' if gate.worse == 'higher' else 'at least'} {_shown(gate, bound, change=change)})"


def _wanted(gate: Gate) -> str:
    """The change that could not be told: ``a loss of 10% in distinct words``."""
    name = gate.plain or gate.statistic
    if gate.margin == (gate.unit == "ratio"):  # nothing is allowed
        kind = ("loss" if gate.worse == "lower" else "rise") if gate.unit == "ratio" else "change"
        return f"any {kind} in {name}"
    if gate.unit == "ratio":
        lost = 1 - gate.margin if gate.worse == "lower" else gate.margin - 1
        return f"a {'loss' if gate.worse == 'lower' else 'rise'} of {percent(lost)} in {name}"
    return f"a change of {_shown(gate, abs(gate.margin), change=True)} in {name}"


def _open(
    gate: Gate, reading: Estimate, judgement: Judgement, statement: str, units: Units | None, records: str
) -> str:
    if "prompts-inside" in reading.notes:
        return f"{statement}; {_INSIDE}"
    if not {"too-short", "range", "unknown"}.isdisjoint(reading.notes):
        return f"{statement}; {reading.explanation}"
    one_sided = "one-sided" in reading.notes or not reading.can_fail
    n = min(reading.n_baseline, reading.n_generation)
    several = records if units is None else f"{records} ({count(units.count)} {units.name})"
    open_sentence = f"{statement}; {count(n)} {several} a side cannot tell {_wanted(gate)} from chance"
    cure = _HELD_OUT if one_sided else _INDEPENDENT if units is not None and units.inferred else _ELSE
    needed = judgement.n_needed
    if needed is None:
        return f"{open_sentence}, and more alone may not; {cure}"
    many = about(enough(needed))
    if needed > _TOO_MANY * n:
        return f"{open_sentence}, and it would take {many}; {cure}"
    return f"{open_sentence}; {many} would{f', or {cure}' if one_sided else ''}"
