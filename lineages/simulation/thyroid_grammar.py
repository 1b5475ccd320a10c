"""Probabilistic grammars without recursion: writes texts, and says exactly with what probability it writes them."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate, product
from math import prod
from typing import Any

import numpy as np

from collapse_audit.lineages.simulation.wright_fisher import zipf

Features = Mapping[str, str]
"""What a rule may depend on: name to value."""

_REFERENCE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Table:
    """Alternatives and their probabilities. An alternative is cut: text, name, text, name, …, text."""

    alternatives: tuple[tuple[str, ...], ...]
    probabilities: tuple[float, ...]
    cumulative: tuple[float, ...]

    @classmethod
    def of(cls, entries: Sequence[str] | Mapping[str, float], exponent: float) -> Table:
        """From a list (Zipf's law of the rank) or a table of weights."""
        weights = list(entries.values()) if isinstance(entries, Mapping) else zipf(len(entries), exponent).tolist()
        total = sum(weights)
        probabilities = tuple(weight / total for weight in weights)
        cut = tuple(tuple(_REFERENCE.split(text)) for text in entries)
        return cls(cut, probabilities, (*accumulate(probabilities[:-1]), 1.0))

    def draw(self, rng: np.random.Generator) -> tuple[str, ...]:
        return self.alternatives[bisect(self.cumulative, rng.random())]


@dataclass(frozen=True, slots=True)
class Rule:
    """A table, or one for each value of a feature."""

    by: str | None
    tables: Mapping[str, Table]

    def table(self, features: Features) -> Table:
        value = "else" if self.by is None else features[self.by]
        return self.tables[value] if value in self.tables else self.tables["else"]


class Grammar:
    """The rules of a grammar. Names that are no rule are features, whose value is written as it stands."""

    def __init__(self, data: Mapping[str, Any], exponent: float) -> None:
        """``data``: TOML tables, as ``thyroid.toml`` explains them; ``exponent``: of Zipf's law in lists."""
        self.rules: dict[str, Rule] = dict(_rules(data, exponent))
        self._features: dict[str, frozenset[str]] = {}
        self._laws: dict[tuple[str, ...], Mapping[str, float]] = {}

    def write(self, name: str, features: Features, rng: np.random.Generator) -> str:
        """Draw a text."""
        rule = self.rules.get(name)
        if rule is None:
            return features[name]
        alternative = rule.table(features).draw(rng)
        if len(alternative) == 1:
            return alternative[0]
        parts = [self.write(part, features, rng) if at % 2 else part for at, part in enumerate(alternative)]
        return "".join(parts)

    def law(self, name: str, features: Features) -> Mapping[str, float]:
        """Each text that :meth:`write` can give, with its probability. Every combination is written out."""
        key = self.key(name, features)
        if key not in self._laws:
            self._laws[key] = self._law(name, features)
        return self._laws[key]

    def _law(self, name: str, features: Features) -> Mapping[str, float]:
        rule = self.rules.get(name)
        if rule is None:
            return {features[name]: 1.0}
        law: dict[str, float] = {}
        table = rule.table(features)
        for alternative, probability in zip(table.alternatives, table.probabilities, strict=True):
            parts = [self.law(part, features) if at % 2 else {part: 1.0} for at, part in enumerate(alternative)]
            for chosen in product(*(part.items() for part in parts)):
                text = "".join(part for part, _ in chosen)
                law[text] = law.get(text, 0.0) + probability * prod(p for _, p in chosen)
        return law

    def key(self, name: str, features: Features) -> tuple[str, ...]:
        """Equal for two reports where the rule has the same law: its name and the features that it depends on."""
        return (name, *(features.get(feature, "") for feature in sorted(self.depends_on(name))))

    def depends_on(self, name: str) -> frozenset[str]:
        """The features that the rule, or any that it refers to, depends on."""
        if name not in self._features:
            rule = self.rules.get(name)
            names = {name} if rule is None else {rule.by} - {None}
            for table in () if rule is None else rule.tables.values():
                for alternative in table.alternatives:
                    names.update(*(self.depends_on(part) for part in alternative[1::2]))
            self._features[name] = frozenset(feature for feature in names if feature)
        return self._features[name]


def _rules(data: Mapping[str, Any], exponent: float) -> Iterator[tuple[str, Rule]]:
    for name, value in data.items():
        if isinstance(value, Mapping) and "by" in value:
            tables = {key: Table.of(entries, exponent) for key, entries in value.items() if key != "by"}
            yield name, Rule(value["by"], tables)
        elif isinstance(value, Mapping):
            for inner, entries in value.items():
                yield inner, Rule(None, {"else": Table.of(entries, exponent)})


@cache
def thyroid_data() -> Mapping[str, Any]:
    """``thyroid.toml`` and ``thyroid_conclusion.toml``."""
    folder = files("collapse_audit.lineages.simulation")
    texts = (folder.joinpath(name).read_text("utf-8") for name in ("thyroid.toml", "thyroid_conclusion.toml"))
    return {name: value for text in texts for name, value in tomllib.loads(text).items()}


@cache
def thyroid_grammar() -> Grammar:
    """Their rules."""
    data = thyroid_data()
    return Grammar({name: value for name, value in data.items() if name != "law"}, data["law"]["zipf"])
