"""Which of two recipes holds better, in what, and what stays open: the answer of a comparison, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collapse_audit.comparison.claims import Contrast, Held
from collapse_audit.comparison.contrast import Contrasted
from collapse_audit.comparison.seeds import MIN_SEEDS
from collapse_audit.reports._format import inert, number

_MOST = 6
"""Findings that are named; the table below has them all."""


def answer(contrasted: Contrasted) -> Iterator[str]:
    """Lines, the answer first."""
    compared = [contrast for contrast in contrasted.judged if contrast.outcome is not Held.NOT_COMPARED]
    seeds = max((contrast.n for contrast in compared), default=0)
    if not compared:
        yield "Nothing could be compared; the notes say why."
        return
    if seeds < MIN_SEEDS:
        yield (
            f"Which recipe holds better cannot be said from {_seeds(seeds)} a side: one more training could turn it "
            f"round. {MIN_SEEDS} are needed. What can be said is which of these very texts and models changed more:"
        )
        yield from _texts(contrasted.documents)
        return
    yield from _recipes(compared, contrasted.generation, seeds)


def _recipes(compared: Sequence[Contrast], generation: int, seeds: int) -> Iterator[str]:
    held = {
        name: [each for each in compared if each.outcome is which] for name, which in (("A", Held.A), ("B", Held.B))
    }
    counts = {name: len(group) for name, group in held.items()}
    of_all = f"of {len(compared)} findings at generation {generation}"
    if counts["A"] and counts["B"]:
        yield f"Each holds better somewhere: A in {counts['A']} and B in {counts['B']} {of_all}."
    elif counts["A"] or counts["B"]:
        better, other = ("A", "B") if counts["A"] else ("B", "A")
        yield f"{better} holds better in {counts[better]} {of_all}, {other} in none."
    else:
        yield f"Neither is known to hold better: no difference in any {of_all} is more than {_seeds(seeds)} vary by."
    for name, group in held.items():
        yield from (f"  {name} better: {_sizes(each)}" for each in group[:_MOST])
        if len(group) > _MOST:
            yield f"  {name} better: and {len(group) - _MOST} more"
    unsettled = [each for each in compared if each.outcome is Held.OPEN]
    if worse := [each for each in unsettled if each.b_may_be_worse]:
        yield (
            f"Open, and B may be worse by the margin, in {len(worse)}: {_names(worse)}. {_seeds(seeds)} a side cannot "
            "tell; more seeds would, more texts hardly."
        )
    if rest := len(unsettled) - len(worse):
        yield f"Open in {rest} more, where B is not worse by the margin."
    if alike := sum(each.outcome is Held.ALIKE for each in compared):
        yield f"Alike within the margin in {alike}."


def _texts(documents: Sequence[Contrast]) -> Iterator[str]:
    if not documents:
        yield "  nothing: within a seed the two share neither prompts nor evaluated tasks"
    for seed in dict.fromkeys(each.seed for each in documents):
        group = [each for each in documents if each.seed == seed]
        for name, which in (("A", Held.A), ("B", Held.B)):
            if held := [each for each in group if each.outcome is which]:
                yield f"  seed {inert(seed)}: {name} changed less in {_names(held)}"
        if not any(each.outcome in (Held.A, Held.B) for each in group):
            yield f"  seed {inert(seed)}: no difference is known"


def _sizes(contrast: Contrast) -> str:
    """``diversity / duplicates, A 0.875, B 0.367`` with the means over the seeds."""
    means = means_of(contrast)
    a, b = (number(value, beside=means) for value in means)
    within = ", a difference within the margin" if contrast.immaterial else ""
    return f"{inert(contrast.name)}, A {a}, B {b}{within}"


def means_of(contrast: Contrast) -> list[float]:
    """A's and B's mean over the seeds that are compared: those in common, or all where none is."""
    shared = [seed for seed in contrast.a if seed in contrast.b]
    return [sum(side[seed] for seed in shared or side) / len(shared or side) for side in (contrast.a, contrast.b)]


def _names(contrasts: Sequence[Contrast]) -> str:
    named = ", ".join(inert(each.name) for each in contrasts[:_MOST])
    return named + (f" and {len(contrasts) - _MOST} more" if len(contrasts) > _MOST else "")


def _seeds(n: int) -> str:
    return f"{n} seed" if n == 1 else f"{n} seeds"
