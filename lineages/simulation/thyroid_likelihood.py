"""With what probability the grammar writes a given conclusion: so that what a model writes can be weighed exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from math import prod

from collapse_audit.lineages.simulation.thyroid_cases import all_cases
from collapse_audit.lineages.simulation.thyroid_grammar import Features, Grammar, thyroid_grammar

_Part = Mapping[str, Mapping[str, float]]
"""Each text that a part of a conclusion can be: to the value of the feature that the part depends on ("" for none), to
the probability of the text given that value."""
_Weights = Mapping[str, Mapping[str, float]]
"""Of a feature, each value that is still possible, and how probable it makes the text so far."""


class ConclusionLaw:
    """The distribution of whole conclusions over all cases. It is never written out: there are many millions."""

    def __init__(self, grammar: Grammar, cases: Iterable[tuple[Features, float]]) -> None:
        """``cases``: features with their probabilities. Raises ValueError if a part depends on several features."""
        self._grammar = grammar
        self._cases: dict[tuple[str, ...], float] = defaultdict(float)
        self._names: tuple[str, ...] = ()
        for features, p in cases:
            self._names = self._names or tuple(features)
            self._cases[tuple(features[name] for name in self._names)] += p
        self._values = {name: sorted({case[at] for case in self._cases}) for at, name in enumerate(self._names)}
        self._parts: dict[str, tuple[str, _Part]] = {}
        self._lengths: dict[str, list[int]] = {}

    def probability(self, text: str) -> float:
        """The probability of exactly this conclusion; 0 if the grammar cannot write it."""
        rule = self._grammar.rules["conclusion"]
        by = rule.by or ""
        total = 0.0
        for value in self._values.get(by, [""]):
            table = rule.table({by: value})
            start = {"": {"": 1.0}, by: {value or "": 1.0}}
            for alternative, p in zip(table.alternatives, table.probabilities, strict=True):
                total += p * sum(self._weigh(weights) for weights in self._parses(alternative, text, start))
        return total

    def _parses(self, alternative: Sequence[str], text: str, weights: _Weights) -> Iterator[_Weights]:
        """Every way to cut the text into the parts: ``weights`` times the probability of each part."""
        if not text.startswith(alternative[0]):
            return
        text = text.removeprefix(alternative[0])
        if len(alternative) == 1:
            if not text:
                yield weights
            return
        feature, part = self._part(alternative[1])
        before = weights.get(feature)
        for length in self._lengths[alternative[1]]:
            given = part.get(text[:length], {}) if length <= len(text) else {}
            now = {value: p * (before or {}).get(value, 0.0 if before else 1.0) for value, p in given.items()}
            if now:
                yield from self._parses(alternative[2:], text[length:], {**weights, feature: now})

    def _part(self, name: str) -> tuple[str, _Part]:
        if name not in self._parts:
            feature, *others = sorted(self._grammar.depends_on(name)) or [""]
            if others:
                raise ValueError(f"{name} depends on several features: {feature}, {', '.join(others)}")
            part: dict[str, dict[str, float]] = defaultdict(dict)
            for value in self._values.get(feature, [""]):
                if self._can_write(name, feature, value):
                    for text, p in self._grammar.law(name, {feature: value}).items():
                        part[text][value] = p
            self._parts[name] = (feature, dict(part))
            self._lengths[name] = sorted({len(text) for text in part})
        return self._parts[name]

    def _can_write(self, name: str, feature: str, value: str) -> bool:
        """Some rules have no table for a value with which they are never used."""
        rule = self._grammar.rules[name]
        return rule.by != feature or value in rule.tables or "else" in rule.tables

    def _weigh(self, weights: _Weights) -> float:
        """The sum over all cases of their probability times the weights of their values."""
        of_each = [weights.get(name, dict.fromkeys(self._values[name], 1.0)) for name in self._names]
        shared = prod(weights[""].values())
        return shared * sum(
            self._cases.get(tuple(value for value, _ in chosen), 0.0) * prod(w for _, w in chosen)
            for chosen in product(*(values.items() for values in of_each))
        )


@cache
def thyroid_conclusions() -> ConclusionLaw:
    """The conclusions of :mod:`collapse_audit.lineages.simulation.thyroid`."""
    return ConclusionLaw(thyroid_grammar(), ((case.features, p) for case, p in all_cases()))
