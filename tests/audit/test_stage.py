"""Stages and mechanisms, on findings written by hand."""

from __future__ import annotations

import pytest

from collapse_audit.probes.registry import gates_of
from collapse_audit.reports.document import Finding, Interval, Outcome, Stage, Verdict
from collapse_audit.run.overview.stage import StageReading, overall_stage
from collapse_audit.run.overview.stage import stages as stages_by

TAIL_MASS, COVERAGE = ("tail-mass", "tail-mass-ratio"), ("tail-coverage", "distinct-types")
EFFECTIVE, DIVERGENCE = ("diversity", "effective-tokens"), ("token-divergence", "JS-excess")
LOOPING = ("repetition", "looping")


def finding(
    what: tuple[str, str], outcome: Outcome, interval: tuple[float | None, float | None] = (0.5, 0.6), *,
    generation: int = 1, gating: bool = True, seed: str | None = None,
) -> Finding:  # fmt: skip
    return Finding(
        probe=what[0],
        code="CA000",
        statistic=what[1],
        seed=seed,
        generation=generation,
        baseline="generation 0",
        gating=gating,
        outcome=outcome,
        value=0.5,
        unit="ratio",
        worse="lower",
        interval=Interval(low=interval[0], high=interval[1], level=0.9, method="by hand"),
        reason="",
    )


def stages(findings: list[Finding]) -> tuple[StageReading, ...]:
    gates = gates_of()
    return stages_by(findings, lambda one: gates[one.probe, one.statistic])


FAIL, PASS, OPEN = Outcome.FAIL, Outcome.PASS, Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("mass", "coverage", "mechanism"),
    [
        (FAIL, PASS, "sharpening"),
        (FAIL, FAIL, "sharpening"),
        (PASS, FAIL, "drift"),
        (OPEN, FAIL, "undetermined"),
        (PASS, PASS, "none"),
        (OPEN, OPEN, "none"),
    ],
)
def test_mass_and_coverage_of_the_tail_tell_the_mechanism(mass: Outcome, coverage: Outcome, mechanism: str) -> None:
    (reading,) = stages([finding(TAIL_MASS, mass), finding(COVERAGE, coverage)])
    assert reading.mechanism == mechanism
    assert reading.stage is (
        Stage.EARLY if FAIL in (mass, coverage) else Stage.NONE if OPEN not in (mass, coverage) else Stage.UNDETERMINED
    )


@pytest.mark.parametrize(
    ("what", "interval", "stage"),
    [
        (EFFECTIVE, (0.10, 0.19), Stage.LATE),
        (EFFECTIVE, (0.10, 0.21), Stage.EARLY),  # its kinder bound keeps a fifth
        (DIVERGENCE, (0.11, 0.30), Stage.LATE),
        (DIVERGENCE, (0.09, 0.30), Stage.UNDETERMINED),  # moved, and no tail is known to be lost
        (("integrity", "constant"), (0.9, 1.0), Stage.LATE),
        (LOOPING, (0.1, 0.2), Stage.UNDETERMINED),
        (("label-coverage", "retained-share"), (0.0, 0.2), Stage.EARLY),
    ],
)
def test_the_bulk_decides_between_early_and_late(
    what: tuple[str, str], interval: tuple[float, float], stage: Stage
) -> None:
    (reading,) = stages([finding(what, FAIL, interval), finding(TAIL_MASS, PASS)])
    assert reading.stage is stage
    assert [name.split(" / ")[0] for name in reading.evidence] == [what[0]]


def test_nothing_that_failed_is_no_stage_and_an_open_question_is_none_either() -> None:
    passed, unsure = stages([finding(TAIL_MASS, PASS), finding(TAIL_MASS, OPEN, generation=2)])
    assert (passed.stage, unsure.stage) == (Stage.NONE, Stage.UNDETERMINED)
    assert passed.evidence == unsure.evidence == ()


def test_seeds_and_generations_are_read_apart_and_context_not_at_all() -> None:
    readings = stages(
        [
            finding(TAIL_MASS, FAIL, generation=0, gating=False),
            finding(TAIL_MASS, PASS, seed="0"),
            finding(TAIL_MASS, FAIL, seed="1"),
            finding(EFFECTIVE, FAIL, (0.0, 0.1), seed="1", generation=2),
        ]
    )
    assert [(r.seed, r.generation, r.stage) for r in readings] == [
        ("0", 1, Stage.NONE),
        ("1", 1, Stage.EARLY),
        ("1", 2, Stage.LATE),
    ]
    assert overall_stage(readings, Verdict.COLLAPSE) is Stage.LATE
    assert overall_stage(readings[:2], Verdict.COLLAPSE) is Stage.EARLY
    assert overall_stage(readings[:1], Verdict.PASS) is Stage.NONE


@pytest.mark.parametrize("verdict", [Verdict.NOT_MEASURED, Verdict.ERROR, Verdict.INCONCLUSIVE])
def test_without_a_pass_there_is_never_the_stage_none(verdict: Verdict) -> None:
    assert overall_stage((), verdict) is Stage.UNDETERMINED
    assert overall_stage(stages([finding(TAIL_MASS, PASS)]), verdict) is Stage.UNDETERMINED
