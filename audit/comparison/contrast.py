"""Two lineages side by side: which recipe holds better, in what, and by how much.

The damage of a lineage is what its audit says: a statistic of generation k against the lineage's own baseline. Compared
are two damages (a difference of differences), at two levels that answer two questions:

* ``recipe``: does this way of making generations hold better than that one? Seeds are the units: a t test over the
  values that the two audits give (:mod:`collapse_audit.comparison.seeds`).
* ``documents``: of these very generations, which changed more? Within each seed alone
  (:mod:`collapse_audit.comparison.within_seeds`), with prompts or the documents of tasks as the units.

Only the first decides the exit code: what is true of these files need not be true of the next ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collapse_audit.api import Prepared
from collapse_audit.comparison.claims import Contrast, Held, claims
from collapse_audit.comparison.seeds import MIN_SEEDS, ONLY_SEED, Key, over_seeds
from collapse_audit.comparison.within_seeds import Planned, within_seeds
from collapse_audit.errors import UsageError
from collapse_audit.probes.registry import gates_of
from collapse_audit.reports._format import settings
from collapse_audit.reports.document import AuditReport
from collapse_audit.run.seed_texts import Progress
from collapse_audit.verdicts.exit_codes import ExitCode

_HARMLESS = frozenset({"permutations", "evidence", "allow_inconclusive", "gate_trend", "waivers"})
"""Settings that change no estimate and no margin."""
_NO_RECIPE = ("profile.", "notes.", "seeds", "generations", "partner", "base.folder")
"""Keys of a recipe that do not say how a generation is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasted:
    """Everything that a comparison of two lineages found."""

    a: Mapping[str, Any]
    """``name``, ``digest``, ``scheme``, ``seeds``, ``generations``, …, and the ``verdict`` of its own audit."""
    b: Mapping[str, Any]
    generation: int
    """The generation that the claims are about."""
    alpha: float
    seed: int
    """Of the random draws of both audits and of the comparison."""
    recipe: tuple[Contrast, ...]
    """By generation and statistic; only those of ``generation`` are judged."""
    documents: tuple[Contrast, ...]
    """By seed and statistic, of ``generation`` only."""
    notes: tuple[str, ...]
    exit_code: int
    summary: str

    @property
    def judged(self) -> tuple[Contrast, ...]:
        """The contrasts of recipes that the claims are about."""
        return tuple(each for each in self.recipe if each.generation == self.generation)


def contrast(a: Prepared, b: Prepared, *, generation: str = "last", progress: Progress = lambda _: None) -> Contrasted:
    """Audit both lineages and compare their damages at ``generation`` ("last": the last that both have).

    Raises UsageError where the two cannot be compared: other settings, other labels, no generation in common.
    """
    _same_terms(_terms(a), _terms(b))
    if a.lineage.digest == b.lineage.digest:
        raise UsageError("A and B are the same lineage (their digests are equal); two different ones are needed")
    planned = _planned("A", a), _planned("B", b)
    common = sorted({index for _, index in planned[0]} & {index for _, index in planned[1]})
    judged = _chosen(common, generation)
    for name, comparisons in zip("AB", planned, strict=True):
        _distinct_seeds(name, comparisons, judged)
    first = a.run(progress=lambda line: progress(f"A: {line}"))
    second = b.run(progress=lambda line: progress(f"B: {line}"))
    _same_terms(*({key: report.lineage.get(key) for key in ("tokens", "labels")} for report in (first, second)))
    defaults = {key: gate.margin for key, gate in a.config.automatic(a.probes).items()}
    recipe = [over_seeds(first, second, index, gates_of(a.probes), defaults) for index in common]
    recipe[common.index(judged)] = claims(recipe[common.index(judged)], alpha=a.config.alpha)
    documents, notes = within_seeds((a, b), planned, judged, first, defaults, progress)
    code, summary = _verdict(recipe[common.index(judged)], documents)
    return Contrasted(
        a=_about(first),
        b=_about(second),
        generation=judged,
        alpha=a.config.alpha,
        seed=a.config.seed,
        recipe=tuple(each for at_generation in recipe for each in at_generation),
        documents=documents,
        notes=(*_extent(planned), *_recipes(a, b), *_automatic(defaults), *notes),
        exit_code=int(code),
        summary=f"{summary} [exit {int(code)}]",
    )


# ----------------------------------------------------------------------------------------------- what may be compared


def _about(report: AuditReport) -> dict[str, Any]:
    keys = ("name", "digest", "scheme", "seeds", "generations", "baseline", "tokens", "labels")
    return {key: report.lineage[key] for key in keys if report.lineage.get(key)} | {"verdict": report.verdict.value}


def _terms(side: Prepared) -> dict[str, Any]:
    """Settings that decide what a value means. What a tokenizer is called is known once it has been read."""
    echo = side.config.echo(side.probes)
    margins = {f"{name} margin": about["margin"] for name, about in echo.pop("margins").items()}
    return {key: value for key, value in echo.items() if key not in _HARMLESS | {"tokens"}} | margins


def _same_terms(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    apart = [f"{key} is {a[key]!r} in A and {b[key]!r} in B" for key in a if a[key] != b[key]]
    if apart:
        raise UsageError(
            f"A and B are not audited alike, so their damages cannot be compared: {'; '.join(apart)}; "
            "set the same for both, such as --set labels=none or --set tail-mass.margin=0.8",
            slug="unlike",
        )


def _planned(name: str, side: Prepared) -> Planned:
    """The comparisons that count, by seed and generation."""
    comparisons = [each for each in side.plan.comparisons if each.gating]
    if not comparisons:
        raise UsageError(f"{name} ({side.lineage.name}) has no generation that is compared with a baseline")
    return {(ONLY_SEED if each.seed is None else each.seed, each.generation): each for each in comparisons}


def _chosen(common: Sequence[int], asked: str) -> int:
    if not common:
        raise UsageError("A and B have no generation in common that is compared with a baseline")
    if asked == "last":
        return common[-1]
    if not asked.isdecimal() or int(asked) not in common:
        have = ", ".join(map(str, common))
        raise UsageError(f"--generation {asked}: expected last, or a generation that both lineages have: {have}")
    return int(asked)


def _distinct_seeds(name: str, planned: Planned, judged: int) -> None:
    """Refuse two seeds of a lineage that wrote the same file, judged or trained on: they are one."""
    seeds: dict[str, str] = {}
    for (seed, index), comparison in planned.items():
        if index != judged:
            continue
        written = [comparison.current.corpus] + ([] if comparison.entry is None else [comparison.entry.texts])
        for digest in (corpus.digest for corpus in written):
            if seeds.setdefault(digest, seed) != seed:
                raise UsageError(
                    f"{name}: seeds {seeds[digest]} and {seed} have the same file for generation {judged}; "
                    "seeds are the units of a comparison, and a copy is not another one",
                    slug="same-seeds",
                )


def _extent(planned: tuple[Planned, Planned]) -> list[str]:
    """What only one of the two has, and so is left out."""
    notes = []
    for what, part in (("seed", 0), ("generation", 1)):
        sides = [dict.fromkeys(place[part] for place in places) for places in planned]
        for name, own, other in (("A", *sides), ("B", *reversed(sides))):
            alone = [str(each) for each in own if each not in other]
            if alone and set(sides[0]) & set(sides[1]):
                plural = "s" if len(alone) > 1 else ""
                notes.append(f"only {name} has {what}{plural} {', '.join(alone)}: left out")
    return notes


def _recipes(a: Prepared, b: Prepared) -> list[str]:
    """Where the recipes differ besides the scheme: a contrast is of everything that differs."""
    flat = [
        {key: value for key, value in settings(side.lineage.recipe).items() if not key.startswith(_NO_RECIPE)}
        for side in (a, b)
    ]
    if not all(flat):
        return []
    apart = [
        f"{key} ({flat[0].get(key, 'not set')} in A, {flat[1].get(key, 'not set')} in B)"
        for key in {**flat[0], **flat[1]}
        if flat[0].get(key) != flat[1].get(key)
    ]
    return [f"the recipes also differ in {', '.join(apart)}: a contrast is of all of it"] if apart else []


def _automatic(defaults: Mapping[Key, float]) -> list[str]:
    """Which margins stand in for automatic ones."""
    named = ", ".join(f"{probe} / {statistic} {margin:g}" for (probe, statistic), margin in defaults.items())
    why = 'margin = auto starts fail at "no change", which is no size of change'
    return [f"{why}: between A and B the default margins hold ({named})"] if defaults else []


# ------------------------------------------------------------------------------------------------------------ verdict


def _verdict(recipe: Sequence[Contrast], documents: Sequence[Contrast]) -> tuple[ExitCode, str]:
    """Exit code and summary: worse before error before open before "nothing compared" before "nowhere worse"."""
    compared = [contrast for contrast in recipe if contrast.outcome is not Held.NOT_COMPARED]
    worse = [contrast for contrast in compared if contrast.outcome is Held.A and not contrast.immaterial]
    better = [contrast for contrast in compared if contrast.outcome is Held.B and not contrast.immaterial]
    unsettled = [contrast for contrast in compared if contrast.outcome is Held.OPEN and contrast.b_may_be_worse]
    of_all = f"of {len(compared)} findings"
    most = max((contrast.n for contrast in compared), default=0)
    parts = [
        f"{name} holds better in {len(held)} {of_all}, first {held[0].name}"
        for name, held in (("A", worse), ("B", better))
        if held
    ]
    if worse:
        return ExitCode.COLLAPSE, "; ".join(parts)
    crashed = [contrast for contrast in recipe if contrast.error]
    if crashed:
        return ExitCode.INTERNAL_ERROR, f"error: {crashed[0].name} could not be measured"
    if compared and most < MIN_SEEDS:
        said = f"inconclusive: no claim about a recipe can rest on fewer than three seeds, and here are {most}"
        return ExitCode.INCONCLUSIVE, said + _of_these(documents)
    if unsettled:
        parts.append(f"{len(unsettled)} {of_all} leave open whether B holds worse by the margin")
        return ExitCode.INCONCLUSIVE, "inconclusive: " + "; ".join(parts)
    if not compared:
        return ExitCode.NOTHING_MEASURED, "nothing could be compared"
    parts.append(f"B holds nowhere worse by the margin ({len(compared)} findings)")
    return ExitCode.PASS, "; ".join(parts)


def _of_these(documents: Sequence[Contrast]) -> str:
    """What may be said of these very texts, where nothing may be said of the recipe."""
    counts = {
        name: sum(contrast.outcome is held for contrast in documents) for name, held in (("A", Held.A), ("B", Held.B))
    }
    if not documents:
        return ""
    return f"; of these texts, A holds better in {counts['A']} and B in {counts['B']} of {len(documents)} comparisons"
