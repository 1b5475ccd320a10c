"""What was taken as the text of each corpus: said at the head of every report, so that a wrong guess is seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from collapse_audit.errors import InputError, Problem
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.disk.pack import is_pack
from collapse_audit.lineages.files.problems import problem
from collapse_audit.run.plan import Plan

_PLAIN = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was taken, in words, and what speaks against it."""

    text_is: str
    """Such as ``messages[-1].content of the assistant``; per corpus where they differ."""
    notes: tuple[str, ...]
    numbers: bool = False
    """Whether the records hold numbers in place of texts."""


def corpora_of(plan: Plan) -> tuple[Corpus, ...]:
    """The corpora that are compared, each once, in the order in which they are met."""
    corpora: dict[tuple[str, str | None], Corpus] = {}
    for comparison in plan.comparisons:
        for side in (comparison.baseline, comparison.current):
            if not is_pack(side.corpus.path):
                corpora.setdefault((side.corpus.shown, side.corpus.split), side.corpus)
    return tuple(corpora.values())


def taken_as_text(corpora: Iterable[Corpus]) -> Taken:
    """Look into the first records of every corpus.

    Raises InputError where it cannot be said what the text is, and where some hold texts and some numbers; what is
    wrong with several corpora alike is said once.
    """
    places: dict[str, list[str]] = {}
    notes: list[str] = []
    problems: list[Problem] = []
    widths: dict[str, int] = {}
    for corpus in corpora:
        try:
            words, doubt = corpus.taken()
            widths[corpus.where or corpus.shown] = corpus.width()
        except InputError as error:
            problems += error.problems
            continue
        places.setdefault(words, []).append(corpus.shown)
        if doubt:
            notes.append(f"{corpus.shown}: {doubt}")
    if problems:
        raise InputError(_once(problems))
    if len(places) == 1:
        (words,) = places
        said = [] if words == _PLAIN else [f"text = {words}"]
        return Taken(text_is=words, notes=(*said, *notes), numbers=_alike(widths))
    words = "; ".join(f"{words} ({', '.join(names)})" for words, names in places.items())
    said = [f"text = {words}"] if words else []
    return Taken(text_is=words or _PLAIN, notes=(*said, *notes), numbers=_alike(widths))


def _alike(widths: Mapping[str, int]) -> bool:
    """Whether the records of all corpora hold numbers. Raises InputError where those of some do."""
    texts = [where for where, width in widths.items() if not width]
    if len(texts) < len(widths) and texts:
        held = next(where for where, width in widths.items() if width)
        found = f"texts, where the records of {held} hold numbers"
        raise InputError([problem(texts[0], found, "texts in all corpora, or numbers in all", "numeric-mixed")])
    return bool(widths) and not texts


def _once(problems: list[Problem]) -> list[Problem]:
    alike: dict[tuple[str, str, str], list[Problem]] = {}
    for each in problems:
        alike.setdefault((each.found, each.expected, each.slug), []).append(each)
    return [_counted(first, len(more)) for first, *more in alike.values()]


def _counted(problem: Problem, more: int) -> Problem:
    return (
        replace(problem, found=f"{problem.found}, as in {more} more file{'s' if more > 1 else ''}") if more else problem
    )
