"""Evidence and raw values in words, the same in every format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from collapse_audit.probes.text.tokens import tells_something
from collapse_audit.reports._format import between, count, inert, number, probability
from collapse_audit.reports.document import Finding


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One piece of evidence, ready to show. Facts first, the quoted text last: text that runs from right to left
    would otherwise reorder the numbers beside it."""

    facts: str
    quoted: str | None
    """Inert text from a corpus, without quotation marks; None where nothing is quoted."""


_QUOTES = ("term", "label", "text")
"""Keys whose value is text from a corpus, the first that is there."""


_SELF_EVIDENT = frozenset({"", "term", "label", "text", "texts"})
"""Kinds of evidence that need no naming: what is quoted says it."""


def exhibit(entry: Mapping[str, Any]) -> Exhibit:
    """Word one piece of evidence. Any flat mapping will do: ``kind`` and ``status`` lead, the rest is as in ``raw``."""
    rest = {str(key): value for key, value in entry.items() if value is not None}
    kind = str(rest.pop("kind", ""))
    quoted = next((rest.pop(key) for key in _QUOTES if isinstance(rest.get(key), str)), None)
    parts = [] if kind in _SELF_EVIDENT else [inert(kind)]
    if "status" in rest:
        parts.append(inert(rest.pop("status")))
    return Exhibit(", ".join([*parts, *_facts(rest)]), None if quoted is None else inert(quoted))


def exhibits(evidence: Iterable[Mapping[str, Any]]) -> list[Exhibit]:
    """Word all evidence of a finding. Repeated texts that are not quoted tell nothing one by one, so they are one."""
    entries = sorted(evidence, key=_says_little)
    copies = [entry for entry in entries if _is_unquoted_copy(entry)]
    made = [exhibit(entry) for entry in entries if not _is_unquoted_copy(entry)]
    if copies:
        texts = f"{count(len(copies))} repeated text{'s' if len(copies) > 1 else ''}"
        before, after = (sum(entry[key] for entry in copies) for key in _COPIES)
        made.insert(0, Exhibit(f"{texts}: {count(before)} -> {count(after)} copies", None))
    return made


def _says_little(entry: Mapping[str, Any]) -> bool:
    """Whether what is quoted means nothing to a reader. It comes last."""
    term = entry.get("term")
    return isinstance(term, str) and not tells_something(term)


_COPIES = ("baseline_copies", "generation_copies")


def _is_unquoted_copy(entry: Mapping[str, Any]) -> bool:
    whole = all(type(entry.get(key)) is int for key in _COPIES)
    return whole and entry.get("kind") == "duplicates" and "text" not in entry


def raw(finding: Finding) -> str:
    """The familiar numbers beside a gated one, in a line; lists and tables among them are left to ``report.json``.

    The statistic's own values, which have no name of their own there, take its name.
    """
    flat = {key: value for key, value in finding.raw.items() if not isinstance(value, Mapping | list | tuple)}
    named = {str(key): value for key, value in flat.items() if value is not None}
    return ", ".join(_facts(named, bare=finding.statistic or finding.probe))


def _facts(entry: Mapping[str, Any], *, bare: str = "") -> list[str]:
    """``key value`` for each entry. A pair of baseline and generation becomes a change from one to the other, under the
    name ``bare`` where it has none, and ``key_low`` and ``key_high`` the interval of ``key``."""
    pairs = {key: _other_side(key) for key in entry if _other_side(key) in entry}
    shown = {*pairs.values(), *(f"{key}{end}" for key in entry for end in ("_low", "_high"))}
    facts = []
    for key in entry:
        if key in pairs:
            name = key.removeprefix("baseline").removesuffix("baseline") or bare
            facts.append(_named(name, _change(entry[key], entry[pairs[key]])))
        elif key not in shown:
            facts.append(_named(key, _bounded(key, entry)))
    return facts


def _other_side(key: str) -> str:
    """``baseline_count`` -> ``generation_count``, ``js_baseline`` -> ``js_generation``; "" for any other key."""
    if key.startswith("baseline"):
        return "generation" + key.removeprefix("baseline")
    return key.removesuffix("baseline") + "generation" if key.endswith("_baseline") else ""


def _named(key: str, value: str) -> str:
    name = "p" if key == "p_value" else inert(key).replace("_", " ").strip()
    return f"{name} {value}".strip()


def _bounded(key: str, entry: Mapping[str, Any]) -> str:
    """The value of ``key``, and in parentheses the interval that ``key_low`` and ``key_high`` give it."""
    if key == "p_value" and isinstance(entry[key], float):
        return probability(entry[key])
    low, high = (_anything(entry[end]) if end in entry else "" for end in (f"{key}_low", f"{key}_high"))
    interval = between(low, high)
    return f"{_anything(entry[key])} ({interval})" if interval else _anything(entry[key])


def _change(before: Any, after: Any) -> str:
    sides = [side for side in (before, after) if isinstance(side, float)]
    if len(sides) == 2 and all(map(math.isfinite, sides)):
        return f"{number(before, beside=sides, apart=sides)} -> {number(after, beside=sides, apart=sides)}"
    return f"{_anything(before)} -> {_anything(after)}"


def _anything(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return inert(value)
    return number(value)
