"""Whether an answer fits its prompt: counted by hand on answers that go wrong in one way each."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.thyroid_task import Task, mark
from collapse_audit.lineages.simulation.thyroid import reports
from collapse_audit.lineages.simulation.thyroid_truth import thyroid_truth

RIGHT = {"prompt": "В правой доле визуализируется образование.", "extent": "one_right", "categories": [3]}
LEFT = {"prompt": "В левой доле определяется образование.", "extent": "one_left", "categories": [4]}
BOTH = {"prompt": "В обеих долях выявляются образования.", "extent": "many_both", "categories": [3, 4]}
NONE = {"prompt": "Железа расположена обычно.", "extent": "none", "categories": []}
WORDS = {
    "узел": 1.0,
    "узловой": 1.0,
    "зоб": 1.0,
    "правой": 1.0,
    "левой": 1.0,
    "справа": 1.0,
    "доли": 1.0,
    "изменений": 1.0,
}


def test_reports_of_the_grammar_itself_are_all_right() -> None:
    written = list(reports(600, np.random.default_rng(5)))
    assert mark([record["text"] for record in written], written, thyroid_truth()["expected_counts"]) == Task(
        side=100.0, labels=100.0, descriptions=0.0
    )


@pytest.mark.parametrize(
    ("answer", "case", "side"),
    [
        ("Узел правой доли", RIGHT, 100.0),
        ("Узел справа", RIGHT, 100.0),
        ("Левосторонний узловой зоб", RIGHT, 0.0),
        ("Узел правой и левой доли", RIGHT, 0.0),
        ("Узловой зоб", RIGHT, math.nan),  # no side is named
        ("Узел слева", LEFT, 100.0),
        ("Узел справа", LEFT, 0.0),
        ("Узел справа", BOTH, math.nan),  # the case has no side
    ],
)
def test_a_side_is_right_where_it_alone_is_named(answer: str, case: dict[str, object], side: float) -> None:
    assert mark([answer], [case], WORDS).side == pytest.approx(side, nan_ok=True)


@pytest.mark.parametrize(
    ("answer", "case", "labels"),
    [
        ("EU-TIRADS 3", RIGHT, 100.0),
        ("EU-TIRADS 4", RIGHT, 0.0),
        ("EU-TIRADS 3, 4", RIGHT, 0.0),
        ("EU-TIRADS 3-4", BOTH, 100.0),
        ("EU-TIRADS 3", BOTH, 0.0),
        ("EU-TIRADS 1", NONE, 100.0),
        ("EU-TIRADS", NONE, math.nan),
        ("Зоб", NONE, math.nan),
    ],
)
def test_labels_are_right_where_they_are_those_of_the_nodules(
    answer: str, case: dict[str, object], labels: float
) -> None:
    assert mark([answer], [case], WORDS).labels == pytest.approx(labels, nan_ok=True)


def test_a_conclusion_with_a_word_of_descriptions_is_one() -> None:
    answers = [
        "Узел правой доли",
        "В левой доле визуализируется узел",
        "Изменений нет: определяется зоб",
        "Зоб, 1,2*3 см",
    ]
    assert mark(answers, [RIGHT, LEFT, BOTH, NONE], WORDS).descriptions == 50.0


def test_shares_are_of_those_answers_that_can_be_right_or_wrong() -> None:
    answers, cases = ["Узел справа, EU-TIRADS 3", "Узел справа", "Зоб, EU-TIRADS 2"], [RIGHT, LEFT, BOTH]
    assert mark(answers, cases, WORDS) == Task(side=50.0, labels=50.0, descriptions=0.0)
