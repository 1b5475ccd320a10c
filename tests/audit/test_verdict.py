"""The one rule and Holm's correction, against second implementations and the laws they must obey."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.probes.statistics.readings import Estimate, Gate
from collapse_audit.reports.adding_up import added_up as overall
from collapse_audit.reports.document import Finding, Outcome, Verdict
from collapse_audit.verdicts.exit_codes import ExitCode
from collapse_audit.verdicts.rule import Judgement, holm, judge

ALPHA = 0.05
Z = 1.6448536269514722

numbers = st.floats(-5, 5, allow_nan=False)
errors = st.floats(0, 3, allow_nan=False)
p_values = st.one_of(st.none(), st.floats(1e-6, 1.0))
directions = st.sampled_from(["higher", "lower"])


def gate(margin: float, worse: str = "higher", pass_margin: float | None = None) -> Gate:
    return Gate(statistic="s", unit="u", worse=worse, margin=margin, pass_margin=pass_margin, because="a test")


def estimate(value: float, error: float, **details: object) -> Estimate:
    return replace(
        Estimate(
            value=value,
            low=value - Z * error,
            high=value + Z * error,
            method="normal",
            p_value=0.5,
            n_baseline=100,
            n_generation=100,
            n_needed=lambda margin: 100 * (3 * error / (margin - value)) ** 2,  # breaks where value is the margin
        ),
        **details,
    )


def judged(value: float, error: float, margin: float, worse: str = "higher", p: float | None = 0.001) -> Outcome:
    return judge(estimate(value, error), gate(margin, worse), p_adjusted=p, alpha=ALPHA).outcome


def by_damage(value: float, error: float, margin: float, worse: str, p: float | None) -> Outcome:
    """The rule, written once more: with damage d and margin m, both growing with harm."""
    sign = 1 if worse == "higher" else -1
    worst_case = max(sign * (value - Z * error), sign * (value + Z * error))
    best_case = min(sign * (value - Z * error), sign * (value + Z * error))
    harmful = best_case > sign * margin
    harmless = worst_case <= sign * margin
    assert not (harmful and harmless)
    if harmful and (p is None or p <= ALPHA):
        return Outcome.FAIL
    return Outcome.PASS if harmless else Outcome.INCONCLUSIVE


@given(numbers, errors, numbers, directions, p_values)
def test_the_rule_agrees_with_its_second_implementation(
    value: float, error: float, margin: float, worse: str, p: float | None
) -> None:
    assert judged(value, error, margin, worse, p) is by_damage(value, error, margin, worse, p)


@given(numbers, errors, numbers, directions, p_values, st.floats(0, 5))
def test_raising_the_margin_never_turns_pass_into_anything_else(
    value: float, error: float, margin: float, worse: str, p: float | None, more: float
) -> None:
    wider = margin + more if worse == "higher" else margin - more
    if judged(value, error, margin, worse, p) is Outcome.PASS:
        assert judged(value, error, wider, worse, p) is Outcome.PASS


@given(numbers, errors, numbers, directions, p_values, st.floats(0, 5))
def test_lowering_the_margin_never_turns_fail_into_anything_else(
    value: float, error: float, margin: float, worse: str, p: float | None, less: float
) -> None:
    narrower = margin - less if worse == "higher" else margin + less
    if judged(value, error, margin, worse, p) is Outcome.FAIL:
        assert judged(value, error, narrower, worse, p) is Outcome.FAIL


@given(numbers, numbers, directions)
def test_without_error_every_real_change_is_settled(value: float, margin: float, worse: str) -> None:
    if value == margin:
        return
    harmful = (value > margin) == (worse == "higher")
    tiny = abs(value - margin) / 1e6
    assert judged(value, tiny, margin, worse, p=0.001) is (Outcome.FAIL if harmful else Outcome.PASS)


@given(numbers, errors, numbers, directions, st.floats(0.0500001, 1.0))
def test_what_chance_can_explain_never_fails(value: float, error: float, margin: float, worse: str, p: float) -> None:
    assert judged(value, error, margin, worse, p) is not Outcome.FAIL


def test_a_p_value_of_exactly_alpha_is_significant() -> None:
    assert judged(2.0, 0.1, 1.0, p=ALPHA) is Outcome.FAIL
    assert judged(2.0, 0.1, 1.0, p=math.nextafter(ALPHA, 1)) is Outcome.INCONCLUSIVE


def test_a_bound_exactly_on_the_margin_passes_and_does_not_fail() -> None:
    on_it = estimate(1.0, 0.0)
    assert judge(on_it, gate(1.0), p_adjusted=0.001, alpha=ALPHA).outcome is Outcome.PASS
    assert judge(on_it, gate(1.0, "lower"), p_adjusted=0.001, alpha=ALPHA).outcome is Outcome.PASS


def told(value: float, error: float, margin: float, p: float | None, **details: object) -> Judgement:
    return judge(estimate(value, error, **details), gate(margin), p_adjusted=p, alpha=ALPHA)


def test_a_significant_but_immaterial_change_passes_with_the_note_shift() -> None:
    assert told(0.5, 0.1, 1.0, 0.001).notes == ("shift",)
    assert told(0.5, 0.1, 1.0, 0.5).notes == ()


def test_notes_of_the_probe_stand_behind_the_shift() -> None:
    assert told(0.5, 0.1, 1.0, 0.001, notes=("length-matched",)).notes == ("shift", "length-matched")


def test_a_fact_without_a_p_value_is_judged_by_its_bounds_alone() -> None:
    assert told(2.0, 0.1, 1.0, None).outcome is Outcome.FAIL
    assert told(0.5, 0.1, 1.0, None).outcome is Outcome.PASS
    assert "p =" not in told(2.0, 0.1, 1.0, None).reason


def test_a_one_sided_comparison_may_pass_but_never_fails() -> None:
    assert told(2.0, 0.1, 1.0, 0.001, can_fail=False).outcome is Outcome.INCONCLUSIVE
    assert told(0.5, 0.1, 1.0, 0.001, can_fail=False).outcome is Outcome.PASS


def test_pass_may_start_elsewhere_than_where_fail_ends() -> None:
    between = estimate(0.4, 0.01)
    two = gate(0.25, "lower", pass_margin=0.5)
    assert judge(between, two, p_adjusted=0.001, alpha=ALPHA).outcome is Outcome.INCONCLUSIVE
    assert judge(estimate(0.6, 0.01), two, p_adjusted=0.001, alpha=ALPHA).outcome is Outcome.PASS
    assert judge(estimate(0.2, 0.01), two, p_adjusted=0.001, alpha=ALPHA).outcome is Outcome.FAIL


def test_where_fail_and_pass_overlap_fail_wins() -> None:
    depleted = estimate(0.4, 0.01)  # certainly under .5, certainly over .25
    two = gate(0.5, "lower", pass_margin=0.25)
    assert judge(depleted, two, p_adjusted=0.001, alpha=ALPHA).outcome is Outcome.FAIL
    assert judge(depleted, two, p_adjusted=0.9, alpha=ALPHA).outcome is Outcome.PASS


def test_inconclusive_names_the_number_of_documents_that_would_settle_it() -> None:
    # 100 documents, standard error .5, margin .5 away: 100 * (3 * .5 / .5)^2 = 900.
    judgement = told(0.5, 0.5, 1.0, 0.3)
    assert judgement.n_needed == 900
    assert judgement.reason == (
        "the interval [-0.3224, 1.322] holds the margin 1; about 900 documents a side would settle it"
    )
    # .22 away: 100 * (3 * .5 / .22)^2 = 4,648.8, and an extrapolation has no more than two digits.
    judgement = told(0.78, 0.5, 1.0, 0.3)
    assert judgement.n_needed == 4648
    assert judgement.reason.endswith("; about 4,700 documents a side would settle it")


def test_what_is_inconclusive_now_is_never_settled_by_fewer_documents_than_there_are() -> None:
    judgement = told(0.5, 0.5, 1.0, 0.3, n_needed=lambda _: 5.0)
    assert judgement.n_needed == 101


def breaks(_: float) -> float:
    raise OverflowError


@pytest.mark.parametrize("n_needed", [None, lambda _: math.inf, lambda _: math.nan, breaks])
def test_no_number_is_promised_where_none_is_known(n_needed: object) -> None:
    judgement = told(0.5, 0.5, 1.0, 0.3, n_needed=n_needed)
    assert judgement.n_needed is None
    assert judgement.reason.endswith("no number of documents a side can be promised to settle it")


def test_reasons_say_what_was_compared_with_what() -> None:
    assert told(2.0, 0.1, 1.0, 0.001).reason == "the 95% bound 1.836 lies beyond the margin 1, p = 0.001 after Holm"
    assert told(0.5, 0.1, 1.0, 0.5).reason == (
        "a change of the margin would have been seen: the 95% bound 0.6645 lies within 1"
    )
    assert told(0.5, 0.1, 1.0, 0.001).reason == (
        "a real change, but smaller than the margin: the 95% bound 0.6645 lies within 1"
    )
    assert told(2.0, 0.1, 1.0, 0.4).reason.startswith(
        "the change lies beyond the margin, but chance is not excluded after correction for all tests; "
    )
    assert told(2.0, 0.1, 1.0, 0.001, explanation="a remark").reason.endswith("; a remark")


# ------------------------------------------------------------------------------------------------------------- Holm


def textbook_holm(p: Sequence[float]) -> list[float]:
    """Holm 1979, step by step: the i-th smallest of m (from 0) times m - i, never under the one before, at most 1."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted = [0.0] * len(p)
    before = 0.0
    for step, index in enumerate(order):
        before = max(before, (len(p) - step) * p[index])
        adjusted[index] = min(1.0, before)
    return adjusted


families = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=40)


def test_holm_by_hand() -> None:
    # .005 * 4 = .02; .01 * 3 = .03; .03 * 2 = .06; .04 * 1 = .04, lifted to .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]) == []


@given(families)
def test_holm_agrees_with_the_textbook(p: list[float]) -> None:
    assert holm(p) == pytest.approx(textbook_holm(p), rel=1e-12)


@given(families)
def test_bonferroni_rejects_no_more_than_holm_and_holm_no_more_than_raw(p: list[float]) -> None:
    for raw, adjusted in zip(p, holm(p), strict=True):
        assert raw <= adjusted <= min(1.0, raw * len(p)) + 1e-12


@given(families)
def test_adjusted_p_values_are_in_the_order_of_the_raw_ones(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(adjusted[i] <= adjusted[j] for i in range(len(p)) for j in range(len(p)) if p[i] <= p[j])


@given(families, st.randoms())
def test_holm_does_not_depend_on_the_order(p: list[float], random: object) -> None:
    order = list(range(len(p)))
    random.shuffle(order)
    shuffled = holm([p[i] for i in order])
    assert shuffled == [holm(p)[i] for i in order]


@given(families, st.integers(0, 30))
def test_planned_tests_that_did_not_run_count_as_if_they_came_last(p: list[float], missing: int) -> None:
    with_ones = textbook_holm([*p, *[1.0] * missing])[: len(p)]
    assert holm(p, family=len(p) + missing) == pytest.approx(with_ones, rel=1e-12)


def test_a_family_is_never_smaller_than_its_tests() -> None:
    assert holm([0.01, 0.02], family=1) == holm([0.01, 0.02])


# ---------------------------------------------------------------------------------------------------------- overall


def found(outcome: Outcome, *, gating: bool = True) -> Finding:
    return Finding(
        probe="p",
        code="X",
        statistic="s",
        seed=None,
        generation=1,
        baseline="b",
        gating=gating,
        outcome=outcome,
        unit="u",
        worse="higher",
        reason="r",
    )


ORDER = [
    (Outcome.FAIL, Verdict.COLLAPSE, 1),
    (Outcome.ERROR, Verdict.ERROR, 3),
    (Outcome.INCONCLUSIVE, Verdict.INCONCLUSIVE, 6),
    (Outcome.CHANGED, Verdict.CHANGED, 0),
    (Outcome.PASS, Verdict.PASS, 0),
    (Outcome.NOT_MEASURED, Verdict.NOT_MEASURED, 5),
]
"""What decides before what: collapse first, except that "nothing was measured" needs that nothing was."""


@given(st.lists(st.sampled_from(list(Outcome)), max_size=6))
def test_the_first_of_the_documented_order_decides(outcomes: list[Outcome]) -> None:
    expected = next(
        ((verdict, code) for outcome, verdict, code in ORDER if outcome in outcomes), (Verdict.NOT_MEASURED, 5)
    )
    verdict, code = overall([found(outcome) for outcome in outcomes], allow_inconclusive=False)
    assert (verdict, int(code)) == expected


@given(st.lists(st.sampled_from(list(Outcome)), max_size=6))
def test_context_decides_nothing(outcomes: list[Outcome]) -> None:
    context = [found(outcome, gating=False) for outcome in outcomes]
    assert overall(context, allow_inconclusive=False) == (Verdict.NOT_MEASURED, ExitCode.NOTHING_MEASURED)
    assert overall([*context, found(Outcome.PASS)], allow_inconclusive=False) == (Verdict.PASS, ExitCode.PASS)


@given(st.lists(st.sampled_from(list(Outcome)), max_size=6))
def test_a_change_that_is_asked_to_fail_exits_with_7_where_nothing_before_it_decides(outcomes: list[Outcome]) -> None:
    findings = [found(outcome) for outcome in outcomes]
    verdict, code = overall(findings)
    refused = overall(findings, fail_on_change=["p"])
    assert refused == ((verdict, 7) if verdict is Verdict.CHANGED else (verdict, code))
    assert refused == overall(findings, fail_on_change=True)
    assert overall(findings, fail_on_change=["another"]) == overall(findings, fail_on_change=False) == (verdict, code)


def test_an_allowed_inconclusive_hides_no_change_that_is_asked_to_fail() -> None:
    findings = [found(Outcome.INCONCLUSIVE), found(Outcome.CHANGED)]
    assert overall(findings, allow_inconclusive=True, fail_on_change=True) == (Verdict.CHANGED, 7)
    assert overall(findings, allow_inconclusive=True) == (Verdict.INCONCLUSIVE, 0)
    assert overall(findings, fail_on_change=True) == (Verdict.INCONCLUSIVE, 6)


def test_allowed_inconclusive_exits_with_0_and_keeps_its_name() -> None:
    findings = [found(Outcome.PASS), found(Outcome.INCONCLUSIVE)]
    assert overall(findings, allow_inconclusive=True) == (Verdict.INCONCLUSIVE, ExitCode.PASS)


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.ERROR])
def test_allowing_inconclusive_forgives_nothing_else(outcome: Outcome) -> None:
    findings = [found(outcome), found(Outcome.INCONCLUSIVE)]
    assert overall(findings, allow_inconclusive=True) == overall(findings, allow_inconclusive=False)
