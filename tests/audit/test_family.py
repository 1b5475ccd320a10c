"""A family judged together, against Holm's correction written out by hand."""

from __future__ import annotations

import pytest

from collapse_audit.probes.statistics.readings import Estimate, Gate
from collapse_audit.reports.document import Outcome
from collapse_audit.verdicts.family import judge_family

GATE = Gate(statistic="s", unit="u", worse="higher", margin=0.1, because="b")


def estimate(p: float | None, value: float = 1.0) -> Estimate:
    return Estimate(value=value, low=value - 0.1, high=value + 0.1, method="m", p_value=p, n_baseline=9, n_generation=9)


def adjusted(estimates: dict[str, Estimate], **details: object) -> dict[str, float | None]:
    judged = judge_family(estimates, dict.fromkeys(estimates, GATE), alpha=0.05, **details)  # type: ignore[arg-type]
    return {key: one.p_adjusted for key, one in judged.items()}


def test_p_values_are_adjusted_by_holm_and_plain_facts_are_not() -> None:
    found = adjusted({"a": estimate(0.03), "b": estimate(0.01), "fact": estimate(None), "c": estimate(0.02)})
    assert found == pytest.approx({"a": 0.04, "b": 0.03, "fact": None, "c": 0.04})


def test_tests_that_were_planned_and_not_made_count() -> None:
    assert adjusted({"a": estimate(0.01)}, planned=7) == pytest.approx({"a": 0.07})


def test_context_is_no_part_of_the_family_and_is_judged_by_its_own_p_value() -> None:
    both = {"a": estimate(0.04), "beside": estimate(0.04)}
    judged = judge_family(both, dict.fromkeys(both, GATE), alpha=0.05, context={"beside"})
    assert (judged["a"].p_adjusted, judged["beside"].p_adjusted) == (0.04, None)
    assert {one.outcome for one in judged.values()} == {Outcome.FAIL}


def test_tests_that_come_later_count_and_reject_nothing() -> None:
    # Three of the four are left out of the order: the one that is tested is still one of four.
    found = {"a": estimate(0.01), "b": estimate(0.0001), "c": estimate(0.5), "d": estimate(0.9)}
    judged = judge_family(found, dict.fromkeys(found, GATE), alpha=0.05, later={"b", "c", "d"})
    assert [one.p_adjusted for one in judged.values()] == pytest.approx([0.04, 1, 1, 1])
    assert [one.outcome for one in judged.values()] == [Outcome.FAIL, *[Outcome.INCONCLUSIVE] * 3]


def test_a_move_is_changed_where_a_loss_fails_and_a_reading_may_say_which_it_is() -> None:
    move = Gate(statistic="s", unit="u", worse="higher", margin=0.1, because="b", kind="move")
    signed = Estimate(
        value=1, low=0.9, high=1.1, method="m", p_value=0.01, n_baseline=9, n_generation=9, kind="loss"
    )  # fmt: skip
    judged = judge_family({"plain": estimate(0.01), "signed": signed}, {"plain": move, "signed": move}, alpha=0.05)
    assert (judged["plain"].outcome, judged["plain"].kind) == (Outcome.CHANGED, "move")
    assert (judged["signed"].outcome, judged["signed"].kind) == (Outcome.FAIL, "loss")


@pytest.mark.parametrize(("value", "outcome"), [(0.0, Outcome.PASS), (0.1, Outcome.INCONCLUSIVE)])
def test_what_is_no_change_beyond_the_margin_is_the_same_of_a_move(value: float, outcome: Outcome) -> None:
    move = Gate(statistic="s", unit="u", worse="higher", margin=0.15, because="b", kind="move")
    for gate in (move, GATE):
        wide = Gate(statistic="s", unit="u", worse="higher", margin=0.15, because="b", kind=gate.kind)
        judged = judge_family({"a": estimate(0.001, value)}, {"a": wide}, alpha=0.05)
        assert judged["a"].outcome is outcome


def test_a_later_test_is_corrected_by_its_first_look_among_all_that_were_planned() -> None:
    """Five planned, two made, .002 and .004 at the first look: the second is max(.002 * 5, .004 * 4) = .016."""
    gate = Gate(statistic="s", unit="share", worse="higher", margin=0.1, because="ours")
    tested = {
        name: Estimate(value=0.2, low=0.15, high=0.3, method="", p_value=p, n_baseline=9, n_generation=9)
        for name, p in (("first", 0.001), ("later", 0.004))
    }
    judged = judge_family(
        tested,
        dict.fromkeys(tested, gate),
        alpha=0.05,
        planned=5,
        later=["later"],
        first_look={"first": 0.002, "later": 0.004},
    )
    assert judged["later"].p_adjusted == pytest.approx(0.016)
