"""What is true of the thyroid grammar, computed from its tables; nothing here is sampled."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from functools import cache
from typing import Any

import pyarrow as pa

from collapse_audit.lineages.simulation.thyroid_cases import Case, all_cases, law_of_cases
from collapse_audit.lineages.simulation.thyroid_grammar import Features, Grammar, thyroid_grammar
from collapse_audit.probes.text.tokens import WORDS

_DIGITS = 12  # sums of floats are not exact beyond
_SYMBOLS = r"[^\w\s]+"
_LEADING, _TRAILING = re.compile(_SYMBOLS), re.compile(rf"{_SYMBOLS}\Z")


@cache
def thyroid_truth() -> Mapping[str, Any]:
    """Probabilities of what is in a report; shares are of reports, or of conclusions, of which each report has one.

    ``labels``: the EU-TIRADS labels that a conclusion names, joined by " + "; ``categories``: of each, the share of
    conclusions that name it; ``unlabelled``: that name none. ``findings``: rare ones, named in the conclusion wherever
    they are drawn, as is a background other than ``none``. ``sizes``: of the first dimension of a nodule, cm.
    ``expected_counts``: of each word in a conclusion (``collapse_audit.probes.text.tokens.WORDS``); they sum to
    ``expected_words``. ``additional_missing`` is no probability: the number of such reports is fixed.
    """
    law, cases = law_of_cases(), list(all_cases())
    counts = expected_counts(thyroid_grammar(), ((case.features, p) for case, p in cases))
    labels = _shares((" + ".join(_names(case)), p) for case, p in cases if case.labelled)
    missing, of = law["additional_missing"]
    return {
        "labels": labels,
        "categories": dict(sorted(_shares((name, p) for case, p in cases for name in _names(case)).items())),
        "unlabelled": round(1 - sum(labels.values()), _DIGITS),
        "nodules": dict(law["nodules"]),
        "category_of_a_nodule": dict(law["category"]),
        "extents": _shares((case.extent, p) for case, p in cases),
        "backgrounds": dict(law["background"]),
        "findings": _shares((case.finding, p) for case, p in cases if case.finding != "none"),
        "described": law["described"],
        "additional_missing": missing / of,
        "sizes": _sizes(),
        "expected_words": round(sum(counts.values()), _DIGITS),
        "expected_counts": counts,
    }


def _names(case: Case) -> list[str]:
    return [f"EU-TIRADS {label}" for label in case.labels] if case.labelled else []


def _shares(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The probability of each value, the largest first; nothing that cannot happen."""
    shares: dict[str, float] = defaultdict(float)
    for value, p in values:
        shares[value] += p
    rounded = {value: round(p, _DIGITS) for value, p in shares.items()}
    return {value: rounded[value] for value in sorted(rounded, key=lambda v: (-rounded[v], v)) if rounded[value] > 0}


def _sizes() -> dict[str, float]:
    sizes = thyroid_grammar().law("size", {}).items()
    return _shares((re.split("[x*]", text)[0].replace(",", "."), p) for text, p in sizes)


def expected_counts(grammar: Grammar, cases: Iterable[tuple[Features, float]]) -> dict[str, float]:
    """The expected number of each word in one conclusion, the most frequent word first.

    Linear in the tables, but for one thing: where ")" and "." meet they are one word. So the words of every part are
    counted by themselves, and then what happens where parts meet is put right.
    """
    parts: dict[tuple[str, ...], float] = defaultdict(float)  # a part, and what it depends on: how often it is written
    chains: dict[tuple[Hashable, ...], float] = defaultdict(float)  # the ends of the parts of a text: how often
    laws: dict[tuple[str, ...], Mapping[str, float]] = {}
    ends: dict[tuple[str, ...], Hashable] = {}
    for features, p_case in cases:
        table = grammar.rules["conclusion"].table(features)
        for alternative, p_alternative in zip(table.alternatives, table.probabilities, strict=True):
            keys = []
            for at, part in enumerate(alternative):
                key = grammar.key(part, features) if at % 2 else ("", part)
                if key not in laws:
                    laws[key] = grammar.law(part, features) if at % 2 else {part: 1.0}
                    ends[key] = _ends(laws[key])
                parts[key] += p_case * p_alternative
                keys.append(ends[key])
            chains[tuple(keys)] += p_case * p_alternative
    counts = _counted(parts, laws)
    for chain, p in chains.items():
        _join(counts, chain, p)
    return _shares(counts.items())


def _counted(
    parts: Mapping[tuple[str, ...], float], laws: Mapping[tuple[str, ...], Mapping[str, float]]
) -> dict[str, float]:
    """The expected words of all parts, each by itself."""
    texts: dict[str, float] = defaultdict(float)
    for key, p in parts.items():
        for text, p_text in laws[key].items():
            texts[text] += p * p_text
    tokens = WORDS(pa.array(list(texts), pa.large_string()))
    words = tokens.vocabulary.to_pylist()
    counts: dict[str, float] = defaultdict(float)
    for at, p in enumerate(texts.values()):
        for word, n in Counter(tokens.ids[tokens.offsets[at] : tokens.offsets[at + 1]].tolist()).items():
            counts[words[word]] += n * p
    return counts


def _ends(law: Mapping[str, float]) -> Hashable:
    """With what symbols the texts of a part begin and end, and whether there is anything between: the law of that."""
    ends: dict[tuple[str, str, bool], float] = defaultdict(float)
    for text, p in law.items():
        leading, trailing = _LEADING.match(text), _TRAILING.search(text)
        first, last = leading.group() if leading else "", trailing.group() if trailing else ""
        ends[first, last, len(first) < len(text)] += p
    return tuple(ends.items())


def _join(counts: dict[str, float], chain: Iterable[Any], p: float) -> None:
    """Put right in ``counts`` the symbols that meet where one part of a text ends and the next begins."""
    state = {"": p}  # the symbols that the text so far ends with
    for ends in chain:
        after: dict[str, float] = defaultdict(float)
        for before, p_before in state.items():
            for (first, last, more), p_ends in ends:
                here = p_before * p_ends
                if before and first:
                    counts[before] -= here
                    counts[first] -= here
                    counts[before + first] += here
                after[last if more else before + first] += here
        state = after
