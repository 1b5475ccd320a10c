"""What is in a made-up thyroid report before a word is written: nodules, background, finding. Drawn, and enumerated."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, product
from math import prod
from typing import Any

import numpy as np

from collapse_audit.lineages.simulation.thyroid_grammar import thyroid_data

Choose = Callable[[Mapping[str, float]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One report's content."""

    categories: tuple[str, ...]
    """Of each nodule, "2" to "5"; () without nodules."""
    extent: str
    """``none``, ``one_right``, ``one_left``, ``one_isthmus``, ``many_right``, ``many_left`` or ``many_both``."""
    background: str
    finding: str
    labelled: bool
    """The conclusion names the categories."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The categories that the conclusion stands for, sorted; ("1",) without nodules."""
        return tuple(sorted(set(self.categories))) or ("1",)

    @property
    def features(self) -> dict[str, str]:
        """What the rules depend on."""
        if self.categories:
            kind = "nodules"
        elif self.background != "none":
            kind = "background"
        else:
            kind = "clear" if self.finding == "none" else "found"
        return {
            "kind": kind,
            "extent": self.extent,
            "background": self.background,
            "finding": self.finding,
            "labels": "".join(self.labels) if self.labelled else "none",
        }


def draw_case(rng: np.random.Generator) -> Case:
    """One case from the law."""
    law = law_of_cases()

    def choose(weights: Mapping[str, float]) -> str:
        ends = list(accumulate(weights.values()))
        return list(weights)[min(bisect(ends, rng.random() * ends[-1]), len(ends) - 1)]

    categories = tuple(choose(law["category"]) for _ in range(int(choose(law["nodules"]))))
    labelled = law["labelled"]["nodules" if categories else "clear"]
    return Case(
        categories=categories,
        extent=choose(extents(len(categories))),
        background=choose(law["background"]),
        finding=choose(findings(frozenset(categories))),
        labelled=bool(rng.random() < labelled),
    )


def sides(case: Case, rng: np.random.Generator) -> list[str]:
    """Where each nodule is; with nodules in both lobes the first is right, the second left, a third in either."""
    where = case.extent.rpartition("_")[2]
    if where != "both":
        return [where] * len(case.categories)
    further = [("right", "left")[int(side)] for side in rng.integers(0, 2, len(case.categories) - 2)]
    return sorted(["right", "left", *further], reverse=True)


def all_cases() -> Iterator[tuple[Case, float]]:
    """Every case, categories sorted, with its probability; they sum to 1."""
    law = law_of_cases()
    for categories, p in nodule_law().items():
        labelled = law["labelled"]["nodules" if categories else "clear"]
        choices = product(
            extents(len(categories)).items(),
            law["background"].items(),
            findings(frozenset(categories)).items(),
            {True: labelled, False: 1 - labelled}.items(),
        )
        for (extent, p_extent), (background, p_background), (finding, p_finding), (named, p_named) in choices:
            case = Case(categories=categories, extent=extent, background=background, finding=finding, labelled=named)
            yield case, p * p_extent * p_background * p_finding * p_named


def nodule_law() -> dict[tuple[str, ...], float]:
    """The sorted categories of a report's nodules, with their probability."""
    law = law_of_cases()
    chances: dict[tuple[str, ...], float] = {}
    for count, p in law["nodules"].items():
        for categories in product(law["category"], repeat=int(count)):
            key = tuple(sorted(categories))
            chances[key] = chances.get(key, 0.0) + p * prod(law["category"][category] for category in categories)
    return chances


def extents(count: int) -> Mapping[str, float]:
    """Where so many nodules are."""
    if count == 0:
        return {"none": 1.0}
    name = "one" if count == 1 else "many"
    return {f"{name}_{where}": p for where, p in law_of_cases()[name].items()}


def findings(categories: frozenset[str]) -> Mapping[str, float]:
    """The further finding of a report with nodules of these categories."""
    present = {"any", *categories} | ({"nodule"} if categories else set())
    possible = {name: f["share"] for name, f in law_of_cases()["finding"].items() if f["need"] in present}
    return {"none": 1 - sum(possible.values()), **possible}


def law_of_cases() -> Mapping[str, Any]:
    """``[law]`` of ``thyroid.toml``."""
    law: Mapping[str, Any] = thyroid_data()["law"]
    return law
