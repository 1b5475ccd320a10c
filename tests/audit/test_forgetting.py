"""A task that is lost: forgotten where another one and the texts are whole, collapsed where the texts lost too."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from scored_tasks_for_audit import evaluated, finding_of, task

from collapse_audit.probes.registry import BUILTIN, gates_of
from collapse_audit.probes.statistics.readings import Gate
from collapse_audit.reports.document import Finding, Outcome
from collapse_audit.run.overview.forgetting import forgotten

GATES = gates_of(BUILTIN)


def gate_of(finding: Finding) -> Gate:
    return GATES[finding.probe, finding.statistic]


def answers(right: int) -> list[float]:
    return [1.0] * right + [0.0] * (200 - right)


def lost(*, new: tuple[int, int] | None = (20, 140), generation: int = 2) -> Finding:
    """The old task falls from .80 to .40; the new one goes from .10 to .70."""
    before, after = [task(answers(160), name="old")], [task(answers(80), name="old")]
    if new is not None:
        before.append(task(answers(new[0]), name="new"))
        after.append(task(answers(new[1]), name="new"))
    return finding_of(evaluated(*before), evaluated(*after), generation=generation)


def of_texts(outcome: Outcome, generation: int = 2, **changes: Any) -> list[Finding]:
    """What the probes of tail and bulk say of the texts."""
    template = dataclasses.replace(lost(), evidence=(), raw={}, generation=generation)
    return [
        dataclasses.replace(template, probe=name, statistic=statistic, outcome=outcome, **changes)
        for name, statistic in (("tail-mass", "tail-mass-ratio"), ("diversity", "effective-tokens"))
    ]


def test_a_task_lost_beside_one_gained_and_whole_texts_is_forgotten() -> None:
    assert forgotten([lost(), *of_texts(Outcome.PASS)], gate_of) == [
        "warning: generation 2 forgot and did not collapse: old / acc fell from 0.80 to 0.40, while new / acc rose "
        "(0.10 to 0.70), and of its texts nothing was lost (tail-mass / tail-mass-ratio, diversity / effective-tokens)"
    ]


def test_a_task_that_held_is_enough_and_texts_may_move() -> None:
    (said,) = forgotten([lost(new=(160, 161)), *of_texts(Outcome.CHANGED)], gate_of)
    assert "while new / acc held (0.80 to 0.81)" in said


def test_texts_that_lost_their_tail_are_collapse_whatever_the_tasks_say() -> None:
    (said,) = forgotten([lost(), *of_texts(Outcome.FAIL)], gate_of)
    assert said == (
        "warning: generation 2 collapsed and did not only forget: old / acc fell from 0.80 to 0.40, and its texts lost "
        "as well (tail-mass / tail-mass-ratio, diversity / effective-tokens)"
    )


@pytest.mark.parametrize(
    ("findings", "why"),
    [
        ([lost()], "nothing was measured of its texts"),
        ([lost(), *of_texts(Outcome.NOT_MEASURED)], "nothing was measured of its texts"),
        (
            [lost(), *of_texts(Outcome.INCONCLUSIVE)],
            "its texts leave it open (tail-mass / tail-mass-ratio, diversity / effective-tokens)",
        ),
        (
            [lost(new=None), *of_texts(Outcome.PASS)],
            "there is no task that held; evaluate what it was trained for, too",
        ),
        (
            [lost(new=(160, 60)), *of_texts(Outcome.PASS)],
            "there is no task that held; evaluate what it was trained for, too",
        ),
    ],
)
def test_where_it_cannot_be_told_the_sentence_says_why(findings: list[Finding], why: str) -> None:
    (said,) = forgotten(findings, gate_of)
    assert said.startswith("warning: whether generation 2 forgot or collapsed cannot be told: ")
    assert said.endswith(f", and {why}")


def test_the_last_generation_that_lost_a_task_speaks_for_its_seed() -> None:
    findings = [lost(generation=1), lost(generation=3), *of_texts(Outcome.FAIL, 1), *of_texts(Outcome.PASS, 3)]
    (said,) = forgotten(findings, gate_of)
    assert said.startswith("warning: generation 3 forgot")


def test_nothing_is_said_where_no_task_is_lost() -> None:
    held = [dataclasses.replace(lost(), outcome=Outcome.PASS)]
    assert forgotten([*held, *of_texts(Outcome.FAIL)], gate_of) == []
    assert np.isfinite(lost().value or 0)
