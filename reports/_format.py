"""How numbers and untrusted text look in every format. Rounding happens here and nowhere else."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collapse_audit.reports.document import AuditReport, Cell, Finding, Outcome, about, enough
from collapse_audit.reports.plain import called, place

WORDS = {
    Outcome.PASS: "pass",
    Outcome.FAIL: "FAIL",
    Outcome.CHANGED: "changed",
    Outcome.INCONCLUSIVE: "inconclusive",
    Outcome.NOT_MEASURED: "not measured",
    Outcome.ERROR: "ERROR",
}
_SLACK = 25
"""Characters by which text may be too long before it is cut: the mark of the cut is as long."""
_CARRIER = "\u25cc"
"""A dotted circle: by convention it carries a mark that would otherwise settle on whatever stands before it."""
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that are obeyed rather than seen: control, format (bidirectional, joiners, tags), halves of
surrogate pairs, line and paragraph separators."""


# ---------------------------------------------------------------------------------------------------- untrusted text


def inert(text: object, *, limit: int = 200) -> str:
    """``text`` on one line, every character that would be obeyed rather than seen replaced by a visible escape.

    Covers terminal escapes, newlines, bidirectional controls and what XML forbids. A backslash stays as it is: this is
    for reading, ``report.json`` keeps the exact text. More than ``limit`` characters are cut, and the cut is marked.
    """
    whole = str(text)
    kept = whole if len(whole) <= limit + _SLACK else whole[:limit]
    shown = kept if kept.isprintable() else "".join(map(_visible, kept))
    if unicodedata.category(shown[:1] or " ").startswith("M"):
        shown = _CARRIER + shown
    return shown if len(kept) == len(whole) else f"{shown}... [+{len(whole) - len(kept):,} characters]"


def _visible(character: str) -> str:
    code = ord(character)
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    if not noncharacter and unicodedata.category(character) not in _HIDDEN:
        return character
    if character in _ESCAPES:
        return _ESCAPES[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# ----------------------------------------------------------------------------------------------------------- numbers


def number(value: float, *, beside: Iterable[float] = (), apart: Iterable[float] = (), least: int = 0) -> str:
    """``value`` with as many decimals as the largest of it and ``beside`` needs for three significant digits or so, and
    at least ``least``.

    More where it would otherwise look equal to one of ``apart`` and is not: 0.01 and 0.0100004 never both read
    "0.0100". (Both sides must be told to keep apart: one of them may round onto the other.) An int is a count and stays
    exact; whole numbers among themselves need no decimals.
    """
    if isinstance(value, int):
        return count(value)
    group = (value, *beside)
    largest = max(map(abs, group))
    if largest < 1e6 and all(each == round(each) for each in group):
        return count(round(value))
    if largest != 0 and not 1e-5 <= largest < 1e6:
        return _rounded(value, apart, first=max(2, least), kind="e")
    return _rounded(value, apart, first=max(_decimals(largest), least), kind="f")


def _decimals(largest: float) -> int:
    """.0231 -> 4, .8 -> 3, 1.02 -> 3, 12.3 -> 2, 1234 -> 0."""
    magnitude = math.floor(math.log10(largest)) if largest else 0
    return 2 - magnitude if magnitude < -1 else max(0, 3 - max(magnitude, 0))


def _rounded(value: float, apart: Iterable[float], *, first: int, kind: str) -> str:
    others = [other for other in apart if other != value]
    for decimals in range(first, 18):
        shown = f"{value:.{decimals}{kind}}"
        if all(float(shown) != float(f"{other:.{decimals}{kind}}") for other in others):
            return shown.removeprefix("-") if float(shown) == 0 else shown
    return repr(value)


def count(n: int) -> str:
    """12345 -> "12,345"."""
    return f"{n:,}"


def percent(share: float) -> str:
    """.9 -> "90%", .975 -> "97.5%"."""
    return f"{share * 100:.6g}%"


_ALMOST_ONE = 0.9999


def at_floor(finding: Finding) -> bool:
    """Whether no relabelling came near what was seen: its p-value is the least that its permutations can show.

    One that is less still was no permutation's (label coverage counts exactly), and has no floor.
    """
    p, drawn = finding.p_value, finding.permutations
    return p is not None and drawn is not None and abs(p * (drawn + 1) - 1) < 1e-9


def floor_of(finding: Finding) -> str:
    """The p-value of a finding :func:`at_floor`, rounded up to a digit: ``< .0008``."""
    p = finding.p_value or 0.0
    decimals = -math.floor(math.log10(p))
    return "< " + f"{math.ceil(p * 10**decimals - 1e-9) / 10**decimals:.{decimals}f}".removeprefix("0")


def probability(p: float, *, alpha: float | None = None) -> str:
    """A p-value as statisticians write it, sign included: "= .003", "< .0001", "= 1"; never rounded onto ``alpha``."""
    if p >= 1:
        return "= 1"
    if p < 1e-4:
        return "< .0001"
    if p > _ALMOST_ONE:
        return "> .9999"
    for decimals in range(3 if p >= 1e-3 else 4, 18):
        shown = round(p, decimals)
        if shown < 1 and (alpha is None or p == alpha or shown != round(alpha, decimals)):
            return "= " + f"{shown:.{decimals}f}".removeprefix("0")
    return f"= {p!r}"


@dataclass(frozen=True, slots=True)
class Shown:
    """The numbers of one finding, rounded for reading; a number that is absent is an empty string."""

    value: str
    interval: str
    """``0.0190 to 0.0272``, ``at least 0.0190``, ``at most 0.0272`` or ``unbounded``."""
    margin: str
    p: str
    p_adjusted: str
    n: str
    """``2,000 / 1,800``: baseline, then generation."""
    n_needed: str
    """To two significant digits."""
    detectable: str

    @property
    def would_settle(self) -> str:
        """``about 1,300 a side``."""
        return f"{about(self.n_needed)} a side" if self.n_needed else ""


_FINER = 2
"""Decimals by which a column may follow its finest row; a row that needs more of them, because it all but touches its
margin, has them alone."""


def shown_together(findings: Sequence[Finding], *, alpha: float | None = None) -> list[Shown]:
    """The numbers of ``findings``, those of one statistic to the same number of decimals."""
    alone = [shown(finding, alpha=alpha) for finding in findings]
    needs = [_places(numbers) for numbers in alone]
    groups: dict[tuple[str, str], list[int]] = {}
    for finding, need in zip(findings, needs, strict=True):
        groups.setdefault((finding.probe, finding.statistic), []).append(need)
    common = {
        key: max(need for need in group if need <= min(filter(None, group), default=0) + _FINER)
        for key, group in groups.items()
    }
    return [
        shown(finding, alpha=alpha, least=max(need, common[finding.probe, finding.statistic])) if need else numbers
        for finding, numbers, need in zip(findings, alone, needs, strict=True)
    ]


def _places(numbers: Shown) -> int:
    """The most decimals that one of ``numbers`` has."""
    numbers_shown = f"{numbers.value} {numbers.interval} {numbers.margin} {numbers.detectable}".split()
    return max((len(each.partition("e")[0].partition(".")[2]) for each in numbers_shown), default=0)


def shown(finding: Finding, *, alpha: float | None = None, least: int = 0) -> Shown:
    """Round the numbers of ``finding``, all in its unit to the same number of decimals, and to at least ``least``."""
    interval, margin = finding.interval, finding.margin
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    values = (finding.value, low, high, finding.minimum_detectable)
    around = [float(each) for each in values if each is not None]
    limit = [] if margin is None else [float(margin)]

    def in_unit(value: float | None) -> str:
        # What equals the margin looks like it, however many decimals the margin came to need.
        wanted = around if value == margin else limit
        return "" if value is None else number(float(value), beside=around + limit, apart=wanted, least=least)

    def chance(p: float | None) -> str:
        return "" if p is None else probability(p, alpha=alpha).removeprefix("= ")

    sides = (finding.n_baseline, finding.n_generation)
    return Shown(
        value=in_unit(finding.value),
        interval="" if interval is None else between(in_unit(low), in_unit(high)) or "unbounded",
        margin=in_unit(margin),
        p=floor_of(finding) if at_floor(finding) else chance(finding.p_value),
        p_adjusted=chance(finding.p_adjusted),
        n="" if sides == (None, None) else " / ".join("?" if n is None else count(n) for n in sides),
        n_needed="" if finding.n_needed is None else enough(finding.n_needed),
        detectable=in_unit(finding.minimum_detectable),
    )


def between(low: str, high: str) -> str:
    if low and high:
        return f"{low} to {high}"
    return f"at least {low}" if low else f"at most {high}" if high else ""


# ----------------------------------------------------------------------------------------------------------- phrases


def sentence(finding: Finding, *, alpha: float | None = None) -> str:
    """All numbers of ``finding`` in one line of plain text, its unit beside them; "" where nothing was measured."""
    numbers, interval = shown(finding, alpha=alpha), finding.interval
    if not numbers.value:
        return ""
    value = f"{numbers.value} {inert(finding.unit)}".rstrip()
    if interval is not None and numbers.interval:
        value += f" ({percent(interval.level)} interval {numbers.interval})"
    parts = [value]
    if numbers.margin:
        parts.append(f"margin {numbers.margin}, {finding.worse} is worse")
    chances = [("p", finding.p_value), ("Holm p", finding.p_adjusted)]
    if at_floor(finding):
        parts.append(f"p {floor_of(finding)}, the least that {count(finding.permutations or 0)} permutations can show")
        chances = chances[1:]
    if finding.p_value is not None:
        chances_shown = [f"{name} {probability(p, alpha=alpha)}" for name, p in chances if p is not None]
        parts += [", ".join(chances_shown)] if chances_shown else []
    if numbers.n:
        parts.append(f"n {numbers.n}")
    if numbers.detectable:
        parts.append(f"detectable from {numbers.detectable}")
    if numbers.n_needed:
        parts.append(f"{numbers.would_settle} would settle it")
    return "; ".join(parts)


def title(finding: Finding) -> str:
    """``repetition / looping``, inert."""
    return inert(called(finding))


def where(about: Finding | Cell) -> str:
    """``generation 2 (seed 1)``, or ``the data``, inert."""
    return inert(place(about))


def over(findings: Sequence[Finding]) -> str:
    """``generations 1-3, 5``, or ``the data``, inert."""
    return inert(findings[0].judged) if findings[0].judged else generations(finding.generation for finding in findings)


def degenerate(report: AuditReport, *, most: int = 3) -> list[str]:
    """What a reader should know of the baselines before anything else, a sentence each."""
    sentences = [inert(row["sentence"], limit=400) for row in report.baselines if row.get("sentence")]
    rest = len(sentences) - most
    return sentences if rest <= 0 else [*sentences[:most], f"and {rest} more baselines are degenerate"]


def generations(numbers: Iterable[int]) -> str:
    """{1, 2, 3, 5} -> "generations 1-3, 5"; {4} -> "generation 4"."""
    ordered = sorted(set(numbers))
    runs: list[list[int]] = []
    for each in ordered:
        if runs and runs[-1][-1] == each - 1:
            runs[-1].append(each)
        else:
            runs.append([each])
    listed = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"generation{'s' if len(ordered) > 1 else ''} {listed}"


def alpha(report: AuditReport) -> float | None:
    """The false-alarm rate that the audit was run at, where its configuration says so."""
    value = report.config.get("alpha")
    return value if isinstance(value, float) else None


def named_margins(report: AuditReport) -> dict[str, dict[str, str]]:
    """``probe/statistic`` -> its margin, unit, reason and origin, inert, where the configuration lists them."""
    listed = report.config.get("margins")
    if not isinstance(listed, Mapping):
        return {}
    return {inert(name): settings(about) for name, about in listed.items() if isinstance(about, Mapping)}


def other_settings(report: AuditReport) -> dict[str, str]:
    """Every setting in force but the margins, which :func:`named_margins` lists with their reasons."""
    named = {"margins"} if named_margins(report) else set()
    return settings({key: value for key, value in report.config.items() if key not in named})


def settings(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A configuration flattened to ``section.key`` -> one inert line; what is None is left out."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        name = f"{prefix}{inert(key)}"
        if isinstance(value, Mapping):
            flat |= settings(value, f"{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
            flat |= settings({str(number): each for number, each in enumerate(value, start=1)}, f"{name}.")
        elif isinstance(value, list | tuple):
            flat[name] = ", ".join(map(_setting, value)) or "none"
        elif value is not None:
            flat[name] = _setting(value)
    return flat


def _setting(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else inert(value)
