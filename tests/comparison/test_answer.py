"""The first lines of a comparison answer its question in words."""

from __future__ import annotations

from typing import Any

import pytest

from collapse_audit.comparison.answer import answer, means_of
from collapse_audit.comparison.claims import Contrast, Held
from collapse_audit.comparison.contrast import Contrasted
from collapse_audit.comparison.text import contrast_text


def claim(statistic: str, outcome: Held, **details: Any) -> Contrast:
    """A statistic of three seeds; A lost half of it and B a tenth."""
    usual: dict[str, Any] = {
        "level": "recipe",
        "probe": "diversity",
        "statistic": statistic,
        "generation": 2,
        "unit": "ratio",
        "worse": "lower",
        "scale": "log",
        "a": {"0": 0.4, "1": 0.5, "2": 0.6},
        "b": {"0": 0.9, "1": 0.9, "2": 0.9},
        "difference": 0.55,
        "low": 0.5,
        "high": 0.6,
        "margin": 0.1,
        "n": 3,
        "units": "seeds",
        "p_value": 0.001,
        "p_adjusted": 0.01,
    }
    return Contrast(**(usual | {"outcome": outcome} | details))


def contrasted(*recipe: Contrast, documents: tuple[Contrast, ...] = ()) -> Contrasted:
    """A comparison that found just these."""
    return Contrasted(
        a={"name": "a", "verdict": "collapse"},
        b={"name": "b", "verdict": "pass"},
        generation=2,
        alpha=0.05,
        seed=0,
        recipe=recipe,
        documents=documents,
        notes=(),
        exit_code=6,
        summary="inconclusive: made up [exit 6]",
    )


def lines(*recipe: Contrast, **details: Any) -> list[str]:
    return list(answer(contrasted(*recipe, **details)))


def test_the_first_line_says_which_holds_better_and_the_next_in_what_and_by_how_much() -> None:
    found = lines(claim("distinct-2", Held.B), claim("looping", Held.ALIKE))
    assert found == [
        "B holds better in 1 of 2 findings at generation 2, A in none.",
        "  B better: diversity / distinct-2, A 0.500, B 0.900",
        "Alike within the margin in 1.",
    ]


def test_where_each_holds_better_somewhere_both_are_named() -> None:
    first, *rest = lines(claim("distinct-2", Held.B), claim("looping", Held.A))
    assert first == "Each holds better somewhere: A in 1 and B in 1 of 2 findings at generation 2."
    assert [line.split(":")[0].strip() for line in rest] == ["A better", "B better"]


def test_a_difference_within_the_margin_is_said_to_be_one() -> None:
    assert lines(claim("distinct-2", Held.B, immaterial=True))[1].endswith("B 0.900, a difference within the margin")


def test_what_stays_open_is_named_with_what_would_settle_it() -> None:
    found = lines(claim("distinct-2", Held.OPEN, b_may_be_worse=True), claim("looping", Held.OPEN))
    assert found == [
        "Neither is known to hold better: no difference in any of 2 findings at generation 2 is more than 3 seeds vary "
        "by.",
        "Open, and B may be worse by the margin, in 1: diversity / distinct-2. 3 seeds a side cannot tell; more seeds "
        "would, more texts hardly.",
        "Open in 1 more, where B is not worse by the margin.",
    ]


@pytest.mark.parametrize(("n", "seeds"), [(1, "1 seed"), (2, "2 seeds")])
def test_too_few_seeds_are_said_first_and_the_texts_speak_for_themselves_alone(n: int, seeds: str) -> None:
    documents = (
        claim("looping", Held.A, level="documents", seed="0", units="prompts"),
        claim("duplicates", Held.OPEN, level="documents", seed="1", units="prompts"),
    )
    first, *rest = lines(claim("distinct-2", Held.OPEN, n=n), documents=documents)
    assert first.startswith(f"Which recipe holds better cannot be said from {seeds} a side")
    assert rest == ["  seed 0: A changed less in diversity / looping", "  seed 1: no difference is known"]


def test_without_prompts_there_is_nothing_to_say_of_the_texts() -> None:
    assert lines(claim("distinct-2", Held.OPEN, n=1))[1:] == [
        "  nothing: within a seed the two share neither prompts nor evaluated tasks"
    ]


def test_nothing_compared_is_said() -> None:
    assert lines(claim("distinct-2", Held.NOT_COMPARED)) == ["Nothing could be compared; the notes say why."]


def test_many_findings_are_counted_and_the_first_six_named() -> None:
    found = lines(*(claim(f"s{k}", Held.B) for k in range(9)))
    assert len(found) == 8
    assert found[-1] == "  B better: and 3 more"


def test_only_the_judged_generation_speaks() -> None:
    assert lines(claim("distinct-2", Held.NOT_COMPARED), claim("looping", Held.B, generation=1)) == [
        "Nothing could be compared; the notes say why."
    ]


def test_means_are_over_the_seeds_in_common_or_over_all_where_none_is() -> None:
    assert means_of(claim("x", Held.B, a={"0": 1.0, "1": 3.0}, b={"1": 2.0, "2": 8.0})) == [3.0, 2.0]
    assert means_of(claim("x", Held.B, a={"0": 1.0, "1": 3.0}, b={"2": 8.0})) == [2.0, 8.0]


def test_the_page_answers_first_and_keeps_the_values_of_every_generation_for_those_who_ask() -> None:
    found = contrasted(claim("distinct-2", Held.B), claim("distinct-2", Held.OPEN, generation=1))
    page = contrast_text(found, width=80, color=False)
    assert page.splitlines()[1] == "B holds better in 1 of 1 findings at generation 2, A in none."
    assert "VALUES" not in page
    assert "the values of every generation: -v" in page
    assert "VALUES" in contrast_text(found, width=80, color=False, verbose=True)
